//! The Sobolev order that an image's own spectrum suggests.
//!
//! Noise of covariance `Sigma_s` has the power `(1 + kappa lambda)^-s`. The order whose power falls like the image's is the
//! slope of a line through log power against `log(1 + kappa lambda)`. Photographs fall as a power law `f^(-2 s)` down to
//! their lowest frequencies, so they are matched with a large `kappa`, 100 say (the estimate is then up to a fifth
//! above `s`); with `kappa = 1`, which is flat below a
//! twentieth of a cycle per pixel, the estimate for a photograph is steeper and often ends at the upper bound.
//!
//! A pixel of the low-quality image is `r` pixels of the high-quality one: the estimate with `kappa` on the one is the
//! order for `r^2 kappa` on the other.

use alloc::{format, vec::Vec};

use super::distance::{dct_power, radial_frequency};
use super::{Laplacian, Spectrum};
use crate::{Error, Planes, Rect, Result};

/// Frequencies of the fit in cycles per pixel: above the few coefficients that hold the composition, below the
/// roll-off of the camera, the resampling and the codec.
const LOWEST_CYCLES: f64 = 3.0;
const HIGHEST: f64 = 0.35;
/// Octave fractions per band, so that every octave counts the same.
const BANDS_PER_OCTAVE: f64 = 3.0;
/// The smallest side a spectral slope can be read from.
const SMALLEST: usize = 16;
/// Mean power of a coefficient below which a band is rounding noise: a twelfth of the square of an 8-bit step.
const ROUNDING: f64 = 1.0 / (255.0 * 255.0 * 12.0);

/// The order `s` in `[0, 3]` of the weight `(1 + kappa lambda)^s` whose inverse falls like the power spectrum of `image`,
/// `[channels, height, width]` in `[0, 1]`.
///
/// A least-squares line through log power against `log(1 + kappa lambda)`, power summed over channels and averaged in
/// thirds of octaves up to 0.35 cycles per pixel, from 3 cycles per side or from where `kappa lambda` is a half; `s` is
/// minus its slope.
///
/// # Errors
/// [`Error::Size`] when a side is below 16 pixels; [`Error::Spectrum`] when the image has no texture above 8-bit
/// rounding to read a slope from, or `kappa` is out of range.
pub fn estimate_s(image: &Planes, kappa: f64) -> Result<f64> {
    Spectrum::Sobolev { s: 0.0, kappa }.validate()?;
    let (h, w) = (image.height(), image.width());
    if h.min(w) < SMALLEST {
        return Err(Error::Size(format!(
            "an image of {w}x{h} pixels is too small to read a spectral slope from: {SMALLEST} pixels a side are \
             needed"
        )));
    }
    let mut power = alloc::vec![0.0; h * w];
    for c in 0..image.channels() {
        for (sum, p) in power.iter_mut().zip(dct_power(image.plane(c), h, w)?) {
            *sum += p;
        }
    }
    // Where kappa lambda is a half: below, the weight is flat and tells no order.
    let bend = core::f64::consts::FRAC_1_SQRT_2 / (2.0 * core::f64::consts::PI * libm::sqrt(kappa));
    let lowest = (LOWEST_CYCLES / h.min(w) as f64).max(bend.min(HIGHEST / 3.0));
    let bands = libm::ceil(BANDS_PER_OCTAVE * libm::log2(HIGHEST / lowest)) as usize;
    let mut sums = alloc::vec![(0.0, 0.0, 0.0); bands];
    let laplacian = Laplacian::default();
    let (vertical, horizontal) = (laplacian.eigenvalues(h), laplacian.eigenvalues(w));
    for k in 0..h {
        for l in 0..w {
            let f = radial_frequency(k, h, l, w);
            if f >= lowest && f < HIGHEST {
                let band = &mut sums[(BANDS_PER_OCTAVE * libm::log2(f / lowest)) as usize];
                band.0 += power[k * w + l];
                band.1 += libm::log1p(kappa * (vertical[k] + horizontal[l]));
                band.2 += 1.0;
            }
        }
    }
    let floor = ROUNDING * image.channels() as f64;
    let points: Vec<(f64, f64)> = sums
        .iter()
        .filter(|(p, _, n)| *n > 0.0 && p / n > floor)
        .map(|(p, x, n)| (x / n, libm::log(p / n)))
        .collect();
    if points.len() < 3 {
        return Err(Error::Spectrum(
            "the image is flat: it has no texture to read a spectral slope from".into(),
        ));
    }
    let n = points.len() as f64;
    let (mx, my) = points
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (sxy, sxx) = points.iter().fold((0.0, 0.0), |(a, b), (x, y)| {
        (a + (x - mx) * (y - my), b + (x - mx) * (x - mx))
    });
    Ok((-sxy / sxx).clamp(0.0, 3.0))
}

