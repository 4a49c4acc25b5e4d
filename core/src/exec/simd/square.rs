//! Convolution with a kernel of 3x3 by minimal filtering along columns and rows (Lavin and Gray 2016): `F(4, 3)` nested with itself.
//!
//! A tile of 4x4 results is `A^T [(G g G^T) * (B^T d B)] A` of the 6x6 pixels `d` that it sees: 36 products where [`Transform`] along
//! columns alone takes 72 and the definition 144. A lane of a vector is a tile: for each of the 36 places, products of all inputs and
//! outputs are summed as in a matrix product, a block of outputs by [`COLUMNS`] vectors of tiles in registers.
//!
//! Rows lie behind one another with zeros between them, as in [`Lines`], in groups of as many tiles as these vectors hold; what is
//! computed of a group stays in the second-level cache.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::vec::Vec;

use pulp::{Arch, Simd, WithSimd};

use super::convolution::{COLUMNS, Convolution, channels};
use super::lines::Lines;
use super::transform::FOUR_ROWS;
use super::work::Work;
use crate::exec::{After, for_each};

/// Results along a side of a tile.
pub(super) const SIDE: usize = 4;
/// Pixels along a side of what a tile sees.
pub(super) const SEEN: usize = SIDE + 2;
/// Products for a tile, an input and an output.
pub(super) const PRODUCTS: usize = SEEN * SEEN;
/// Vectors of tiles in a band, about: fewer waste a part of the last one, more leave threads without work.
const BAND: usize = 8;
/// Channels and tiles from which on the transforms cost less than the products that they save.
const LEAST_CHANNELS: usize = 16;
const LEAST_TILES: usize = 64;

/// `factor x`.
#[inline(always)]
pub(super) fn times<S: Simd>(simd: S, factor: f32, x: S::f32s) -> S::f32s {
    simd.mul_f32s(simd.splat_f32s(factor), x)
}

/// `factor x + y`.
#[inline(always)]
pub(super) fn plus<S: Simd>(simd: S, factor: f32, x: S::f32s, y: S::f32s) -> S::f32s {
    simd.mul_add_e_f32s(simd.splat_f32s(factor), x, y)
}

/// Every fourth number from each of the first four on, of as many as four vectors hold, in an order of pulp's own.
#[inline(always)]
fn phases<S: Simd>(simd: S, numbers: &[f32]) -> [S::f32s; SIDE] {
    let mut read = [simd.splat_f32s(0.0); SIDE];
    read.copy_from_slice(S::as_simd_f32s(numbers).0);
    simd.deinterleave_shfl_f32s(read)
}

/// `B^T d`, of [`FOUR_ROWS`]: what is even in the points and what is odd, computed once.
#[inline(always)]
pub(super) fn seen<S: Simd>(simd: S, d: [S::f32s; SEEN]) -> [S::f32s; SEEN] {
    let even = plus(simd, -128.0 / 243.0, d[4], times(simd, 32.0 / 27.0, d[2]));
    let odd = plus(simd, -32.0 / 81.0, d[3], times(simd, 8.0 / 9.0, d[1]));
    let far_even = plus(simd, 128.0 / 243.0, d[4], times(simd, -8.0 / 27.0, d[2]));
    let far_odd = plus(simd, 64.0 / 81.0, d[3], times(simd, -4.0 / 9.0, d[1]));
    [
        plus(simd, 64.0 / 81.0, d[4], plus(simd, -20.0 / 9.0, d[2], d[0])),
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(far_even, far_odd),
        simd.sub_f32s(far_even, far_odd),
        plus(simd, 81.0 / 64.0, d[1], plus(simd, -45.0 / 16.0, d[3], d[5])),
    ]
}

/// `A^T m`, of [`FOUR_ROWS`].
#[inline(always)]
fn made<S: Simd>(simd: S, m: [S::f32s; SEEN]) -> [S::f32s; SIDE] {
    let (even, odd) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (far_even, far_odd) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], simd.add_f32s(even, far_even)),
        plus(simd, 1.5, far_odd, times(simd, 0.75, odd)),
        plus(simd, 2.25, far_even, times(simd, 0.5625, even)),
        plus(simd, 3.375, far_odd, plus(simd, 0.421_875, odd, m[5])),
    ]
}

