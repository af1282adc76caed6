//! Where the points stand, counted from a model's id register. Source: SunSpec model definitions
//! (v2026-04-20). The three wirings share one layout.

/// Model 1.
pub(super) mod common {
    pub const ID: u16 = 1;
    pub const MANUFACTURER: usize = 2;
    pub const MODEL: usize = 18;
    pub const OPTIONS: usize = 34;
    pub const VERSION: usize = 42;
    pub const SERIAL: usize = 50;
    pub const ADDRESS: usize = 66;
    pub const LONG: usize = 16;
    pub const SHORT: usize = 8;
}

/// Models 101, 102, 103: 100 + phases.
pub(super) mod ac {
    pub const FAMILY: u16 = 100;
    pub const LENGTH: u16 = 50;
    pub const A: usize = 2;
    pub const A_PHASE: usize = 3;
    pub const A_SF: usize = 6;
    pub const V_BETWEEN: usize = 7;
    pub const V_PHASE: usize = 10;
    pub const V_SF: usize = 13;
    pub const W: usize = 14;
    pub const W_SF: usize = 15;
    pub const HZ: usize = 16;
    pub const HZ_SF: usize = 17;
    pub const VA: usize = 18;
    pub const VA_SF: usize = 19;
    pub const VAR: usize = 20;
    pub const VAR_SF: usize = 21;
    pub const PF: usize = 22;
    pub const PF_SF: usize = 23;
    pub const WH: usize = 24;
    pub const WH_SF: usize = 26;
    pub const DC_A: usize = 27;
    pub const DC_A_SF: usize = 28;
    pub const DC_V: usize = 29;
    pub const DC_V_SF: usize = 30;
    pub const DC_W: usize = 31;
    pub const DC_W_SF: usize = 32;
    pub const CABINET: usize = 33;
    pub const OTHER_TEMPERATURES: std::ops::Range<usize> = 34..37;
    pub const TEMPERATURE_SF: usize = 37;
    pub const STATE: usize = 38;
    pub const VENDOR_STATE: usize = 39;
    pub const VENDOR_EVENTS: std::ops::Range<usize> = 44..52;
}

/// Model 120.
pub(super) mod ratings {
    pub const ID: u16 = 120;
    pub const LENGTH: u16 = 26;
    pub const TYPE: usize = 2;
    pub const W: usize = 3;
    pub const W_SF: usize = 4;
    pub const VA: usize = 5;
    pub const VA_SF: usize = 6;
    pub const VAR: std::ops::Range<usize> = 7..12;
    pub const A: usize = 12;
    pub const A_SF: usize = 13;
    pub const PF: std::ops::Range<usize> = 14..19;
    pub const WH: usize = 19;
    pub const WH_SF: usize = 20;
    pub const AH: usize = 21;
    pub const AH_SF: usize = 22;
    pub const CHARGE: usize = 23;
    pub const CHARGE_SF: usize = 24;
    pub const DISCHARGE: usize = 25;
    pub const DISCHARGE_SF: usize = 26;
}

/// Model 121.
pub(super) mod settings {
    pub const ID: u16 = 121;
    pub const LENGTH: u16 = 30;
    pub const W_MAX: usize = 2;
    pub const V_REF: usize = 3;
    pub const V_REF_OFFSET: usize = 4;
    pub const UNSIGNED: [usize; 8] = [5, 6, 7, 12, 17, 18, 19, 20];
    pub const CONNECTED_PHASE: usize = 21;
    pub const SIGNED: [usize; 8] = [8, 9, 10, 11, 13, 14, 15, 16];
    pub const W_MAX_SF: usize = 22;
    pub const V_REF_SF: usize = 23;
    pub const V_REF_OFFSET_SF: usize = 24;
    pub const OTHER_SF: std::ops::Range<usize> = 25..32;
}

