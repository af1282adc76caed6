//! A week of a home whose counters bounce to zero: what the journal adds up is what the plant's own meters say.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use adapter_api::{BoxFuture, Clock, Driver, Moment, Store, StoreError, StorePort, UnitId, Wanted};
use maestro_gateway::journal::{DeviceRow, Journal, Settings, Stored};
use simulator::{PlantSettings, Product, ProductSettings};

const WEEK_S: u64 = 7 * 86_400;
const START: i64 = 1_760_000_000_000;
/// Five minutes between two polls; power is integrated by nobody, the counters are the device's own.
const POLL_S: u64 = 300;

struct NoNotes;

impl StorePort for NoNotes {
    fn get<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn put<'a>(&'a self, _: &'a str, _: Option<Vec<u8>>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }
}

/// Sums of increments, Wh, by device: consumed and produced.
type Sums = Arc<Mutex<BTreeMap<String, [u64; 2]>>>;

fn add(sums: &Sums, stored: &[Stored]) {
    let mut sums = sums.lock().unwrap();
    for one in stored {
        let sum = sums.entry(one.reading.device.to_string()).or_default();
        sum[0] += one.energy.consumed.increment.unwrap_or(0);
        sum[1] += one.energy.produced.increment.unwrap_or(0);
    }
}

/// The plant's own meters, Wh, as a device that counts whole watt-hours shows them.
fn meters(product: &Product) -> BTreeMap<String, [u64; 2]> {
    let counters = product.now().counters;
    let whole = |wh: f64| wh.round() as u64;
    BTreeMap::from([
        ("it-battery".to_owned(), [whole(counters.charged_wh()), whole(counters.discharged_wh())]),
        ("it-grid".to_owned(), [whole(counters.imported_wh()), whole(counters.exported_wh())]),
    ])
}

#[tokio::test]
async fn a_week_of_bouncing_counters_adds_up_to_the_watt_hour() {
    // Counts whole watt-hours, in 32 and 64 bits.
    const PROFILE: &str = "sma-hybrid";
    let folder = tempfile::tempdir().unwrap();
    let seconds = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&seconds);
    let clock = Clock::new("boot", move || {
        let ms = shown.load(Ordering::Relaxed) * 1000;
        Moment { wall_ms: START + ms as i64, mono_ms: 1000 + ms }
    });
    let settings = Settings {
        data_dir: folder.path().join("data"),
        runtime_dir: folder.path().join("run"),
        group: Duration::from_secs(3600),
        retention: Duration::from_secs(30 * 86_400),
        max_size: 1 << 30,
    };
    let sums = Sums::default();
    let taken = Arc::clone(&sums);
    let journal = Journal::open(&settings, clock.clone(), move |stored| add(&taken, stored)).unwrap().journal;

    let plant = PlantSettings { start_hour: 0.0, ..PlantSettings::default() };
    let product =
        Product::start(PROFILE, ProductSettings { plant, ..ProductSettings::default() }).await.unwrap();
    let tables = format!(
        "address = 'tcp://{}'\n[device.it]\nprofile = '{PROFILE}'\nunit = {}\nmax_power = 6000\n",
        product.addr(),
        product.unit()
    );
    let tables: adapter_modbus::Settings = toml::from_str(&tables).unwrap();
    let mut driver = adapter_modbus::driver("home", &tables, clock.clone(), Store::new(NoNotes)).unwrap();
    let unit = UnitId::from(format!("home/{}", product.unit()));
    for info in driver.probe(&unit).await.unwrap() {
        let row =
            DeviceRow { info, adapter: "home".to_owned(), availability: None, problem: None, seen_at: None };
        journal.save_device(row).await.unwrap();
    }
    let mut first = None;
    for poll in 0..WEEK_S / POLL_S {
        // At all hours: for a request or some, which are parts of one poll; for a few polls; and so long that
        // three of them and a minute are over, and the zero is believed.
        if poll % 67 == 40 {
            product.bounce([1, 3, 9, 60][(poll / 67 % 4) as usize]);
        }
        let readings = driver.read(&unit, Wanted::All).await.unwrap();
        if first.is_none() {
            first = Some(meters(&product));
        }
        journal.publish(readings).await.unwrap();
        product.skip(Duration::from_secs(POLL_S));
        seconds.fetch_add(POLL_S, Ordering::Relaxed);
    }
    // The last one is true.
    product.bounce(0);
    let readings = driver.read(&unit, Wanted::All).await.unwrap();
    let last = meters(&product);
    journal.publish_durable(readings).await.unwrap();
    journal.close().await.unwrap();
    let sums = sums.lock().unwrap().clone();
    for (device, counted) in first.unwrap() {
        let moved = [last[&device][0] - counted[0], last[&device][1] - counted[1]];
        assert!(moved.iter().all(|wh| *wh > 5_000), "{device} moved: {moved:?} Wh");
        assert_eq!(sums[&device], moved, "{device}");
    }
    product.stop().await;
}
