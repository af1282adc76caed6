//! Each row of what tokio-modbus gets wrong over TCP, against a real socket: no wrong value is ever
//! returned, and the next request works.

mod debts;
mod pace;
mod serial;

use super::{wire::Waiting, *};
use crate::testing::{Move, Peer, soon};

const PACE: Pace = Pace { timeout: Duration::from_millis(150), spacing: Duration::ZERO };
const UNIT: u8 = 1;

/// A peer whose register n holds n + 1000 for unit 1 and n + 2000 for unit 2, and a link to it.
async fn pair() -> (Peer, Link) {
    let peer = Peer::start().await;
    let words = |base: u16| -> Vec<u16> { (0..200).map(|n| base + n).collect() };
    for unit in [1, 2] {
        peer.holding(unit, 0, &words(1000 * u16::from(unit)));
        peer.input(unit, 0, &words(1000 * u16::from(unit)));
    }
    let link = Link::new(peer.place(), &peer.settings(""));
    (peer, link)
}

async fn read(link: &mut Link, start: u16, count: u16) -> Result<Vec<u16>, LinkError> {
    soon(link.read(UNIT, PACE, Function::Holding, start, count)).await
}

/// Ten different reads bring their own values.
async fn works(link: &mut Link) {
    for start in 100..110 {
        assert_eq!(read(link, start, 2).await, Ok(vec![1000 + start, 1001 + start]));
    }
}

