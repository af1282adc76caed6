//! Units that must be set up before they do what their profile says.

use std::collections::BTreeMap;

use adapter_api::profile::{Profile, install};

use super::*;

const PROFILE: &str = "manufacturer = 'M'
models = ['with two registers to set']
protocol = 'modbus'
device_type = 'energy_meter'
energy_role = 'monitor'
sources = []
setup = [{ register = 100, value = 1 }, { register = 101, value = 7 }]
[points]
activePower = { register = 0, type = 'i16' }
";

async fn unit_with_setup(control: bool) -> (Peer, ModbusDriver) {
    install(BTreeMap::from([("with-setup".to_owned(), Profile::parse("with-setup", PROFILE).unwrap())]));
    let peer = Peer::start().await;
    peer.holding(1, 0, &[500]);
    peer.holding(1, 100, &[0, 7]);
    let table = format!("[device.m]\nprofile = 'with-setup'\ncontrol = {control}\n");
    let driver = driver(&peer, &table, &Notes::default());
    (peer, driver)
}

fn written(peer: &Peer) -> Vec<(u16, Vec<u16>)> {
    let writes = peer.seen().into_iter().filter(|seen| seen.function != 3);
    writes.map(|seen| (seen.start, seen.words)).collect()
}

#[tokio::test]
async fn what_differs_is_set_when_the_unit_is_found_and_again_when_it_comes_back_without_it() {
    let (peer, mut driver) = unit_with_setup(true).await;
    driver.probe(&unit()).await.unwrap();
    assert_eq!(written(&peer), [(100, vec![1])], "the other one is so already");
    driver.probe(&unit()).await.unwrap();
    assert_eq!(written(&peer), []);
    peer.holding(1, 100, &[0, 0]);
    driver.probe(&unit()).await.unwrap();
    assert_eq!(written(&peer), [(100, vec![1]), (101, vec![7])]);
}

#[tokio::test]
async fn a_unit_that_may_not_be_controlled_is_not_set_up() {
    let (peer, mut driver) = unit_with_setup(false).await;
    driver.probe(&unit()).await.unwrap();
    assert_eq!(written(&peer), []);
    assert_eq!((peer.word(1, 100), peer.word(1, 101)), (0, 7));
}
