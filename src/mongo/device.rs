//! Documents of `devices`.
//!
//! | written | fields |
//! | --- | --- |
//! | once, when the document is new | `createdAt`, `name`, `room`, `location`, `settings`, `energyProfile`: the backend's users may edit them |
//! | at every registration | `protocol`, `deviceType`, `capabilities`, `energyRole`, `specifications`, `isOnline`, `status`, `lastSeenAt`, `gatewayId`, `adapter`, `profile`, `configured {name, room, location}` (the file's values), `updatedAt`; of `name`, `room`, `location` those that changed in the file |
//! | with every newer state | `currentState`, `stateSeq {generation, number}`, `lastSeenAt`, `updatedAt` |
//!
//! A document that carries another gateway's id is never written.

use adapter_api::{Availability, CapabilityInfo, DeviceInfo, DeviceStatus, PointId, Value};
use mongodb::bson::{Document, doc};

use super::{
    Connection, DEVICES, MongoError,
    connection::{deadline, within},
    error::code,
    fields::{date, long, points, put},
};

/// A device as the gateway knows it.
#[derive(Debug, Clone)]
pub struct DeviceInput<'a> {
    /// The owner.
    pub user_id: &'a str,
    /// The device's id in MongoDB.
    pub device_id: &'a str,
    /// The gateway.
    pub gateway_id: &'a str,
    /// As announced.
    pub info: &'a DeviceInfo,
    /// The adapter's name.
    pub adapter: &'a str,
    /// Whether it answers; none before it was heard of.
    pub availability: Option<Availability>,
    /// Is something wrong with it that a person must mend?
    pub problem: bool,
    /// When it was last heard of, ms.
    pub seen_at: Option<i64>,
    /// Now, ms.
    pub now: i64,
}

/// The latest points of a device.
#[derive(Debug, Clone)]
pub struct StateInput<'a> {
    /// The owner.
    pub user_id: &'a str,
    /// The device's id in MongoDB.
    pub device_id: &'a str,
    /// The gateway.
    pub gateway_id: &'a str,
    /// All of them.
    pub points: &'a [(PointId, Value)],
    /// The journal's generation.
    pub generation: u64,
    /// The reading's number: with the generation, the order of states.
    pub number: u64,
    /// When it was true, ms.
    pub measured_at: i64,
    /// Now, ms.
    pub now: i64,
}

/// What became of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWrite {
    /// Written.
    Written,
    /// A newer one is there, or the document is missing or another gateway's.
    Passed,
}

/// Longest name that the backend takes, in characters.
const NAME_CHARS: usize = 100;
/// Two unique keys at once: somebody inserted the document a moment ago.
const DUPLICATE: i32 = 11000;

/// Registers a device: makes its document or refreshes what the gateway owns in it.
///
/// # Errors
/// [`MongoError::Foreign`] when the document is another gateway's; else as any call.
pub async fn upsert_device(connection: &Connection, input: &DeviceInput<'_>) -> Result<(), MongoError> {
    let devices = connection.collection(DEVICES);
    let key = doc! { "userId": input.user_id, "deviceId": input.device_id };
    let there =
        within(devices.find_one(key.clone()).projection(doc! { "gatewayId": 1, "configured": 1 })).await?;
    if let Some(gateway) = there.as_ref().and_then(|found| found.get_str("gatewayId").ok())
        && gateway != input.gateway_id
    {
        return Err(MongoError::Foreign { device: input.device_id.to_owned(), gateway: gateway.to_owned() });
    }
    // The filter says it again, so that a document which changes hands meanwhile is not written.
    let mut filter = key;
    filter.insert("gatewayId", doc! { "$in": [input.gateway_id, null] });
    let configured = there.as_ref().and_then(|found| found.get_document("configured").ok());
    match deadline(devices.update_one(filter, registration(input, configured)).upsert(true)).await? {
        Err(e) if code(&e) == Some(DUPLICATE) => {
            Err(MongoError::Failed("the device appeared meanwhile".to_owned()))
        }
        done => Ok(done.map(|_| ())?),
    }
}

/// Writes the latest points, if they are newer than what is there.
///
/// # Errors
/// As any call.
pub async fn write_state(connection: &Connection, input: &StateInput<'_>) -> Result<StateWrite, MongoError> {
    let (filter, update) = state(input);
    let done = within(connection.collection(DEVICES).update_one(filter, update)).await?;
    Ok(if done.matched_count == 0 { StateWrite::Passed } else { StateWrite::Written })
}

