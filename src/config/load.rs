//! Reads files, environment and secrets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    error::Kind,
    providers::Serialized,
    value::{Dict, Value},
};
use serde::Deserialize;

use super::{
    Broker, Commands, Config, Finding, Gateway, Journal, Mongodb, MqttApi, environment::environment,
    finding::line_at, profiles,
};
use crate::catalog::Adapters;

/// Keys that are secrets; each has a twin `<key>_file`.
const SECRETS: [(&str, &str); 3] = [("mongodb", "uri"), ("mqtt_api", "password"), ("broker", "password")];

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The main file; `maestro.d` beside it adds to it.
    pub file: PathBuf,
    /// The environment, as name and value.
    pub environment: Vec<(String, String)>,
    /// A relative `<key>_file` resolves against this folder (`$CREDENTIALS_DIRECTORY`), else
    /// against the main file's own.
    pub credentials: Option<PathBuf>,
}

impl Sources {
    /// This file, with the environment of the process.
    pub fn of_process(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from),
        }
    }
}

#[derive(Deserialize)]
struct Sections {
    #[serde(default)]
    gateway: Gateway,
    #[serde(default)]
    journal: Journal,
    mongodb: Option<Mongodb>,
    mqtt_api: Option<MqttApi>,
    broker: Option<Broker>,
    #[serde(default)]
    commands: Commands,
}

const SECTIONS: [&str; 6] = ["gateway", "journal", "mongodb", "mqtt_api", "broker", "commands"];

/// Reads the configuration. Returns it with what `check` finds in it, warnings among them.
///
/// # Errors
/// All that keeps it from being used, each with file, line, key and remedy.
pub fn load(sources: &Sources) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let files = read_files(&sources.file).map_err(|finding| vec![finding])?;
    let located = |findings: Vec<Finding>| {
        findings.into_iter().map(|finding| finding.locate(&files)).collect::<Vec<_>>()
    };
    let before = adapter_api::profile::known().clone();
    let (own, mut wrong) = profiles::read(&sources.file);
    let mut config = match merge(sources, &files).map_err(located) {
        Ok(config) if wrong.is_empty() => config,
        merged => {
            // All at once: who mends one file must not find the next mistake afterwards.
            wrong.splice(0..0, merged.err().unwrap_or_default());
            return Err(wrong);
        }
    };
    config.adapters.profiles = own.texts();
    adapter_api::profile::install(own.profiles());
    let (errors, mut warnings): (Vec<_>, Vec<_>) =
        located(super::check(&config)).into_iter().partition(|finding| finding.level == super::Level::Error);
    if errors.is_empty() {
        // Those of devices that are switched off as well.
        let devices = config.adapters.modbus.values().flat_map(|connection| connection.device.values());
        let used = devices.filter_map(|device| device.profile.as_deref()).collect();
        warnings.extend(profiles::doubts(&own, &used));
        Ok((config, warnings))
    } else {
        // What runs goes on with the profiles that it knows.
        adapter_api::profile::install(before);
        Err(errors)
    }
}

/// Where the daemon of this configuration has its socket. Needs no secret, and takes what it can
/// read: whoever may use the socket need not be allowed to read all of the configuration.
pub fn socket(sources: &Sources) -> PathBuf {
    #[derive(Deserialize)]
    struct Only {
        #[serde(default)]
        gateway: Gateway,
    }
    let files = read_files(&sources.file).unwrap_or_default();
    let merged = merged(sources, &files).ok();
    let only = merged.and_then(|dict| Figment::from(Serialized::defaults(dict)).extract::<Only>().ok());
    only.map(|only| only.gateway).unwrap_or_default().socket()
}

/// The main file and those of `maestro.d`, in the order in which they win.
fn read_files(main: &Path) -> Result<Vec<(PathBuf, String)>, Finding> {
    let mut paths = vec![main.to_owned()];
    let folder = main.with_extension("d");
    let entries = fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    if let Err(error) = &entries
        && error.kind() != std::io::ErrorKind::NotFound
    {
        // To go on without it would take its devices away.
        let message = format!("cannot be read ({error}); give it to the gateway's group");
        return Err(Finding { file: Some(folder), ..Finding::error("", message) });
    }
    if let Ok(entries) = entries {
        let mut more: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        more.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
        more.sort();
        paths.extend(more);
    }
    let read = |path: PathBuf| match fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(error) => {
            let remedy = match error.kind() {
                std::io::ErrorKind::PermissionDenied => "use sudo, or give it to a group that you are in",
                _ => "create it from the shipped example, or name another with --config",
            };
            let message = format!("cannot be read ({error}); {remedy}");
            Err(Finding { file: Some(path), ..Finding::error("", message) })
        }
    };
    paths.into_iter().map(read).collect()
}

