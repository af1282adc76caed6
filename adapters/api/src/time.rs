//! The time as an adapter sees it. Wall time can be wrong and can jump; the monotonic time never
//! does within one boot, and the boot id says within which.

use std::{fmt, sync::Arc, time::Duration};

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
    /// Milliseconds since boot, also counting sleep.
    pub mono_ms: u64,
}

impl Moment {
    /// Monotonic time since an earlier moment of the same boot; zero when it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.mono_ms.saturating_sub(earlier.mono_ms))
    }
}

/// Where moments come from. The gateway reads the system's clocks; tests bring their own.
#[derive(Clone)]
pub struct Clock {
    boot: Arc<str>,
    now: Arc<dyn Fn() -> Moment + Send + Sync>,
}

impl Clock {
    /// A clock of the boot with this id.
    pub fn new(boot: &str, now: impl Fn() -> Moment + Send + Sync + 'static) -> Self {
        Self { boot: Arc::from(boot), now: Arc::new(now) }
    }

    /// The current moment.
    pub fn now(&self) -> Moment {
        (self.now)()
    }

    /// The kernel's id of this boot.
    pub fn boot(&self) -> &str {
        &self.boot
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock(boot {})", self.boot)
    }
}
