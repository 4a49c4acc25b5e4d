use alloc::{vec, vec::Vec};

use super::Source;
use crate::Result;
use crate::graph::{InputKind, TypedGraph, nets};

/// What a network that draws reads, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldInputs {
    /// A velocity field: the state, the low-quality image, the posterior mean, and the time.
    WithMean,
    /// The same without the posterior mean.
    WithoutMean,
    /// The field of a network that samples in one step: the low-quality image and the state.
    Untimed,
    /// The same of a network that reads no source sample: all of its samples are one.
    Deterministic,
}

impl FieldInputs {
    /// The velocity field that a network of a [`Role`](crate::model::Role) that draws is, and what that reads.
    ///
    /// # Errors
    /// [`Error::Graph`](crate::Error::Graph) where it is none.
    pub fn of(graph: &TypedGraph) -> Result<(TypedGraph, Self)> {
        let reads = Self::read_by(graph);
        let field = match reads {
            Self::WithMean | Self::WithoutMean => graph.clone(),
            Self::Untimed | Self::Deterministic => nets::field_of(graph)?,
        };
        Ok((field, reads))
    }

    /// What such a network reads.
    pub(crate) fn read_by(graph: &TypedGraph) -> Self {
        let inputs = &graph.graph().inputs;
        let timed = inputs.iter().any(|input| input.kind != InputKind::Map);
        match (timed, inputs.len()) {
            (true, 4..) => Self::WithMean,
            (true, _) => Self::WithoutMean,
            (false, 2..) => Self::Untimed,
            (false, _) => Self::Deterministic,
        }
    }

    /// Whether its samples differ.
    pub fn draws(self) -> bool {
        self != Self::Deterministic
    }

    /// The values in the order in which the field reads them.
    pub fn order<T>(self, state: T, low: T, mean: T, time: T) -> Vec<T> {
        match self {
            Self::WithMean => vec![state, low, mean, time],
            Self::WithoutMean => vec![state, low, time],
            Self::Untimed | Self::Deterministic => vec![low, state],
        }
    }

    /// Input pixels around a tile that a step depends on, where the restorer sees `restorer` pixels and the field `field`.
    pub fn halo(self, restorer: usize, field: usize) -> usize {
        match self {
            Self::WithMean | Self::WithoutMean => restorer.max(Source::REACH) + field,
            // It sees neither the posterior mean nor a source that depends on the image.
            Self::Untimed | Self::Deterministic => restorer.max(field),
        }
    }
}
