//! Every fault does what it says, and only where it is aimed at.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::wire::{Wire, until, words};
use crate::{Fault, Port, RegisterMap, Scope, Server, Table, Units};

async fn start() -> (Server, Port, Wire) {
    let map = RegisterMap::new().writable(10, &[1, 2, 3]);
    let server = Server::start("127.0.0.1:0".parse().unwrap(), Units::one(1, map)).await.unwrap();
    let wire = Wire::to(server.addr()).await;
    let port = server.port().clone();
    (server, port, wire)
}

fn held(port: &Port) -> Vec<u16> {
    port.peek(1, Table::Holding, 10, 3).unwrap()
}

#[tokio::test]
async fn answers_can_lie_in_every_field() {
    let (_server, port, mut wire) = start().await;
    let read = words(3, &[10, 2]);
    port.fault(Fault::OtherTransaction, Scope::next(1));
    assert_eq!(wire.ask(1, &read).await.unwrap().transaction, wire.last() + 1);
    port.fault(Fault::OtherUnit, Scope::next(1));
    assert_eq!(wire.ask(1, &read).await.unwrap().unit, 2);
    port.fault(Fault::Protocol(9), Scope::next(1));
    assert_eq!(wire.ask(1, &read).await.unwrap().protocol, 9);
    for (fault, pdu) in [
        (Fault::OtherFunction, &[4, 4, 0, 1, 0, 2][..]),
        (Fault::FewerRegisters, &[3, 2, 0, 1]),
        (Fault::MoreRegisters(1), &[3, 6, 0, 1, 0, 2, 0, 0]),
        (Fault::MissingBytes, &[3, 4, 0, 1]),
        (Fault::LyingCount, &[3, 2, 0, 1, 0, 2]),
        (Fault::Exception(6), &[0x83, 6]),
    ] {
        port.fault(fault, Scope::READS.times(1));
        assert_eq!(wire.ask(1, &read).await.unwrap().pdu, pdu, "{fault:?}");
    }
    assert_eq!(port.served(1, 10), 0);
    assert_eq!(wire.read(3, 10, 2).await, Ok(vec![1, 2]));
    assert_eq!(port.served(1, 10), 1);
}

#[tokio::test]
async fn a_write_can_be_echoed_wrong_or_not_be_done() {
    let (_server, port, mut wire) = start().await;
    let write = words(6, &[10, 8]);
    port.fault(Fault::EchoOtherValue, Scope::next(1));
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
    assert_ne!(wire.ask(1, &write).await.unwrap().pdu[3..], write[3..]);
    port.fault(Fault::EchoOtherAddress, Scope::next(1));
    assert_ne!(wire.ask(1, &write).await.unwrap().pdu[..3], write[..3]);
    assert_eq!(held(&port), [8, 2, 3]);
    port.fault(Fault::EchoOnly, Scope::WRITES);
    assert_eq!(wire.write(11, &[9, 9]).await, Ok(()));
    port.clear_faults();
    port.fault(Fault::Exception(6), Scope::WRITES.times(1));
    assert_eq!(wire.write(11, &[9]).await, Err(6));
    assert_eq!(held(&port), [8, 2, 3]);
    let accepted: Vec<_> = port.writes().iter().map(|write| write.accepted).collect();
    assert_eq!(accepted, [true, true, false, false]);
}

#[tokio::test]
async fn silence_swallows_the_answer_with_or_without_the_deed() {
    let (_server, port, mut wire) = start().await;
    port.fault(Fault::Silence { executed: true }, Scope::WRITES.times(1));
    wire.send(1, &words(6, &[10, 8])).await;
    port.fault(Fault::Silence { executed: false }, Scope::WRITES.times(1).covering(11));
    wire.send(1, &words(6, &[11, 9])).await;
    assert_eq!(wire.read(3, 10, 3).await, Ok(vec![8, 2, 3]));
    assert_eq!(port.writes().len(), 2);
}

