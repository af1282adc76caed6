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
            Some((depth, file, line_at(text, offset)))
        });
        if let Some((_, file, line)) = found.max_by_key(|(depth, ..)| *depth) {
            self.file = Some(file.clone());
            self.line = Some(line);
        }
        self
    }
}

/// The line, from 1, in which a byte of a text stands.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// The dotted path of the key that a byte of a document belongs to.
pub(super) fn key_at(root: &Item, offset: usize) -> Option<String> {
    let mut keys = Vec::new();
    collect(root, "", &mut keys);
    // Each key goes as far as the next one begins.
    keys.into_iter()
        .filter(|(start, _)| *start <= offset)
        .max_by_key(|(start, _)| *start)
        .map(|(_, path)| path)
}

/// Every key with the place where it, or its table's header, begins.
fn collect(item: &Item, path: &str, keys: &mut Vec<(usize, String)>) {
    let lists = item.as_array_of_tables().into_iter().flat_map(toml_edit::ArrayOfTables::iter);
    for table in lists {
        keys.extend(table.span().map(|span| (span.start, path.to_owned())));
        within(table, path, keys);
    }
    let values = item.as_array().into_iter().flat_map(toml_edit::Array::iter);
    for table in values.filter_map(toml_edit::Value::as_inline_table) {
        within(table, path, keys);
    }
    if let Some(table) = item.as_table_like() {
        within(table, path, keys);
    }
}

fn within(table: &dyn toml_edit::TableLike, path: &str, keys: &mut Vec<(usize, String)>) {
    for (name, value) in table.iter() {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let key = table.get_key_value(name).and_then(|(key, value)| place(key, value));
        keys.extend(key.map(|start| (start, path.clone())));
        collect(value, &path, keys);
    }
}

/// Where a key stands.
fn place(key: &toml_edit::Key, value: &Item) -> Option<usize> {
    // A table that is written as [a.b] has its place in its own header, not in its first key.
    let span = match value.as_table() {
        Some(table) if !table.is_dotted() => table.span().or_else(|| key.span()),
        _ => key.span(),
    };
    span.map(|span| span.start)
}

/// How many parts of the path are there, and where the last of them stands.
pub(super) fn deepest(root: &Item, path: &[&str]) -> Option<(usize, usize)> {
    let mut item = root;
    let mut best = None;
    for (depth, part) in path.iter().enumerate() {
        let table = item.as_table_like()?;
        let Some((key, value)) = table.get_key_value(part) else { break };
        if let Some(start) = place(key, value) {
            best = Some((depth + 1, start));
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

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a = 1\n[b]\nc = { d = 2, e = [3, 4] }\n[b.f]\ng = [\n  { h = 5 },\n  { i = 6 },\n]\n[[j]]\nk = 7\n";

    fn key(what: &str) -> String {
        let document = Document::parse(TEXT).unwrap();
        key_at(document.as_item(), TEXT.find(what).unwrap()).unwrap()
    }

    #[test]
    fn a_place_belongs_to_the_last_key_that_begins_before_it() {
        for (what, path) in [
            ("1", "a"),
            ("[b]", "b"),
            ("{ d", "b.c"),
            ("2", "b.c.d"),
            ("[3", "b.c.e"),
            ("[b.f]", "b.f"),
            ("h =", "b.f.g.h"),
            ("6", "b.f.g.i"),
            ("[[j]]", "j"),
            ("7", "j.k"),
        ] {
            assert_eq!(key(what), path, "{what}");
        }
    }

    #[test]
    fn lines_count_from_one() {
        assert_eq!((line_at(TEXT, 0), line_at(TEXT, 6), line_at(TEXT, 9_999)), (1, 2, 11));
    }
}
