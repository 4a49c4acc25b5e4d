//! Convolution and its gradients on slices, a block of output channels and a run of pixels at a time.
//!
//! All tensors are row-major: images `[n, channels, height, width]`, weights `[outputs, inputs, kernel, kernel]`.
//!
//! Forward, a tile of `CHANNELS` outputs by three vectors of pixels stays in registers while all taps pass: each tap is
//! three loads of neighbouring pixels and one broadcast weight per output. The gradient of the input is the same pass
//! with the weights turned round. The gradient of the weights keeps, for `CHANNELS` outputs by three taps, vectors of
//! partial sums over the pixels, which are added up at the end.

use alloc::{vec, vec::Vec};

use pulp::{Arch, Simd, WithSimd};

use super::padded::Padded;

/// Sides of kernels that this module serves.
pub(super) const KERNELS: [usize; 2] = [1, 3];
/// Vectors of pixels, and taps of a gradient, in a tile: with four or eight channels they fill 16 or 32 registers.
const COLUMNS: usize = 3;
/// Padded values of a band of rows: it stays in the second-level cache while all outputs pass over it.
const BAND: usize = 48 << 10;
/// Pixels over which the gradient of the weights works at a time: those of a block of outputs stay in the first-level
/// cache while all taps pass.
const RUN: usize = 1024;
/// Values in a line of the cache: a vector that begins at a multiple of it is read at once.
const LINE: usize = 16;
/// Inputs of one unit of work on the gradient of the weights.
const INPUTS: usize = 32;

/// A convolution of stride 1 with zero padding that keeps the size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolution {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

/// Does every unit, on all threads where there are several.
fn for_each<T: Send>(units: Vec<T>, work: impl Fn(T) + Sync + Send) {
    #[cfg(feature = "rayon")]
    rayon::iter::ParallelIterator::for_each(rayon::iter::IntoParallelIterator::into_par_iter(units), work);
    #[cfg(not(feature = "rayon"))]
    units.into_iter().for_each(work);
}

/// Output channels in a tile: as many as the registers hold.
fn channels(arch: Arch) -> usize {
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
        4
    } else {
        8
    }
}

impl Convolution {
    fn area(&self) -> usize {
        self.height * self.width
    }

    fn taps(&self) -> usize {
        self.kernel * self.kernel
    }

