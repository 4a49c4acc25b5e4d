//! A linear map of rows: each of `inputs` numbers to one of `outputs`.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};

use pulp::{Arch, Simd, WithSimd};

use super::work::vector_lanes;
use crate::exec::{for_each, lanes};

/// Rows in a tile.
const ROWS: usize = 4;
/// Vectors of outputs in a tile: with the rows they take eight registers, which every processor has beside those of what is read.
const VECTORS: usize = 2;
/// Rows that a thread takes at a time.
const AT_A_TIME: usize = 64;

/// Writes `weight x + bias` for every row `x`; `weight` is `[outputs, inputs]`, and without a bias that is zero.
pub(crate) fn linear(x: &[f32], inputs: usize, weight: &[f32], bias: Option<&[f32]>, out: &mut [f32]) {
    let outputs = weight.len() / inputs.max(1);
    if outputs == 0 {
        return;
    }
    if out.len() == outputs {
        // To pack the weights would cost as much as the products of one row.
        for (o, (y, row)) in out.iter_mut().zip(weight.chunks_exact(inputs)).enumerate() {
            *y = lanes::dot(x, row) as f32 + bias.map_or(0.0, |bias| bias[o]);
        }
        return;
    }
    let arch = Arch::new();
    let wide = VECTORS * vector_lanes(arch);
    // Blocks of outputs side by side, for each input.
    let blocks = outputs.div_ceil(wide);
    let mut packed = vec![0.0; blocks * inputs * wide];
    for (o, row) in weight.chunks_exact(inputs).enumerate() {
        for (i, w) in row.iter().enumerate() {
            packed[(o / wide * inputs + i) * wide + o % wide] = *w;
        }
    }
    let mut added = vec![0.0; blocks * wide];
    if let Some(bias) = bias {
        added[..outputs].copy_from_slice(bias);
    }
    let units: Vec<_> = x
        .chunks(AT_A_TIME * inputs)
        .zip(out.chunks_mut(AT_A_TIME * outputs))
        .collect();
    for_each(units, |(x, out)| {
        arch.dispatch(Rows {
            x,
            inputs,
            packed: &packed,
            bias: &added,
            out,
            outputs,
        });
    });
}

struct Rows<'a> {
    x: &'a [f32],
    inputs: usize,
    packed: &'a [f32],
    bias: &'a [f32],
    out: &'a mut [f32],
    outputs: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (rows, wide) = (self.out.len() / self.outputs, VECTORS * S::F32_LANES);
        for (block, weights) in self.packed.chunks_exact(self.inputs * wide).enumerate() {
            let whole = rows / ROWS * ROWS;
            for first in (0..whole).step_by(ROWS) {
                self.tile::<S, ROWS>(simd, block * wide, weights, first);
            }
            for first in whole..rows {
                self.tile::<S, 1>(simd, block * wide, weights, first);
            }
        }
    }
}

impl Rows<'_> {
    /// A block of outputs of `N` rows.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(&mut self, simd: S, block: usize, weights: &[f32], first: usize) {
        let n = self.inputs;
        let rows: [&[f32]; N] = core::array::from_fn(|r| &self.x[(first + r) * n..][..n]);
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; N];
        for sums in &mut sums {
            let bias = &self.bias[block..block + VECTORS * S::F32_LANES];
            sums.copy_from_slice(S::as_simd_f32s(bias).0);
        }
        for (i, weights) in weights.chunks_exact(VECTORS * S::F32_LANES).enumerate() {
            let weights = S::as_simd_f32s(weights).0;
            for (sums, row) in sums.iter_mut().zip(&rows) {
                let x = simd.splat_f32s(row[i]);
                for (sum, w) in sums.iter_mut().zip(weights) {
                    *sum = simd.mul_add_e_f32s(x, *w, *sum);
                }
            }
        }
        let part = block..self.outputs.min(block + VECTORS * S::F32_LANES);
        for (r, sums) in sums.iter().enumerate() {
            let values: &[f32] = pulp::bytemuck::cast_slice(sums);
            let out = &mut self.out[(first + r) * self.outputs..][part.clone()];
            out.copy_from_slice(&values[..out.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn a_row_is_its_definition() {
        let mut random = SplitMix64::new(5);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.normal() as f32).collect() };
        for (rows, inputs, outputs) in [(1, 1, 1), (70, 33, 65), (5, 48, 3)] {
            let (x, weight, bias) = (draw(rows * inputs), draw(outputs * inputs), draw(outputs));
            for bias in [None, Some(&bias[..])] {
                let mut out = vec![0.0; rows * outputs];
                linear(&x, inputs, &weight, bias, &mut out);
                for (at, y) in out.iter().enumerate() {
                    let (row, o) = (at / outputs, at % outputs);
                    let products = (0..inputs)
                        .map(|i| f64::from(x[row * inputs + i]) * f64::from(weight[o * inputs + i]));
                    let exact = products.sum::<f64>() + bias.map_or(0.0, |b| f64::from(b[o]));
                    assert!((f64::from(*y) - exact).abs() < 1e-4, "{y} {exact}");
                }
            }
        }
    }
}
