use alloc::{format, vec, vec::Vec};
use core::f64::consts::PI;

use crate::{Error, Result};

/// What lies beyond the image's edge: the choice of eigenvectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// Even reflection about the edge: DCT-II. No jump at the edge; the default.
    #[default]
    Neumann,
    /// The opposite edge: the discrete Hartley transform. For comparison; opposite edges leak into each other.
    Periodic,
    /// Odd reflection about the edge: DST-II. For comparison; pulls the edge to zero.
    Dirichlet,
}

/// How the second derivative is discretised: the choice of eigenvalues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stencil {
    /// The 5-point stencil, `2 - 2 cos(theta)` per axis, at most 4; independent of resolution. The default.
    #[default]
    FivePoint,
    /// The continuous operator, `theta^2` per axis, at most `pi^2`.
    Continuous,
}

/// A discrete negative Laplacian on a grid of unit spacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Laplacian {
    /// Its eigenvectors.
    pub boundary: Boundary,
    /// Its eigenvalues.
    pub stencil: Stencil,
}

impl Laplacian {
    /// The eigenvalue of one axis for frequency index `k` of `n`; a plane's eigenvalue is the sum over its axes.
    ///
    /// `k` is below `n`; `theta = pi k / n` for Neumann, `2 pi min(k, n - k) / n` for periodic and `pi (k + 1) / n` for Dirichlet
    /// boundaries.
    pub fn eigenvalue(&self, k: usize, n: usize) -> f64 {
        let theta = match self.boundary {
            Boundary::Neumann => PI * k as f64 / n as f64,
            Boundary::Periodic => 2.0 * PI * k.min(n - k) as f64 / n as f64,
            Boundary::Dirichlet => PI * (k + 1) as f64 / n as f64,
        };
        match self.stencil {
            Stencil::FivePoint => {
                // 2 - 2 cos(theta) without the cancellation at small angles.
                let half = libm::sin(theta / 2.0);
                4.0 * half * half
            }
            Stencil::Continuous => theta * theta,
        }
    }

    /// All eigenvalues of an axis of `n` pixels.
    pub fn eigenvalues(&self, n: usize) -> Vec<f64> {
        (0..n).map(|k| self.eigenvalue(k, n)).collect()
    }
}

/// The weight of each eigenvalue: which frequencies an error is charged for, and, inverted, the power spectrum of
/// the noise.
#[derive(Debug, Clone, PartialEq)]
pub enum Spectrum {
    /// `w = (1 + kappa * lambda)^s` (arXiv 2605.23264; there over integer frequencies of a periodic transform, so that
    /// it grows with resolution).
    Sobolev {
        /// Order, in `[-2, 3]`; zero is plain L2 and white noise.
        s: f64,
        /// Squared length scale in pixels squared, in `[1e-6, 100]`: noise is white beyond about its root.
        kappa: f64,
    },
    /// Learned from images.
    Radial(RadialSpectrum),
}

impl Default for Spectrum {
    /// `(1 + lambda)^1.5`.
    fn default() -> Self {
        Self::Sobolev { s: 1.5, kappa: 1.0 }
    }
}

impl Spectrum {
    /// `(1 + lambda)^s`: smooth within a few pixels and white beyond. For noise with a photograph's whole spectrum
    /// take a `kappa` of about 100, see [`estimate_s`](super::estimate_s).
    ///
    /// # Errors
    /// [`Error::Spectrum`] when `s` is outside `[-2, 3]`.
    pub fn sobolev(s: f64) -> Result<Self> {
        let spectrum = Self::Sobolev { s, kappa: 1.0 };
        spectrum.validate()?;
        Ok(spectrum)
    }

