//! What a state says. Pure.

use std::collections::BTreeMap;

use adapter_api::DeviceId;
use serde_json::{Map, Value as Json};

use crate::{
    command::{Holder, LeaseView, wire},
    journal::Stored,
};

/// A device's state; `lease` is who holds it.
pub(super) fn state(stored: &Stored, lease: Option<&Json>) -> Json {
    let reading = &stored.reading;
    let mut object: Map<String, Json> =
        reading.points.iter().map(|(point, value)| (point.to_string(), wire::json(value))).collect();
    object.insert("timestamp".to_owned(), wire::time_text(reading.measured_at.wall_ms).into());
    object.insert("quality".to_owned(), reading.quality.as_str().into());
    if let Some(lease) = lease {
        object.insert("lease".to_owned(), lease.clone());
    }
    Json::Object(object)
}

/// Who holds which device. Of several setpoints of one device the most urgent holder is shown, of
/// equal ones the newest: the state has one `lease`.
pub(super) fn leases(views: &[LeaseView]) -> BTreeMap<DeviceId, Json> {
    let mut shown: BTreeMap<&DeviceId, &Holder> = BTreeMap::new();
    let rank = |holder: &Holder| (holder.priority, holder.since);
    for (device, holder) in views.iter().filter_map(|view| Some((&view.device, view.holder.as_ref()?))) {
        let known = shown.entry(device).or_insert(holder);
        if rank(holder) > rank(known) {
            *known = holder;
        }
    }
    shown.into_iter().map(|(device, holder)| (device.clone(), wire::lease_state(holder))).collect()
}

#[cfg(test)]
mod tests {
    use adapter_api::{CommandSource, MeasurementSource, Moment, Parameters, Priority, Quality, Reading};
    use serde_json::json;

    use super::*;
    use crate::journal::{Energy, EnergyBasis, Flow, Step};

    fn view(device: &str, holder: Option<(&str, Priority, i64)>) -> LeaseView {
        let step = || Step { command: "set_battery_mode".into(), parameters: Parameters::default() };
        LeaseView {
            device: DeviceId::new(device).unwrap(),
            group: "battery".into(),
            holder: holder.map(|(owner, priority, since)| Holder {
                owner: owner.into(),
                source: CommandSource::Automation,
                priority,
                id: "i".into(),
                step: step(),
                since,
                until: since + 60_000,
                revert: step(),
                reverting: None,
                dropped: 0,
            }),
            writers: vec![],
            refusals: vec![],
        }
    }

    #[test]
    fn the_state_carries_the_most_urgent_holder_and_of_equal_ones_the_newest() {
        let views = [
            view("free", None),
            view("one", Some(("a", Priority::Low, 5))),
            view("many", Some(("b", Priority::Normal, 1))),
            view("many", Some(("c", Priority::High, 2))),
            view("many", Some(("d", Priority::High, 3))),
            view("many", None),
            view("many", Some(("e", Priority::Normal, 9))),
        ];
        let shown = leases(&views);
        let owners: Vec<_> =
            shown.iter().map(|(device, lease)| (device.as_str(), lease["owner"].as_str().unwrap())).collect();
        assert_eq!(owners, [("many", "d"), ("one", "a")]);
    }

    #[test]
    fn a_state_without_a_holder_has_no_lease() {
        let energy =
            Energy { basis: EnergyBasis::None, consumed: Flow::default(), produced: Flow::default() };
        let reading = Reading {
            device: DeviceId::new("roof").unwrap(),
            points: vec![("activePower".into(), 5.0.into())],
            quality: Quality::Good,
            source: MeasurementSource::Device,
            measured_at: Moment { wall_ms: 1_000, mono_ms: 1 },
        };
        let stored = Stored { number: 1, reading, energy };
        let free = json!({"activePower": 5, "timestamp": "1970-01-01T00:00:01.000Z", "quality": "good"});
        assert_eq!(state(&stored, None), free);
        assert_eq!(state(&stored, Some(&json!({"owner": "a"})))["lease"]["owner"], "a");
    }
}
