//! The simulated home, and the configuration that reads it.

use std::net::SocketAddr;

use simulator::{Home, HomeSettings};

pub const GATEWAY: &str = "id = \"home-1\"\nuser_id = \"66b0c0ffee0000000000cafe\"";

/// A home whose sun and loads stand still, at this hour of the day.
pub async fn still_home(start_hour: f64) -> Home {
    Home::start(HomeSettings { speed: 0.0, start_hour, ..HomeSettings::default() }).await.unwrap()
}

/// Sections for both of the home's devices, read five times a second.
pub fn sections(home: &Home) -> String {
    format!("[journal]\ngroup = \"1s\"\n{}{}", roof(home.hybrid_addr(), true), house(home.meter_addr()))
}

pub fn roof(address: SocketAddr, control: bool) -> String {
    format!(
        "[modbus.roof]\naddress = \"tcp://{address}\"\ninterval = \"200ms\"\ntimeout = \"1s\"\n\
         [modbus.roof.device.roof]\nprofile = \"sunspec\"\nunit = 1\ncontrol = {control}\n\
         charge_power = 3000\ndischarge_power = 3000\n"
    )
}

pub fn house(address: SocketAddr) -> String {
    format!(
        "[modbus.panel]\naddress = \"tcp://{address}\"\ninterval = \"200ms\"\ntimeout = \"1s\"\n\
         [modbus.panel.device.house]\nprofile = \"eastron-sdm630\"\nunit = 1\nusage = \"load\"\n"
    )
}
