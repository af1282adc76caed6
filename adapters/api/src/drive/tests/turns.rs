//! When the loop does what, and what it waits for.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_away_is_probed_every_ten_seconds_while_a_setpoint_must_be_given_back() {
    let home = Running::start().await;
    home.world.set(|state| state.away = true);
    assert!(is_not_sent(&home.run(|_| {}).await));
    // Its probes grow rare.
    home.seconds(1000).await;
    home.world.happened();
    home.world.set(|state| state.urgent = true);
    home.jobs.send(None).await.unwrap();
    home.seconds(10).await;
    let soon = home.world.happened();
    assert!(!soon.is_empty() && soon.iter().all(|line| line == "probe"), "{soon:?}");
    home.seconds(100).await;
    let probes = home.world.happened().len();
    assert!((10..=20).contains(&probes), "{probes}");
    home.world.set(|state| state.urgent = false);
    home.seconds(100).await;
    assert!(home.world.happened().len() <= 2);
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_look_at_a_write_waits_for_no_timer() {
    let home = Running::start().await;
    // Timers count whole milliseconds.
    tokio::time::advance(Duration::from_micros(300)).await;
    let start = Instant::now();
    assert_eq!(home.run(|_| {}).await, done(1.0, true));
    assert_eq!(start.elapsed(), Duration::ZERO);
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_does_not_wait_while_the_loop_is_woken_for_nothing() {
    let home = Running::start().await;
    home.world.set(|state| state.storm = 1_000);
    assert_eq!(home.run(|_| {}).await, done(1.0, true));
    assert_eq!(home.world.set(|state| std::mem::take(&mut state.left)), [999], "one call, then the look");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_without_room_in_the_journal_is_no_hang_and_does_not_hold_up_the_stop() {
    let home = Running::start().await;
    home.world.set(|state| state.no_room = true);
    let outcome = home.begin(|asked| asked.command = "refresh".into()).await;
    home.seconds(1).await;
    assert_eq!(home.world.happened(), ["read"]);
    let resting = Pulse::default();
    resting.rest();
    let due = |pulse: &Pulse| format!("{pulse:?}").split_once("due_ms").unwrap().1.to_owned();
    assert_eq!(due(&home.pulse), due(&resting), "it rests");
    home.stop().await;
    let outcome = outcome.await.unwrap();
    assert!(is_not_sent(&outcome), "{outcome:?}");
}

/// The loop, with a driver that does something after resting for so long.
async fn resting(rest: u64) -> Running {
    let home = Running::start().await;
    home.world.set(|state| (state.rest, state.rests) = (Some(Duration::from_secs(rest)), 0));
    home.jobs.send(None).await.unwrap();
    home
}

#[tokio::test(start_paused = true)]
async fn the_driver_rests_while_nothing_is_due_and_is_not_asked_to_over_and_over() {
    let home = resting(10).await;
    home.seconds(9).await;
    assert_eq!(home.world.happened(), [""; 0]);
    home.seconds(2).await;
    assert_eq!(home.world.happened(), ["rested"]);
    home.seconds(85).await;
    assert_eq!(home.world.happened(), [""; 0]);
    let rests = home.world.set(|state| state.rests);
    assert!((2..=4).contains(&rests), "{rests}");
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_the_rest_of_the_driver_at_once() {
    let home = resting(10).await;
    home.seconds(5).await;
    let start = Instant::now();
    assert_eq!(home.run(|_| {}).await, done(1.0, true));
    assert_eq!(start.elapsed(), Duration::ZERO);
    home.seconds(8).await;
    assert_eq!(home.world.happened(), ["write set_power 1 timer None", "look", "read"], "a new rest began");
    home.seconds(3).await;
    assert_eq!(home.world.happened(), ["rested"]);
    home.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_due_and_the_stop_end_the_rest_of_the_driver_at_once() {
    let home = resting(1_000).await;
    home.seconds(300).await;
    assert_eq!(home.world.happened(), ["read"; 3]);
    let start = Instant::now();
    home.stop().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}
