//! One value of a state: which registers take it, where it comes from, and what is wrong with it. Pure data.

use serde::Deserialize;

use super::{RegisterType, Timer, WordOrder};

/// One value that is written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The first holding register.
    pub register: u16,
    /// How the value is laid into registers.
    #[serde(rename = "type", default = "super::plain")]
    pub kind: RegisterType,
    /// Order of the registers.
    #[serde(default)]
    pub order: WordOrder,
    /// The raw value.
    pub value: Option<i64>,
    /// Or where it comes from.
    pub from: Option<Quantity>,
    /// What a percentage is a part of, and what `most` means: the device's rating unless said.
    #[serde(default)]
    pub of: Rating,
    /// raw = quantity / scale; negative where the device counts the other way round.
    #[serde(default = "super::one")]
    pub scale: f64,
    /// Least raw value.
    pub min: Option<i64>,
    /// Greatest raw value.
    pub max: Option<i64>,
    /// The raw value where the command does not say the quantity.
    pub otherwise: Option<i64>,
    /// Only these bits are changed; the others stay as a fresh read shows them. One register.
    pub mask: Option<u16>,
    /// In one request with the write before it, whose last register is the one before.
    #[serde(default)]
    pub together: bool,
    /// By function 6; one register.
    #[serde(default)]
    pub single: bool,
    /// Does it wear out, although the rest of the setpoint does not?
    #[serde(default)]
    pub persistent: bool,
    /// It makes the device take what was written before: written whenever anything is, also when it shows the value.
    #[serde(default)]
    pub trigger: bool,
    /// It cannot be read back, or shows something else by design.
    #[serde(default)]
    pub blind: bool,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Quantity {
    Power,
    Percent,
    Current,
    Soc,
    Timer,
    Most,
}

/// What a percentage is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Rating {
    #[default]
    Power,
    Charge,
    Discharge,
}

impl Write {
    pub(super) fn check(&self, before: Option<&Self>, timer: Option<Timer>) -> Result<(), String> {
        let at = format!("the write of register {}", self.register);
        let (least, most) = self.kind.bounds();
        let fits = |raw: i64| (least..=most).contains(&raw);
        if self.value.is_some() == self.from.is_some() {
            return Err(format!("{at} needs either `value` or `from`"));
        }
        if let Some(raw) =
            [self.value, self.min, self.max, self.otherwise].into_iter().flatten().find(|raw| !fits(*raw))
        {
            return Err(format!("{at}: {raw} does not fit into its type: choose a larger `type`"));
        }
        if self.from == Some(Quantity::Timer) && timer.is_none_or(|timer| timer.fixed) {
            return Err(format!(
                "{at} takes the timer: the setpoint needs `timer = {{ longest = \"120s\" }}`"
            ));
        }
        if self.scale == 0.0 || !self.scale.is_finite() {
            return Err(format!("{at} needs a `scale` other than 0"));
        }
        let alone = self.kind.registers() == 1;
        if (self.mask.is_some() || self.single) && !alone {
            return Err(format!(
                "{at}: `mask` and `single` go with one register: leave them out, or set `type` to u16 or i16"
            ));
        }
        if self.mask.zip(self.value).is_some_and(|(mask, value)| value & !i64::from(mask) != 0) {
            return Err(format!("{at}: `value` has bits that `mask` does not change: add them to the mask"));
        }
        if self.register.checked_add(self.kind.registers() - 1).is_none() {
            return Err(format!("{at} ends above register 65535: check `register` and `type`"));
        }
        let adjacent =
            |before: &Self| before.register.checked_add(before.kind.registers()) == Some(self.register);
        if self.together && (self.single || !before.is_some_and(adjacent)) {
            return Err(format!(
                "{at}: `together` needs the write before it to end one register before, and no `single`"
            ));
        }
        Ok(())
    }
}
