//! A serial line: its time, its silence, its collisions, its cable. Tests that compare times give the
//! machine room on the side on which it can be late.

use std::time::{Duration, Instant};

use super::{
    serial::{SILENCE, at, open, reading, sealed},
    wire::{until, words, write_many},
};
use crate::{Fault, Line, LineSettings, RegisterMap, Scope, Table, Units};

fn map(value: u16) -> RegisterMap {
    let many: Vec<u16> = (value..).take(100).collect();
    RegisterMap::new().input(0, &many).writable(10, &[1, 2, 3])
}

fn start(latency: Duration) -> Line {
    start_at(9_600, latency)
}

fn start_at(baud: u32, latency: Duration) -> Line {
    let units = Units::one(1, map(100)).and(2, map(200));
    Line::start(LineSettings { baud, latency, units, ..LineSettings::default() }).unwrap()
}

const QUICK: Duration = Duration::from_millis(5);

#[tokio::test]
async fn units_of_one_line_answer_each_by_its_own_id() {
    let line = start(QUICK);
    let mut client = open(line.path());
    assert_eq!(client.read(1, 4, 0, 2).await, [100, 101]);
    assert_eq!(client.read(2, 4, 5, 1).await, [205]);
    let write = sealed(&[&[2][..], &write_many(10, &[7, 8])].concat());
    client.send(&write).await;
    assert_eq!(client.bytes(8).await, sealed(&write[..6]));
    assert_eq!(line.port().peek(2, Table::Holding, 10, 3), Ok(vec![7, 8, 3]));
    assert_eq!(line.port().peek(1, Table::Holding, 10, 3), Ok(vec![1, 2, 3]));
    let (one, two) = (line.port().traffic(1), line.port().traffic(2));
    assert_eq!((one.requests, one.received, one.answers, one.sent), (1, 8, 1, 9));
    assert_eq!((two.requests, two.received, two.answers, two.sent), (2, 8 + 13, 2, 7 + 8));
    assert_eq!((line.port().served(1, 0), line.port().arrivals(2).len()), (1, 2));
    assert_eq!((line.collisions(), line.rushed()), (0, 0));
    line.stop().await;
}

#[tokio::test]
async fn an_exchange_takes_the_time_of_its_bytes() {
    let latency = Duration::from_millis(30);
    let line = start_at(2_400, latency);
    let speed = line.speed();
    let mut client = open(line.path());
    let begun = Instant::now();
    client.send(&reading(1, 4, 0, 60)).await;
    let first = client.piece().await;
    let asked = speed.time_of(8) + speed.silence() + latency;
    assert!(begun.elapsed() >= asked + speed.time_of(first), "{first} bytes after {:?}", begun.elapsed());
    assert!(first < 125, "the answer comes in pieces");
    client.bytes(125 - first).await;
    assert!(begun.elapsed() >= asked + speed.time_of(125));
    let arrived = line.port().arrivals(1)[0];
    assert!(arrived >= begun + speed.time_of(8) && arrived <= Instant::now() - latency);
}

#[tokio::test]
async fn nobody_answers_for_a_dead_unit_a_wrong_sum_or_a_torn_request() {
    let line = start(QUICK);
    let mut client = open(line.path());
    client.send(&reading(9, 4, 0, 2)).await;
    client.silent(SILENCE).await;
    let mut wrong = reading(1, 4, 0, 2);
    wrong[7] ^= 1;
    client.send(&wrong).await;
    client.silent(SILENCE).await;
    let whole = reading(1, 4, 0, 2);
    client.send(&whole[..5]).await;
    client.silent(SILENCE).await;
    client.send(&whole[5..]).await;
    client.silent(SILENCE).await;
    assert_eq!((line.port().arrivals(1).len(), line.port().arrivals(9).len()), (0, 1));
    assert_eq!(client.read(1, 4, 0, 1).await, [100]);
}

#[tokio::test]
async fn what_is_meant_for_all_is_done_by_all_and_answered_by_none() {
    let line = start(QUICK);
    let mut client = open(line.path());
    client.send(&sealed(&[&[0][..], &words(6, &[11, 9])].concat())).await;
    client.silent(SILENCE).await;
    for unit in [1, 2] {
        assert_eq!(line.port().peek(unit, Table::Holding, 11, 1), Ok(vec![9]));
    }
    assert_eq!(line.port().accepted_writes().len(), 2);
    client.send(&reading(0, 4, 0, 2)).await;
    client.silent(SILENCE).await;
}

