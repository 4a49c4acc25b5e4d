use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{
    Extent, Operation, Reference, channels, count, map, map_at, params::params, weight_and_bias, within,
};
use crate::exec::shade::{self, By, Code, Reads, Shade, Shader};
use crate::exec::{After, Compute, FAST_KERNELS, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Kernels, OnBurn};

/// A convolution of stride 1 (in truth a correlation, as everywhere): `y_o(p) = b_o + sum over i, k of w_oi(k) x_i(p + k)`, with
/// zeros beyond the edge.
///
/// Reads a map; makes one of `outputs` channels, with `2 padding - kernel + 1` rows and columns more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Name of the weight, `[outputs, inputs / groups, kernel, kernel]`.
    pub weight: String,
    /// Name of the bias, `[outputs]`, where it has one.
    pub bias: Option<String>,
    /// Channels of the result.
    pub outputs: usize,
    /// Side of the kernel, odd.
    pub kernel: usize,
    /// Equal parts of the channels that do not see each other; as many as there are channels make it depthwise. 1 where it is not
    /// given.
    pub groups: usize,
    /// Zeros around the map; where it is not given, as many as keep the size.
    pub padding: Option<usize>,
}

params!(Conv { weight, bias, outputs, kernel, groups = 1, padding });

impl Conv {
    /// One with the parameters `{module}.weight` and `{module}.bias` that keeps the size.
    pub fn new(module: &str, outputs: usize, kernel: usize) -> Self {
        Self {
            weight: format!("{module}.weight"),
            bias: Some(format!("{module}.bias")),
            outputs,
            kernel,
            groups: 1,
            padding: None,
        }
    }

    /// The same with so many zeros around the map.
    #[must_use]
    pub fn padded(self, padding: usize) -> Self {
        let padding = (padding != self.kernel / 2).then_some(padding);
        Self { padding, ..self }
    }

    /// Zeros around the map.
    pub fn padding(&self) -> usize {
        self.padding.unwrap_or(self.kernel / 2)
    }
}

impl Operation for Conv {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let x = map_at(inputs, 0)?;
        within("the kernel", self.kernel, 1..=limits::KERNEL)?;
        within("the padding", self.padding(), 0..=limits::KERNEL)?;
        within("the groups", self.groups, 1..=limits::CHANNELS)?;
        if self.kernel.is_multiple_of(2) {
            return Err(Fault::Params(format!(
                "a kernel of {} has no middle: take an odd one",
                self.kernel
            )));
        }
        let outputs = channels(self.outputs as u64)?;
        if !x.channels.is_multiple_of(self.groups) || !outputs.is_multiple_of(self.groups) {
            return Err(Fault::Inputs(format!(
                "{} groups do not divide {} channels into {outputs}",
                self.groups, x.channels
            )));
        }
        let margin = x.margin + self.padding() as i64 - (self.kernel / 2) as i64;
        super::margin(ValueType {
            margin,
            ..x.with_channels(outputs)
        })
    }

    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Local(self.kernel / 2)
    }

    fn multiply_adds(&self, inputs: &[Shape], output: &Shape) -> u64 {
        let taps = inputs[0].channels / self.groups * self.kernel * self.kernel;
        count(output).saturating_mul(taps as u64)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        let inputs = inputs[0].channels / self.groups;
        let shape = [self.outputs, inputs, self.kernel, self.kernel];
        weight_and_bias(&self.weight, self.bias.as_ref(), &shape)
    }
}

