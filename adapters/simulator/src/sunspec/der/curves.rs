//! Models 705–712 and 715: they are there, so that a reader must step over them, and have nothing to say. Pure.

use super::super::image::{Model, NO_U16};

/// Ids and lengths without any curve; 705 to 712 are grid-code settings, which no gateway touches.
const CURVES: [(u16, u16); 8] =
    [(705, 13), (706, 8), (707, 7), (708, 7), (709, 7), (710, 7), (711, 10), (712, 10)];
const REMOTE: (u16, u16) = (715, 7);

pub(in super::super) fn curves() -> Vec<Model> {
    CURVES.map(silent).into()
}

pub(in super::super) fn remote() -> Model {
    silent(REMOTE)
}

fn silent((id, length): (u16, u16)) -> Model {
    let mut m = Model::new(id, length);
    m.absent(NO_U16, 2..usize::from(length) + 2);
    m
}
