//! A unit against a device on a socket, beyond what one dump can show.

use std::{sync::Arc, time::Duration};

use adapter_api::{
    Asked, BoxFuture, Clock, DeviceId, DeviceInfo, Fault, Job, JobPort, Moment, Parameters, Purpose,
    ReadBack, Reading, Store, StoreError, StorePort, UnitId, Value, Wear, WriteOutcome, Written,
};

use super::{Sunspec, golden::dumped, seen};
use crate::{
    client::Link,
    field::Seen,
    learned::Learned,
    port::Port,
    testing::{Move, Peer, hybrid},
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

/// Takes whatever becomes of a job.
struct Hands;

impl JobPort for Hands {
    fn resolve<'a>(&'a mut self, _: &'a Arc<str>, _: &'a Parameters) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn settle(self: Box<Self>, _: Option<WriteOutcome>) {}
}

/// `home set_power_limit percent=40`, for two minutes.
pub(super) fn command(line: &str) -> Job {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_else(|| panic!("a device and a command: {line}"));
    let (device, command) = (DeviceId::new(next()).unwrap(), Arc::from(next()));
    let parameters = words.map(|word| {
        let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("no value: {line}"));
        let value = match (value.parse::<f64>(), value.parse::<bool>()) {
            (Ok(number), _) => Value::Number(number),
            (_, Ok(on)) => Value::Bool(on),
            _ => Value::from(value),
        };
        (Arc::from(name), value)
    });
    let asked = Asked {
        number: 1,
        device,
        unit: UnitId::from("it/1"),
        command,
        parameters: Parameters(parameters.collect()),
        purpose: Purpose::Execute,
        verify_for: Duration::ZERO,
        timer: Some(Duration::from_secs(120)),
        wear: Wear::None,
        relative: false,
    };
    Job::new(asked, Hands)
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

    pub async fn write(&mut self, job: &Job) -> Written {
        let (sunspec, mut port) = self.port();
        sunspec.write(&mut port, job).await
    }

    pub async fn read_back(&mut self, job: &Job) -> ReadBack {
        let (sunspec, mut port) = self.port();
        sunspec.read_back(&mut port, job).await
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

/// Where requests went.
fn starts(peer: &Peer) -> Vec<u16> {
    peer.seen().iter().map(|request| request.start).collect()
}

#[tokio::test]
async fn a_dead_unit_costs_one_timeout_each_time_and_is_asked_at_every_base_in_turn() {
    let peer = Peer::start().await;
    peer.moves(&[Move::Silent; 4]);
    let mut bench = Bench::new(&peer, HOME, 125);
    for base in [40_000, 0, 50_000, 40_000] {
        let fault = bench.probe().await.unwrap_err();
        assert!(matches!(fault, Fault::Silent(_)), "{fault}");
        assert_eq!(starts(&peer), [base]);
    }
}

#[tokio::test]
async fn a_device_that_is_silent_where_it_has_no_map_is_found_by_the_next_probe() {
    for at in [0, 50_000] {
        let peer = Peer::start().await;
        peer.holding(1, at, &hybrid::home_map());
        peer.moves(&[Move::Silent]);
        let mut bench = Bench::new(&peer, HOME, 125);
        let fault = bench.probe().await.unwrap_err();
        assert!(matches!(fault, Fault::Silent(_)), "{fault}");
        assert_eq!(bench.probe().await.unwrap().len(), 3, "at {at}");
        assert_eq!(bench.number("home-battery", "batteryLevel").await, Some(63.5));
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_at_the_right_base_is_asked_for_again_after_the_others() {
    let peer = Peer::start().await;
    peer.holding(1, 40_000, &hybrid::home_map());
    peer.moves(&[Move::Silent]);
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap_err();
    peer.seen();
    assert_eq!(bench.probe().await.unwrap().len(), 3);
    assert_eq!(starts(&peer)[..3], [0, 50_000, 40_000]);
}

#[tokio::test]
async fn once_a_base_was_answered_the_silence_of_a_later_one_is_not_here() {
    let peer = Peer::start().await;
    peer.holding(1, 50_000, &hybrid::home_map());
    peer.moves(&[Move::Answer, Move::Silent]);
    assert_eq!(Bench::new(&peer, HOME, 125).probe().await.unwrap().len(), 3);
    assert_eq!(starts(&peer)[..3], [40_000, 0, 50_000]);
}

#[tokio::test]
async fn a_refusal_at_a_base_means_another_base_unless_it_is_one_of_the_moment() {
    for code in [1, 2, 3, 4, 8, 20] {
        let peer = Peer::start().await;
        peer.holding(1, 0, &hybrid::home_map());
        peer.moves(&[Move::Exception(code)]);
        assert_eq!(Bench::new(&peer, HOME, 125).probe().await.unwrap().len(), 3, "exception {code}");
    }
    for code in [5, 6, 10, 11] {
        let peer = Peer::start().await;
        peer.holding(1, 0, &hybrid::home_map());
        peer.moves(&[Move::Exception(code)]);
        let mut bench = Bench::new(&peer, HOME, 125);
        let fault = bench.probe().await.unwrap_err().to_string();
        assert!(fault.contains(&format!("exception {code}")), "{fault}");
        assert_eq!(starts(&peer), [40_000], "it says nothing of the registers");
        assert_eq!(bench.probe().await.unwrap().len(), 3, "after exception {code}");
    }
}

#[tokio::test]
async fn a_map_ends_where_its_device_falls_silent_or_refuses() {
    let end = BASE + 2 + 67 + 52;
    for how in [Move::Exception(1), Move::Exception(2), Move::Exception(3), Move::Exception(4), Move::Silent]
    {
        let peer = Peer::start().await;
        let models = [hybrid::common("A", "B", "C", 65), hybrid::inverter()];
        peer.holding(1, BASE, &hybrid::map(&models, &[0xFFFF, 0]));
        // Marker, Common, its texts in two requests, the inverter; then the end, which is asked for again when
        // it is silent.
        let mut moves = vec![Move::Answer; 5];
        moves.extend(if how == Move::Silent { vec![how; 2] } else { vec![how] });
        peer.moves(&moves);
        let mut bench = Bench::new(&peer, HOME, 125);
        assert_eq!(bench.probe().await.unwrap().len(), 1, "{how:?}");
        let asked = starts(&peer).iter().filter(|start| **start == end).count();
        assert_eq!(asked, moves.len() - 5, "{how:?}");
        assert_eq!(bench.number("home", "inverterPower").await, Some(2950.0));
    }
}

#[tokio::test]
async fn a_header_whose_answer_is_lost_once_hides_no_model_and_a_busy_one_ends_no_map() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::home_map());
    peer.moves(&[Move::Answer, Move::Answer, Move::Answer, Move::Answer, Move::Silent]);
    assert_eq!(Bench::new(&peer, HOME, 125).probe().await.unwrap().len(), 3);
    peer.moves(&[Move::Answer, Move::Answer, Move::Answer, Move::Answer, Move::Exception(6)]);
    let mut bench = Bench::new(&peer, HOME, 125);
    let fault = bench.probe().await.unwrap_err().to_string();
    assert!(fault.contains("exception 6"), "{fault}");
    assert_eq!(bench.probe().await.unwrap().len(), 3);
}

/// The hybrid with one more model before its inverter.
fn longer() -> Vec<u16> {
    let mut models = [hybrid::roof(), hybrid::grid()].concat();
    models.insert(1, hybrid::model(64_200, 10, &[]));
    hybrid::map(&models, &[0xFFFF, 0])
}

#[tokio::test]
async fn models_that_moved_are_found_and_read_within_the_same_turn() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::home_map());
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap();
    peer.holding(1, BASE, &longer());
    peer.seen();
    assert_eq!(bench.number("home", "inverterPower").await, Some(2950.0));
    assert!(searched(&peer));
    assert_eq!(bench.number("home-battery", "batteryLevel").await, Some(63.5));
    assert!(!searched(&peer), "they are known again");
}

