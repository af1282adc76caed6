//! A storage inverter of the 700 series as registers: model 103 for its values, 702 to 704 and 713 for the
//! rest, and no 123 nor 124. 5000 W, charging with up to 4000 W, discharging with up to 4500 W.

use super::hybrid::{common, int, inverter, map, model, mppt};

pub(crate) fn capacity() -> Vec<u16> {
    let mut words = model(702, 50, &[]);
    words[2..].fill(0xFFFF);
    words[26] = 5000;
    words[34..36].copy_from_slice(&[4000, 4500]);
    words[45] = 0;
    words
}

/// Permit to enter service and its windows: grid code, which is nobody's to write.
fn service() -> Vec<u16> {
    model(703, 17, &[(2, &[1])])
}

/// Neither limit nor set point; what both revert to, and timers, are there. Percents in 0.01, W in whole ones.
pub(crate) fn control() -> Vec<u16> {
    let mut words = model(704, 65, &[(54, &[int(-2), 0, int(-2)])]);
    words[14..35].fill(0);
    words[15..17].fill(10_000);
    words
}

fn storage() -> Vec<u16> {
    model(713, 7, &[(2, &[100, 50, 5000, 9900, 0, 2, int(-2)])])
}

/// The models of a unit of this maker, with the given 704.
pub(crate) fn models(maker: &str, control: Vec<u16>) -> Vec<Vec<u16>> {
    vec![
        common(maker, "Storage 5", "SN-7", 66),
        inverter(),
        capacity(),
        service(),
        control,
        storage(),
        mppt(&[("StCha 1", 600, 900_000), ("StDisCha 2", 0, 800_000)]),
    ]
}

/// The whole map.
pub(crate) fn home_map(maker: &str, control: Vec<u16>) -> Vec<u16> {
    map(&models(maker, control), &[0xFFFF, 0])
}

/// Where 704 begins when the map lies at 40000.
pub(crate) const DER: u16 = 40_193;