/// A value for every region of an image, between whose centres it is interpolated.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionMap {
    region: usize,
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl RegionMap {
    /// Regions from top to bottom.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Regions from left to right.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One value per region, `[rows, columns]`.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at a pixel, bilinear between the centres of regions and constant beyond the outer ones.
    pub fn at(&self, y: usize, x: usize) -> f64 {
        let place = |p: usize, n: usize| {
            let u = ((p as f64 + 0.5) / self.region as f64 - 0.5).clamp(0.0, (n - 1) as f64);
            let i = (u as usize).min(n.saturating_sub(2));
            (i, (i + 1).min(n - 1), u - i as f64)
        };
        let (top, bottom, v) = place(y, self.rows);
        let (left, right, u) = place(x, self.columns);
        let at = |r: usize, c: usize| self.values[r * self.columns + c];
        let mix = |r| at(r, left) * (1.0 - u) + at(r, right) * u;
        mix(top) * (1.0 - v) + mix(bottom) * v
    }
}

/// [`estimate_s`] on a grid of regions of `region` pixels a side, each read from a window of twice that side.
///
/// A flat region takes the estimate of the whole image.
///
/// # Errors
/// Those of [`estimate_s`] for the whole image; [`Error::Size`] when `region` is below 16.
pub fn estimate_s_by_region(image: &Planes, kappa: f64, region: usize) -> Result<RegionMap> {
    if region < SMALLEST {
        return Err(Error::Size(format!(
            "regions of {region} pixels are too small to read a spectral slope from: {SMALLEST} or more are needed"
        )));
    }
    let whole = estimate_s(image, kappa)?;
    let (h, w) = (image.height(), image.width());
    let (rows, columns) = (h.div_ceil(region), w.div_ceil(region));
    let window = |i: usize, n: usize| {
        // Windows at the edge keep their size by moving inwards.
        let size = (2 * region).min(n);
        let start = (i * region).saturating_sub(region / 2).min(n - size);
        (start, start + size)
    };
    let mut values = Vec::with_capacity(rows * columns);
    for r in 0..rows {
        for c in 0..columns {
            let ((y0, y1), (x0, x1)) = (window(r, h), window(c, w));
            values.push(match estimate_s(&image.crop(Rect { x0, y0, x1, y1 }), kappa) {
                Ok(s) => s,
                Err(Error::Spectrum(_)) => whole,
                Err(other) => return Err(other),
            });
        }
    }
    Ok(RegionMap {
        region,
        rows,
        columns,
        values,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::{Boundary, ColouredNoise, Laplacian, Stencil, Transform2, white_noise};

    /// An image whose power falls as the squared frequency to the power `-s`.
    fn power_law(h: usize, w: usize, s: f64, seed: u64) -> Planes {
        let whole = Rect::whole(w, h);
        let continuous = Laplacian {
            boundary: Boundary::Neumann,
            stencil: Stencil::Continuous,
        };
        let mut x: Vec<f64> = white_noise(seed, 0, whole)
            .iter()
            .map(|v| f64::from(*v))
            .collect();
        for k in 0..h {
            for l in 0..w {
                let lambda = continuous.eigenvalue(k, h) + continuous.eigenvalue(l, w);
                x[k * w + l] *= if lambda == 0.0 { 0.0 } else { lambda.powf(-s / 2.0) };
            }
        }
        Transform2::new(Boundary::Neumann, h, w)
            .expect("sizes")
            .inverse(&mut x);
        let data = x.iter().map(|v| (0.5 + 0.1 * v) as f32).collect();
        Planes::new(1, h, w, data).expect("sizes agree")
    }

    #[test]
    fn the_order_of_coloured_noise_is_found() {
        let (h, w) = (192, 256);
        for kappa in [1.0, 10.0, 100.0] {
            for s in [0.0, 0.5, 1.0, 1.5, 2.0] {
                let noise = ColouredNoise::new(3, h, w, Spectrum::Sobolev { s, kappa }).expect("plans");
                let whole = Rect::whole(w, h);
                let got = estimate_s(&noise.tile(3, whole).expect("inside"), kappa).expect("has texture");
                assert!((got - s).abs() < 0.1, "kappa {kappa}, s {s}: {got}");
            }
        }
    }

    #[test]
    fn a_power_law_has_half_its_exponent_and_up_to_a_fifth_more() {
        // `1 + kappa lambda` rises more slowly than `lambda` where it is small.
        for s in [0.0, 0.5, 1.0, 1.5, 2.0] {
            let got = estimate_s(&power_law(512, 512, s, 1), 100.0).expect("has texture");
            assert!((s - 0.1..1.2 * s + 0.1).contains(&got), "{s}: {got}");
        }
    }

    #[test]
    fn regions_keep_their_own_order() {
        // Rough on the left, smooth on the right.
        let (h, w) = (128, 256);
        let mut image = power_law(h, w, 0.5, 3);
        let smooth = power_law(h, w, 1.8, 4);
        for y in 0..h {
            image.row_mut(0, y)[w / 2..].copy_from_slice(&smooth.row(0, y)[w / 2..]);
        }
        let map = estimate_s_by_region(&image, 100.0, 32).expect("has texture");
        assert_eq!((map.rows(), map.columns()), (4, 8));
        let mean = |columns: core::ops::Range<usize>| {
            let n = (columns.len() * 4) as f64;
            columns
                .map(|c| (0..4).map(|r| map.values()[r * 8 + c]).sum::<f64>())
                .sum::<f64>()
                / n
        };
        let (left, right) = (mean(0..3), mean(5..8));
        assert!((left - 0.5).abs() < 0.25, "{left}");
        assert!((right - 1.8).abs() < 0.35, "{right}");
        // Interpolation passes through the centres and stays between.
        assert!((map.at(48, 48) + map.at(47, 47) - 2.0 * map.values()[8 + 1]).abs() < 0.1);
        let all = map.values().iter();
        let (low, high) = (
            all.clone().fold(9.0, |a: f64, b| a.min(*b)),
            all.fold(0.0, |a: f64, b| a.max(*b)),
        );
        for (y, x) in [(0, 0), (127, 255), (63, 128), (5, 200)] {
            assert!((low..=high).contains(&map.at(y, x)));
        }
    }

    #[test]
    fn flat_and_small_images_are_refused_by_name() {
        let flat = Planes::zeros(3, 64, 64);
        assert!(matches!(estimate_s(&flat, 1.0), Err(Error::Spectrum(_))));
        assert!(matches!(
            estimate_s(&Planes::zeros(3, 15, 64), 1.0),
            Err(Error::Size(_))
        ));
        assert!(matches!(estimate_s_by_region(&flat, 1.0, 8), Err(Error::Size(_))));
        // A flat region within a textured image takes the image's value.
        let mut half = power_law(64, 256, 1.0, 5);
        for y in 0..64 {
            half.row_mut(0, y)[128..].fill(0.5);
        }
        let map = estimate_s_by_region(&half, 1.0, 32).expect("has texture");
        assert_eq!(map.values()[7], estimate_s(&half, 1.0).expect("has texture"));
    }
}
