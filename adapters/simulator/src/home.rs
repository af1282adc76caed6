//! The simulated home: one plant on the real clock, two servers in front of it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use crate::{
    Layout, PlantState, Port, Server, SunSpecSettings, Units, UnknownUnit,
    live::LivePlant,
    plant::PlantSettings,
    sdm630::LoadMeter,
    sunspec::{Description, Hybrid},
};

/// How the home is set up. The default listens on free ports of the loopback, at real speed.
#[derive(Debug, Clone, PartialEq)]
pub struct HomeSettings {
    /// Where the hybrid inverter listens.
    pub hybrid: SocketAddr,
    /// Where the load meter listens.
    pub meter: SocketAddr,
    /// Simulated seconds per real second: 288 is a day in five minutes, 0 holds the sun still.
    pub speed: f64,
    /// Simulated hour at the start.
    pub start_hour: f64,
    /// Decides clouds and loads.
    pub seed: u64,
    /// State of charge at the start, %.
    pub soc: f64,
    /// The inverter's unit id.
    pub hybrid_unit: u8,
    /// The meter's unit id.
    pub meter_unit: u8,
    /// What other unit ids get, on both ports.
    pub unknown_unit: UnknownUnit,
    /// How the inverter describes itself.
    pub sunspec: SunSpecSettings,
}

impl Default for HomeSettings {
    fn default() -> Self {
        let plant = PlantSettings::default();
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            hybrid: free,
            meter: free,
            speed: plant.speed,
            start_hour: plant.start_hour,
            seed: plant.seed,
            soc: plant.soc,
            hybrid_unit: 1,
            meter_unit: 1,
            unknown_unit: UnknownUnit::default(),
            sunspec: SunSpecSettings::default(),
        }
    }
}

/// A running home. Dropping it stops it without waiting. A home costs two listening tasks and no timer:
/// a test that wants twenty inverters starts twenty homes with the default settings in one process.
pub struct Home {
    plant: LivePlant,
    description: Description,
    hybrid: Server,
    meter: Server,
}

impl Home {
    /// Starts the plant and both servers.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn start(settings: HomeSettings) -> io::Result<Self> {
        let plant = LivePlant::start(PlantSettings {
            speed: settings.speed,
            start_hour: settings.start_hour,
            seed: settings.seed,
            soc: settings.soc,
        });
        let unknown = settings.unknown_unit;
        let description = Description::new(settings.sunspec);
        let hybrid = Hybrid::new(plant.clone(), description.clone());
        let hybrid = Units::one(settings.hybrid_unit, hybrid);
        let meter = Units::one(settings.meter_unit, LoadMeter::new(plant.clone()));
        let hybrid = Server::start(settings.hybrid, hybrid.unknown(unknown)).await?;
        let meter = Server::start(settings.meter, meter.unknown(unknown)).await?;
        Ok(Self { plant, description, hybrid, meter })
    }

    /// Where the inverter listens.
    pub fn hybrid_addr(&self) -> SocketAddr {
        self.hybrid.addr()
    }

    /// Where the load meter listens.
    pub fn meter_addr(&self) -> SocketAddr {
        self.meter.addr()
    }

    /// The inverter's port.
    pub fn hybrid(&self) -> &Port {
        self.hybrid.port()
    }

    /// The load meter's port.
    pub fn meter(&self) -> &Port {
        self.meter.port()
    }

    /// From now on a maker's own model of so many registers (2 or more, 0 for none) stands behind the
    /// inverter's Common block, so that all models after it have moved, as by a firmware update.
    pub fn move_models(&self, registers: u16) {
        self.redescribe(|sunspec| sunspec.vendor_registers = registers);
    }

    /// From now on the inverter describes itself by other models, as when somebody switches from
    /// integers to floats on its web page.
    pub fn change_layout(&self, layout: Layout) {
        self.redescribe(|sunspec| sunspec.layout = layout);
    }

    fn redescribe(&self, change: impl FnOnce(&mut SunSpecSettings)) {
        let mut sunspec = self.description.get();
        change(&mut sunspec);
        self.description.set(sunspec);
    }

    /// The home now.
    pub fn now(&self) -> PlantState {
        self.plant.now()
    }

    /// Closes all connections and waits until both servers ended.
    pub async fn stop(self) {
        self.hybrid.stop().await;
        self.meter.stop().await;
    }
}
