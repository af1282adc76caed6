//! The one integration binary: the real `maestro` program against a real mongod, a real mosquitto
//! and devices on sockets. Tests wait on conditions with a deadline, never for a time.

// Helpers of tests are not in #[test] functions, where the lints already allow it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod architecture;
mod bad_commands;
mod bad_configuration;
mod bad_devices;
mod commands;
mod crash;
mod demo;
mod doors;
mod field;
mod home;
mod installer_profiles;
mod leases;
mod line;
mod mongodb;
mod mqtt_door;
mod parts;
mod storm;
mod supervision;
mod truth;
mod uplink;
mod week;