#[tokio::test]
async fn a_good_link_reads_and_writes_on_one_connection_for_all_units() {
    let (peer, mut link) = pair().await;
    works(&mut link).await;
    assert_eq!(soon(link.read(2, PACE, Function::Input, 7, 1)).await, Ok(vec![2007]));
    assert_eq!(soon(link.write(2, PACE, 7, &[1, 2])).await, Ok(()));
    assert_eq!(soon(link.read(2, PACE, Function::Holding, 7, 2)).await, Ok(vec![1, 2]));
    assert_eq!(peer.connections(), 1);
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_another_request() {
    let (peer, mut link) = pair().await;
    for round in 0..3_usize {
        peer.moves(&[Move::Late]);
        assert!(matches!(read(&mut link, 5, 2).await, Err(LinkError::NoAnswer(_))));
        works(&mut link).await;
        assert_eq!(peer.connections(), round + 2, "the connection was rebuilt");
    }
}

#[tokio::test]
async fn a_request_that_is_dropped_takes_its_connection_along() {
    let (peer, mut link) = pair().await;
    peer.moves(&[Move::Late]);
    let asked = {
        let mut asking = Box::pin(link.read(UNIT, PACE, Function::Holding, 5, 2));
        tokio::select! {
            biased;
            _ = &mut asking => false,
            () = async { while peer.seen().is_empty() { tokio::task::yield_now().await } } => true,
        }
    };
    assert!(asked);
    works(&mut link).await;
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn a_second_answer_to_one_request_is_never_taken_for_the_next() {
    let (peer, mut link) = pair().await;
    peer.moves(&[Move::Twice]);
    assert_eq!(read(&mut link, 5, 2).await, Ok(vec![1005, 1006]));
    // Depending on when it arrives it is thrown away before the next request, or fails it.
    match read(&mut link, 50, 2).await {
        Ok(words) => assert_eq!(words, [1050, 1051]),
        Err(error) => assert!(matches!(error, LinkError::Mismatch(_)), "{error}"),
    }
    works(&mut link).await;
}

#[tokio::test]
async fn answers_that_are_not_for_the_request_are_thrown_away_with_their_connection() {
    use Move::{Garbage, Long, OtherFunction, OtherProtocol, OtherTransaction, OtherUnit, Short};
    for wrong in [Short, Long, OtherTransaction, OtherProtocol, OtherUnit, OtherFunction, Garbage] {
        let (peer, mut link) = pair().await;
        peer.moves(&[Move::Answer, wrong]);
        assert_eq!(read(&mut link, 1, 1).await, Ok(vec![1001]));
        let error = read(&mut link, 5, 3).await.unwrap_err();
        let wanted = matches!(error, LinkError::Mismatch(_) | LinkError::NoAnswer(_));
        assert!(wanted, "{wrong:?} gave {error:?}");
        works(&mut link).await;
        assert_eq!(peer.connections(), 2, "after {wrong:?}");
    }
}

#[tokio::test]
async fn a_write_whose_echo_differs_proves_nothing() {
    for wrong in [Move::EchoAddress, Move::EchoCount] {
        let (peer, mut link) = pair().await;
        peer.moves(&[wrong]);
        let error = soon(link.write(UNIT, PACE, 5, &[7, 8])).await.unwrap_err();
        assert!(matches!(error, LinkError::Mismatch(_)), "{error}");
        assert!(matches!(error.outcome("x", false), adapter_api::WriteOutcome::Unknown { .. }));
        works(&mut link).await;
        assert_eq!(peer.connections(), 2);
    }
}

#[tokio::test]
async fn a_peer_that_closes_in_place_of_an_answer_gave_no_answer() {
    let (peer, mut link) = pair().await;
    peer.moves(&[Move::Close]);
    let error = soon(link.write(UNIT, PACE, 5, &[7])).await.unwrap_err();
    assert!(matches!(error, LinkError::NoAnswer(_)), "{error}");
    assert!(matches!(error.outcome("x", false), adapter_api::WriteOutcome::Unknown { .. }));
    works(&mut link).await;
}

#[tokio::test]
async fn a_peer_that_hung_up_between_two_requests_costs_nothing() {
    let (peer, mut link) = pair().await;
    peer.moves(&[Move::AnswerClose]);
    assert_eq!(read(&mut link, 1, 1).await, Ok(vec![1001]));
    let live = link.live.as_ref().map(|live| Arc::clone(&live.wire)).unwrap();
    soon(async {
        while live.discard() == Waiting::Nothing {
            tokio::task::yield_now().await
        }
    })
    .await;
    works(&mut link).await;
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn exceptions_keep_the_connection_and_say_what_to_do() {
    let (peer, mut link) = pair().await;
    for (code, word) in [
        (1, "function"),
        (2, "register"),
        (3, "value"),
        (4, "fault"),
        (6, "busy"),
        (11, "RS-485"),
        (0x80, "manual"),
    ] {
        peer.moves(&[Move::Exception(code)]);
        let error = read(&mut link, 1, 1).await.unwrap_err();
        assert_eq!(error, LinkError::Exception(code));
        let words = error.fault("unit 1").problem().to_string();
        assert!(words.contains(word) && words.contains(&code.to_string()), "{words}");
    }
    works(&mut link).await;
    assert_eq!(peer.connections(), 1);
}

#[test]
fn what_a_failed_write_means() {
    use adapter_api::WriteOutcome::{NotApplied, Rejected, Unknown};
    let outcome = |error: LinkError, begun| error.outcome("unit 1", begun);
    for code in [1, 2, 3] {
        assert!(matches!(outcome(LinkError::Exception(code), false), Rejected { .. }));
        let Unknown { reason } = outcome(LinkError::Exception(code), true) else { panic!("{code}") };
        assert!(reason.contains("earlier part") && reason.contains("fresh read"), "{reason}");
    }
    for code in [6, 10, 11] {
        assert!(matches!(outcome(LinkError::Exception(code), false), NotApplied { .. }));
        assert!(matches!(outcome(LinkError::Exception(code), true), Unknown { .. }));
    }
    for code in [4, 5, 8, 0x80] {
        assert!(matches!(outcome(LinkError::Exception(code), false), Unknown { .. }));
    }
    assert!(matches!(outcome(LinkError::Unreachable("refused".into()), false), NotApplied { .. }));
    assert!(matches!(outcome(LinkError::NoAnswer("late".into()), false), Unknown { .. }));
}

#[tokio::test]
async fn requests_that_modbus_cannot_carry_are_refused_before_they_are_sent() {
    let (peer, mut link) = pair().await;
    let impossible = |result: Result<(), LinkError>| matches!(result, Err(LinkError::Impossible(_)));
    for (start, count) in [(0, 0), (0, 126), (65_535, 2)] {
        assert!(impossible(read(&mut link, start, count).await.map(drop)), "{start} {count}");
    }
    assert!(impossible(link.read(0, PACE, Function::Input, 0, 1).await.map(drop)));
    assert!(impossible(link.write(0, PACE, 0, &[1]).await));
    assert!(impossible(link.write(UNIT, PACE, 0, &[]).await));
    assert!(impossible(link.write(UNIT, PACE, 0, &[0; 124]).await));
    assert!(impossible(link.write(UNIT, PACE, 65_535, &[0; 2]).await));
    assert_eq!(peer.connections(), 0);
    works(&mut link).await;
}

#[tokio::test]
async fn a_closed_port_is_unreachable_and_nothing_was_applied() {
    let (peer, _) = pair().await;
    let (place, settings) = (peer.place(), peer.settings(""));
    drop(peer);
    let mut link = Link::new(place, &settings);
    // The listener's task ends soon after its peer was dropped.
    let error = soon(async {
        loop {
            match link.write(UNIT, PACE, 0, &[1]).await {
                Err(error @ LinkError::Unreachable(_)) => return error,
                _ => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    assert!(matches!(error.outcome("x", false), adapter_api::WriteOutcome::NotApplied { .. }));
}

#[tokio::test]
async fn a_connection_that_was_idle_for_too_long_is_not_used_again() {
    let (peer, _) = pair().await;
    let mut link = Link::new(peer.place(), &peer.settings("idle_close = \"0s\""));
    assert_eq!(read(&mut link, 1, 1).await, Ok(vec![1001]));
    assert_eq!(read(&mut link, 2, 1).await, Ok(vec![1002]));
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_rests_for_long_enough_is_closed_for_others() {
    let (peer, _) = pair().await;
    let mut link = Link::new(peer.place(), &peer.settings("idle_close = \"50ms\""));
    assert_eq!(read(&mut link, 1, 1).await, Ok(vec![1001]));
    soon(link.rest()).await;
    assert!(link.live.is_none());
    let mut turn = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(link.rest()).poll(&mut turn).is_pending(), "nothing is left to close");
    works(&mut link).await;
    assert_eq!(peer.connections(), 2);
}

#[tokio::test]
async fn without_spacing_the_next_request_waits_for_no_timer() {
    let (_peer, mut link) = pair().await;
    for start in 0..5 {
        assert_eq!(read(&mut link, start, 1).await, Ok(vec![1000 + start]));
        link.last = Some(Instant::now());
        let mut turn = std::task::Context::from_waker(std::task::Waker::noop());
        let ready = std::pin::pin!(link.ready(PACE)).poll(&mut turn);
        let std::task::Poll::Ready(Ok(live)) = ready else { panic!("it waits") };
        link.live = Some(live);
    }
}
