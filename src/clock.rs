//! The system's clocks, as [`adapter_api::Clock`] wants them.

use std::fs;

use adapter_api::{Clock, Moment};
use rustix::time::{ClockId, clock_gettime};

/// Wall time, and the time since boot that also counts sleep.
pub fn system() -> Clock {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Clock::new(boot.trim(), || {
        let wall = clock_gettime(ClockId::Realtime);
        let boot = clock_gettime(ClockId::Boottime);
        let mono_ms = boot.tv_sec * 1000 + boot.tv_nsec / 1_000_000;
        Moment {
            wall_ms: wall.tv_sec * 1000 + wall.tv_nsec / 1_000_000,
            mono_ms: u64::try_from(mono_ms).unwrap_or(0),
        }
    })
}
