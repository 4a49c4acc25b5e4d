//! The gradients of a convolution on slices.
//!
//! That of the input is the forward pass with the weights turned round. That of the weights is the transform's transpose: it
//! keeps, for `CHANNELS` outputs by three taps, vectors of partial sums over the pixels of all images, which are combined
//! and added up at the end.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};
use core::array::from_fn;
use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::convolution::{COLUMNS, Convolution, Tile, channels, dispatch};
use super::lines::{Combination, Lines};
use super::work::Work;
use super::{square, square_gradient};
use crate::exec::for_each;
use crate::exec::lanes::{sum, vectorised};

/// Pixels over which the gradient of the weights works at a time: those of a block of outputs stay in the first-level
/// cache while all taps pass.
const RUN: usize = 1024;
/// Outputs and inputs of one unit of work on the gradient of the weights.
const OUTPUTS: usize = 16;
const INPUTS: usize = 32;

impl Convolution {
    /// The gradient with respect to the input.
    pub(crate) fn input_gradient(&self, gradient: &[f32], weight: &[f32]) -> Vec<f32> {
        let back = Self {
            inputs: self.outputs,
            outputs: self.inputs,
            ..*self
        };
        let (inputs, taps) = (self.inputs, self.taps());
        // Output and input change places, and the kernel is turned round.
        let mut turned_round = vec![0.0; weight.len()];
        let kernels = turned_round.chunks_exact_mut(taps).enumerate();
        for (at, kernel) in kernels {
            let (i, o) = (at / self.outputs, at % self.outputs);
            let given = &weight[(o * inputs + i) * taps..][..taps];
            kernel
                .iter_mut()
                .zip(given.iter().rev())
                .for_each(|(to, w)| *to = *w);
        }
        back.forward(gradient, &turned_round, &vec![0.0; self.inputs], 1.0)
    }

    /// The gradients with respect to weights and biases.
    pub(crate) fn parameter_gradients(&self, x: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        if square::serves(self) {
            return (square_gradient::weights(self, x, gradient), self.biases(gradient));
        }
        self.gradients_along_columns(x, gradient)
    }

    /// The gradient with respect to the biases.
    fn biases(&self, gradient: &[f32]) -> Vec<f32> {
        let planes = gradient.chunks_exact(self.area()).enumerate();
        let mut biases = vec![0.0; self.outputs];
        for (plane, values) in planes {
            biases[plane % self.outputs] += vectorised(|| sum(values, |y| y));
        }
        biases.into_iter().map(|b: f64| b as f32).collect()
    }

    /// The same by what is fastest for few channels.
    fn gradients_along_columns(&self, x: &[f32], gradient: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (arch, transform) = (Arch::new(), self.transform());
        let images = gradient.len() / (self.outputs * self.area()).max(1);
        let lines = self.lines(images * self.height.div_ceil(transform.rows));
        let filled = |from: &[f32], channels: usize, how: Combination| {
            let mut planes = vec![Vec::new(); channels];
            for_each(planes.iter_mut().enumerate().collect(), |(channel, out)| {
                arch.dispatch(Filled {
                    lines,
                    how,
                    from,
                    channel: (channel, channels),
                    height: self.height,
                    images,
                    out,
                });
            });
            planes
        };
        let x = filled(x, self.inputs, self.combination());
        let back = Combination {
            factors: &transform.output[..transform.parts],
            advance: transform.rows,
            read: transform.rows,
            before: 0,
        };
        let dy = filled(gradient, self.outputs, back);
        let channels = channels(arch);
        let mut units: Vec<Sums> = Vec::new();
        for first_output in (0..self.outputs).step_by(OUTPUTS) {
            for first_input in (0..self.inputs).step_by(INPUTS) {
                units.push(Sums {
                    convolution: *self,
                    lines,
                    x: &x,
                    dy: &dy,
                    outputs: first_output..self.outputs.min(first_output + OUTPUTS),
                    inputs: first_input..self.inputs.min(first_input + INPUTS),
                    weight: Vec::new(),
                    bias: Vec::new(),
                });
            }
        }
        for_each(units.iter_mut().collect(), |sums: &mut Sums| {
            dispatch(arch, channels, self.kernel, sums);
        });
        let mut weight = vec![0.0; self.outputs * self.inputs * self.taps()];
        let mut bias = vec![0.0; self.outputs];
        for sums in &units {
            bias[sums.outputs.clone()].copy_from_slice(&sums.bias);
            let length = sums.inputs.len() * self.taps();
            for (o, done) in sums.outputs.clone().zip(sums.weight.chunks_exact(length)) {
                let start = (o * self.inputs + sums.inputs.start) * self.taps();
                weight[start..start + length].copy_from_slice(done);
            }
        }
        (weight, bias)
    }
}

