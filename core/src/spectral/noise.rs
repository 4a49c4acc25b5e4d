//! Noise that is a function of its place.
//!
//! White noise comes from a counter-based generator: the value at a pixel depends on (seed, channel, row, column)
//! and nothing else. Colouring couples pixels, but only nearby ones: the kernel of `Sigma_s^{1/2}` falls
//! exponentially. So the image is cut into fixed blocks, each is coloured together with a halo as wide as the
//! kernel reaches, and any tile is put together from blocks. Tiles therefore agree bit for bit, and memory
//! follows the tile and not the image.

use alloc::{format, vec::Vec};
use core::f64::consts::PI;

use super::{Boundary, Laplacian, SobolevOperator, Spectrum, Stencil};
use crate::{Error, Planes, Rect, Result, Size};

/// Philox-4x32 with ten rounds (Salmon et al. 2011): four random words that are a function of counter and key.
pub(crate) fn philox4x32(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let multiply = |a: u32, b: u32| {
        let product = u64::from(a) * u64::from(b);
        ((product >> 32) as u32, product as u32)
    };
    for _ in 0..10 {
        let (high0, low0) = multiply(0xD251_1F53, counter[0]);
        let (high1, low1) = multiply(0xCD9E_8D57, counter[2]);
        counter = [
            high1 ^ counter[1] ^ key[0],
            low1,
            high0 ^ counter[3] ^ key[1],
            low0,
        ];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

/// Standard normal white noise on the pixels of `rect`, `[height, width]` (none where it is empty): a pure function of the seed, the channel
/// and each pixel's place.
///
/// Four pixels of a row share one counter `[x / 4, y, channel, 0]`; Box and Muller's transform makes normals of its
/// four words, so the largest magnitude is 6.76.
pub fn white_noise(seed: u64, channel: u32, rect: Rect) -> Vec<f32> {
    let key = [seed as u32, (seed >> 32) as u32];
    let mut out = Vec::new();
    for y in rect.y0..rect.y1 {
        let mut quad = [0.0; 4];
        for x in rect.x0..rect.x1 {
            if x == rect.x0 || x % 4 == 0 {
                quad = normals(philox4x32([(x / 4) as u32, y as u32, channel, 0], key));
            }
            out.push(quad[x % 4]);
        }
    }
    out
}

/// Two Box-Muller pairs; the half keeps the logarithm finite.
fn normals(words: [u32; 4]) -> [f32; 4] {
    let pair = |u: u32, v: u32| {
        let unit = |w: u32| (f64::from(w) + 0.5) / 4_294_967_296.0;
        let radius = libm::sqrt(-2.0 * libm::log(unit(u)));
        let (sin, cos) = libm::sincos(2.0 * PI * unit(v));
        ((radius * cos) as f32, (radius * sin) as f32)
    };
    let ((a, b), (c, d)) = (pair(words[0], words[1]), pair(words[2], words[3]));
    [a, b, c, d]
}

/// The coloured noise of one image: `Sigma_s^{1/2} eps` with `eps` white, scaled to variance 1 on average over the image
/// (reflection raises it towards 2 in the outermost corner pixels).
///
/// The boundary is Neumann's and the stencil the 5-point one. On images of one block, 256 pixels a side or more, this is
/// the operator exactly; beyond, blocks agree with it to about `1e-7`.
///
/// ```
/// use asasr_core::spectral::{ColouredNoise, Spectrum};
/// use asasr_core::{Rect, Size};
///
/// let size = Size::new(400, 300);
/// let noise = ColouredNoise::new(7, size, Spectrum::sobolev(1.5)?)?;
/// let whole = noise.tile(3, size.whole())?;
/// let part = Rect { x0: 250, y0: 100, x1: 400, y1: 290 };
/// assert_eq!(noise.tile(3, part)?, whole.crop(part));
/// # Ok::<(), asasr_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ColouredNoise {
    seed: u64,
    size: Size,
    spectrum: Spectrum,
    block: usize,
    halo: usize,
    scale: f64,
}

impl ColouredNoise {
    /// The noise of an image of a size.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is zero; [`Error::Spectrum`] when the spectrum's parameters are out of range.
    pub fn new(seed: u64, size: Size, spectrum: Spectrum) -> Result<Self> {
        spectrum.validate()?;
        if size.height == 0 || size.width == 0 {
            return Err(Error::Size(format!("an image of {size} pixels has no noise")));
        }
        let halo = spectrum.reach();
        Ok(Self {
            seed,
            size,
            // With its halo a block stays within the 1024 pixels that need no fast transform.
            block: (2 * halo).max(256),
            halo,
            scale: 1.0 / libm::sqrt(mean(size, |l| spectrum.power(l, -1.0))),
            spectrum,
        })
    }

    /// The noise of `channels` planes on the pixels of `rect`: the same values, bit for bit, whichever tile asks.
    ///
    /// # Errors
    /// [`Error::Size`] when there are no channels, or `rect` is empty or reaches outside the image.
    pub fn tile(&self, channels: usize, rect: Rect) -> Result<Planes> {
        if channels == 0 {
            return Err(Error::Size("noise of no channels".into()));
        }
        if rect.x0 >= rect.x1 || rect.y0 >= rect.y1 || rect.x1 > self.size.width || rect.y1 > self.size.height
        {
            return Err(Error::Size(format!(
                "the tile from ({}, {}) to ({}, {}) is not inside an image of {} pixels",
                rect.x0, rect.y0, rect.x1, rect.y1, self.size
            )));
        }
        let mut out = Planes::zeros(channels, rect.height(), rect.width());
        for block in self.blocks(rect) {
            self.put_block(&block, rect, &mut out)?;
        }
        Ok(out)
    }

    /// The blocks that `rect` is put together from.
    pub fn blocks(&self, rect: Rect) -> impl Iterator<Item = NoiseBlock> + '_ {
        let cells = |from: usize, to: usize| from / self.block..to.div_ceil(self.block);
        cells(rect.y0, rect.y1).flat_map(move |by| {
            cells(rect.x0, rect.x1).map(move |bx| {
                let (y0, x0) = (by * self.block, bx * self.block);
                let (y1, x1) = (
                    (y0 + self.block).min(self.size.height),
                    (x0 + self.block).min(self.size.width),
                );
                NoiseBlock {
                    seen: Rect {
                        x0: x0.saturating_sub(self.halo),
                        y0: y0.saturating_sub(self.halo),
                        x1: (x1 + self.halo).min(self.size.width),
                        y1: (y1 + self.halo).min(self.size.height),
                    },
                    kept: Rect {
                        x0: x0.max(rect.x0),
                        y0: y0.max(rect.y0),
                        x1: x1.min(rect.x1),
                        y1: y1.min(rect.y1),
                    },
                }
            })
        })
    }

    /// What names the noise among all.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Its spectrum.
    pub fn spectrum(&self) -> &Spectrum {
        &self.spectrum
    }

    /// What coloured white noise is multiplied by, so that its variance is 1.
    pub fn gain(&self) -> f64 {
        self.scale
    }

    /// The operator whose root of the covariance colours a block that sees so many pixels.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is zero.
    pub fn operator(&self, seen: Size) -> Result<SobolevOperator> {
        let laplacian = Laplacian {
            boundary: Boundary::Neumann,
            stencil: Stencil::FivePoint,
        };
        SobolevOperator::new(seen, self.spectrum, laplacian)
    }

    /// Colours one block with its halo and copies what `rect` covers of it.
    fn put_block(&self, block: &NoiseBlock, rect: Rect, out: &mut Planes) -> Result<()> {
        let NoiseBlock { seen, kept } = *block;
        let operator = self.operator(seen.size())?;
        for c in 0..out.channels() {
            let mut plane = white_noise(self.seed, c as u32, seen);
            operator.covariance_sqrt(&mut plane)?;
            for y in kept.y0..kept.y1 {
                let from = (y - seen.y0) * seen.width() + kept.x0 - seen.x0;
                let to = &mut out.row_mut(c, y - rect.y0)[kept.x0 - rect.x0..kept.x1 - rect.x0];
                for (to, from) in to.iter_mut().zip(&plane[from..]) {
                    *to = (f64::from(*from) * self.scale) as f32;
                }
            }
        }
        Ok(())
    }
}

