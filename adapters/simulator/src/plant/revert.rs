//! The revert timers: what was told ends by itself when no write renews it. Pure.

use super::{Controls, Touched, US_PER_SECOND};

/// When each control was written last, microseconds of the plant; none once it has reverted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timers {
    storage: Option<u64>,
    limit: Option<u64>,
    set_point: Option<u64>,
}

/// Whole seconds until a control reverts; 0 when it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevertsIn {
    /// The output limit.
    pub limit_s: u32,
    /// The set point.
    pub set_point_s: u32,
}

impl Timers {
    /// A write starts its timers again.
    pub fn start(&mut self, touched: Touched, now_us: u64) {
        let start = |since: &mut Option<u64>, touched: bool| {
            if touched {
                *since = Some(now_us);
            }
        };
        start(&mut self.storage, touched.storage);
        start(&mut self.limit, touched.limit);
        start(&mut self.set_point, touched.set_point);
    }

    /// When the next control reverts.
    pub fn next(&self, controls: &Controls) -> Option<u64> {
        self.ends(controls).into_iter().flatten().min()
    }

    /// Reverts what is due; true when anything was.
    pub fn run(&mut self, controls: &mut Controls, now_us: u64) -> bool {
        let [storage, limit, set_point] = self.ends(controls).map(|end| end.is_some_and(|end| end <= now_us));
        if storage {
            controls.storage.revert();
            self.storage = None;
        }
        if limit {
            controls.limit.revert();
            self.limit = None;
        }
        if set_point {
            controls.set_point.revert();
            self.set_point = None;
        }
        storage || limit || set_point
    }

    pub fn left(&self, controls: &Controls, now_us: u64) -> RevertsIn {
        let [_, limit, set_point] = self.ends(controls).map(|end| {
            let left = end.map_or(0, |end| end.saturating_sub(now_us).div_ceil(US_PER_SECOND));
            u32::try_from(left).unwrap_or(u32::MAX)
        });
        RevertsIn { limit_s: limit, set_point_s: set_point }
    }

    fn ends(&self, controls: &Controls) -> [Option<u64>; 3] {
        let Controls { storage, limit, set_point, .. } = controls;
        let end = |since: Option<u64>, holds: bool, seconds: u32| {
            since.filter(|_| holds && seconds != 0).map(|since| since + u64::from(seconds) * US_PER_SECOND)
        };
        [
            end(self.storage, storage.mode != 0, storage.revert_s.into()),
            end(self.limit, limit.enabled, limit.revert_s),
            end(self.set_point, set_point.enabled, set_point.revert_s),
        ]
    }
}
