//! `maestro commands --stats`.

use serde_json::Value;

use crate::cli::{
    shown::{cell, list},
    table::table,
};

/// A table by source and device, and the sum.
pub fn shown(body: &Value) -> String {
    let mut rows: Vec<_> = list(body, "stats").iter().map(row).collect();
    if rows.is_empty() {
        return "no commands fit; ask for a longer time with --last 30d, or with fewer filters".to_owned();
    }
    let mut total = row(&body["total"]);
    "all".clone_into(&mut total[0]);
    rows.push(total);
    table(
        &[
            "SOURCE",
            "DEVICE",
            "TOTAL",
            "COMPLETED",
            "FAILED",
            "TIMEOUT",
            "CANCELLED",
            "OPEN",
            "SUCCESS",
            "RESPONSE",
        ],
        &rows,
    )
}

fn row(one: &Value) -> Vec<String> {
    let counts = ["total", "completed", "failed", "timeout", "cancelled", "open"].map(|key| cell(&one[key]));
    let success = one["successRate"].as_f64().map(|rate| format!("{:.1} %", rate * 100.0));
    let response = one["meanResponseMs"].as_f64().map(|ms| format!("{ms:.0} ms"));
    let rest = [success, response].map(|text| text.unwrap_or_else(|| "-".to_owned()));
    [cell(&one["source"]), cell(&one["device"])].into_iter().chain(counts).chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stats_are_a_table_with_a_sum() {
        let numbers = |device: Option<&str>| {
            json!({"source": device.map(|_| "user"), "device": device, "total": 4, "completed": 2, "failed": 1, "timeout": 0,
                "cancelled": 1, "open": 0, "successRate": 0.6667, "meanResponseMs": 123.4})
        };
        let text = shown(&json!({"stats": [numbers(Some("roof"))], "total": numbers(None)}));
        let lines: Vec<_> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "user roof 4 2 1 0 1 0 66.7 % 123 ms");
        assert_eq!(lines[2], "all - 4 2 1 0 1 0 66.7 % 123 ms");
        assert!(shown(&json!({"stats": [], "total": {}})).contains("no commands fit"));
    }
}
