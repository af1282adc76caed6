//! The easy tier: a driver speaks a protocol, [`crate::drive`] decides when.

use std::{future::Future, sync::Arc, time::Duration};

use crate::{
    AdapterError, Counter, DeviceId, DeviceInfo, Job, Parameters, Problem, Reading, UnitId, WriteOutcome,
};

/// One physical unit behind a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its id.
    pub id: UnitId,
    /// The devices that it is known to be, for availability before it first answers.
    pub devices: Vec<DeviceId>,
    /// How often it is read.
    pub interval: Duration,
    /// It sleeps by night: then this device of it gives no power, which is no failure.
    pub sleeps: Option<DeviceId>,
}

/// Which points a read shall bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Those whose turn it is: some are read at every turn of the unit, others seldom.
    Due,
    /// All of them, for somebody asked.
    All,
}

/// Why a unit gave no readings.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The connection itself cannot be opened: none of its units can be asked, and no byte left.
    #[error("{0}")]
    Unreachable(Problem),
    /// It did not answer. When that lasts, it is only probed, ever more rarely.
    #[error("{0}")]
    Silent(Problem),
    /// It answered, but not with values: busy, an exception, an answer that cannot be believed.
    /// When that lasts it is told with these words, and asked on at its own interval.
    #[error("{0}")]
    Answered(Problem),
}

impl Fault {
    /// The words.
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Unreachable(problem) | Self::Silent(problem) | Self::Answered(problem) => problem,
        }
    }
}

/// How a write went, before any read-back.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// Accepted by the device; look from `settle` on.
    Sent {
        /// What the device needs before a fresh read means anything.
        settle: Duration,
        /// Was anything among it that wears out? Only said of [`crate::Wear::Partly`].
        wore: bool,
    },
    /// It is so already; nothing was sent.
    Already {
        /// Fresh values.
        observed: Parameters,
    },
    /// It ended here.
    Ended(WriteOutcome),
}

/// What a fresh read says about a command.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadBack {
    /// As asked, within one step.
    Applied {
        /// Fresh values.
        observed: Parameters,
    },
    /// Something else.
    Different {
        /// What was asked for, as the device would show it.
        requested: Parameters,
        /// Fresh values.
        observed: Parameters,
    },
    /// This command leaves nothing to read.
    Nothing,
    /// The read itself failed.
    Failed(Fault),
}

/// Speaks a protocol on one connection. Every method has its own deadlines, and may be dropped at
/// any await: what was in flight then is thrown away with its connection.
pub trait Driver: Send {
    /// The units, known from the configuration.
    fn units(&self) -> Vec<Unit>;

    /// One cheap request, or the discovery where the unit is not known yet. Returns its devices.
    /// Comes before the first read, and before the next one of a unit that was away: what a unit must
    /// be set up with is sent here, for it may have lost it meanwhile. Dropped early when a unit that was
    /// away is asked out of turn and others wait: after a few times what the link takes for its answers.
    ///
    /// # Errors
    /// [`Fault`] when it does not answer usefully.
    fn probe(&mut self, unit: &UnitId) -> impl Future<Output = Result<Vec<DeviceInfo>, Fault>> + Send;

    /// The wanted points of all devices of the unit, of one instant.
    ///
    /// # Errors
    /// [`Fault`] when it does not answer usefully; nothing is published then.
    fn read(
        &mut self,
        unit: &UnitId,
        wanted: Wanted,
    ) -> impl Future<Output = Result<Vec<Reading>, Fault>> + Send;

    /// What was not believed since the last call, by device. Asked after each read.
    fn disbelieved(&mut self) -> Vec<(DeviceId, Counter, u64)> {
        Vec::new()
    }

    /// How long one turn of the unit takes at least, as far as that can be computed: the time that its
    /// frames need on the wire, and the pauses between them. Zero where nothing is known.
    fn turn(&self, unit: &UnitId) -> Duration {
        let _ = unit;
        Duration::ZERO
    }

    /// What a relative command (`toggle`) comes to now, by a fresh read: the command that says it
    /// outright, and its parameters. Sends nothing. A driver without relative commands leaves it out.
    ///
    /// # Errors
    /// [`Fault`] when the unit does not say what is now.
    fn resolve(&mut self, job: &Job) -> impl Future<Output = Result<(Arc<str>, Parameters), Fault>> + Send {
        let problem = Problem::new(
            format!("{} takes no relative command like `{}`", job.device, job.command),
            "Send the command that says outright what shall be",
        );
        async { Err(Fault::Answered(problem)) }
    }

    /// Sends the writes of a command, and with them `job.timer` where the device has a revert timer.
    /// What is so already is written nevertheless when a timer is wanted: that starts it anew.
    fn write(&mut self, job: &Job) -> impl Future<Output = Written> + Send;

    /// Reads fresh what the command was to change.
    fn read_back(&mut self, job: &Job) -> impl Future<Output = ReadBack> + Send;

    /// What the driver does while nothing is due, such as closing a connection that was idle for long
    /// enough. Returns once it has done something; a driver that has nothing to do waits for ever.
    fn rest(&mut self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    /// Closes the connection in good order; called once, at the end.
    fn close(&mut self) -> impl Future<Output = Result<(), AdapterError>> + Send;
}
