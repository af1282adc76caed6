//! What a product is told in watts, whatever its registers look like. It goes before the rates and percentages of
//! SunSpec. Pure.

/// What holds now; nothing: the device does as it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Orders {
    /// Least and greatest battery power, W, positive = discharging. The same twice: it must be so.
    pub battery: Option<(i64, i64)>,
    /// Content at which it stops discharging, and the one at which it stops charging, hundredths of a percent.
    pub until: (Option<u16>, Option<u16>),
    /// Greatest AC output, W.
    pub output: Option<i64>,
    /// Greatest power into the grid, W.
    pub export: Option<i64>,
}
