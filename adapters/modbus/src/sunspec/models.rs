//! What the models are to us, and how a value is read out of one's registers. Pure; where the points
//! lie is in `table`.

use super::{
    table::{Point, Scale, Table},
    types::Type,
};
use crate::codec;

/// What a model is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Model {
    /// 101 to 103, 111 to 113 (floats), 701: the AC side, with one, split or three phases.
    Inverter,
    /// 120: what it is built for.
    Nameplate,
    /// 121: what it is set to.
    Basic,
    /// 122: what is connected.
    Status,
    /// 123: immediate controls.
    Immediate,
    /// 124: storage.
    Storage,
    /// 160: the DC inputs.
    Mppt,
    /// 201 to 204, 211 to 214 (floats).
    Meter,
    /// 702: what a device of the 700 series is built for and set to.
    Capacity,
    /// 703: may it feed in?
    EnterService,
    /// 704: the controls of the 700 series.
    DerControl,
    /// 713: storage of the 700 series.
    DerStorage,
    /// 714: the DC ports of the 700 series.
    Ports,
    /// 802: a battery bank.
    Bank,
}

impl Model {
    /// The model with this id, if we use it.
    pub fn of(id: u16) -> Option<Self> {
        match id {
            101..=103 | 111..=113 | 701 => Some(Self::Inverter),
            120 => Some(Self::Nameplate),
            121 => Some(Self::Basic),
            122 => Some(Self::Status),
            123 => Some(Self::Immediate),
            124 => Some(Self::Storage),
            160 => Some(Self::Mppt),
            201..=204 | 211..=214 => Some(Self::Meter),
            702 => Some(Self::Capacity),
            703 => Some(Self::EnterService),
            704 => Some(Self::DerControl),
            713 => Some(Self::DerStorage),
            714 => Some(Self::Ports),
            802 => Some(Self::Bank),
            _ => None,
        }
    }

    /// Is it read at every poll? The others are read when the unit is discovered, or for a command.
    pub fn polled(self) -> bool {
        !matches!(self, Self::Nameplate | Self::Basic | Self::Capacity)
    }

    /// Does it speak of a battery?
    pub fn is_storage(self) -> bool {
        matches!(self, Self::Storage | Self::DerStorage | Self::Ports | Self::Bank)
    }
}

/// One number of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field {
    at: u16,
    kind: Type,
    scale: Scale,
}

impl Field {
    /// A point of the table. Names are constants, so that a wrong one is found by the first test.
    pub fn of(id: u16, name: &str) -> Self {
        let point = Table::of(id).and_then(|table| table.point(name));
        Self::from(point.unwrap_or_else(|| panic!("model {id} has no point {name}: see models.txt")))
    }

    /// The first register after the point and its scale factor.
    pub fn end(self) -> u16 {
        let own = self.at + self.kind.registers();
        match self.scale {
            Scale::At(at) => own.max(at + 1),
            Scale::One | Scale::Fixed(_) => own,
        }
    }
}

impl From<&Point> for Field {
    fn from(point: &Point) -> Self {
        Self { at: point.at, kind: point.kind, scale: point.scale }
    }
}

/// One enum or bitfield of a model, with its words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named {
    pub at: u16,
    kind: Type,
    words: &'static [(u16, &'static str)],
}

impl Named {
    /// A point of the table; see [`Field::of`].
    pub fn of(id: u16, name: &str) -> Self {
        let point = Table::of(id).and_then(|table| table.point(name));
        Self::from(point.unwrap_or_else(|| panic!("model {id} has no point {name}: see models.txt")))
    }
}

impl Named {
    /// The first register after it.
    pub fn end(self) -> u16 {
        self.at + self.kind.registers()
    }
}

impl From<&'static Point> for Named {
    fn from(point: &'static Point) -> Self {
        Self { at: point.at, kind: point.kind, words: &point.words }
    }
}

const fn unsigned(at: u16, scale: u16) -> Field {
    Field { at, kind: Type::Uint16, scale: Scale::At(scale) }
}

/// Model 123: what its controls need. The five registers of the power limit lie side by side.
pub(crate) mod immediate {
    use super::{Field, unsigned};

    pub const LIMIT_AT: u16 = 5;
    pub const LIMIT_ENABLED_AT: u16 = 9;
    pub const LIMIT_SCALE_AT: u16 = 23;
    pub const LIMIT: Field = unsigned(LIMIT_AT, LIMIT_SCALE_AT);
}

/// Model 124: what its controls need.
pub(crate) mod storage {
    use super::{Field, unsigned};

    pub const MAX_CHARGE: Field = unsigned(2, 18);
    pub const MODE_AT: u16 = 5;
    /// Settings by name, place and place of their scale factor; all uint16.
    pub const SETTINGS: [(&str, u16, u16); 4] =
        [("WChaMax", 2, 18), ("WChaGra", 3, 19), ("WDisChaGra", 4, 19), ("MinRsvPct", 7, 21)];
    pub const OUT_RATE_AT: u16 = 12;
    pub const IN_RATE_AT: u16 = 13;
    pub const RATE_SCALE_AT: u16 = 25;
    pub const GRID_AT: u16 = 17;
}

/// A model's registers as they were read, from its ID register on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Block<'a>(pub &'a [u16]);

impl<'a> Block<'a> {
    /// One register; none beyond the model's length.
    pub fn raw(self, at: u16) -> Option<u16> {
        self.0.get(usize::from(at)).copied()
    }

