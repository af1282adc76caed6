//! A unit against a device on a socket, beyond what one dump can show.

use adapter_api::{
    BoxFuture, Clock, DeviceInfo, Fault, Moment, Reading, Store, StoreError, StorePort, Value,
};

use super::{Sunspec, golden::dumped, seen};
use crate::{
    client::Link,
    field::Seen,
    learned::Learned,
    port::Port,
    testing::{Peer, hybrid},
    units::{UnitConfig, resolve},
};

const NOW: Moment = Moment { wall_ms: 1_000, mono_ms: 1 };
const HOME: &str = "[device.home]\nprofile = 'sunspec'\n";
/// The first register of a search.
const BASE: u16 = 40_000;

/// A store without notes.
struct NoNotes;

impl StorePort for NoNotes {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// One unit and its way to a peer.
pub(super) struct Bench {
    unit: UnitConfig,
    link: Link,
    store: Store,
    clock: Clock,
    learned: Learned,
    sunspec: Sunspec,
}

impl Bench {
    /// The first unit of `devices`, which takes requests of up to `block` registers.
    pub fn new(peer: &Peer, devices: &str, block: u16) -> Self {
        let settings = peer.settings(devices);
        let mut unit = resolve("it", &settings).remove(0);
        unit.block = block;
        Self {
            unit,
            link: Link::new(peer.place(), &settings),
            store: Store::new(NoNotes),
            clock: Clock::new("boot", || NOW),
            learned: Learned::default(),
            sunspec: Sunspec::default(),
        }
    }

    fn port(&mut self) -> (&mut Sunspec, Port<'_>) {
        let Self { unit, link, store, clock, learned, sunspec } = self;
        (sunspec, Port { unit, store, clock, link, learned })
    }

    pub async fn probe(&mut self) -> Result<Vec<DeviceInfo>, Fault> {
        let (sunspec, mut port) = self.port();
        sunspec.probe(&mut port).await
    }

    pub async fn read(&mut self) -> Result<Vec<Reading>, Fault> {
        let (sunspec, mut port) = self.port();
        sunspec.read(&mut port, NOW).await
    }

    async fn seen(&mut self) -> Vec<Seen> {
        let (_, mut port) = self.port();
        seen(&mut port).await.unwrap()
    }

    /// A number of one device.
    async fn number(&mut self, device: &str, point: &str) -> Option<f64> {
        let readings = self.read().await.unwrap();
        let reading = readings.iter().find(|reading| reading.device.as_str() == device)?;
        reading.point(point).and_then(Value::number)
    }
}

/// Did it look for the map?
fn searched(peer: &Peer) -> bool {
    peer.seen().iter().any(|request| request.start == BASE)
}

#[tokio::test]
async fn what_is_used_of_a_701_is_one_request_and_its_neighbours_share_another() {
    let peer = dumped("der_700").await;
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap();
    peer.seen();
    bench.read().await.unwrap();
    let requests: Vec<(u16, u16)> =
        peer.seen().iter().map(|request| (request.start, request.count)).collect();
    // 701; 703, 704 and 713; 714.
    assert_eq!(requests, [(40_070, 123), (40_277, 95), (40_372, 95)]);
}

#[tokio::test]
async fn values_are_not_believed_when_their_scale_factors_change_while_a_long_model_is_read() {
    let peer = dumped("long_160").await;
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap();
    peer.seen();
    let mppt = 40_000 + 2 + 68 + 52;
    // Between its two requests: the later modules would be ten times too small.
    peer.change_after(mppt, mppt + 4, 1);
    let fault = bench.read().await.unwrap_err().to_string();
    assert!(fault.contains("scale factors changed"), "{fault}");
    assert_eq!(bench.number("home", "activePower").await, Some(7210.0));
    assert!(!searched(&peer), "the models are where they were");
}

#[tokio::test]
async fn nor_when_the_scale_factors_come_after_their_values() {
    let peer = dumped("der_701_alone").await;
    let mut bench = Bench::new(&peer, HOME, 64);
    bench.probe().await.unwrap();
    let power_scale = 40_070 + 116;
    peer.change_after(40_070 + 10, power_scale, 0);
    let fault = bench.read().await.unwrap_err().to_string();
    assert!(fault.contains("scale factors changed"), "{fault}");
    assert_eq!(bench.number("home", "activePower").await, Some(250.0));
}

#[tokio::test]
async fn a_device_that_takes_no_request_across_its_models_is_read_and_not_searched_again() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::home_map());
    // 123 and 124 lie side by side.
    peer.border(hybrid::STORAGE);
    let mut bench = Bench::new(&peer, HOME, 125);
    assert_eq!(bench.probe().await.unwrap().len(), 3);
    peer.seen();
    for _ in 0..3 {
        assert_eq!(bench.number("home", "powerLimit").await, Some(100.0));
        assert_eq!(bench.number("home-battery", "batteryLevel").await, Some(63.5));
    }
    assert!(!searched(&peer));
}

