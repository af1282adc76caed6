//! The whole-freedom tier.

use std::{future::Future, pin::Pin};

use tokio_util::sync::CancellationToken;

use crate::{Clock, Commands, Outlet, Pulse, Store};

/// A boxed future, for traits that are used behind a pointer.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why an adapter asks to be started again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct AdapterError(pub String);

/// All that an adapter may touch.
pub struct Context {
    /// Readings, devices, availability and problems go out here.
    pub outlet: Outlet,
    /// Commands are pulled here.
    pub commands: Commands,
    /// Notes that outlive a restart.
    pub store: Store,
    /// Cancelled when the adapter shall end; it finishes what is in flight and returns.
    pub shutdown: CancellationToken,
    /// The time.
    pub clock: Clock,
    /// Shows that its loop turns; it may rest for ever.
    pub pulse: Pulse,
}

/// Owns one connection to one group of devices until `shutdown`.
pub trait Adapter: Send {
    /// Runs until shutdown. An `Err` asks the supervisor for a restart with backoff; a panic
    /// restarts this adapter alone.
    fn run(self: Box<Self>, context: Context) -> BoxFuture<'static, Result<(), AdapterError>>;
}
