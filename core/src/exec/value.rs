use alloc::{vec, vec::Vec};

use crate::graph::{Places, Shape, Size};

/// A value with its numbers, laid out as [`graph::Tensor`](crate::graph::Tensor) is.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its dimensions.
    pub shape: Shape,
    /// `shape.numbers()` numbers.
    pub data: Vec<f32>,
}

impl Value {
    /// Zeros.
    pub fn zeros(shape: Shape) -> Self {
        Self {
            shape,
            data: vec![0.0; shape.numbers()],
        }
    }

    /// Channels.
    pub(crate) fn channels(&self) -> usize {
        self.shape.channels
    }

    /// Pixels, tokens, or the one place of a vector.
    pub(crate) fn places(&self) -> usize {
        self.shape.places.count()
    }

    /// Columns and rows of a map, which the types were checked to be.
    pub(crate) fn map_size(&self) -> Size {
        match self.shape.places {
            Places::Map(size) => size,
            Places::Tokens(_) | Places::Vector => unreachable!("the types were checked"),
        }
    }

    #[cfg(not(feature = "simd"))]
    /// How far apart neighbouring channels lie, and neighbouring places.
    pub(crate) fn steps(&self) -> (usize, usize) {
        match self.shape.places {
            Places::Map(size) => (size.pixels(), 1),
            Places::Tokens(_) | Places::Vector => (1, self.shape.channels),
        }
    }

    /// Copies a channel of a value with the same places.
    pub(crate) fn put_channel(&mut self, channel: usize, other: &Self, from: usize) {
        let places = self.places();
        if let Places::Map(_) = self.shape.places {
            let own = &mut self.data[channel * places..][..places];
            own.copy_from_slice(&other.data[from * places..][..places]);
            return;
        }
        let (n, all) = (self.channels(), other.channels());
        for p in 0..places {
            self.data[p * n + channel] = other.data[p * all + from];
        }
    }
}