#[tokio::test]
async fn a_model_that_refuses_itself_later_is_left_out_by_the_next_probe() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::home_map());
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap();
    peer.remove(1, hybrid::STORAGE + 2, 5);
    let fault = bench.read().await.unwrap_err().to_string();
    assert!(fault.contains("no longer where they were"), "{fault}");
    let devices = bench.probe().await.unwrap();
    assert!(devices.iter().any(|device| device.id.as_str() == "home-battery"), "by its inputs");
    peer.seen();
    assert_eq!(bench.number("home-battery", "activePower").await, Some(-600.0));
    assert_eq!(bench.number("home-battery", "batteryLevel").await, None);
    assert!(!searched(&peer));
}

#[tokio::test]
async fn a_device_of_which_every_model_refuses_itself_says_so_and_is_no_endless_search() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::map(&[hybrid::common("A", "B", "C", 66)], &[103, 50]));
    let fault = Bench::new(&peer, HOME, 125).probe().await.unwrap_err().to_string();
    assert!(fault.contains("no SunSpec model of an inverter"), "{fault}");
}

#[tokio::test]
async fn a_timeout_while_it_is_searched_is_a_silent_device_and_not_another_base() {
    let peer = Peer::start().await;
    peer.holding(1, 0, &hybrid::home_map());
    peer.moves(&[crate::testing::Move::Silent]);
    let fault = Bench::new(&peer, HOME, 125).probe().await.unwrap_err();
    assert!(matches!(fault, Fault::Silent(_)), "{fault}");
    assert_eq!(peer.seen().len(), 1);
}

#[tokio::test]
async fn a_battery_whose_sign_is_the_other_way_is_turned_by_its_own_table_alone() {
    for (table, power, consumed) in [
        ("", -800.0, 900.0),
        ("invert = true\n", -800.0, 900.0),
        ("[device.home-battery]\ninvert = true\n", 800.0, 700.0),
    ] {
        let peer = dumped("der_700").await;
        let mut bench = Bench::new(&peer, &format!("{HOME}{table}"), 125);
        assert_eq!(bench.number("home-battery", "activePower").await, Some(power), "{table}");
        assert_eq!(bench.number("home-battery", "energyConsumedTotal").await, Some(consumed), "{table}");
    }
}

#[tokio::test]
async fn a_battery_bank_alone_takes_its_own_sign_from_the_table_of_its_unit() {
    let peer = dumped("battery_only_802").await;
    let mut bench = Bench::new(&peer, &format!("{HOME}invert = true\n"), 125);
    assert_eq!(bench.number("home", "activePower").await, Some(-1950.0));
}

