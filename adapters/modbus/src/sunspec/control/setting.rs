//! `set_reserve` and `write_point`: one setting of model 124, which stays until it is set again.

use adapter_api::Value;

use super::{Ask, Block, Lasting, ONLY_TRUE, Order, holds, parameters, slack};
use crate::{
    codec::{scaled, unscaled},
    sunspec::{devices::Limits, models::storage::SETTINGS},
};

/// The greatest uint16 that is a value.
const MOST: u16 = 0xFFFE;
/// The point that `set_reserve` sets.
pub(crate) const RESERVE: &str = "MinRsvPct";

/// `set_reserve {soc | restore}`; `noted` is the value to go back to. A command with a timer holds it for a
/// time, although this setting has none: what was there before is noted.
///
/// # Errors
/// In words, when this device cannot do it.
pub(crate) fn reserve_order(ask: Ask<'_>, now: Block<'_>, noted: Option<u16>) -> Result<Order, String> {
    let setting = Setting::of(RESERVE, "soc", now)?;
    let raw = match (ask.parameters.number("soc"), ask.parameters.get("restore")) {
        (Some(soc), _) => setting.raw(soc, 100.0)?,
        (None, Some(Value::Bool(true))) => noted.unwrap_or(setting.shown),
        (None, Some(_)) => return Err(ONLY_TRUE.to_owned()),
        (None, None) => return Err("say one of `soc` and `restore`".to_owned()),
    };
    let order = setting.order(raw, now);
    Ok(Order {
        keep: (ask.timer.is_some() && noted.is_none() && !order.already).then(|| vec![setting.shown]),
        lasting: match noted {
            Some(noted) if noted != setting.shown => Lasting::Other,
            _ => Lasting::AsNoted,
        },
        forgets: ask.timer.is_none() && noted.is_some(),
        ..order
    })
}

/// `write_point {point, value}`; the profile says which points are allowed.
///
/// # Errors
/// In words, when this device cannot do it or may not.
pub(crate) fn point_order(ask: Ask<'_>, now: Block<'_>, limits: Limits) -> Result<Order, String> {
    let point = ask.parameters.word("point").ok_or("say `point`")?;
    let value = ask.parameters.number("value").ok_or("say `value`")?;
    let most = match point {
        RESERVE => 100.0,
        "WChaMax" => limits.charge.unwrap_or(f64::MAX),
        _ => f64::MAX,
    };
    if point == "WChaMax" && value <= 0.0 {
        return Err("`WChaMax` must be above 0: all rates are parts of it".to_owned());
    }
    let setting = Setting::of(point, point, now)?;
    // An installer's value lasts, whoever held another one before.
    Ok(Order { forgets: point == RESERVE, ..setting.order(setting.raw(value, most)?, now) })
}

/// One setting of this device, as it is now.
#[derive(Clone, Copy)]
struct Setting<'a> {
    /// What its value is called in the answer.
    name: &'a str,
    at: u16,
    shift: i16,
    shown: u16,
}

impl<'a> Setting<'a> {
    fn of(point: &str, name: &'a str, now: Block<'_>) -> Result<Self, String> {
        let known = SETTINGS.iter().find(|(known, ..)| *known == point);
        let (_, at, scale) = known.ok_or_else(|| format!("`{point}` is no point that may be written"))?;
        let shift =
            now.shift(*scale).ok_or_else(|| format!("the device does not say the scale of `{point}`"))?;
        let shown = now.word(*at).ok_or_else(|| format!("the device has no `{point}`"))?;
        Ok(Self { name, at: *at, shift, shown })
    }

    fn raw(self, value: f64, most: f64) -> Result<u16, String> {
        let most = most.min(scaled(f64::from(MOST), self.shift));
        if !(0.0..=most).contains(&value) {
            return Err(format!("`{}` must be 0 to {most}, not {value}", self.name));
        }
        unscaled(value, self.shift, MOST).ok_or_else(|| format!("the device cannot express {value}"))
    }