#[tokio::test]
async fn a_late_answer_is_late_and_right() {
    let (_server, port, mut wire) = start().await;
    let late = Duration::from_millis(60);
    port.fault(Fault::Delay(late), Scope::next(1));
    let asked = Instant::now();
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
    assert!(asked.elapsed() >= late);
}

#[tokio::test]
async fn garbage_torn_frames_and_closed_connections() {
    let (server, port, mut wire) = start().await;
    let read = words(3, &[10, 2]);
    port.fault(Fault::Garbage, Scope::next(1));
    wire.send(1, &read).await;
    assert_eq!(wire.bytes(12).await.unwrap(), [0xA5; 12]);
    port.fault(Fault::Torn, Scope::next(1));
    wire.send(1, &read).await;
    assert_eq!(wire.bytes(6).await.unwrap()[2..], [0, 0, 0, 7]);
    assert!(wire.bytes(1).await.is_err());
    for (executed, after) in [(true, 8), (false, 8)] {
        let mut wire = Wire::to(server.addr()).await;
        port.fault(Fault::Close { executed }, Scope::next(1));
        wire.send(1, &words(6, &[10, if executed { 8 } else { 9 }])).await;
        assert!(wire.bytes(1).await.is_err());
        assert_eq!(held(&port)[0], after);
    }
}

#[tokio::test]
async fn a_half_open_connection_stays_and_says_nothing_more() {
    let (server, port, mut wire) = start().await;
    port.fault(Fault::HalfOpen, Scope::next(1));
    wire.send(1, &words(6, &[10, 8])).await;
    wire.send(1, &words(3, &[10, 1])).await;
    let mut other = Wire::to(server.addr()).await;
    assert_eq!(other.read(3, 10, 1).await, Ok(vec![1]));
    assert_eq!(port.open_connections(), 2);
    assert!(tokio::time::timeout(Duration::from_millis(30), wire.bytes(1)).await.is_err());
    drop(wire);
    until("the half-open one is gone", || port.open_connections() == 1).await;
}

