//! Graphs on the processor, in `f32`, and what others need to run them.
//!
//! | file | what |
//! |---|---|
//! | `device` | models of format 1 as executors: restorers and flows |
//! | `network` | a checked graph with its weights: planned for a size, run in slots of memory |
//! | `value` | a value with its numbers |
//! | [`shade`] | how a graphics processor computes an operation, as data for the crate that has one |
//! | `simd` | vectorised kernels (feature `simd`); without it convolutions are plain loops |
//!
//! How an operation is computed stands in its own file, beside its definition ([`Compute`], [`Shade`]).

mod device;
mod network;
pub mod shade;
#[cfg(feature = "simd")]
pub(crate) mod simd;
mod value;

pub use device::{CpuExecutor, CpuFlow};
pub use network::CpuNetwork;
pub use shade::Shade;
pub use value::Value;

/// How the processor computes an operation.
pub trait Compute {
    /// Its result, of `out`'s shape, for checked inputs and the tensors that
    /// [`Operation::parameters`](crate::graph::Operation::parameters) names. What `out` has before is of no meaning.
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value);

    /// A [pointwise](crate::graph::Operation::is_pointwise) operation in place: its operand `operand` is `own`, the others, in order,
    /// are `others`. Whether it did: what it does not, [`compute`](Self::compute) does.
    fn in_place(
        &self,
        _own: &mut Value,
        _operand: usize,
        _others: &[&Value],
        _parameters: &[&[f32]],
    ) -> bool {
        false
    }
}
