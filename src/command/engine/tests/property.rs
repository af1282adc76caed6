//! The engine against a model, through crashes, full disks, devices that come and go, and outcomes
//! of every kind.
//!
//! What must hold, whatever happens: no two in flight on a unit; who goes first is who a plain sort
//! would pick; nothing accepted is lost and nothing ends twice; what may not be repeated is executed
//! once at most; nothing undoes what a newer command has done; everything ends; what is held is given
//! back.

use std::collections::HashSet;

use adapter_api::Outcome;
use proptest::prelude::*;

use super::*;
use crate::command::queue::rank;

#[derive(Debug, Clone)]
enum Op {
    Submit { kind: u8, priority: u8, owner: u8, expires: u16, later: u16 },
    Take,
    Settle { which: u8, outcome: u8 },
    Fall { which: u8 },
    Pass(u16),
    Online(bool),
    Commit { works: bool },
    Cancel(u8),
    Crash { reboot: bool },
    Power(i16),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6_u8, 0..4_u8, 0..3_u8, 1..200_u16, 0..60_u16)
            .prop_map(|(kind, priority, owner, expires, later)| Op::Submit { kind, priority, owner, expires, later }),
        5 => Just(Op::Take),
        5 => (any::<u8>(), 0..7_u8).prop_map(|(which, outcome)| Op::Settle { which, outcome }),
        1 => any::<u8>().prop_map(|which| Op::Fall { which }),
        4 => (0..40_000_u16).prop_map(Op::Pass),
        1 => any::<bool>().prop_map(Op::Online),
        9 => prop::bool::weighted(0.9).prop_map(|works| Op::Commit { works }),
        1 => any::<u8>().prop_map(Op::Cancel),
        1 => prop::bool::weighted(0.3).prop_map(|reboot| Op::Crash { reboot }),
        1 => (-3000..3000_i16).prop_map(Op::Power),
    ]
}

struct Play {
    bench: Bench,
    online: bool,
    asked: HashMap<String, Token>,
    accepted: HashSet<String>,
    /// What is in an adapter's hands.
    flying: Vec<Taken>,
    /// How often a command may have reached its device.
    reached: HashMap<u64, u32>,
    /// Commands that were done.
    done: Vec<u64>,
    ended: HashMap<String, Outcome>,
    seen: usize,
}

impl Play {
    fn new() -> Self {
        let mut bench = Bench::new();
        bench.quick = false;
        Self {
            bench,
            online: true,
            asked: HashMap::new(),
            accepted: HashSet::new(),
            flying: Vec::new(),
            reached: HashMap::new(),
            done: Vec::new(),
            ended: HashMap::new(),
            seen: 0,
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Submit { kind, priority, owner, expires, later } => {
                let id = format!("c{}", self.asked.len());
                let request = self.request(&id, *kind, *priority, *owner, *expires, *later);
                let token = self.bench.ask(request);
                self.asked.insert(id, token);
            }
            Op::Take => self.take(),
            Op::Settle { which, outcome } => self.settle(*which, *outcome),
            Op::Fall { which } => {
                if !self.flying.is_empty() {
                    let taken = self.flying.remove(usize::from(*which) % self.flying.len());
                    self.bench.engine.settled(taken.what, None, false, self.bench.now);
                    self.bench.perform();
                }
            }
            Op::Pass(ms) => self.bench.pass(u64::from(*ms)),
            Op::Online(online) => {
                self.online = *online;
                self.bench.online(*online);
            }
            Op::Commit { works } => {
                self.bench.commit_one(*works);
                self.bench.perform();
                self.collect();
            }
            Op::Cancel(which) => {
                let id = format!("c{}", usize::from(*which) % self.asked.len().max(1));
                self.bench.tokens += 1;
                self.bench.engine.cancel(&id, "cli:me", self.bench.tokens, self.bench.now);
                self.bench.perform();
            }
            Op::Crash { reboot } => {
                self.flying.clear();
                let boot = format!("boot-{}", self.bench.boot.len());
                self.bench.restart(reboot.then_some(boot.as_str()));
                self.bench.online(self.online);
            }
            Op::Power(watts) => self.bench.power(f64::from(*watts)),
        }
        self.collect();
    }

