//! One thing that is wrong or doubtful, and where it stands.

use std::{fmt, path::PathBuf};

use toml_edit::{Document, Item};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The gateway does not start with it.
    Error,
    /// It starts, but somebody will wonder.
    Warning,
}

/// What is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// Which file; none for the environment and for what is missing everywhere.
    pub file: Option<PathBuf>,
    /// Which line, from 1.
    pub line: Option<usize>,
    /// The key's whole path, like `modbus.roof.device.roof.profile`.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// An error at a key.
    pub fn error(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Error, file: None, line: None, key: key.into(), message: message.into() }
    }

    /// A warning at a key.
    pub fn warning(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(key, message) }
    }

    /// Looks its key up in the files: the last file that has the longest part of the path wins,
    /// as the last file wins when they are merged.
    pub fn locate(mut self, files: &[(PathBuf, String)]) -> Self {
        if self.file.is_some() {
            return self;
        }
        let path: Vec<_> = self.key.split('.').collect();
        let found = files.iter().filter_map(|(file, text)| {
            let document = Document::parse(text.as_str()).ok()?;
            let (depth, offset) = deepest(document.as_item(), &path)?;
            Some((depth, file, text[..offset.min(text.len())].matches('\n').count() + 1))
        });
        if let Some((_, file, line)) = found.max_by_key(|(depth, ..)| *depth) {
            self.file = Some(file.clone());
            self.line = Some(line);
        }
        self
    }
}

/// How many parts of the path are there, and where the last of them stands.
fn deepest(root: &Item, path: &[&str]) -> Option<(usize, usize)> {
    let mut item = root;
    let mut best = None;
    for (depth, part) in path.iter().enumerate() {
        let table = item.as_table_like()?;
        let Some((key, value)) = table.get_key_value(part) else { break };
        // A table that is written as [a.b] has its place in its own header, not in its first key.
        let place = match value.as_table() {
            Some(table) if !table.is_dotted() => table.span().or_else(|| key.span()),
            _ => key.span(),
        };
        if let Some(span) = place {
            best = Some((depth + 1, span.start));
        }
        item = value;
    }
    best
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some(line) = self.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        let level = if self.level == Level::Error { "error" } else { "warning" };
        if self.key.is_empty() {
            write!(f, "{level}: {}", self.message)
        } else {
            write!(f, "{level}: {}: {}", self.key, self.message)
        }
    }
}