impl Reference for Conv {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |inputs, outputs, kernel| (Self::new("conv", outputs, kernel), vec![map(inputs)]);
        let grouped = |groups, inputs, outputs| {
            let (conv, types) = case(inputs, outputs, 3);
            (Self { groups, ..conv }, types)
        };
        let (plain, types) = case(3, 5, 3);
        let bias = None;
        vec![
            case(3, 8, 3),
            case(1, 1, 1),
            case(1, 1, 3),
            case(5, 7, 1),
            case(2, 3, 5),
            case(2, 2, 17),
            grouped(2, 6, 4),
            grouped(5, 5, 5),
            grouped(3, 3, 6),
            (
                Self {
                    bias,
                    ..plain.clone()
                },
                types.clone(),
            ),
            (plain.clone().padded(0), types.clone()),
            (plain.padded(2), types),
        ]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let (x, k) = (inputs[0], self.kernel);
        let inputs = x.shape().channels / self.groups;
        let outputs = self.outputs / self.groups;
        let size = x.map_size();
        Tensor::build_map(output, |o, px, py| {
            let mut sum = parameters.get(1).map_or(0.0, |bias| bias[o]);
            for (i, tap) in (0..inputs).flat_map(|i| (0..k * k).map(move |tap| (i, tap))) {
                let at = |p: usize, tap: usize| (p + tap).checked_sub(self.padding());
                let (Some(sx), Some(sy)) = (at(px, tap % k), at(py, tap / k)) else {
                    continue;
                };
                if sx < size.width && sy < size.height {
                    let weight = parameters[0][(o * inputs + i) * k * k + tap];
                    sum += weight * x.pixel(o / outputs * inputs + i, sx, sy);
                }
            }
            sum
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Conv {
    fn on_burn(&self, given: Given) -> Batch {
        self.on_burn_with_slope(given, 1.0)
    }

    fn on_burn_with_slope(&self, given: Given, slope: f64) -> Batch {
        use crate::nn::cpu::Convolution;

        let kernels = given.kernels;
        let ([x], learned) = given.take();
        let inputs = x.channels() / self.groups;
        let mut learned = learned.into_iter();
        let (Some(weight), bias) = (learned.next(), learned.next()) else {
            unreachable!("a convolution has a weight")
        };
        let convolution = Convolution {
            weight: weight.reshape([self.outputs, inputs, self.kernel, self.kernel]),
            bias,
            padding: self.padding(),
            groups: self.groups,
            slope,
        };
        let x = x.into_planes();
        Batch::map(match kernels {
            Kernels::Fastest => convolution.of(x),
            Kernels::Burns => convolution.by_burn(x),
        })
    }
}

impl Conv {
    /// By the vectorised kernel, where it serves this one; of the channels of all values, one's after the other's.
    #[cfg(feature = "simd")]
    pub(crate) fn vectorised(
        &self,
        x: &[&Value],
        parameters: &[&[f32]],
        out: &mut Value,
        after: After<'_>,
    ) -> bool {
        use crate::exec::simd::convolution::Convolution;

        if !self.is_vectorised() {
            return false;
        }
        let size = out.map_size();
        let convolution = Convolution {
            inputs: x.iter().map(|x| x.channels()).sum(),
            outputs: self.outputs,
            kernel: self.kernel,
            height: size.height,
            width: size.width,
        };
        let none = vec![0.0; self.outputs];
        let bias = parameters.get(1).copied().unwrap_or(&none);
        let parts: Vec<&[f32]> = x.iter().map(|x| x.data.as_slice()).collect();
        convolution.of_parts(&parts, parameters[0], bias, &mut out.data, after);
        true
    }

    #[cfg(not(feature = "simd"))]
    #[expect(clippy::unused_self, reason = "as where there is one")]
    pub(crate) fn vectorised(&self, _: &[&Value], _: &[&[f32]], _: &mut Value, _: After<'_>) -> bool {
        false
    }

    /// Whether the vectorised kernel serves it.
    pub(crate) fn is_vectorised(&self) -> bool {
        cfg!(feature = "simd") && self.is_plain()
    }
}

impl Compute for Conv {
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let x = inputs[0];
        if self.vectorised(inputs, parameters, out, After::slope(1.0)) {
            return;
        }
        let (k, padding) = (self.kernel, self.padding());
        let (from, to) = (x.map_size(), out.map_size());
        let (each_in, each_out) = (x.channels() / self.groups, self.outputs / self.groups);
        for (o, made) in out.data.chunks_exact_mut(to.pixels()).enumerate() {
            made.fill(parameters.get(1).map_or(0.0, |bias| bias[o]));
            for (i, tap) in (0..each_in).flat_map(|i| (0..k * k).map(move |tap| (i, tap))) {
                let weight = parameters[0][(o * each_in + i) * k * k + tap];
                let channel = o / each_out * each_in + i;
                // A column of the result sees the input's that lies `kx - padding` right of it.
                let (kx, ky) = (tap % k, tap / k);
                let columns =
                    padding.saturating_sub(kx)..to.width.min((from.width + padding).saturating_sub(kx));
                if columns.is_empty() {
                    continue;
                }
                for (y, row) in made.chunks_exact_mut(to.width).enumerate() {
                    let Some(sy) = (y + ky).checked_sub(padding).filter(|sy| *sy < from.height) else {
                        continue;
                    };
                    let at = (channel * from.height + sy) * from.width + columns.start + kx - padding;
                    let line = &x.data[at..at + columns.len()];
                    let sums = row[columns.clone()].iter_mut();
                    sums.zip(line).for_each(|(sum, x)| *sum += weight * x);
                }
            }
        }
    }
}

impl Conv {
    /// Whether executors' fastest kernels compute it.
    fn is_plain(&self) -> bool {
        self.groups == 1 && FAST_KERNELS.contains(&self.kernel) && self.padding() == self.kernel / 2
    }

    /// Whether every channel sees itself only and makes one.
    fn is_depthwise(&self, inputs: usize) -> bool {
        self.groups == inputs && self.groups == self.outputs && inputs > 1
    }
}

impl Shade for Conv {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        let (k, padding) = (self.kernel, self.padding());
        if self.is_plain() {
            return Shader::Dense { kernel: k };
        }
        let (channels, groups) = (inputs[0].channels, self.groups);
        let depthwise = self.is_depthwise(channels);
        let (by, bias, inner) = if depthwise {
            let inner = format!("sum += $t0(g * {}u + tap) * $a4(g, at.x, at.y);", k * k);
            (By::Four, "$t1(g)", inner)
        } else if groups == 1 {
            let inputs = channels.div_ceil(4);
            let inner = format!(
                "for (var i = 0u; i < {inputs}u; i++) {{
                let w = ((g * {inputs}u + i) * {}u + tap) * 4u;
                sum += mat4x4<f32>($t0(w), $t0(w + 1u), $t0(w + 2u), $t0(w + 3u)) * $a4(i, at.x, at.y);
            }}",
                k * k
            );
            (By::Four, "$t1(g)", inner)
        } else {
            let (each, own) = (channels / groups, self.outputs / groups);
            let inner = format!(
                "for (var i = 0u; i < {each}u; i++) {{
                sum += $t0_at((c * {each}u + i) * {}u + tap) * $a1(c / {own}u * {each}u + i, at.x, at.y);
            }}",
                k * k
            );
            (By::One, "$t1_at(c)", inner)
        };
        let (head, kind) = match by {
            By::Four => ("$value4(g: u32", "vec4<f32>"),
            By::One => ("$value1(c: u32", "f32"),
        };
        let bias = self
            .bias
            .as_ref()
            .map_or_else(|| format!("{kind}()"), |_| bias.into());
        let text = format!(
            "fn {head}, x: u32, y: u32) -> {kind} {{
    let n = $a_size().xy;
    var sum = {bias};
    var tap = 0u;
    for (var ky = 0u; ky < {k}u; ky++) {{
        for (var kx = 0u; kx < {k}u; kx++) {{
            // Before the map's first pixel it is a large number.
            let at = vec2<u32>(x + kx, y + ky) - {padding}u;
            if (all(at < n)) {{ {inner} }}
            tap++;
        }}
    }}
    return sum;
}}
"
        );
        Shader::Values {
            code: Code::new(text),
            by,
            reads: Reads::Often,
        }
    }

    fn tensors(&self, inputs: &[ValueType], parameters: &[&[f32]]) -> Vec<Vec<f32>> {
        let (channels, taps) = (inputs[0].channels, self.kernel * self.kernel);
        let mut all: Vec<Vec<f32>> = parameters.iter().map(|p| p.to_vec()).collect();
        if self.is_depthwise(channels) && !self.is_plain() {
            // Four channels together: each block's diagonal, for one input beside four outputs.
            let mut packed = vec![0.0; channels.next_multiple_of(4) * taps];
            for (at, weight) in parameters[0].iter().enumerate() {
                let (c, tap) = (at / taps, at % taps);
                packed[(c / 4 * taps + tap) * 4 + c % 4] = *weight;
            }
            all[0] = packed;
        } else if self.groups == 1 && !self.is_plain() {
            all[0] = shade::blocks(parameters[0], (self.outputs, channels), taps);
        }
        all
    }
}
