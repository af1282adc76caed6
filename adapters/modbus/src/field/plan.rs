//! Which lines and unit ids a scan asks, in which order, and how long that may take. Pure.

use std::{ops::RangeInclusive, time::Duration};

use adapter_api::profile::Function;

use crate::config::{Address, Parity, Serial};

/// Unit ids that devices leave the factory with, or that makers use for their parts.
const USUAL: [u8; 9] = [1, 2, 3, 71, 100, 126, 200, 240, 247];
/// Unit ids that people set in a menu. They are asked with both functions: some meters do not answer the
/// one that they do not know at all.
const SET: RangeInclusive<u8> = 1..=32;
/// Unit ids of Modbus.
const UNITS: RangeInclusive<u8> = 1..=247;
/// What meters and inverters leave the factory with, the likely ones first.
const BAUDS: [u32; 7] = [9_600, 19_200, 2_400, 4_800, 38_400, 57_600, 115_200];
/// How long a likely unit may take on TCP, where a gateway with its own patience may stand between.
const PATIENT_TCP: Duration = Duration::from_secs(1);
/// The same on a serial line: slow inverters take 600 ms.
const PATIENT_SERIAL: Duration = Duration::from_millis(700);
/// Nobody gets less: a slow meter beside fast ones takes up to 300 ms.
const BRIEF: Duration = Duration::from_millis(300);
/// Bytes of the question and of an answer with two registers.
const BYTES: usize = 8 + 9;
/// The link leaves a line alone after a silence, for as long as the longest answer takes: bytes, and the
/// time behind a converter, whose speed nobody knows.
const LONGEST: usize = 256;
const BEHIND_CONVERTER: Duration = Duration::from_millis(300);

/// What narrows a scan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScanOptions {
    /// Unit ids like `1-20,247`; the usual ones and then all others unless said.
    pub units: Option<String>,
    /// Speeds of a serial line; the common ones unless said, here or in the address.
    pub bauds: Vec<u32>,
    /// How long each unit may take to answer. Unless said: up to 1 s for the usual unit ids, and for
    /// the others twice as long as the slowest answer so far.
    pub timeout: Option<Duration>,
}

/// A scan that may begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Where to look, the likely ones first; several are one serial port at several settings.
    pub(super) lines: Vec<Address>,
    /// Asked at every line.
    pub(super) first: Vec<u8>,
    /// Asked afterwards where something answered, or everywhere when nothing did.
    pub(super) rest: Vec<u8>,
    pub(super) timeout: Option<Duration>,
}

impl Scan {
    /// Plans a scan of an address as the configuration takes it.
    ///
    /// # Errors
    /// In words, with what to write instead.
    pub fn new(address: &str, options: &ScanOptions) -> Result<Self, String> {
        let (first, rest) = match &options.units {
            Some(text) => (units(text)?, Vec::new()),
            None => (USUAL.to_vec(), UNITS.filter(|unit| !USUAL.contains(unit)).collect()),
        };
        if options.timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err("the timeout must be longer than 0, like 500ms".to_owned());
        }
        let lines = match address.parse::<Address>()? {
            Address::Rtu(serial) => lines(&serial, address, &options.bauds)?,
            _ if !options.bauds.is_empty() => {
                return Err(format!("`{address}` is no serial line: leave out the speeds"));
            }
            address => vec![address],
        };
        Ok(Self { lines, first, rest, timeout: options.timeout })
    }

    /// How long it takes at most, should nothing answer.
    pub fn longest(&self) -> Duration {
        let of = |line: &Address, units: &[u8], timeout: Duration| {
            // On a slow line the bytes themselves take their time.
            let transfer = line.serial().map_or(Duration::ZERO, |serial| serial.time_of(BYTES));
            let once = timeout + transfer + quiet(line);
            // Where nothing answers, everything is asked with both functions.
            once * 2 * u32::try_from(units.len()).unwrap_or(u32::MAX)
        };
        let of_line = |line: &Address| {
            of(line, &self.first, self.patient(line)) + of(line, &self.rest, self.brief(line, None))
        };
        self.lines.iter().map(of_line).sum()
    }

    /// How many unit ids are asked at how many settings of the line.
    pub fn size(&self) -> (usize, usize) {
        (self.first.len() + self.rest.len(), self.lines.len())
    }

    /// With what a unit is asked first.
    pub(super) fn functions(&self, unit: u8) -> &'static [Function] {
        let both = SET.contains(&unit) || self.first.contains(&unit);
        if both { &[Function::Holding, Function::Input] } else { &[Function::Holding] }
    }

    /// Units that were asked with one function alone.
    pub(super) fn half_asked(&self) -> Vec<u8> {
        self.rest.iter().copied().filter(|unit| self.functions(*unit).len() == 1).collect()
    }

    /// How long a likely unit may take.
    pub(super) fn patient(&self, line: &Address) -> Duration {
        let unless_said = if line.serial().is_some() { PATIENT_SERIAL } else { PATIENT_TCP };
        self.timeout.unwrap_or(unless_said)
    }

    /// How long any other unit may take, when the slowest answer so far took so long. Without any
    /// answer a gateway must be waited for, or its queue of late answers hides what comes after.
    pub(super) fn brief(&self, line: &Address, slowest: Option<Duration>) -> Duration {
        let patient = self.patient(line);
        if self.timeout.is_some() {
            return patient;
        }
        match slowest {
            Some(slowest) => (slowest * 2).clamp(BRIEF.min(patient), patient),
            None if line.serial().is_some() => BRIEF,
            None => patient,
        }
    }
}

