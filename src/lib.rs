//! Maestro Gateway: the architecture.
//!
//! One process on a home gateway. It reads inverters, batteries and meters, keeps every reading and
//! every command on its own disk, copies them to MongoDB, and executes commands from automations
//! with an answer that is always true.
//!
//! ```text
//! READINGS  device ─▶ adapter ─▶ outlet ─▶ journal thread ─▶ pending file (tmpfs) ─▶ group commit ─▶ SQLite ─▶ uplink ─▶ MongoDB
//!                        ▲                     │ └─▶ live ─▶ MQTT states, API
//!                        └── back-pressure ────┘
//! COMMANDS  MQTT │ HTTP │ CLI ─▶ admission ─▶ journal commit ─▶ "accepted" ─▶ queue
//!           ─▶ an adapter pulls ─▶ "executing" committed ─▶ write, settle, fresh read-back ─▶ outcome
//!           ─▶ journal commit, with who holds the setpoint now ─▶ result to the asker, MongoDB
//!           ─▶ at the end of the lease: the setpoint is given back, as a command of its own
//! ```
//!
//! # Map, in reading order
//! * `adapters/api` (crate `adapter_api`): the contract, the data model's words, profiles as data.
//! * `config/profiles`: one file for each device model, compiled in: what it reads, what can be set in it and in which
//!   order, what it does when nobody sets it again. The raw words that prove them are in
//!   `adapters/modbus/testdata/profiles`.
//! * `adapters/modbus`: Modbus over TCP and on serial lines, SunSpec and register profiles.
//! * `adapters/simulator`: the other end of the wire, for the demo, training and tests: a home, or any profile with a
//!   plant behind it. It never shares code with the adapter.
//! * [`config`]: the whole file as types, with findings that name file, line, key and remedy.
//! * [`catalog`]: the list of adapters; a new protocol adds its lines there.
//! * [`supervisor`]: workers, restarts, the ordered stop. [`clock`]: the system's clocks.
//! * [`journal`]: the one durable store on this machine; an OS thread that owns SQLite.
//! * [`live`]: the latest value of every point. [`devices`]: the registry.
//! * [`command`]: admission, the queue, leases, and the engine that puts them together, all pure; the
//!   dispatcher that owns it, and the port that adapters pull from.
//! * [`mongo`]: what lies in MongoDB. [`uplink`]: journal → MongoDB.
//! * [`mqtt_api`], [`http`], [`cli`]: the doors. [`broker`]: an MQTT broker for homes without one.
//! * [`health`]: systemd and its watchdog.
//! * [`app`]: builds and wires all of it; the only file that wires.
//!
//! # Invariants
//! 1. Nothing on this machine waits for MongoDB or asks it in order to work.
//! 2. A reading that was taken is in the pending file before it is shown anywhere; while that file
//!    cannot be written, readings are committed each second instead.
//! 3. A command is on disk before it is accepted, `executing` is on disk before an adapter has it,
//!    a result is on disk before it is told. What can start at once is accepted and made `executing`
//!    in one commit.
//! 4. At most one command is in an adapter's hands per physical unit, and a job that falls is
//!    read back from the device: no command is ever forgotten, none silently repeated.
//! 5. Whatever may have reached a device and is held is given back: at the end of its lease, after a
//!    crash or a reboot, before a stop and before its device is removed.
//! 6. Energy increments are computed once, in journal order, and stored with the reading; a resend
//!    repeats them under the same `_id`.
//! 7. Every channel is bounded by a named constant; one task or thread owns each piece of state.
//! 8. Who may import whom is a test (`tests/it/architecture.rs`).
//!
//! # What the dependencies are for
//! anyhow: errors of the command line and the wiring · axum: HTTP on the Unix socket · backon: backoff · clap:
//! arguments · crc32fast: checksums of the pending file · crossbeam-channel: the way into the journal's thread ·
//! figment: layers of configuration · futures-util: streams of the MongoDB driver · indicatif: the progress of a scan ·
//! jiff: time and time zones · mongodb: the copy · reqwest: the client commands' HTTP · rmqtt: the embedded broker ·
//! rumqttc: the MQTT client · rusqlite: the journal · rustix: the clocks · rustls: the one TLS stack · sd-notify:
//! systemd · serde, serde_json, toml, toml_edit: configuration and messages · socket2: TCP keep-alive · thiserror:
//! errors · tokio, tokio-util: the runtime · tokio-serial: serial ports · tracing, tracing-subscriber: logs · uuid: ids
//! · zstd: compressed batches.

pub mod app;
pub mod broker;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod command;
pub mod config;
pub mod devices;
pub mod health;
pub mod http;
pub mod journal;
pub mod live;
pub mod mongo;
pub mod mqtt_api;
pub mod supervisor;
pub mod uplink;