#[tokio::test]
async fn parts_that_are_switched_off_are_neither_told_nor_read_out() {
    let peer = dumped("three_meters").await;
    let table = format!("{HOME}[device.home-meter2]\nenabled = false\n");
    let mut bench = Bench::new(&peer, &table, 125);
    let devices = bench.probe().await.unwrap();
    let ids: Vec<&str> = devices.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(ids, ["home", "home-grid", "home-meter3"]);
    assert_eq!(bench.read().await.unwrap().len(), 3);
}

/// What was seen of a point: registers, value and unit.
fn point<'s>(seen: &'s [Seen], part: &str, name: &str) -> (&'s [u16], Option<&'s str>, &'s str) {
    let one = seen.iter().find(|seen| seen.part == part && seen.point == name);
    let one = one.unwrap_or_else(|| panic!("no {name} of {part}"));
    (&one.raw, one.value.as_deref(), &one.unit)
}

#[tokio::test]
async fn every_point_is_seen_once_raw_and_decoded_in_whatever_blocks_the_device_takes() {
    for block in [125, 40] {
        let peer = dumped("fronius_int").await;
        let seen = Bench::new(&peer, HOME, block).seen().await;
        assert!(peer.seen().iter().all(|request| request.count <= block));
        assert_eq!(point(&seen, "1", "Mn").1, Some("Fronius"));
        assert_eq!(point(&seen, "103", "PhVphA"), (&[2301][..], Some("230.1"), "V"));
        assert_eq!(point(&seen, "103", "St").1, Some("4 (mppt)"));
        assert_eq!(point(&seen, "103", "TmpSnk"), (&[0x8000][..], None, "°C"), "not implemented");
        assert_eq!(point(&seen, "103", "V_SF").1, Some("-1"));
        assert_eq!(point(&seen, "124", "StorCtl_Mod").1, Some("0"));
        assert_eq!(point(&seen, "160/3", "IDStr").1, Some("StCha 3"));
        assert_eq!(point(&seen, "160/4", "DCWH"), (&[12, 13_568][..], Some("800000"), "Wh"));
        let module = seen.iter().find(|seen| seen.part == "160/2" && seen.point == "DCW").unwrap();
        // Marker, 1, 103, 120 to 123, the header, and one module.
        assert_eq!(module.register, 40_000 + 2 + 67 + 52 + 28 + 32 + 46 + 26 + 10 + 20 + 11);
        let mut places: Vec<_> = seen.iter().map(|seen| (seen.register, seen.point.clone())).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), seen.len());
    }
}

#[tokio::test]
async fn ports_floats_flags_and_vendors_models_are_seen_too() {
    let der = Bench::new(&dumped("der_700").await, HOME, 125).seen().await;
    assert_eq!(point(&der, "714/3", "DCW").1, Some("-800"));
    assert_eq!(point(&der, "714/3", "PrtTyp").1, Some("1 (ess)"));
    assert_eq!(point(&der, "701", "TotWhInj").1, Some("5000000000"));
    assert_eq!(point(&der, "701", "MnAlrmInfo").1, None);
    let meter = Bench::new(&dumped("meter_only_213").await, HOME, 125).seen().await;
    assert_eq!(point(&meter, "213", "PhVphA").1, Some("230.5"));
    assert_eq!((point(&meter, "213", "VAR").1, point(&meter, "213", "Evt").1), (None, None));
    let vendors = Bench::new(&dumped("vendor_models").await, HOME, 125).seen().await;
    assert_eq!(point(&vendors, "64110", "L"), (&[282][..], Some("282"), ""));
    let bank = Bench::new(&dumped("battery_only_802").await, HOME, 125).seen().await;
    assert_eq!(point(&bank, "802", "Evt1").1, Some("0"));
}

#[tokio::test]
async fn what_a_device_refuses_has_no_registers_and_the_rest_is_seen() {
    let peer = dumped("refused_model").await;
    let seen = Bench::new(&peer, HOME, 125).seen().await;
    assert_eq!(point(&seen, "160/1", "DCW"), (&[][..], None, "W"));
    assert_eq!(point(&seen, "123", "WMaxLimPct").1, Some("100"));
}
