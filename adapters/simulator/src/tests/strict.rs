//! A device that minds how it is asked: too soon, by two clients, or not at all for long.

use std::time::Duration;

use super::{
    product::{HEAD, product, still},
    wire::{Wire, until, words, write_many},
};
use crate::{Product, ProductSettings};

const MAP: &str = "[points]\nactivePower = { register = 1, type = 'i16', unit = 'W' }\n\
    [setpoints.power_limit.states]\nlimit.writes = [{ register = 9, from = 'power' }]\n\
    off.writes = [{ register = 9, from = 'most' }]\n[limits]\n";

async fn start(limits: &str, strict: bool) -> Product {
    product(&format!("{HEAD}{MAP}{limits}"), ProductSettings { strict, ..still() }).await
}

/// The function code of the answer, and the exception of a refusal.
async fn ask(wire: &mut Wire, pdu: &[u8]) -> (u8, Option<u8>) {
    let pdu = wire.ask(7, pdu).await.unwrap().pdu;
    (pdu[0], (pdu[0] & 0x80 != 0).then_some(pdu[1]))
}

const BUSY: Option<u8> = Some(6);

#[tokio::test]
async fn who_asks_too_soon_after_an_answer_is_told_that_it_is_busy() {
    let product = start("spacing = '60s'", true).await;
    let mut wire = Wire::to(product.addr()).await;
    assert_eq!(ask(&mut wire, &words(3, &[1, 1])).await, (3, None));
    assert_eq!(ask(&mut wire, &words(3, &[1, 1])).await, (0x83, BUSY));
    // Another connection is the same device.
    let mut other = Wire::to(product.addr()).await;
    assert_eq!(ask(&mut other, &write_many(9, &[500])).await, (0x90, BUSY));
    assert_eq!((product.port().hurried(), product.port().accepted_writes()), (2, Vec::new()));
    assert_eq!((product.told("power_limit"), product.port().served(7, 1)), (Some(("off".into(), None)), 1));
}

#[tokio::test]
async fn who_keeps_the_spacing_is_never_refused() {
    let spacing = Duration::from_millis(10);
    let product = start("spacing = '10ms'\npause_after_connect = '10ms'", true).await;
    let mut wire = Wire::to(product.addr()).await;
    for _ in 0..20 {
        tokio::time::sleep(spacing).await;
        assert_eq!(ask(&mut wire, &words(3, &[1, 1])).await, (3, None));
    }
    assert_eq!(product.port().hurried(), 0);
}

#[tokio::test]
async fn who_asks_too_soon_after_connecting_is_told_that_it_is_busy() {
    let product = start("pause_after_connect = '60s'", true).await;
    let mut wire = Wire::to(product.addr()).await;
    assert_eq!(ask(&mut wire, &words(3, &[1, 1])).await, (0x83, BUSY));
}

#[tokio::test]
async fn one_that_is_not_strict_minds_none_of_it() {
    let limits = "spacing = '60s'\npause_after_connect = '60s'\none_client = true\nidle_close = '1ms'";
    let product = start(limits, false).await;
    let (mut wire, mut other) = (Wire::to(product.addr()).await, Wire::to(product.addr()).await);
    for wire in [&mut wire, &mut other] {
        assert_eq!(ask(wire, &words(3, &[1, 1])).await, (3, None));
        assert_eq!(ask(wire, &words(3, &[1, 1])).await, (3, None));
    }
}

#[tokio::test]
async fn room_for_one_client_is_room_for_one_client() {
    let product = start("one_client = true", true).await;
    let mut wire = Wire::to(product.addr()).await;
    assert_eq!(ask(&mut wire, &words(3, &[1, 1])).await, (3, None));
    let mut second = Wire::to(product.addr()).await;
    assert!(second.bytes(1).await.is_err());
    product.port().clear_faults();
    let mut third = Wire::to(product.addr()).await;
    assert!(third.bytes(1).await.is_err());
    drop(wire);
    until("the first one is gone", || product.port().open_connections() == 0).await;
    let mut next = Wire::to(product.addr()).await;
    assert_eq!(ask(&mut next, &words(3, &[1, 1])).await, (3, None));
}

#[tokio::test]
async fn a_connection_that_is_idle_for_too_long_is_closed() {
    let product = start("idle_close = '20ms'", true).await;
    let mut wire = Wire::to(product.addr()).await;
    assert!(wire.bytes(1).await.is_err());
    until("it is closed", || product.port().open_connections() == 0).await;
}
