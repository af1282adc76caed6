//! Sizes as installers write them: "64MB", "1GB".

use std::fmt;

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no size: write a number and kB, MB or GB, like \"64MB\"");
        let text = text.trim();
        let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let count: u64 = text[..split].trim().parse().map_err(|_| wrong())?;
        let unit: u64 = match text[split..].to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            _ => return Err(wrong()),
        };
        count.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1_000_000_000 && n.is_multiple_of(100_000_000) => write!(f, "{}GB", n as f64 / 1e9),
            n if n >= 1_000_000 => write!(f, "{:.1}MB", n as f64 / 1e6),
            n => write!(f, "{:.1}kB", n as f64 / 1e3),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_written() {
        assert_eq!("64MB".parse(), Ok(Size(64_000_000)));
        assert_eq!("1 GB".parse(), Ok(Size(1_000_000_000)));
        for wrong in ["64", "MB", "1TB", "99999999999GB"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
        assert_eq!(Size(1_500_000_000).to_string(), "1.5GB");
    }
}
