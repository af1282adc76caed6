//! What a command is and may do next.
//!
//! `admission` decides whether a request may become a command, `queue` who goes next, `state` what an
//! outcome means, `lease` who holds which setpoint, `rate` and `wear` how often, and `effect` whether a
//! battery followed; `engine` puts them together. All of these are pure. `dispatcher` is the one task
//! that owns the engine, `handle` is what doors hold and `port` is what adapters pull from. Accepting is a commit in the
//! journal; `executing` is one as well, before an adapter gets the command; a result is committed
//! before it is told. Knows no door, no adapter and no MongoDB.

pub mod admission;
mod dispatcher;
mod effect;
mod engine;
mod handle;
mod lease;
mod messages;
mod port;
mod queue;
mod rate;
mod request;
mod state;
#[cfg(test)]
mod tests;
mod wear;
pub mod wire;

pub use self::{
    dispatcher::Dispatcher,
    engine::Known,
    handle::{Commands, Settings},
    lease::{
        TIMER_MOST,
        view::{Holder, LeaseLost, LeaseView, Refused, Writer},
    },
    port::Port,
    request::{Accepted, Batch, BatchAnswer, Cancelled, LeaseRequest, Notice, Refusal, RefusalCode, Request},
    wear::WearLimits,
};
