use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Extent, Operation, Reference, count, map, map_at, parameter, params::params, real};
use crate::exec::lanes::{self, vectorised};
use crate::exec::shade::{Code, Shade, Shader, Stage, Work};
use crate::exec::{Compute, Value, for_each};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Group normalisation (Wu and He 2018): over all pixels of equal parts of the channels, `(x - mean) / sqrt(variance + epsilon)`,
/// then `weight_c` times that, plus `bias_c`.
///
/// Reads a map and keeps its type. Its statistics are those of the whole image, so that tiles are not exact.
#[derive(Debug, Clone, PartialEq)]
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

params!(GroupNorm {
    groups,
    epsilon,
    weight,
    bias
});

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
        let groups = groups.zip(out.data.chunks_exact_mut(n * places)).enumerate();
        for_each(groups.collect(), |(g, (x, made))| {
            vectorised(|| {
                let (mean, scale) = lanes::mean_and_scale(x, self.epsilon);
                let planes = made.chunks_exact_mut(places).zip(x.chunks_exact(places));
                for (c, (made, x)) in (g * n..).zip(planes) {
                    let (weight, bias) = (parameters[0][c] * scale, parameters[1][c]);
                    let pairs = made.iter_mut().zip(x);
                    pairs.for_each(|(y, x)| *y = weight * (x - mean) + bias);
                }
            });
        });
    }
}

impl Shade for GroupNorm {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        let (channels, epsilon) = (inputs[0].channels, self.epsilon as f32);
        let (groups, each) = (channels.div_ceil(4), channels / self.groups);
        let stage = |text: String, work| Stage {
            code: Code::new(text),
            work,
        };
        let parts = 512 * groups;
        Shader::Stages {
            stages: vec![
                // Mean and squares of what lies 16 columns and rows apart (Welford 1962).
                stage(
                    "fn $main(id: vec3<u32>) {
    var mean = vec4<f32>();
    var squares = vec4<f32>();
    var n = 0.0;
    for (var y = id.x / 16u; y < $a_size().y; y += 16u) {
        for (var x = id.x % 16u; x < $a_size().x; x += 16u) {
            n += 1.0;
            let v = $a4(id.y, x, y);
            let away = v - mean;
            mean += away / n;
            squares += away * (v - mean);
        }
    }
    scratch[(id.y * 256u + id.x) * 2u] = mean;
    scratch[(id.y * 256u + id.x) * 2u + 1u] = squares;
}
"
                    .into(),
                    Work::Count(256, groups),
                ),
                // Those of the parts together (Chan et al. 1979).
                stage(
                    format!(
                        "fn $main(id: vec3<u32>) {{
    var mean = 0.0;
    var squares = 0.0;
    var n = 0.0;
    for (var c = id.x * {each}u; c < (id.x + 1u) * {each}u; c++) {{
        for (var i = 0u; i < 256u; i++) {{
            let more = f32((($a_size().x + 15u - i % 16u) / 16u) * (($a_size().y + 15u - i / 16u) / 16u));
            let at = (c / 4u * 256u + i) * 2u;
            let away = scratch[at][c % 4u] - mean;
            if (more > 0.0) {{
                n += more;
                mean += away * (more / n);
                squares += scratch[at + 1u][c % 4u] + away * away * (n - more) * (more / n);
            }}
        }}
    }}
    scratch[{parts}u + id.x] = vec4<f32>(mean, 1.0 / sqrt(squares / n + {epsilon:?}f), 0.0, 0.0);
}}
"
                    ),
                    Work::Count(self.groups, 1),
                ),
                stage(
                    format!(
                        "fn $main(id: vec3<u32>) {{
    var v = $a4(id.z, id.x, id.y);
    for (var i = 0u; i < 4u; i++) {{
        let known = scratch[{parts}u + min((id.z * 4u + i) / {each}u, {last}u)];
        v[i] = (v[i] - known.x) * known.y;
    }}
    put(id.z, id.x, id.y, $t0(id.z) * v + $t1(id.z));
}}
",
                        last = self.groups - 1
                    ),
                    Work::each(channels),
                ),
            ],
            scratch: parts + self.groups,
        }
    }
}