    /// Checks the parameters' ranges.
    ///
    /// # Errors
    /// [`Error::Spectrum`], naming the parameter.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::Sobolev { s, .. } if !(-2.0..=3.0).contains(s) => {
                Err(Error::Spectrum(format!("s = {s} is not within -2 to 3")))
            }
            Self::Sobolev { kappa, .. } if !(1e-6..=100.0).contains(kappa) => Err(Error::Spectrum(format!(
                "kappa = {kappa} is not within 1e-6 to 100"
            ))),
            _ => Ok(()),
        }
    }

    /// `w(lambda)^exponent`, positive.
    pub fn power(&self, lambda: f64, exponent: f64) -> f64 {
        match self {
            Self::Sobolev { s, kappa } => power(1.0 + kappa * lambda, s * exponent),
            Self::Radial(radial) => libm::exp(radial.log_weight(lambda) * exponent),
        }
    }

    /// The distance in pixels beyond which one white value hardly changes the coloured noise.
    ///
    /// The kernel of `(1 + kappa * lambda)^(-s/2)` falls by `e^-mu` per pixel along an axis, where `mu` is the
    /// pole `1 + kappa * (2 - 2 cosh mu) = 0`; what is left out is about `1e-8`. The kernel of a learned spectrum falls as
    /// slowly as its kinks make it: its reach is where one thousandth of the kernel along an axis is left, at most
    /// [`LONGEST_REACH`].
    pub(super) fn reach(&self) -> usize {
        match self {
            Self::Sobolev { kappa, .. } => {
                let mu = 2.0 * libm::asinh(0.5 / libm::sqrt(*kappa));
                libm::ceil(20.0 / mu) as usize + 2
            }
            Self::Radial(_) => self.measured_reach(),
        }
    }
}

/// The widest halo of a learned spectrum's noise, in pixels.
const LONGEST_REACH: usize = 224;

impl Spectrum {
    fn measured_reach(&self) -> usize {
        const N: usize = 4 * LONGEST_REACH;
        // The response to an impulse at the edge: twice one half of the kernel of a single row.
        let laplacian = Laplacian::default();
        let Ok(line) = super::Transform2::new(Boundary::Neumann, 1, N) else {
            return LONGEST_REACH;
        };
        let mut kernel = vec![0.0f64; N];
        kernel[0] = 1.0;
        line.forward(&mut kernel);
        for (k, v) in kernel.iter_mut().enumerate() {
            *v *= self.power(laplacian.eigenvalue(k, N), -0.5);
        }
        line.inverse(&mut kernel);
        let all: f64 = kernel.iter().map(|v| v.abs()).sum();
        let mut left = all;
        for (i, v) in kernel.iter().enumerate().take(LONGEST_REACH) {
            left -= v.abs();
            if left < 1e-3 * all {
                return (i + 1).max(32);
            }
        }
        LONGEST_REACH
    }
}

/// `base^exponent`, quick where the exponent is a multiple of a quarter: the orders in use.
fn power(base: f64, exponent: f64) -> f64 {
    let quarters = 4.0 * exponent;
    let n = quarters as i32;
    if f64::from(n) != quarters || n.unsigned_abs() > 48 {
        return libm::pow(base, exponent);
    }
    let (root, times) = match n.unsigned_abs() {
        q if q % 4 == 0 => (base, q / 4),
        q if q % 2 == 0 => (libm::sqrt(base), q / 2),
        q => (libm::sqrt(libm::sqrt(base)), q),
    };
    let mut result = 1.0;
    for _ in 0..times {
        result *= root;
    }
    if n < 0 { 1.0 / result } else { result }
}

/// Largest log weight: its exponential is a finite f32.
const HIGHEST_LOG: f64 = 60.0;
/// `log(1 + lambda)` of the checkerboard.
const LN_9: f64 = 2.197_224_577_336_219_6;

/// A weight learned from images: positive, 1 at `lambda = 0` and never decreasing.
///
/// `log w` is piecewise linear in `rho = log(1 + lambda) / log 9`, which runs from 0 for a constant to 1 for the
/// checkerboard of the 5-point stencil; the knots lie at `rho = i / (n - 1)`. A Sobolev weight of order `s` with
/// `kappa = 1` is the straight line `s rho log 9`, so the slope between two knots is the order in that band.
#[derive(Debug, Clone, PartialEq)]
pub struct RadialSpectrum {
    log_weights: Vec<f64>,
}

