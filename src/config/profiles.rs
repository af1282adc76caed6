//! The installer's own device profiles: `profiles/*.toml` beside the main file. One that has the name of a
//! profile that is compiled in stands in its place; one may extend another of the folder, or one that is compiled in.
//! Reads the files and says what is wrong in them; makes nothing known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use adapter_api::profile::{Profile, ProfileError, shipped};
use toml_edit::Document;

use super::{
    Finding,
    finding::{deepest, key_at, line_at},
};

/// The profiles that could be read, by name.
#[derive(Debug, Default)]
pub struct Own(BTreeMap<String, File>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    text: String,
    profile: Profile,
}

impl Own {
    /// As they were written.
    pub fn texts(&self) -> BTreeMap<String, String> {
        self.0.iter().map(|(name, file)| (name.clone(), file.text.clone())).collect()
    }

    /// As they are meant.
    pub fn profiles(&self) -> BTreeMap<String, Profile> {
        self.0.iter().map(|(name, file)| (name.clone(), file.profile.clone())).collect()
    }
}

/// Reads the profiles of a configuration. Returns those that are good, and all that is wrong in the others, each
/// with file, line, key and remedy.
pub fn read(main: &Path) -> (Own, Vec<Finding>) {
    let (texts, mut wrong) = texts(&main.parent().unwrap_or(Path::new("/")).join("profiles"));
    let text_of = |base: &str, shipped_one: bool| {
        let own = texts.get(base).filter(|_| !shipped_one).map(|(_, text)| text.as_str());
        own.or_else(|| shipped(base)).map(str::to_owned)
    };
    let parsed: BTreeMap<_, _> = texts
        .iter()
        .map(|(name, (_, text))| (name.as_str(), Profile::parse_with(name, text, &text_of)))
        .collect();
    let broken: BTreeSet<_> =
        parsed.iter().filter(|(_, result)| result.is_err()).map(|(name, _)| *name).collect();
    let mut own = BTreeMap::new();
    for (name, result) in &parsed {
        let (path, text) = &texts[*name];
        match result {
            Ok(profile) => {
                let (path, text, profile) = (path.clone(), text.clone(), profile.clone());
                own.insert((*name).to_owned(), File { path, text, profile });
            }
            Err(error) => wrong.push(mistake(path, text, error, &broken)),
        }
    }
    wrong.sort_by(|a, b| a.file.cmp(&b.file));
    (Own(own), wrong)
}

/// The files of the folder by their names without `.toml`, and those that cannot be read.
fn texts(folder: &Path) -> (BTreeMap<String, (PathBuf, String)>, Vec<Finding>) {
    let entries = match fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return (BTreeMap::new(), vec![unread(folder, &error)]),
    };
    let (mut texts, mut wrong) = (BTreeMap::new(), Vec::new());
    for path in entries.into_iter().map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else {
            let remedy = "its name is no text; rename it to letters, digits and `-`";
            wrong.push(Finding { file: Some(path), ..Finding::error("", remedy) });
            continue;
        };
        match fs::read_to_string(&path) {
            Ok(text) => {
                texts.insert(name, (path, text));
            }
            Err(error) => wrong.push(unread(&path, &error)),
        }
    }
    (texts, wrong)
}

fn unread(path: &Path, error: &io::Error) -> Finding {
    let remedy = match error.kind() {
        io::ErrorKind::InvalidData => "save it as UTF-8",
        _ => "give it to the gateway's group",
    };
    let message = format!("cannot be read ({error}); {remedy}");
    Finding { file: Some(path.to_owned()), ..Finding::error("", message) }
}

