//! 200 kill -9 at random instants, while 20 devices take 5,000 commands by all doors and devices and
//! broker fail at random. Afterwards every command's fate is compared with what its device was told.
//!
//! `MAESTRO_STORM_SEED` repeats a storm, as far as a storm can be repeated; `MAESTRO_STORM_KILLS` makes it
//! shorter or longer.

mod answers;
mod chance;
mod doors;
mod judge;
mod plan;
mod registers;
mod weather;

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use simulator::{BatteryMode, Home};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use self::{
    answers::{Answers, wrong_refusal},
    chance::Chance,
    doors::{ANSWERS, Doors, Told},
    plan::{Door, HOMES, Order, Sets},
    registers::Record,
    weather::{Log, wall_ms},
};
use crate::parts::{Api, Gateway, Mosquitto, Peer, house};

const COMMANDS_PER_KILL: usize = 25;
/// Every so many kills the broker is restarted as well.
const BROKER_EVERY: usize = 12;
/// What waits expires after half a minute, a battery's power is watched for as long.
const PATIENCE: Duration = Duration::from_secs(150);
/// A device's record keeps so many writes.
const RECORDED: usize = 10_000;
const SHOWN: usize = 40;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_when_no_command_is_lost_none_is_repeated_and_every_result_is_true() {
    let seed = number("MAESTRO_STORM_SEED", 20_260_131);
    let kills = number("MAESTRO_STORM_KILLS", 200) as usize;
    println!("MAESTRO_STORM_SEED={seed} MAESTRO_STORM_KILLS={kills}");
    let mut homes = Vec::new();
    for _ in 0..HOMES {
        homes.push(house::still_home(1.0).await);
    }
    let mut broker = Mosquitto::start().await;
    let mut gateway = Gateway::start(house::GATEWAY, &configuration(&broker, &homes)).await;
    for home in 0..HOMES {
        gateway.points(&format!("h{home}-battery")).await;
    }
    let peer = Peer::connect(broker.port, &[ANSWERS, "maestro/result", "maestro/device/+/progress"]).await;
    let doors = Doors {
        peer: Arc::new(peer),
        api: gateway.api(),
        socket: gateway.socket(),
        told: Arc::default(),
        cancelled: Arc::default(),
    };
    let (log, over) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let mut weather = JoinSet::new();
    for (home, at) in homes.iter().zip(0..) {
        let chance = Chance::new(seed, 100 + at as u64);
        weather.spawn(weather::faults(at, home.hybrid().clone(), chance, log.clone(), over.clone()));
    }

    let mut orders = Vec::new();
    let mut sending = JoinSet::new();
    for (number, round) in plan::plan(seed, kills, kills * COMMANDS_PER_KILL).into_iter().enumerate() {
        let ends = Instant::now() + round.lasts;
        orders.extend(round.orders.iter().cloned());
        sending.spawn(doors.clone().send(round.orders));
        if number % BROKER_EVERY == BROKER_EVERY - 1 {
            broker.stop();
            broker.start_again().await;
        }
        sleep_until(ends).await;
        assert!(gateway.is_running(), "it ended by itself before kill {number}");
        let from = wall_ms();
        gateway.kill();
        gateway.spawn_again();
        log.note(None, "kill -9", from, wall_ms());
    }

    over.store(true, Ordering::SeqCst);
    while let Some(ended) = weather.join_next().await {
        ended.unwrap();
    }
    homes.iter().for_each(|home| home.hybrid().clear_faults());
    gateway.wait_ready().await;
    let all_sent = async {
        while let Some(ended) = sending.join_next().await {
            ended.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, all_sent).await.expect("an asker on the socket waits for ever");
    let answers = all_told(&doors.peer, &orders).await;
    let rows = all_ended(&doors.api, &orders).await;

    let records: Vec<_> = homes
        .iter()
        .map(|home| {
            let writes = home.hybrid().writes();
            assert!(writes.len() < RECORDED, "the record is not whole any more");
            Record::of(&writes)
        })
        .collect();
    let mut problems = Vec::new();
    for order in &orders {
        let row = rows.get(&order.id);
        let found = [
            judge::wrong(order, row, &records[order.home], &log),
            wrong_telling(order, row, &doors, &answers),
        ];
        for words in found.into_iter().flatten() {
            let row = row.map(Value::to_string).unwrap_or_default();
            problems.push(format!("{words}: {order:?} {row}"));
        }
    }
    for (batch, members) in batches(&orders) {
        let members: Vec<_> = members.iter().map(|id| rows.get(*id)).collect();
        problems.extend(answers.wrong_summary(batch, &members).map(|words| format!("{batch}: {words}")));
    }
    let tally = tally(&orders, &rows);
    println!("{} disturbances; {tally:?}", log.len());
    assert!(
        problems.is_empty(),
        "{} problems with seed {seed}:\n{}",
        problems.len(),
        problems.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n")
    );
    let done = tally.get("done").copied().unwrap_or(0);
    assert!(done > orders.len() / 4, "a storm in which little is done proves little: {tally:?}");
    let points = orders.iter().filter(|order| matches!(order.sets, Sets::Point(_)));
    let written = points.filter(|order| records[order.home].executed(order.sets) == 1).count();
    assert!(written > kills / 4, "only {written} commands that must not be repeated were executed");

    // What is held is given back before it ends, and the journal is in order.
    assert!(gateway.stop().await.success());
    for home in &homes {
        assert_eq!(home.now().mode, BatteryMode::Auto);
    }
    in_order(&gateway.journal());
}

fn configuration(broker: &Mosquitto, homes: &[Home]) -> String {
    let timing = "interval = \"1s\"\ntimeout = \"300ms\"";
    let mut text = format!(
        "[journal]\ngroup = \"1s\"\n[commands]\nrate_limit = 0\nbattery_lease = \"60s\"\n\
         wear_gap = \"0s\"\nwear_per_day = 100000\n{}",
        broker.section()
    );
    for (number, home) in homes.iter().enumerate() {
        text += &house::hybrid(&format!("h{number}"), home.hybrid_addr(), timing, "write_points = true");
    }
    text
}

/// Waits until every asker by MQTT was told something.
async fn all_told(peer: &Peer, orders: &[Order]) -> Answers {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answers = Answers::of(peer);
        let missing = answers.missing(orders);
        if missing.is_empty() {
            return answers;
        }
        assert!(
            Instant::now() < deadline,
            "{} askers by MQTT were never answered: {:?}",
            missing.len(),
            &missing[..missing.len().min(SHOWN)]
        );
        sleep(Duration::from_millis(500)).await;
    }
}

