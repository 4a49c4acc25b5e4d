use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Extent, Operation, Reference, count, map, map_at, params::params, within};
use crate::exec::shade::{self, By, Code, Reads, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::fields::names;
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};
use crate::resample::{Axis, filter_plane};

/// A map enlarged by a whole factor; pixel centres lie at halves, so that output pixel `i` is at `(i + 1/2) / factor - 1/2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resize {
    /// How many times larger each side is.
    pub factor: usize,
    /// What lies between the pixels.
    pub by: Interpolation,
}

params!(Resize { factor, by });

/// What lies between pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest pixel, so that each becomes a block.
    Nearest,
    /// A straight line; the outermost pixels go on beyond the edge.
    Bilinear,
    /// Keys' cubic with `a = -1/2`, reflected at the edge: [`crate::resample::enlarge`].
    Bicubic,
}

impl Interpolation {
    /// As descriptions write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        }
    }
}

names!(Interpolation { "nearest" = Nearest, "bilinear" = Bilinear, "bicubic" = Bicubic });

impl Resize {
    fn axis(self, n: usize) -> Axis {
        match self.by {
            Interpolation::Bicubic => Axis::bicubic(n, n * self.factor),
            Interpolation::Bilinear => Axis::linear(n, n * self.factor),
            Interpolation::Nearest => Axis::nearest(n, n * self.factor),
        }
    }
}

impl Operation for Resize {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let x = map_at(inputs, 0)?;
        within("the factor", self.factor, 1..=limits::SCALE)?;
        super::margin(ValueType {
            scale: x.scale.times(self.factor)?,
            margin: x.margin * self.factor as i64,
            ..x
        })
    }

    fn extent(&self, _inputs: &[ValueType]) -> Extent {
        Extent::Local(match self.by {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear => 1,
            Interpolation::Bicubic => 2,
        })
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        let taps = match self.by {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear => 2 * 2,
            Interpolation::Bicubic => 2 * 4,
        };
        count(output).saturating_mul(taps)
    }
}

