use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, channels, map, params::params, within};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Layout, OnBurn};

/// Every channel `times` times in a row. Before a pixel shuffle this makes the nearest enlargement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// How often, once at least.
    pub times: usize,
}

params!(Repeat { times });

impl Operation for Repeat {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        within("the times", self.times, 1..=limits::CHANNELS)?;
        let all = inputs[0].channels as u64 * self.times as u64;
        Ok(inputs[0].with_channels(channels(all)?))
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for Repeat {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |times, value| (Self { times }, vec![value]);
        vec![case(4, map(3)), case(1, map(2)), case(3, ValueType::vector(2))]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| inputs[0].at(c / self.times, p))
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Repeat {
    fn on_burn(&self, given: Given) -> Batch {
        let x = given.one();
        let ([n, a, b, c], times) = (x.tensor.dims(), self.times);
        match x.layout {
            Layout::Planes => x.each(|x| {
                let again = x.reshape([n, a, 1, b * c]).repeat_dim(2, times);
                again.reshape([n, a * times, b, c])
            }),
            Layout::Rows => x.each(|x| {
                let again = x.reshape([n, a * b, c, 1]).repeat_dim(3, times);
                again.reshape([n, a, b, c * times])
            }),
        }
    }
}

impl Compute for Repeat {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        for c in 0..out.channels() {
            out.put_channel(c, inputs[0], c / self.times);
        }
    }
}

impl Shade for Repeat {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let times = self.times;
        shade::moved(
            By::One,
            format!("fn $value1(c: u32, x: u32, y: u32) -> f32 {{ return $a1(c / {times}u, x, y); }}\n"),
        )
    }
}
