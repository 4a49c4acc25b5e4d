use alloc::{format, vec, vec::Vec};

use super::{Boundary, Laplacian, Sample, Stencil, Transform2};
use crate::{Error, Result, Size};

/// The highest radial frequency, in cycles per pixel: the corner, `sqrt(1/2)`.
const CORNER: f64 = core::f64::consts::FRAC_1_SQRT_2;

/// The power of a plane by radial frequency. Band `i` of `n` holds the coefficients whose frequency
/// `sqrt((k / 2H)^2 + (l / 2W)^2)` lies in `[i, i + 1) * sqrt(1/2) / n` cycles per pixel; the constant, an image's
/// brightness, is in no band.
#[derive(Debug, Clone, PartialEq)]
pub struct RadialBands {
    /// Mean frequency of each band's coefficients in cycles per pixel; the band's centre where it is empty.
    pub frequency: Vec<f64>,
    /// Mean eigenvalue of the 5-point Laplacian.
    pub lambda: Vec<f64>,
    /// Mean squared coefficient; zero where the band is empty.
    pub power: Vec<f64>,
    /// Number of coefficients.
    pub count: Vec<f64>,
}

/// Radial power spectrum of a plane, `[height, width]`, under the orthonormal DCT-II.
///
/// # Errors
/// [`Error::Size`] when `plane` has another length, a side or the number of bands is zero.
pub fn radial_power<S: Sample>(plane: &[S], size: Size, bands: usize) -> Result<RadialBands> {
    let Size { width, height } = size;
    let power = dct_power(plane, size)?;
    let mut sums = BandSums::new(size, bands)?;
    let laplacian = Laplacian {
        boundary: Boundary::Neumann,
        stencil: Stencil::FivePoint,
    };
    let (vertical, horizontal) = (laplacian.eigenvalues(height), laplacian.eigenvalues(width));
    let mut lambda = vec![0.0; bands];
    let mut frequency = vec![0.0; bands];
    for k in 0..height {
        for l in 0..width {
            let Some(band) = sums.add(k, l, power[k * width + l]) else {
                continue;
            };
            lambda[band] += vertical[k] + horizontal[l];
            frequency[band] += radial_frequency((k, l), size);
        }
    }
    for i in 0..bands {
        let n = sums.count[i];
        if n > 0.0 {
            lambda[i] /= n;
            frequency[i] /= n;
        } else {
            frequency[i] = (i as f64 + 0.5) * CORNER / bands as f64;
            let theta = core::f64::consts::PI * frequency[i] * core::f64::consts::SQRT_2;
            lambda[i] = 2.0 * (2.0 - 2.0 * libm::cos(theta));
        }
    }
    Ok(RadialBands {
        frequency,
        lambda,
        power: sums.means(),
        count: sums.count,
    })
}

/// How far apart two images' spectra are, in dB.
#[derive(Debug, Clone, PartialEq)]
pub struct LogSpectralDistance {
    /// Over all coefficients, the constant included.
    pub total: f64,
    /// Over the coefficients of each band of [`radial_power`]; zero where the band is empty.
    pub bands: Vec<f64>,
}

/// `sqrt(mean (10 log10((P + e) / (Q + e)))^2)` with `P`, `Q` the squared DCT coefficients of `result` and `truth`,
/// both `[height, width]`, and `e` a hundred-millionth of the truth's mean power.
///
/// # Errors
/// [`Error::Size`] when the planes' lengths differ from `height * width`, or the number of bands is zero.
pub fn log_spectral_distance<S: Sample>(
    result: &[S],
    truth: &[S],
    size: Size,
    bands: usize,
) -> Result<LogSpectralDistance> {
    let Size { width, height } = size;
    let (p, q) = (dct_power(result, size)?, dct_power(truth, size)?);
    let floor = (1e-8 * q.iter().sum::<f64>() / q.len() as f64).max(f64::MIN_POSITIVE);
    let mut sums = BandSums::new(size, bands)?;
    let mut total = 0.0;
    for k in 0..height {
        for l in 0..width {
            let i = k * width + l;
            let decibel = 10.0 * libm::log10((p[i] + floor) / (q[i] + floor));
            total += decibel * decibel;
            let _ = sums.add(k, l, decibel * decibel);
        }
    }
    Ok(LogSpectralDistance {
        total: libm::sqrt(total / q.len() as f64),
        bands: sums.means().into_iter().map(libm::sqrt).collect(),
    })
}