    fn request(&self, id: &str, kind: u8, priority: u8, owner: u8, expires: u16, later: u16) -> Request {
        let owner = format!("mqtt:{owner}");
        let base = match kind {
            0 | 1 => limit(id, f64::from(expires)),
            2 => request(id, "roof", "once", Parameters::default()),
            3 => mode(id, &owner, "hold", u64::from(expires)),
            4 => mode(id, &owner, "charge", u64::from(expires)),
            _ => request(id, "plug", "toggle", Parameters::default()),
        };
        // Most are for now.
        let later = later.saturating_sub(50);
        Request {
            priority: Priority::ALL[usize::from(priority)],
            owner,
            expires_in: Some(std::time::Duration::from_secs(u64::from(expires))),
            scheduled_at: (later > 0).then(|| self.bench.now.wall_ms + i64::from(later) * 1000),
            max_retries: Some(2),
            ..base
        }
    }

    /// What a plain sort over everything that waits would take, by class, age and number.
    fn first(&self) -> Option<(u64, u64, u64)> {
        let now = self.bench.now.mono_ms;
        let engine = &self.bench.engine;
        let mut waiting: Vec<_> = engine
            .queue
            .all()
            .filter(|entry| entry.phase == Phase::Waiting && entry.due <= now && entry.ends() > now)
            .filter(|entry| self.online && engine.is_free(&engine.devices[&entry.row.device].info.unit))
            .map(|entry| match entry.purpose {
                Purpose::ReadBack => (u64::MAX, 0, entry.row.number),
                _ => (rank(entry.row.priority as u64, entry.since, now), entry.since, entry.row.number),
            })
            .collect();
        waiting.sort_by_key(|(class, since, number)| (std::cmp::Reverse(*class), *since, *number));
        waiting.first().copied()
    }

    fn take(&mut self) {
        self.bench.engine.time(self.bench.now);
        self.bench.perform();
        let upkeep = !self.bench.engine.ledger.to_rewrite(self.bench.now.mono_ms).is_empty();
        let first = self.first();
        self.bench.tokens += 1;
        let before: HashSet<u64> = self.in_flight();
        self.bench.engine.take("modbus.roof", self.bench.tokens, self.bench.now);
        let new: Vec<_> = self.in_flight().difference(&before).copied().collect();
        self.bench.perform();
        if let (false, Some((_, _, number)), Some(taken)) = (upkeep, first, new.first()) {
            let refused =
                self.bench.engine.queue.get(number).is_none_or(|entry| entry.phase == Phase::Committing);
            assert!(number == *taken || refused, "{taken} went before {number}");
        }
        self.collect();
    }

    fn in_flight(&self) -> HashSet<u64> {
        let entries = self.bench.engine.queue.all();
        entries
            .filter(|entry| matches!(entry.phase, Phase::Flying(_)))
            .map(|entry| entry.row.number)
            .collect()
    }

    fn settle(&mut self, which: u8, outcome: u8) {
        if self.flying.is_empty() {
            return;
        }
        let taken = self.flying.remove(usize::from(which) % self.flying.len());
        let nothing = Parameters::default;
        let outcome = match outcome {
            0 | 1 => done(),
            2 => WriteOutcome::Mismatch { requested: nothing(), observed: nothing() },
            3 => WriteOutcome::Rejected { reason: "no".into() },
            4 => not_applied(false),
            5 => not_applied(true),
            _ => WriteOutcome::Unknown { reason: "silent".into() },
        };
        if taken.asked.purpose == Purpose::Execute
            && !matches!(outcome, WriteOutcome::NotApplied { sent: false, .. })
        {
            *self.reached.entry(taken.asked.number).or_default() += 1;
        }
        if matches!(outcome, WriteOutcome::Done { .. }) && taken.what == What::Command(taken.asked.number) {
            self.done.push(taken.asked.number);
        }
        self.bench.settle(taken, outcome);
    }