    /// `x` convolved, plus `bias`; values below zero are then multiplied by `slope`.
    pub(super) fn forward(&self, x: &[f32], weight: &[f32], bias: &[f32], slope: f32) -> Vec<f32> {
        let (arch, area) = (Arch::new(), self.area());
        let mut out = vec![0.0; x.len() / self.inputs * self.outputs];
        if out.is_empty() {
            return out;
        }
        let channels = channels(arch);
        let packed = self.packed(weight, channels);
        let radius = self.kernel / 2;
        let pitch = Padded::new(self.width, 0, radius).pitch();
        let rows = (BAND / self.inputs / pitch).clamp(1, self.height);
        let mut units = Vec::new();
        let images = x
            .chunks_exact(self.inputs * area)
            .zip(out.chunks_exact_mut(self.outputs * area));
        for (x, out) in images {
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
                first: i * rows,
                out,
                packed: &packed,
                bias,
                slope,
            }));
        }
        for_each(units, |band| {
            if channels == 8 {
                arch.dispatch(Tiled::<8>(band));
            } else {
                arch.dispatch(Tiled::<4>(band));
            }
        });
        out
    }

    /// The gradient with respect to the input, given that with respect to the result before its activation.
    pub(super) fn input_gradient(&self, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        let taps = self.taps();
        let mut turned = vec![0.0; weight.len()];
        for o in 0..self.outputs {
            for i in 0..self.inputs {
                let from = &weight[(o * self.inputs + i) * taps..][..taps];
                let to = &mut turned[(i * self.outputs + o) * taps..][..taps];
                to.iter_mut().zip(from.iter().rev()).for_each(|(t, f)| *t = *f);
            }
        }
        let back = Self {
            inputs: self.outputs,
            outputs: self.inputs,
            ..*self
        };
        back.forward(gradient, &turned, &vec![0.0; self.inputs], 1.0)
    }

    /// The gradients with respect to weights and biases, given that with respect to the result before its activation.
    pub(super) fn parameter_gradients(&self, x: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (arch, area) = (Arch::new(), self.area());
        let layout = Padded::new(self.width, self.height, self.kernel / 2);
        let pad = |planes: &[f32]| {
            let mut padded = vec![Vec::new(); planes.len() / area];
            let units = padded.iter_mut().zip(planes.chunks_exact(area)).collect();
            for_each(units, |(to, plane): (&mut Vec<f32>, &[f32])| {
                to.reserve_exact(layout.plane());
                layout.push(plane, 0, to);
            });
            padded
        };
        let (x, dy) = (pad(x), pad(gradient));
        let channels = channels(arch);
        let mut units: Vec<Sums> = Vec::new();
        for first_output in (0..self.outputs).step_by(channels) {
            for first_input in (0..self.inputs).step_by(INPUTS) {
                units.push(Sums {
                    convolution: *self,
                    layout,
                    x: &x,
                    dy: &dy,
                    outputs: first_output..self.outputs.min(first_output + channels),
                    inputs: first_input..self.inputs.min(first_input + INPUTS),
                    done: Vec::new(),
                    bias: Vec::new(),
                });
            }
        }
        for_each(units.iter_mut().collect(), |sums| {
            if channels == 8 {
                arch.dispatch(Summed::<8>(sums));
            } else {
                arch.dispatch(Summed::<4>(sums));
            }
        });
        let mut weight = vec![0.0; self.outputs * self.inputs * self.taps()];
        let mut bias = vec![0.0; self.outputs];
        for sums in &units {
            bias[sums.outputs.clone()].copy_from_slice(&sums.bias);
            let length = sums.inputs.len() * self.taps();
            for (o, done) in sums.outputs.clone().zip(sums.done.chunks_exact(length)) {
                let start = (o * self.inputs + sums.inputs.start) * self.taps();
                weight[start..start + length].copy_from_slice(done);
            }
        }
        (weight, bias)
    }

    /// The weights in the order of their use: block of `channels` outputs, input, tap, output. Outputs that fill up the last
    /// block are zero.
    fn packed(&self, weight: &[f32], channels: usize) -> Vec<f32> {
        let each = self.inputs * self.taps();
        let mut packed = vec![0.0; self.outputs.div_ceil(channels) * each * channels];
        for (o, weights) in weight.chunks_exact(each).enumerate() {
            let block = &mut packed[o / channels * each * channels..][..each * channels];
            for (w, to) in weights.iter().zip(block.chunks_exact_mut(channels)) {
                to[o % channels] = *w;
            }
        }
        packed
    }
}

/// A band of rows of all outputs of one image.
struct Band<'a> {
    convolution: Convolution,
    /// All inputs of the image.
    x: &'a [f32],
    /// First row.
    first: usize,
    /// These rows of each output.
    out: Vec<&'a mut [f32]>,
    packed: &'a [f32],
    bias: &'a [f32],
    slope: f32,
}

struct Tiled<'a, const CHANNELS: usize>(Band<'a>);

