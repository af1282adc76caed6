//! The simulated home, and the configuration that reads it.

use std::net::SocketAddr;

use simulator::{Home, HomeSettings};

pub const GATEWAY: &str = "id = \"home-1\"\nuser_id = \"66b0c0ffee0000000000cafe\"";

/// A home whose sun and loads stand still, at this hour of the day.
pub async fn still_home(start_hour: f64) -> Home {
    Home::start(HomeSettings { speed: 0.0, start_hour, ..HomeSettings::default() }).await.unwrap()
}

/// Where the hybrid's models 123, 124 and 160 begin in its registers.
pub const LIMIT: u16 = 40_182;
pub const STORAGE: u16 = 40_208;
pub const MODULES: u16 = 40_234;

/// Sections for both of the home's devices, read five times a second.
pub fn sections(home: &Home) -> String {
    format!("[journal]\ngroup = \"1s\"\n{}{}", roof(home.hybrid_addr(), true), house(home.meter_addr()))
}

/// An inverter of many, with the battery behind it: connection and device
/// have this name. `keys` are further keys of the device.
pub fn hybrid(name: &str, address: SocketAddr, timing: &str, keys: &str) -> String {
    format!(
        "[modbus.{name}]\naddress = \"tcp://{address}\"\n{timing}\n[modbus.{name}.device.{name}]\n\
         profile = \"sunspec\"\nunit = 1\ncontrol = true\ncharge_power = 3000\ndischarge_power = 3000\n{keys}\n"
    )
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