/// Model 123.
pub(super) mod limit {
    pub const ID: u16 = 123;
    pub const LENGTH: u16 = 24;
    pub const CONNECTION_TIMES: std::ops::Range<usize> = 2..4;
    pub const CONNECTED: usize = 4;
    pub const PERCENT: usize = 5;
    pub const WINDOW: usize = 6;
    pub const REVERT: usize = 7;
    pub const RAMP: usize = 8;
    pub const ENABLED: usize = 9;
    pub const PF: usize = 10;
    pub const PF_TIMES: std::ops::Range<usize> = 11..14;
    pub const PF_ENABLED: usize = 14;
    pub const VAR: std::ops::Range<usize> = 15..18;
    pub const VAR_TIMES_AND_MODE: std::ops::Range<usize> = 18..22;
    pub const VAR_ENABLED: usize = 22;
    pub const PERCENT_SF: usize = 23;
    pub const OTHER_SF: std::ops::Range<usize> = 24..26;
}

/// Model 124.
pub(super) mod storage {
    pub const ID: u16 = 124;
    pub const LENGTH: u16 = 24;
    pub const CHARGE_MAX: usize = 2;
    pub const CHARGE_GRADIENT: usize = 3;
    pub const DISCHARGE_GRADIENT: usize = 4;
    pub const MODE: usize = 5;
    pub const VA_CHARGE_MAX: usize = 6;
    pub const RESERVE: usize = 7;
    pub const CONTENT: usize = 8;
    pub const AVAILABLE: usize = 9;
    pub const VOLTAGE: usize = 10;
    pub const STATE: usize = 11;
    pub const DISCHARGE_RATE: usize = 12;
    pub const CHARGE_RATE: usize = 13;
    pub const WINDOW: usize = 14;
    pub const REVERT: usize = 15;
    pub const RAMP: usize = 16;
    pub const GRID_CHARGE: usize = 17;
    pub const CHARGE_MAX_SF: usize = 18;
    pub const GRADIENT_SF: usize = 19;
    pub const VA_CHARGE_MAX_SF: usize = 20;
    pub const RESERVE_SF: usize = 21;
    pub const CONTENT_SF: usize = 22;
    pub const AVAILABLE_SF: usize = 23;
    pub const VOLTAGE_SF: usize = 24;
    pub const RATE_SF: usize = 25;
}

/// Model 160; a module's points count from the module.
pub(super) mod modules {
    pub const ID: u16 = 160;
    pub const HEAD: u16 = 8;
    pub const A_SF: usize = 2;
    pub const V_SF: usize = 3;
    pub const W_SF: usize = 4;
    pub const WH_SF: usize = 5;
    pub const COUNT: usize = 8;
    pub const PERIOD: usize = 9;
    pub const FIRST: usize = 10;
    pub const SIZE: u16 = 20;
    pub const NUMBER: usize = 0;
    pub const NAME: usize = 1;
    pub const NAME_SIZE: usize = 8;
    pub const A: usize = 9;
    pub const V: usize = 10;
    pub const W: usize = 11;
    pub const WH: usize = 12;
    pub const TIME: usize = 14;
    pub const TEMPERATURE: usize = 16;
    pub const STATE: usize = 17;
}

/// Models 201 to 204: 200 + wiring.
pub(super) mod meter {
    pub const FAMILY: u16 = 200;
    pub const LENGTH: u16 = 105;
    pub const A: usize = 2;
    pub const A_PHASE: usize = 3;
    pub const A_SF: usize = 6;
    pub const V: usize = 7;
    pub const V_PHASE: usize = 8;
    pub const V_BETWEEN_MEAN: usize = 11;
    pub const V_BETWEEN: usize = 12;
    pub const V_SF: usize = 15;
    pub const HZ: usize = 16;
    pub const HZ_SF: usize = 17;
    pub const W: usize = 18;
    pub const W_PHASE: usize = 19;
    pub const W_SF: usize = 22;
    pub const VA_VAR_PF: std::ops::Range<usize> = 23..38;
    pub const EXPORTED: usize = 38;
    pub const IMPORTED: usize = 46;
    pub const WH_SF: usize = 54;
    pub const VAH_SF: usize = 71;
    pub const VARH_SF: usize = 104;
}
