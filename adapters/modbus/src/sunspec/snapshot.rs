//! The registers of a unit's models at one instant: which extents bring them, whether they are still
//! the models that were discovered, and whether values and scale factors are of one instant.

use std::ops::Range;

use adapter_api::profile::Function;

use super::{
    discovery::At,
    models::{Block, Model},
    points::{ac, metered, others},
    table::Table,
    types::Type,
};
use crate::{
    client::{ILLEGAL_ADDRESS, ILLEGAL_VALUE, LinkError, MAX_READ, SERVER_FAILURE},
    plan::Extent,
    port::Port,
};

/// What was read, by model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Snapshot(Vec<(At, Vec<u16>)>);

impl Snapshot {
    /// A model's registers, if the unit has it; of several the first.
    pub fn block(&self, model: Model) -> Option<Block<'_>> {
        self.of(model).map(|(_, block)| block)
    }

    /// The same, with where it lies.
    pub fn of(&self, model: Model) -> Option<(At, Block<'_>)> {
        self.0.iter().find(|(at, _)| at.model == model).map(|(at, words)| (*at, Block(words)))
    }

    /// The registers of the model that lies there.
    pub fn there(&self, at: At) -> Option<Block<'_>> {
        self.0.iter().find(|(is, _)| *is == at).map(|(_, words)| Block(words))
    }
}

/// Why there is no snapshot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// A model is no longer where it was, or refuses its own registers.
    #[error("its SunSpec models are no longer where they were")]
    Moved,
    /// A model that takes several requests changed its scale factors between them.
    #[error("its scale factors changed while they were read")]
    Torn,
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// Reads models. Their ID and length are read along and must be those that were discovered.
pub(crate) async fn fetch(port: &mut Port<'_>, models: &[At]) -> Result<Snapshot, SnapshotError> {
    let block = port.unit.block.min(MAX_READ);
    let plans: Vec<Plan> = (0..models.len()).map(|of| Plan::new(models, of, block)).collect();
    let mut before = Vec::with_capacity(plans.len());
    for plan in &plans {
        before.push(port.fetch(&plan.before).await.map_err(refused)?);
    }
    let all: Vec<Extent> = plans.iter().flat_map(|plan| plan.extents.iter().copied()).collect();
    // A device that takes no request across its models is no device whose models moved: what is
    // refused here is refused by itself.
    let mut words = port.fetch(&all).await.map_err(refused)?.into_iter();
    let mut snapshot = Vec::with_capacity(models.len());
    for (plan, before) in plans.iter().zip(before) {
        let own: Vec<u16> = words.by_ref().take(plan.extents.len()).flatten().collect();
        if own.get(..2) != Some(&[plan.at.id, plan.at.length][..]) {
            return Err(SnapshotError::Moved);
        }
        let after = port.fetch(&plan.after).await.map_err(refused)?;
        if !plan.agree(&plan.before, &before, &own) || !plan.agree(&plan.after, &after, &own) {
            return Err(SnapshotError::Torn);
        }
        snapshot.push((plan.at, own));
    }
    Ok(Snapshot(snapshot))
}

/// All that one read of these models asks for.
pub(crate) fn extents(models: &[At], block: u16) -> Vec<Extent> {
    let plans = (0..models.len()).map(|of| Plan::new(models, of, block.min(MAX_READ)));
    plans.flat_map(|plan| [plan.before, plan.extents, plan.after].concat()).collect()
}

fn refused(error: LinkError) -> SnapshotError {
    match error {
        LinkError::Exception(ILLEGAL_ADDRESS | ILLEGAL_VALUE | SERVER_FAILURE) => SnapshotError::Moved,
        error => SnapshotError::Link(error),
    }
}

/// How one model is read.
#[derive(Debug)]
struct Plan {
    at: At,
    /// Its registers from the ID register on, without holes. More than one only where it is longer
    /// than a request.
    extents: Vec<Extent>,
    /// Its scale factors once more, before the others: values in an earlier request than their scale
    /// factor would else be believed with one of another instant. Requests go by address.
    before: Vec<Extent>,
    /// The same for values in a later request than their scale factor.
    after: Vec<Extent>,
}

