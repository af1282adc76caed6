//! The environment as a layer of the configuration. Pure.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};

/// Keys that stay text when they come from the environment, whatever they look like.
const TEXTS: [&str; 8] = ["id", "user_id", "uri", "database", "url", "username", "password", "device_prefix"];
const ENVIRONMENT: &str = "MAESTRO_";

/// `MAESTRO_SECTION__KEY`, `MONGODB_URI` and `MONGODB_DB_NAME` as nested tables.
/// The backend's database name alone asks for no copy.
pub(super) fn environment(variables: &[(String, String)], copies: bool) -> Dict {
    let mut layer = Dict::new();
    let of_backend =
        |name: &str| variables.iter().find(|(variable, _)| variable == name).map(|(_, value)| value);
    let path = |key: &str| ["mongodb".to_owned(), key.to_owned()];
    let uri = of_backend("MONGODB_URI");
    if let Some(uri) = uri {
        insert(&mut layer, &path("uri"), Value::from(uri.as_str()));
    }
    if let Some(database) = of_backend("MONGODB_DB_NAME").filter(|_| uri.is_some() || copies) {
        insert(&mut layer, &path("database"), Value::from(database.as_str()));
    }
    let own: BTreeMap<_, _> = variables
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(ENVIRONMENT)?, value)))
        .filter(|(name, _)| name.contains("__"))
        .collect();
    for (name, value) in own {
        let path: Vec<_> = name.split("__").map(str::to_ascii_lowercase).collect();
        let key = path.last().map(String::as_str).unwrap_or_default();
        insert(&mut layer, &path, typed(key, value));
    }
    layer
}

/// A password of digits must stay text; everything else is what it looks like.
fn typed(key: &str, text: &str) -> Value {
    if TEXTS.contains(&key) || key.ends_with("_file") {
        return Value::from(text);
    }
    match text.parse::<i64>() {
        Ok(number) => Value::from(number),
        Err(_) => match (text, text.parse::<f64>()) {
            ("true", _) => Value::from(true),
            ("false", _) => Value::from(false),
            (_, Ok(number)) if number.is_finite() => Value::from(number),
            _ => Value::from(text),
        },
    }
}

fn insert(layer: &mut Dict, path: &[String], value: Value) {
    match path {
        [] => {}
        [key] => {
            layer.insert(key.clone(), value);
        }
        [key, rest @ ..] => {
            let table = layer.entry(key.clone()).or_insert_with(|| Value::from(Dict::new()));
            if let Value::Dict(_, table) = table {
                insert(table, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(variables: &[(&str, &str)], copies: bool) -> Dict {
        let variables: Vec<_> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        environment(&variables, copies)
    }

    fn at<'a>(layer: &'a Dict, section: &str, key: &str) -> Option<&'a Value> {
        match layer.get(section)? {
            Value::Dict(_, table) => table.get(key),
            _ => None,
        }
    }

    #[test]
    fn a_password_of_digits_stays_text_and_a_number_is_one() {
        let layer = layer(
            &[("MAESTRO_MQTT_API__PASSWORD", "012345"), ("MAESTRO_MODBUS__ROOF", "5"), ("HOME", "/")],
            false,
        );
        assert_eq!(at(&layer, "mqtt_api", "password").and_then(Value::as_str), Some("012345"));
        assert_eq!(at(&layer, "modbus", "roof").and_then(Value::to_i128), Some(5));
        assert_eq!(layer.len(), 2);
    }

    #[test]
    fn the_backends_database_name_alone_asks_for_no_copy() {
        let name = ("MONGODB_DB_NAME", "home");
        assert!(layer(&[name], false).is_empty());
        assert_eq!(at(&layer(&[name], true), "mongodb", "database").and_then(Value::as_str), Some("home"));
        let both = layer(&[name, ("MONGODB_URI", "mongodb://a")], false);
        assert_eq!(at(&both, "mongodb", "uri").and_then(Value::as_str), Some("mongodb://a"));
    }
}
