//! What waits can be taken back.

use std::sync::Arc;

use adapter_api::{Moment, Purpose};

use super::{Action, Engine, Pending, Token};
use crate::{
    command::{Cancelled, Refusal, RefusalCode, queue::Phase, state},
    journal::Change,
};

impl Engine {
    /// Takes back what waits; what an adapter has is not tried again.
    pub fn cancel(&mut self, id: &str, by: &str, to: Token, now: Moment) {
        let Some(entry) = self.queue.by_id(id) else {
            return self.out.push(Action::Cancelled(to, None));
        };
        let (row, number) = (entry.row.clone(), entry.row.number);
        let reverts = row.reverts.is_some();
        let waits = entry.phase == Phase::Waiting && (reverts || entry.purpose == Purpose::Execute);
        // A device that is no longer configured will never confirm: then a person may end it.
        if row.reverts.is_some() && self.devices.contains_key(&row.device) {
            let message = "it gives a setpoint back that was held; send the device another command instead";
            let refusal = Refusal::new(RefusalCode::Held, message);
            return self.out.push(Action::Cancelled(to, Some(Err(refusal))));
        }
        if waits {
            let ended = Arc::new(state::cancel(&row, by, now));
            let setpoints = self.ledger.not_given_back(&row.id);
            self.queue.change(number, |entry| entry.phase = Phase::Committing);
            let changes = vec![Change::Update((*ended).clone())];
            return self.commit(Pending::Cancel { to, row: ended }, changes, setpoints, Vec::new(), reverts);
        }
        self.queue.change(number, |entry| entry.cancelled_by = Some(by.to_owned()));
        self.out.push(Action::Cancelled(to, Some(Ok(Cancelled::TooLate(row)))));
    }
}
