use asasr_core::{Planes, Size};
use jpeg_encoder::SamplingFactor;
use pulp::{Arch, Simd, WithSimd};

use super::kernel::Kernel;
use crate::encode;
use crate::error::{Error, Result};

/// How images are resized: the three that Real-ESRGAN draws from, none of them antialiased but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The mean of the pixels each output pixel covers.
    Area,
    Bilinear,
    /// Keys' cubic with `a = -0.75`.
    Bicubic,
}

/// `index` folded into `0..n` by reflection about the outer pixels' centres.
fn mirrored(index: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n as isize - 1);
    let at = index.rem_euclid(period);
    at.min(period - at) as usize
}

/// Every plane filtered with a kernel, mirrored at the edges.
pub(crate) fn convolve(image: &Planes, kernel: &Kernel) -> Planes {
    let (w, h) = (image.width(), image.height());
    let reach = (kernel.side / 2) as isize;
    let mut out = Planes::zeros(image.channels(), h, w);
    let columns: Vec<usize> = (-reach..w as isize + reach).map(|x| mirrored(x, w)).collect();
    let rows: Vec<usize> = (-reach..h as isize + reach).map(|y| mirrored(y, h)).collect();
    let mut padded = vec![0.0; columns.len() * rows.len()];
    for c in 0..image.channels() {
        for (to, y) in padded.chunks_exact_mut(columns.len()).zip(&rows) {
            let from = image.row(c, *y);
            for (to, x) in to.iter_mut().zip(&columns) {
                *to = from[*x];
            }
        }
        for y in 0..h {
            let lines = padded[y * columns.len()..].chunks_exact(columns.len());
            let lines: Vec<Line> = lines.zip(kernel.values.chunks_exact(kernel.side)).collect();
            weigh(out.row_mut(c, y), &lines);
        }
    }
    out
}

/// Pixels, and weights of as many of them as follow each other.
type Line<'a> = (&'a [f32], &'a [f32]);

/// A row of sums over lines and, along each, over its weights; a line begins with what the row's first pixel is made of.
fn weigh(out: &mut [f32], lines: &[Line]) {
    Arch::new().dispatch(Weigh { out, lines });
}

struct Weigh<'a> {
    out: &'a mut [f32],
    lines: &'a [Line<'a>],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    // What is not inlined into the dispatched function is compiled without its instructions.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        /// Pixels whose sums stay in registers while all weights pass.
        const TOGETHER: usize = 32;
        let width = self.out.len();
        if width < TOGETHER {
            for (x, o) in self.out.iter_mut().enumerate() {
                *o = 0.0;
                for (line, weights) in self.lines {
                    for (weight, v) in weights.iter().zip(&line[x..]) {
                        *o += weight * v;
                    }
                }
            }
            return;
        }
        for start in (0..width).step_by(TOGETHER) {
            // The last ones once more, where fewer are left.
            let start = start.min(width - TOGETHER);
            let mut sums = [0.0; TOGETHER];
            for (line, weights) in self.lines {
                let line = &line[start..];
                for (k, weight) in weights.iter().enumerate() {
                    for (sum, v) in sums.iter_mut().zip(&line[k..k + TOGETHER]) {
                        *sum += weight * v;
                    }
                }
            }
            self.out[start..start + TOGETHER].copy_from_slice(&sums);
        }
    }
}

/// Unsharp masking as Real-ESRGAN applies it to its truth: radius 51, weight 0.5, only where the difference to the
/// blurred image exceeds 10 of 255, with a soft edge.
pub(crate) fn sharpen(image: &Planes) -> Planes {
    const SIDE: usize = 51;
    const SIGMA: f64 = 8.0;
    const WEIGHT: f32 = 0.5;
    const THRESHOLD: f32 = 10.0 / 255.0;
    let blur = |x: &Planes| separable(x, &gaussian(SIDE / 2, SIGMA));

    let blurred = blur(image);
    let mut mask = image.clone();
    let mut sharp = image.clone();
    for ((m, s), b) in mask
        .data_mut()
        .iter_mut()
        .zip(sharp.data_mut())
        .zip(blurred.data())
    {
        let detail = *s - b;
        *m = f32::from(u8::from(detail.abs() > THRESHOLD));
        *s = (*s + WEIGHT * detail).clamp(0.0, 1.0);
    }
    let soft = blur(&mask);
    for ((s, m), v) in sharp.data_mut().iter_mut().zip(soft.data()).zip(image.data()) {
        *s = m * *s + (1.0 - m) * v;
    }
    sharp
}

/// Blurred by a Gaussian of deviation `sigma` pixels.
pub(crate) fn blur(image: &Planes, sigma: f64) -> Planes {
    separable(image, &gaussian((3.0 * sigma).ceil() as usize, sigma))
}