impl Plan {
    fn new(models: &[At], of: usize, block: u16) -> Self {
        let (at, registers) = (models[of], wanted(models, of, block));
        if registers <= block {
            // All is of one instant.
            return Self { at, extents: vec![extent(at, &(0..registers))], before: vec![], after: vec![] };
        }
        let cuts = chunks(atoms(at, 0..registers, block), block);
        let extents: Vec<Extent> = cuts.iter().map(|cut| extent(at, cut)).collect();
        let scales = scales(at, registers);
        let (before, after) = match (&cuts[..], scales.first().zip(scales.last())) {
            ([first, .., last], Some((low, high))) => (*high >= first.end, *low < last.start),
            _ => (false, false),
        };
        let again = |wanted: bool| -> Vec<Extent> {
            let span = scales.first().zip(scales.last()).filter(|_| wanted);
            let cuts = span.map(|(low, high)| chunks(atoms(at, *low..high + 1, block), block));
            cuts.unwrap_or_default().iter().map(|cut| extent(at, cut)).collect()
        };
        Self { at, before: again(before), after: again(after), extents }
    }

    /// Are the scale factors that were read by themselves those among the model's own words?
    fn agree(&self, extents: &[Extent], words: &[Vec<u16>], own: &[u16]) -> bool {
        if extents.is_empty() {
            return true;
        }
        let scales = scales(self.at, u16::try_from(own.len()).unwrap_or(u16::MAX));
        let mut again = extents.iter().zip(words).flat_map(|(extent, words)| (extent.start..).zip(words));
        again.all(|(place, word)| {
            let offset = place - self.at.start;
            !scales.contains(&offset) || own.get(usize::from(offset)) == Some(word)
        })
    }
}

fn extent(at: At, cut: &Range<u16>) -> Extent {
    let start = at.start.saturating_add(cut.start);
    Extent { function: Function::Holding, start, count: cut.end - cut.start }
}

/// How many registers of a model are read: as far as we use it, and all of it where that joins it to
/// the next one in one request.
fn wanted(models: &[At], of: usize, block: u16) -> u16 {
    let used = used(models[of]);
    let next = models.get(of + 1).filter(|next| {
        let whole = models[of].registers();
        u32::from(next.start) == u32::from(models[of].start) + u32::from(whole)
            && whole.saturating_add(self::used(**next)) <= block
    });
    next.map_or(used, |_| models[of].registers())
}

/// Registers up to the last point that we use, with ID and length.
fn used(at: At) -> u16 {
    let table = Table::of(at.id);
    let wanted = match at.model {
        Model::Inverter => ac(at.id).registers,
        Model::Meter => metered(at.id).registers,
        Model::Status => others().battery_connection.end(),
        // It is read for its first point alone.
        Model::EnterService => 3,
        _ => match table {
            Some(table) if table.group.is_none() => table.end(),
            _ => u16::MAX,
        },
    };
    at.registers().min(wanted)
}

/// What no request may split, without holes, within `span`: points, or whole repetitions where one
/// fits into a request.
fn atoms(at: At, span: Range<u16>, block: u16) -> Vec<Range<u16>> {
    let mut atoms: Vec<Range<u16>> = std::iter::once(0..2).collect();
    if let Some(table) = Table::of(at.id) {
        atoms.extend(table.points.iter().map(|point| point.at..point.end()));
        for n in 0..table.repeats(at.registers()) {
            let Some(group) = &table.group else { break };
            let shift = n * group.size;
            if group.size <= block {
                atoms.push(group.start + shift..group.start + shift + group.size);
            } else {
                atoms.extend(group.points.iter().map(|point| point.at + shift..point.end() + shift));
            }
        }
    }
    // What a device has beyond the definition belongs to nothing.
    let end = atoms.last().map_or(0, |atom| atom.end);
    atoms.extend((end..at.registers()).map(|place| place..place + 1));
    atoms.retain(|atom| atom.start >= span.start && atom.end <= span.end);
    atoms
}

/// Neighbouring atoms, in as few requests as they fit into.
fn chunks(atoms: Vec<Range<u16>>, block: u16) -> Vec<Range<u16>> {
    let mut chunks: Vec<Range<u16>> = Vec::new();
    for atom in atoms {
        match chunks.last_mut() {
            Some(chunk) if atom.end - chunk.start <= block => chunk.end = atom.end,
            _ => chunks.push(atom),
        }
    }
    chunks
}

