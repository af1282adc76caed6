//! The goodbye: results that are there, `offline`, a disconnect; each with its time.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::message::{Message, Ticket},
    Connection,
};

/// Until when results, `offline` and the disconnect may take, from the start.
const LIMITS: [Duration; 3] =
    [Duration::from_millis(1_500), Duration::from_millis(2_000), Duration::from_millis(2_200)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Results,
    Offline,
    Disconnect,
}

/// How far the goodbye is, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Farewell {
    stage: Stage,
    since: Instant,
}

impl Farewell {
    /// When the stage's time is over.
    pub fn due(self) -> Instant {
        let limit = match self.stage {
            Stage::Results => LIMITS[0],
            Stage::Offline => LIMITS[1],
            Stage::Disconnect => LIMITS[2],
        };
        self.since + limit
    }

    /// Does nothing else go out any more?
    pub fn is_leaving(self) -> bool {
        self.stage != Stage::Results
    }
}

impl Connection {
    pub(super) fn stop(&mut self) {
        self.farewell = Some(Farewell { stage: Stage::Results, since: Instant::now() });
        // A result may be on disk whose notice has not come here yet.
        self.outbox.look();
    }

    /// Takes the farewell a step on when it is time.
    pub(super) fn leave(&mut self) {
        let Some(farewell) = self.farewell else { return };
        let late = Instant::now() >= farewell.due();
        let done = self.outbox.is_idle() && self.replies.is_empty() && self.chores.is_empty();
        match farewell.stage {
            Stage::Results if late || done => self.say_offline(),
            Stage::Offline if late => self.disconnect(),
            _ => {}
        }
    }

    fn say_offline(&mut self) {
        let Some(link) = self.link.as_mut().filter(|link| link.is_up()) else { return };
        let offline = Message::retained(self.topics.status(), "offline".to_owned());
        let unsent = link.publish(offline, Ticket::Offline);
        self.enter(Stage::Offline);
        if unsent.is_some() {
            self.disconnect();
        }
    }

    pub(super) fn disconnect(&mut self) {
        if let Some(link) = &mut self.link {
            link.disconnect();
        }
        self.enter(Stage::Disconnect);
    }

    fn enter(&mut self, stage: Stage) {
        self.farewell = self.farewell.map(|farewell| Farewell { stage, ..farewell });
    }

    /// Is the farewell over?
    pub(super) fn is_over(&self) -> bool {
        self.farewell.is_some_and(|farewell| {
            let late = farewell.stage == Stage::Disconnect && Instant::now() >= farewell.due();
            late || !self.is_up()
        })
    }
}
