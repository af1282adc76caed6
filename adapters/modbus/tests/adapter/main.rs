//! The whole adapter, as the gateway runs it, against devices on sockets and lines. The simulator
//! shares no code with the adapter.

#![expect(clippy::unwrap_used, reason = "a test; clippy knows only its test functions as such")]

mod ear;
mod faults;
mod home;
mod products;
mod raw_cases;
