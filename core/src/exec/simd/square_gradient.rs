//! The gradient of the weights of a 3x3 convolution, by the transpose of the minimal filtering of [`square`](super::square).
//!
//! The result of a tile is `A^T [(G g G^T) * (B^T d B)] A`, linear in the kernel `g`; so with the gradient `y` of the 4x4 results, that
//! of the kernel is `G^T [sum over tiles of (B^T d B) * (A y A^T)] G`: 36 products for a tile, an input and an output, where the
//! definition has 144.
//!
//! A lane of a vector is an input here: sums over tiles stay in registers, and what is added up at the end are whole vectors. For this
//! the channels of a pixel are laid side by side first.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};

use pulp::{Arch, Simd, WithSimd};

use super::convolution::{COLUMNS, Convolution, channels};
use super::square::{PRODUCTS, SEEN, SIDE, plus, seen, times};
use super::work::{CACHE_LINE, Work, vector_lanes};
use crate::exec::for_each;

/// `A y`, of [`FOUR_ROWS`](super::transform::FOUR_ROWS): what is even in the points and what is odd, computed once.
#[inline(always)]
fn spread<S: Simd>(simd: S, y: [S::f32s; SIDE]) -> [S::f32s; SEEN] {
    let even = plus(simd, 0.5625, y[2], y[0]);
    let odd = plus(simd, 0.421_875, y[3], times(simd, 0.75, y[1]));
    let far_even = plus(simd, 2.25, y[2], y[0]);
    let far_odd = plus(simd, 3.375, y[3], times(simd, 1.5, y[1]));
    [
        y[0],
        simd.add_f32s(even, odd),
        simd.sub_f32s(even, odd),
        simd.add_f32s(far_even, far_odd),
        simd.sub_f32s(far_even, far_odd),
        y[3],
    ]
}

/// `G^T m`.
#[inline(always)]
fn gathered<S: Simd>(simd: S, m: [S::f32s; SEEN]) -> [S::f32s; 3] {
    let (even, odd) = (simd.add_f32s(m[1], m[2]), simd.sub_f32s(m[1], m[2]));
    let (far_even, far_odd) = (simd.add_f32s(m[3], m[4]), simd.sub_f32s(m[3], m[4]));
    [
        simd.add_f32s(m[0], plus(simd, 0.25, far_even, even)),
        plus(simd, 0.375, far_odd, times(simd, 0.75, odd)),
        plus(simd, 0.5625, simd.add_f32s(even, far_even), m[5]),
    ]
}

/// The gradient of the weights, `[outputs, inputs, 3, 3]`, for images `x`, `[n, inputs, height, width]`, and the gradients of what was made
/// of them, `[n, outputs, height, width]`.
pub(super) fn weights(c: &Convolution, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let arch = Arch::new();
    let lanes = vector_lanes(arch);
    let images = x.len() / (c.inputs * c.area()).max(1);
    let grid = Grid {
        height: c.height,
        width: c.width,
        rows: images * c.height.div_ceil(SIDE),
        columns: c.width.div_ceil(SIDE),
    };
    let block = channels(arch);
    let inputs = Side::new(c.inputs, lanes, SEEN);
    let outputs = Side::new(c.outputs, lanes.max(block), SIDE);
    let seen = grid.products(x, &inputs);
    let made = grid.products(gradient, &outputs);
    let mut sums = Work::take(PRODUCTS * outputs.padded * inputs.padded);
    let each = sums.chunks_exact_mut(outputs.padded * inputs.padded);
    for_each(each.enumerate().collect(), |(product, sums)| {
        let work = Sums {
            grid,
            inputs: (&seen, inputs.padded),
            outputs: (&made, outputs.padded),
            product,
            out: sums,
        };
        match block {
            4 => arch.dispatch(Blocks::<4>(work)),
            _ => arch.dispatch(Blocks::<8>(work)),
        }
    });
    let mut weights = vec![0.0; c.outputs * c.inputs * 9];
    let each = weights.chunks_exact_mut(c.inputs * 9).enumerate();
    for_each(each.collect(), |(output, weights)| {
        arch.dispatch(Kernels {
            sums: &sums,
            inputs: inputs.padded,
            outputs: outputs.padded,
            output,
            weights,
        });
    });
    weights
}

/// The tiles of all images.
#[derive(Debug, Clone, Copy)]
struct Grid {
    /// Pixels of an image.
    height: usize,
    width: usize,
    /// Rows of tiles, of all images.
    rows: usize,
    /// Tiles in a row.
    columns: usize,
}

/// Inputs or outputs.
#[derive(Debug, Clone, Copy)]
struct Side {
    channels: usize,
    /// Channels in whole vectors; those that fill up the last one are zero.
    padded: usize,
    /// Pixels along a side of what a tile has of them.
    pixels: usize,
}