/// A Gaussian's profile to `reach` pixels on either side.
fn gaussian(reach: usize, sigma: f64) -> Vec<f32> {
    let profile: Vec<f64> = (0..=2 * reach)
        .map(|i| (-0.5 * ((i as f64 - reach as f64) / sigma).powi(2)).exp())
        .collect();
    let sum: f64 = profile.iter().sum();
    profile.iter().map(|v| (v / sum) as f32).collect()
}

/// A filter with the same profile along both axes.
fn separable(image: &Planes, profile: &[f32]) -> Planes {
    let (w, h) = (image.width(), image.height());
    let reach = (profile.len() / 2) as isize;
    let mut rows = Planes::zeros(image.channels(), h, w);
    let mut out = rows.clone();
    let columns: Vec<usize> = (-reach..w as isize + reach).map(|x| mirrored(x, w)).collect();
    let mut padded = vec![0.0; columns.len()];
    for c in 0..image.channels() {
        for y in 0..h {
            let source = image.row(c, y);
            for (v, x) in padded.iter_mut().zip(&columns) {
                *v = source[*x];
            }
            weigh(rows.row_mut(c, y), &[(&padded, profile)]);
        }
        for y in 0..h {
            let line = |i: usize| rows.row(c, mirrored((y + i) as isize - reach, h));
            let weights = profile.chunks_exact(1).enumerate();
            let lines: Vec<Line> = weights.map(|(i, weight)| (line(i), weight)).collect();
            weigh(out.row_mut(c, y), &lines);
        }
    }
    out
}

/// The weights that make one output value along an axis.
struct Taps {
    first: isize,
    weights: Vec<f32>,
}

fn taps(mode: Mode, i: usize, from: usize, to: usize) -> Taps {
    let ratio = from as f64 / to as f64;
    let centre = (i as f64 + 0.5) * ratio - 0.5;
    match mode {
        Mode::Area => {
            let (first, last) = (i * from / to, ((i + 1) * from).div_ceil(to));
            Taps {
                first: first as isize,
                weights: vec![1.0 / (last - first) as f32; last - first],
            }
        }
        Mode::Bilinear => {
            let centre = centre.max(0.0);
            let f = (centre - centre.floor()) as f32;
            Taps {
                first: centre.floor() as isize,
                weights: vec![1.0 - f, f],
            }
        }
        Mode::Bicubic => {
            const A: f64 = -0.75;
            let first = centre.floor() as isize - 1;
            let weight = |k: isize| {
                let d = (centre - (first + k) as f64).abs();
                if d <= 1.0 {
                    ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0
                } else {
                    ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A
                }
            };
            Taps {
                first,
                weights: (0..4).map(|k| weight(k) as f32).collect(),
            }
        }
    }
}

/// Resizes every plane; indices beyond the edge take its pixel.
pub(crate) fn resize(image: &Planes, to: Size, mode: Mode) -> Planes {
    let (w, h) = (image.width(), image.height());
    let Size { width, height } = to;
    if image.size() == to {
        return image.clone();
    }
    let inside = |at: isize, n: usize| at.clamp(0, n as isize - 1) as usize;
    let across: Vec<Taps> = (0..width).map(|i| taps(mode, i, w, width)).collect();
    let mut narrow = Planes::zeros(image.channels(), h, width);
    let mut out = Planes::zeros(image.channels(), height, width);
    for c in 0..image.channels() {
        for y in 0..h {
            let row = image.row(c, y);
            for (o, taps) in narrow.row_mut(c, y).iter_mut().zip(&across) {
                let pixels = (0..).map(|k| row[inside(taps.first + k, w)]);
                *o = taps.weights.iter().zip(pixels).map(|(w, v)| w * v).sum();
            }
        }
        for y in 0..height {
            let down = taps(mode, y, h, height);
            for (k, weight) in down.weights.iter().enumerate() {
                let source = inside(down.first + k as isize, h);
                for (o, v) in out.row_mut(c, y).iter_mut().zip(narrow.row(c, source)) {
                    *o += weight * v;
                }
            }
        }
    }
    out
}

