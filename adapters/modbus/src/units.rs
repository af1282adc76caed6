//! The configuration, resolved: which physical unit has which devices, with what they inherit and
//! what the profile says. Pure; trusts that `Settings::check` found nothing.

use std::time::Duration;

use adapter_api::{
    Bounds, DeviceId, DeviceInfo, DeviceSettings, UnitId,
    profile::{Discovery, PARTS, Profile, Range, known},
};

use crate::{
    client::Pace,
    config::{BATTERY, Device, GRID, ITSELF, Settings},
    plan::{Barred, Extent, Rules},
};

/// The command that a device takes only with `write_points`.
pub(crate) const WRITE_POINT: &str = "write_point";

/// One physical unit.
#[derive(Debug, Clone)]
pub(crate) struct UnitConfig {
    /// `<connection>/<unit>`.
    pub id: UnitId,
    /// Its Modbus unit id.
    pub address: u8,
    pub profile: &'static Profile,
    pub interval: Duration,
    /// What the link must respect.
    pub pace: Pace,
    /// Most registers in one request, and most unwanted ones between two wanted ones.
    pub block: u16,
    pub gap: u16,
    /// Where the profile lets no request go.
    pub barred: Barred,
    /// The device whose table names the unit.
    pub main: Part,
    /// Its battery, should it have one.
    pub battery: Part,
    /// Its meters, should it have some: that of the grid, and two that measure something else.
    pub meters: [Part; 3],
}

/// One device of a unit, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub id: DeviceId,
    pub name: String,
    /// Its keys with what it inherits.
    pub keys: DeviceSettings,
    /// Has it a table of its own?
    pub has_table: bool,
    /// May single points be written?
    pub write_points: bool,
}

impl Part {
    pub fn enabled(&self) -> bool {
        self.keys.enabled.unwrap_or(true)
    }
}

impl UnitConfig {
    /// What a plan must respect.
    pub fn rules<'a>(&self, barred: &'a Barred) -> Rules<'a> {
        Rules { block: self.block, gap: self.gap, barred }
    }

    /// Main device, battery, meters.
    pub fn parts(&self) -> [&Part; 5] {
        let [grid, second, third] = &self.meters;
        [&self.main, &self.battery, grid, second, third]
    }

    /// One of them, by its part's name; the device itself has none.
    pub fn part(&self, name: &str) -> Option<&Part> {
        match name {
            ITSELF => Some(&self.main),
            _ => self
                .parts()
                .into_iter()
                .skip(1)
                .zip(PARTS)
                .find(|(_, part)| *part == name)
                .map(|(part, _)| part),
        }
    }

    /// The device itself and the parts that the profile knows by their registers.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let profile = self.profile;
        std::iter::once(ITSELF).chain(PARTS.into_iter().filter(|part| profile.parts.contains_key(*part)))
    }

    /// The device that is its battery, where it has one: a part, or the device itself.
    pub fn battery_device(&self) -> &Part {
        let is_itself = self.profile.discovery.is_none() && !self.profile.parts.contains_key(BATTERY);
        if is_itself { &self.main } else { &self.battery }
    }

    /// What a description of one of its devices has in common with the others.
    pub fn describe(&self, part: &Part) -> DeviceInfo {
        let (profile, keys) = (self.profile, &part.keys);
        DeviceInfo {
            id: part.id.clone(),
            unit: self.id.clone(),
            name: part.name.clone(),
            device_type: keys.device_type.unwrap_or(profile.device_type),
            protocol: profile.protocol,
            role: keys.energy_role.unwrap_or(profile.energy_role),
            usage: None,
            profile: profile.name.clone(),
            manufacturer: profile.manufacturer.clone(),
            model: profile.models.first().cloned().unwrap_or_default(),
            serial: None,
            firmware: None,
            max_power: keys.max_power,
            capacity: None,
            phases: profile.phases,
            room: keys.room.clone(),
            location: keys.location.clone(),
            capabilities: Vec::new(),
            commands: Vec::new(),
            control: keys.control.unwrap_or(false),
            interval: self.interval,
            bounds: Bounds {
                import: keys.max_import,
                export: keys.max_export,
                charge: keys.charge_power,
                discharge: keys.discharge_power,
            },
        }
    }
}

/// The units of a connection that have at least one enabled device.
pub(crate) fn resolve(connection: &str, settings: &Settings) -> Vec<UnitConfig> {
    let own = settings.device.iter().filter(|(id, _)| settings.whole_of(id).is_none());
    own.filter_map(|(id, table)| unit(connection, settings, id, table)).collect()
}

fn unit(connection: &str, settings: &Settings, id: &str, table: &Device) -> Option<UnitConfig> {
    let profile = known().get(table.profile.as_deref()?)?;
    let address = table.unit.unwrap_or(profile.unit);
    let keys = table.common();
    let name = keys.name.clone().unwrap_or_else(|| id.to_owned());
    let main = Part {
        id: DeviceId::new(id).ok()?,
        name,
        keys,
        has_table: true,
        write_points: table.write_points.unwrap_or(false),
    };
    let part = |n: usize| part(settings, &main, PARTS[n]);
    let (battery, meters) = (part(0)?, [part(1)?, part(2)?, part(3)?]);
    let timeout = table.timeout.or(settings.timeout);
    let spacing = settings.spacing.0.max(profile.limits.spacing.0);
    let unit = UnitConfig {
        id: UnitId::from(format!("{connection}/{address}")),
        address,
        profile,
        interval: main.keys.interval.unwrap_or(settings.interval).0,
        pace: Pace { timeout: timeout.unwrap_or(profile.limits.timeout).0, spacing },
        block: table.block.unwrap_or(profile.limits.block),
        gap: table.gap.unwrap_or(profile.limits.gap),
        barred: barred(profile),
        main,
        battery,
        meters,
    };
    let is_any =
        |part: &str| profile.discovery == Some(Discovery::Sunspec) || profile.parts.contains_key(part);
    let mut parts = PARTS.into_iter().filter(|part| is_any(part));
    let alive = unit.main.enabled() || parts.any(|part| unit.part(part).is_some_and(Part::enabled));
    alive.then_some(unit)
}

fn barred(profile: &Profile) -> Barred {
    let extent = |range: &Range| Extent {
        function: range.function,
        start: range.from,
        // A table has one register more than its last number says: the last one of all is left out.
        count: (range.to - range.from).saturating_add(1),
    };
    let extents = |ranges: &[Range]| ranges.iter().map(extent).collect();
    let limits = &profile.limits;
    Barred { forbidden: extents(&limits.forbidden), readable: extents(&limits.readable), ..Barred::default() }
}

fn part(settings: &Settings, main: &Part, part: &str) -> Option<Part> {
    let id = main.id.part(part).ok()?;
    let table = settings.device.get(id.as_str()).filter(|_| settings.whole_of(id.as_str()).is_some());
    let own = table.map(Device::common).unwrap_or_default();
    let name = own.name.clone().unwrap_or_else(|| format!("{} {part}", main.name));
    // A part is another kind of device: what it is and how strong it is are its own.
    let mut under =
        DeviceSettings { device_type: None, energy_role: None, max_power: None, ..main.keys.clone() };
    if part != GRID {
        // What is said of the device's meter is said of the grid's.
        (under.usage, under.invert) = (None, None);
    }
    let write_points = table.and_then(|table| table.write_points).unwrap_or(main.write_points);
    Some(Part { id, name, keys: own.over(&under), has_table: table.is_some(), write_points })
}