/// The lines of one channel of all images, a plane per part.
struct Filled<'a> {
    lines: Lines,
    how: Combination<'a>,
    from: &'a [f32],
    /// Which of how many.
    channel: (usize, usize),
    height: usize,
    images: usize,
    out: &'a mut Vec<f32>,
}

impl WithSimd for Filled<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        self.out.resize(self.how.factors.len() * self.lines.plane(), 0.0);
        let each = self.lines.count / self.images.max(1);
        for image in 0..self.images {
            let from = (self.from, image * self.channel.1 + self.channel.0, self.height);
            self.lines.fill(self.how, from, 0, (image * each, each), self.out);
        }
    }
}

/// The gradient of the weights between some outputs and some inputs.
struct Sums<'a> {
    convolution: Convolution,
    lines: Lines,
    /// The planes of each input.
    x: &'a [Vec<f32>],
    /// The planes of each output's gradient.
    dy: &'a [Vec<f32>],
    outputs: Range<usize>,
    inputs: Range<usize>,
    /// `[outputs, inputs, taps]`
    weight: Vec<f32>,
    /// `[outputs]`
    bias: Vec<f32>,
}

impl<const CHANNELS: usize, const K: usize> WithSimd for Tile<&mut Sums<'_>, CHANNELS, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sums {
            convolution: c,
            lines,
            x,
            dy,
            outputs,
            inputs,
            weight,
            bias,
        } = self.0;
        let (lanes, plane, transform) = (S::F32_LANES, lines.plane(), c.transform());
        let (x, dy) = (&x[inputs.clone()], &dy[outputs.clone()]);
        // Input and column of each tap, in groups; past a short last group the last one stands in: nobody reads it.
        let views = x.len() * K;
        let groups: Vec<[(usize, usize); COLUMNS]> = (0..views.div_ceil(COLUMNS))
            .map(|group| {
                from_fn(|j| {
                    let view = (group * COLUMNS + j).min(views - 1);
                    (view / K, view % K)
                })
            })
            .collect();
        let mut store = Work::take(RUN * CHANNELS);
        let (store, _) = S::as_mut_simd_f32s(&mut store);
        let (packed, _) = store.as_chunks_mut::<CHANNELS>();
        let zero = simd.splat_f32s(0.0);
        let blocks = dy.len().div_ceil(CHANNELS);
        let mut all = vec![[zero; CHANNELS]; blocks];
        let mut partial = vec![[[zero; COLUMNS]; CHANNELS]; blocks * groups.len()];
        *weight = vec![0.0; dy.len() * x.len() * K * K];
        for part in 0..transform.parts {
            for q in (0..lines.span()).step_by(RUN) {
                let steps = (lines.span() - q).min(RUN).div_ceil(lanes);
                let packed = &mut packed[..steps];
                let blocks = dy.chunks(CHANNELS).zip(partial.chunks_exact_mut(groups.len()));
                for ((block, (dy, partial)), all) in blocks.enumerate().zip(&mut all) {
                    for m in 0..CHANNELS {
                        let from = part * plane + lines.radius + q;
                        // Past a short last block the last output stands in.
                        let dy = &dy[m.min(dy.len() - 1)][from..from + steps * lanes];
                        let mut sum = zero;
                        for (to, dy) in packed.iter_mut().zip(S::as_simd_f32s(dy).0) {
                            to[m] = *dy;
                            sum = simd.add_f32s(sum, *dy);
                        }
                        let share = simd.splat_f32s(transform.total[part]);
                        all[m] = simd.mul_add_e_f32s(share, sum, all[m]);
                    }
                    for (g, (group, sums)) in groups.iter().zip(partial).enumerate() {
                        let mut taps: [&[S::f32s]; COLUMNS] = [&[]; COLUMNS];
                        for (tap, (input, kx)) in taps.iter_mut().zip(group) {
                            let from = part * plane + q + kx;
                            *tap = S::as_simd_f32s(&x[*input][from..from + steps * lanes]).0;
                        }
                        if q == 0 {
                            *sums = [[zero; COLUMNS]; CHANNELS];
                        }
                        add_products(simd, sums, packed, taps);
                        if q + RUN < lines.span() {
                            continue;
                        }
                        for (m, sums) in sums.iter().enumerate().take(dy.len()) {
                            let o = block * CHANNELS + m;
                            for (sum, view) in sums.iter().zip(g * COLUMNS..views) {
                                let sum = simd.reduce_sum_f32s(*sum);
                                let at = (o * x.len() + view / K) * K * K + view % K;
                                for ky in 0..K {
                                    weight[at + ky * K] += transform.kernel[part][ky] * sum;
                                }
                            }
                        }
                    }
                }
            }
        }
        let all = all.iter().flatten().take(dy.len());
        *bias = all.map(|b| simd.reduce_sum_f32s(*b)).collect();
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
    use super::super::convolution::BAND;
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    fn normal(random: &mut SplitMix64, n: usize) -> Vec<f32> {
        (0..n).map(|_| random.normal() as f32).collect()
    }

    /// Calls `at` with (output, weight, input) for each product of the definition.
    fn products(c: &Convolution, n: usize, mut at: impl FnMut(usize, usize, usize)) {
        let r = c.kernel / 2;
        for (image, o, i) in
            (0..n).flat_map(|n| (0..c.outputs).flat_map(move |o| (0..c.inputs).map(move |i| (n, o, i))))
        {
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

    /// `terms`: how many numbers of deviation one a value is the sum of, about.
    fn close(got: &[f32], want: &[f64], terms: usize, what: &str) {
        assert_eq!(got.len(), want.len(), "{what}");
        let scale = 0.5 * (terms as f64).sqrt();
        for (i, (g, w)) in got.iter().zip(want).enumerate() {
            assert!(
                (f64::from(*g) - w).abs() < 2e-5 * (scale + w.abs()),
                "{what} {i}: {g} {w}"
            );
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
        let mut y: Vec<f64> = (0..dy.len())
            .map(|i| f64::from(bias[i / area % c.outputs]))
            .collect();
        let mut dx = vec![0.0; x.len()];
        let mut dw = vec![0.0; weight.len()];
        let mut db = vec![0.0; c.outputs];
        products(&c, n, |o, w, i| {
            y[o] += f64::from(weight[w]) * f64::from(x[i]);
            dx[i] += f64::from(weight[w]) * f64::from(dy[o]);
            dw[w] += f64::from(x[i]) * f64::from(dy[o]);
        });
        dy.iter()
            .enumerate()
            .for_each(|(i, g)| db[i / area % c.outputs] += f64::from(*g));
        y.iter_mut()
            .filter(|y| **y < 0.0)
            .for_each(|y| *y *= f64::from(slope));
        close(
            &c.forward(&x, &weight, &bias, slope),
            &y,
            c.inputs * c.taps(),
            "forward",
        );
        close(
            &c.input_gradient(&dy, &weight),
            &dx,
            c.outputs * c.taps(),
            "input gradient",
        );
        let (weights, biases) = c.parameter_gradients(&x, &dy);
        close(&weights, &dw, n * c.area(), "weight gradient");
        close(&biases, &db, n * c.area(), "bias gradient");
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
        assert!(BAND / (c.inputs * 6 * c.width) < c.height / 4 && RUN < c.area() && INPUTS < c.inputs);
        check(c, 2, 0.1, 5);
    }

    /// Of enough channels and tiles for minimal filtering along both sides, with and without a remainder of each.
    #[test]
    fn gradients_by_tiles_are_their_definitions() {
        for (inputs, outputs, height, width, n) in
            [(16, 24, 32, 32, 1), (17, 19, 33, 37, 2), (52, 16, 29, 64, 1)]
        {
            let c = Convolution {
                inputs,
                outputs,
                kernel: 3,
                height,
                width,
            };
            assert!(square::serves(&c));
            check(c, n, 0.2, 7);
        }
    }
}
