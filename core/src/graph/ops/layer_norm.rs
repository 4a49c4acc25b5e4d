#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, count, map, parameter, params::params, real, tokens};
use crate::exec::lanes::{self, vectorised};
use crate::exec::shade::{Code, Shade, Shader, Stage, Work};
use crate::exec::{Compute, Value, for_each};
use crate::graph::{Fault, Places, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Layer normalisation (Ba et al. 2016): at every place, over the channels, `(x - mean) / sqrt(variance + epsilon)`, then
/// `weight_c` times that, plus `bias_c`, where they are given.
///
/// Reads a value of any kind and keeps its type.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNorm {
    /// What keeps the root from zero, 1e-12 to 1.
    pub epsilon: f64,
    /// Name of the weight, `[channels]`.
    pub weight: Option<String>,
    /// Name of the bias, `[channels]`.
    pub bias: Option<String>,
}

params!(LayerNorm {
    epsilon,
    weight,
    bias
});

impl Operation for LayerNorm {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        real("epsilon", self.epsilon, 1e-12..=1.0)?;
        Ok(inputs[0])
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output).saturating_mul(4)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        let names = self.weight.iter().chain(&self.bias);
        names.map(|name| parameter(name, &[inputs[0].channels])).collect()
    }
}

impl Reference for LayerNorm {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |weight: Option<&str>, bias: Option<&str>, value| {
            let (weight, bias) = (weight.map(String::from), bias.map(String::from));
            (
                Self {
                    epsilon: 1e-6,
                    weight,
                    bias,
                },
                vec![value],
            )
        };
        let (weight, bias) = (Some("norm.weight"), Some("norm.bias"));
        vec![
            case(None, None, map(3)),
            case(weight, bias, map(5)),
            case(weight, None, ValueType::vector(4)),
            case(None, bias, tokens(3, [4, 4], [0, 0])),
        ]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let (x, n) = (inputs[0], output.channels);
        let statistics: Vec<(f64, f64)> = (0..output.places.count())
            .map(|p| super::mean_and_root((0..n).map(|c| x.at(c, p)), self.epsilon))
            .collect();
        let bias = parameters.get(usize::from(self.weight.is_some()));
        Tensor::build(output, |c, p| {
            let (mean, root) = statistics[p];
            let weight = self.weight.as_ref().map_or(1.0, |_| parameters[0][c]);
            weight * (x.at(c, p) - mean) / root + bias.map_or(0.0, |b| b[c])
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for LayerNorm {
    fn on_burn(&self, given: Given) -> Batch {
        let ([x], learned) = given.take();
        let (places, x) = (x.places, x.into_rows());
        let centred = x.clone() - x.mean_dim(3);
        let variance = centred.clone().square().mean_dim(3);
        let mut y = Batch::rows(centred / (variance + self.epsilon).sqrt(), places);
        let mut learned = learned.into_iter();
        if self.weight.is_some()
            && let Some(weight) = learned.next()
        {
            let weight = y.per_channel(weight);
            y = y.each(|y| y * weight);
        }
        if let Some(bias) = learned.next() {
            let bias = y.per_channel(bias);
            y = y.each(|y| y + bias);
        }
        y
    }
}

impl Compute for LayerNorm {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let (x, n) = (&inputs[0].data, out.channels());
        let mut learned = parameters.iter();
        let weight = match self.weight.as_ref().and_then(|_| learned.next()) {
            Some(weight) => weight.to_vec(),
            None => vec![1.0; n],
        };
        let bias = learned.next().map_or_else(|| vec![0.0; n], |bias| bias.to_vec());
        if let Places::Map(size) = out.shape.places {
            let places = size.pixels();
            for_each(lanes::parts(&mut out.data, places, PLACES), |(first, made)| {
                let n = made[0].len();
                let x = |c: usize| &x[c * places + first..][..n];
                vectorised(|| self.of_planes(x, &weight, &bias, made));
            });
        } else {
            let rows = out.data.chunks_mut(PLACES * n).zip(x.chunks(PLACES * n));
            for_each(rows.collect(), |(made, x)| {
                vectorised(|| {
                    for (made, x) in made.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
                        let (mean, scale) = lanes::mean_and_scale(x, self.epsilon);
                        let learned = weight.iter().zip(&bias);
                        for ((y, x), (weight, bias)) in made.iter_mut().zip(x).zip(learned) {
                            *y = weight * (x - mean) * scale + bias;
                        }
                    }
                });
            });
        }
    }
}

/// Places that a thread takes at a time.
const PLACES: usize = 256;

impl LayerNorm {
    /// At most [`PLACES`] places, of which `x` gives every channel.
    #[inline(always)]
    fn of_planes<'a>(
        &self,
        x: impl Fn(usize) -> &'a [f32],
        weight: &[f32],
        bias: &[f32],
        made: Vec<&mut [f32]>,
    ) {
        let (n, channels) = (made.len() as f32, 0..made.len());
        let (mut mean, mut scale) = ([0.0; PLACES], [0.0; PLACES]);
        for c in channels.clone() {
            mean.iter_mut().zip(x(c)).for_each(|(sum, x)| *sum += x);
        }
        mean.iter_mut().for_each(|sum| *sum /= n);
        for c in channels {
            for (sum, (x, mean)) in scale.iter_mut().zip(x(c).iter().zip(&mean)) {
                *sum += (x - mean) * (x - mean);
            }
        }
        let epsilon = self.epsilon as f32;
        scale
            .iter_mut()
            .for_each(|sum| *sum = 1.0 / libm::sqrtf(*sum / n + epsilon));
        for (c, made) in made.into_iter().enumerate() {
            let statistics = mean.iter().zip(&scale);
            for ((y, x), (mean, scale)) in made.iter_mut().zip(x(c)).zip(statistics) {
                *y = weight[c] * (x - mean) * scale + bias[c];
            }
        }
    }
}

impl Shade for LayerNorm {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        let (n, epsilon) = (inputs[0].channels, self.epsilon as f32);
        let factor = if self.weight.is_some() { "$t0(g) * " } else { "" };
        let shift = match (&self.weight, &self.bias) {
            (_, None) => "",
            (None, Some(_)) => " + $t0(g)",
            (Some(_), Some(_)) => " + $t1(g)",
        };
        let text = format!(
            "fn $main(id: vec3<u32>) {{
    var sum = vec4<f32>();
    for (var g = 0u; g < {groups}u; g++) {{ sum += $a4(g, id.x, id.y); }}
    let mean = dot(sum, vec4<f32>(1.0)) / {n}.0;
    var squares = vec4<f32>();
    for (var g = 0u; g < {groups}u; g++) {{
        let here = vec4<u32>(4u * g) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>({n}u);
        let away = select(vec4<f32>(), $a4(g, id.x, id.y) - mean, here);
        squares += away * away;
    }}
    let scale = 1.0 / sqrt(dot(squares, vec4<f32>(1.0)) / {n}.0 + {epsilon:?}f);
    for (var g = 0u; g < {groups}u; g++) {{
        put(g, id.x, id.y, {factor}(($a4(g, id.x, id.y) - mean) * scale){shift});
    }}
}}
",
            groups = n.div_ceil(4),
        );
        Shader::Stages {
            stages: vec![Stage {
                code: Code::new(text),
                work: Work::Places(1),
            }],
            scratch: 0,
        }
    }
}