/// Whether this is the fastest way.
pub(super) fn serves(c: &Convolution) -> bool {
    c.kernel == 3
        && c.inputs.min(c.outputs) >= LEAST_CHANNELS
        && c.height.div_ceil(SIDE) * c.width.div_ceil(SIDE) >= LEAST_TILES
}

/// Images, each of a plane for each channel, convolved into `out`, plus `bias`, with what comes after.
pub(super) fn forward(
    c: &Convolution,
    images: &[Vec<&[f32]>],
    weight: &[f32],
    bias: &[f32],
    out: &mut [f32],
    after: After<'_>,
) {
    let arch = Arch::new();
    let channels = channels(arch);
    let mut packed = Work::take(c.outputs.div_ceil(channels) * PRODUCTS * c.inputs * channels);
    pack(c, weight, channels, &mut packed);
    // Lanes of the widest vectors: of narrower ones a band has more.
    let rows = SIDE * (BAND * 16 * SIDE).div_ceil(pitch(c.width));
    let mut units = Vec::new();
    for (x, out) in images.iter().zip(out.chunks_exact_mut(c.outputs * c.area())) {
        let mut bands: Vec<Vec<&mut [f32]>> = Vec::new();
        bands.resize_with(c.height.div_ceil(rows), Vec::new);
        for plane in out.chunks_exact_mut(c.area()) {
            for (band, part) in bands.iter_mut().zip(plane.chunks_mut(rows * c.width)) {
                band.push(part);
            }
        }
        units.extend(bands.into_iter().enumerate().map(|(i, out)| Band {
            convolution: *c,
            x,
            first: i * rows,
            out,
            packed: &packed,
            bias,
            after,
        }));
    }
    for_each(units, |band| match channels {
        4 => arch.dispatch(Blocks::<4>(band)),
        _ => arch.dispatch(Blocks::<8>(band)),
    });
}

/// The transformed weights in the order of their use: block of `channels` outputs, product, input, output. Outputs that fill up the
/// last block are zero.
fn pack(c: &Convolution, weight: &[f32], channels: usize, packed: &mut [f32]) {
    let block = PRODUCTS * c.inputs * channels;
    let blocks = packed.chunks_exact_mut(block).enumerate().collect();
    for_each(blocks, |(block, packed): (usize, &mut [f32])| {
        let first = block * channels;
        packed.fill(0.0);
        for (m, o) in (first..c.outputs.min(first + channels)).enumerate() {
            let kernels = weight[o * c.inputs * 9..][..c.inputs * 9].as_chunks::<9>().0;
            for (i, g) in kernels.iter().enumerate() {
                // Rows of the kernel first, as its columns are then again.
                let half: [[f32; 3]; SEEN] = core::array::from_fn(|p| {
                    let t = &FOUR_ROWS.kernel[p];
                    core::array::from_fn(|x| t[0] * g[x] + t[1] * g[3 + x] + t[2] * g[6 + x])
                });
                for (p, half) in half.iter().enumerate() {
                    for (h, t) in FOUR_ROWS.kernel.iter().enumerate() {
                        let product = p * SEEN + h;
                        packed[(product * c.inputs + i) * channels + m] =
                            t[0] * half[0] + t[1] * half[1] + t[2] * half[2];
                    }
                }
            }
        }
    });
}

/// Distance between lines: all pixels with a zero on either side, in whole tiles.
fn pitch(width: usize) -> usize {
    (width + 2).next_multiple_of(SIDE)
}

/// A band of rows of all outputs of one image.
struct Band<'a> {
    convolution: Convolution,
    /// All inputs of the image.
    x: &'a [&'a [f32]],
    /// First row.
    first: usize,
    /// These rows of each output.
    out: Vec<&'a mut [f32]>,
    packed: &'a [f32],
    bias: &'a [f32],
    after: After<'a>,
}

/// Work on a band with blocks of so many outputs.
struct Blocks<'a, const CHANNELS: usize>(Band<'a>);