/// A part of an image's coloured noise that is coloured at once, in pixels of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoiseBlock {
    /// Where white noise is drawn and coloured.
    pub seen: Rect,
    /// What of it a tile takes.
    pub kept: Rect,
}

/// The mean of a function of the eigenvalue over an image's coefficients.
fn mean(size: Size, f: impl Fn(f64) -> f64) -> f64 {
    let (vertical, horizontal) = (
        Laplacian::default().eigenvalues(size.height),
        Laplacian::default().eigenvalues(size.width),
    );
    let mut sum = 0.0;
    for v in &vertical {
        sum += horizontal.iter().map(|h| f(v + h)).sum::<f64>();
    }
    sum / (size.height * size.width) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rect(x0: usize, y0: usize, x1: usize, y1: usize) -> Rect {
        Rect { x0, y0, x1, y1 }
    }

    #[test]
    fn philox_gives_its_published_answers() {
        // Random123's known-answer file, philox4x32 with 10 rounds.
        let all = u32::MAX;
        assert_eq!(
            philox4x32([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox4x32([all; 4], [all; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn white_noise_is_normal_and_its_channels_and_seeds_are_independent() {
        let n = 256usize;
        let of = |seed, channel| white_noise(seed, channel, rect(0, 0, n, n));
        let (a, b, c) = (of(1, 0), of(1, 1), of(2, 0));
        let count = (n * n) as f64;
        let moment = |x: &[f32], p: i32| x.iter().map(|v| f64::from(*v).powi(p)).sum::<f64>() / count;
        let product = |x: &[f32], y: &[f32]| {
            x.iter()
                .zip(y)
                .map(|(x, y)| f64::from(*x) * f64::from(*y))
                .sum::<f64>()
                / count
        };
        // Five standard errors: of the mean 1, of the variance sqrt 2, of the fourth moment sqrt 96.
        let five = 5.0 / count.sqrt();
        assert!(moment(&a, 1).abs() < five);
        assert!((moment(&a, 2) - 1.0).abs() < five * 2f64.sqrt());
        assert!((moment(&a, 4) - 3.0).abs() < five * 96f64.sqrt());
        for other in [&b, &c] {
            assert!(product(&a, other).abs() < five);
        }
        // Neighbours along both axes.
        assert!(product(&a[..n * n - 1], &a[1..]).abs() < five);
        assert!(product(&a[..n * n - n], &a[n..]).abs() < five);
    }

    #[test]
    fn one_block_is_the_operator_itself() {
        let spectrum = Spectrum::sobolev(1.5).expect("in range");
        let noise = ColouredNoise::new(9, Size::new(70, 50), spectrum).expect("plans");
        let got = noise.tile(2, rect(0, 0, 70, 50)).expect("inside");
        let operator =
            SobolevOperator::new(Size::new(70, 50), spectrum, Laplacian::default()).expect("plans");
        for c in 0..2 {
            let mut expected = white_noise(9, c, rect(0, 0, 70, 50));
            operator.colour(&mut expected).expect("sizes");
            for (a, b) in got.plane(c as usize).iter().zip(&expected) {
                assert!((a - b).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn blocks_agree_with_the_operator_on_the_whole_image() {
        let (h, w) = (300, 700);
        for (s, kappa) in [(0.5, 1.0), (1.5, 1.0), (2.0, 9.0)] {
            let spectrum = Spectrum { s, kappa };
            let got = ColouredNoise::new(4, Size::new(w, h), spectrum)
                .expect("plans")
                .tile(1, rect(0, 0, w, h))
                .expect("inside");
            let mut expected: Vec<f64> = white_noise(4, 0, rect(0, 0, w, h))
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            SobolevOperator::new(Size::new(w, h), spectrum, Laplacian::default())
                .expect("plans")
                .colour(&mut expected)
                .expect("sizes");
            let worst = got
                .data()
                .iter()
                .zip(&expected)
                .map(|(a, b)| (f64::from(*a) - b).abs())
                .fold(0.0, f64::max);
            assert!(worst < 1e-6, "{spectrum:?}: {worst}");
        }
    }

    #[test]
    fn the_variance_of_every_band_is_one_over_the_weight() {
        let n = 128;
        for s in [0.5, 1.0, 1.5, 2.0] {
            let spectrum = Spectrum::sobolev(s).expect("in range");
            let operator =
                SobolevOperator::new(Size::new(n, n), spectrum, Laplacian::default()).expect("plans");
            let mut bands = [(0.0, 0.0); 16];
            let (mut power, planes) = (0.0, 12);
            for seed in 0..4 {
                let noise = ColouredNoise::new(seed, Size::new(n, n), spectrum).expect("plans");
                let mut image = noise.tile(3, rect(0, 0, n, n)).expect("inside");
                for plane in image.data_mut().chunks_exact_mut(n * n) {
                    power += plane.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
                    operator.transform().forward(plane);
                    for (i, v) in plane.iter().enumerate() {
                        let lambda = operator.eigenvalue(i / n, i % n);
                        let band = &mut bands[((lambda / 8.0).sqrt() * 16.0) as usize];
                        // Divided by its expected variance, each squared coefficient has mean 1.
                        let expected = 1.0 / (operator.weight(i / n, i % n) * operator.mean_variance());
                        band.0 += f64::from(*v).powi(2) / expected;
                        band.1 += 1.0;
                    }
                }
            }
            for (i, (sum, count)) in bands.iter().enumerate() {
                let ratio = sum / count;
                // The relative deviation of a chi-squared mean is sqrt(2 / count).
                assert!(
                    (ratio - 1.0).abs() < 5.0 * (2.0 / count).sqrt(),
                    "s {s}, band {i}: {ratio}"
                );
            }
            let variance = power / f64::from(planes * 128 * 128);
            assert!((variance - 1.0).abs() < 0.06, "s {s}: {variance}");
        }
    }

    #[test]
    fn no_seam_at_block_edges() {
        // Differences across the block's edge at 256 have the variance of differences elsewhere.
        let (h, w) = (512, 512);
        let noise = ColouredNoise::new(3, Size::new(w, h), Spectrum::default()).expect("plans");
        let image = noise.tile(3, rect(0, 0, w, h)).expect("inside");
        let step = |x: usize| {
            let mut sum = 0.0;
            for c in 0..3 {
                for y in 0..h {
                    let row = image.row(c, y);
                    sum += f64::from(row[x] - row[x - 1]).powi(2);
                }
            }
            sum / (3 * h) as f64
        };
        let elsewhere: f64 = (1..w).filter(|x| *x != 256).map(step).sum::<f64>() / (w - 2) as f64;
        let ratio = step(256) / elsewhere;
        assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    }

    #[test]
    fn tiles_outside_are_named() {
        let noise = ColouredNoise::new(0, Size::new(12, 10), Spectrum::default()).expect("plans");
        for bad in [rect(0, 0, 13, 10), rect(5, 5, 5, 6), rect(0, 0, 12, 11)] {
            assert!(matches!(noise.tile(3, bad), Err(Error::Size(_))));
        }
        assert!(ColouredNoise::new(0, Size::new(12, 0), Spectrum::default()).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_tile_is_the_crop_of_the_whole_bit_for_bit(
            h in 1usize..330, w in 1usize..330, a: u16, b: u16, c: u16, d: u16, seed: u64, s in 0.0f64..2.0,
        ) {
            let pick = |a: u16, b: u16, n: usize| {
                let (a, b) = (a as usize % n, b as usize % n);
                (a.min(b), a.max(b) + 1)
            };
            let ((x0, x1), (y0, y1)) = (pick(a, b, w), pick(c, d, h));
            let noise = ColouredNoise::new(seed, Size::new(w, h), Spectrum::sobolev(s).expect("in range")).expect("plans");
            let whole = noise.tile(2, rect(0, 0, w, h)).expect("inside");
            let part = noise.tile(2, rect(x0, y0, x1, y1)).expect("inside");
            prop_assert!(whole.crop(rect(x0, y0, x1, y1)) == part);
        }
    }
}
