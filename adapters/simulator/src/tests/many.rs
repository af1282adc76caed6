//! Many devices at once, counted exactly.

use tokio::task::JoinSet;

use super::wire::{Wire, words};
use crate::{Many, Traffic};

#[tokio::test]
async fn every_port_is_a_device_and_every_byte_is_counted() {
    let many = Many::start(3).await.unwrap();
    assert_eq!(many.addrs().len(), 3);
    let mut wire = Wire::to(many.addrs()[1]).await;
    let registers = wire.read(4, 10, 80).await.unwrap();
    let float = |at: usize| f32::from_bits(u32::from(registers[at]) << 16 | u32::from(registers[at + 1]));
    assert!((0..80).step_by(2).all(|at| (50.0..51.0).contains(&float(at))));
    assert_ne!(wire.read(3, 10, 80).await.unwrap(), registers, "values change");
    assert_eq!(wire.write(10, &[1]).await, Err(1));
    assert_eq!(wire.read(4, 0, 126).await, Err(3));
    assert_eq!(wire.read(4, 65_535, 2).await, Err(2));
    let one = Traffic { requests: 5, received: 60, answers: 5, sent: 2 * 169 + 3 * 9 };
    assert_eq!((many.traffic_of(1), many.traffic()), (one, one));
    assert_eq!((many.registers(), many.connections()), (160, 1));
    assert_eq!((many.traffic_of(0), many.traffic_of(9)), (Traffic::default(), Traffic::default()));
    many.stop().await;
    assert!(wire.bytes(1).await.is_err());
}

#[tokio::test]
async fn units_behind_one_port_are_counted_apart() {
    let many = Many::start_units(3).await.unwrap();
    let mut wire = Wire::to(many.addrs()[0]).await;
    let read = words(4, &[0, 2]);
    for (unit, refused) in [(1, false), (3, false), (4, true), (0, true)] {
        let frame = wire.ask(unit, &read).await.unwrap();
        assert_eq!((frame.unit, frame.pdu[0] & 0x80 != 0), (unit, refused));
    }
    assert_eq!([0, 1, 2].map(|device| many.traffic_of(device).requests), [1, 0, 1]);
    // Requests that come together and cut anywhere are answered one by one.
    for unit in [1, 2, 3] {
        wire.send(unit, &read).await;
    }
    for unit in [1, 2, 3] {
        assert_eq!(wire.frame().await.unwrap().unit, unit);
    }
    assert_eq!(many.traffic().requests, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_devices_are_served_at_once() {
    const DEVICES: u16 = 1_000;
    let many = Many::start(DEVICES).await.unwrap();
    let mut clients = JoinSet::new();
    for &addr in many.addrs() {
        clients.spawn(async move {
            let mut wire = Wire::to(addr).await;
            for _ in 0..5 {
                wire.read(4, 0, 80).await.unwrap();
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    assert_eq!((many.traffic().requests, many.registers()), (5_000, 5_000 * 80));
    assert_eq!(many.connections(), 1_000);
    many.stop().await;
}
