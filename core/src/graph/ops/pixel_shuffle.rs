use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, map, map_at, params::params, within};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// Channels to pixels (Shi et al. 2016): channel `c r^2 + i r + j` of a map becomes row `i` and column `j` of blocks of `r` by `r`
/// pixels of channel `c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelShuffle {
    /// `r`.
    pub factor: usize,
}

params!(PixelShuffle { factor });

impl Operation for PixelShuffle {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let (x, r) = (map_at(inputs, 0)?, self.factor);
        within("the factor", r, 1..=limits::SCALE)?;
        if !x.channels.is_multiple_of(r * r) {
            return Err(Fault::Inputs(format!(
                "{} channels are no blocks of {r}x{r} pixels",
                x.channels
            )));
        }
        super::margin(ValueType {
            channels: x.channels / (r * r),
            scale: x.scale.times(r)?,
            margin: x.margin * r as i64,
            ..x
        })
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for PixelShuffle {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |factor, channels| (Self { factor }, vec![map(channels)]);
        vec![case(2, 12), case(3, 9), case(4, 48), case(1, 2)]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let r = self.factor;
        Tensor::build_map(output, |c, x, y| {
            inputs[0].pixel((c * r + y % r) * r + x % r, x / r, y / r)
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for PixelShuffle {
    fn on_burn(&self, given: Given) -> Batch {
        let (r, x) = (self.factor, given.one().into_planes());
        let [n, c, h, w] = x.dims();
        let c = c / (r * r);
        let blocks = x.reshape([n, c, r, r, h, w]).permute([0, 1, 4, 2, 5, 3]);
        Batch::map(blocks.reshape([n, c, h * r, w * r]))
    }
}

impl Compute for PixelShuffle {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (r, size) = (self.factor, out.map_size());
        let (width, plane) = (size.width / r, inputs[0].places());
        for (row, line) in out.data.chunks_exact_mut(size.width).enumerate() {
            let (c, y) = (row / size.height, row % size.height);
            for j in 0..r {
                let at = ((c * r + y % r) * r + j) * plane + y / r * width;
                let given = &inputs[0].data[at..at + width];
                let own = line.iter_mut().skip(j).step_by(r);
                own.zip(given).for_each(|(y, x)| *y = *x);
            }
        }
    }
}

impl Shade for PixelShuffle {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let r = self.factor;
        shade::moved(
            By::One,
            format!(
                "fn $value1(c: u32, x: u32, y: u32) -> f32 {{
    return $a1((c * {r}u + y % {r}u) * {r}u + x % {r}u, x / {r}u, y / {r}u);
}}
"
            ),
        )
    }
}
