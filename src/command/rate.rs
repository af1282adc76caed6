//! How many commands one owner may send to one device. Pure; the caller brings the time.

use std::collections::{HashMap, VecDeque};

use adapter_api::DeviceId;

/// The limit counts within this time.
const WINDOW_MS: u64 = 60_000;
/// Owners that are remembered; owners are names that senders choose.
const OWNERS: usize = 10_000;

/// Accepted commands of the last minute.
pub(super) struct Rate {
    limit: usize,
    accepted: HashMap<(DeviceId, String), VecDeque<u64>>,
}

impl Rate {
    /// `limit` commands a minute for each device and owner; 0 is no limit.
    pub fn new(limit: u32) -> Self {
        Self { limit: limit as usize, accepted: HashMap::new() }
    }

    /// May one more be accepted now? If not: after how many ms.
    pub fn check(&self, device: &DeviceId, owner: &str, now: u64) -> Result<(), u64> {
        let Some(times) = self.accepted.get(&(device.clone(), owner.to_owned())) else { return Ok(()) };
        let recent = times.iter().filter(|at| **at + WINDOW_MS > now).count();
        if self.limit == 0 || recent < self.limit {
            return Ok(());
        }
        let frees = times.get(times.len() - self.limit).copied().unwrap_or(now);
        Err((frees + WINDOW_MS).saturating_sub(now).max(1))
    }

    /// One was accepted.
    pub fn count(&mut self, device: &DeviceId, owner: &str, now: u64) {
        if self.limit == 0 {
            return;
        }
        if self.accepted.len() >= OWNERS {
            self.accepted.retain(|_, times| times.back().is_some_and(|at| *at + WINDOW_MS > now));
        }
        let times = self.accepted.entry((device.clone(), owner.to_owned())).or_default();
        times.push_back(now);
        while times.len() > self.limit {
            times.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_each_device_and_owner_and_says_when_the_next_is_taken() {
        let roof = DeviceId::new("roof").unwrap();
        let mut rate = Rate::new(3);
        for at in [0, 1_000, 2_000] {
            assert_eq!(rate.check(&roof, "mqtt:a", at), Ok(()));
            rate.count(&roof, "mqtt:a", at);
        }
        assert_eq!(rate.check(&roof, "mqtt:a", 10_000), Err(50_000));
        assert_eq!(rate.check(&roof, "mqtt:b", 10_000), Ok(()), "another owner");
        assert_eq!(rate.check(&DeviceId::new("attic").unwrap(), "mqtt:a", 10_000), Ok(()), "another device");
        assert_eq!(rate.check(&roof, "mqtt:a", 60_000), Ok(()));
        rate.count(&roof, "mqtt:a", 60_000);
        assert_eq!(rate.check(&roof, "mqtt:a", 60_500), Err(500));
    }

    #[test]
    fn zero_is_no_limit() {
        let (roof, mut rate) = (DeviceId::new("roof").unwrap(), Rate::new(0));
        (0..1_000).for_each(|_| rate.count(&roof, "o", 0));
        assert_eq!(rate.check(&roof, "o", 0), Ok(()));
    }
}