impl<const CHANNELS: usize> WithSimd for Tiled<'_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Band {
            convolution: c,
            x,
            first,
            mut out,
            packed,
            bias,
            slope,
        } = self.0;
        let layout = Padded::new(c.width, out[0].len() / c.width, c.kernel / 2);
        let mut padded = Vec::with_capacity(c.inputs * layout.plane());
        for plane in x.chunks_exact(c.area()) {
            layout.push(plane, first, &mut padded);
        }
        let vectors = layout.span().div_ceil(S::F32_LANES);
        let blocks = packed
            .chunks_exact(c.inputs * c.taps() * CHANNELS)
            .zip(out.chunks_mut(CHANNELS).zip(bias.chunks(CHANNELS)));
        for (weights, (out, bias)) in blocks {
            let mut block = Block {
                padded: &padded,
                layout,
                kernel: c.kernel,
                weights: weights.as_chunks::<CHANNELS>().0,
                out,
                bias,
                slope,
            };
            for v in (0..vectors).step_by(COLUMNS) {
                let q = v * S::F32_LANES;
                match vectors - v {
                    1 => block.tile::<S, 1>(simd, q),
                    2 => block.tile::<S, 2>(simd, q),
                    _ => block.tile::<S, COLUMNS>(simd, q),
                }
            }
        }
    }
}

/// A band of a block of outputs.
struct Block<'a, 'b, const CHANNELS: usize> {
    padded: &'a [f32],
    layout: Padded,
    kernel: usize,
    weights: &'a [[f32; CHANNELS]],
    out: &'a mut [&'b mut [f32]],
    bias: &'a [f32],
    slope: f32,
}

impl<const CHANNELS: usize> Block<'_, '_, CHANNELS> {
    /// The results of `N` vectors of pixels from `q` on.
    #[inline(always)]
    fn tile<S: Simd, const N: usize>(&mut self, simd: S, q: usize) {
        let pixels = N * S::F32_LANES;
        let mut sums = self.sums::<S, N>(simd, q);
        let (zero, slope) = (simd.splat_f32s(0.0), simd.splat_f32s(self.slope));
        for ((sums, bias), out) in sums.iter_mut().zip(self.bias).zip(self.out.iter_mut()) {
            let bias = simd.splat_f32s(*bias);
            for sum in sums.iter_mut() {
                let y = simd.add_f32s(*sum, bias);
                let below = simd.less_than_f32s(y, zero);
                *sum = simd.select_f32s(below, simd.mul_f32s(y, slope), y);
            }
            let values: &[f32] = pulp::bytemuck::cast_slice(sums);
            for (run, to) in self.layout.runs(q, pixels) {
                let length = run.len();
                out[to..to + length].copy_from_slice(&values[run]);
            }
        }
    }

