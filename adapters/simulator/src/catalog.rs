//! What `maestro simulate <what>` offers: homes, lines, SunSpec devices, and every profile.

use std::{io, net::SocketAddr};

use adapter_api::profile::{self, Profile};

use crate::{
    Layout, Line, LineSettings, Parity, Product, ProductSettings, Running, Server, SunSpecSettings, Units,
    Wiring,
    live::LivePlant,
    plant::PlantSettings,
    sdm630::{self, LoadMeter},
    sunspec::{Description, Hybrid},
};

const HOME: &str = "home";
const HYBRID: &str = "hybrid";
const LINE: &str = "line";
/// The meters of a line have the units from 1 on; the one after them is wired and dead.
const METERS: u8 = 4;
/// A day that is served starts in the morning, so that the sun is soon to be seen.
const START_HOUR: f64 = 8.0;
const UNIT: u8 = 1;

/// One thing that can be simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct What {
    /// What to ask for.
    pub name: String,
    /// What it is, in one line.
    pub text: String,
}

/// How one thing is served.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServeSettings {
    /// Where; a home takes this port and the next one, or free ones where it is 0.
    pub listen: SocketAddr,
    /// How much faster than life the day goes by.
    pub speed: f64,
    /// On a pseudo terminal instead, as fast as the profile says.
    pub serial: bool,
}

/// SunSpec devices: name, what it is, layout, wiring.
const MODELS: [(&str, &str, Layout, Wiring); 13] = [
    (HYBRID, "the hybrid of `home`: 103, 120, 121, 123, 124, 160, and 203", Layout::Integer, Wiring::Three),
    (
        "sunspec-int",
        "the same by its models' kind: integers with scale factors",
        Layout::Integer,
        Wiring::Three,
    ),
    ("sunspec-float", "floats for AC side and meter: 113 and 213", Layout::Float, Wiring::Three),
    ("sunspec-float-single-phase", "the same on one phase: 111 and 211", Layout::Float, Wiring::Single),
    ("sunspec-float-split-phase", "the same on a split phase: 112 and 212", Layout::Float, Wiring::Split),
    (
        "sunspec-float-delta",
        "the same on three phases without neutral: 113 and 214",
        Layout::Float,
        Wiring::Delta,
    ),
    ("sunspec-single-phase", "one phase: 101 and 201", Layout::Integer, Wiring::Single),
    ("sunspec-split-phase", "split phase: 102 and 202", Layout::Integer, Wiring::Split),
    ("sunspec-delta", "three phases without neutral: 103 and 204", Layout::Integer, Wiring::Delta),
    ("sunspec-700", "the 700 series: 701 to 704, 713, 714", Layout::Der, Wiring::Three),
    (
        "sunspec-700-all",
        "the 700 series with its curves as well: 701 to 715",
        Layout::DerWhole,
        Wiring::Three,
    ),
    (
        "sunspec-bank",
        "a battery that describes itself and its strings: 122, 802 and 803",
        Layout::Bank,
        Wiring::Three,
    ),
    (
        "sunspec-two-meters",
        "an inverter without battery, meters at the grid and the loads",
        Layout::TwoMeters,
        Wiring::Three,
    ),
];

/// All of them.
pub fn catalog() -> Vec<What> {
    let what = |name: &str, text: String| What { name: name.to_owned(), text };
    let homes = [
        (HOME, "a home: the hybrid on the given port, the load meter on the next one, one sun for both"),
        (
            LINE,
            "a serial line of 9600 baud on a pseudo terminal: four Eastron SDM630, units 1 to 4, and a dead unit 5",
        ),
    ];
    let homes = homes.into_iter().map(|(name, text)| what(name, text.to_owned()));
    let models = MODELS.into_iter().map(|(name, text, ..)| what(name, text.to_owned()));
    let profiles = profile::known().iter().map(|(name, profile)| what(name, described(profile)));
    homes.chain(models).chain(profiles).collect()
}

