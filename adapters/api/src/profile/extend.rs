//! `extends = "<name>"`: a profile that is another one, but for what it says itself. Pure.
//!
//! Keys and tables of the child go over those of the other; a point, a part's point, a state, a command, a setting and a
//! signature is replaced whole; `sources` are added up.

use toml::{Table, Value};

use super::ProfileError;

/// Profiles that extend profiles that extend profiles: more is a circle.
const DEEPEST: usize = 4;
/// Tables whose entries are replaced whole.
const WHOLE: [&str; 6] = ["points", "states", "commands", "settings", "identity", "ratings"];

/// The whole text of a profile as one table. `of` gives the texts of others; a profile that extends one of its own
/// name means the one that is compiled in.
pub(super) fn whole(
    name: &str,
    text: &str,
    of: &dyn Fn(&str, bool) -> Option<String>,
    depth: usize,
) -> Result<Option<Table>, ProfileError> {
    let wrong = |message: String| ProfileError {
        name: name.to_owned(),
        message,
        at: None,
        key: Some("extends".to_owned()),
    };
    let child: Table = toml::from_str(text).map_err(|error| ProfileError::syntax(name, &error))?;
    let Some(base) = child.get("extends") else { return Ok(None) };
    let base = base.as_str().ok_or_else(|| {
        wrong("extends must be the name of a profile, like extends = \"eastron-sdm630\"".to_owned())
    })?;
    if depth >= DEEPEST {
        return Err(wrong(format!(
            "the profiles extend each other in a circle, or deeper than {DEEPEST}: extend one that stands by itself"
        )));
    }
    let own = base == name;
    let parent = of(base, own).ok_or_else(|| {
        let remedy = "write the name of a shipped one (`maestro profiles` lists them), or of a file beside it, without .toml";
        wrong(match own {
            true => format!("there is no shipped profile `{base}`, and a profile cannot extend itself: {remedy}"),
            false => format!("there is no profile `{base}` to extend: {remedy}"),
        })
    })?;
    let mut table = match whole(base, &parent, of, depth + 1)? {
        Some(table) => table,
        None => toml::from_str(&parent).map_err(|error| {
            wrong(format!("`{base}` is no TOML: {}; mend that file", error.message().trim_end()))
        })?,
    };
    table.remove("extends");
    let mut child = child;
    child.remove("extends");
    merge(&mut table, child, "");
    Ok(Some(table))
}

fn merge(table: &mut Table, child: Table, within: &str) {
    for (key, value) in child {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new))
                if !WHOLE.contains(&within) && key != "signature" =>
            {
                merge(old, new, &key);
            }
            (Some(Value::Array(old)), Value::Array(new)) if within.is_empty() && key == "sources" => {
                old.splice(0..0, new);
            }
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// The key that a mistake in the whole text is about.
pub(super) fn key_of(text: &str, error: &ProfileError) -> Option<String> {
    match (&error.key, error.at) {
        // What is missing at the top is nowhere.
        (Some(missing), None | Some(0)) => Some(missing.clone()),
        (Some(missing), Some(at)) => Some(format!("{}.{missing}", path_at(text, at)?)),
        (None, at) => path_at(text, at?),
    }
}

/// The dotted path of what stands at a place of a text that `toml` itself wrote: one key per line below its header.
fn path_at(text: &str, at: usize) -> Option<String> {
    let upto = text.get(..at)?;
    let line = text.lines().nth(upto.matches('\n').count())?;
    let header = |line: &str| line.trim_matches(['[', ']']).to_owned();
    if line.starts_with('[') {
        return Some(header(line));
    }
    let key = line.split_once('=').map_or(line, |(key, _)| key).trim();
    let table = upto.lines().rev().find(|line| line.starts_with('[')).map(header);
    Some(table.map_or(key.to_owned(), |table| format!("{table}.{key}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    const BASE: &str = "manufacturer = 'M'\nmodels = ['A']\nprotocol = 'modbus'\ndevice_type = 'energy_meter'\n\
                        energy_role = 'monitor'\nsources = ['book']\n[limits]\nblock = 20\ngap = 2\n[points]\n\
                        activePower = { register = 1, type = 'i16', scale = -1 }\nvoltage = { register = 2, type = 'u16' }\n";

    fn parsed(text: &str) -> Result<Profile, ProfileError> {
        Profile::parse_with("mine", text, &|name, _| (name == "base").then(|| BASE.to_owned()))
    }

    #[test]
    fn what_a_profile_says_goes_over_the_one_that_it_extends() {
        let mine = parsed(
            "extends = 'base'\nsources = ['field']\n[limits]\nblock = 8\n[points]\nactivePower = { register = 5, type = 'u16' }\n",
        )
        .unwrap();
        assert_eq!((mine.manufacturer.as_str(), mine.limits.block, mine.limits.gap), ("M", 8, 2));
        assert_eq!(mine.sources, ["field", "book"]);
        assert_eq!((mine.points.len(), mine.points["activePower"].first().scale), (2, 1.0));
    }

    #[test]
    fn a_mistake_in_it_names_its_key_and_a_missing_base_is_said() {
        let error =
            parsed("extends = 'base'\n[points]\nvoltage = { register = 5, typ = 'u16' }\n").unwrap_err();
        assert_eq!(error.key.as_deref(), Some("points.voltage.typ"), "{error}");
        let error = parsed("extends = 'base'\n[limits]\nblock = 500\n").unwrap_err();
        assert_eq!(error.key.as_deref(), Some("limits.block"), "{error}");
        assert!(parsed("extends = 'none'\n").unwrap_err().to_string().contains("no profile `none`"));
        let circle = Profile::parse_with("a", "extends = 'b'", &|_, _| Some("extends = 'b'".to_owned()));
        assert!(circle.unwrap_err().to_string().contains("circle"));
    }
}
