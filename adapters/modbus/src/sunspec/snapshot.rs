//! The registers of a unit's models at one instant: which requests bring them, and whether they are
//! still the models that were discovered.

use adapter_api::profile::Function;

use super::{
    discovery::At,
    models::{Block, Model, mppt},
};
use crate::{
    client::{ILLEGAL_ADDRESS, LinkError, MAX_READ},
    plan::{Extent, plan},
    port::Port,
};

/// What was read, by model.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Snapshot(Vec<(Model, Vec<u16>)>);

impl Snapshot {
    /// A model's registers, if the unit has it.
    pub fn block(&self, model: Model) -> Option<Block<'_>> {
        self.0.iter().find(|(is, _)| *is == model).map(|(_, words)| Block(words))
    }
}

/// Why there is no snapshot.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// A model is no longer where it was.
    #[error("its SunSpec models are no longer where they were")]
    Moved,
    /// A model that takes two requests changed its scale factors between them.
    #[error("its scale factors changed while they were read")]
    Torn,
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// A piece of a model that one request must bring: values never part from their scale factors
/// unless the model itself is longer than a request.
struct Piece {
    /// Place in the list of models.
    of: usize,
    offset: u16,
    count: u16,
}

fn pieces(of: usize, at: At) -> Vec<Piece> {
    let whole = at.length.saturating_add(2);
    if whole <= MAX_READ || at.model != Model::Mppt {
        // Whatever we use of the other models lies in their first 125 registers.
        return vec![Piece { of, offset: 0, count: whole.min(MAX_READ) }];
    }
    let modules = (whole - mppt::HEADER) / mppt::MODULE;
    let module = |n: u16| Piece { of, offset: mppt::HEADER + n * mppt::MODULE, count: mppt::MODULE };
    let header = Piece { of, offset: 0, count: mppt::HEADER };
    std::iter::once(header).chain((0..modules).map(module)).collect()
}

/// Reads models. Their ID and length are read along and must be those that were discovered.
pub(crate) async fn fetch(port: &mut Port<'_>, models: &[At]) -> Result<Snapshot, SnapshotError> {
    let pieces: Vec<Piece> = models.iter().enumerate().flat_map(|(of, at)| pieces(of, *at)).collect();
    let extents: Vec<Extent> = pieces
        .iter()
        .map(|piece| extent(models[piece.of].start.saturating_add(piece.offset), piece.count))
        .collect();
    let mut words: Vec<Vec<u16>> = models
        .iter()
        .enumerate()
        .map(|(of, _)| {
            let own = pieces.iter().filter(|piece| piece.of == of);
            vec![0; own.map(|piece| usize::from(piece.offset + piece.count)).max().unwrap_or(0)]
        })
        .collect();
    for request in plan(&extents, port.unit.rules(&port.unit.barred)) {
        let read = fetch_words(port, request.start, request.count).await?;
        for member in request.members {
            let (piece, extent) = (&pieces[member], extents[member]);
            let from = usize::from(extent.start - request.start);
            let to = usize::from(piece.offset);
            let count = usize::from(piece.count);
            words[piece.of][to..to + count].copy_from_slice(&read[from..from + count]);
        }
    }
    for (of, at) in models.iter().enumerate() {
        if words[of].get(..2) != Some(&[at.id, at.length][..]) {
            return Err(SnapshotError::Moved);
        }
        if pieces.iter().filter(|piece| piece.of == of).count() > 1 {
            let header = fetch_words(port, at.start, mppt::HEADER).await?;
            let scales = usize::from(mppt::POWER_SCALE_AT)..=usize::from(mppt::ENERGY_SCALE_AT);
            if header[scales.clone()] != words[of][scales] {
                return Err(SnapshotError::Torn);
            }
        }
    }
    Ok(Snapshot(models.iter().map(|at| at.model).zip(words).collect()))
}

fn extent(start: u16, count: u16) -> Extent {
    Extent { function: Function::Holding, start, count }
}

async fn fetch_words(port: &mut Port<'_>, start: u16, count: u16) -> Result<Vec<u16>, SnapshotError> {
    port.read(Function::Holding, start, count).await.map_err(|error| match error {
        LinkError::Exception(ILLEGAL_ADDRESS) => SnapshotError::Moved,
        error => SnapshotError::Link(error),
    })
}