impl Side {
    fn new(channels: usize, multiple: usize, pixels: usize) -> Self {
        Self {
            channels,
            padded: channels.next_multiple_of(multiple),
            pixels,
        }
    }
}

impl Grid {
    /// From one product to the next of a row of tiles, of so many channels: a line of the cache more than they need, or all would lie in
    /// the same sets of it.
    fn stride(&self, padded: usize) -> usize {
        self.columns * padded + CACHE_LINE
    }

    /// What each tile has of `planes`, transformed: `[row, product, column, channel]`.
    fn products(&self, planes: &[f32], side: &Side) -> Work {
        let row = PRODUCTS * self.stride(side.padded);
        let mut all = Work::take(self.rows * row);
        let rows = all.chunks_exact_mut(row).enumerate().collect();
        for_each(rows, |(index, out)| {
            Arch::new().dispatch(Row {
                grid: *self,
                planes,
                side: *side,
                index,
                out,
            });
        });
        all
    }
}

/// A row of tiles.
struct Row<'a> {
    grid: Grid,
    planes: &'a [f32],
    side: Side,
    /// Which of the grid.
    index: usize,
    /// `[product, column, channel]`
    out: &'a mut [f32],
}

impl Row<'_> {
    /// The pixels of the row, `[pixels, columns of the image and those that tiles see beyond it, channel]`, with zeros beyond the image.
    #[inline(always)]
    fn pixels(&self) -> (Work, usize) {
        let Self { grid, side, .. } = self;
        let before = (side.pixels - SIDE) / 2;
        let pitch = grid.columns * SIDE + 2 * before;
        let mut pixels = Work::zeros(side.pixels * pitch * side.padded);
        let tall = grid.height.div_ceil(SIDE);
        let (image, first) = (self.index / tall, self.index % tall * SIDE);
        let area = grid.height * grid.width;
        let planes = &self.planes[image * side.channels * area..][..side.channels * area];
        for (j, to) in pixels.chunks_exact_mut(pitch * side.padded).enumerate() {
            let Some(y) = (first + j).checked_sub(before).filter(|y| *y < grid.height) else {
                continue;
            };
            let to = &mut to[before * side.padded..];
            // As many channels at a time as a line of the cache holds.
            for group in (0..side.channels).step_by(16) {
                let n = (side.channels - group).min(16);
                let mut rows = [&[][..]; 16];
                for (k, row) in rows.iter_mut().enumerate() {
                    *row = &planes[(group + k.min(n - 1)) * area + y * grid.width..][..grid.width];
                }
                let pixels = to.chunks_exact_mut(side.padded).take(grid.width);
                if n == 16 {
                    for (x, to) in pixels.enumerate() {
                        let to = &mut to[group..group + 16];
                        for k in 0..16 {
                            to[k] = rows[k][x];
                        }
                    }
                } else {
                    for (x, to) in pixels.enumerate() {
                        for (to, row) in to[group..group + n].iter_mut().zip(&rows) {
                            *to = row[x];
                        }
                    }
                }
            }
        }
        (pixels, pitch)
    }

    /// [`Self::pixels`] transformed along columns, then along rows.
    #[inline(always)]
    fn transform<S: Simd, const N: usize>(self, simd: S, of: impl Fn([S::f32s; N]) -> [S::f32s; SEEN]) {
        let zero = simd.splat_f32s(0.0);
        let (pixels, pitch) = self.pixels();
        let Self { grid, side, out, .. } = self;
        let vectors = side.padded / S::F32_LANES;
        let stride = grid.stride(side.padded) / S::F32_LANES;
        let pixels = S::as_simd_f32s(&pixels).0;
        let out = S::as_mut_simd_f32s(out).0;
        let mut half = Work::take(SEEN * pitch * side.padded);
        let half = S::as_mut_simd_f32s(&mut half).0;
        for at in 0..pitch * vectors {
            let mut column = [zero; N];
            for (y, pixel) in column.iter_mut().enumerate() {
                *pixel = pixels[y * pitch * vectors + at];
            }
            for (p, part) in of(column).into_iter().enumerate() {
                half[p * pitch * vectors + at] = part;
            }
        }
        for p in 0..SEEN {
            let row = &half[p * pitch * vectors..][..pitch * vectors];
            let out = &mut out[p * SEEN * stride..][..SEEN * stride];
            for at in 0..grid.columns * vectors {
                let (column, v) = (at / vectors, at % vectors);
                let first = column * SIDE * vectors + v;
                let mut parts = [zero; N];
                for (x, part) in parts.iter_mut().enumerate() {
                    *part = row[first + x * vectors];
                }
                for (h, part) in of(parts).into_iter().enumerate() {
                    out[h * stride + at] = part;
                }
            }
        }
    }
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.side.pixels == SEEN {
            self.transform(
                simd,
                #[inline(always)]
                |pixels| seen(simd, pixels),
            );
        } else {
            self.transform(
                simd,
                #[inline(always)]
                |pixels| spread(simd, pixels),
            );
        }
    }
}