    /// An enum16 or bitfield16 that is implemented.
    pub fn word(self, at: u16) -> Option<u16> {
        self.raw(at).and_then(codec::unsigned)
    }

    /// The word for an enum.
    pub fn name(self, named: Named) -> Option<&'static str> {
        let value = self.word(named.at)?;
        named.words.iter().find(|(known, _)| *known == value).map(|(_, word)| *word)
    }

    /// The words of the bits that are set in a bitfield, the lowest first; a bit without a word goes by
    /// its number.
    pub fn flags(self, named: Named) -> Option<Vec<String>> {
        let bits = named.kind.bits(self.after(usize::from(named.at)))?;
        let set = (0..u16::try_from(u64::BITS).unwrap_or(0)).filter(|bit| bits >> bit & 1 == 1);
        let word = |bit: u16| named.words.iter().find(|(known, _)| *known == bit).map(|(_, word)| *word);
        Some(set.map(|bit| word(bit).map_or_else(|| format!("bit_{bit}"), str::to_owned)).collect())
    }

    /// The word of the highest bit that is set, for a bitfield whose bits say ever more; none of them is
    /// `disconnected`.
    pub fn connection(self, named: Named) -> Option<&'static str> {
        let bits = named.kind.bits(self.after(usize::from(named.at)))?;
        let highest = named.words.iter().rev().find(|(bit, _)| bits >> bit & 1 == 1);
        highest.map(|(_, word)| *word).or((bits == 0).then_some("disconnected"))
    }

    /// A scale factor.
    pub fn shift(self, at: u16) -> Option<i16> {
        self.raw(at).and_then(codec::shift)
    }

    /// A number with its scale applied; a missing scale factor makes it missing.
    pub fn number(self, field: Field) -> Option<f64> {
        self.repeated(field, 0)
    }

    /// The same of a point that repeats, `offset` registers after its first one. Its scale factor
    /// does not repeat.
    pub fn repeated(self, field: Field, offset: usize) -> Option<f64> {
        let raw = field.kind.number(self.after(usize::from(field.at) + offset))?;
        match field.scale {
            Scale::One => Some(raw),
            Scale::At(at) => Some(codec::scaled(raw, self.shift(at)?)),
            Scale::Fixed(shift) => Some(codec::scaled(raw, shift)),
        }
    }

    /// Several numbers.
    pub fn numbers<const N: usize>(self, fields: [Field; N]) -> [Option<f64>; N] {
        fields.map(|field| self.number(field))
    }

    /// All registers from `at` on.
    pub fn after(self, at: usize) -> &'a [u16] {
        self.0.get(at..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_that_the_controls_know_are_those_of_the_table() {
        let at = |id: u16, name: &str| Field::of(id, name).at;
        assert_eq!(immediate::LIMIT, Field::of(123, "WMaxLimPct"));
        assert_eq!(immediate::LIMIT_ENABLED_AT, at(123, "WMaxLim_Ena"));
        assert_eq!(immediate::LIMIT_SCALE_AT, at(123, "WMaxLimPct_SF"));
        assert_eq!(storage::MAX_CHARGE, Field::of(124, "WChaMax"));
        assert_eq!(storage::MODE_AT, at(124, "StorCtl_Mod"));
        assert_eq!((storage::OUT_RATE_AT, storage::IN_RATE_AT), (at(124, "OutWRte"), at(124, "InWRte")));
        assert_eq!(storage::RATE_SCALE_AT, at(124, "InOutWRte_SF"));
        assert_eq!(storage::GRID_AT, at(124, "ChaGriSet"));
        for (name, place, scale) in storage::SETTINGS {
            assert_eq!(unsigned(place, scale), Field::of(124, name), "{name}");
        }
    }

    #[test]
    fn bits_are_told_by_their_words_and_connections_by_the_one_that_says_most() {
        let mut words = vec![0; 8];
        let mut shown = |word: u16| {
            (words[3], words[7]) = (word, word);
            let block = Block(&words);
            (block.connection(Named::of(122, "StorConn")), block.flags(Named::of(701, "Alrm")))
        };
        let text = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(shown(0), (Some("disconnected"), text(&[])));
        assert_eq!(
            shown(0b0111),
            (Some("operating"), text(&["ground_fault", "dc_over_volt", "ac_disconnect"]))
        );
        assert_eq!(shown(0x8000), (None, text(&["hw_test_failure"])), "no bit that is known");
        assert_eq!(shown(0xFFFF).0, None, "not implemented");
        words[6] = 0x0002;
        assert_eq!(Block(&words).flags(Named::of(701, "Alrm")).unwrap().last().unwrap(), "bit_17");
    }

    #[test]
    fn every_model_that_we_use_has_a_table() {
        for id in (0..=u16::MAX).filter(|id| Model::of(*id).is_some()) {
            assert!(Table::of(id).is_some(), "{id}");
        }
    }

    #[test]
    fn a_value_without_its_scale_factor_is_no_value() {
        let power = Field::of(103, "W");
        let mut words = vec![0; 40];
        (words[14], words[15]) = (2301, (-1_i16) as u16);
        assert_eq!(Block(&words).number(power), Some(230.1));
        for missing in [0x8000, 11, 0xFFF5] {
            words[15] = missing;
            assert_eq!(Block(&words).number(power), None, "{missing:#x}");
        }
        assert_eq!(Block(&words[..15]).number(power), None, "not even read");
    }
}
