use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, channels, map, params::params};
use crate::exec::shade::{self, By, Shade, Shader, operand};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Layout, OnBurn};

/// The channels of all that it reads, one value's after the other's.
///
/// Reads values that differ in their channels at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat {}

params!(Concat {});

impl Operation for Concat {
    fn reads(&self) -> RangeInclusive<usize> {
        2..=limits::READS
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let first = inputs[0];
        if let Some(other) = inputs.iter().find(|v| !v.lies_as(&first)) {
            return Err(Fault::Inputs(format!("{other} has other places than {first}")));
        }
        let all = inputs.iter().map(|v| v.channels as u64).sum();
        Ok(first.with_channels(channels(all)?))
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for Concat {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let vector = ValueType::vector;
        vec![
            (Self {}, vec![map(2), map(3)]),
            (Self {}, vec![map(1), map(4), map(2)]),
            (Self {}, vec![vector(2), vector(1)]),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |mut c, p| {
            for x in inputs {
                match c.checked_sub(x.shape().channels) {
                    None => return x.at(c, p),
                    Some(rest) => c = rest,
                }
            }
            0.0
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Concat {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::Tensor;

        let places = given.inputs[0].places;
        let planes = given.inputs.iter().all(|x| x.layout == Layout::Planes);
        if planes {
            return Batch::map(Tensor::cat(
                given.inputs.into_iter().map(Batch::into_planes).collect(),
                1,
            ));
        }
        let rows = given.inputs.into_iter().map(Batch::into_rows).collect();
        Batch::rows(Tensor::cat(rows, 3), places)
    }
}

impl Compute for Concat {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let channels = inputs
            .iter()
            .flat_map(|x| (0..x.channels()).map(move |from| (x, from)));
        for (c, (x, from)) in channels.enumerate() {
            out.put_channel(c, x, from);
        }
    }
}

impl Shade for Concat {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        // Parts of whole fours are copied as such.
        let whole = inputs[..inputs.len() - 1]
            .iter()
            .all(|v| v.channels.is_multiple_of(4));
        let (by, letter, head, width) = if whole {
            (
                By::Four,
                "g",
                "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32>",
                4,
            )
        } else {
            (By::One, "c", "fn $value1(c: u32, x: u32, y: u32) -> f32", 1)
        };
        let mut first = 0;
        let part = |(i, value): (usize, &ValueType)| {
            let begin = first;
            first += value.channels / width;
            let read = format!("return ${}{width}({letter} - {begin}u, x, y);", operand(i));
            // The last has no end: there is nothing beyond it.
            if i + 1 < inputs.len() {
                format!("if ({letter} < {first}u) {{ {read} }}\n")
            } else {
                read
            }
        };
        let parts: String = inputs.iter().enumerate().map(part).collect();
        let text = format!("{head} {{\n{parts}\n}}\n");
        shade::moved(by, text)
    }
}