/// How long a line is left alone after a silence.
pub(super) fn quiet(line: &Address) -> Duration {
    match line {
        Address::Tcp(_) => Duration::ZERO,
        Address::Rtu(serial) => serial.time_of(LONGEST) + serial.silence(),
        Address::RtuOverTcp(_) => BEHIND_CONVERTER,
    }
}

/// The settings of a serial port that are tried. What the address names is not varied.
fn lines(serial: &Serial, written: &str, bauds: &[u32]) -> Result<Vec<Address>, String> {
    let named = |key: &str| written.split(['?', '&']).skip(1).any(|option| option.starts_with(key));
    let bauds = match (bauds, named("baud=")) {
        ([], true) => vec![serial.baud],
        ([], false) => BAUDS.to_vec(),
        (_, true) => return Err("the address names a speed already: say it once".to_owned()),
        (bauds, false) => bauds.to_vec(),
    };
    let parities = match named("parity=") {
        true => vec![serial.parity],
        false => vec![Parity::None, Parity::Even],
    };
    let all = bauds.iter().flat_map(|baud| parities.iter().map(move |parity| (*baud, *parity)));
    // Parsed again, so that a speed is checked as the configuration checks it.
    all.map(|(baud, parity)| {
        Address::Rtu(Serial { baud, parity, ..serial.clone() }).to_string().parse::<Address>()
    })
    .collect()
}

