//! The simulator over real sockets, with frames that the tests build themselves.

mod controls;
mod converter;
mod faults;
mod home;
mod line;
mod many;
mod serial;
mod server;
mod sunspec;
mod wire;
