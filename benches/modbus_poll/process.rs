//! What a process used, as the kernel counts it.

use std::{fs, time::Duration};

/// The kernel counts processor time in hundredths of a second on every Linux that a gateway runs on.
const TICK: Duration = Duration::from_millis(10);

pub struct Process(pub u32);

impl Process {
    /// Processor time so far, of all its threads.
    pub fn cpu(&self) -> Duration {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap();
        // The name may contain blanks; it ends with the last bracket.
        let fields: Vec<&str> = text.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
        TICK * ticks
    }

    /// Resident memory, bytes.
    pub fn memory(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }
}
