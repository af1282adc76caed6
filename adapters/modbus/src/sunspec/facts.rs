//! What we know of points from the models' definitions (sunspec/models, v2026-04-20), said once more, so that a wrong
//! type of the same length, a wrong place or a wrong scale factor in the table fails a test.

use super::{
    models::Model,
    table::{Scale, Table},
    types::Type,
};

/// By model: name, offset from the ID register, type, and the name of the scale factor or `-`.
const FACTS: &[(u16, &[&str])] = &[
    (1, &["Mn 2 string*16 -", "Md 18 string*16 -", "Vr 42 string*8 -", "SN 50 string*16 -"]),
    (101, &["W 14 int16 W_SF", "WH_SF 26 sunssf -"]),
    (102, &["DCW_SF 32 sunssf -", "AphC 5 uint16 A_SF"]),
    (
        103,
        &[
            "A 2 uint16 A_SF",
            "AphB 4 uint16 A_SF",
            "W 14 int16 W_SF",
            "Hz 16 uint16 Hz_SF",
            "VA 18 int16 VA_SF",
            "VAr 20 int16 VAr_SF",
            "PF 22 int16 PF_SF",
            "WH 24 acc32 WH_SF",
            "DCW 31 int16 DCW_SF",
            "TmpCab 33 int16 Tmp_SF",
            "St 38 enum16 -",
            "Evt1 40 bitfield32 -",
            "PhVphA 10 uint16 V_SF",
        ],
    ),
    (111, &["W 22 float32 -"]),
    (112, &["WH 32 float32 -", "PhVphB 18 float32 -"]),
    (
        113,
        &[
            "A 2 float32 -",
            "PhVphC 20 float32 -",
            "W 22 float32 -",
            "Hz 24 float32 -",
            "PF 30 float32 -",
            "WH 32 float32 -",
            "DCW 38 float32 -",
            "TmpCab 40 float32 -",
            "St 48 enum16 -",
        ],
    ),
    (
        120,
        &[
            "WRtg 3 uint16 WRtg_SF",
            "VArRtgQ1 7 int16 VArRtg_SF",
            "WHRtg 19 uint16 WHRtg_SF",
            "MaxDisChaRte 25 uint16 MaxDisChaRte_SF",
        ],
    ),
    (121, &["WMax 2 uint16 WMax_SF", "VRefOfs 4 int16 VRefOfs_SF", "VArMaxQ1 8 int16 VArMax_SF"]),
    (
        122,
        &[
            "PVConn 2 bitfield16 -",
            "StorConn 3 bitfield16 -",
            "ECPConn 4 bitfield16 -",
            "ActWh 5 acc64 -",
            "VArAval 29 int16 VArAval_SF",
            "WAval 31 uint16 WAval_SF",
            "StActCtl 35 bitfield32 -",
        ],
    ),
    (
        123,
        &[
            "Conn 4 enum16 -",
            "WMaxLimPct 5 uint16 WMaxLimPct_SF",
            "WMaxLimPct_RvrtTms 7 uint16 -",
            "WMaxLim_Ena 9 enum16 -",
            "OutPFSet 10 int16 OutPFSet_SF",
            "VArWMaxPct 15 int16 VArPct_SF",
            "WMaxLimPct_SF 23 sunssf -",
        ],
    ),
    (
        124,
        &[
            "WChaMax 2 uint16 WChaMax_SF",
            "WChaGra 3 uint16 WChaDisChaGra_SF",
            "StorCtl_Mod 5 bitfield16 -",
            "MinRsvPct 7 uint16 MinRsvPct_SF",
            "ChaState 8 uint16 ChaState_SF",
            "InBatV 10 uint16 InBatV_SF",
            "ChaSt 11 enum16 -",
            "OutWRte 12 int16 InOutWRte_SF",
            "InWRte 13 int16 InOutWRte_SF",
            "InOutWRte_RvrtTms 15 uint16 -",
            "ChaGriSet 17 enum16 -",
        ],
    ),
    (
        160,
        &[
            "DCWH_SF 5 sunssf -",
            "N 8 count -",
            "IDStr 11 string*8 -",
            "DCA 19 uint16 DCA_SF",
            "DCV 20 uint16 DCV_SF",
            "DCW 21 uint16 DCW_SF",
            "DCWH 22 acc32 DCWH_SF",
            "Tmp 26 int16 -",
            "DCSt 27 enum16 -",
        ],
    ),
    (201, &["W 18 int16 W_SF", "TotWhImp 46 acc32 TotWh_SF"]),
    (202, &["Hz 16 int16 Hz_SF"]),
    (
        203,
        &[
            "A 2 int16 A_SF",
            "PhV 7 int16 V_SF",
            "PhVphA 8 int16 V_SF",
            "Hz 16 int16 Hz_SF",
            "W 18 int16 W_SF",
            "WphA 19 int16 W_SF",
            "VA 23 int16 VA_SF",
            "VAR 28 int16 VAR_SF",
            "PF 33 int16 PF_SF",
            "TotWhExp 38 acc32 TotWh_SF",
            "TotWhImp 46 acc32 TotWh_SF",
            "TotVAhImp 63 acc32 TotVAh_SF",
            "Evt 105 bitfield32 -",
        ],
    ),
    (204, &["TotWh_SF 54 sunssf -"]),
    (211, &["W 28 float32 -"]),
    (212, &["TotWhExp 60 float32 -"]),
    (
        213,
        &[
            "A 2 float32 -",
            "W 28 float32 -",
            "VAR 44 float32 -",
            "PF 52 float32 -",
            "TotWhExp 60 float32 -",
            "TotWhImp 68 float32 -",
        ],
    ),
    (214, &["Hz 26 float32 -", "Evt 124 bitfield32 -"]),
    (
        701,
        &[
            "ACType 2 enum16 -",
            "InvSt 4 enum16 -",
            "ConnSt 5 enum16 -",
            "Alrm 6 bitfield32 -",
            "W 10 int16 W_SF",
            "VA 11 int16 VA_SF",
            "PF 13 int16 PF_SF",
            "A 14 int16 A_SF",
            "LNV 16 uint16 V_SF",
            "Hz 17 uint32 Hz_SF",
            "TotWhInj 19 uint64 TotWh_SF",
            "TotWhAbs 23 uint64 TotWh_SF",
            "TmpCab 36 int16 Tmp_SF",
            "WL1 41 int16 W_SF",
            "VL1 47 uint16 V_SF",
            "WL3 87 int16 W_SF",
            "ThrotPct 110 uint16 -",
            "MnAlrmInfo 123 string*32 -",
        ],
    ),
    (
        702,
        &[
            "WMaxRtg 2 uint16 W_SF",
            "WChaRteMaxRtg 10 uint16 W_SF",
            "VNomRtg 14 uint16 V_SF",
            "CtrlModes 23 bitfield32 -",
            "WMax 26 uint16 W_SF",
            "WChaRteMax 34 uint16 W_SF",
            "WDisChaRteMax 35 uint16 W_SF",
        ],
    ),
    (703, &["ES 2 enum16 -", "ESVHi 3 uint16 V_SF", "ESHzHi 5 uint32 Hz_SF", "ESDlyRemTms 15 uint32 -"]),
    (
        704,
        &[
            "WMaxLimPctEna 14 enum16 -",
            "WMaxLimPct 15 uint16 WMaxLimPct_SF",
            "WMaxLimPctRvrtTms 18 uint32 -",
            "WSetEna 22 enum16 -",
            "WSetMod 23 enum16 -",
            "WSet 24 int32 WSet_SF",
            "WSetPct 28 int16 WSetPct_SF",
            "WSetRvrtTms 31 uint32 -",
            "WSetRvrtRem 33 uint32 -",
            "VarSet 38 int32 VarSet_SF",
            "WSetPct_SF 56 sunssf -",
        ],
    ),
    (
        713,
        &[
            "WHRtg 2 uint16 WH_SF",
            "WHAvail 3 uint16 WH_SF",
            "SoC 4 uint16 Pct_SF",
            "SoH 5 uint16 Pct_SF",
            "Sta 6 enum16 -",
        ],
    ),
    (
        714,
        &[
            "NPrt 4 uint16 -",
            "DCW 6 int16 DCW_SF",
            "DCWhInj 7 uint64 DCWH_SF",
            "PrtTyp 20 enum16 -",
            "IDStr 22 string*8 -",
            "DCA 5 int16 DCA_SF",
            "DCV 31 uint16 DCV_SF",
            "DCSta 42 enum16 -",
        ],
    ),
    (
        802,
        &[
            "WHRtg 3 uint16 WHRtg_SF",
            "WChaRteMax 4 uint16 WChaDisChaMax_SF",
            "WDisChaRteMax 5 uint16 WChaDisChaMax_SF",
            "SoC 11 uint16 SoC_SF",
            "SoH 13 uint16 SoH_SF",
            "NCyc 14 uint32 -",
            "ChaSt 16 enum16 -",
            "State 22 enum16 -",
            "Evt1 26 bitfield32 -",
            "V 34 uint16 V_SF",
            "CellVMax 37 uint16 CellV_SF",
            "A 44 int16 A_SF",
            "AChaMax 45 uint16 AMax_SF",
            "W 47 int16 W_SF",
            "ReqW 49 int16 W_SF",
        ],
    ),
];

/// A point of the table in the same words.
fn said(table: &Table, name: &str) -> Option<String> {
    let point = table.point(name)?;
    let scale = match point.scale {
        Scale::One => "-".to_owned(),
        Scale::Fixed(shift) => shift.to_string(),
        Scale::At(at) => {
            let factor = table.points.iter().find(|point| point.at == at && point.kind == Type::Sunssf)?;
            factor.name.to_owned()
        }
    };
    Some(format!("{name} {} {:?} {scale}", point.at, point.kind))
}

#[test]
fn the_table_says_what_the_definitions_say() {
    for (id, points) in FACTS {
        let table = Table::of(*id).unwrap();
        for fact in *points {
            let [name, at, kind, scale] = fact.split(' ').collect::<Vec<_>>()[..] else { panic!("{fact}") };
            let fact = format!("{name} {at} {:?} {scale}", Type::parse(kind).unwrap());
            assert_eq!(said(table, name).as_ref(), Some(&fact), "model {id}");
        }
    }
}

#[test]
fn there_is_a_fact_of_every_model_that_we_use() {
    for id in (0..=u16::MAX).filter(|id| Model::of(*id).is_some()) {
        assert!(FACTS.iter().any(|(known, _)| *known == id), "{id}");
    }
}