/// What is left after a trip through a JPEG file with halved chroma, clamped to `[0, 1]`.
pub(crate) fn jpeg(image: &Planes, quality: u8) -> Result<Planes> {
    let bytes = encode::jpeg(image, quality, SamplingFactor::F_2_2)?;
    let pixels = (image.width() * image.height()) as u64;
    let picture = asasr_codec::decode(&bytes, pixels).map_err(|e| Error::new(e.to_string()))?;
    Ok(picture.all_planes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::degrade::kernel::{Blur, Family, Shape};

    fn ramp(w: usize, h: usize) -> Planes {
        let data = (0..3 * w * h).map(|i| (i % w) as f32 / w as f32).collect();
        Planes::new(3, h, w, data).expect("sizes agree")
    }

    #[test]
    fn convolution_is_its_sum_with_mirrored_edges() {
        let image = ramp(9, 6);
        let kernel = Blur {
            size: 7,
            family: Family::Aniso,
            sigma: (1.5, 0.7),
            angle: 0.3,
            shape: Shape::Generalised(1.3),
        }
        .values();
        let got = convolve(&image, &kernel);
        for y in 0..6 {
            for x in 0..9 {
                let mut sum = 0.0;
                for ky in 0..7isize {
                    for kx in 0..7isize {
                        // Real-ESRGAN correlates; its kernels are symmetric about the centre.
                        let (sy, sx) = (y as isize + ky - 3, x as isize + kx - 3);
                        let at = image.row(1, mirrored(sy, 6))[mirrored(sx, 9)];
                        sum += kernel.values[((6 - ky) * 7 + 6 - kx) as usize] * at;
                    }
                }
                assert!((got.row(1, y)[x] - sum).abs() < 1e-5);
            }
        }
        assert_eq!(
            (mirrored(-1, 5), mirrored(5, 5), mirrored(-9, 5), mirrored(3, 1)),
            (1, 3, 1, 0)
        );
    }

    #[test]
    fn resizing_keeps_constants_and_ramps() {
        let mut flat = Planes::zeros(3, 7, 11);
        flat.data_mut().fill(0.4);
        for mode in [Mode::Area, Mode::Bilinear, Mode::Bicubic] {
            for (w, h) in [(22, 14), (5, 3), (1, 1), (11, 7), (33, 2)] {
                let out = resize(&flat, Size::new(w, h), mode);
                assert!(out.data().iter().all(|v| (v - 0.4).abs() < 1e-6));
            }
            // A ramp stays one: halved, each value is the mean of the two it covers.
            let out = resize(&ramp(40, 4), Size::new(20, 4), mode);
            for x in 3..17 {
                let expected = (2 * x) as f32 / 40.0 + 0.5 / 40.0;
                assert!((out.row(0, 2)[x] - expected).abs() < 1e-5, "{mode:?}");
            }
        }
    }

    #[test]
    fn a_blurred_point_is_the_gaussian() {
        let mut point = Planes::zeros(1, 31, 31);
        point.row_mut(0, 15)[15] = 1.0;
        let blurred = blur(&point, 2.0);
        for (y, x) in [(15, 15), (15, 18), (12, 17), (9, 15)] {
            let q = (x as f64 - 15.0).powi(2) + (y as f64 - 15.0).powi(2);
            let want = (-q / 8.0).exp() / (8.0 * std::f64::consts::PI);
            // What lies beyond three deviations is left out.
            assert!(
                (f64::from(blurred.row(0, y)[x]) - want).abs() < 0.01 * 0.04,
                "{y},{x}"
            );
        }
    }

    #[test]
    fn sharpening_steepens_edges_and_leaves_flat_regions() {
        let mut step = Planes::zeros(3, 32, 128);
        for c in 0..3 {
            for y in 0..32 {
                for (x, v) in step.row_mut(c, y).iter_mut().enumerate() {
                    *v = if x < 64 { 0.3 } else { 0.7 };
                }
            }
        }
        let sharp = sharpen(&step);
        let row = sharp.row(0, 16);
        assert!(row[63] < 0.25 && row[64] > 0.75, "{} {}", row[63], row[64]);
        assert!((row[2] - 0.3).abs() < 1e-3 && (row[125] - 0.7).abs() < 1e-3);
        // Detail below the threshold is left alone.
        let faint: Vec<f32> = (0..3 * 64 * 64)
            .map(|i| 0.5 + 0.02 * f32::from(u8::from(i % 2 == 0)))
            .collect();
        let faint = Planes::new(3, 64, 64, faint).expect("sizes agree");
        assert_eq!(sharpen(&faint), faint);
    }

    #[test]
    fn jpeg_damages_more_at_lower_quality() {
        let mut image = ramp(50, 35);
        // Grey noise: that of colours is lost to the halved chroma at any quality.
        for (i, v) in image.data_mut().iter_mut().enumerate() {
            *v = (*v + 0.2 * ((i % (50 * 35) * 7919 % 97) as f32 / 97.0)).min(1.0);
        }
        let error = |quality| {
            let back = jpeg(&image, quality).expect("encodes");
            let sum: f32 = back
                .data()
                .iter()
                .zip(image.data())
                .map(|(a, b)| (a - b).abs())
                .sum();
            sum / image.data().len() as f32
        };
        let (good, bad) = (error(95), error(30));
        assert!(good < 0.02 && bad > 2.0 * good, "{good} {bad}");
    }
}
