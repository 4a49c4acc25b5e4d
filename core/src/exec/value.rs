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

    /// Calls `f(channel, numbers)` for runs of numbers of one channel each.
    pub(crate) fn each_channel(&mut self, mut f: impl FnMut(usize, &mut [f32])) {
        let n = self.channels();
        match self.shape.places {
            Places::Map(size) => {
                let planes = self.data.chunks_exact_mut(size.pixels()).enumerate();
                planes.for_each(|(c, plane)| f(c, plane));
            }
            Places::Tokens(_) | Places::Vector => {
                for place in self.data.chunks_exact_mut(n) {
                    for (c, number) in place.iter_mut().enumerate() {
                        f(c, core::slice::from_mut(number));
                    }
                }
            }
        }
    }

    /// Sets every number to `f(itself, the other's)`, where the other may have one channel, or be a vector.
    pub(crate) fn zip(&mut self, other: &Self, f: impl Fn(f32, f32) -> f32) {
        if self.shape == other.shape {
            let pairs = self.data.iter_mut().zip(&other.data);
            pairs.for_each(|(a, b)| *a = f(*a, *b));
            return;
        }
        let (by_channel, by_place) = self.steps();
        let (step, place) = other.steps();
        let step = if other.channels() == 1 { 0 } else { step };
        let place = if other.shape.places == Places::Vector {
            0
        } else {
            place
        };
        let places = self.places();
        for c in 0..self.channels() {
            for p in 0..places {
                let own = &mut self.data[c * by_channel + p * by_place];
                *own = f(*own, other.data[c * step + p * place]);
            }
        }
    }
}
