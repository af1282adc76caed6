//! What a device expects of its clients, and when they have none. Pure; the caller brings the clock.

use std::time::{Duration, Instant};

/// A client's clock and the way to it are not ours: it may be so much too early.
const TOLERANCE: f64 = 0.2;

/// What a port expects; nothing unless said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Manners {
    /// From an answer to the next request, whichever connection that comes on.
    pub spacing: Duration,
    /// From a connection to its first request.
    pub pause_after_connect: Duration,
    /// A connection on which nothing comes for so long is closed without a word.
    pub idle_close: Option<Duration>,
    /// A second connection is closed at once.
    pub one_client: bool,
}

impl Manners {
    /// Does a request come too soon?
    pub(super) fn hurried(
        &self,
        now: Instant,
        connected: Option<Instant>,
        answered: Option<Instant>,
    ) -> bool {
        let soon = |since: Option<Instant>, pause: Duration| {
            // An answer that is still to come is nothing to wait for.
            since.is_some_and(|since| since <= now && now < since + pause.mul_f64(1.0 - TOLERANCE))
        };
        soon(connected, self.pause_after_connect) || soon(answered, self.spacing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_may_come_a_fifth_too_soon_and_no_sooner() {
        let manners = Manners {
            spacing: Duration::from_millis(100),
            pause_after_connect: Duration::from_secs(1),
            ..Manners::default()
        };
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let hurried = |ms: u64| manners.hurried(after(ms), Some(start), None);
        assert_eq!((hurried(0), hurried(799), hurried(800)), (true, true, false));
        let hurried = |ms: u64| manners.hurried(after(ms), None, Some(start));
        assert_eq!((hurried(0), hurried(79), hurried(80)), (true, true, false));
        assert!(!manners.hurried(start, None, Some(after(50))));
        assert!(!Manners::default().hurried(start, Some(start), Some(start)));
    }
}