#[tokio::test]
async fn a_reset_is_seen_as_one() {
    let (server, port, mut wire) = start().await;
    port.fault(Fault::Reset, Scope::next(1));
    wire.send(1, &words(6, &[10, 8])).await;
    assert_eq!(wire.bytes(1).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(held(&port)[0], 8);
    assert_eq!(Wire::to(server.addr()).await.read(3, 10, 1).await, Ok(vec![8]));
}

#[tokio::test]
async fn a_fault_can_hit_each_nth_request_only() {
    let (_server, port, mut wire) = start().await;
    port.fault(Fault::Exception(6), Scope::READS.every(3).times(2));
    port.fault(Fault::Exception(4), Scope::READS.every(2).covering(12));
    let mut seen = Vec::new();
    for place in 0..10 {
        seen.push(wire.read(3, if place < 7 { 10 } else { 12 }, 1).await.err().unwrap_or(0));
    }
    assert_eq!(seen, [0, 0, 6, 0, 0, 6, 0, 0, 4, 0]);
}

#[tokio::test]
async fn noise_comes_before_the_right_answer_and_a_tail_after_it() {
    let (_server, port, mut wire) = start().await;
    let noise = [0xFE, 0x00, 0xBF];
    port.fault(Fault::Noise, Scope::next(1));
    wire.send(1, &words(3, &[10, 1])).await;
    assert_eq!(wire.bytes(3).await.unwrap(), noise);
    assert_eq!(wire.frame().await.unwrap().pdu, [3, 2, 0, 1]);
    port.fault(Fault::Tail, Scope::next(1));
    assert_eq!(wire.ask(1, &words(3, &[10, 1])).await.unwrap().pdu, [3, 2, 0, 1]);
    assert_eq!(wire.bytes(3).await.unwrap(), noise);
}

#[tokio::test]
async fn connections_are_refused_until_the_dial_is_cleared() {
    let (server, port, mut wire) = start().await;
    wire.read(3, 10, 1).await.unwrap();
    port.fault(Fault::RefuseConnections, Scope::ALL);
    let deadline = Instant::now() + Duration::from_secs(5);
    while TcpStream::connect(server.addr()).await.is_ok() {
        assert!(Instant::now() < deadline);
    }
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
    port.clear_faults();
    while TcpStream::connect(server.addr()).await.is_err() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn one_client_means_that_a_second_one_is_closed_at_once() {
    let (server, port, mut wire) = start().await;
    wire.read(3, 10, 1).await.unwrap();
    port.fault(Fault::OneClient, Scope::ALL);
    let mut second = Wire::to(server.addr()).await;
    assert!(second.bytes(1).await.is_err());
    assert_eq!(wire.read(3, 10, 1).await, Ok(vec![1]));
    drop(wire);
    until("the first one is gone", || port.open_connections() == 0).await;
    let mut third = Wire::to(server.addr()).await;
    assert_eq!(third.read(3, 10, 1).await, Ok(vec![1]));
}

#[tokio::test]
async fn old_values_stay_to_be_seen_for_a_while_after_a_write() {
    let (_server, port, mut wire) = start().await;
    port.fault(Fault::Stale(Duration::from_millis(150)), Scope::next(1));
    wire.write(10, &[8]).await.unwrap();
    assert_eq!(held(&port), [8, 2, 3]);
    assert_eq!(wire.read(3, 10, 2).await, Ok(vec![1, 2]));
    let deadline = Instant::now() + Duration::from_secs(5);
    while wire.read(3, 10, 2).await != Ok(vec![8, 2]) {
        assert!(Instant::now() < deadline);
    }
}

#[tokio::test]
async fn values_that_a_device_clamps_are_told_as_taken_and_stored_smaller() {
    let (_server, port, mut wire) = start().await;
    port.fault(Fault::Clamp { register: 11, most: 100 }, Scope::WRITES);
    wire.write(10, &[500, 500, 500]).await.unwrap();
    assert_eq!(held(&port), [500, 100, 500]);
    wire.write(11, &[-500_i16 as u16]).await.unwrap();
    assert_eq!(held(&port)[1] as i16, -100);
    wire.write(11, &[99]).await.unwrap();
    assert_eq!(held(&port)[1], 99);
    assert_eq!(port.writes()[0].values, [500, 500, 500], "the record has what was asked");
    port.clear_faults();
    wire.write(11, &[500]).await.unwrap();
    assert_eq!(held(&port)[1], 500);
}

#[tokio::test]
async fn a_device_that_is_late_is_late_after_every_write() {
    let (_server, port, mut wire) = start().await;
    port.fault(Fault::Stale(Duration::from_millis(100)), Scope::WRITES);
    for (old, new) in [(1, 8), (8, 9)] {
        wire.write(10, &[new]).await.unwrap();
        assert_eq!(wire.read(3, 10, 1).await, Ok(vec![old]));
        let deadline = Instant::now() + Duration::from_secs(5);
        while wire.read(3, 10, 1).await != Ok(vec![new]) {
            assert!(Instant::now() < deadline);
        }
    }
}

#[tokio::test]
async fn each_write_has_its_instant_so_that_latency_can_be_measured() {
    let (_server, port, mut wire) = start().await;
    let before = Instant::now();
    wire.write(10, &[8]).await.unwrap();
    let between = Instant::now();
    port.fault(Fault::Exception(6), Scope::WRITES.times(1));
    wire.write(10, &[9]).await.unwrap_err();
    let [first, second] = &port.writes()[..] else { panic!("two writes") };
    assert!(before <= first.at && first.at <= between && between <= second.at && second.at <= Instant::now());
    assert_eq!(port.accepted_writes(), std::slice::from_ref(first));
}