/// The sums over all tiles of one of the products.
struct Sums<'a> {
    grid: Grid,
    /// Transformed inputs, and how many there are for a tile.
    inputs: (&'a [f32], usize),
    /// Transformed gradients of the outputs.
    outputs: (&'a [f32], usize),
    product: usize,
    /// `[outputs, inputs]`
    out: &'a mut [f32],
}

/// The same with blocks of so many outputs.
struct Blocks<'a, const CHANNELS: usize>(Sums<'a>);

impl<const CHANNELS: usize> WithSimd for Blocks<'_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let vectors = self.0.inputs.1 / S::F32_LANES;
        let mut v = 0;
        while v < vectors {
            // Four as two and two: one alone would wait for its own sums.
            let n = match vectors - v {
                left if left == COLUMNS + 1 && COLUMNS > 2 => 2,
                left => left.min(COLUMNS),
            };
            match n {
                1 => self.group::<S, 1>(simd, v),
                2 => self.group::<S, 2>(simd, v),
                _ => self.group::<S, COLUMNS>(simd, v),
            }
            v += n;
        }
    }
}

impl<const CHANNELS: usize> Blocks<'_, CHANNELS> {
    /// The sums of `N` vectors of inputs from vector `v` on, with every output.
    #[inline(always)]
    fn group<S: Simd, const N: usize>(&mut self, simd: S, v: usize) {
        let Sums {
            grid,
            inputs: (seen, inputs),
            outputs: (made, outputs),
            product,
            out,
        } = &mut self.0;
        let lanes = S::F32_LANES;
        let rows = |of: usize| (PRODUCTS * grid.stride(of), *product * grid.stride(of));
        let ((seen_row, seen_at), (made_row, made_at)) = (rows(*inputs), rows(*outputs));
        for o in (0..*outputs).step_by(CHANNELS) {
            let mut local = [[simd.splat_f32s(0.0); N]; CHANNELS];
            for (x, y) in seen.chunks_exact(seen_row).zip(made.chunks_exact(made_row)) {
                let x = x[seen_at..][..grid.columns * *inputs].chunks_exact(*inputs);
                let y = y[made_at..][..grid.columns * *outputs].chunks_exact(*outputs);
                for (x, y) in x.zip(y) {
                    let x = &x[v * lanes..][..N * lanes];
                    let mut columns = [simd.splat_f32s(0.0); N];
                    columns.copy_from_slice(S::as_simd_f32s(x).0);
                    for (sums, y) in local.iter_mut().zip(&y[o..o + CHANNELS]) {
                        let y = simd.splat_f32s(*y);
                        for (sum, x) in sums.iter_mut().zip(columns) {
                            *sum = simd.mul_add_e_f32s(y, x, *sum);
                        }
                    }
                }
            }
            for (m, local) in local.iter().enumerate() {
                let to = &mut out[(o + m) * *inputs + v * lanes..][..N * lanes];
                S::as_mut_simd_f32s(to).0.copy_from_slice(local);
            }
        }
    }
}

/// The kernels of one output.
struct Kernels<'a> {
    /// `[product, output, input]`
    sums: &'a [f32],
    inputs: usize,
    outputs: usize,
    output: usize,
    /// `[input, 3, 3]`
    weights: &'a mut [f32],
}

impl WithSimd for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let sums = S::as_simd_f32s(self.sums).0;
        let (all, own) = (
            self.outputs * self.inputs / lanes,
            self.output * self.inputs / lanes,
        );
        for (v, weights) in self.weights.chunks_mut(lanes * 9).enumerate() {
            let zero = simd.splat_f32s(0.0);
            let mut half = [[zero; 3]; SEEN];
            for (p, half) in half.iter_mut().enumerate() {
                let mut row = [zero; SEEN];
                for (h, row) in row.iter_mut().enumerate() {
                    *row = sums[(p * SEEN + h) * all + own + v];
                }
                *half = gathered(simd, row);
            }
            for x in 0..3 {
                let mut column = [zero; SEEN];
                for (column, half) in column.iter_mut().zip(&half) {
                    *column = half[x];
                }
                for (y, sums) in gathered(simd, column).into_iter().enumerate() {
                    let sums: &[f32] = pulp::bytemuck::cast_slice(core::slice::from_ref(&sums));
                    for (weights, sum) in weights.chunks_exact_mut(9).zip(sums) {
                        weights[y * 3 + x] = *sum;
                    }
                }
            }
        }
    }
}
