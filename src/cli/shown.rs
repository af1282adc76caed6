//! How values of the gateway's answers are shown.

use serde_json::Value;

/// A text without quotes, everything else as JSON.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A cell of a table.
pub fn cell(value: &Value) -> String {
    if value.is_null() { "-".to_owned() } else { shown(value) }
}

/// A command and its parameters, as one would write them for `maestro send`.
pub fn command(of: &Value) -> String {
    let parameters = of["parameters"].as_object().into_iter().flatten();
    let parameters = parameters.map(|(key, value)| format!(" {key}={}", shown(value)));
    format!("{}{}", cell(&of["command"]), parameters.collect::<String>())
}

/// Seconds as somebody says them.
pub fn span(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Rows of an answer.
pub fn list<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_reads_as_it_is_sent() {
        let told = json!({"command": "set_battery_mode", "parameters": {"mode": "charge", "power": 2000}});
        assert_eq!(command(&told), "set_battery_mode mode=charge power=2000");
        assert_eq!(command(&json!({"command": "refresh"})), "refresh");
    }

    #[test]
    fn spans_are_told_in_the_unit_that_matters() {
        assert_eq!([5, 65, 3_700].map(span), ["5 s", "1 min 5 s", "1 h 1 min"]);
    }
}
