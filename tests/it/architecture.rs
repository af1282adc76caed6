//! Who may import whom: cargo enforces it between crates, this between modules.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Module, and the modules of this crate that it may name. `*` is everything.
const MAY_NAME: [(&str, &[&str]); 16] = [
    ("app", &["*"]),
    ("cli", &["*"]),
    ("broker", &[]),
    ("supervisor", &[]),
    ("clock", &[]),
    ("catalog", &[]),
    ("config", &["catalog", "broker", "command", "journal", "mongo", "mqtt_api"]),
    ("journal", &[]),
    ("live", &["journal"]),
    ("devices", &["journal"]),
    ("command", &["journal", "devices", "live"]),
    ("mongo", &[]),
    ("uplink", &["journal", "command", "devices", "mongo"]),
    ("mqtt_api", &["command", "devices", "live", "journal"]),
    ("http", &["command", "devices", "live", "journal", "health", "mongo"]),
    ("health", &["journal", "devices"]),
];

/// Crates that only one place may name.
const HEAVY: [(&str, &[&str]); 7] = [
    ("rusqlite", &["journal"]),
    ("mongodb", &["mongo", "uplink"]),
    ("axum", &["http"]),
    ("rmqtt", &["broker"]),
    ("rumqttc", &["mqtt_api"]),
    ("adapter_modbus", &["catalog", "cli"]),
    ("simulator", &["cli"]),
];

#[test]
fn modules_name_only_what_they_may() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules: BTreeSet<_> = MAY_NAME.iter().map(|(name, _)| *name).collect();
    let mut wrong = Vec::new();
    for file in rust_files(&source) {
        let relative = file.strip_prefix(&source).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        // Tests of a module bring their peers.
        let is_test = relative
            .components()
            .any(|part| part.as_os_str().to_str().is_some_and(|name| name.contains("tests")));
        if ["lib", "main"].contains(&module) || is_test {
            continue;
        }
        let text = code(&fs::read_to_string(&file).unwrap());
        let (_, may) = MAY_NAME.iter().find(|(name, _)| *name == module).unwrap_or_else(|| {
            panic!("{module} is new: say in MAY_NAME and in src/lib.rs what it may import")
        });
        for named in crate_paths(&text) {
            let allowed = named == module || may.contains(&"*") || may.contains(&named.as_str());
            if modules.contains(named.as_str()) && !allowed {
                wrong.push(format!("{} names crate::{named}", relative.display()));
            }
        }
        // `super` must not climb out of its module, past what is read above.
        let depth = relative.components().count() - usize::from(relative.ends_with("mod.rs"));
        if text.contains(&"super::".repeat(depth + 1)) {
            wrong.push(format!("{} climbs out of its module", relative.display()));
        }
        for (heavy, places) in HEAVY {
            if names_crate(&text, heavy)
                && !places.contains(&module)
                && !(module == "app" && heavy != "rusqlite")
            {
                wrong.push(format!("{} names {heavy}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_module_is_on_the_architecture_page() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let page = fs::read_to_string(source.join("lib.rs")).unwrap();
    for (module, _) in MAY_NAME {
        assert!(page.contains(&format!("[`{module}`]")), "{module} is missing on the architecture page");
        let file = source.join(format!("{module}.rs"));
        assert!(file.exists() || source.join(module).is_dir(), "{module} is in MAY_NAME and does not exist");
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// Without comments: they may name anything.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// First segments after `crate::`, in paths and in `use crate::{a, b::c}`.
fn crate_paths(text: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => named.extend(first_segments(group)),
            None => named.push(word(rest)),
        }
    }
    named
}

/// The first segment of each entry on the top level of a use group.
fn first_segments(group: &str) -> Vec<String> {
    let (mut depth, mut entry, mut segments) = (0, String::new(), Vec::new());
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                segments.push(word(entry.trim()));
                entry.clear();
                continue;
            }
            _ => {}
        }
        entry.push(character);
    }
    segments.push(word(entry.trim()));
    segments
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_crate(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let boundary = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '"'));
        let rest = &text[at + name.len()..];
        boundary && (rest.starts_with("::") || rest.starts_with(" as ") || rest.starts_with(';'))
    })
}
