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

/// Makes an operation of a function of two numbers, generic over their type, of which the second may be broadcast.
macro_rules! binary {
    ($Op:ident, $f:expr) => {
        impl $crate::graph::Operation for $Op {
            fn reads(&self) -> ::core::ops::RangeInclusive<usize> {
                2..=2
            }

            fn check(
                &self,
                inputs: &[$crate::graph::ValueType],
            ) -> Result<$crate::graph::ValueType, $crate::graph::Fault> {
                $crate::graph::ops::broadcast::check(inputs)
            }

            fn multiply_adds(&self, _: &[$crate::graph::Shape], output: &$crate::graph::Shape) -> u64 {
                $crate::graph::ops::count(output)
            }

            fn is_pointwise(&self) -> bool {
                true
            }
        }

        impl $crate::graph::ops::Reference for $Op {
            fn cases() -> ::alloc::vec::Vec<(Self, ::alloc::vec::Vec<$crate::graph::ValueType>)> {
                let cases = $crate::graph::ops::broadcast::cases().into_iter();
                cases.map(|types| (Self {}, types)).collect()
            }

            fn run(
                &self,
                inputs: &[&$crate::graph::Tensor],
                _: &[::alloc::vec::Vec<f64>],
                output: $crate::graph::Shape,
            ) -> $crate::graph::Tensor {
                $crate::graph::ops::broadcast::zip(inputs, output, $f)
            }
        }

        #[cfg(feature = "burn")]
        impl $crate::nn::graph::OnBurn for $Op {
            fn on_burn(&self, given: $crate::nn::graph::Given) -> $crate::nn::graph::Batch {
                let ([a, b], _) = given.take();
                let (a, b) = a.with(b);
                a.each(|a| $f(a, b))
            }
        }

        impl $crate::exec::InPlace for $Op {
            fn on_run(
                &self,
                own: &mut [f32],
                operand: usize,
                others: &[$crate::exec::Run<'_>],
                _: &[$crate::exec::Run<'_>],
            ) {
                // Where the result is made in the second operand's place, both are of its type.
                if operand == 0 {
                    $crate::exec::zip(own, others[0], |a, b| $f(a, b));
                } else {
                    $crate::exec::zip(own, others[0], |b, a| $f(a, b));
                }
            }
        }
    };
}
pub(super) use binary;
