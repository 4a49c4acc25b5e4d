use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, blocks, count, map, params::params};
use crate::exec::shade::{By, Code, Reads, Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// A map made smaller by a whole factor: each pixel is the mean of a block of `factor` by `factor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AveragePool {
    /// How many times smaller each side is.
    pub factor: usize,
}

params!(AveragePool { factor });

impl Operation for AveragePool {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        blocks(inputs, self.factor)
    }

    fn multiply_adds(&self, inputs: &[Shape], _output: &Shape) -> u64 {
        count(&inputs[0])
    }
}

impl Reference for AveragePool {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |factor, channels| (Self { factor }, vec![map(channels)]);
        vec![case(2, 3), case(3, 1), case(1, 2)]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let r = self.factor;
        Tensor::build_map(output, |c, x, y| {
            let block = (0..r * r).map(|k| inputs[0].pixel(c, x * r + k % r, y * r + k / r));
            block.sum::<f64>() / (r * r) as f64
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for AveragePool {
    fn on_burn(&self, given: Given) -> Batch {
        let (r, x) = (self.factor, given.one().into_planes());
        let [n, c, h, w] = x.dims();
        let blocks = x.reshape([n * c * h / r, r, w / r, r]);
        let means = blocks.mean_dim(3).mean_dim(1);
        Batch::map(means.reshape([n, c, h / r, w / r]))
    }
}

impl Compute for AveragePool {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (r, size, given) = (self.factor, out.map_size(), inputs[0].map_size());
        let share = 1.0 / (r * r) as f32;
        for (row, line) in out.data.chunks_exact_mut(size.width).enumerate() {
            let (c, y) = (row / size.height, row % size.height);
            line.fill(0.0);
            for i in 0..r {
                let from = (c * given.height + y * r + i) * given.width;
                let blocks = inputs[0].data[from..from + given.width].chunks_exact(r);
                let sums = line.iter_mut().zip(blocks);
                sums.for_each(|(sum, block)| *sum += block.iter().sum::<f32>());
            }
            line.iter_mut().for_each(|sum| *sum *= share);
        }
    }
}

impl Shade for AveragePool {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let r = self.factor;
        let text = format!(
            "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{
    var sum = vec4<f32>();
    for (var k = 0u; k < {blocks}u; k++) {{
        sum += $a4(g, x * {r}u + k % {r}u, y * {r}u + k / {r}u);
    }}
    return sum / {blocks}.0;
}}
",
            blocks = r * r
        );
        Shader::Values {
            code: Code::new(text),
            by: By::Four,
            reads: Reads::Often,
        }
    }
}
