//! Graphs on the processor, in `f32`, and what others need to run them.
//!
//! | file | what |
//! |---|---|
//! | `device` | executors of models: restorers, and what draws around them |
//! | `in_place` | pointwise operations, done where another has just written its result |
//! | `lanes` | sums and shares in vectors |
//! | `network` | a checked graph with its weights: planned for a size, run in slots of memory |
//! | `value` | a value with its numbers |
//! | [`shade`] | how a graphics processor computes an operation, as data for the crate that has one |
//! | `simd` | vectorised kernels (feature `simd`); without it convolutions are plain loops |
//!
//! How an operation is computed stands in its own file, beside its definition ([`Compute`], [`Shade`]).

use alloc::vec::Vec;

mod device;
mod in_place;
pub(crate) mod lanes;
mod network;
pub mod shade;
#[cfg(feature = "simd")]
pub(crate) mod simd;
mod value;

pub use device::{CpuExecutor, CpuFlow};
pub use in_place::{InPlace, Run};
pub(crate) use in_place::{map, zip, zip_two};
pub use network::{CpuNetwork, Scratch};
pub use shade::Shade;
pub use value::Value;

/// How the processor computes an operation.
pub trait Compute {
    /// Its result, of `out`'s shape, for checked inputs and the tensors that
    /// [`Operation::parameters`](crate::graph::Operation::parameters) names. What `out` has before is of no meaning.
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value);

    /// The operation on runs of numbers: every [pointwise](crate::graph::Operation::is_pointwise) one has it, and no other.
    fn in_place(&self) -> Option<&dyn InPlace> {
        None
    }
}

/// Sides of kernels that the fastest convolutions serve.
pub(crate) const FAST_KERNELS: [usize; 2] = [1, 3];

/// Is given an output channel, the first pixel, and the values from there on.
pub(crate) type Finish<'a> = dyn Fn(usize, usize, &mut [f32]) + Sync + 'a;

/// What a convolution does to its results before it leaves them, in this order.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(feature = "simd"),
    expect(dead_code, reason = "plain loops leave it to what follows")
)]
pub(crate) struct After<'a> {
    /// Values below zero are multiplied by it.
    pub(crate) slope: f32,
    /// Whether they are added to what is there.
    pub(crate) adds: bool,
    /// Is told what is made while the cache holds it.
    pub(crate) finish: Option<&'a Finish<'a>>,
}

impl After<'_> {
    /// Nothing but the multiplication of values below zero.
    pub(crate) const fn slope(slope: f32) -> Self {
        Self {
            slope,
            adds: false,
            finish: None,
        }
    }
}

/// Does every unit, on all threads where there are several.
pub(crate) fn for_each<T: Send>(units: Vec<T>, work: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "rayon")]
    rayon::iter::ParallelIterator::for_each(rayon::iter::IntoParallelIterator::into_par_iter(units), work);
    #[cfg(not(feature = "rayon"))]
    units.into_iter().for_each(work);
}