    /// The sums over all inputs and taps. Apart from what is done with them: nothing may look at them in memory while
    /// they grow, or they leave the registers.
    #[inline(always)]
    fn sums<S: Simd, const N: usize>(&self, simd: S, q: usize) -> [[S::f32s; N]; CHANNELS] {
        let (pixels, pitch) = (N * S::F32_LANES, self.layout.pitch());
        let mut sums = [[simd.splat_f32s(0.0); N]; CHANNELS];
        let mut weights = self.weights.iter();
        for plane in self.padded.chunks_exact(self.layout.plane()) {
            for ky in 0..self.kernel {
                let row = &plane[q + ky * pitch..][..pixels + self.kernel - 1];
                for kx in 0..self.kernel {
                    let mut x = [simd.splat_f32s(0.0); N];
                    x.copy_from_slice(S::as_simd_f32s(&row[kx..kx + pixels]).0);
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
        }
        sums
    }
}

/// The gradient of the weights between a block of outputs and some inputs.
struct Sums<'a> {
    convolution: Convolution,
    layout: Padded,
    /// All inputs of all images, padded.
    x: &'a [Vec<f32>],
    /// The gradients of all outputs of all images, padded.
    dy: &'a [Vec<f32>],
    outputs: core::ops::Range<usize>,
    inputs: core::ops::Range<usize>,
    /// `[outputs, inputs, taps]`
    done: Vec<f32>,
    /// `[outputs]`
    bias: Vec<f32>,
}

struct Summed<'a, 'b, const CHANNELS: usize>(&'b mut Sums<'a>);

impl<const CHANNELS: usize> WithSimd for Summed<'_, '_, CHANNELS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sums = self.0;
        let (c, layout) = (sums.convolution, sums.layout);
        let (lanes, pitch) = (S::F32_LANES, layout.pitch());
        let views = sums.inputs.len() * c.taps();
        // Input and distance of each tap, in groups; past a short last group the last one stands in: nobody reads it.
        let groups: Vec<[(usize, usize); COLUMNS]> = (0..views.div_ceil(COLUMNS))
            .map(|group| {
                core::array::from_fn(|j| {
                    let view = (group * COLUMNS + j).min(views - 1);
                    let (ky, kx) = (view % c.taps() / c.kernel, view % c.kernel);
                    (view / c.taps(), ky * pitch + kx)
                })
            })
            .collect();
        let mut store = vec![0.0; RUN * CHANNELS + LINE];
        let start = store.as_ptr().align_offset(LINE * size_of::<f32>());
        let (store, _) = S::as_mut_simd_f32s(&mut store[start.min(LINE)..]);
        let (packed, _) = store.as_chunks_mut::<CHANNELS>();
        let mut bias = [simd.splat_f32s(0.0); CHANNELS];
        let mut partial = vec![[[simd.splat_f32s(0.0); COLUMNS]; CHANNELS]; groups.len()];
        let last = sums.outputs.len() - 1;
        let images = sums
            .x
            .chunks_exact(c.inputs)
            .zip(sums.dy.chunks_exact(c.outputs));
        for (x, dy) in images {
            let (x, dy) = (&x[sums.inputs.clone()], &dy[sums.outputs.clone()]);
            for q in (0..layout.span()).step_by(RUN) {
                let steps = (layout.span() - q).min(RUN).div_ceil(lanes);
                // Past a short last block the last output stands in.
                let packed = &mut packed[..steps];
                for m in 0..CHANNELS {
                    let from = layout.origin() + q;
                    let dy = S::as_simd_f32s(&dy[m.min(last)][from..from + steps * lanes]).0;
                    for (to, dy) in packed.iter_mut().zip(dy) {
                        to[m] = *dy;
                        bias[m] = simd.add_f32s(bias[m], *dy);
                    }
                }
                for (group, sums) in groups.iter().zip(&mut partial) {
                    let mut taps: [&[S::f32s]; COLUMNS] = [&[]; COLUMNS];
                    for (tap, (input, offset)) in taps.iter_mut().zip(group) {
                        let from = q + offset;
                        *tap = S::as_simd_f32s(&x[*input][from..from + steps * lanes]).0;
                    }
                    add_products(simd, sums, packed, taps);
                }
            }
        }
        sums.bias = bias[..=last].iter().map(|b| simd.reduce_sum_f32s(*b)).collect();
        sums.done = vec![0.0; sums.outputs.len() * views];
        for (m, done) in sums.done.chunks_exact_mut(views).enumerate() {
            for (view, done) in done.iter_mut().enumerate() {
                *done = simd.reduce_sum_f32s(partial[view / COLUMNS][m][view % COLUMNS]);
            }
        }
    }
}

