use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, map, params::params, tokens};
use crate::exec::shade::{self, By, Code, Reads, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Channels `first` to `first + channels` of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// The first channel.
    pub first: usize,
    /// How many, one at least.
    pub channels: usize,
}

params!(Slice { first, channels });

impl Operation for Slice {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let all = inputs[0].channels;
        let end = self.first.checked_add(self.channels);
        if self.channels == 0 || end.is_none_or(|end| end > all) {
            return Err(Fault::Params(format!(
                "{} channels from {} on are not among {all}",
                self.channels, self.first
            )));
        }
        Ok(inputs[0].with_channels(self.channels))
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for Slice {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |first, channels, value| (Self { first, channels }, vec![value]);
        vec![
            case(0, 2, map(5)),
            case(3, 2, map(5)),
            case(1, 1, map(3)),
            case(2, 3, ValueType::vector(6)),
            case(1, 2, tokens(4, [4, 4], [0, 0])),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| inputs[0].at(self.first + c, p))
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Slice {
    fn on_burn(&self, given: Given) -> Batch {
        let x = given.one();
        let dim = x.channel_dim();
        x.each(|x| x.narrow(dim, self.first, self.channels))
    }
}

impl Compute for Slice {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        for c in 0..self.channels {
            out.put_channel(c, inputs[0], self.first + c);
        }
    }
}

impl Shade for Slice {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let first = self.first;
        if first.is_multiple_of(4) {
            let first = first / 4;
            let text = format!(
                "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{ return $a4({first}u + g, x, y); }}\n"
            );
            return Shader::Values {
                code: Code::new(text),
                by: By::Four,
                reads: Reads::Through,
            };
        }
        shade::moved(
            By::One,
            format!("fn $value1(c: u32, x: u32, y: u32) -> f32 {{ return $a1({first}u + c, x, y); }}\n"),
        )
    }
}
