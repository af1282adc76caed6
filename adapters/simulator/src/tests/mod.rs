//! The simulator over real sockets, with frames that the tests build themselves.

mod builtin;
mod controls;
mod converter;
mod dial;
mod faults;
mod held;
mod home;
mod line;
mod many;
mod product;
mod serial;
mod server;
mod strict;
mod sunspec;
mod told;
mod wire;
