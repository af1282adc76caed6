//! The demo's live table: redrawn in a terminal, line by line in a pipe.

use std::collections::VecDeque;

use simulator::PlantState;

use super::super::{say, say_json, table::table};
use crate::{
    app::App,
    command::{Notice, wire},
    journal::{CommandRow, Stored},
};

/// Commands that stay in view.
const COMMANDS: usize = 5;

pub struct View {
    terminal: bool,
    json: bool,
    /// Lines that were drawn and will be drawn over.
    drawn: usize,
    commands: VecDeque<String>,
}

impl View {
    pub fn new(terminal: bool, json: bool) -> Self {
        Self { terminal, json, drawn: 0, commands: VecDeque::new() }
    }

    /// A command came or ended, or a holder lost its setpoint.
    pub fn note(&mut self, notice: Notice) {
        let (json, line) = match notice {
            Notice::Progress(row) | Notice::Result(row) => (wire::result(&row), command_line(&row)),
            Notice::LeaseLost(lost) => {
                let line = format!("{} lost {} of {}: {}", lost.owner, lost.group, lost.device, lost.reason);
                (wire::lease_lost(&lost), line)
            }
            Notice::Batch(row) => {
                let line = format!("batch {}: {} of {} completed", row.id, row.completed, row.total);
                (wire::batch(&row), line)
            }
        };
        if self.json {
            say_json(&json);
            return;
        }
        if !self.terminal {
            say(&line);
        }
        self.commands.push_back(line);
        if self.commands.len() > COMMANDS {
            self.commands.pop_front();
        }
    }

    pub fn show(&mut self, app: &App, plant: &PlantState) {
        let rows: Vec<_> = app.live().all().iter().map(|stored| row(app, stored)).collect();
        if self.json {
            return;
        }
        let hour = plant.hour.rem_euclid(24.0);
        let clock = format!("{:02}:{:02}", hour as u32, (hour.fract() * 60.0) as u32);
        let head = ["DEVICE", "POWER", "LEVEL", "CONSUMED", "PRODUCED", "MODE", "TIME"];
        if !self.terminal {
            for row in rows {
                say(&format!("{clock} {}", row.join(" ")));
            }
            return;
        }
        let mut lines = vec![format!("In the home it is {clock}."), table(&head, &rows), String::new()];
        lines.extend(self.commands.iter().cloned());
        let text = lines.join("\n");
        if self.drawn > 0 {
            // Up over what was drawn, and clear to the end of the screen.
            say(&format!("\x1b[{}F\x1b[J{text}", self.drawn));
        } else {
            say(&text);
        }
        self.drawn = text.matches('\n').count() + 1;
    }

    pub fn end(&self) {
        if !self.json {
            say("Stopping.");
        }
    }
}

fn row(app: &App, stored: &Stored) -> Vec<String> {
    let reading = &stored.reading;
    let number = |name: &str| reading.point(name).and_then(adapter_api::Value::number);
    let id = reading.device.as_str();
    let power = match (app.devices().is_online(id), number("activePower")) {
        (true, Some(watts)) => format!("{watts:.0} W"),
        (true, None) => "-".to_owned(),
        (false, _) => "offline".to_owned(),
    };
    let kwh = |wh: Option<u64>| wh.map_or("-".to_owned(), |wh| format!("{:.3} kWh", wh as f64 / 1000.0));
    let mode = ["batteryMode", "operatingState"]
        .into_iter()
        .find_map(|name| reading.point(name).and_then(adapter_api::Value::text).map(str::to_owned));
    vec![
        id.to_owned(),
        power,
        number("batteryLevel").map_or("-".to_owned(), |level| format!("{level:.0} %")),
        kwh(stored.energy.consumed.total),
        kwh(stored.energy.produced.total),
        mode.unwrap_or_else(|| "-".to_owned()),
        wire::time_text(reading.measured_at.wall_ms),
    ]
}

fn command_line(row: &CommandRow) -> String {
    let parameters: Vec<_> = row.parameters.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut line = format!(
        "{} {} {} → {}",
        row.device,
        row.command,
        parameters.join(" "),
        wire::status_word(row.status)
    );
    if let Some((_, message)) = &row.error {
        line.push_str(&format!(": {message}"));
    }
    if row.verified == Some(true) {
        line.push_str(", verified");
    }
    line
}
