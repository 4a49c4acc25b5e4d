//! Convolution on slices, a block of output channels and a run of pixels at a time.
//!
//! All tensors are row-major: images `[n, channels, height, width]`, weights `[outputs, inputs, kernel, kernel]`.
//!
//! Along columns a [`Transform`] saves half of the products of a 3x3 kernel: input rows are combined to lines, each part
//! of them is convolved along the rows by a kernel of its own, and the parts are combined to output rows. In a tile,
//! `CHANNELS` outputs by three vectors of pixels stay in registers while all inputs and taps pass: each tap is three loads of
//! neighbouring pixels and one broadcast weight per output.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};

use pulp::{Arch, Simd, WithSimd};

use super::lines::{Combination, Lines};
use super::square;
use super::transform::{MOST, Transform};
use crate::exec::{After, for_each};

/// Vectors of pixels, and taps of a gradient, in a tile: with four or eight channels they fill 16 or 32 registers. Without
/// fused multiply-add, which WebAssembly lacks, a product takes a register more, and three vectors would not fit.
pub(crate) const COLUMNS: usize = if cfg!(target_family = "wasm") { 2 } else { 3 };
/// Values of a band of lines: it stays in the second-level cache while all outputs pass over it.
pub(crate) const BAND: usize = 64 << 10;
/// A convolution of stride 1 with zero padding that keeps the size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Convolution {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
}

/// Most output channels in a tile.
const MOST_CHANNELS: usize = 8;

/// Output channels in a tile: as many as the registers hold.
pub(crate) fn channels(arch: Arch) -> usize {
    struct Registers;
    impl WithSimd for Registers {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::REGISTER_COUNT
        }
    }
    // WebAssembly promises nothing; most processors below it have 16.
    if arch.dispatch(Registers) < 32 || cfg!(target_family = "wasm") {
        MOST_CHANNELS / 2
    } else {
        MOST_CHANNELS
    }
}

/// Does a unit of work with the best instructions there are, for its number of channels and its kernel.
pub(crate) fn dispatch<W>(arch: Arch, channels: usize, kernel: usize, work: W)
where
    Tile<W, 4, 1>: WithSimd,
    Tile<W, 4, 3>: WithSimd,
    Tile<W, 8, 1>: WithSimd,
    Tile<W, 8, 3>: WithSimd,
{
    match (channels, kernel) {
        (4, 1) => drop(arch.dispatch(Tile::<W, 4, 1>(work))),
        (4, _) => drop(arch.dispatch(Tile::<W, 4, 3>(work))),
        (_, 1) => drop(arch.dispatch(Tile::<W, 8, 1>(work))),
        (_, _) => drop(arch.dispatch(Tile::<W, 8, 3>(work))),
    }
}

/// Work on tiles of so many channels, for a kernel of side `K`.
pub(crate) struct Tile<W, const CHANNELS: usize, const K: usize>(pub(crate) W);

impl Convolution {
    pub(crate) fn area(&self) -> usize {
        self.height * self.width
    }