/// Squared DCT coefficients of a plane.
pub(super) fn dct_power<S: Sample>(plane: &[S], size: Size) -> Result<Vec<f64>> {
    if plane.len() != size.pixels() {
        return Err(Error::Size(format!(
            "{} values are not a plane of {size} pixels",
            plane.len()
        )));
    }
    let mut x: Vec<f64> = plane.iter().map(|v| v.to_f64()).collect();
    Transform2::new(Boundary::Neumann, size)?.forward(&mut x);
    x.iter_mut().for_each(|v| *v *= *v);
    Ok(x)
}

/// Cycles per pixel of DCT coefficient `[k, l]`.
pub(super) fn radial_frequency((k, l): (usize, usize), size: Size) -> f64 {
    let (fy, fx) = (
        k as f64 / (2 * size.height) as f64,
        l as f64 / (2 * size.width) as f64,
    );
    libm::sqrt(fy * fy + fx * fx)
}

struct BandSums {
    size: Size,
    sum: Vec<f64>,
    count: Vec<f64>,
}

impl BandSums {
    fn new(size: Size, bands: usize) -> Result<Self> {
        if bands == 0 {
            return Err(Error::Size("a spectrum has one band or more, not none".into()));
        }
        Ok(Self {
            size,
            sum: vec![0.0; bands],
            count: vec![0.0; bands],
        })
    }

    fn add(&mut self, k: usize, l: usize, value: f64) -> Option<usize> {
        if (k, l) == (0, 0) {
            return None;
        }
        let at = radial_frequency((k, l), self.size) / CORNER;
        let band = ((at * self.sum.len() as f64) as usize).min(self.sum.len() - 1);
        self.sum[band] += value;
        self.count[band] += 1.0;
        Some(band)
    }

    fn means(&self) -> Vec<f64> {
        self.sum
            .iter()
            .zip(&self.count)
            .map(|(s, n)| s / n.max(1.0))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn values(n: usize) -> Vec<f64> {
        let mut random = SplitMix64::new(2);
        (0..n).map(|_| random.normal()).collect()
    }

    #[test]
    fn power_is_counted_once_and_lands_in_its_band() {
        let (h, w) = (20, 33);
        let x = values(h * w);
        let bands = radial_power(&x, Size::new(w, h), 11).expect("sizes");
        let total: f64 = bands.power.iter().zip(&bands.count).map(|(p, n)| p * n).sum();
        let mean = x.iter().sum::<f64>() / x.len() as f64;
        let energy: f64 = x.iter().map(|v| (v - mean) * (v - mean)).sum();
        assert!((total / energy - 1.0).abs() < 1e-12);
        assert_eq!(bands.count.iter().sum::<f64>() as usize, h * w - 1);

        // One cosine of a quarter cycle per pixel, which is DCT index 16 of 32.
        let wave: Vec<f64> = (0..32 * 32)
            .map(|i| (core::f64::consts::PI * 16.0 * ((i % 32) as f64 + 0.5) / 32.0).cos())
            .collect();
        let bands = radial_power(&wave, Size::new(32, 32), 10).expect("sizes");
        let strongest = (0..10)
            .max_by(|a, b| bands.power[*a].total_cmp(&bands.power[*b]))
            .expect("some");
        assert_eq!(strongest, (0.25 / CORNER * 10.0) as usize);
        assert!((bands.frequency[strongest] - 0.25).abs() < 0.03);
    }

    #[test]
    fn a_louder_copy_is_as_far_as_its_gain() {
        let x = values(24 * 16);
        let double: Vec<f64> = x.iter().map(|v| 2.0 * v).collect();
        let got = log_spectral_distance(&double, &x, Size::new(16, 24), 8).expect("sizes");
        let gain = 20.0 * 2f64.log10();
        assert!((got.total - gain).abs() < 1e-3, "{}", got.total);
        assert!(
            got.bands.iter().all(|b| (b - gain).abs() < 0.05),
            "{:?}",
            got.bands
        );
        assert_eq!(
            log_spectral_distance(&x, &x, Size::new(16, 24), 8)
                .expect("sizes")
                .total,
            0.0
        );
        let black = vec![0.0; 24 * 16];
        assert_eq!(
            log_spectral_distance(&black, &black, Size::new(16, 24), 8)
                .expect("sizes")
                .total,
            0.0
        );
    }

    #[test]
    fn sizes_and_bands_are_checked() {
        assert!(radial_power(&[0.0; 5], Size::new(3, 2), 4).is_err());
        assert!(radial_power(&[0.0; 6], Size::new(3, 2), 0).is_err());
        assert!(log_spectral_distance(&[0.0; 6], &[0.0; 5], Size::new(3, 2), 4).is_err());
        // More bands than coefficients: the empty ones are zero.
        let bands = radial_power(&[1.0; 6], Size::new(3, 2), 50).expect("sizes");
        assert!(bands.power.iter().all(|p| p.is_finite()));
    }
}
