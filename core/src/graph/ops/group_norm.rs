use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Extent, Operation, Reference, count, map, map_at, parameter, real};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Group normalisation (Wu and He 2018): over all pixels of equal parts of the channels, `(x - mean) / sqrt(variance + epsilon)`,
/// then `weight_c` times that, plus `bias_c`.
///
/// Reads a map and keeps its type. Its statistics are those of the whole image, so that tiles are not exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNorm {
    /// Parts of the channels.
    pub groups: usize,
    /// What keeps the root from zero, 1e-12 to 1.
    pub epsilon: f64,
    /// Name of the weight, `[channels]`.
    pub weight: String,
    /// Name of the bias, `[channels]`.
    pub bias: String,
}

impl Operation for GroupNorm {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let x = map_at(inputs, 0)?;
        real("epsilon", self.epsilon, 1e-12..=1.0)?;
        if self.groups == 0 || !x.channels.is_multiple_of(self.groups) {
            return Err(Fault::Params(format!(
                "{} groups do not divide {} channels",
                self.groups, x.channels
            )));
        }
        Ok(x)
    }

    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Global
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output).saturating_mul(4)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        let channels = [inputs[0].channels];
        [&self.weight, &self.bias]
            .map(|name| parameter(name, &channels))
            .into()
    }
}

impl Reference for GroupNorm {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |groups, channels| {
            let (weight, bias) = ("norm.weight".into(), "norm.bias".into());
            let epsilon = 1e-5;
            (
                Self {
                    groups,
                    epsilon,
                    weight,
                    bias,
                },
                vec![map(channels)],
            )
        };
        vec![case(1, 3), case(2, 4), case(3, 3)]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let (x, places) = (inputs[0], output.places.count());
        let n = output.channels / self.groups;
        let statistics: Vec<(f64, f64)> = (0..self.groups)
            .map(|g| {
                let all = (g * n..(g + 1) * n).flat_map(|c| (0..places).map(move |p| x.at(c, p)));
                super::mean_and_root(all, self.epsilon)
            })
            .collect();
        Tensor::build(output, |c, p| {
            let (mean, root) = statistics[c / n];
            parameters[0][c] * (x.at(c, p) - mean) / root + parameters[1][c]
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for GroupNorm {
    fn on_burn(&self, given: Given) -> Batch {
        let ([x], learned) = given.take();
        let x = x.into_planes();
        let [n, c, h, w] = x.dims();
        let x = x.reshape([n, self.groups, 1, c / self.groups * h * w]);
        let centred = x.clone() - x.mean_dim(3);
        let variance = centred.clone().square().mean_dim(3);
        let normal = centred / (variance + self.epsilon).sqrt();
        let y = Batch::map(normal.reshape([n, c, h, w]));
        let [weight, bias] = [0, 1].map(|i| y.per_channel(learned[i].clone()));
        y.each(|y| y * weight + bias)
    }
}

impl Compute for GroupNorm {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let (places, n) = (out.places(), out.channels() / self.groups);
        let groups = inputs[0].data.chunks_exact(n * places);
        for (g, (x, made)) in groups.zip(out.data.chunks_exact_mut(n * places)).enumerate() {
            let (mean, scale) = super::mean_and_scale(x.iter().copied(), self.epsilon);
            for (i, (y, x)) in made.iter_mut().zip(x).enumerate() {
                let c = g * n + i / places;
                *y = parameters[0][c] * (x - mean) * scale + parameters[1][c];
            }
        }
    }
}
