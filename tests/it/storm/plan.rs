//! What happens in the storm, decided before it from the seed: who asks for what by which door, and
//! when the gateway is killed.
//!
//! Each command carries a value that no other command of its device has, so that the device's own
//! record says which command was executed, and how often. Values lie far more than one step apart,
//! because one step is within what a read-back takes for equal.

use std::time::Duration;

use serde_json::{Value, json};

use super::chance::Chance;

pub const HOMES: usize = 10;
/// Kills come in bursts, so that the gateway is killed while it recovers from the kill before, and
/// between bursts there is time to find out what became of a command: "not applied" is believed
/// after `verify_for`, 5 s, and a gateway that never lives that long can never say it.
const BURST: usize = 10;
const CALM_MS: (usize, usize) = (6_200, 7_000);
/// Between two kills of a burst: from before the doors open to some seconds of work.
const GAP_MS: (usize, usize) = (60, 1_100);
/// Homes whose batteries belong to the automations behind the broker.
const BY_BROKER: usize = 7;
/// Commands in one array.
const ARRAY: usize = 5;

/// How a command comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Common,
    Device,
    Array,
    Http,
    Cli,
}

/// What it sets, as raw register values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sets {
    /// 123.WMaxLimPct, hundredths of a percent.
    Limit(u16),
    /// A rate of 124 in hundredths of a percent; positive discharges.
    Power(i32),
    /// 124.MinRsvPct by `write_point`, which must not be repeated.
    Point(u16),
    Nothing,
}

#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub home: usize,
    pub sets: Sets,
    pub door: Door,
    pub priority: &'static str,
    pub owner: &'static str,
    pub expires_in: u32,
    /// After the beginning of its round.
    pub after: Duration,
    /// Somebody takes it back so much later.
    pub cancel_after: Option<Duration>,
    pub batch: Option<String>,
}

impl Order {
    pub fn device(&self) -> String {
        match self.sets {
            Sets::Power(_) | Sets::Point(_) => format!("h{}-battery", self.home),
            Sets::Limit(_) | Sets::Nothing => format!("h{}", self.home),
        }
    }

    pub fn command(&self) -> (&'static str, Value) {
        match self.sets {
            Sets::Limit(raw) => ("set_power_limit", json!({"percent": f64::from(raw) / 100.0})),
            // The battery's rates are parts of 5000 W.
            Sets::Power(rate) => ("set_battery_power", json!({"power": f64::from(rate) / 2.0})),
            Sets::Point(raw) => {
                ("write_point", json!({"point": "MinRsvPct", "value": f64::from(raw) / 100.0}))
            }
            Sets::Nothing => ("refresh", json!({})),
        }
    }

    /// Its message, without the device.
    pub fn body(&self) -> Value {
        let (command, parameters) = self.command();
        json!({"command": command, "parameters": parameters, "id": self.id, "priority": self.priority,
            "owner": self.owner, "expiresIn": self.expires_in})
    }
}

/// From a start of the gateway to its kill.
#[derive(Debug)]
pub struct Round {
    pub lasts: Duration,
    pub orders: Vec<Order>,
}

pub fn plan(seed: u64, kills: usize, commands: usize) -> Vec<Round> {
    let mut chance = Chance::new(seed, 1);
    let lasts: Vec<Duration> = (1..=kills)
        .map(|kill| {
            let (least, most) = if kill % BURST == 0 { CALM_MS } else { GAP_MS };
            chance.between(least, most)
        })
        .collect();
    let whole: Duration = lasts.iter().sum();
    let mut given = [[0; 3]; HOMES];
    let (mut made, mut time) = (0, Duration::ZERO);
    let mut rounds = Vec::new();
    for lasts in lasts {
        time += lasts;
        let until = (commands as f64 * time.as_secs_f64() / whole.as_secs_f64()).round() as usize;
        let mut orders = Vec::new();
        while made < until {
            let array = chance.percent(6).then(|| (format!("array-{made}"), chance.between(0, ms(lasts))));
            for _ in 0..array.as_ref().map_or(1, |_| ARRAY) {
                let mut order = one(&mut chance, made, &mut given, array.is_some(), lasts);
                if let Some((batch, after)) = &array {
                    (order.batch, order.after) = (Some(batch.clone()), *after);
                }
                orders.push(order);
                made += 1;
            }
        }
        rounds.push(Round { lasts, orders });
    }
    rounds
}

fn one(
    chance: &mut Chance,
    number: usize,
    given: &mut [[usize; 3]; HOMES],
    in_array: bool,
    lasts: Duration,
) -> Order {
    let home = chance.below(HOMES);
    let kind = chance.below(100);
    let mut door = match chance.below(100) {
        _ if in_array => Door::Array,
        0..40 => Door::Common,
        40..68 => Door::Device,
        68..98 => Door::Http,
        _ => Door::Cli,
    };
    let mut next = |kind: usize| {
        given[home][kind] += 1;
        given[home][kind] - 1
    };
    let sets = match kind {
        // 50 % and more, so that the battery's power is never cut by it.
        0..45 => match next(0) {
            nth if nth < 330 => Sets::Limit(5_000 + 15 * nth as u16),
            _ => Sets::Nothing,
        },
        45..86 => match next(1) {
            nth if nth < 290 => Sets::Power((200 + 20 * nth as i32) * chance.one(&[1, -1])),
            _ => Sets::Nothing,
        },
        // Far below the state of charge, so that it forbids no discharge.
        86..93 if !in_array => match next(2) {
            nth if nth < 80 => Sets::Point(1_000 + 25 * nth as u16),
            _ => Sets::Nothing,
        },
        _ => Sets::Nothing,
    };
    if matches!(sets, Sets::Point(_)) && !matches!(door, Door::Http | Door::Cli) {
        door = Door::Http;
    }
    // Most batteries belong to the automations behind the broker, some to the one on the socket. Now and
    // then the others try, below everybody, and are refused while the battery is held.
    let by_broker = home < BY_BROKER;
    let stranger = matches!(sets, Sets::Power(_)) && by_broker == matches!(door, Door::Http | Door::Cli);
    let stranger = stranger && (in_array || chance.percent(15));
    if matches!(sets, Sets::Power(_)) && !stranger && !in_array {
        door = match door {
            Door::Http | Door::Cli if by_broker => Door::Common,
            Door::Cli | Door::Common | Door::Device if !by_broker => Door::Http,
            fits => fits,
        };
    }
    let priority = if stranger {
        "low"
    } else {
        chance.one(&["normal", "normal", "normal", "normal", "high", "high", "critical", "low"])
    };
    Order {
        id: format!("c-{number}"),
        home,
        sets,
        door,
        priority,
        owner: "storm",
        expires_in: 8 + chance.below(23) as u32,
        after: chance.between(0, ms(lasts)),
        cancel_after: chance.percent(3).then(|| chance.between(20, 600)),
        batch: None,
    }
}

fn ms(time: Duration) -> usize {
    time.as_millis() as usize
}