impl RadialSpectrum {
    /// From `log w` at equally spaced knots.
    ///
    /// # Errors
    /// [`Error::Spectrum`] when there are fewer than two knots, the first is not zero, one is below the one before it or
    /// above 60 (beyond which single precision would overflow).
    pub fn new(log_weights: Vec<f64>) -> Result<Self> {
        if log_weights.len() < 2 {
            return Err(Error::Spectrum(
                "a radial spectrum needs two knots or more".into(),
            ));
        }
        if log_weights[0] != 0.0 || log_weights.iter().any(|v| !v.is_finite()) {
            return Err(Error::Spectrum(
                "the first log weight of a radial spectrum is zero, all are finite".into(),
            ));
        }
        if let Some(i) = (1..log_weights.len()).find(|i| log_weights[*i] < log_weights[i - 1]) {
            return Err(Error::Spectrum(format!(
                "log weight {i} of a radial spectrum, {}, is below the one before it, {}",
                log_weights[i],
                log_weights[i - 1]
            )));
        }
        if log_weights[log_weights.len() - 1] > HIGHEST_LOG {
            return Err(Error::Spectrum(format!(
                "the last log weight of a radial spectrum, {}, is above {HIGHEST_LOG}",
                log_weights[log_weights.len() - 1]
            )));
        }
        Ok(Self { log_weights })
    }

    /// From unconstrained parameters `theta`, one per interval: `log w` grows by `softplus(theta_i)`.
    ///
    /// # Errors
    /// [`Error::Spectrum`] when there is none, one is not finite or the weight would exceed `e^60`.
    pub fn from_parameters(theta: &[f64]) -> Result<Self> {
        let mut log_weights = vec![0.0];
        let mut sum = 0.0;
        for t in theta {
            sum += t.max(0.0) + libm::log1p(libm::exp(-t.abs()));
            log_weights.push(sum);
        }
        Self::new(log_weights)
    }

    /// The maximum-likelihood spectrum with `knots` knots of Gaussian images whose mean power per band is
    /// `power`: `power[i]` belongs to `lambda[i]` and stands for `count[i]` coefficients.
    ///
    /// The variance at each knot is the mean power nearest to it; the variances are then made non-increasing by
    /// pooling adjacent violators (Ayer et al. 1955), which is the constrained maximum of the Whittle likelihood.
    ///
    /// # Errors
    /// [`Error::Spectrum`] when the lists differ in length, a value is negative or not finite, or all powers are zero.
    pub fn fit(knots: usize, lambda: &[f64], power: &[f64], count: &[f64]) -> Result<Self> {
        if knots < 2 {
            return Err(Error::Spectrum(format!("{knots} knots do not make a spectrum")));
        }
        check_bands(lambda, power, count)?;
        let mut sums = vec![(0.0, 0.0); knots];
        for ((l, p), c) in lambda.iter().zip(power).zip(count) {
            let i = libm::round(rho(*l) * (knots - 1) as f64) as usize;
            let (sum, n) = &mut sums[i.min(knots - 1)];
            *sum += p * c;
            *n += c;
        }
        // Blocks of (sum, count, knots); a block below its successor swallows it.
        let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
        for (sum, n) in sums {
            blocks.push((sum, n, 1));
            while let [.., (sa, na, ka), (sb, nb, kb)] = blocks[..]
                // An empty knot takes the value of the one before it.
                && (nb == 0.0 || na == 0.0 || sa * nb <= sb * na)
            {
                blocks.truncate(blocks.len() - 2);
                blocks.push((sa + sb, na + nb, ka + kb));
            }
        }
        let mean = |b: &(f64, f64, usize)| if b.1 > 0.0 { b.0 / b.1 } else { 0.0 };
        let floor = 1e-12 * blocks.iter().map(mean).fold(0.0, f64::max);
        if floor == 0.0 {
            return Err(Error::Spectrum(
                "a spectrum without any power has no shape".into(),
            ));
        }
        let variances = blocks
            .iter()
            .flat_map(|b| core::iter::repeat_n(mean(b).max(floor), b.2));
        let logs: Vec<f64> = variances.map(libm::log).collect();
        Self::new(logs.iter().map(|l| (logs[0] - l).max(0.0)).collect())
    }

