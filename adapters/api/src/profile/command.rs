//! A command in a profile: what admission needs to know. How it is written is the adapter's.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;

use crate::{Capability, CommandSpec, ParameterKind, ParameterSpec, Span};

/// One command of a device or of one of its parts.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandTable {
    /// The part that takes it (`battery`, `grid`); empty for the device itself.
    #[serde(default)]
    pub part: String,
    /// The capability that it belongs to.
    pub capability: Capability,
    /// Setpoint group.
    pub group: Option<String>,
    /// May it be sent again in doubt?
    #[serde(default)]
    pub idempotent: bool,
    /// How long fresh reads may still show the old value, 5 s unless said, up to 30 s.
    pub verify_for: Option<Span>,
    /// Parameters of which exactly one must be given.
    #[serde(default)]
    pub exactly_one: Vec<String>,
    /// Its parameters.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterTable>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterTable {
    /// `number`, `word` or `bool`.
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    min: f64,
    /// Missing: the device's own rating decides.
    max: Option<f64>,
    #[serde(default)]
    step: f64,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    words: Vec<String>,
    #[serde(default)]
    required: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Number,
    Word,
    Bool,
}

impl CommandTable {
    /// What admission checks against; `max` gives a parameter's greatest value where the profile
    /// leaves it to the device's rating.
    pub fn spec(&self, name: &str, max: impl Fn(&str) -> Option<f64>) -> CommandSpec {
        let parameters = self.parameters.iter().map(|(name, table)| ParameterSpec {
            name: Arc::from(name.as_str()),
            kind: match table.kind {
                Kind::Number => ParameterKind::Number {
                    min: table.min,
                    max: table.max.or_else(|| max(name)).unwrap_or(f64::MAX),
                    step: table.step,
                    unit: Arc::from(table.unit.as_str()),
                },
                Kind::Word => {
                    ParameterKind::Word(table.words.iter().map(|word| Arc::from(word.as_str())).collect())
                }
                Kind::Bool => ParameterKind::Bool,
            },
            required: table.required,
        });
        CommandSpec {
            name: Arc::from(name),
            parameters: parameters.collect(),
            exactly_one: self.exactly_one.iter().map(|name| Arc::from(name.as_str())).collect(),
            group: self.group.as_deref().map(Arc::from),
            idempotent: self.idempotent,
            harmless: false,
            capability: self.capability,
            verify_for: self.verify_for.map_or(DEFAULT_VERIFY_FOR, |span| span.0),
        }
    }
}

const DEFAULT_VERIFY_FOR: std::time::Duration = std::time::Duration::from_secs(5);

impl CommandSpec {
    /// `refresh`, which every device takes: read now.
    pub fn refresh(capability: Capability) -> Self {
        Self {
            name: Arc::from("refresh"),
            parameters: Vec::new(),
            exactly_one: Vec::new(),
            group: None,
            idempotent: true,
            harmless: true,
            capability,
            verify_for: DEFAULT_VERIFY_FOR,
        }
    }
}