/// `configured` are the file's values as they were delivered last: the backend's edits win until
/// one of them changes in the file.
fn registration(input: &DeviceInput<'_>, configured: Option<&Document>) -> Document {
    let info = input.info;
    let online = input.availability == Some(Availability::Online);
    let mut set = doc! {
        "protocol": info.protocol.as_str(),
        "deviceType": info.device_type.as_str(),
        "capabilities": info.capabilities.iter().map(|c| capability(c, info.control)).collect::<Vec<_>>(),
        "energyRole": info.role.as_str(),
        "specifications": specifications(info),
        "isOnline": online,
        "status": status(input).as_str(),
        "gatewayId": input.gateway_id,
        "adapter": input.adapter,
        "profile": &info.profile,
        "updatedAt": date(input.now),
    };
    let mut once = doc! {
        "settings": {
            "autoControl": false, "schedules": [], "alerts": [], "energyOptimization": false,
            "loadPriority": 5, "customProperties": {},
        },
        "energyProfile": { "averagePower": 0.0, "peakPower": 0.0, "dailyEnergy": 0.0, "efficiencyRating": 0.0 },
        "createdAt": date(input.now),
    };
    let name = name(info);
    let mut now_configured = Document::new();
    let file = [("name", Some(&name)), ("room", info.room.as_ref()), ("location", info.location.as_ref())];
    for (key, value) in file.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        let changed = configured.is_some_and(|before| before.get_str(key).ok() != Some(value));
        if changed {
            set.insert(key, value)
        } else {
            once.insert(key, value)
        };
        now_configured.insert(key, value);
    }
    set.insert("configured", now_configured);
    let mut update = doc! { "$set": set, "$setOnInsert": once };
    // A state may have been newer than what the registry remembers.
    put(&mut update, "$max", input.seen_at.map(|at| doc! { "lastSeenAt": date(at) }));
    update
}

/// A device that never answered and has a problem needs attention; one that did answer is offline.
fn status(input: &DeviceInput<'_>) -> DeviceStatus {
    match input.availability {
        Some(Availability::Online) => DeviceStatus::Online,
        Some(Availability::Offline) => DeviceStatus::Offline,
        None if input.problem => DeviceStatus::Error,
        None => DeviceStatus::Unknown,
    }
}

fn name(info: &DeviceInfo) -> String {
    let name: String = info.name.trim().chars().take(NAME_CHARS).collect();
    if name.is_empty() { info.id.to_string() } else { name }
}

fn capability(capability: &CapabilityInfo, control: bool) -> Document {
    let commands: Vec<&str> = capability.commands.iter().map(|command| &**command).collect();
    let read_only = commands.is_empty() || !control;
    let mut document = doc! {
        "type": capability.kind.as_str(), "properties": {}, "commands": commands, "readOnly": read_only,
    };
    let range = capability.range.map(|(min, max, step)| doc! { "min": min, "max": max, "step": step });
    put(&mut document, "range", range);
    document
}

/// A strict schema takes an empty text for a missing one, and both names are required.
fn specifications(info: &DeviceInfo) -> Document {
    let told = |text: &str| if text.trim().is_empty() { "unknown".to_owned() } else { text.to_owned() };
    let positive = |number: Option<f64>| number.filter(|n| n.is_finite() && *n >= 0.0);
    let mut document = doc! {
        "manufacturer": told(&info.manufacturer),
        "model": told(&info.model),
        "phases": i32::from(info.phases.clamp(1, 3)),
        "certifications": [],
    };
    put(&mut document, "firmwareVersion", info.firmware.as_deref());
    put(&mut document, "maxPower", positive(info.max_power));
    put(&mut document, "capacity", positive(info.capacity));
    document
}