    pub(crate) fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    pub(crate) fn transform(&self) -> &'static Transform {
        Transform::choose(self.kernel, self.height)
    }

    pub(crate) fn lines(&self, count: usize) -> Lines {
        Lines {
            width: self.width,
            count,
            radius: self.kernel / 2,
        }
    }

    /// How input rows become lines.
    pub(crate) fn combination(&self) -> Combination<'static> {
        let t = self.transform();
        Combination {
            factors: &t.input[..t.parts],
            advance: t.rows,
            read: t.rows + self.kernel - 1,
            before: self.kernel / 2,
        }
    }

    /// `x` convolved, plus `bias`; values below zero are then multiplied by `slope`.
    #[cfg(feature = "burn")]
    pub(crate) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], slope: f32) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / self.inputs * self.outputs];
        self.forward_into(x, weight, bias, &mut out, After::slope(slope));
        out
    }

    /// The same into `out`, with what comes after it.
    pub(crate) fn forward_into<'a>(
        &self,
        x: &'a [f32],
        weight: &[f32],
        bias: &[f32],
        out: &mut [f32],
        after: After<'_>,
    ) {
        if !square::serves(self) {
            return self.along_columns(x, weight, bias, out, after);
        }
        let image = |x: &'a [f32]| x.chunks_exact(self.area()).collect();
        let images: Vec<Vec<&[f32]>> = x.chunks_exact(self.inputs * self.area()).map(image).collect();
        square::forward(self, &images, weight, bias, out, after);
    }

    /// The same of one image whose channels lie in several parts.
    pub(crate) fn of_parts(
        &self,
        parts: &[&[f32]],
        weight: &[f32],
        bias: &[f32],
        out: &mut [f32],
        after: After<'_>,
    ) {
        match parts {
            [x] => self.forward_into(x, weight, bias, out, after),
            parts if square::serves(self) => {
                let image = parts
                    .iter()
                    .flat_map(|part| part.chunks_exact(self.area()))
                    .collect();
                square::forward(self, &[image], weight, bias, out, after);
            }
            parts => self.along_columns(&parts.concat(), weight, bias, out, after),
        }
    }

    /// The same by what is fastest for few channels.
    pub(super) fn along_columns(
        &self,
        x: &[f32],
        weight: &[f32],
        bias: &[f32],
        out: &mut [f32],
        after: After<'_>,
    ) {
        let (inputs, taps) = (self.inputs, self.taps());
        let straight = |o: usize, i: usize, tap: usize| weight[(o * inputs + i) * taps + tap];
        self.pass_into(x, straight, bias, out, after);
    }

    /// A pass over all images. `weight` is given output, input and tap.
    fn pass_into(
        &self,
        x: &[f32],
        weight: impl Fn(usize, usize, usize) -> f32 + Sync,
        bias: &[f32],
        out: &mut [f32],
        after: After<'_>,
    ) {
        let (arch, area, transform) = (Arch::new(), self.area(), self.transform());
        if out.is_empty() {
            return;
        }
        let channels = channels(arch);
        let packed = self.packed(weight, channels);
        let line = self.inputs * transform.parts * self.lines(0).pitch();
        let rows = transform.rows * (BAND / line).clamp(1, self.height.div_ceil(transform.rows));
        let mut units = Vec::new();
        for (image, out) in out.chunks_exact_mut(self.outputs * area).enumerate() {
            let mut bands: Vec<Vec<&mut [f32]>> = Vec::new();
            bands.resize_with(self.height.div_ceil(rows), Vec::new);
            for plane in out.chunks_exact_mut(area) {
                for (band, part) in bands.iter_mut().zip(plane.chunks_mut(rows * self.width)) {
                    band.push(part);
                }
            }
            units.extend(bands.into_iter().enumerate().map(|(i, out)| Band {
                convolution: *self,
                x,
                image,
                first: i * rows,
                out,
                packed: &packed,
                bias,
                after,
            }));
        }
        for_each(units, |band| dispatch(arch, channels, self.kernel, band));
    }

    /// The transformed weights in the order of their use: block of `channels` outputs, part, input, column, output. Outputs
    /// that fill up the last block are zero.
    fn packed(&self, weight: impl Fn(usize, usize, usize) -> f32 + Sync, channels: usize) -> Vec<f32> {
        let transform = self.transform();
        let (each, k) = (self.inputs * self.kernel, self.kernel);
        let block = transform.parts * each * channels;
        let mut packed = vec![0.0; self.outputs.div_ceil(channels) * block];
        let blocks = packed.chunks_exact_mut(block).enumerate().collect();
        for_each(blocks, |(block, packed): (usize, &mut [f32])| {
            let first = block * channels;
            let outputs = first..self.outputs.min(first + channels);
            for (i, kx) in (0..self.inputs).flat_map(|i| (0..k).map(move |kx| (i, kx))) {
                let mut column = [[0.0; MOST_CHANNELS]; 3];
                for (ky, row) in column[..k].iter_mut().enumerate() {
                    for (w, o) in row.iter_mut().zip(outputs.clone()) {
                        *w = weight(o, i, ky * k + kx);
                    }
                }
                for (part, g) in transform.kernel[..transform.parts].iter().enumerate() {
                    let to = &mut packed[(part * each + i * k + kx) * channels..][..channels];
                    for (o, to) in to.iter_mut().enumerate() {
                        *to = g[0] * column[0][o] + g[1] * column[1][o] + g[2] * column[2][o];
                    }
                }
            }
        });
        packed
    }
}

/// A band of rows of all outputs of one image.
struct Band<'a> {
    convolution: Convolution,
    /// All inputs of all images.
    x: &'a [f32],
    image: usize,
    /// First row.
    first: usize,
    /// These rows of each output.
    out: Vec<&'a mut [f32]>,
    packed: &'a [f32],
    bias: &'a [f32],
    after: After<'a>,
}

impl<const CHANNELS: usize, const K: usize> WithSimd for Tile<Band<'_>, CHANNELS, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Band {
            convolution: c,
            x,
            image,
            first,
            mut out,
            packed,
            bias,
            after,
        } = self.0;
        let transform = c.transform();
        let lines = c.lines((out[0].len() / c.width).div_ceil(transform.rows));
        let mut planes = vec![0.0; c.inputs * transform.parts * lines.plane()];
        for (i, planes) in planes
            .chunks_exact_mut(transform.parts * lines.plane())
            .enumerate()
        {
            let from = (x, image * c.inputs + i, c.height);
            lines.fill(c.combination(), from, first, (0, lines.count), planes);
        }
        let vectors = lines.span().div_ceil(S::F32_LANES);
        let blocks = packed
            .chunks_exact(transform.parts * c.inputs * K * CHANNELS)
            .zip(out.chunks_mut(CHANNELS).zip(bias.chunks(CHANNELS)));
        for (first_output, (weights, (out, bias))) in (0..).step_by(CHANNELS).zip(blocks) {
            let mut block = Block::<CHANNELS, K> {
                planes: &planes,
                lines,
                transform,
                weights: weights.as_chunks::<CHANNELS>().0,
                out,
                bias,
                after,
            };
            for v in (0..vectors).step_by(COLUMNS) {
                let q = v * S::F32_LANES;
                match vectors - v {
                    1 => block.tile::<S, 1>(simd, q),
                    left if left < COLUMNS => block.tile::<S, 2>(simd, q),
                    _ => block.tile::<S, COLUMNS>(simd, q),
                }
            }
            if let Some(finish) = after.finish {
                for (output, out) in (first_output..).zip(block.out) {
                    finish(output, first * c.width, out);
                }
            }
        }
    }
}

