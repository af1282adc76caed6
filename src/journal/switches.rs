//! Whether a reading tells of something that was switched. Such a change is committed at once:
//! after a power cut nobody may wonder what the relay did.

use std::collections::HashMap;

use adapter_api::{DeviceId, PointId, Reading, Value};

/// The last known position of every switch.
#[derive(Debug, Default)]
pub(super) struct Switches(HashMap<DeviceId, Vec<(PointId, bool)>>);

impl Switches {
    /// Takes a reading in; true when a switch is not as it was. The first sight of one is no change.
    pub fn turned(&mut self, reading: &Reading) -> bool {
        let mut turned = false;
        for (point, value) in &reading.points {
            let Value::Bool(on) = value else { continue };
            if !self.0.contains_key(&reading.device) {
                self.0.insert(reading.device.clone(), Vec::new());
            }
            let Some(known) = self.0.get_mut(&reading.device) else { continue };
            match known.iter_mut().find(|(name, _)| name == point) {
                Some((_, was)) => turned |= std::mem::replace(was, *on) != *on,
                None => known.push((point.clone(), *on)),
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::{MeasurementSource, Moment, Quality};

    use super::*;

    #[test]
    fn a_switch_that_turns_is_noticed_and_one_that_stays_is_not() {
        let mut switches = Switches::default();
        let mut turned = |device: &str, value: Value| {
            switches.turned(&Reading {
                device: DeviceId::new(device).unwrap(),
                points: vec![("activePower".into(), Value::Number(1.0)), ("switch".into(), value)],
                quality: Quality::Good,
                source: MeasurementSource::Device,
                measured_at: Moment { wall_ms: 0, mono_ms: 0 },
            })
        };
        assert!(!turned("kettle", true.into()), "first sight");
        assert!(!turned("kettle", true.into()));
        assert!(!turned("lamp", false.into()), "another device");
        assert!(turned("kettle", false.into()));
        assert!(!turned("kettle", "off".into()), "a word is no switch");
    }
}