impl<const CHANNELS: usize> WithSimd for Blocks<'_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let band = &self.0;
        let c = band.convolution;
        let lines = Lines {
            width: c.width,
            count: (band.out[0].len() / c.width).div_ceil(SIDE),
            radius: pitch(c.width) - c.width,
        };
        let vectors = lines.span().div_ceil(SIDE * S::F32_LANES);
        for v in (0..vectors).step_by(COLUMNS) {
            match vectors - v {
                1 => self.group::<S, 1>(simd, lines, v),
                left if left < COLUMNS => self.group::<S, 2>(simd, lines, v),
                _ => self.group::<S, COLUMNS>(simd, lines, v),
            }
        }
        let Band {
            first, out, after, ..
        } = self.0;
        if let Some(finish) = after.finish {
            for (output, out) in out.into_iter().enumerate() {
                finish(output, first * c.width, out);
            }
        }
    }
}

impl<const CHANNELS: usize> Blocks<'_, CHANNELS> {
    /// The results of `N` vectors of tiles from vector `v` on.
    #[inline(always)]
    fn group<S: Simd, const N: usize>(&mut self, simd: S, lines: Lines, v: usize) {
        let c = self.0.convolution;
        // Of each product a vector more than there are inputs, or all would lie in the same sets of the cache.
        let plane = (c.inputs * N + 1) * S::F32_LANES;
        let mut work = Work::take(PRODUCTS * (plane + CHANNELS * N * S::F32_LANES));
        let (inputs, products) = work.split_at_mut(PRODUCTS * plane);
        self.inputs::<S, N>(simd, lines, v, inputs);
        let blocks = self.0.packed.chunks_exact(PRODUCTS * c.inputs * CHANNELS);
        for (block, weights) in blocks.enumerate() {
            let weights = weights.as_chunks::<CHANNELS>().0.chunks_exact(c.inputs);
            let each = products.chunks_exact_mut(CHANNELS * N * S::F32_LANES);
            for ((inputs, weights), products) in inputs.chunks_exact(plane).zip(weights).zip(each) {
                let sums = sums::<S, CHANNELS, N>(simd, inputs, weights);
                let products = S::as_mut_simd_f32s(products).0.chunks_exact_mut(N);
                for (to, sums) in products.zip(&sums) {
                    to.copy_from_slice(sums);
                }
            }
            self.results::<S, N>(simd, lines, v, block * CHANNELS, products);
        }
    }

    /// What tiles see, transformed: for each product and input, `N` vectors of tiles.
    #[inline(always)]
    fn inputs<S: Simd, const N: usize>(&self, simd: S, lines: Lines, v: usize, out: &mut [f32]) {
        let Band {
            convolution: c,
            x,
            first,
            ..
        } = &self.0;
        let lanes = S::F32_LANES;
        // Positions of the group, and beyond them those that its last tile sees.
        let (from, n) = (v * SIDE * lanes, N * SIDE * lanes);
        let to = from + n + SIDE;
        let length = n + SIDE + 2 * lanes;
        let plane = out.len() / PRODUCTS;
        let mut columns = Work::take(SEEN * length);
        // Between lines, which nothing below writes to.
        columns.fill(0.0);
        let none = Work::zeros(c.width);
        for (i, image) in x.iter().enumerate() {
            for line in from / lines.pitch()..lines.count {
                // A pixel lies behind the zero before its line.
                let start = line * lines.pitch() + 1;
                if start >= to {
                    break;
                }
                let (left, right) = (from.saturating_sub(start), (to - start).min(c.width));
                let rows: [&[f32]; SEEN] = core::array::from_fn(|j| {
                    let y = (first + line * SIDE + j).checked_sub(1);
                    y.filter(|y| *y < c.height)
                        .map_or(&none[..], |y| &image[y * c.width..][..c.width])
                });
                for x in (left..right).step_by(lanes) {
                    let end = right.min(x + lanes);
                    let mut pixels = [simd.splat_f32s(0.0); SEEN];
                    for (pixels, row) in pixels.iter_mut().zip(&rows) {
                        *pixels = match S::as_simd_f32s(&row[x..end]).0 {
                            [whole] => *whole,
                            _ => simd.partial_load_f32s(&row[x..end]),
                        };
                    }
                    // What is written beyond the line are zeros, and the next line comes after them.
                    let parts = seen(simd, pixels);
                    for (column, part) in columns.chunks_exact_mut(length).zip(parts) {
                        let column = &mut column[start + x - from..][..lanes];
                        S::as_mut_simd_f32s(column).0[0] = part;
                    }
                }
            }
            for (p, column) in columns.chunks_exact(length).enumerate() {
                for k in 0..N {
                    let (own, n) = (&column[k * SIDE * lanes..], SIDE * lanes);
                    let (own, next) = (phases(simd, &own[..n]), phases(simd, &own[SIDE..][..n]));
                    let parts = seen(simd, [own[0], own[1], own[2], own[3], next[0], next[1]]);
                    for (h, part) in parts.into_iter().enumerate() {
                        let at = (p * SEEN + h) * plane + (i * N + k) * lanes;
                        S::as_mut_simd_f32s(&mut out[at..at + lanes]).0[0] = part;
                    }
                }
            }
        }
    }

    /// Writes the results of a block of outputs, of which `block` is the first.
    #[inline(always)]
    fn results<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        lines: Lines,
        v: usize,
        block: usize,
        products: &[f32],
    ) {
        let Band {
            convolution: c,
            out,
            bias,
            after,
            ..
        } = &mut self.0;
        let lanes = S::F32_LANES;
        let products = S::as_simd_f32s(products).0;
        let (zero, slope) = (simd.splat_f32s(0.0), simd.splat_f32s(after.slope));
        let outputs = out[block..].iter_mut().zip(&bias[block..]).take(CHANNELS);
        for (m, (out, bias)) in outputs.enumerate() {
            let bias = simd.splat_f32s(*bias);
            for k in 0..N {
                let mut halves = [[zero; SIDE]; SEEN];
                for (p, half) in halves.iter_mut().enumerate() {
                    let mut row = [zero; SEEN];
                    for (h, row) in row.iter_mut().enumerate() {
                        *row = products[((p * SEEN + h) * CHANNELS + m) * N + k];
                    }
                    *half = made(simd, row);
                }
                let mut tile = [[zero; SIDE]; SIDE];
                for x in 0..SIDE {
                    let mut column = [zero; SEEN];
                    for (column, half) in column.iter_mut().zip(&halves) {
                        *column = half[x];
                    }
                    let column = made(simd, column);
                    for (row, y) in tile.iter_mut().zip(column) {
                        row[x] = y;
                    }
                }
                for (row, tile) in tile.into_iter().enumerate() {
                    let mut y = simd.interleave_shfl_f32s(tile);
                    for y in &mut y {
                        *y = simd.add_f32s(*y, bias);
                        let below = simd.less_than_f32s(*y, zero);
                        *y = simd.select_f32s(below, simd.mul_f32s(*y, slope), *y);
                    }
                    let values: &[f32] = pulp::bytemuck::cast_slice(&y);
                    let n = SIDE * lanes;
                    for (run, line, column) in lines.runs((v + k) * n, n) {
                        let start = (line * SIDE + row) * c.width + column;
                        let Some(out) = out.get_mut(start..start + run.len()) else {
                            break;
                        };
                        if after.adds {
                            out.iter_mut().zip(&values[run]).for_each(|(out, y)| *out += y);
                        } else {
                            out.copy_from_slice(&values[run]);
                        }
                    }
                }
            }
        }
    }
}

