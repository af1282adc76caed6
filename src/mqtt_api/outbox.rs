//! Results on their way to the broker. Pure: the caller reads the journal and owns the connection.
//!
//! A result of a command that came from the broker stays `told = false` in the journal until the
//! broker acknowledged each of its messages. A connection that ends forgets what was on the way,
//! and the next one sends it again: a result may arrive twice and is never lost.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use rumqttc::v5::mqttbytes::QoS;

use super::{
    message::{Message, Ticket},
    topics::{Leaf, Topics},
};
use crate::{command::wire, journal::CommandRow};

/// Results that wait in memory; the rest waits in the journal.
const BATCH: usize = 64;
/// Told commands that the journal may not have written down yet; more make it be asked.
const TOLD: usize = 1024;

#[derive(Default)]
pub(super) struct Outbox {
    ready: VecDeque<Arc<CommandRow>>,
    /// Messages of the result that is being sent.
    parts: VecDeque<(Message, Ticket)>,
    /// Messages without PUBACK, by command.
    open: HashMap<u64, usize>,
    /// The broker has them all. The journal writes that down with its next commit and shows them
    /// as untold until then.
    told: HashSet<u64>,
    reading: bool,
    /// There may be more in the journal.
    behind: bool,
}

impl Outbox {
    /// A command ended just now.
    pub fn add(&mut self, row: Arc<CommandRow>) {
        if self.ready.len() >= BATCH {
            self.behind = true;
        } else if !self.knows(row.number) {
            self.ready.push_back(row);
        }
    }

    /// Look into the journal at the next chance.
    pub fn look(&mut self) {
        self.behind = true;
    }

    /// The connection ended: what was on the way is sent again from the journal.
    pub fn lost(&mut self) {
        self.ready.clear();
        self.parts.clear();
        self.open.clear();
        self.behind = true;
    }

    /// Nothing waits and nothing is on the way.
    pub fn is_idle(&self) -> bool {
        self.ready.is_empty()
            && self.parts.is_empty()
            && self.open.is_empty()
            && !self.reading
            && !self.behind
    }

    /// The next message to publish.
    pub fn next(&mut self, topics: &Topics) -> Option<(Message, Ticket)> {
        if self.parts.is_empty() {
            let row = self.ready.pop_front()?;
            // A result that no broker must have is published once and not followed.
            let ticket = if row.told { Ticket::Plain } else { Ticket::Result(row.number) };
            self.parts =
                messages(&row, topics).into_iter().map(|message| (message, ticket.clone())).collect();
            if !row.told {
                self.open.insert(row.number, self.parts.len());
            }
        }
        self.parts.pop_front()
    }

    /// The broker took one message of this result. True when it has them all and the journal is to
    /// be told.
    pub fn taken(&mut self, number: u64) -> bool {
        let Some(left) = self.open.get_mut(&number) else { return false };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return false;
        }
        self.open.remove(&number);
        self.told.insert(number);
        self.behind |= self.told.len() > TOLD;
        true
    }

    /// The broker could not take it now; it is sent again when the journal is next looked into.
    pub fn refused(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// How many untold results to read from the journal now, if any: more than are known here.
    pub fn read(&mut self) -> Option<usize> {
        if !self.behind || self.reading || !self.ready.is_empty() {
            return None;
        }
        self.behind = false;
        self.reading = true;
        Some(BATCH + self.open.len() + self.told.len())
    }

    /// What the journal had; `all` when there is no more.
    pub fn found(&mut self, rows: Vec<CommandRow>, all: bool) {
        self.reading = false;
        self.behind |= !all;
        if all {
            let untold: HashSet<_> = rows.iter().map(|row| row.number).collect();
            self.told.retain(|number| untold.contains(number));
        }
        for row in rows {
            if !self.knows(row.number) {
                self.ready.push_back(Arc::new(row));
            }
        }
    }

    fn knows(&self, number: u64) -> bool {
        self.open.contains_key(&number)
            || self.told.contains(&number)
            || self.ready.iter().any(|row| row.number == number)
    }
}

