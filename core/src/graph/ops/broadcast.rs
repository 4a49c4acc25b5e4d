//! What addition, subtraction and multiplication have in common: two values, of which the second may be broadcast.
//!
//! The second is of the first's type, or has one channel in its place, or is a vector of as many channels or of one.

use alloc::{format, vec, vec::Vec};

use super::{Fault, Shape, Tensor, ValueType, map};
use crate::graph::types::Kind;

/// The type of the result: that of the first.
pub(super) fn check(inputs: &[ValueType]) -> Result<ValueType, Fault> {
    let [a, b] = [inputs[0], inputs[1]];
    let lies = b.lies_as(&a) || b.kind == Kind::Vector;
    if lies && (b.channels == a.channels || b.channels == 1) {
        return Ok(a);
    }
    Err(Fault::Inputs(format!(
        "{b} does not go with {a}: give it the same places, or a vector, and the same channels, or one"
    )))
}

/// The result of `f` on every pair.
pub(super) fn zip(inputs: &[&Tensor], output: Shape, f: impl Fn(f64, f64) -> f64) -> Tensor {
    let [a, b] = [inputs[0], inputs[1]];
    Tensor::build(output, |c, p| f(a.at(c, p), b.broadcast(c, p)))
}

/// Types that go together in every way there is.
pub(super) fn cases() -> Vec<Vec<ValueType>> {
    let vector = ValueType::vector;
    vec![
        vec![map(3), map(3)],
        vec![map(3), map(1)],
        vec![map(3), vector(3)],
        vec![map(3), vector(1)],
        vec![vector(3), vector(3)],
        vec![vector(3), vector(1)],
    ]
}
