//! Wanted registers → registers, in the fewest requests that the unit takes. What it refuses is
//! halved between values until it is clear which part it does not take. Never decides when.

use crate::{
    client::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError, SERVER_FAILURE},
    learned::Knowledge,
    plan::{Extent, Rules, plan},
    port::Port,
};

/// The registers of each wanted extent, in their order; none where the unit has no such registers.
pub(crate) type Fetched = Vec<Option<Vec<u16>>>;

/// Requests that one search may cost.
const TRIES: u32 = 64;
/// So many values in a row that are refused alone, and none that is not: it refuses everything.
const REFUSED_IN_A_ROW: u32 = 3;

impl Port<'_> {
    /// Reads every extent. One that the unit refuses is an error, with its exception.
    ///
    /// # Errors
    /// Also when the link failed: nothing is half read.
    pub async fn fetch(&mut self, wanted: &[Extent]) -> Result<Vec<Vec<u16>>, LinkError> {
        self.search(wanted, false).await?.into_iter().map(|words| words.ok_or(NO_SUCH)).collect()
    }

    /// Reads what the unit has of the extents, and remembers what it has not.
    ///
    /// # Errors
    /// When it refuses everything, or the link failed: nothing is half read.
    pub async fn fetch_known(&mut self, wanted: &[Extent]) -> Result<Fetched, LinkError> {
        self.search(wanted, true).await
    }

    async fn search(&mut self, wanted: &[Extent], may_have_holes: bool) -> Result<Fetched, LinkError> {
        let now = self.clock.now().wall_ms;
        let known = self.learned.of(self.store, self.unit, now).await.clone();
        let barred = known.barred(&self.unit.barred);
        let mut search = Search { wanted, words: vec![None; wanted.len()], known, tries: 0, read: 0 };
        let there: Vec<usize> = (0..wanted.len())
            .filter(|place| !may_have_holes || !search.known.holes.contains(&wanted[*place]))
            .collect();
        let before = search.known.clone();
        let mut refused = Vec::new();
        for members in planned(wanted, &there, self.unit.rules(&barred)) {
            if let Err(code) = search.read(self, &members).await? {
                refused.push((members, code));
            }
        }
        let Some(&(_, code)) = refused.first() else {
            self.learned.refuses_all = false;
            return Ok(search.words);
        };
        if search.read == 0 && self.learned.refuses_all {
            return Err(LinkError::Exception(code));
        }
        for (members, _) in refused {
            if !search.part(self, members, may_have_holes).await? {
                self.learned.refuses_all = search.read == 0;
                return Err(LinkError::Exception(code));
            }
        }
        self.learned.refuses_all = false;
        if search.known != before {
            self.learned.keep(self.store, self.unit, search.known, now).await;
        }
        Ok(search.words)
    }
}

const NO_SUCH: LinkError = LinkError::Exception(ILLEGAL_ADDRESS);

/// The members of each request, in the order of their registers.
fn planned(wanted: &[Extent], there: &[usize], rules: Rules<'_>) -> Vec<Vec<usize>> {
    let extents: Vec<Extent> = there.iter().map(|place| wanted[*place]).collect();
    let requests = plan(&extents, rules).into_iter();
    requests.map(|request| request.members.into_iter().map(|member| there[member]).collect()).collect()
}

/// One search for what a unit takes.
struct Search<'a> {
    wanted: &'a [Extent],
    words: Fetched,
    known: Knowledge,
    tries: u32,
    /// Requests that were answered.
    read: u32,
}

impl Search<'_> {
    /// One request for these; the exception when the unit refuses it for what it asks.
    async fn read(&mut self, port: &mut Port<'_>, members: &[usize]) -> Result<Result<(), u8>, LinkError> {
        let extents = members.iter().map(|member| self.wanted[*member]);
        let Some(Extent { function, start, .. }) = extents.clone().next() else { return Ok(Ok(())) };
        let end = extents.map(Extent::end).max().unwrap_or(0);
        let count = u16::try_from(end - u32::from(start)).unwrap_or(u16::MAX);
        let read = match port.read(function, start, count).await {
            Ok(read) => read,
            Err(LinkError::Exception(code @ (ILLEGAL_ADDRESS | ILLEGAL_VALUE | SERVER_FAILURE))) => {
                return Ok(Err(code));
            }
            Err(error) => return Err(error),
        };
        for member in members {
            let Extent { start: own, count, .. } = self.wanted[*member];
            let from = usize::from(own - start);
            self.words[*member] = Some(read[from..from + usize::from(count)].to_vec());
        }
        self.read += 1;
        Ok(Ok(()))
    }

    /// Reads members of a request that was refused in the longest parts that are taken. False when it
    /// cannot be told: the unit refuses everything, or one that must not be missing.
    async fn part(
        &mut self,
        port: &mut Port<'_>,
        members: Vec<usize>,
        may_have_holes: bool,
    ) -> Result<bool, LinkError> {
        let mut rest = &members[..];
        let mut in_a_row = 0;
        while !rest.is_empty() {
            // Whatever it was may be over.
            if self.try_one(port, rest).await? {
                return Ok(true);
            }
            let (mut taken, mut refused) = (0, rest.len());
            while refused - taken > 1 {
                let middle = usize::midpoint(taken, refused);
                if self.try_one(port, &rest[..middle]).await? {
                    taken = middle;
                } else {
                    refused = middle;
                }
            }
            if taken == 0 && self.try_one(port, &rest[..1]).await? {
                // Not for good, then.
                taken = 1;
            }
            if self.tries > TRIES {
                return Ok(false);
            }
            if taken == rest.len() {
                return Ok(true);
            }
            let next = self.wanted[rest[taken]];
            if taken > 0 {
                in_a_row = 0;
                self.known.cuts.insert((next.function, next.start));
                rest = &rest[taken..];
            } else {
                in_a_row += 1;
                if !may_have_holes || (self.read == 0 && in_a_row >= REFUSED_IN_A_ROW) {
                    return Ok(false);
                }
                self.known.holes.insert(next);
                rest = &rest[1..];
            }
        }
        Ok(self.read > 0)
    }

    async fn try_one(&mut self, port: &mut Port<'_>, members: &[usize]) -> Result<bool, LinkError> {
        self.tries += 1;
        Ok(self.tries <= TRIES && self.read(port, members).await?.is_ok())
    }
}