/// Waits until nothing is open; gives every command that the journal knows.
async fn all_ended(api: &Api, orders: &[Order]) -> HashMap<String, Value> {
    let deadline = Instant::now() + PATIENCE;
    let mut rows = HashMap::new();
    let mut open: Vec<&Order> = orders.iter().collect();
    loop {
        let mut still = Vec::new();
        for order in open {
            match api.get(&format!("/v1/commands/{}", order.id)).await {
                Some((200, row)) => {
                    if row["outcome"].is_null() {
                        still.push(order);
                    }
                    rows.insert(order.id.clone(), row);
                }
                Some((404, _)) => {}
                other => panic!("the journal does not tell about {}: {other:?}", order.id),
            }
        }
        // What is open when the time is over is judged as it is.
        if still.is_empty() || Instant::now() > deadline {
            return rows;
        }
        open = still;
        sleep(Duration::from_millis(500)).await;
    }
}

/// Was the asker told the truth about what the journal has?
fn wrong_telling(order: &Order, row: Option<&Value>, doors: &Doors, answers: &Answers) -> Option<String> {
    if answers.accepted.contains(&order.id) && row.is_none() {
        return Some("told as accepted, and lost".to_owned());
    }
    let was_cancelled = doors.cancelled.lock().unwrap().contains(&order.id);
    if was_cancelled && row.is_none_or(|row| row["outcome"] != "cancelled") {
        return Some("its cancellation was confirmed, and it was not cancelled".to_owned());
    }
    if !matches!(order.door, Door::Http | Door::Cli) {
        return answers.wrong(order, row);
    }
    match (doors.told.lock().unwrap().get(&order.id), row) {
        (Some(Told::Accepted), None) => Some("accepted, and lost".to_owned()),
        (Some(Told::Refused(code, message)), None) => wrong_refusal("http:storm", code, message),
        (Some(Told::Refused(code, _)), Some(_)) => Some(format!("refused as {code}, and accepted")),
        _ => None,
    }
}

fn batches(orders: &[Order]) -> BTreeMap<&str, Vec<&str>> {
    let mut batches: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for order in orders {
        if let Some(batch) = &order.batch {
            batches.entry(batch).or_default().push(&order.id);
        }
    }
    batches
}

fn tally(orders: &[Order], rows: &HashMap<String, Value>) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for order in orders {
        let outcome = rows.get(&order.id).map_or("refused", |row| row["outcome"].as_str().unwrap_or("open"));
        *tally.entry(outcome.to_owned()).or_default() += 1;
    }
    tally
}

/// Each id once, each with an end, and nothing left to tell.
fn in_order(journal: &Path) {
    let db = rusqlite::Connection::open(journal).unwrap();
    let count = |sql: &str| -> i64 { db.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT COUNT(*) - COUNT(DISTINCT id) FROM command"), 0, "an id twice");
    assert_eq!(count("SELECT COUNT(*) FROM command WHERE outcome IS NULL"), 0, "open");
    assert_eq!(count("SELECT COUNT(*) FROM command WHERE told = 0"), 0, "untold");
    assert_eq!(count("SELECT COUNT(*) FROM command_batch WHERE told = 0"), 0, "untold batches");
    let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