/// For each output of a block the sum over all inputs, of `N` vectors of tiles.
#[inline(always)]
fn sums<S: Simd, const CHANNELS: usize, const N: usize>(
    simd: S,
    inputs: &[f32],
    weights: &[[f32; CHANNELS]],
) -> [[S::f32s; N]; CHANNELS] {
    let mut sums = [[simd.splat_f32s(0.0); N]; CHANNELS];
    let inputs = S::as_simd_f32s(inputs).0.as_chunks::<N>().0;
    for (x, weights) in inputs.iter().zip(weights) {
        for (sums, w) in sums.iter_mut().zip(weights) {
            let w = simd.splat_f32s(*w);
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum = simd.mul_add_e_f32s(w, *x, *sum);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use alloc::vec;

    /// The definition, in double precision.
    fn defined(c: &Convolution, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let mut out = Vec::new();
        for o in 0..c.outputs {
            for (y, x0) in (0..c.height).flat_map(|y| (0..c.width).map(move |x| (y, x))) {
                let mut sum = f64::from(bias[o]);
                for (i, tap) in (0..c.inputs).flat_map(|i| (0..9).map(move |tap| (i, tap))) {
                    let (Some(sy), Some(sx)) = ((y + tap / 3).checked_sub(1), (x0 + tap % 3).checked_sub(1))
                    else {
                        continue;
                    };
                    if sy < c.height && sx < c.width {
                        let w = weight[(o * c.inputs + i) * 9 + tap];
                        sum += f64::from(w) * f64::from(x[i * c.area() + sy * c.width + sx]);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    #[test]
    fn every_size_is_a_convolution() {
        let mut random = SplitMix64::new(3);
        let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.normal() as f32).collect() };
        for (inputs, outputs) in [(16, 16), (17, 19), (48, 33)] {
            for (height, width) in [
                (1, 1),
                (4, 4),
                (5, 130),
                (33, 7),
                (9, 126),
                (24, 61),
                (40, 64),
                (3, 300),
            ] {
                let c = Convolution {
                    inputs,
                    outputs,
                    kernel: 3,
                    height,
                    width,
                };
                let x = numbers(inputs * c.area());
                let weight = numbers(outputs * inputs * 9);
                let bias = numbers(outputs);
                let expected = defined(&c, &x, &weight, &bias);
                let planes = |x| vec![<[f32]>::chunks_exact(x, c.area()).collect()];
                // What was there is of no meaning, or is added to.
                let mut out = vec![f32::NAN; outputs * c.area()];
                forward(&c, &planes(&x), &weight, &bias, &mut out, After::slope(1.0));
                let mut worst = 0.0_f64;
                for (got, expected) in out.iter().zip(&expected) {
                    worst = worst.max((f64::from(*got) - expected).abs());
                }
                let scale = (9.0 * inputs as f64).sqrt();
                assert!(
                    worst < 1e-5 * scale,
                    "{inputs} {outputs} {height}x{width}: {worst}"
                );

                let told = |output: usize, start: usize, run: &mut [f32]| {
                    for (i, v) in run.iter_mut().enumerate() {
                        *v += (output * c.area() + start + i) as f32;
                    }
                };
                let mut again = vec![2.0; outputs * c.area()];
                let after = After {
                    slope: 0.5,
                    adds: true,
                    finish: Some(&told),
                };
                forward(&c, &planes(&x), &weight, &bias, &mut again, after);
                for (i, (got, y)) in again.iter().zip(&out).enumerate() {
                    let expected = 2.0 + if *y < 0.0 { 0.5 * y } else { *y } + i as f32;
                    assert!(
                        (got - expected).abs() < 1e-5 * expected.abs().max(1.0),
                        "{i}: {got} {expected}"
                    );
                }
            }
        }
    }

    /// The root mean square of rounding, in parts of that of a sum by its definition in single precision.
    #[test]
    fn rounding_is_near_that_of_the_definition() {
        let mut random = SplitMix64::new(1);
        let c = Convolution {
            inputs: 64,
            outputs: 16,
            kernel: 3,
            height: 24,
            width: 24,
        };
        let mut numbers = |n: usize| -> Vec<f32> { (0..n).map(|_| random.normal() as f32).collect() };
        let (x, weight, bias) = (numbers(64 * c.area()), numbers(16 * 64 * 9), vec![0.0; 16]);
        let exact = defined(&c, &x, &weight, &bias);
        let mut out = vec![0.0; 16 * c.area()];
        let planes = vec![x.chunks_exact(c.area()).collect()];
        forward(&c, &planes, &weight, &bias, &mut out, After::slope(1.0));
        let off = |out: &[f32]| {
            let squares = out.iter().zip(&exact).map(|(a, b)| (f64::from(*a) - b).powi(2));
            (squares.sum::<f64>() / out.len() as f64).sqrt()
        };
        let own = off(&out);
        c.along_columns(&x, &weight, &bias, &mut out, After::slope(1.0));
        let along_columns = off(&out);
        assert!(own < 3.0 * along_columns, "{own} {along_columns}");
    }
}