impl Reference for Resize {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |factor, by| (Self { factor, by }, vec![map(2)]);
        vec![
            case(2, Interpolation::Nearest),
            case(3, Interpolation::Nearest),
            case(2, Interpolation::Bilinear),
            case(3, Interpolation::Bilinear),
            case(2, Interpolation::Bicubic),
            case(4, Interpolation::Bicubic),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let size = inputs[0].map_size();
        let (across, down) = (self.axis(size.width), self.axis(size.height));
        Tensor::build_map(output, |c, x, y| {
            let row = |v: usize| {
                let taps = across.taps_of(x);
                taps.map(|(u, w)| f64::from(w) * inputs[0].pixel(c, u, v))
                    .sum::<f64>()
            };
            down.taps_of(y).map(|(v, w)| f64::from(w) * row(v)).sum()
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Resize {
    fn on_burn(&self, given: Given) -> Batch {
        let (f, x) = (self.factor, given.one().into_planes());
        let [n, c, h, w] = x.dims();
        if self.by == Interpolation::Nearest {
            let blocks = x.reshape([n * c * h, 1, w, 1]).repeat_dim(3, f).repeat_dim(1, f);
            return Batch::map(blocks.reshape([n, c, h * f, w * f]));
        }
        let wide = filtered(&x, 3, &self.axis(w));
        Batch::map(filtered(&wide, 2, &self.axis(h)))
    }
}

/// The dimension `dim` of a tensor through a filter.
#[cfg(feature = "burn")]
fn filtered(x: &burn::tensor::Tensor<4>, dim: usize, axis: &Axis) -> burn::tensor::Tensor<4> {
    use burn::tensor::{Int, Tensor, TensorData};

    let (device, dtype, n, taps) = (x.device(), x.dtype(), axis.len(), axis.taps());
    let mut shape = [1; 4];
    shape[dim] = n;
    // A tap of every output after the other; those that weigh nothing are left out.
    let of = |k: usize| (0..n).map(move |i| i * taps + k);
    let weighs = |k: &usize| of(*k).any(|at| axis.weights()[at] != 0.0);
    let parts = (0..taps).filter(weighs).map(|k| {
        let index: Vec<i32> = of(k).map(|at| axis.indices()[at] as i32).collect();
        let weight: Vec<f32> = of(k).map(|at| axis.weights()[at]).collect();
        let index: Tensor<1, Int> = Tensor::from_data(TensorData::new(index, [n]), &device);
        let weight: Tensor<4> = Tensor::from_data(TensorData::new(weight, shape), (&device, dtype));
        x.clone().select(dim, index) * weight
    });
    match parts.reduce(|sum, part| sum + part) {
        Some(sum) => sum,
        None => unreachable!("a filter's weights have the sum one"),
    }
}

impl Compute for Resize {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (from, to) = (inputs[0].map_size(), out.map_size());
        let (across, down) = (self.axis(from.width), self.axis(from.height));
        let mut wide = vec![0.0; from.height * to.width];
        let planes = inputs[0].data.chunks_exact(from.pixels());
        for (plane, made) in planes.zip(out.data.chunks_exact_mut(to.pixels())) {
            filter_plane(plane, &across, &down, &mut wide, made);
        }
    }
}

const TAPS: &str = "
// Keys' kernel at distances 1 + f, f, 1 - f and 2 - f.
fn cubic_taps(f: f32) -> vec4<f32> {
    let g = 1.0 - f;
    return vec4<f32>(
        -0.5 * f * g * g,
        (1.5 * f - 2.5) * f * f + 1.0,
        (1.5 * g - 2.5) * g * g + 1.0,
        -0.5 * g * f * f,
    );
}
";
const REFLECTED: &str = "
// Two pixels reach outside at most; a single row or column is its own reflection.
fn reflected(i: i32, n: u32) -> u32 {
    var j = select(i, -1 - i, i < 0);
    j = select(j, 2 * i32(n) - 1 - j, j >= i32(n));
    return u32(clamp(j, 0, i32(n) - 1));
}
";

impl Shade for Resize {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let r = self.factor;
        if self.by == Interpolation::Nearest {
            return shade::moved(
                By::Four,
                format!(
                    "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{ return $a4(g, x / {r}u, y / {r}u); }}\n"
                ),
            );
        }
        let (taps, weights) = match self.by {
            Interpolation::Bicubic => (4, "cubic_taps(f.x), cubic_taps(f.y)"),
            _ => (2, "vec2<f32>(1.0 - f.x, f.x), vec2<f32>(1.0 - f.y, f.y)"),
        };
        let before = taps / 2 - 1;
        // Half the pixels of a block lie before the middle of the one below them: whole numbers keep the distance exact.
        let text = format!(
            "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{
    let n = $a_size().xy;
    let below = vec2<i32>(vec2<u32>(x, y) / {r}u);
    let part = vec2<f32>(vec2<u32>(x, y) % {r}u) * {step:?}f + {start:?}f;
    let low = floor(part);
    let f = part - low;
    let first = below + vec2<i32>(low) - {before};
    let weights = mat2x{taps}<f32>({weights});
    var sum = vec4<f32>();
    for (var j = 0; j < {taps}; j++) {{
        let row = reflected(first.y + j, n.y);
        var line = vec4<f32>();
        for (var i = 0; i < {taps}; i++) {{
            line += weights[0][i] * $a4(g, reflected(first.x + i, n.x), row);
        }}
        sum += weights[1][j] * line;
    }}
    return sum;
}}
",
            step = 1.0 / r as f32,
            start = (0.5 / r as f64 - 0.5) as f32,
        );
        Shader::Values {
            code: Code::new(text).with(&[TAPS, REFLECTED]),
            by: By::Four,
            reads: Reads::Often,
        }
    }
}