#[tokio::test]
async fn a_command_finds_the_models_that_moved_and_never_writes_where_they_were() {
    let peer = Peer::start().await;
    peer.holding(1, BASE, &hybrid::home_map());
    let mut bench = Bench::new(&peer, HOME, 125);
    bench.probe().await.unwrap();
    peer.holding(1, BASE, &longer());
    peer.seen();
    let job = command("home set_power_limit percent=40");
    let written = bench.write(&job).await;
    assert!(matches!(written, Written::Sent { .. }), "{written:?}");
    let writes: Vec<u16> =
        peer.seen().iter().filter(|request| request.function == 16).map(|request| request.start).collect();
    assert!(!writes.is_empty() && writes.iter().all(|start| *start > hybrid::IMMEDIATE + 12), "{writes:?}");
    assert!(matches!(bench.read_back(&job).await, ReadBack::Applied { .. }));
}

#[tokio::test]
async fn a_map_that_never_stands_still_is_searched_once_a_turn() {
    let inverter = BASE + 2 + 67 + 12;
    let end = BASE + u16::try_from(longer().len()).unwrap() - 2;
    // While it is searched, and between the search and the read after it.
    for trigger in [end, inverter + 52 + 3] {
        let peer = Peer::start().await;
        peer.holding(1, BASE, &hybrid::home_map());
        let mut bench = Bench::new(&peer, HOME, 125);
        bench.probe().await.unwrap();
        peer.holding(1, BASE, &longer());
        peer.change_after(trigger, inverter, 104);
        peer.seen();
        let fault = bench.read().await.unwrap_err().to_string();
        assert!(fault.contains("no longer where they were"), "{fault}");
        assert_eq!(starts(&peer).iter().filter(|start| **start == BASE).count(), 1);
        peer.holding(1, inverter, &[103]);
        assert_eq!(bench.number("home", "inverterPower").await, Some(2950.0), "the next turn finds it");
    }
}

#[tokio::test]
async fn a_model_that_moves_while_it_is_searched_is_not_taken_for_one_that_refuses_itself() {
    let inverter = BASE + 2 + 67 + 12;
    let peer = Peer::start().await;
    peer.holding(1, BASE, &longer());
    peer.change_after(BASE + u16::try_from(longer().len()).unwrap() - 2, inverter, 104);
    let mut bench = Bench::new(&peer, HOME, 125);
    let fault = bench.probe().await.unwrap_err().to_string();
    assert!(fault.contains("no longer where they were"), "{fault}");
    peer.holding(1, inverter, &[103]);
    assert_eq!(bench.probe().await.unwrap().len(), 3, "nothing was left out");
}

/// Takes what is logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_second_inverter_in_one_unit_is_left_alone_with_one_warning() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let peer = Peer::start().await;
    let another = vec![hybrid::common("Sunny", "Hybrid 5.0", "SN-9", 66), hybrid::inverter()];
    peer.holding(1, BASE, &hybrid::map(&[hybrid::roof(), another].concat(), &[0xFFFF, 0]));
    let mut bench = Bench::new(&peer, HOME, 125);
    assert_eq!(bench.probe().await.unwrap()[0].serial.as_deref(), Some("SN-1"));
    bench.probe().await.unwrap();
    bench.read().await.unwrap();
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("more inverters than are read").count(), 1, "{said}");
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
