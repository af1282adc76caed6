//! What a command is and may do next.
//!
//! `admission` (pure) decides whether a request may become a command, `queue` and `state` (pure)
//! decide who goes next and what an outcome means, `dispatcher` is the one task that owns them,
//! `handle` is what doors hold and `port` is what adapters pull from. Accepting is a commit in the
//! journal; `executing` is one as well, before an adapter gets the command; a result is committed
//! before it is told. Knows no door, no adapter and no MongoDB.

pub mod admission;
mod dispatcher;
mod handle;
mod messages;
mod port;
mod queue;
mod request;
mod state;
#[cfg(test)]
mod tests;
pub mod wire;

pub use self::{
    dispatcher::Dispatcher,
    handle::{Commands, Settings},
    port::Port,
    request::{Accepted, Notice, Refusal, RefusalCode, Request},
};