/// Places of the model's scale factors before `end`.
fn scales(at: At, end: u16) -> Vec<u16> {
    let points = Table::of(at.id).map(|table| table.points.as_slice()).unwrap_or_default();
    let factors = points.iter().filter(|point| point.kind == Type::Sunssf && point.at < end);
    factors.map(|point| point.at).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(id: u16, start: u16, length: u16) -> At {
        At { model: Model::of(id).unwrap(), id, start, length }
    }

    fn cuts(models: &[At], block: u16) -> Vec<Vec<(u16, u16)>> {
        let cut = |extent: &Extent| (extent.start, extent.count);
        let plans = (0..models.len()).map(|of| Plan::new(models, of, block));
        plans.map(|plan| plan.extents.iter().map(cut).collect()).collect()
    }

    #[test]
    fn a_model_is_read_as_far_as_it_is_used_and_whole_where_that_joins_it_to_the_next() {
        assert_eq!(cuts(&[at(701, 100, 153)], 125), [[(100, 123)]]);
        assert_eq!(cuts(&[at(213, 100, 124)], 125), [[(100, 70)]]);
        assert_eq!(cuts(&[at(103, 100, 50), at(123, 152, 24)], 125), [[(100, 52)], [(152, 26)]]);
        assert_eq!(cuts(&[at(103, 100, 50), at(123, 180, 24)], 125), [[(100, 39)], [(180, 26)]]);
        assert_eq!(cuts(&[at(103, 100, 50), at(123, 152, 24)], 60), [[(100, 39)], [(152, 26)]]);
        assert_eq!(cuts(&[at(103, 100, 30)], 125), [[(100, 32)]], "shorter than its definition");
    }

    #[test]
    fn long_models_are_cut_between_modules_and_short_blocks_between_points() {
        assert_eq!(cuts(&[at(160, 0, 148)], 125), [[(0, 110), (110, 40)]]);
        assert_eq!(cuts(&[at(160, 0, 88)], 50), [[(0, 50), (50, 40)]]);
        assert_eq!(cuts(&[at(701, 0, 153)], 64), [[(0, 64), (64, 59)]]);
        assert_eq!(cuts(&[at(701, 0, 153)], 50), [[(0, 48), (48, 50), (98, 25)]], "a counter is not split");
    }

    #[test]
    fn scale_factors_are_read_again_on_the_side_where_values_lie_in_another_request() {
        let again = |id, length, block| {
            let plan = Plan::new(&[at(id, 0, length)], 0, block);
            let cut = |extents: Vec<Extent>| -> Vec<(u16, u16)> {
                extents.iter().map(|extent| (extent.start, extent.count)).collect()
            };
            (cut(plan.before), cut(plan.after))
        };
        assert_eq!(again(701, 153, 125), (vec![], vec![]), "one request");
        assert_eq!(again(701, 153, 64), (vec![(113, 10)], vec![]));
        assert_eq!(again(160, 148, 125), (vec![], vec![(2, 4)]));
        assert_eq!(again(103, 50, 20), (vec![(6, 20), (26, 12)], vec![(6, 20), (26, 12)]));
        assert_eq!(again(213, 124, 64), (vec![], vec![]), "floats have none");
    }

    proptest! {
        #[test]
        fn every_used_register_is_read_once_no_request_is_too_long_and_no_point_is_split(
            id in proptest::sample::select(&[103_u16, 113, 120, 124, 160, 203, 213, 701, 702, 704, 714, 802][..]),
            extra in 0..200_u16,
            block in 25..=125_u16,
        ) {
            let table = Table::of(id).unwrap();
            let model = at(id, 1000, table.end() - 2 + extra);
            let plan = Plan::new(&[model], 0, block);
            let mut next = 1000;
            for extent in &plan.extents {
                prop_assert_eq!(extent.start, next);
                prop_assert!(extent.count >= 1 && extent.count <= block);
                next += extent.count;
            }
            prop_assert_eq!(next - 1000, used(model));
            let repeats = table.group.iter().flat_map(|group| {
                let shifts = (0..table.repeats(model.registers())).map(|n| n * group.size);
                shifts.flat_map(|shift| group.points.iter().map(move |point| (point.at + shift, point.end() + shift)))
            });
            for (from, to) in table.points.iter().map(|point| (point.at, point.end())).chain(repeats) {
                if to > used(model) {
                    continue;
                }
                let whole = plan.extents.iter().any(|extent| {
                    extent.start <= 1000 + from && 1000 + to <= extent.start + extent.count
                });
                prop_assert!(whole, "{}..{} of {}", from, to, id);
            }
        }
    }
}
