//! The points that readings are made of, by the name that each family of models gives them; looked up
//! once. Pure.

use std::sync::LazyLock;

use super::models::{Field, Named};

/// The AC side of an inverter.
#[derive(Debug)]
pub(crate) struct Ac {
    pub power: Field,
    pub powers: Option<[Field; 3]>,
    pub current: Field,
    pub currents: [Field; 3],
    /// Of all phases together, where the model has it.
    pub voltage: Option<Field>,
    pub voltages: [Field; 3],
    pub frequency: Field,
    pub apparent: Field,
    pub reactive: Field,
    pub power_factor: Field,
    /// Given to the AC side in its life.
    pub produced: Field,
    /// Taken from the AC side in its life.
    pub consumed: Option<Field>,
    pub dc_power: Option<Field>,
    pub cabinet: Field,
    pub state: Named,
    pub connected: Option<Named>,
    pub alarms: Option<Named>,
    /// Registers up to the last of these points, with ID and length.
    pub registers: u16,
}

/// A meter.
#[derive(Debug)]
pub(crate) struct Metered {
    pub power: Field,
    pub powers: [Field; 3],
    pub current: Field,
    pub currents: [Field; 3],
    pub voltage: Field,
    pub voltages: [Field; 3],
    pub frequency: Field,
    pub apparent: Field,
    pub reactive: Field,
    pub power_factor: Field,
    pub exported: Field,
    pub imported: Field,
    /// Registers up to the last of these points, with ID and length.
    pub registers: u16,
}

/// Looks points up and remembers where the last one ends.
struct Names {
    id: u16,
    registers: u16,
}

impl Names {
    fn of(id: u16) -> Self {
        Self { id, registers: 2 }
    }

    fn field(&mut self, name: &str) -> Field {
        let field = Field::of(self.id, name);
        self.registers = self.registers.max(field.end());
        field
    }

    fn fields(&mut self, names: [&str; 3]) -> [Field; 3] {
        names.map(|name| self.field(name))
    }

    fn named(&mut self, name: &str) -> Named {
        let named = Named::of(self.id, name);
        self.registers = self.registers.max(named.end());
        named
    }
}

/// Models 101 to 103 and 111 to 113 have the same names.
fn plain(id: u16) -> Ac {
    let mut names = Names::of(id);
    let ac = Ac {
        power: names.field("W"),
        powers: None,
        current: names.field("A"),
        currents: names.fields(["AphA", "AphB", "AphC"]),
        voltage: None,
        voltages: names.fields(["PhVphA", "PhVphB", "PhVphC"]),
        frequency: names.field("Hz"),
        apparent: names.field("VA"),
        reactive: names.field("VAr"),
        power_factor: names.field("PF"),
        produced: names.field("WH"),
        consumed: None,
        dc_power: Some(names.field("DCW")),
        cabinet: names.field("TmpCab"),
        state: names.named("St"),
        connected: None,
        alarms: None,
        registers: 0,
    };
    Ac { registers: names.registers, ..ac }
}

fn der() -> Ac {
    let mut names = Names::of(701);
    let ac = Ac {
        power: names.field("W"),
        powers: Some(names.fields(["WL1", "WL2", "WL3"])),
        current: names.field("A"),
        currents: names.fields(["AL1", "AL2", "AL3"]),
        voltage: Some(names.field("LNV")),
        voltages: names.fields(["VL1", "VL2", "VL3"]),
        frequency: names.field("Hz"),
        apparent: names.field("VA"),
        reactive: names.field("Var"),
        power_factor: names.field("PF"),
        produced: names.field("TotWhInj"),
        consumed: Some(names.field("TotWhAbs")),
        dc_power: None,
        cabinet: names.field("TmpCab"),
        state: names.named("InvSt"),
        connected: Some(names.named("ConnSt")),
        alarms: Some(names.named("Alrm")),
        registers: 0,
    };
    Ac { registers: names.registers, ..ac }
}

fn meter(id: u16) -> Metered {
    let mut names = Names::of(id);
    let metered = Metered {
        power: names.field("W"),
        powers: names.fields(["WphA", "WphB", "WphC"]),
        current: names.field("A"),
        currents: names.fields(["AphA", "AphB", "AphC"]),
        voltage: names.field("PhV"),
        voltages: names.fields(["PhVphA", "PhVphB", "PhVphC"]),
        frequency: names.field("Hz"),
        apparent: names.field("VA"),
        reactive: names.field("VAR"),
        power_factor: names.field("PF"),
        exported: names.field("TotWhExp"),
        imported: names.field("TotWhImp"),
        registers: 0,
    };
    Metered { registers: names.registers, ..metered }
}

