//! Wanted registers → registers, in the fewest requests that the device takes. Owns what was learned
//! of a unit's holes; never decides when.

use std::collections::BTreeMap;

use crate::{
    client::LinkError,
    plan::{Extent, plan},
    port::Port,
};

/// The registers of each wanted extent, in their order; none where the device has no such registers.
pub(crate) type Fetched = Vec<Option<Vec<u16>>>;

impl Port<'_> {
    /// Reads every extent. One that the device refuses is an error, with its exception.
    pub async fn fetch(&mut self, wanted: &[Extent]) -> Result<Vec<Vec<u16>>, LinkError> {
        let limits = self.unit.profile.limits;
        let mut fetched: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
        for request in plan(wanted, limits.block, limits.gap) {
            let words = self.read(request.function, request.start, request.count).await?;
            for place in request.members {
                let from = usize::from(wanted[place].start - request.start);
                fetched.insert(place, words[from..from + usize::from(wanted[place].count)].to_vec());
            }
        }
        Ok(fetched.into_values().collect())
    }
}
