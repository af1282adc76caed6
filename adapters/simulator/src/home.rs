//! The simulated home: one plant on the real clock, two servers in front of it.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    PlantState, Port, Server, SunSpecSettings, Units, UnknownUnit,
    plant::{Controls, Plant, PlantSettings, Touched},
    sdm630::LoadMeter,
    sunspec::Hybrid,
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
        let hybrid = Units::one(settings.hybrid_unit, Hybrid::new(plant.clone(), settings.sunspec));
        let meter = Units::one(settings.meter_unit, LoadMeter::new(plant.clone()));
        let hybrid = Server::start(settings.hybrid, hybrid.unknown(unknown)).await?;
        let meter = Server::start(settings.meter, meter.unknown(unknown)).await?;
        Ok(Self { plant, hybrid, meter })
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

/// The plant on the real clock; the devices of a home share it.
#[derive(Clone)]
pub(crate) struct LivePlant {
    start: Instant,
    plant: Arc<Mutex<Plant>>,
}

impl LivePlant {
    pub fn start(settings: PlantSettings) -> Self {
        Self { start: Instant::now(), plant: Arc::new(Mutex::new(Plant::new(settings))) }
    }

    /// The state of this instant.
    pub fn now(&self) -> PlantState {
        self.lock().1.state()
    }

    /// The state and the controls of one instant.
    pub fn look(&self) -> (PlantState, Controls) {
        let (_, plant) = self.lock();
        (plant.state(), plant.controls().clone())
    }

    /// Changes the controls, all or nothing.
    pub fn control<E>(&self, change: impl FnOnce(&mut Controls) -> Result<Touched, E>) -> Result<(), E> {
        let (at, mut plant) = self.lock();
        let mut controls = plant.controls().clone();
        let touched = change(&mut controls)?;
        plant.control(at, controls, touched);
        Ok(())
    }

    fn lock(&self) -> (Duration, MutexGuard<'_, Plant>) {
        let mut plant = self.plant.lock().unwrap_or_else(PoisonError::into_inner);
        let at = self.start.elapsed();
        plant.advance(at);
        (at, plant)
    }
}
