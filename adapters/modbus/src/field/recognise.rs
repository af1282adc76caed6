//! Registers against the signatures of the profiles. All checks of a signature must hold.

use std::collections::{BTreeMap, btree_map::Entry};

use adapter_api::{
    Protocol,
    profile::{Check, Function, Profile, known},
};

use super::ask::ask;
use crate::{checks::holds, client::LinkError, port::Port};

/// Registers that were asked for once are not asked for again: profiles of one maker look at the same.
type Asked = BTreeMap<(Function, u16, u16), Option<Vec<u16>>>;

/// The profiles that fit, those with more checks first.
pub(super) async fn recognise(port: &mut Port<'_>) -> Result<Vec<&'static Profile>, LinkError> {
    let profiles = known().values().filter(|profile| profile.protocol == Protocol::Modbus);
    matching(port, profiles).await
}

async fn matching<'p>(
    port: &mut Port<'_>,
    profiles: impl Iterator<Item = &'p Profile>,
) -> Result<Vec<&'p Profile>, LinkError> {
    let mut asked = Asked::new();
    let mut fitting = Vec::new();
    for profile in profiles {
        let Some(signature) = &profile.signature else { continue };
        let mut all = true;
        for check in &signature.checks {
            all = all && registers(port, &mut asked, check).await?.is_some_and(|words| holds(check, words));
        }
        if all {
            fitting.push((signature.checks.len(), profile));
        }
    }
    fitting.sort_by_key(|(checks, profile)| (std::cmp::Reverse(*checks), &profile.name));
    Ok(fitting.into_iter().map(|(_, profile)| profile).collect())
}

/// The registers of a check; none where the device has none, or does not answer for them.
async fn registers<'a>(
    port: &mut Port<'_>,
    asked: &'a mut Asked,
    check: &Check,
) -> Result<Option<&'a [u16]>, LinkError> {
    let key = (check.function, check.register, check.count);
    let words = match asked.entry(key) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => {
            place.insert(match ask(port, check.function, check.register, check.count).await {
                Ok(words) => Some(words),
                // On a line, a refusal after a silence belongs to neither question for certain.
                Err(LinkError::Exception(_) | LinkError::NoAnswer(_) | LinkError::Mismatch(_)) => None,
                Err(error) => return Err(error),
            })
        }
    };
    Ok(words.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::Link,
        field::ask::{Blank, settings, unit},
        testing::Peer,
    };

    fn profile(name: &str, checks: &str) -> Profile {
        let text = format!(
            "manufacturer = 'M'\nmodels = ['X']\nprotocol = 'modbus'\ndevice_type = 'energy_meter'\n\
             energy_role = 'monitor'\nsources = []\n[points]\nit = {{ register = 0, type = 'u16' }}\n\
             [signature]\nchecks = [{checks}]\n"
        );
        Profile::parse(name, &text).unwrap()
    }

    fn check(text: &str) -> Check {
        profile("it", &format!("{{ register = 0, {text} }}")).signature.unwrap().checks.remove(0)
    }

    #[test]
    fn a_check_compares_what_the_registers_mean() {
        let cases: [(&str, &[u16], bool); 12] = [
            ("type = 'f32', min = 45, max = 65", &[0x4248, 0x0000], true),
            ("type = 'f32', min = 45, max = 65", &[0x0000, 0x4248], false),
            ("type = 'f32', order = 'little', min = 45, max = 65", &[0x0000, 0x4248], true),
            ("type = 'f32', min = 45, max = 65", &[0x7FC0, 0x0000], false),
            ("type = 'u16', scale = 0.1, min = 45, max = 65", &[500], true),
            ("type = 'i16', max = -1", &[0xFFFF], true),
            ("type = 'u16', scale = 0.1, equals = [1, 12.3]", &[123], true),
            ("type = 'u16', equals = [1, 2]", &[3], false),
            ("type = 'u16', mask = 0xFF00, equals = 0x1200", &[0x12AB], true),
            ("type = 'u32', mask = 0xFF000000, equals = 0x12000000", &[0x13AB, 0], false),
            ("text = 'SH'", &[0x5348], true),
            ("text = 'SH'", &[0x5300], false),
        ];
        for (text, words, fits) in cases {
            assert_eq!(holds(&check(text), words), fits, "{text} of {words:x?}");
        }
    }

    #[tokio::test]
    async fn all_checks_must_hold_and_the_profile_with_more_of_them_comes_first() {
        let peer = Peer::start().await;
        peer.holding(1, 10, &[7, 8]);
        let profiles = [
            profile("a-loose", "{ register = 10, type = 'u16', equals = 7 }"),
            profile(
                "b-strict",
                "{ register = 10, type = 'u16', equals = 7 }, { register = 11, type = 'u16', min = 8 }",
            ),
            profile(
                "c-half",
                "{ register = 10, type = 'u16', equals = 7 }, { register = 11, type = 'u16', min = 9 }",
            ),
            profile("d-absent", "{ register = 99, type = 'u16', min = 0 }"),
        ];
        let (unit, mut blank) = (unit(1, std::time::Duration::from_secs(2)), Blank::new());
        let mut link = Link::new(peer.place(), &settings("tcp://x"));
        let fitting = matching(&mut blank.port(&unit, &mut link), profiles.iter()).await.unwrap();
        let names: Vec<_> = fitting.iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["b-strict", "a-loose"]);
        assert_eq!(peer.seen().len(), 3, "each register is asked for once");
    }
}
