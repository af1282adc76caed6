//! Wanted registers → registers, in the fewest requests that the unit takes. What it refuses is
//! halved between values until it is clear which part it does not take; what is found out is kept step
//! by step, so that a search that must end early goes on at the next poll. Never decides when.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    client::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError, SERVER_FAILURE},
    plan::{Extent, Rules, plan},
    port::Port,
};

/// The registers of each wanted extent, in their order; none where the unit has no such registers.
pub(crate) type Fetched = Vec<Option<Vec<u16>>>;

/// Requests that one search may cost, and the time: commands and other units wait for it.
const TRIES: u32 = 64;
const TIME: Duration = Duration::from_secs(8);
/// So many values in a row that are refused alone, and the last one too: it refuses everything.
const REFUSED_IN_A_ROW: u32 = 3;

impl Port<'_> {
    /// Reads every extent. One that the unit refuses is an error, with its exception.
    ///
    /// # Errors
    /// Also when the link failed: nothing is half read.
    pub async fn fetch(&mut self, wanted: &[Extent]) -> Result<Vec<Vec<u16>>, LinkError> {
        let read = self.search(wanted, false).await?;
        read.into_iter().map(|words| words.ok_or(LinkError::Exception(ILLEGAL_ADDRESS))).collect()
    }

    /// Reads what the unit has of the extents, and remembers what it has not.
    ///
    /// # Errors
    /// When it refuses everything, or the link failed: nothing is half read.
    pub async fn fetch_known(&mut self, wanted: &[Extent]) -> Result<Fetched, LinkError> {
        self.search(wanted, true).await
    }

    async fn search(&mut self, wanted: &[Extent], may_have_holes: bool) -> Result<Fetched, LinkError> {
        self.learned.load(self.store, self.unit).await;
        let now = self.clock.now().wall_ms;
        let barred = self.learned.barred(&self.unit.barred, now);
        let mut search = Search {
            wanted,
            words: vec![None; wanted.len()],
            may_have_holes,
            now,
            tries: 0,
            read: 0,
            until: Instant::now() + TIME,
            holes: Vec::new(),
        };
        let there: Vec<usize> = (0..wanted.len())
            .filter(|place| !may_have_holes || !self.learned.is_hole(&wanted[*place], now))
            .collect();
        let ended = search.all(self, planned(wanted, &there, self.unit.rules(&barred))).await;
        // A unit that answers nothing teaches nothing. Else, also what was found out before the link failed.
        for (hole, failed) in search.holes.drain(..).filter(|_| search.read > 0) {
            self.learned.hole(hole, failed, now);
        }
        self.learned.keep(self.store, self.unit).await;
        ended.map(|()| search.words)
    }
}

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
    may_have_holes: bool,
    now: i64,
    tries: u32,
    /// Requests that were answered.
    read: u32,
    until: Instant,
    /// Values that are refused by themselves, and whether the unit says that it failed.
    holes: Vec<(Extent, bool)>,
}

/// How one request ended that the link carried.
enum Try {
    Read,
    /// The unit refuses it for what it asks.
    Refused(u8),
    /// Not asked: the search has cost enough for now.
    Later,
}

impl Search<'_> {
    async fn all(&mut self, port: &mut Port<'_>, requests: Vec<Vec<usize>>) -> Result<(), LinkError> {
        let mut refused = Vec::new();
        for members in requests {
            if let Try::Refused(code) = self.read(port, &members).await? {
                refused.push((members, code));
            }
        }
        let Some(&(_, code)) = refused.first() else {
            port.learned.refuses_all = false;
            return Ok(());
        };
        if self.read == 0 && port.learned.refuses_all {
            return Err(LinkError::Exception(code));
        }
        for (members, code) in refused {
            let is_clear = self.part(port, &members).await?;
            port.learned.refuses_all = self.read == 0;
            if !is_clear {
                return Err(LinkError::Exception(code));
            }
        }
        Ok(())
    }

    /// One request for these.
    async fn read(&mut self, port: &mut Port<'_>, members: &[usize]) -> Result<Try, LinkError> {
        let extents = members.iter().map(|member| self.wanted[*member]);
        let Some(Extent { function, start, .. }) = extents.clone().next() else { return Ok(Try::Read) };
        let end = extents.map(Extent::end).max().unwrap_or(0);
        let count = u16::try_from(end - u32::from(start)).unwrap_or(u16::MAX);
        let read = match port.read(function, start, count).await {
            Ok(read) => read,
            Err(LinkError::Exception(code)) if is_refusal(code) => return Ok(Try::Refused(code)),
            Err(error) => return Err(error),
        };
        for member in members {
            let extent = self.wanted[*member];
            let from = usize::from(extent.start - start);
            self.words[*member] = Some(read[from..from + usize::from(extent.count)].to_vec());
            if self.may_have_holes {
                port.learned.there(&extent);
            }
        }
        self.read += 1;
        Ok(Try::Read)
    }

    /// Reads members of a request that was refused in the longest parts that are taken. False when it
    /// cannot be told: the unit refuses everything, or one that must not be missing.
    async fn part(&mut self, port: &mut Port<'_>, members: &[usize]) -> Result<bool, LinkError> {
        let mut rest = members;
        // Holes come in rows: after one, the next value is tried by itself.
        let mut in_a_row = 0;
        while !rest.is_empty() {
            let alone = if in_a_row > 0 { 1 } else { rest.len() };
            let mut code = match self.try_one(port, &rest[..alone]).await? {
                Try::Read => {
                    rest = &rest[alone..];
                    in_a_row = 0;
                    continue;
                }
                Try::Later => return Ok(self.read > 0 && self.may_have_holes),
                Try::Refused(code) => code,
            };
            let (mut taken, mut refused) = (0, alone);
            while refused - taken > 1 {
                let middle = usize::midpoint(taken, refused);
                match self.try_one(port, &rest[..middle]).await? {
                    Try::Read => taken = middle,
                    Try::Refused(why) => (refused, code) = (middle, why),
                    Try::Later => return Ok(self.read > 0 && self.may_have_holes),
                }
            }
            let next = self.wanted[rest[taken]];
            if taken > 0 {
                port.learned.cut(next.function, next.start, self.now);
                rest = &rest[taken..];
                continue;
            }
            in_a_row += 1;
            if !self.may_have_holes || (in_a_row >= REFUSED_IN_A_ROW && !self.is_there(port, rest).await?) {
                return Ok(false);
            }
            self.holes.push((next, code == SERVER_FAILURE));
            rest = &rest[1..];
        }
        Ok(self.read > 0)
    }

    /// Was anything answered, the last value at least?
    async fn is_there(&mut self, port: &mut Port<'_>, rest: &[usize]) -> Result<bool, LinkError> {
        if self.read == 0 {
            self.try_one(port, &rest[rest.len() - 1..]).await?;
        }
        Ok(self.read > 0)
    }

    async fn try_one(&mut self, port: &mut Port<'_>, members: &[usize]) -> Result<Try, LinkError> {
        self.tries += 1;
        if self.tries > TRIES || Instant::now() >= self.until {
            return Ok(Try::Later);
        }
        self.read(port, members).await
    }
}

/// Says that exception something of the registers, and not only of the moment?
pub(crate) fn is_refusal(exception: u8) -> bool {
    matches!(exception, ILLEGAL_ADDRESS | ILLEGAL_VALUE | SERVER_FAILURE)
}
