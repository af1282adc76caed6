//! A SunSpec hybrid as registers: solar 3,100 W, battery charging with 600 W at 63.5 %, grid meter
//! exporting 150 W. Scale factors, sentinels and padding as real devices have them.

/// What is not set is "not implemented", for whichever type.
pub(crate) fn model(id: u16, length: u16, points: &[(u16, &[u16])]) -> Vec<u16> {
    let mut words = vec![0x8000; usize::from(length) + 2];
    words[..2].copy_from_slice(&[id, length]);
    for (at, values) in points {
        words[usize::from(*at)..][..values.len()].copy_from_slice(values);
    }
    words
}

/// A signed word.
pub(crate) fn int(value: i16) -> u16 {
    value as u16
}

/// A counter.
fn long(value: u32) -> [u16; 2] {
    [(value >> 16) as u16, value as u16]
}

fn text(text: &str, registers: usize) -> Vec<u16> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(registers * 2, 0);
    bytes.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect()
}

pub(crate) fn common(maker: &str, product: &str, serial: &str, length: u16) -> Vec<u16> {
    let (maker, product) = (text(maker, 16), text(product, 16));
    let (version, serial) = (text("1.2.3", 8), text(serial, 16));
    model(1, length, &[(2, &maker), (18, &product), (42, &version), (50, &serial)])
}

pub(crate) fn inverter() -> Vec<u16> {
    model(
        103,
        50,
        &[
            (2, &[43, 14, 15, 14, int(-1)]),
            (10, &[2301, 2299, 2300, int(-1)]),
            (14, &[2950, 0, 5001, int(-2), 2960, 0, int(-100), 0, 9970, int(-2)]),
            (24, &long(12_345_678)),
            (26, &[0]),
            (31, &[2460, 0]),
            (33, &[415]),
            (37, &[int(-1), 4]),
        ],
    )
}

pub(crate) fn storage() -> Vec<u16> {
    model(
        124,
        24,
        &[
            (2, &[5000]),
            (5, &[0]),
            (7, &[500, 6350]),
            (11, &[4, 10_000, 10_000, 0, 0, 0, 0, 0]),
            (21, &[int(-2), int(-2)]),
            (25, &[int(-2)]),
        ],
    )
}

/// Modules by name, W and Wh.
pub(crate) fn mppt(modules: &[(&str, u16, u32)]) -> Vec<u16> {
    let count = u16::try_from(modules.len()).unwrap();
    let mut words = model(160, 8 + 20 * count, &[(2, &[int(-2), int(-1), 0, 0]), (8, &[count])]);
    for (n, (name, watts, wh)) in modules.iter().enumerate() {
        let module = &mut words[10 + 20 * n..][..20];
        module[1..9].copy_from_slice(&text(name, 8));
        module[11] = *watts;
        module[12..14].copy_from_slice(&long(*wh));
        module[17] = 4;
    }
    words
}

pub(crate) fn meter() -> Vec<u16> {
    model(
        203,
        105,
        &[
            (2, &[52, int(-10), 20, 22, int(-1), 2300, 2301, 2299, 2300]),
            (15, &[int(-1), 5000, int(-2), int(-150), int(-100), int(-30), int(-20), 0]),
            (33, &[int(-950)]),
            (37, &[int(-3)]),
            (38, &long(1_000_000)),
            (46, &long(3_000_000)),
            (54, &[0]),
        ],
    )
}

pub(crate) const MODULES: [(&str, u16, u32); 4] = [
    ("MPPT 1", 2000, 5_000_000),
    ("MPPT 2", 1100, 2_500_000),
    ("StCha 3", 600, 900_000),
    ("StDisCha 4", 0, 800_000),
];

/// The models of the inverter's sub device, with a legacy Common block of 65 and a vendor's model.
pub(crate) fn roof() -> Vec<Vec<u16>> {
    vec![
        common("Sunny ", "Hybrid 5.0", "SN-1", 65),
        inverter(),
        model(120, 26, &[(3, &[5000, 0]), (19, &[1024, 1])]),
        model(121, 30, &[(2, &[500]), (22, &[1])]),
        model(64_100, 4, &[]),
        model(123, 24, &[(5, &[10_000, 0, 0, 0, 0]), (23, &[int(-2)])]),
        storage(),
        mppt(&MODULES),
    ]
}

/// The models of the meter's sub device.
pub(crate) fn grid() -> Vec<Vec<u16>> {
    vec![common("Smart", "Meter 63A", "SN-2", 66), meter()]
}

/// A whole map: marker, models, and the given end.
pub(crate) fn map(models: &[Vec<u16>], end: &[u16]) -> Vec<u16> {
    let mut words = vec![0x5375, 0x6E53];
    words.extend(models.iter().flatten());
    words.extend(end);
    words
}

/// Roof and grid with a proper end.
pub(crate) fn home_map() -> Vec<u16> {
    map(&[roof(), grid()].concat(), &[0xFFFF, 0])
}

/// Where the models of `home_map` begin when it lies at 40000.
pub(crate) const IMMEDIATE: u16 = 40_187;
pub(crate) const STORAGE: u16 = 40_213;