fn described(profile: &Profile) -> String {
    let kind = profile.device_type.as_str().replace('_', " ");
    let parts: Vec<&str> = profile.parts.keys().map(String::as_str).collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" with {}", parts.join(" and ")) };
    let models: Vec<&str> = profile.models.iter().take(3).map(String::as_str).collect();
    format!("{} {}: {kind}{parts}, unit {}", profile.manufacturer, models.join(", "), profile.unit)
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no such thing.
    #[error(
        "there is no `{what}` to simulate: `maestro simulate` without a name lists all, and what each is: {}",
        names()
    )]
    Unknown {
        /// What was asked for.
        what: String,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: choose another address or a free port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The machine gives no terminal.
    #[error("cannot make a pseudo terminal: it needs /dev/ptmx and a directory for temporary files")]
    Terminal(#[source] io::Error),
    /// Two devices do not go on one line of their own.
    #[error("a home is served over TCP alone: leave out the serial line, or ask for one of its devices")]
    HomeOnLine,
}

fn names() -> String {
    catalog().into_iter().map(|what| what.name).collect::<Vec<_>>().join(", ")
}

/// Serves one thing of the [`catalog`] until it is stopped.
///
/// # Errors
/// [`ServeError::Unknown`] says how to see what there is; [`ServeError::Listen`] the address;
/// [`ServeError::Terminal`] what a line needs; [`ServeError::HomeOnLine`].
pub async fn serve(what: &str, settings: ServeSettings) -> Result<Running, ServeError> {
    let nothing = Running { plant: None, servers: Vec::new(), line: None, product: None };
    let of_plant = settings.plant();
    let model = MODELS.iter().find(|(name, ..)| *name == what);
    match (what, model, profile::known().get(what)) {
        (HOME, ..) if settings.serial => Err(ServeError::HomeOnLine),
        (HOME, ..) => {
            let plant = LivePlant::start(of_plant);
            let hybrid = Hybrid::new(plant.clone(), Description::new(SunSpecSettings::default()));
            let hybrid = served(settings.listen, Units::one(UNIT, hybrid)).await?;
            let next = match settings.listen.port() {
                0 => settings.listen,
                port => SocketAddr::new(settings.listen.ip(), port.wrapping_add(1)),
            };
            let meter = served(next, Units::one(UNIT, LoadMeter::new(plant.clone()))).await?;
            let servers = vec![(HYBRID.to_owned(), hybrid), (sdm630::PROFILE.to_owned(), meter)];
            Ok(Running { plant: Some(plant), servers, ..nothing })
        }
        (LINE, ..) => {
            let line = meters(of_plant).map_err(ServeError::Terminal)?;
            Ok(Running { line: Some((LINE.to_owned(), line)), ..nothing })
        }
        (_, Some((name, _, layout, wiring)), _) => {
            let sunspec = SunSpecSettings { layout: *layout, wiring: *wiring, ..SunSpecSettings::default() };
            let plant = LivePlant::start(of_plant);
            let units = Units::one(UNIT, Hybrid::new(plant.clone(), Description::new(sunspec)));
            let (mut servers, mut line) = (Vec::new(), None);
            if settings.serial {
                let started = Line::start(LineSettings { units, ..LineSettings::default() });
                line = Some(((*name).to_owned(), started.map_err(ServeError::Terminal)?));
            } else {
                servers.push(((*name).to_owned(), served(settings.listen, units).await?));
            }
            Ok(Running { plant: Some(plant), servers, line, ..nothing })
        }
        (_, None, Some(profile)) => serve_profile(profile.clone(), settings).await,
        (_, None, None) => Err(ServeError::Unknown { what: what.to_owned() }),
    }
}

/// Serves a device of any profile, under the profile's name. It is strict: who writes by another function than the
/// profile, or asks in more haste than its limits say, shall find that out here and not at the device.
///
/// # Errors
/// As [`serve`].
pub async fn serve_profile(profile: Profile, settings: ServeSettings) -> Result<Running, ServeError> {
    let name = profile.name.clone();
    let of_product = ProductSettings {
        listen: settings.listen,
        plant: settings.plant(),
        strict: true,
        ..ProductSettings::default()
    };
    let product = if settings.serial {
        let line = line_of(&profile);
        Product::serial(profile, &of_product, line).map_err(ServeError::Terminal)?
    } else {
        let address = settings.listen;
        let started = Product::serve(profile, of_product).await;
        started.map_err(|source| ServeError::Listen { address, source })?
    };
    Ok(Running { plant: None, servers: Vec::new(), line: None, product: Some((name, product)) })
}

impl ServeSettings {
    fn plant(&self) -> PlantSettings {
        PlantSettings { speed: self.speed, start_hour: START_HOUR, ..PlantSettings::default() }
    }
}

async fn served(address: SocketAddr, units: Units) -> Result<Server, ServeError> {
    Server::start(address, units).await.map_err(|source| ServeError::Listen { address, source })
}

/// The speed that a profile's links name, `rtu 9600 8N1`; the usual one where it names none.
fn line_of(profile: &Profile) -> LineSettings {
    let mut line = LineSettings::default();
    let Some(link) = profile.links.iter().find(|link| link.starts_with("rtu")) else { return line };
    for word in link.split_whitespace() {
        if let Ok(baud) = word.parse() {
            line.baud = baud;
        }
        if let [b'8', parity, stop @ (b'1' | b'2')] = word.as_bytes() {
            line.parity = match parity {
                b'E' => Parity::Even,
                b'O' => Parity::Odd,
                _ => Parity::None,
            };
            line.stop = stop - b'0';
        }
    }
    line
}

/// Every meter measures another home.
fn meters(settings: PlantSettings) -> io::Result<Line> {
    let meter = |unit: u8| LoadMeter::new(LivePlant::start(PlantSettings { seed: unit.into(), ..settings }));
    let units = (1..=METERS).fold(Units::default(), |units, unit| units.and(unit, meter(unit)));
    Line::start(LineSettings { units, ..LineSettings::default() })
}
