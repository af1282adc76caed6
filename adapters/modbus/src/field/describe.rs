//! What a unit that answers is: its SunSpec map, or the profiles that fit. Never writes.

use super::{
    ask::refuses,
    recognise::recognise,
    report::{Found, Identity},
    scan::TARGET_SILENT,
};
use crate::{
    client::LinkError,
    port::Port,
    sunspec::{Common, DiscoveryError, Group, Search},
};

/// Who the unit says it is, and which profiles fit.
pub(super) async fn describe(port: &mut Port<'_>, found: &mut Found) -> Result<(), LinkError> {
    for group in models(port).await? {
        let Common { manufacturer, model, firmware, serial } = group.common;
        found.models.extend(group.places.iter().map(|place| place.id));
        found.identities.push(Identity { manufacturer, model, firmware, serial });
    }
    if !found.models.is_empty() {
        found.profiles.push("sunspec".to_owned());
    }
    let fitting = recognise(port).await?;
    if let (true, Some(profile)) = (found.identities.is_empty(), fitting.first()) {
        let (manufacturer, model) = (profile.manufacturer.clone(), profile.models.first().cloned());
        let model = model.unwrap_or_default();
        found.identities.push(Identity { manufacturer, model, ..Identity::default() });
    }
    found.profiles.extend(fitting.iter().map(|profile| profile.name.clone()));
    Ok(())
}

/// The sub devices of its SunSpec map; none when it has no map. It is found exactly where the adapter
/// finds it.
async fn models(port: &mut Port<'_>) -> Result<Vec<Group>, LinkError> {
    match Search::default().insist(port).await {
        Ok(groups) => Ok(groups),
        Err(
            DiscoveryError::NotSunspec
            | DiscoveryError::Link(LinkError::NoAnswer(_) | LinkError::Exception(TARGET_SILENT)),
        ) => Ok(Vec::new()),
        Err(DiscoveryError::Link(error)) if refuses(&error) => Ok(Vec::new()),
        Err(DiscoveryError::Link(error)) => Err(error),
    }
}
