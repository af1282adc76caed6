//! What is said of intervals that a link cannot keep, and how often.

use std::fmt::{Debug, Write as _};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::DefaultGuard,
};

use super::{
    bus::{Polled, Spec, every},
    *,
};

/// Warnings and what is told beside them, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn listen() -> (Self, DefaultGuard) {
        let log = Self::default();
        (log.clone(), tracing::subscriber::set_default(log))
    }

    /// The lines about intervals since the last call.
    fn lines(&self) -> Vec<String> {
        let lines = std::mem::take(&mut *self.0.lock().unwrap());
        lines.into_iter().filter(|line| !line.contains("unit answers")).collect()
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        self.0.lock().unwrap().push(text.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn computed(turn: u64) -> Vec<Spec> {
    (0..4).map(|_| Spec { turn: Duration::from_millis(turn), ..every(1_000) }).collect()
}

#[tokio::test(start_paused = true)]
async fn intervals_that_the_link_cannot_keep_are_said_once_at_the_start_with_those_that_it_can() {
    let (log, _guard) = Log::listen();
    let bus = Polled::start(computed(450));
    bus.ms(600_000).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("raise the intervals"), "{lines:?}");
    assert!(lines[0].contains("bus/0 every 2 s instead of 1 s, bus/1 every 2 s instead of 1 s"), "{lines:?}");
    assert!(lines[0].contains("one_turn_of_all_ms=1800"), "{lines:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn intervals_that_the_link_can_keep_or_of_which_nothing_is_known_are_not_mentioned() {
    for turn in [0, 225] {
        let (log, _guard) = Log::listen();
        let bus = Polled::start(computed(turn));
        bus.ms(600_000).await;
        assert_eq!(log.lines(), [""; 0]);
        bus.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_discovery_finds_is_weighed_anew() {
    let (log, _guard) = Log::listen();
    let bus = Polled::start(computed(0));
    bus.ms(1).await;
    // The driver knows what a turn takes when it has found its models.
    bus.bus.set(2, |spec| spec.turn = Duration::from_millis(1_350));
    bus.ms(60_000).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("bus/3 every 1.5 s instead of 1 s"), "{lines:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn polls_that_are_missed_are_said_when_that_begins_and_when_it_ended() {
    let (log, _guard) = Log::listen();
    let bus = Polled::start((0..4).map(|_| every(1_000)).collect());
    bus.ms(120_000).await;
    assert_eq!(log.lines(), [""; 0]);
    // 4 × 500 ms for each second.
    (0..4).for_each(|unit| bus.bus.set(unit, |spec| spec.takes = Duration::from_millis(500)));
    bus.ms(600_000).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("WARN") && lines[0].contains("polls are being missed"), "{lines:?}");
    let missed = bus.bus.count(0, Counter::MissedPolls);
    assert!((295..=305).contains(&missed), "every second one: {missed}");
    (0..4).for_each(|unit| bus.bus.set(unit, |spec| spec.takes = Duration::from_millis(2)));
    bus.ms(600_000).await;
    let lines = log.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with("INFO") && lines[0].contains("no polls are missed any more"), "{lines:?}");
    bus.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_period_that_is_named_when_polls_are_missed_can_be_kept() {
    let slow = |interval| Spec { takes: Duration::from_millis(500), ..every(interval) };
    let (log, _guard) = Log::listen();
    let bus = Polled::start((0..4).map(|_| slow(1_000)).collect());
    bus.ms(300_000).await;
    let lines = log.lines();
    let words = lines[0].split_once("bus/0 every ").unwrap().1;
    let seconds: f64 = words.split_once(' ').unwrap().0.parse().unwrap();
    assert!((1.9..=2.2).contains(&seconds), "{lines:?}");
    bus.stop().await;
    let bus = Polled::start((0..4).map(|_| slow((seconds * 1000.0).ceil() as u64 + 100)).collect());
    bus.ms(600_000).await;
    assert_eq!((0..4).map(|unit| bus.bus.count(unit, Counter::MissedPolls)).sum::<u64>(), 0);
    bus.stop().await;
}