/// Adds to `sums` the products of every output with every tap over vectors of pixels.
#[inline(always)]
fn add_products<S: Simd, const CHANNELS: usize>(
    simd: S,
    sums: &mut [[S::f32s; COLUMNS]; CHANNELS],
    dy: &[[S::f32s; CHANNELS]],
    x: [&[S::f32s]; COLUMNS],
) {
    // A copy of their own, value by value, stays in the registers.
    let mut local = [[simd.splat_f32s(0.0); COLUMNS]; CHANNELS];
    for m in 0..CHANNELS {
        for j in 0..COLUMNS {
            local[m][j] = sums[m][j];
        }
    }
    for (((dy, x0), x1), x2) in dy.iter().zip(x[0]).zip(x[1]).zip(x[2]) {
        let x = [*x0, *x1, *x2];
        for m in 0..CHANNELS {
            for j in 0..COLUMNS {
                local[m][j] = simd.mul_add_e_f32s(dy[m], x[j], local[m][j]);
            }
        }
    }
    for m in 0..CHANNELS {
        for j in 0..COLUMNS {
            sums[m][j] = local[m][j];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    fn normal(random: &mut SplitMix64, n: usize) -> Vec<f32> {
        (0..n).map(|_| random.normal() as f32).collect()
    }

    /// Calls `at` with (output, weight, input) for each product of the definition.
    fn products(c: &Convolution, n: usize, mut at: impl FnMut(usize, usize, usize)) {
        let r = c.kernel / 2;
        for (image, o, i) in (0..n).flat_map(|n| {
            (0..c.outputs).flat_map(move |o| (0..c.inputs).map(move |i| (n, o, i)))
        }) {
            for (y, x) in (0..c.height).flat_map(|y| (0..c.width).map(move |x| (y, x))) {
                for (ky, kx) in (0..c.kernel).flat_map(|ky| (0..c.kernel).map(move |kx| (ky, kx))) {
                    let (sy, sx) = (y + ky, x + kx);
                    if sy >= r && sx >= r && sy - r < c.height && sx - r < c.width {
                        at(
                            ((image * c.outputs + o) * c.height + y) * c.width + x,
                            ((o * c.inputs + i) * c.kernel + ky) * c.kernel + kx,
                            ((image * c.inputs + i) * c.height + sy - r) * c.width + sx - r,
                        );
                    }
                }
            }
        }
    }

    fn close(got: &[f32], want: &[f64], what: &str) {
        assert_eq!(got.len(), want.len(), "{what}");
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!((f64::from(*g) - w).abs() < 1e-4 * (1.0 + w.abs()), "{what} {i}: {g} {w}");
        }
    }

    /// All three passes against their definitions in `f64`.
    fn check(c: Convolution, n: usize, slope: f32, seed: u64) {
        let mut random = SplitMix64::new(seed);
        let area = c.height * c.width;
        let x = normal(&mut random, n * c.inputs * area);
        let weight = normal(&mut random, c.outputs * c.inputs * c.taps());
        let bias = normal(&mut random, c.outputs);
        let dy = normal(&mut random, n * c.outputs * area);
        let mut y: Vec<f64> = (0..dy.len()).map(|i| f64::from(bias[i / area % c.outputs])).collect();
        let mut dx = vec![0.0; x.len()];
        let mut dw = vec![0.0; weight.len()];
        let mut db = vec![0.0; c.outputs];
        products(&c, n, |o, w, i| {
            y[o] += f64::from(weight[w]) * f64::from(x[i]);
            dx[i] += f64::from(weight[w]) * f64::from(dy[o]);
            dw[w] += f64::from(x[i]) * f64::from(dy[o]);
        });
        dy.iter().enumerate().for_each(|(i, g)| db[i / area % c.outputs] += f64::from(*g));
        y.iter_mut().filter(|y| **y < 0.0).for_each(|y| *y *= f64::from(slope));
        close(&c.forward(&x, &weight, &bias, slope), &y, "forward");
        close(&c.input_gradient(&dy, &weight), &dx, "input gradient");
        let (weights, biases) = c.parameter_gradients(&x, &dy);
        close(&weights, &dw, "weight gradient");
        close(&biases, &db, "bias gradient");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn passes_are_their_definitions(
            (inputs, outputs, wide) in (1usize..12, 1usize..20, any::<bool>()),
            (height, width, n) in (1usize..9, 1usize..60, 1usize..4),
            (slope, seed) in (0.0f32..1.0, any::<u64>()),
        ) {
            let kernel = if wide { 3 } else { 1 };
            check(Convolution { inputs, outputs, kernel, height, width }, n, slope, seed);
        }
    }

    /// More rows than a band, more pixels than a run, more inputs than a unit of work.
    #[test]
    fn large_planes_are_cut_and_put_together() {
        let c = Convolution {
            inputs: 40,
            outputs: 9,
            kernel: 3,
            height: 61,
            width: 40,
        };
        assert!(BAND / c.inputs / c.width < c.height && RUN < c.area() && INPUTS < c.inputs);
        check(c, 2, 0.1, 5);
    }
}
