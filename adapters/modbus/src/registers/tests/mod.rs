//! Register units against a device on a socket, and the plans and facts of all profiles.

mod bench;
mod commands;
mod given_back;
mod mixed;
mod plans;
mod profiles;
mod reads;
mod wear;
