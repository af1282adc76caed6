//! The simulator over real sockets, with frames that the tests build themselves.

mod controls;
mod faults;
mod home;
mod server;
mod wire;