/// A band of a block of outputs.
struct Block<'a, 'b, const CHANNELS: usize, const K: usize> {
    /// A plane for each input and part.
    planes: &'a [f32],
    lines: Lines,
    transform: &'static Transform,
    weights: &'a [[f32; CHANNELS]],
    out: &'a mut [&'b mut [f32]],
    bias: &'a [f32],
    after: After<'a>,
}

impl<const CHANNELS: usize, const K: usize> Block<'_, '_, CHANNELS, K> {
    /// The results of `N` vectors of pixels from `q` on.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(&mut self, simd: S, q: usize) {
        let (pixels, t, width) = (N * S::F32_LANES, self.transform, self.lines.width);
        let mut sums = [[[simd.splat_f32s(0.0); N]; CHANNELS]; MOST];
        for (part, sums) in sums[..t.parts].iter_mut().enumerate() {
            *sums = self.sums::<S, N>(simd, part, q);
        }
        let (zero, slope) = (simd.splat_f32s(0.0), simd.splat_f32s(self.after.slope));
        for (m, (bias, out)) in self.bias.iter().zip(self.out.iter_mut()).enumerate() {
            let bias = simd.splat_f32s(*bias);
            for row in 0..t.rows {
                let mut y = [bias; N];
                for (sums, factors) in sums.iter().zip(&t.output[..t.parts]) {
                    let factor = simd.splat_f32s(factors[row]);
                    for (y, sum) in y.iter_mut().zip(&sums[m]) {
                        *y = simd.mul_add_e_f32s(factor, *sum, *y);
                    }
                }
                for y in &mut y {
                    let below = simd.less_than_f32s(*y, zero);
                    *y = simd.select_f32s(below, simd.mul_f32s(*y, slope), *y);
                }
                for (run, line, column) in self.lines.runs(q, pixels) {
                    let start = (line * t.rows + row) * width + column;
                    let Some(out) = out.get_mut(start..start + run.len()) else {
                        break;
                    };
                    // Nearly all runs are whole tiles: those are stored without the call that copies a few bytes.
                    if run.len() == pixels {
                        let out = S::as_mut_simd_f32s(out).0;
                        if self.after.adds {
                            for (y, out) in y.iter_mut().zip(&*out) {
                                *y = simd.add_f32s(*out, *y);
                            }
                        }
                        out.copy_from_slice(&y);
                    } else {
                        let values: &[f32] = pulp::bytemuck::cast_slice(&y);
                        let pairs = out.iter_mut().zip(&values[run]);
                        if self.after.adds {
                            pairs.for_each(|(out, y)| *out += y);
                        } else {
                            pairs.for_each(|(out, y)| *out = *y);
                        }
                    }
                }
            }
        }
    }

    /// The sums of a part over all inputs and taps. Apart from what is done with them: nothing may look at them in memory
    /// while they grow, or they leave the registers.
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(&self, simd: S, part: usize, q: usize) -> [[S::f32s; N]; CHANNELS] {
        let (pixels, plane) = (N * S::F32_LANES, self.lines.plane());
        let mut sums = [[simd.splat_f32s(0.0); N]; CHANNELS];
        let each = self.weights.len() / self.transform.parts;
        let mut weights = self.weights[part * each..][..each].iter();
        let planes = self
            .planes
            .chunks_exact(plane)
            .skip(part)
            .step_by(self.transform.parts);
        for plane in planes {
            let line = &plane[q..][..pixels + K - 1];
            for kx in 0..K {
                let mut x = [simd.splat_f32s(0.0); N];
                x.copy_from_slice(S::as_simd_f32s(&line[kx..kx + pixels]).0);
                let Some(weights) = weights.next() else {
                    return sums;
                };
                for (sums, w) in sums.iter_mut().zip(weights) {
                    let w = simd.splat_f32s(*w);
                    for (sum, x) in sums.iter_mut().zip(x) {
                        *sum = simd.mul_add_e_f32s(w, x, *sum);
                    }
                }
            }
        }
        sums
    }
}
