//! RTU frames over TCP.

use std::time::{Duration, Instant};

use super::{
    serial::{SILENCE, connect, reading, sealed},
    wire::words,
};
use crate::{ConverterSettings, Fault, RegisterMap, Scope, Server, Speed, Units};

async fn start(settings: ConverterSettings) -> Server {
    let units = Units::one(1, RegisterMap::new().input(0, &[7, 8, 9]).writable(10, &[1]));
    Server::start_rtu("127.0.0.1:0".parse().unwrap(), units, settings).await.unwrap()
}

#[tokio::test]
async fn a_converter_passes_frames_on_as_they_are() {
    let server = start(ConverterSettings::default()).await;
    let mut client = connect(server.addr()).await;
    assert_eq!(client.read(1, 4, 0, 2).await, [7, 8]);
    client.send(&sealed(&[&[1][..], &words(6, &[10, 5])].concat())).await;
    assert_eq!(client.bytes(8).await, sealed(&[1, 6, 0, 10, 0, 5]));
    client.send(&sealed(&[1, 43, 14, 1, 0])).await;
    assert_eq!(client.bytes(5).await, sealed(&[1, 43 | 0x80, 1]));
    // A dead unit, a wrong sum and half a frame: nothing, and then all is well again.
    client.send(&reading(9, 4, 0, 1)).await;
    client.silent(SILENCE).await;
    client.send(&[1, 4, 0, 0, 0, 2, 0, 0]).await;
    client.silent(SILENCE).await;
    client.send(&reading(1, 4, 0, 1)[..4]).await;
    client.silent(SILENCE * 4).await;
    assert_eq!(client.read(1, 4, 1, 1).await, [8]);
    server.stop().await;
}

#[tokio::test]
async fn answers_can_come_in_two_packets() {
    let split = Some(Duration::from_millis(100));
    let server = start(ConverterSettings { split, ..ConverterSettings::default() }).await;
    let mut client = connect(server.addr()).await;
    client.send(&reading(1, 4, 0, 3)).await;
    let first = client.piece().await;
    assert_eq!(first, 5);
    client.silent(Duration::from_millis(20)).await;
    assert_eq!(client.bytes(6).await.len(), 6);
}

#[tokio::test]
async fn two_clients_share_the_time_of_one_line() {
    let speed = Speed::default();
    let settings = ConverterSettings { line: Some(speed), latency: Duration::from_millis(20), split: None };
    let server = start(settings).await;
    let (mut one, mut two) = (connect(server.addr()).await, connect(server.addr()).await);
    let begun = Instant::now();
    one.send(&reading(1, 4, 0, 3)).await;
    two.send(&reading(1, 4, 0, 3)).await;
    // Each hears both answers.
    let (first, second) = tokio::join!(one.bytes(22), two.bytes(22));
    assert_eq!(first, second);
    assert!(begun.elapsed() >= 2 * (speed.time_of(19) + settings.latency));
}

#[tokio::test]
async fn faults_reach_a_converters_answers() {
    let server = start(ConverterSettings::default()).await;
    let mut client = connect(server.addr()).await;
    server.port().fault(Fault::Crc, Scope::next(1));
    client.send(&reading(1, 4, 0, 1)).await;
    let wrong = client.bytes(7).await;
    assert_ne!(wrong, sealed(&wrong[..5]));
    server.port().fault(Fault::HalfOpen, Scope::next(1));
    client.send(&reading(1, 4, 0, 1)).await;
    client.silent(SILENCE).await;
    client.send(&reading(1, 4, 0, 1)).await;
    client.silent(SILENCE).await;
    let mut client = connect(server.addr()).await;
    assert_eq!(client.read(1, 4, 0, 1).await, [7]);
    server.port().fault(Fault::Reset, Scope::next(1));
    client.send(&reading(1, 4, 0, 1)).await;
    assert!(client.ends().await);
}

#[tokio::test]
async fn what_is_said_on_the_line_goes_to_whoever_is_connected_then() {
    let server = start(ConverterSettings::default()).await;
    let (mut one, mut other) = (connect(server.addr()).await, connect(server.addr()).await);
    assert_eq!(other.read(1, 4, 0, 1).await, [7]);
    assert_eq!(one.bytes(7).await, sealed(&[1, 4, 2, 0, 7]), "it did not ask");
    // Who asked is gone when the answer comes.
    server.port().fault(Fault::Delay(Duration::from_millis(300)), Scope::next(1));
    one.send(&reading(1, 4, 1, 2)).await;
    while server.port().traffic(1).requests < 2 {
        tokio::task::yield_now().await;
    }
    drop(one);
    let mut next = connect(server.addr()).await;
    assert_eq!(next.bytes(9).await, sealed(&[1, 4, 4, 0, 8, 0, 9]));
    assert_eq!(next.read(1, 4, 0, 1).await, [7]);
}