/// Unit ids like `1-20,247`, in this order, each once.
fn units(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("`{text}` are no unit ids: write numbers from 1 to 247 and ranges, like 1-20,247");
    let number = |text: &str| text.trim().parse().ok().filter(|unit| UNITS.contains(unit)).ok_or_else(wrong);
    let mut units = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u8, u8) = (number(from)?, number(to)?);
        if from > to {
            return Err(wrong());
        }
        units.extend((from..=to).filter(|unit| !units.contains(unit)).collect::<Vec<_>>());
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(address: &str, options: ScanOptions) -> Result<Scan, String> {
        Scan::new(address, &options)
    }

    fn shown(scan: &Scan) -> Vec<String> {
        scan.lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_usual_unit_ids_come_first_and_every_other_one_once_after_them() {
        let scan = scan("tcp://x", ScanOptions::default()).unwrap();
        assert_eq!(scan.first, USUAL);
        let mut all = [scan.first.clone(), scan.rest.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, UNITS.collect::<Vec<_>>());
        assert_eq!(scan.size(), (247, 1));
    }

    #[test]
    fn named_unit_ids_are_the_only_ones() {
        let named = |text: &str| {
            let options = ScanOptions { units: Some(text.to_owned()), ..ScanOptions::default() };
            scan("tcp://x", options).map(|scan| (scan.first, scan.rest))
        };
        assert_eq!(named("3-5,247,4").unwrap(), (vec![3, 4, 5, 247], vec![]));
        for wrong in ["", "0", "248", "5-3", "1-", "a"] {
            assert!(named(wrong).unwrap_err().contains("like 1-20,247"), "{wrong}");
        }
    }

    #[test]
    fn a_serial_port_is_tried_at_all_speeds_unless_they_are_named() {
        let all = scan("rtu:///dev/x", ScanOptions::default()).unwrap();
        assert_eq!(all.lines.len(), 14);
        let both = ["rtu:///dev/x?baud=9600&parity=none&stop=1", "rtu:///dev/x?baud=9600&parity=even&stop=1"];
        assert_eq!(shown(&all)[..2], both);
        assert_eq!(shown(&scan("rtu:///dev/x?baud=9600", ScanOptions::default()).unwrap()), both);
        let narrow = ScanOptions { bauds: vec![2_400], ..ScanOptions::default() };
        let lines = scan("rtu:///dev/x?parity=odd&stop=2", narrow.clone()).unwrap();
        assert_eq!(shown(&lines), ["rtu:///dev/x?baud=2400&parity=odd&stop=2"]);
        assert!(scan("rtu:///dev/x?baud=9600", narrow.clone()).unwrap_err().contains("say it once"));
        assert!(scan("tcp://x", narrow).unwrap_err().contains("no serial line"));
        let odd = ScanOptions { bauds: vec![1], ..ScanOptions::default() };
        assert!(scan("rtu:///dev/x", odd).unwrap_err().contains("no speed"));
    }

    #[test]
    fn patience_follows_the_slowest_answer_within_limits_unless_it_is_given() {
        let ms = Duration::from_millis;
        let free = scan("tcp://x", ScanOptions::default()).unwrap();
        let line = &free.lines[0];
        assert_eq!(free.patient(line), ms(1000));
        let brief =
            [None, Some(ms(2)), Some(ms(250)), Some(ms(900))].map(|slowest| free.brief(line, slowest));
        assert_eq!(brief, [ms(1000), ms(300), ms(500), ms(1000)]);
        let given = ScanOptions { timeout: Some(ms(100)), ..ScanOptions::default() };
        let given = scan("tcp://x", given).unwrap();
        assert_eq!((given.patient(line), given.brief(line, Some(ms(2)))), (ms(100), ms(100)));
        let none = ScanOptions { timeout: Some(Duration::ZERO), ..ScanOptions::default() };
        assert!(scan("tcp://x", none).unwrap_err().contains("longer than 0"));
        let serial = scan("rtu:///dev/x", ScanOptions::default()).unwrap();
        assert_eq!(serial.brief(&serial.lines[0], None), ms(300));
    }

    #[test]
    fn the_longest_time_counts_every_unit_that_may_stay_silent() {
        let options = |units: &str| ScanOptions { units: Some(units.to_owned()), ..ScanOptions::default() };
        assert_eq!(scan("tcp://x", options("1-10")).unwrap().longest(), Duration::from_secs(20));
        assert_eq!(
            scan("tcp://x", ScanOptions::default()).unwrap().longest(),
            Duration::from_secs(2 * (9 + 238))
        );
        let slow = scan("rtu:///dev/x?baud=2400&parity=none", options("1-10")).unwrap();
        assert!(slow.longest() > Duration::from_millis(20 * (700 + 70 + 1060)), "the bytes take their time");
    }

    #[test]
    fn unit_ids_that_people_set_are_asked_with_both_functions_at_once_and_the_others_may_be_later() {
        let scan = scan("tcp://x", ScanOptions::default()).unwrap();
        for unit in UNITS {
            let both = unit <= 32 || USUAL.contains(&unit);
            assert_eq!(scan.functions(unit).len(), if both { 2 } else { 1 }, "{unit}");
            assert_eq!(scan.half_asked().contains(&unit), !both, "{unit}");
        }
    }
}