/// A mistake with its place in the file that was written.
fn mistake(path: &Path, text: &str, error: &ProfileError, broken: &BTreeSet<&str>) -> Finding {
    let place = match Document::parse(text) {
        Ok(document) => Place::of(&document, error),
        Err(_) => Place { key: String::new(), at: error.at, base: None },
    };
    // The key, which stands before it, need not be said twice.
    let message = error.message.strip_prefix(place.key.as_str()).unwrap_or(&error.message).trim_start();
    let message = match &place.base {
        Some(base) if *base != error.name && broken.contains(base.as_str()) => {
            "it extends a profile that cannot be used: mend that one first".to_owned()
        }
        Some(base) => format!("{message} (it comes from `{base}`, which this profile extends)"),
        None => message.to_owned(),
    };
    Finding {
        file: Some(path.to_owned()),
        line: place.at.map(|at| line_at(text, at)),
        ..Finding::error(place.key, message)
    }
}

/// Where a mistake stands.
struct Place {
    key: String,
    at: Option<usize>,
    /// The profile that it comes from, where the text itself does not say the key.
    base: Option<String>,
}

impl Place {
    fn of(document: &Document<&str>, error: &ProfileError) -> Self {
        let root = document.as_item();
        // What is missing at the top has no place.
        let Some(at) = error.at.filter(|at| *at > 0 || error.key.is_none()) else {
            return Self::of_key(document, error);
        };
        let key = match (key_at(root, at), &error.key) {
            (Some(key), Some(missing)) => format!("{key}.{missing}"),
            (Some(key), None) => key,
            (None, _) => error.key.clone().unwrap_or_default(),
        };
        Self { key, at: Some(at), base: None }
    }

    fn of_key(document: &Document<&str>, error: &ProfileError) -> Self {
        let root = document.as_item();
        let key = error.key.clone().unwrap_or_default();
        let path: Vec<_> = key.split('.').collect();
        let found = deepest(root, &path);
        let base = extended(document).map(str::to_owned);
        // What is missing has no place but that of its table.
        let least = path.len() - usize::from(error.message.contains(" is missing: "));
        let whole = found.is_some_and(|(depth, _)| depth >= least);
        match (whole, base) {
            (false, Some(base)) if key != "extends" => {
                Self { key, at: deepest(root, &["extends"]).map(|(_, at)| at), base: Some(base) }
            }
            _ => Self { key, at: found.map(|(_, at)| at), base: None },
        }
    }
}

fn extended<'a>(document: &'a Document<&str>) -> Option<&'a str> {
    document.as_table().get("extends")?.as_str()
}

/// What somebody will wonder about in profiles that can be used. `used` are the profiles of the devices.
pub(super) fn doubts(own: &Own, used: &BTreeSet<&str>) -> Vec<Finding> {
    let base_of =
        |file: &File| Document::parse(file.text.as_str()).ok().and_then(|d| extended(&d).map(str::to_owned));
    let bases: BTreeMap<_, _> =
        own.0.iter().filter_map(|(name, file)| Some((name.as_str(), base_of(file)?))).collect();
    // What a used profile extends is used as well.
    let mut needed: BTreeSet<&str> = used.clone();
    let mut open: Vec<&str> = used.iter().copied().collect();
    while let Some(name) = open.pop() {
        if let Some(base) = bases.get(name)
            && needed.insert(base)
        {
            open.push(base);
        }
    }
    let mut doubts = Vec::new();
    for (name, file) in &own.0 {
        let mut doubt = |key: &str, message: String| {
            doubts.push(Finding { file: Some(file.path.clone()), ..Finding::warning(key, message) });
        };
        if shipped(name).is_some() && bases.get(name.as_str()) != Some(name) {
            doubt(
                "",
                format!(
                    "replaces the shipped profile `{name}`: updates of it no longer reach this gateway; use `extends = \"{name}\"` to change single keys"
                ),
            );
        }
        if file.profile.sources.is_empty() {
            doubt("sources", "there are none; say where the registers come from, like sources = [\"the maker's manual, 2024\"]".to_owned());
        }
        if !needed.contains(name.as_str()) {
            doubt(
                "",
                format!(
                    "no device uses it; set profile = \"{name}\" in a device's table, or remove the file"
                ),
            );
        }
    }
    doubts
}