#[tokio::test]
async fn who_speaks_into_an_answer_is_not_heard_and_spoils_it() {
    // Half a second for the answer, so that even a busy machine speaks into it.
    let line = start_at(2_400, QUICK);
    let mut client = open(line.path());
    client.send(&reading(1, 4, 0, 60)).await;
    let first = client.piece().await;
    client.send(&reading(2, 4, 0, 1)).await;
    let rest = client.bytes(125 - first).await;
    let right: Vec<u8> = (100_u16..160).flat_map(u16::to_be_bytes).collect();
    assert!(!right.ends_with(&rest[..rest.len() - 2]));
    client.silent(SILENCE).await;
    assert_eq!((line.collisions(), line.port().arrivals(2).len()), (1, 0));
    assert_eq!(client.read(2, 4, 0, 1).await, [200]);
}

#[tokio::test]
async fn a_late_answer_comes_later_on_the_same_line() {
    let line = start(QUICK);
    let mut client = open(line.path());
    let late = Duration::from_millis(500);
    line.port().fault(Fault::Delay(late), Scope::ALL.unit(1).times(1));
    let begun = Instant::now();
    client.send(&reading(1, 4, 0, 1)).await;
    // Meanwhile the other one is served.
    at(begun + Duration::from_millis(50)).await;
    assert_eq!(client.read(2, 4, 0, 1).await, [200]);
    assert_eq!(client.bytes(7).await, sealed(&[1, 4, 2, 0, 100]));
    assert!(begun.elapsed() >= late);
    assert_eq!(line.collisions(), 0);
}

#[tokio::test]
async fn a_client_may_go_and_come_again() {
    let line = start(QUICK);
    for _ in 0..3 {
        let mut client = open(line.path());
        assert_eq!(client.read(1, 4, 0, 1).await, [100]);
    }
}

#[tokio::test]
async fn a_pulled_cable_ends_the_client_and_comes_back_under_the_same_path() {
    let line = start(QUICK);
    let path = line.path().to_owned();
    let mut client = open(&path);
    assert_eq!(client.read(1, 4, 0, 1).await, [100]);
    line.unplug().await;
    assert!(client.ends().await);
    assert!(!std::path::Path::new(&path).exists());
    line.plug().unwrap();
    let mut client = open(&path);
    assert_eq!(client.read(1, 4, 0, 1).await, [100]);
    drop(line);
    until("the path is gone", || std::fs::symlink_metadata(&path).is_err()).await;
}

#[tokio::test]
async fn answers_on_a_line_can_lie_too() {
    let line = start(QUICK);
    let mut client = open(line.path());
    let right = sealed(&[1, 4, 4, 0, 100, 0, 101]);
    let mut wrong_sum = right.clone();
    *wrong_sum.last_mut().unwrap() ^= 0xFF;
    let noise = [0xFE, 0x00, 0xBF];
    for (fault, answer) in [
        (Fault::Crc, wrong_sum),
        (Fault::OtherUnit, sealed(&[2, 4, 4, 0, 100, 0, 101])),
        (Fault::OtherFunction, sealed(&[1, 3, 4, 0, 100, 0, 101])),
        (Fault::FewerRegisters, sealed(&[1, 4, 2, 0, 100])),
        (Fault::MoreRegisters(1), sealed(&[1, 4, 6, 0, 100, 0, 101, 0, 0])),
        (Fault::MissingBytes, sealed(&[1, 4, 4, 0, 100])),
        (Fault::LyingCount, sealed(&[1, 4, 2, 0, 100, 0, 101])),
        (Fault::Exception(6), sealed(&[1, 0x84, 6])),
        (Fault::Noise, [&noise[..], &right].concat()),
        (Fault::Tail, [&right[..], &noise].concat()),
        (Fault::Garbage, vec![0xA5; 12]),
        (Fault::Torn, right[..4].to_vec()),
        (Fault::OtherTransaction, right.clone()),
    ] {
        line.port().fault(fault, Scope::next(1));
        client.send(&reading(1, 4, 0, 2)).await;
        assert_eq!(client.bytes(answer.len()).await, answer, "{fault:?}");
        client.silent(SILENCE).await;
    }
    for fault in [Fault::Silence { executed: true }, Fault::HalfOpen, Fault::Reset] {
        line.port().fault(fault, Scope::next(1));
        client.send(&reading(1, 4, 0, 2)).await;
        client.silent(SILENCE).await;
    }
    assert_eq!(line.port().served(1, 0), 0);
    assert_eq!(client.read(1, 4, 0, 2).await, [100, 101]);
}
