use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Operation, Reference, broadcast, count};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};

/// `a - b`; `b` may be broadcast: of one channel, a vector, or both.
///
/// Reads `a` and `b`; the result has the type of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sub {}

impl Operation for Sub {
    fn reads(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        broadcast::check(inputs)
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Reference for Sub {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        broadcast::cases()
            .into_iter()
            .map(|types| (Self {}, types))
            .collect()
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        broadcast::zip(inputs, output, |a, b| a - b)
    }
}

impl Compute for Sub {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        out.data.copy_from_slice(&inputs[0].data);
        out.zip(inputs[1], |a, b| a - b);
    }

    fn in_place(&self, own: &mut Value, operand: usize, others: &[&Value], _: &[&[f32]]) -> bool {
        // Of the type of the result is the second one only where both are.
        if operand == 0 {
            own.zip(others[0], |a, b| a - b);
        } else {
            own.zip(others[0], |a, b| b - a);
        }
        true
    }
}
