//! What doors and ports send.

use adapter_api::Moment;
use tokio::sync::oneshot;

use super::{Asker, Dispatcher};
use crate::command::{
    Request,
    engine::Token,
    messages::{Admission, Key, Message, keys},
};

impl Dispatcher {
    fn ask(&mut self, asker: Asker) -> Token {
        self.tokens += 1;
        self.askers.insert(self.tokens, asker);
        self.tokens
    }

    pub(super) fn handle(&mut self, message: Message) {
        let now = self.shared.clock.now();
        match message {
            Message::Admit { request, looked, reply } => self.admit(*request, looked, reply, now),
            Message::Release { keys } => self.release(keys),
            Message::Find { id, reply } => {
                let _ = reply.send(self.engine.find(&id).cloned());
            }
            Message::BatchBegin { id, begin, reply } => {
                let to = self.ask(Asker::Kept(reply));
                self.engine.batch_begin(&id, *begin, to);
            }
            Message::BatchComplete { id, complete } => self.engine.batch_complete(&id, *complete),
            Message::Cancel { id, by, reply } => {
                let to = self.ask(Asker::Cancel(reply));
                self.engine.cancel(&id, &by, to, now);
            }
            Message::Take { adapter, place, reply } => {
                let to = self.ask(Asker::Take(place, reply));
                self.engine.take(&adapter, to, now);
            }
            Message::NotTaken { what } => self.engine.not_taken(what, now),
            Message::Settled { what, outcome, wore } => self.engine.settled(what, outcome, wore, now),
            Message::Resolve { number, step, reply } => {
                let to = self.ask(Asker::Kept(reply));
                self.engine.resolve(number, &step, to, now);
            }
            Message::Close { scope, reason, reply } => {
                self.engine.close(scope, &reason, now);
                self.closing.push(reply);
            }
            Message::Reopen => self.engine.reopen(now),
        }
    }

    fn admit(&mut self, request: Request, looked: bool, reply: oneshot::Sender<Admission>, now: Moment) {
        let keys = keys(&request);
        if !looked {
            if let Some(key) = keys.iter().find(|key| self.reserved.contains_key(key)) {
                let (done, wait) = oneshot::channel();
                self.reserved.entry(key.clone()).or_default().push(done);
                let _ = reply.send(Admission::Wait(wait));
                return;
            }
            let live = request.id.as_deref().and_then(|id| self.engine.find(id));
            let message = request.redelivery.as_deref().filter(|_| request.redelivered);
            if let Some(row) = live.or_else(|| self.engine.find_message(message?)) {
                let _ = reply.send(Admission::Live(row.clone()));
                return;
            }
            for key in &keys {
                self.reserved.insert(key.clone(), Vec::new());
            }
            if request.id.is_some() || message.is_some() {
                let _ = reply.send(Admission::LookUp);
                return;
            }
        }
        let to = self.ask(Asker::Admission(keys, reply));
        let devices = &self.shared.devices;
        let device = devices.get(&request.device);
        let known = || devices.all().into_iter().map(|row| row.info.id.to_string()).collect();
        self.engine.admit(request, device.as_ref(), known, to, now);
    }

    pub(super) fn release(&mut self, keys: Vec<Key>) {
        for key in keys {
            // Dropping the senders wakes who waits for this key.
            self.reserved.remove(&key);
        }
    }
}
