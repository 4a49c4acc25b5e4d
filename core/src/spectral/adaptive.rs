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
use crate::{Error, Planes, Result};

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
    Spectrum { s: 0.0, kappa }.validate()?;
    let (h, w) = (image.height(), image.width());
    if h.min(w) < SMALLEST {
        return Err(Error::Size(format!(
            "an image of {w}x{h} pixels is too small to read a spectral slope from: {SMALLEST} pixels a side are \
             needed"
        )));
    }
    let mut power = alloc::vec![0.0; h * w];
    for c in 0..image.channels() {
        for (sum, p) in power.iter_mut().zip(dct_power(image.plane(c), image.size())?) {
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
            let f = radial_frequency((k, l), image.size());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::{Boundary, ColouredNoise, Laplacian, Stencil, Transform2, white_noise};
    use crate::{Rect, Size};

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
        Transform2::new(Boundary::Neumann, Size::new(w, h))
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
                let noise = ColouredNoise::new(3, Size::new(w, h), Spectrum { s, kappa }).expect("plans");
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
    fn flat_and_small_images_are_refused_by_name() {
        let flat = Planes::zeros(3, 64, 64);
        assert!(matches!(estimate_s(&flat, 1.0), Err(Error::Spectrum(_))));
        assert!(matches!(
            estimate_s(&Planes::zeros(3, 15, 64), 1.0),
            Err(Error::Size(_))
        ));
    }
}
