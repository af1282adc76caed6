//! The journal's thread: takes what comes in through the channels, commits when it is due, and
//! keeps house in between. Everything that it decides is in [`super::group`], [`super::writer`] and
//! [`super::tidy`].
//!
//! When all handles are gone without `close`, it ends as a crash would: what is not committed is in
//! the pending file and is replayed at the next start.

mod house;

use std::{
    fs::File,
    time::{Duration, Instant},
};

use adapter_api::Reading;
use crossbeam_channel::{Receiver, never, select};
use tokio::sync::oneshot;

pub(super) use self::house::House;
use super::{
    JournalError,
    compact::Compactor,
    group::BATCH_MAX,
    mail::{Ask, Control, Letter, Publish},
    record::Stored,
    tidy::Rules,
    writer::Writer,
};

/// How long the first of several readings waits for the others.
const GATHERED: Duration = Duration::from_millis(25);

/// Told what was taken, after it is safe from a crash.
pub(super) type Taken = Box<dyn FnMut(&[Stored]) + Send>;

pub(super) struct Thread {
    pub writer: Writer,
    pub readings: Receiver<Publish>,
    pub control: Receiver<Letter>,
    pub chunks: Receiver<Ask>,
    pub compactor: Compactor,
    pub taken: Taken,
    pub rules: Rules,
    /// Held as long as the database is open.
    pub lock: File,
    pub house: House,
    /// Those who wait for the commit of what they handed over.
    pub waiting: Vec<oneshot::Sender<()>>,
}

enum Event {
    Readings(Publish),
    Letter(Letter),
    Chunks(Ask),
    CompactorGone,
    Due,
    Abandoned,
}

/// What one turn of the loop took out of the channels.
#[derive(Default)]
struct Round {
    readings: Vec<Reading>,
    durable: usize,
    waiting: Vec<oneshot::Sender<()>>,
    asks: Vec<Ask>,
    heartbeats: Vec<oneshot::Sender<super::Health>>,
    close: Option<oneshot::Sender<Result<(), JournalError>>>,
}

impl Thread {
    pub fn run(mut self) {
        let no_readings = never();
        loop {
            let readings = if self.writer.full() { &no_readings } else { &self.readings };
            let due = self.writer.due_at().map_or(self.house.tidy_at, |due| due.min(self.house.tidy_at));
            let event = select! {
                recv(self.control) -> letter => letter.map_or(Event::Abandoned, Event::Letter),
                recv(readings) -> publish => publish.map_or(Event::Abandoned, Event::Readings),
                recv(self.chunks) -> ask => ask.map_or(Event::CompactorGone, Event::Chunks),
                default(due.saturating_duration_since(Instant::now())) => Event::Due,
            };
            let mut round = Round::default();
            match event {
                Event::Readings(publish) => {
                    round.add(publish);
                    self.wait_for_more(&mut round);
                }
                Event::Letter(letter) => self.open(letter, &mut round),
                Event::Chunks(ask) => round.asks.push(ask),
                // It panicked, and said so: batches stay batches until the next start.
                Event::CompactorGone => self.chunks = never(),
                Event::Due => {}
                Event::Abandoned => return,
            }
            self.gather(&mut round);
            let close = self.work(round);
            if let Some(close) = close {
                return self.close(close);
            }
            self.tidy(Instant::now());
        }
    }

    /// Readings of many devices come one by one: a short wait lets one append serve several of them. Not
    /// while somebody waits for the commit, and not a moment longer than until something else comes.
    fn wait_for_more(&mut self, round: &mut Round) {
        if round.waiting.is_empty() && self.readings.is_empty() {
            select! {
                recv(self.control) -> letter => {
                    if let Ok(letter) = letter {
                        self.open(letter, round);
                    }
                }
                default(GATHERED) => {}
            }
        }
    }

    /// Takes along what is there already: one append and one commit serve them all.
    fn gather(&mut self, round: &mut Round) {
        while let Ok(letter) = self.control.try_recv() {
            self.open(letter, round);
        }
        // While commits fail, one message at a time: what is held must not pass its bound by much.
        while round.readings.len() < BATCH_MAX && !self.writer.is_failing() {
            let Ok(publish) = self.readings.try_recv() else { break };
            round.add(publish);
        }
    }

    fn open(&mut self, letter: Letter, round: &mut Round) {
        drop(letter.permit);
        match letter.control {
            Control::Write(ask) => round.asks.push(ask),
            Control::Told(number) => self.writer.told(number),
            Control::BatchTold(id, at) => self.writer.batch_told(id, at),
            Control::Cursor(name, value) => self.writer.cursor(name, value),
            Control::Uplink(on) => self.rules.uplink = on,
            Control::Heartbeat(answer) => round.heartbeats.push(answer),
            Control::Close(answer) => round.close = Some(answer),
            #[cfg(test)]
            Control::Sql(sql, done) => {
                self.writer.db.execute_batch(&sql).expect("the test's SQL runs");
                let _gone = done.send(());
            }
        }
    }

    /// Does what came; returns who asked for the end.
    fn work(&mut self, round: Round) -> Option<oneshot::Sender<Result<(), JournalError>>> {
        self.take(round.readings, round.durable, round.waiting);
        let due = self.writer.due_at().is_some_and(|due| due <= Instant::now());
        if due || !round.asks.is_empty() {
            self.commit(round.asks);
        }
        for heartbeat in round.heartbeats {
            let _gone = heartbeat.send(self.writer.health());
        }
        round.close
    }

    fn take(&mut self, readings: Vec<Reading>, durable: usize, waiting: Vec<oneshot::Sender<()>>) {
        if readings.is_empty() {
            return;
        }
        if self.writer.hour_is_over() {
            self.commit(Vec::new());
        }
        self.writer.take(readings, durable, &mut *self.taken);
        self.waiting.extend(waiting);
    }

    fn commit(&mut self, asks: Vec<Ask>) {
        let writes: Vec<_> = asks.iter().map(|ask| &ask.write).collect();
        match self.writer.commit(&writes) {
            Ok(results) => {
                for (ask, result) in asks.into_iter().zip(results) {
                    let _gone = ask.answer.send(Ok(result));
                }
                for committed in self.waiting.drain(..) {
                    let _gone = committed.send(());
                }
            }
            Err(error) => {
                for ask in asks {
                    let _gone = ask.answer.send(Err(error.clone()));
                }
            }
        }
    }

    /// Commits all, marks the end as an ordered one, and empties the write-ahead log.
    fn close(mut self, answer: oneshot::Sender<Result<(), JournalError>>) {
        while let Ok(publish) = self.readings.try_recv() {
            let mut round = Round::default();
            round.add(publish);
            self.take(round.readings, round.durable, round.waiting);
        }
        self.commit(Vec::new());
        // A second commit: the snapshot of the latest readings holds what is committed before it.
        self.writer.mark_clean(true);
        let closed = self.writer.commit(&[]).map(drop);
        let checkpoint = self.writer.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, "the write-ahead log stays; the next start reads it");
        }
        // First the rows that are on their way, then the compactor, which waits to hand them over;
        // the lock goes last.
        let Self { writer, compactor, chunks, lock, .. } = self;
        drop(chunks);
        drop(compactor);
        drop(writer);
        drop(lock);
        let _gone = answer.send(closed);
    }
}

impl Round {
    fn add(&mut self, publish: Publish) {
        drop(publish.permit);
        if let Some(committed) = publish.committed {
            self.durable += publish.readings.len();
            self.waiting.push(committed);
        }
        self.readings.extend(publish.readings);
    }
}
