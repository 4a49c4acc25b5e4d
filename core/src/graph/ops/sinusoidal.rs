use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Operation, Reference, channels, count, real};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// The features of a number such as a time (Vaswani et al. 2017): `cos(f_i t)` for `n / 2` frequencies `f_i = highest * period^(-2 i /
/// n)`, then `sin(f_i t)`, `n` in all.
///
/// Reads a vector of one channel and makes one of `features`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sinusoidal {
    /// `n`, even.
    pub features: usize,
    /// The first frequency, in radians.
    pub highest: f64,
    /// How many times lower the frequency after the last would be.
    pub period: f64,
}

impl Sinusoidal {
    /// The features of times in `[0, 1]`, as diffusion transformers take them.
    pub const fn of_time(features: usize) -> Self {
        Self {
            features,
            highest: 1000.0,
            period: 1e4,
        }
    }

    /// The frequencies in radians.
    pub fn frequencies(&self) -> Vec<f64> {
        let n = self.features / 2;
        (0..n)
            .map(|i| self.highest * libm::pow(self.period, -(i as f64) / n as f64))
            .collect()
    }
}

impl Operation for Sinusoidal {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        real("the highest frequency", self.highest, 1e-6..=1e6)?;
        real("the period", self.period, 1.0..=1e12)?;
        if inputs[0] != ValueType::vector(1) {
            return Err(Fault::Inputs(format!(
                "a vector of 1 channel is needed, not {}",
                inputs[0]
            )));
        }
        if !self.features.is_multiple_of(2) {
            return Err(Fault::Params(format!(
                "{} features are not an even number",
                self.features
            )));
        }
        Ok(ValueType::vector(channels(self.features as u64)?))
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }
}

impl Reference for Sinusoidal {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let time = ValueType::vector(1);
        vec![
            (Self::of_time(8), vec![time]),
            (
                Self {
                    features: 2,
                    highest: 3.0,
                    period: 10.0,
                },
                vec![time],
            ),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let (t, frequencies) = (inputs[0].at(0, 0), self.frequencies());
        let n = frequencies.len();
        Tensor::build(output, |c, _| match c.checked_sub(n) {
            None => libm::cos(frequencies[c] * t),
            Some(c) => libm::sin(frequencies[c] * t),
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Sinusoidal {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::{Tensor, TensorData};

        let t = given.one().into_vector();
        let frequencies: Vec<f32> = self.frequencies().into_iter().map(|f| f as f32).collect();
        let data = TensorData::new(frequencies, [1, self.features / 2]);
        let frequencies: Tensor<2> = Tensor::from_data(data, (&t.device(), t.dtype()));
        let angles = t * frequencies;
        Batch::vector(Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1))
    }
}

impl Compute for Sinusoidal {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (t, n) = (f64::from(inputs[0].data[0]), self.features / 2);
        for (i, frequency) in self.frequencies().into_iter().enumerate() {
            out.data[i] = libm::cos(frequency * t) as f32;
            out.data[n + i] = libm::sin(frequency * t) as f32;
        }
    }
}