fn state(input: &StateInput<'_>) -> (Document, Document) {
    let (generation, number) = (long(input.generation), long(input.number));
    let filter = doc! {
        "userId": input.user_id,
        "deviceId": input.device_id,
        "gatewayId": input.gateway_id,
        "$or": [
            { "stateSeq": null },
            { "stateSeq.generation": { "$lt": &generation } },
            { "stateSeq.generation": &generation, "stateSeq.number": { "$lt": &number } },
        ],
    };
    let update = doc! { "$set": {
        "currentState": points(input.points),
        "stateSeq": { "generation": generation, "number": number },
        "updatedAt": date(input.now),
    }, "$max": { "lastSeenAt": date(input.measured_at) } };
    (filter, update)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adapter_api::{Capability, DeviceId, DeviceType, EnergyRole, Protocol, UnitId};

    use super::*;

    fn info() -> DeviceInfo {
        DeviceInfo {
            id: DeviceId::new("roof").unwrap(),
            unit: UnitId::from("modbus.roof/1"),
            name: "Roof".to_owned(),
            device_type: DeviceType::SolarInverter,
            protocol: Protocol::Sunspec,
            role: EnergyRole::Producer,
            usage: None,
            profile: "sunspec".to_owned(),
            manufacturer: "Acme".to_owned(),
            model: String::new(),
            serial: None,
            firmware: Some("1.2".to_owned()),
            max_power: Some(8_000.0),
            capacity: Some(f64::NAN),
            phases: 0,
            room: Some("Attic".to_owned()),
            location: None,
            capabilities: vec![CapabilityInfo {
                kind: Capability::PowerControl,
                commands: vec!["set_power_limit".into()],
                range: Some((0.0, 8_000.0, 1.0)),
            }],
            commands: Vec::new(),
            control: true,
            interval: Duration::from_secs(5),
            bounds: adapter_api::Bounds::default(),
        }
    }

    fn input(info: &DeviceInfo) -> DeviceInput<'_> {
        DeviceInput {
            user_id: "u",
            device_id: "h-roof",
            gateway_id: "h",
            info,
            adapter: "modbus.roof",
            availability: Some(Availability::Online),
            problem: false,
            seen_at: Some(5),
            now: 6,
        }
    }

    #[test]
    fn a_registration_sets_what_is_ours_and_leaves_the_users_fields_alone() {
        let info = info();
        let update = registration(&input(&info), None);
        let set = update.get_document("$set").unwrap();
        let wanted = doc! {
            "protocol": "sunspec", "deviceType": "solar_inverter",
            "capabilities": [{
                "type": "power_control", "properties": {}, "commands": ["set_power_limit"], "readOnly": false,
                "range": { "min": 0.0, "max": 8_000.0, "step": 1.0 },
            }],
            "energyRole": "producer",
            "specifications": {
                "manufacturer": "Acme", "model": "unknown", "phases": 1, "certifications": [],
                "firmwareVersion": "1.2", "maxPower": 8_000.0,
            },
            "isOnline": true, "status": "online", "gatewayId": "h", "adapter": "modbus.roof",
            "profile": "sunspec", "updatedAt": date(6), "configured": { "name": "Roof", "room": "Attic" },
        };
        assert_eq!(set, &wanted);
        assert_eq!(update.get_document("$max").unwrap(), &doc! { "lastSeenAt": date(5) });
        let once = update.get_document("$setOnInsert").unwrap();
        let keys: Vec<_> = once.keys().collect();
        assert_eq!(keys, ["settings", "energyProfile", "createdAt", "name", "room"]);
    }

    #[test]
    fn the_backends_name_wins_until_the_files_changes() {
        let info = info();
        let written = |configured: Document| {
            let update = registration(&input(&info), Some(&configured));
            let set = update.get_document("$set").unwrap().clone();
            (set.contains_key("name"), set.contains_key("room"))
        };
        assert_eq!(written(doc! { "name": "Roof", "room": "Attic" }), (false, false));
        assert_eq!(written(doc! { "name": "Old name", "room": "Attic" }), (true, false));
        assert_eq!(
            written(doc! { "name": "Roof" }),
            (false, true),
            "a room that the file did not name before"
        );
    }

    #[test]
    fn the_status_follows_the_availability() {
        let info = info();
        let status_of =
            |availability, problem| status(&DeviceInput { availability, problem, ..input(&info) });
        assert_eq!(status_of(Some(Availability::Offline), true), DeviceStatus::Offline);
        assert_eq!(status_of(None, false), DeviceStatus::Unknown);
        assert_eq!(status_of(None, true), DeviceStatus::Error);
    }

    #[test]
    fn names_fit_the_contract() {
        let named = |text: &str| name(&DeviceInfo { name: text.to_owned(), ..info() });
        assert_eq!(named("  "), "roof");
        assert_eq!(named(&"é".repeat(300)).chars().count(), 100);
    }

    #[test]
    fn a_device_that_may_not_be_controlled_is_shown_read_only() {
        let shown = capability(&info().capabilities[0], false);
        assert!(shown.get_bool("readOnly").unwrap());
    }
}