    /// Nothing undoes what a newer command that is as urgent has done.
    fn must_not_undo(&self, number: u64) {
        let rows = &self.bench.disk.commands;
        let row = &rows[&number];
        let sets = |row: &CommandRow| {
            row.command.starts_with("set_") && row.scheduled_at.is_none() && row.reverts.is_none()
        };
        let undone = self.done.iter().map(|done| &rows[done]).find(|done| {
            sets(done)
                && done.device == row.device
                && done.command == row.command
                && done.number > row.number
                && done.priority >= row.priority
        });
        assert!(!sets(row) || undone.is_none(), "{row:?} would undo {undone:?}");
    }

    fn collect(&mut self) {
        let mut undoing = Vec::new();
        for taken in self.bench.hands.drain(..) {
            let unit = &taken.asked.unit;
            assert!(self.flying.iter().all(|other| other.asked.unit != *unit), "two in flight on {unit}");
            let row = &self.bench.disk.commands.get(&taken.asked.number);
            if let What::Command(_) = taken.what {
                assert_eq!(row.unwrap().status, CommandStatus::Executing, "not durable: {row:?}");
                if taken.asked.purpose == Purpose::Execute {
                    undoing.push(taken.asked.number);
                }
            }
            self.flying.push(taken);
        }
        undoing.into_iter().for_each(|number| self.must_not_undo(number));
        for (id, token) in &self.asked {
            if let Some(Ok(accepted)) = self.bench.answers.get(token) {
                assert!(self.bench.disk.commands.contains_key(&accepted.row().number), "accepted is on disk");
                self.accepted.insert(id.clone());
            }
        }
        for row in &self.bench.results[self.seen..] {
            let outcome = row.outcome.expect("a result has an outcome");
            assert_eq!(
                self.bench.disk.commands[&row.number].outcome,
                Some(outcome),
                "told before it was durable"
            );
            assert_eq!(self.ended.insert(row.id.clone(), outcome), None, "{} ended twice", row.id);
        }
        self.seen = self.bench.results.len();
    }

    /// Everything works from now on: everything must end.
    fn drain(&mut self) {
        self.online = true;
        self.bench.online(true);
        for _ in 0..2_000 {
            self.bench.commit_all();
            self.collect();
            while !self.flying.is_empty() {
                self.settle(0, 0);
                self.bench.commit_all();
            }
            self.take();
            self.bench.commit_all();
            self.collect();
            if self.flying.is_empty() {
                if self.bench.engine.queue.len() == 0 && self.bench.engine.ledger.held().next().is_none() {
                    break;
                }
                self.bench.pass(5_000);
            }
        }
        assert_eq!(self.bench.engine.queue.len(), 0, "something never ends");
        assert!(self.bench.engine.ledger.held().next().is_none(), "something is held for ever");
        assert!(self.bench.engine.ledger.reverting().next().is_none());
        for row in self.bench.disk.commands.values() {
            assert!(row.outcome.is_some(), "lost: {row:?}");
            if row.command == "once" {
                let reached = self.reached.get(&row.number).copied().unwrap_or_default();
                assert!(reached <= 1, "executed {reached} times: {row:?}");
            }
            let untouched = [Outcome::Superseded, Outcome::Cancelled].contains(&row.outcome.unwrap());
            assert!(!untouched || row.verified.is_none());
        }
        for id in &self.accepted {
            assert!(self.ended.contains_key(id) || self.bench.disk.id(id).outcome.is_some(), "{id} is lost");
        }
    }
}

fn cases() -> ProptestConfig {
    ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_happens_nothing_is_lost_nothing_is_repeated_and_everything_ends(
        ops in prop::collection::vec(op(), 1..200)
    ) {
        let mut play = Play::new();
        for op in &ops {
            play.step(op);
        }
        play.drain();
    }
}

#[test]
fn every_outcome_is_reachable() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut reached = HashSet::new();
    for _ in 0..400 {
        let ops = prop::collection::vec(op(), 1..200).new_tree(&mut runner).unwrap().current();
        let mut play = Play::new();
        ops.iter().for_each(|op| play.step(op));
        play.drain();
        reached.extend(play.ended.values().map(|outcome| outcome.as_str()));
    }
    let missing: Vec<_> =
        Outcome::ALL.iter().map(|outcome| outcome.as_str()).filter(|word| !reached.contains(word)).collect();
    assert!(missing.is_empty(), "{missing:?} of {reached:?}");
}