fn merged(sources: &Sources, files: &[(PathBuf, String)]) -> Result<Dict, Vec<Finding>> {
    let mut figment = Figment::new();
    for (path, text) in files {
        let dict: Dict = toml::from_str(text).map_err(|error| vec![syntax(path, text, &error)])?;
        figment = figment.admerge(Serialized::defaults(dict));
    }
    let mut dict: Dict = figment.extract().map_err(findings)?;
    let environment = environment(&sources.environment, dict.contains_key("mongodb"));
    // A secret that the environment gives wins over a file that the configuration names.
    for (section, key) in SECRETS {
        let given =
            matches!(environment.get(section), Some(Value::Dict(_, table)) if table.contains_key(key));
        if let (true, Some(Value::Dict(_, table))) = (given, dict.get_mut(section)) {
            table.remove(&format!("{key}_file"));
        }
    }
    let layers = Figment::from(Serialized::defaults(dict)).merge(Serialized::defaults(environment));
    layers.extract().map_err(findings)
}

fn merge(sources: &Sources, files: &[(PathBuf, String)]) -> Result<Config, Vec<Finding>> {
    let mut dict = merged(sources, files)?;
    let mut wrong = unknown_sections(&dict);
    wrong.extend(read_secrets(&mut dict, sources));
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let figment = Figment::from(Serialized::defaults(dict));
    match (figment.extract::<Sections>(), figment.extract::<Adapters>()) {
        (Ok(sections), Ok(adapters)) => Ok(Config {
            gateway: sections.gateway,
            journal: sections.journal,
            mongodb: sections.mongodb,
            mqtt_api: sections.mqtt_api,
            broker: sections.broker,
            commands: sections.commands,
            adapters,
        }),
        (sections, adapters) => {
            Err(sections.err().into_iter().chain(adapters.err()).flat_map(findings).collect())
        }
    }
}

fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Finding {
    let line = error.span().map(|span| line_at(text, span.start));
    let message = format!("{}; mend the TOML at this place", error.message().trim_end());
    Finding { file: Some(path.to_owned()), line, ..Finding::error("", message) }
}

fn unknown_sections(dict: &Dict) -> Vec<Finding> {
    let known: Vec<_> = SECTIONS.iter().chain(Adapters::KEYS).copied().collect();
    let unknown = dict.keys().filter(|key| !known.contains(&key.as_str()));
    unknown
        .map(|key| Finding::error(key, format!("unknown section; known are {}", known.join(", "))))
        .collect()
}

fn findings(error: figment::Error) -> Vec<Finding> {
    error
        .into_iter()
        .map(|error| {
            let mut path = error.path.clone();
            let message = match &error.kind {
                Kind::UnknownField(field, allowed) => {
                    if path.last() != Some(field) {
                        path.push(field.clone());
                    }
                    format!("unknown key; known here are {}", allowed.join(", "))
                }
                Kind::MissingField(field) => {
                    path.push(field.to_string());
                    format!("it is missing; write `{field} = …` here, as in the shipped example")
                }
                Kind::InvalidType(..) if is_secret(&path) => "it must be a text in quotes".to_owned(),
                Kind::InvalidType(actual, expected) => format!("found {actual}, but it must be {expected}"),
                other => format!("{other}; see the shipped example"),
            };
            Finding::error(path.join("."), message)
        })
        .collect()
}

fn is_secret(path: &[String]) -> bool {
    SECRETS.iter().any(|(section, key)| path.iter().map(String::as_str).eq([*section, *key]))
}

/// Sets every secret that is given as a file, and takes the `_file` keys away.
fn read_secrets(dict: &mut Dict, sources: &Sources) -> Vec<Finding> {
    let mut wrong = Vec::new();
    for (section, key) in SECRETS {
        let Some(Value::Dict(_, table)) = dict.get_mut(section) else { continue };
        let twin = format!("{key}_file");
        let Some(file) = table.remove(&twin) else { continue };
        let place = format!("{section}.{twin}");
        let Some(file) = file.as_str().map(PathBuf::from) else {
            wrong.push(Finding::error(place, "it must be a text: the path of a file"));
            continue;
        };
        if table.contains_key(key) {
            wrong.push(Finding::error(place, format!("`{key}` is given as well; keep one of the two")));
            continue;
        }
        let own = sources.file.parent().unwrap_or(Path::new("/"));
        let path = sources.credentials.as_deref().unwrap_or(own).join(file);
        match fs::read_to_string(&path) {
            Ok(secret) => {
                table.insert(key.to_owned(), Value::from(secret.trim_end_matches(['\r', '\n'])));
            }
            Err(error) => wrong.push(Finding::error(
                place,
                format!(
                    "{} cannot be read ({error}); create it, readable for the gateway's user alone (a relative path is looked for in $CREDENTIALS_DIRECTORY, else beside the configuration)",
                    path.display()
                ),
            )),
        }
    }
    wrong
}
