//! Which profiles there are: those that are compiled in, and the installer's over them. What a profile says is not
//! its business, and it reads no file.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, PoisonError, RwLock},
};

use super::Profile;

/// Name and text of each file of `config/profiles`.
pub(super) const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// The text of a profile that is compiled in.
pub fn shipped(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(file, _)| *file == name).map(|(_, text)| *text)
}

static BUILTIN: LazyLock<BTreeMap<String, Profile>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|(name, text)| {
            let profile = Profile::parse(name, text).expect("the profiles that are compiled in are tested");
            ((*name).to_owned(), profile)
        })
        .collect()
});

/// All profiles that are compiled in, by name.
pub fn builtin() -> &'static BTreeMap<String, Profile> {
    &BUILTIN
}

/// What the installer added; none as long as nothing was.
static OWN: RwLock<Option<&'static BTreeMap<String, Profile>>> = RwLock::new(None);

/// All profiles that can be used, by name: those that are compiled in, and those of [`install`] over them.
pub fn known() -> &'static BTreeMap<String, Profile> {
    OWN.read().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(builtin)
}

/// Makes the installer's own profiles known, in place of those that were. What runs keeps what it has.
/// Profiles live as long as the process: a call that changes nothing costs nothing.
pub fn install(own: BTreeMap<String, Profile>) {
    let mut all = builtin().clone();
    all.extend(own);
    if all != *known() {
        let all: &'static _ = Box::leak(Box::new(all));
        *OWN.write().unwrap_or_else(PoisonError::into_inner) = Some(all);
    }
}