    fn order(self, raw: u16, now: Block<'_>) -> Order {
        let told =
            |raw: u16| parameters([(self.name, Some(Value::Number(scaled(f64::from(raw), self.shift))))]);
        let writes = vec![(self.at, vec![raw])];
        Order {
            already: holds(now, &writes),
            applied: self.shown.abs_diff(raw) <= slack(self.shift),
            requested: told(raw),
            observed: told(self.shown),
            writes,
            keep: None,
            lasting: Lasting::AsNoted,
            forgets: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use adapter_api::{Parameters, profile::builtin};

    use super::*;

    /// 5000 W, gradients missing, 5.00 % in reserve.
    fn block(reserve: u16, scale: i16) -> Vec<u16> {
        let mut words = vec![0; 26];
        words[..5].copy_from_slice(&[124, 24, 5000, 0xFFFF, 0xFFFF]);
        (words[7], words[21]) = (reserve, scale as u16);
        words
    }

    fn reserve(soc: f64, words: &[u16]) -> Result<Order, String> {
        let asked = parameters([("soc", Some(Value::Number(soc)))]);
        reserve_order(Ask { command: "set_reserve", parameters: &asked, timer: None }, Block(words), None)
    }

    fn point(name: &str, value: f64) -> Result<Order, String> {
        let asked: Parameters =
            parameters([("point", Some(Value::from(name))), ("value", Some(Value::Number(value)))]);
        let limits = Limits { charge: Some(3000.0), ..Limits::default() };
        let ask = Ask { command: "write_point", parameters: &asked, timer: None };
        point_order(ask, Block(&block(500, -2)), limits)
    }

    #[test]
    fn a_reserve_is_one_register_in_the_devices_own_scale() {
        let order = reserve(20.0, &block(500, -2)).unwrap();
        assert_eq!(order.writes, [(7, vec![2000])]);
        assert_eq!((order.requested.number("soc"), order.observed.number("soc")), (Some(20.0), Some(5.0)));
        assert!(!order.applied && !order.already);
        assert_eq!(reserve(20.0, &block(5, 0)).unwrap().writes, [(7, vec![20])]);
        let same = reserve(20.0, &block(2000, -2)).unwrap();
        assert!(same.applied && same.already);
        let rounded = reserve(20.0, &block(1999, -2)).unwrap();
        assert!(rounded.applied && !rounded.already, "the device's own rounding");
        assert!(!reserve(20.0, &block(19, 0)).unwrap().applied, "a whole percent is no rounding");
    }

    #[test]
    fn a_value_out_of_range_or_a_missing_point_is_refused_in_words() {
        assert!(reserve(100.5, &block(500, -2)).unwrap_err().contains("0 to 100"));
        assert!(reserve(f64::NAN, &block(500, -2)).unwrap_err().contains("0 to 100"));
        assert!(reserve(20.0, &block(0xFFFF, -2)).unwrap_err().contains("has no `MinRsvPct`"));
        assert!(reserve(20.0, &block(500, 11)).unwrap_err().contains("scale"));
    }

    #[test]
    fn a_point_is_written_within_its_type_and_the_configuration() {
        let order = point("WChaMax", 2500.0).unwrap();
        assert_eq!((order.writes, order.observed.number("WChaMax")), (vec![(2, vec![2500])], Some(5000.0)));
        assert!(point("WChaMax", 3001.0).unwrap_err().contains("0 to 3000"));
        assert!(point("WChaMax", 0.0).unwrap_err().contains("above 0"));
        assert!(point("MinRsvPct", 101.0).unwrap_err().contains("0 to 100"));
        assert!(point("WChaGra", 10.0).unwrap_err().contains("has no `WChaGra`"));
        assert!(point("Conn", 0.0).unwrap_err().contains("no point"));
    }

    #[test]
    fn every_point_that_the_profile_lists_is_known() {
        use adapter_api::{ParameterKind, profile::Way};
        let spec = builtin()["sunspec"].commands["write_point"].spec("write_point", |_, _: Way| None);
        assert!(spec.local && !spec.idempotent && spec.group.is_none());
        let point = spec.parameters.iter().find(|parameter| &*parameter.name == "point").unwrap();
        let ParameterKind::Word(words) = &point.kind else { panic!("words") };
        assert!(words.iter().all(|word| SETTINGS.iter().any(|(known, ..)| *known == &**word)), "{words:?}");
    }

    #[test]
    fn a_reserve_that_is_held_notes_what_was_there_and_a_restore_goes_back_to_it() {
        let order = |name: &str, value: Value, held: bool, now: &[u16], noted| {
            let asked = parameters([(name, Some(value))]);
            let timer = held.then_some(std::time::Duration::from_secs(60));
            reserve_order(Ask { command: "set_reserve", parameters: &asked, timer }, Block(now), noted)
        };
        let (five, twenty) = (block(500, -2), block(2000, -2));
        let soc = |held, now: &[u16], noted| order("soc", 20.0.into(), held, now, noted).unwrap();
        assert_eq!(soc(true, &five, None).keep, Some(vec![500]));
        assert_eq!(soc(true, &five, Some(1000)).keep, None, "the first one is the one to go back to");
        assert_eq!(soc(true, &twenty, None).keep, None, "nothing is changed");
        let outright = soc(false, &five, Some(1000));
        assert_eq!((outright.keep, outright.forgets), (None, true));
        let back = order("restore", true.into(), false, &twenty, Some(500)).unwrap();
        assert_eq!((back.writes, back.applied, back.forgets), (vec![(7, vec![500])], false, true));
        assert_eq!((back.requested.number("soc"), back.observed.number("soc")), (Some(5.0), Some(20.0)));
        assert!(order("restore", true.into(), false, &five, Some(500)).unwrap().applied);
        let nothing = order("restore", true.into(), false, &twenty, None).unwrap();
        assert!(nothing.already && nothing.applied, "nothing is owed");
        assert!(order("restore", false.into(), false, &five, None).unwrap_err().contains("only be true"));
    }
}