static AC: LazyLock<[Ac; 3]> = LazyLock::new(|| [plain(101), plain(111), der()]);
static METERED: LazyLock<[Metered; 2]> = LazyLock::new(|| [meter(201), meter(211)]);

/// The points of a model of the inverter's family.
pub(crate) fn ac(id: u16) -> &'static Ac {
    match id {
        701 => &AC[2],
        111..=113 => &AC[1],
        _ => &AC[0],
    }
}

/// The points of a model of the meters' family.
pub(crate) fn metered(id: u16) -> &'static Metered {
    match id {
        211..=214 => &METERED[1],
        _ => &METERED[0],
    }
}

/// What says how strong and how large it is, and what the battery is doing.
#[derive(Debug)]
pub(crate) struct Others {
    /// 120.
    pub rated_power: Field,
    pub rated_discharge: Field,
    pub rated_energy: Field,
    /// 121.
    pub max_power: Field,
    /// 122, but for ActWh: a device may have this counter beside that of 101 to 113 or instead of it, and
    /// a change from one to the other would look like a leap.
    pub pv_connection: Named,
    pub battery_connection: Named,
    /// 124.
    pub reserve: Field,
    pub level: Field,
    pub charge_state: Named,
    /// 702.
    pub der_rated_power: Field,
    pub der_max_power: Field,
    pub der_charge: [Field; 2],
    pub der_discharge: [Field; 2],
    /// 703.
    pub enter_service: Named,
    /// 704.
    pub der_limit: Field,
    pub der_limit_enabled: Named,
    /// 713.
    pub der_energy: Field,
    pub der_level: Field,
    pub der_health: Field,
    pub der_status: Named,
    /// 802.
    pub bank_energy: Field,
    pub bank_rates: [Field; 2],
    pub bank_level: Field,
    pub bank_health: Field,
    pub bank_state: Named,
    pub bank_connection: Named,
    pub bank_voltage: Field,
    pub bank_current: Field,
    pub bank_power: Field,
}

static OTHERS: LazyLock<Others> = LazyLock::new(|| Others {
    rated_power: Field::of(120, "WRtg"),
    rated_discharge: Field::of(120, "MaxDisChaRte"),
    rated_energy: Field::of(120, "WHRtg"),
    max_power: Field::of(121, "WMax"),
    pv_connection: Named::of(122, "PVConn"),
    battery_connection: Named::of(122, "StorConn"),
    reserve: Field::of(124, "MinRsvPct"),
    level: Field::of(124, "ChaState"),
    charge_state: Named::of(124, "ChaSt"),
    der_rated_power: Field::of(702, "WMaxRtg"),
    der_max_power: Field::of(702, "WMax"),
    der_charge: [Field::of(702, "WChaRteMax"), Field::of(702, "WChaRteMaxRtg")],
    der_discharge: [Field::of(702, "WDisChaRteMax"), Field::of(702, "WDisChaRteMaxRtg")],
    enter_service: Named::of(703, "ES"),
    der_limit: Field::of(704, "WMaxLimPct"),
    der_limit_enabled: Named::of(704, "WMaxLimPctEna"),
    der_energy: Field::of(713, "WHRtg"),
    der_level: Field::of(713, "SoC"),
    der_health: Field::of(713, "SoH"),
    der_status: Named::of(713, "Sta"),
    bank_energy: Field::of(802, "WHRtg"),
    bank_rates: [Field::of(802, "WChaRteMax"), Field::of(802, "WDisChaRteMax")],
    bank_level: Field::of(802, "SoC"),
    bank_health: Field::of(802, "SoH"),
    bank_state: Named::of(802, "ChaSt"),
    bank_connection: Named::of(802, "State"),
    bank_voltage: Field::of(802, "V"),
    bank_current: Field::of(802, "A"),
    bank_power: Field::of(802, "W"),
});

/// The points of the models that are one of their kind.
pub(crate) fn others() -> &'static Others {
    &OTHERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_one_request_brings_what_we_need_of_each_model() {
        let _names = others();
        assert_eq!((ac(103).registers, ac(113).registers, ac(701).registers), (39, 49, 123));
        assert_eq!((metered(203).registers, metered(213).registers), (55, 70));
    }
}