    /// `log w` at the knots.
    pub fn log_weights(&self) -> &[f64] {
        &self.log_weights
    }

    /// `log w(lambda)`; constant beyond the last knot.
    pub fn log_weight(&self, lambda: f64) -> f64 {
        let (i, f) = self.position(lambda);
        self.log_weights[i] * (1.0 - f) + self.log_weights[i + 1] * f
    }

    /// Where `lambda` lies: the knot before it and the fraction of the way to the next, in `[0, 1]`.
    pub(crate) fn position(&self, lambda: f64) -> (usize, f64) {
        let last = self.log_weights.len() - 1;
        let x = (rho(lambda) * last as f64).clamp(0.0, last as f64);
        let i = (x as usize).min(last - 1);
        (i, x - i as f64)
    }
}

/// Refuses lists that are no spectrum.
pub(crate) fn check_bands(lambda: &[f64], power: &[f64], count: &[f64]) -> Result<()> {
    if lambda.len() != power.len() || lambda.len() != count.len() {
        return Err(Error::Spectrum(format!(
            "{} eigenvalues, {} powers and {} counts are not one spectrum",
            lambda.len(),
            power.len(),
            count.len()
        )));
    }
    if lambda
        .iter()
        .chain(power)
        .chain(count)
        .any(|v| !v.is_finite() || *v < 0.0)
    {
        return Err(Error::Spectrum(
            "eigenvalues, powers and counts are finite and not negative".into(),
        ));
    }
    Ok(())
}

