//! Names of devices, points and physical units. Cheap to clone.

use std::{borrow::Borrow, fmt, sync::Arc};

/// A name that cannot be used in a topic, a table name and a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no device id: use 1 to 64 of a-z, A-Z, 0-9, `-`, `_` and `.`")]
pub struct IdError(pub String);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                &*self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                &*self.0 == *other
            }
        }
    };
}

name!(/** A device's id: its table's name in the configuration, unique in the gateway. */ DeviceId);
name!(/** A point's name: the data model's camelCase word where it has one. */ PointId);
name!(/** One physical unit: what takes one command at a time. `<connection>/<address>`. */ UnitId);

impl DeviceId {
    /// Checks and makes an id.
    ///
    /// # Errors
    /// When the text could not stand in a topic or a document.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let fits = (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        if fits { Ok(Self(Arc::from(text))) } else { Err(IdError(text.to_owned())) }
    }

    /// The id of a part of this device: `roof` and `battery` give `roof-battery`.
    ///
    /// # Errors
    /// When the whole grows too long.
    pub fn part(&self, part: &str) -> Result<Self, IdError> {
        Self::new(&format!("{self}-{part}"))
    }
}

impl From<&str> for PointId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl From<String> for UnitId {
    fn from(text: String) -> Self {
        Self(Arc::from(text))
    }
}

impl From<&str> for UnitId {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}
