//! The installer's own device profiles: `profiles/*.toml` beside the main file. One that has the name of a
//! profile that is compiled in stands in its place.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use adapter_api::profile::{Profile, install};

use super::Finding;

/// Reads the profiles and makes them known. Returns their texts by name.
///
/// # Errors
/// All that is wrong in them, each with file, line and remedy; nothing is made known then.
pub(super) fn read(main: &Path) -> Result<BTreeMap<String, String>, Vec<Finding>> {
    let folder = main.parent().unwrap_or(Path::new("/")).join("profiles");
    let unread = |path: &Path, error: &io::Error| {
        let message = format!("cannot be read ({error}); give it to the gateway's group");
        vec![Finding { file: Some(path.to_owned()), ..Finding::error("", message) }]
    };
    let entries = match fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(unread(&folder, &error)),
    };
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let (mut texts, mut profiles, mut wrong) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for file in files {
        let Some(name) = file.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        let text = fs::read_to_string(&file).map_err(|error| unread(&file, &error))?;
        match Profile::parse(&name, &text) {
            Ok(profile) => {
                profiles.insert(name.clone(), profile);
                texts.insert(name, text);
            }
            Err(error) => {
                let line = error.at.map(|at| text[..at.min(text.len())].matches('\n').count() + 1);
                let message = format!("profile `{name}`: {}; mend it at this place", error.message);
                wrong.push(Finding { file: Some(file), line, ..Finding::error("", message) });
            }
        }
    }
    if wrong.is_empty() {
        install(profiles);
        Ok(texts)
    } else {
        Err(wrong)
    }
}