fn messages(row: &CommandRow, topics: &Topics) -> Vec<Message> {
    let json = wire::result(row);
    let mut messages = Vec::with_capacity(3);
    // The asker first: it may hold something back until it knows.
    messages.extend(row.reply.as_ref().map(|reply| Message::reply(reply, &json)));
    messages.push(Message::json(topics.device(&row.device, Leaf::Result), QoS::AtLeastOnce, &json));
    messages.push(Message::json(topics.result(), QoS::AtLeastOnce, &json));
    messages
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adapter_api::{CommandSource, CommandStatus, DeviceId, Outcome, Parameters, Priority};

    use super::*;
    use crate::journal::Reply;

    fn row(number: u64, reply: bool) -> CommandRow {
        CommandRow {
            number,
            id: format!("id-{number}"),
            device: DeviceId::new("roof").unwrap(),
            command: "refresh".into(),
            parameters: Parameters::default(),
            priority: Priority::Normal,
            source: CommandSource::Automation,
            owner: "mqtt:me".into(),
            status: CommandStatus::Completed,
            outcome: Some(Outcome::Done),
            correlation_id: None,
            batch_id: None,
            issued_at: None,
            accepted_at: 1_000,
            scheduled_at: None,
            expires_at: 61_000,
            executed_at: Some(1_000),
            completed_at: Some(1_000 + Duration::from_millis(5).as_millis() as i64),
            attempts: 1,
            max_retries: 3,
            verified: Some(true),
            written: Some(true),
            requested: None,
            observed: None,
            error: None,
            superseded_by: None,
            reply: reply.then(|| Reply { topic: "me/answers".into(), correlation: Some(vec![1, 2]) }),
            redelivery: None,
            told: false,
            events: vec![],
        }
    }

    fn sent(outbox: &mut Outbox) -> Vec<(String, Ticket)> {
        let topics = Topics::new("maestro");
        std::iter::from_fn(|| outbox.next(&topics))
            .map(|(message, ticket)| (message.topic().into(), ticket))
            .collect()
    }

    #[test]
    fn a_result_is_told_when_the_broker_has_all_of_its_messages() {
        let mut outbox = Outbox::default();
        outbox.add(Arc::new(row(7, true)));
        let messages = sent(&mut outbox);
        let topics: Vec<_> = messages.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(topics, ["me/answers", "maestro/device/roof/result", "maestro/result"]);
        assert!(messages.iter().all(|(_, ticket)| *ticket == Ticket::Result(7)));
        assert_eq!([outbox.taken(7), outbox.taken(7), outbox.taken(7)], [false, false, true]);
        assert!(outbox.is_idle());
    }

    #[test]
    fn what_was_on_the_way_when_the_connection_ended_is_read_from_the_journal_again() {
        let mut outbox = Outbox::default();
        outbox.add(Arc::new(row(7, false)));
        assert_eq!(sent(&mut outbox).len(), 2);
        assert!(!outbox.taken(7));
        outbox.lost();
        assert!(outbox.read().is_some());
        outbox.found(vec![row(7, false)], true);
        assert_eq!(sent(&mut outbox).len(), 2);
        assert!(!outbox.taken(7) && outbox.taken(7));
    }

    #[test]
    fn what_is_told_but_not_written_down_yet_is_not_sent_again() {
        let mut outbox = Outbox::default();
        outbox.add(Arc::new(row(7, false)));
        sent(&mut outbox);
        assert!(!outbox.taken(7) && outbox.taken(7));
        for _ in 0..2 {
            outbox.look();
            assert!(outbox.read().is_some());
            outbox.found(vec![row(7, false)], true);
            assert!(sent(&mut outbox).is_empty());
        }
        // Written down: forgotten here.
        outbox.look();
        assert_eq!(outbox.read(), Some(BATCH + 1));
        outbox.found(vec![], true);
        outbox.look();
        assert_eq!(outbox.read(), Some(BATCH));
    }

    #[test]
    fn a_backlog_goes_out_in_batches_and_none_is_forgotten() {
        let mut outbox = Outbox::default();
        let mut journal: Vec<_> = (1..=500).map(|number| row(number, false)).collect();
        for row in &journal {
            outbox.add(Arc::new(row.clone()));
        }
        let mut told = Vec::new();
        for _ in 0..500 {
            for (_, ticket) in sent(&mut outbox) {
                if let Ticket::Result(number) = ticket
                    && outbox.taken(number)
                {
                    told.push(number);
                }
            }
            if let Some(limit) = outbox.read() {
                journal.retain(|row| !told.contains(&row.number));
                let rows: Vec<_> = journal.iter().take(limit).cloned().collect();
                let all = rows.len() < limit;
                outbox.found(rows, all);
            }
        }
        assert_eq!(told, (1..=500).collect::<Vec<_>>());
        assert!(outbox.is_idle());
    }

    #[test]
    fn a_result_of_another_door_is_published_and_not_followed() {
        let mut outbox = Outbox::default();
        outbox.add(Arc::new(CommandRow { told: true, ..row(7, false) }));
        assert!(sent(&mut outbox).iter().all(|(_, ticket)| *ticket == Ticket::Plain));
        assert!(outbox.is_idle());
    }
}
