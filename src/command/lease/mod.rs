//! Who holds which setpoint of a device, until when, and what comes after. Pure: `ledger` decides,
//! `terms` is one lease, `note` is how it is kept in the journal, `view` is how doors show it.

mod ledger;
mod note;
mod terms;
pub(super) mod view;

pub use self::terms::TIMER_MOST;
pub(super) use self::{
    ledger::Ledger,
    note::SPACE,
    terms::{Age, Lease, REWRITE_LEAST, Setpoint, Write, held_by, lost, rewrite_at, timer},
};
