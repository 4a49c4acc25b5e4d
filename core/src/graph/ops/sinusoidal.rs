use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, channels, count, params::params, real};
use crate::exec::shade::{By, Code, Reads, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// The features of a number such as a time (Vaswani et al. 2017): `cos(f_i t)` for `n / 2` frequencies `f_i = highest * period^(-2 i /
/// n)`, then `sin(f_i t)`, `n` in all.
///
/// Reads a vector of one channel and makes one of `features`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sinusoidal {
    /// `n`, even.
    pub features: usize,
    /// The first frequency, in radians.
    pub highest: f64,
    /// How many times lower the frequency after the last would be.
    pub period: f64,
}

params!(Sinusoidal {
    features,
    highest,
    period
});

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

    /// Frequency and angle are each rounded by half a unit in the last place, of times up to 1.
    fn rounding(&self) -> f64 {
        self.highest * f64::from(f32::EPSILON)
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

const WAVE: &str = "
// The sine of so many turns, apart from whole ones.
fn wave(turns: f32) -> f32 {
    var u = turns - round(turns);
    // Sines of both halves of half a turn are the same.
    u = select(u, sign(u) * 0.5 - u, abs(u) > 0.25);
    let x = 6.283185307179586 * u;
    let s = x * x;
    return x * (1.0 + s * (-1.0 / 6.0 + s * (1.0 / 120.0 + s * (-1.0 / 5040.0 + s * (1.0 / 362880.0 - s / 39916800.0)))));
}
";

impl Shade for Sinusoidal {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let n = self.features / 2;
        // Device sines are only near for small angles: turns are counted in two numbers, and whole ones are left out.
        let text = format!(
            "fn $value1(c: u32, x: u32, y: u32) -> f32 {{
    let t = $a1(0u, 0u, 0u);
    let i = c % {n}u;
    let high = t * $t0_at(i);
    let low = fma(t, $t0_at(i), -high) + t * $t1_at(i);
    return wave(fract(high) + low + select(0.25, 0.0, c >= {n}u));
}}
"
        );
        Shader::Values {
            code: Code::new(text).with(&[WAVE]),
            by: By::One,
            reads: Reads::Often,
        }
    }

    fn tensors(&self, _inputs: &[ValueType], _parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        let turns = self.frequencies().into_iter().map(|f| f / core::f64::consts::TAU);
        let turns: Vec<f64> = turns.collect();
        let high = |f: &f64| *f as f32;
        let low = |f: &f64| (f - f64::from(*f as f32)) as f32;
        vec![turns.iter().map(high).collect(), turns.iter().map(low).collect()]
    }
}
