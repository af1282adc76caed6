//! The server itself: functions, units, records.

use super::wire::{Wire, until, words, write_many};
use crate::{Port, RegisterMap, Server, Units, UnknownUnit};

async fn start(units: Units) -> (Server, Port) {
    let server = Server::start("127.0.0.1:0".parse().unwrap(), units).await.unwrap();
    let port = server.port().clone();
    (server, port)
}

fn map() -> RegisterMap {
    RegisterMap::new().writable(10, &[1, 2, 3]).holding(13, &[4]).input(0, &[7, 8])
}

#[tokio::test]
async fn a_bare_map_serves_its_four_functions() {
    let (server, _) = start(Units::one(1, map())).await;
    let mut wire = Wire::to(server.addr()).await;
    assert_eq!(wire.read(3, 10, 4).await, Ok(vec![1, 2, 3, 4]));
    assert_eq!(wire.read(4, 0, 2).await, Ok(vec![7, 8]));
    assert_eq!(wire.read(4, 1, 2).await, Err(2));
    assert_eq!(wire.write(10, &[9]).await, Ok(()));
    assert_eq!(wire.write(11, &[5, 6]).await, Ok(()));
    assert_eq!(wire.write(12, &[5, 6]).await, Err(2));
    assert_eq!(wire.read(3, 10, 4).await, Ok(vec![9, 5, 6, 4]));
    assert_eq!(wire.ask(1, &[43, 14, 1, 0]).await.unwrap().pdu, [43 | 0x80, 1]);
    assert_eq!(wire.ask(1, &words(3, &[10, 126])).await.unwrap().pdu, [0x83, 3]);
    server.stop().await;
}

#[tokio::test]
async fn units_behind_one_port_are_apart_and_unknown_ones_get_what_is_set() {
    let two = Units::one(1, map()).and(7, RegisterMap::new().holding(10, &[70]));
    let (server, _) = start(two).await;
    let mut wire = Wire::to(server.addr()).await;
    assert_eq!(wire.ask(7, &words(3, &[10, 1])).await.unwrap().pdu, [3, 2, 0, 70]);
    assert_eq!(wire.ask(9, &words(3, &[10, 1])).await.unwrap().pdu, [0x83, 11]);

    let (server, _) = start(Units::one(1, map()).unknown(UnknownUnit::Silence)).await;
    let mut wire = Wire::to(server.addr()).await;
    wire.send(9, &words(3, &[10, 1])).await;
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
}

#[tokio::test]
async fn writes_and_served_values_are_recorded() {
    let (server, port) = start(Units::one(1, map())).await;
    port.watch(1, 11, 2);
    let mut wire = Wire::to(server.addr()).await;
    wire.read(3, 10, 3).await.unwrap();
    wire.write(11, &[20]).await.unwrap();
    wire.ask(1, &write_many(11, &[21, 22])).await.unwrap();
    wire.read(3, 11, 2).await.unwrap();
    wire.read(3, 12, 1).await.unwrap();
    wire.write(13, &[1]).await.unwrap_err();
    let writes: Vec<_> = port.writes().into_iter().map(|w| (w.function, w.address, w.accepted)).collect();
    assert_eq!(writes, [(6, 11, true), (16, 11, true), (6, 13, false)]);
    assert_eq!(port.writes()[1].values, [21, 22]);
    assert!(port.writes()[0].at_ms > 1_700_000_000_000);
    assert_eq!([10, 11, 12, 13].map(|register| port.served(1, register)), [1, 2, 3, 0]);
    let values: Vec<_> = port.served_values(1, 11).into_iter().map(|served| served.registers).collect();
    assert_eq!(values, [[2, 3], [21, 22]]);
    port.pin(1, 12, &[0x8000]);
    assert_eq!(wire.read(3, 11, 2).await, Ok(vec![21, 0x8000]));
    port.unpin_all();
    assert_eq!(wire.read(3, 11, 2).await, Ok(vec![21, 22]));
}

#[tokio::test]
async fn what_arrives_for_a_unit_is_counted_with_its_instant() {
    let (server, port) = start(Units::one(1, map()).unknown(UnknownUnit::Silence)).await;
    let mut wire = Wire::to(server.addr()).await;
    let before = std::time::Instant::now();
    wire.send(9, &words(3, &[10, 1])).await;
    wire.read(3, 10, 4).await.unwrap();
    wire.read(3, 90, 1).await.unwrap_err();
    let arrivals = port.arrivals(1);
    assert!(arrivals.len() == 2 && before <= arrivals[0] && arrivals[0] <= arrivals[1]);
    let (served, dead) = (port.traffic(1), port.traffic(9));
    assert_eq!((served.requests, served.received), (2, 24));
    assert_eq!((served.answers, served.sent), (2, 9 + 8 + 9));
    assert_eq!((dead.requests, dead.answers, port.arrivals(9).len()), (1, 0, 1));
}

#[tokio::test]
async fn what_is_no_modbus_closes_the_connection_and_nobody_elses() {
    let (server, port) = start(Units::one(1, map())).await;
    let mut wire = Wire::to(server.addr()).await;
    let mut bad = Wire::to(server.addr()).await;
    until("two connections", || port.open_connections() == 2).await;
    bad.send(1, &[0; 254]).await;
    assert!(bad.bytes(1).await.is_err());
    until("one connection", || port.open_connections() == 1).await;
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
    assert_eq!(port.connections(), 2);
    port.disconnect();
    assert!(wire.bytes(1).await.is_err());
    let mut again = Wire::to(server.addr()).await;
    assert_eq!(again.read(3, 10, 1).await, Ok(vec![1]));
    server.stop().await;
    assert!(again.bytes(1).await.is_err());
}
