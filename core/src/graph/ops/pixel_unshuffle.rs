use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, blocks, channels, map, params::params};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Pixels to channels, what undoes [`pixel_shuffle`](struct@super::PixelShuffle): row `i` and column `j` of blocks of `r` by `r`
/// pixels of channel `c` of a map become channel `c r^2 + i r + j`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelUnshuffle {
    /// `r`.
    pub factor: usize,
}

params!(PixelUnshuffle { factor });

impl Operation for PixelUnshuffle {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let (x, r) = (blocks(inputs, self.factor)?, self.factor as u64);
        Ok(x.with_channels(channels(x.channels as u64 * r * r)?))
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for PixelUnshuffle {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |factor, channels| (Self { factor }, vec![map(channels)]);
        vec![case(2, 3), case(3, 1), case(1, 2)]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let r = self.factor;
        Tensor::build_map(output, |c, x, y| {
            let (c, i, j) = (c / (r * r), c / r % r, c % r);
            inputs[0].pixel(c, x * r + j, y * r + i)
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for PixelUnshuffle {
    fn on_burn(&self, given: Given) -> Batch {
        let (r, x) = (self.factor, given.one().into_planes());
        let [n, c, h, w] = x.dims();
        let (h, w) = (h / r, w / r);
        let blocks = x.reshape([n, c, h, r, w, r]).permute([0, 1, 3, 5, 2, 4]);
        Batch::map(blocks.reshape([n, c * r * r, h, w]))
    }
}

impl Compute for PixelUnshuffle {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (r, size, given) = (self.factor, out.map_size(), inputs[0].map_size());
        for (row, line) in out.data.chunks_exact_mut(size.width).enumerate() {
            let (channel, y) = (row / size.height, row % size.height);
            let (c, i, j) = (channel / (r * r), channel / r % r, channel % r);
            let at = (c * given.height + y * r + i) * given.width;
            let from = inputs[0].data[at..at + given.width].iter().skip(j).step_by(r);
            line.iter_mut().zip(from).for_each(|(y, x)| *y = *x);
        }
    }
}

impl Shade for PixelUnshuffle {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let r = self.factor;
        shade::moved(
            By::One,
            format!(
                "fn $value1(c: u32, x: u32, y: u32) -> f32 {{
    return $a1(c / {}u, x * {r}u + c % {r}u, y * {r}u + c / {r}u % {r}u);
}}
",
                r * r
            ),
        )
    }
}
