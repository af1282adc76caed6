//! A product: any device of a register profile in front of the plant, driven from the profile's data alone.
//!
//! Pure but for the plant's clock: `registers` (raw numbers), `check`, `scene` (names → plant), `encode` (points →
//! registers), `map` (what is there), `face` (all of it at one instant), `states`, `factory` and `accept` (what can be written and what it means). `machine` puts
//! them together and keeps the device's timers, `device` is its Modbus side. It decides no power; the plant does.
//!
//! Writes: registers of setpoints, settings and setup are memory, all others exception 2; a value that no state and no
//! rating allows is exception 3, or moved to its end with `clamps`. Functions 6 and 16 are both taken everywhere, with
//! `strict` only the one that the profile writes with (else exception 1).
//!
//! A strict one also keeps the profile's limits: who asks sooner than `spacing` after the last answer, or than
//! `pause_after_connect` after connecting, is told that it is busy (exception 6); with `one_client` a second connection is
//! closed at once, and one that is idle for `idle_close` as well. A fifth too soon is let pass.
//!
//! What a setpoint requires is so, unless the product is `unready`: then the states that require it are accepted, and
//! nothing happens. The order of writes cannot be known from a profile beyond its triggers, so it is not checked.
//!
//! What wears out outlasts the state that wrote it, and holds the battery back further on: where the wearing constants that
//! a `hold`, `hold_charge` or `idle` writes still stand while another state is in force, the battery's window is narrowed
//! by that state, also below a power that is forced. Constants that `auto`, `charge` or `discharge` write themselves do
//! not say that, nor do registers that the state in force writes: it has the last word there.
//!
//! A profile that describes itself by SunSpec models serves them beside its own registers on one unit. Its inverter is bare
//! (no storage models) where the profile has the battery in registers of its own.

mod accept;
mod check;
mod device;
mod encode;
mod face;
mod factory;
mod machine;
mod map;
mod registers;
mod scene;
mod states;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use adapter_api::profile::{self, Discovery, Function, Profile};

use self::{
    device::ProductDevice,
    machine::Machine,
    registers::Registers,
    scene::{Scene, Side},
};
use crate::{
    Layout, Line, LineSettings, Manners, PlantState, Port, Server, SunSpecSettings, Turn, Units,
    live::LivePlant,
    plant::PlantSettings,
    sunspec::{Description, Hybrid},
};

/// How a product is served.
#[derive(Debug, Clone, PartialEq)]
pub struct ProductSettings {
    /// Where it listens; a free port of the loopback unless said.
    pub listen: SocketAddr,
    /// Its unit id; the profile's unless said.
    pub unit: Option<u8>,
    /// The plant behind it.
    pub plant: PlantSettings,
    /// Parts of the profile that this one does not have (`battery`, `grid`).
    pub absent: Vec<String>,
    /// Does a meter alone measure the home's loads? The grid unless said.
    pub loads: bool,
    /// Does it refuse the write function that the profile does not use, and clients that do not keep its limits?
    pub strict: bool,
    /// Is what its setpoints require not so? It then accepts what it is told, and does nothing.
    pub unready: bool,
    /// Does it move a value that is too large to its end, instead of refusing it?
    pub clamps: bool,
    /// How one that describes itself does so; unless said as the profile fits best.
    pub sunspec: Option<SunSpecSettings>,
}

impl Default for ProductSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            unit: None,
            plant: PlantSettings::default(),
            absent: Vec::new(),
            loads: false,
            strict: false,
            unready: false,
            clamps: false,
            sunspec: None,
        }
    }
}

/// Why no product is served.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// There is no such profile.
    #[error("there is no profile `{0}` to simulate: `maestro simulate` without a name lists them")]
    Unknown(String),
    /// The address is taken, or the machine gives no terminal.
    #[error("the product cannot be served")]
    Io(#[from] io::Error),
}

/// A running product. Dropping it stops it without waiting.
pub struct Product {
    machine: Shared,
    plant: LivePlant,
    unit: u8,
    link: Link,
}

enum Link {
    Tcp(Server),
    Serial(Line),
}

