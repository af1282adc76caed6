//! Small pieces that all documents share.

use adapter_api::{PointId, Value};
use mongodb::bson::{Bson, DateTime, Document, oid::ObjectId};

/// The `_id` of what this installation numbers: `[4 bytes seconds][5 bytes of the installation id]
/// [3 bytes number mod 2^24]`. The same thing gets the same id whenever it is sent. The last five
/// bytes of the installation id are taken: in every kind of UUID they are random.
pub fn object_id(at_ms: i64, installation: &[u8; 16], number: u64) -> ObjectId {
    let seconds = u32::try_from(at_ms.div_euclid(1000).max(0)).unwrap_or(u32::MAX);
    let mut gateway = [0; 5];
    gateway.copy_from_slice(&installation[11..]);
    let [.., a, b, c] = number.to_be_bytes();
    ObjectId::from_parts(seconds, gateway, [a, b, c])
}

/// A BSON date.
pub(super) fn date(ms: i64) -> DateTime {
    DateTime::from_millis(ms)
}

/// Puts a value where there is one; an absent field stays absent.
pub(super) fn put(document: &mut Document, key: &str, value: Option<impl Into<Bson>>) {
    if let Some(value) = value {
        document.insert(key, value);
    }
}

/// A value as it is.
pub(super) fn bson(value: &Value) -> Bson {
    match value {
        Value::Number(number) => Bson::Double(*number),
        Value::Text(text) => Bson::String(text.to_string()),
        Value::Bool(on) => Bson::Boolean(*on),
    }
}

/// A free document of named values. Names come from devices, and MongoDB gives `.`, a leading `$`
/// and NUL in a field name a meaning of their own: `_` stands there.
pub(super) fn free<'a>(values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Document {
    values.into_iter().map(|(name, value)| (field_name(name), bson(value))).collect()
}

/// The points of a reading.
pub(super) fn points(points: &[(PointId, Value)]) -> Document {
    free(points.iter().map(|(name, value)| (name.as_str(), value)))
}

fn field_name(name: &str) -> String {
    let mut clean: String = name.chars().map(|c| if matches!(c, '.' | '\0') { '_' } else { c }).collect();
    if clean.starts_with('$') {
        clean.replace_range(..1, "_");
    }
    clean
}

/// A whole number as MongoDB keeps it; beyond 2^63 (never) the largest.
pub(super) fn long(number: u64) -> Bson {
    Bson::Int64(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_holds_second_installation_and_number() {
        let mut installation = [0_u8; 16];
        installation[11..].copy_from_slice(&[1, 2, 3, 4, 5]);
        let id = object_id(1_700_000_000_999, &installation, (7 << 24) + 0x0a_0b_0c);
        assert_eq!(id.to_hex(), "6553f10001020304050a0b0c");
        assert_eq!(object_id(-5, &installation, 0).to_hex(), "000000000102030405000000");
    }

    #[test]
    fn a_field_name_never_means_anything_to_mongodb() {
        let values = [("a.b", &Value::from(1.0)), ("$set", &Value::from(true)), ("x\0", &Value::from("t"))];
        let document = free(values);
        assert_eq!(document.keys().collect::<Vec<_>>(), ["a_b", "_set", "x_"]);
    }
}
