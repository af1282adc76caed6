use adapter_api::profile::Class;
use tokio::time::Instant;

use super::super::{extents, poll::Poll};
use crate::{
    plan::{Barred, plan},
    units::{UnitConfig, resolve},
};
use adapter_api::Wanted;
use std::time::Duration;

fn unit_of(name: &str) -> UnitConfig {
    let settings = format!("address = 'tcp://x'\n[device.m]\nprofile = '{name}'");
    resolve("home", &toml::from_str(&settings).unwrap()).remove(0)
}

#[test]
fn every_profile_with_points_is_planned_within_its_limits() {
    for (name, profile) in adapter_api::profile::builtin() {
        let unit = unit_of(name);
        let wanted = extents(&unit, |_| true);
        let requests = plan(&wanted, unit.rules(&unit.barred));
        let read: usize = requests.iter().map(|request| request.members.len()).sum();
        assert_eq!(read, wanted.len());
        assert!(requests.iter().all(|request| request.count <= profile.limits.block), "{name}");
    }
}

#[test]
fn the_sdm630_is_one_request() {
    let unit = unit_of("eastron-sdm630");
    assert_eq!(plan(&extents(&unit, |_| true), unit.rules(&Barred::default())).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_class_is_read_in_its_own_rhythm() {
    let unit = unit_of("eastron-sdm630");
    let mut poll = Poll::new(&unit);
    let (fast, interval) = (Duration::from_secs(1), Duration::from_secs(5));
    let mut read = [0; 4];
    for turn in 0..=120 {
        // A loop is never on time to the millisecond.
        let late = Duration::from_millis(turn * 7 % 300);
        let now = Instant::now() + late;
        let classes = poll.classes(Wanted::Due, now, fast);
        for class in &classes {
            read[*class as usize] += 1;
        }
        poll.served(&classes, Instant::now(), interval);
        tokio::time::advance(fast).await;
    }
    assert_eq!(read, [121, 25, 3, 1]);
    assert_eq!(poll.classes(Wanted::All, Instant::now(), fast), Class::ALL, "for somebody who asked");
}