/// The machine behind the port and the handle.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Product {
    /// Serves a device of a known profile over Modbus TCP.
    ///
    /// # Errors
    /// When there is no such profile, or the address cannot be listened on.
    pub async fn start(profile: &str, settings: ProductSettings) -> Result<Self, ProductError> {
        let known = profile::known().get(profile).ok_or_else(|| ProductError::Unknown(profile.to_owned()))?;
        Ok(Self::serve(known.clone(), settings).await?)
    }

    /// Serves a device of any profile over Modbus TCP.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn serve(profile: Profile, settings: ProductSettings) -> io::Result<Self> {
        let Built { machine, plant, unit, units } = Built::new(profile, &settings);
        let server = Server::start(settings.listen, units).await?;
        Ok(Self { machine, plant, unit, link: Link::Tcp(server) })
    }

    /// Serves it on a serial line of its own; `listen` means nothing, and of `line` the speed alone counts.
    ///
    /// # Errors
    /// When the machine gives no terminal.
    pub fn serial(profile: Profile, settings: &ProductSettings, line: LineSettings) -> io::Result<Self> {
        let Built { machine, plant, unit, units } = Built::new(profile, settings);
        let line = Line::start(LineSettings { units, ..line })?;
        Ok(Self { machine, plant, unit, link: Link::Serial(line) })
    }

    /// Where it listens; port 0 on a serial line.
    pub fn addr(&self) -> SocketAddr {
        match &self.link {
            Link::Tcp(server) => server.addr(),
            Link::Serial(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        }
    }

    /// The serial line, when it is on one.
    pub fn line(&self) -> Option<&Line> {
        match &self.link {
            Link::Serial(line) => Some(line),
            Link::Tcp(_) => None,
        }
    }

    /// Its dial and its record.
    pub fn port(&self) -> &Port {
        match &self.link {
            Link::Tcp(server) => server.port(),
            Link::Serial(line) => line.port(),
        }
    }

    /// Its unit id.
    pub fn unit(&self) -> u8 {
        self.unit
    }

    /// The home now.
    pub fn now(&self) -> PlantState {
        self.machine.lock().now()
    }

    /// Time leaps ahead: the plant, its counters and the device's timers have lived through it. Nobody waits.
    pub fn skip(&self, by: Duration) {
        self.machine.lock().skip(by);
    }

    /// From now on sun and load stand at these watts; `None`: as the day has them.
    pub fn hold(&self, sun: Option<f64>, load: Option<f64>) {
        self.machine.lock().now();
        self.plant.hold(sun, load);
    }

    /// Lifetime counters show 0 in the next so many reads of any of them, as devices do at midnight.
    pub fn bounce(&self, reads: u32) {
        self.machine.lock().bounce = reads;
    }

    /// The same for so long, by the plant's time: [`Product::skip`] goes through it.
    pub fn bounce_for(&self, time: Duration) {
        self.machine.lock().bounce_for(time);
    }

    /// Lifetime counters begin again at 0, for good.
    pub fn reset_counters(&self) {
        self.machine.lock().reset_counters();
    }

    /// From now on the whole map stands so many registers further back, as after a firmware update.
    pub fn shift_map(&self, by: i16) {
        self.machine.lock().shift = by;
    }

    /// Turns the dial by what somebody wrote.
    pub fn turn(&self, turn: Turn) {
        match turn {
            Turn::Fault(fault, scope) => self.port().fault(fault, scope),
            Turn::Moved(by) => self.shift_map(by),
            Turn::Bounce(reads) => self.bounce(reads),
            Turn::BounceFor(time) => self.bounce_for(time),
            Turn::ResetCounters => self.reset_counters(),
        }
    }

    /// How often the device's own timer or watchdog ended what it was told.
    pub fn fallbacks(&self) -> u64 {
        let mut machine = self.machine.lock();
        machine.now();
        machine.fallbacks
    }

    /// The state of a setpoint that is in force, and its power in W where it says one.
    pub fn told(&self, group: &str) -> Option<(String, Option<f64>)> {
        self.machine.lock().told(group).map(|told| (told.state, told.watts))
    }

    /// Closes all connections and waits until the server ended.
    pub async fn stop(self) {
        match self.link {
            Link::Tcp(server) => server.stop().await,
            Link::Serial(line) => line.stop().await,
        }
    }
}

struct Built {
    machine: Shared,
    plant: LivePlant,
    unit: u8,
    units: Units,
}

impl Built {
    fn new(profile: Profile, settings: &ProductSettings) -> Self {
        let plant = LivePlant::start(settings.plant);
        let unit = settings.unit.unwrap_or(profile.unit);
        let sunspec =
            (profile.discovery == Some(Discovery::Sunspec)).then(|| hybrid(&profile, settings, &plant));
        let manners = if settings.strict { manners(&profile) } else { Manners::default() };
        let machine = Shared(Arc::new(Mutex::new(Machine::new(profile, settings, plant.clone()))));
        let device = ProductDevice::new(machine.clone(), sunspec);
        Self { machine, plant, unit, units: Units::one(unit, device).manners(manners) }
    }
}

/// What the profile's limits want of a client.
fn manners(profile: &Profile) -> Manners {
    let limits = &profile.limits;
    Manners {
        spacing: limits.spacing.0,
        pause_after_connect: limits.pause_after_connect.0,
        idle_close: limits.idle_close.map(|idle| idle.0),
        one_client: limits.one_client,
    }
}

/// The models of a profile that describes itself.
fn hybrid(profile: &Profile, settings: &ProductSettings, plant: &LivePlant) -> Hybrid {
    let layout = if profile.parts.contains_key("battery") { Layout::Bare } else { Layout::Integer };
    let grid_meter =
        !profile.parts.contains_key("grid") && !settings.absent.iter().any(|part| part == "grid");
    let fits = SunSpecSettings { layout, grid_meter, ..SunSpecSettings::default() };
    let description = Description::new(settings.sunspec.unwrap_or(fits));
    let maker = profile.maker(&profile.manufacturer, "");
    // The standard's own profile is of no maker.
    let description = match maker {
        Some(maker) => description.made_by(&profile.manufacturer, maker.export_is_positive),
        None => description,
    };
    Hybrid::new(plant.clone(), description)
}

/// What a meter of a profile shows that measures the home's loads: one table from register 0 on.
pub(crate) fn loads(profile: &Profile, state: PlantState, function: Function, count: u16) -> Vec<u16> {
    let mut registers = Registers::default();
    encode::points(profile, &Scene::new(profile, state), Side::Loads, &[], &mut registers);
    (0..count).map(|at| registers.get(function, at)).collect()
}