/// Where `lambda` lies between a constant, 0, and the checkerboard, 1.
fn rho(lambda: f64) -> f64 {
    libm::log1p(lambda) / LN_9
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eigenvalues_are_those_of_the_three_point_stencil() {
        // The matrix of the negative second difference under each boundary, times the eigenvector.
        for boundary in [Boundary::Neumann, Boundary::Periodic, Boundary::Dirichlet] {
            let laplacian = Laplacian {
                boundary,
                stencil: Stencil::FivePoint,
            };
            for n in [1usize, 2, 5, 8] {
                let vectors = crate::spectral::basis(boundary, n);
                for k in 0..n {
                    let v = &vectors[k * n..(k + 1) * n];
                    let at = |i: isize| -> f64 {
                        let last = n as isize - 1;
                        match boundary {
                            Boundary::Neumann => v[i.clamp(0, last) as usize],
                            Boundary::Periodic => v[i.rem_euclid(n as isize) as usize],
                            Boundary::Dirichlet if i < 0 => -v[0],
                            Boundary::Dirichlet if i > last => -v[n - 1],
                            Boundary::Dirichlet => v[i as usize],
                        }
                    };
                    for i in 0..n as isize {
                        let applied = 2.0 * at(i) - at(i - 1) - at(i + 1);
                        let expected = laplacian.eigenvalue(k, n) * at(i);
                        assert!((applied - expected).abs() < 1e-12, "{boundary:?} {n} {k} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_continuous_eigenvalue_is_the_limit_at_low_frequency() {
        let of = |stencil| Laplacian {
            boundary: Boundary::Neumann,
            stencil,
        };
        let (five, whole) = (of(Stencil::FivePoint), of(Stencil::Continuous));
        let ratio = five.eigenvalue(1, 1000) / whole.eigenvalue(1, 1000);
        assert!((ratio - 1.0).abs() < 1e-6, "{ratio}");
        assert!((whole.eigenvalue(3, 4) - (PI * 0.75) * (PI * 0.75)).abs() < 1e-12);
    }

    #[test]
    fn ranges_are_checked_by_name() {
        assert!(
            Spectrum::sobolev(3.5)
                .expect_err("outside")
                .to_string()
                .contains("s = 3.5")
        );
        assert!(Spectrum::sobolev(f64::NAN).is_err());
        assert!(RadialSpectrum::new(vec![0.0, 61.0]).is_err());
        assert!(RadialSpectrum::fit(4, &[f64::NAN], &[1.0], &[1.0]).is_err());
        assert!(RadialSpectrum::fit(4, &[1.0, 2.0], &[1.0], &[1.0]).is_err());
        let bad = Spectrum::Sobolev { s: 1.0, kappa: 0.0 };
        assert!(bad.validate().expect_err("outside").to_string().contains("kappa"));
        assert!(RadialSpectrum::new(vec![0.0, 1.0, 0.5]).is_err());
        assert!(RadialSpectrum::new(vec![0.5, 1.0]).is_err());
        assert!(RadialSpectrum::from_parameters(&[]).is_err());
        assert!(RadialSpectrum::fit(4, &[1.0], &[0.0], &[1.0]).is_err());
    }

    #[test]
    fn a_fit_recovers_a_monotone_spectrum_and_pools_what_is_not() {
        let knots = 17;
        let lambda: Vec<f64> = (0..knots).map(|i| 9f64.powf(f64::from(i) / 16.0) - 1.0).collect();
        let truth = Spectrum::Sobolev { s: 1.5, kappa: 1.0 };
        let power: Vec<f64> = lambda.iter().map(|l| 3.0 * truth.power(*l, -1.0)).collect();
        let fitted = RadialSpectrum::fit(knots as usize, &lambda, &power, &[1.0; 17]).expect("fits");
        for l in &lambda {
            assert!((fitted.log_weight(*l) - libm::log(truth.power(*l, 1.0))).abs() < 1e-9);
        }
        // Counts are shares as well.
        let shares = RadialSpectrum::fit(knots as usize, &lambda, &power, &[1.0 / 17.0; 17]).expect("fits");
        assert!((shares.log_weight(3.0) - fitted.log_weight(3.0)).abs() < 1e-9);
        // Pooling: 4, 1, 3 becomes 4, 2, 2; an empty knot follows the one before it.
        let pooled = RadialSpectrum::fit(3, &[0.0, 2.0, 8.0], &[4.0, 1.0, 3.0], &[1.0; 3]).expect("fits");
        let expected = libm::log(2.0);
        assert!((pooled.log_weights()[1] - expected).abs() < 1e-12);
        assert!((pooled.log_weights()[2] - expected).abs() < 1e-12);
        let gap = RadialSpectrum::fit(3, &[0.0, 8.0], &[4.0, 1.0], &[1.0; 2]).expect("fits");
        assert_eq!(gap.log_weights()[1], 0.0);
    }

    proptest! {
        #[test]
        fn the_quick_power_is_the_power(base in 1.0f64..100.0, quarters in -48i32..48) {
            let e = f64::from(quarters) / 4.0;
            let exact = base.powf(e);
            prop_assert!((power(base, e) / exact - 1.0).abs() < 1e-13);
        }

        #[test]
        fn learned_spectra_are_positive_and_increasing(
            theta in proptest::collection::vec(-20.0f64..5.0, 1..11),
            mut at in proptest::collection::vec(0.0f64..9.0, 2..20),
        ) {
            let spectrum = Spectrum::Radial(RadialSpectrum::from_parameters(&theta).expect("finite"));
            at.sort_by(f64::total_cmp);
            let weights: Vec<f64> = at.iter().map(|l| spectrum.power(*l, 1.0)).collect();
            prop_assert!(weights.iter().all(|w| *w >= 1.0));
            prop_assert!(weights.windows(2).all(|p| p[1] >= p[0]));
        }
    }
}
