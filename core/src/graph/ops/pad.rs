use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, map, map_at, params::params, within};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// A map with `pixels` zeros on each of its four sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pad {
    /// How many, one at least.
    pub pixels: usize,
}

params!(Pad { pixels });

impl Operation for Pad {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        within("the pixels", self.pixels, 1..=limits::KERNEL)?;
        let x = map_at(inputs, 0)?;
        let margin = x.margin + self.pixels as i64;
        super::margin(ValueType { margin, ..x })
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for Pad {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        vec![
            (Self { pixels: 1 }, vec![map(3)]),
            (Self { pixels: 3 }, vec![map(1)]),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let size = inputs[0].map_size();
        Tensor::build_map(output, |c, x, y| {
            match (x.checked_sub(self.pixels), y.checked_sub(self.pixels)) {
                (Some(x), Some(y)) if x < size.width && y < size.height => inputs[0].pixel(c, x, y),
                _ => 0.0,
            }
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Pad {
    fn on_burn(&self, given: Given) -> Batch {
        use burn::tensor::ops::PadMode;

        let sides = (self.pixels, self.pixels);
        let x = given.one().into_planes();
        Batch::map(x.pad(vec![(0, 0), (0, 0), sides, sides], PadMode::Constant(0.0)))
    }
}

impl Compute for Pad {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        out.data.fill(0.0);
        let (from, to) = (inputs[0].map_size(), out.map_size());
        for (row, line) in inputs[0].data.chunks_exact(from.width).enumerate() {
            let (c, y) = (row / from.height, row % from.height);
            let at = (c * to.height + y + self.pixels) * to.width + self.pixels;
            out.data[at..at + from.width].copy_from_slice(line);
        }
    }
}

impl Shade for Pad {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let n = self.pixels;
        shade::moved(
            By::Four,
            format!(
                "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{
    if (x < {n}u || y < {n}u || x - {n}u >= $a_size().x || y - {n}u >= $a_size().y) {{ return vec4<f32>(); }}
    return $a4(g, x - {n}u, y - {n}u);
}}
"
            ),
        )
    }
}
