use alloc::{format, vec::Vec};
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

/// The weight of each eigenvalue, `w = (1 + kappa * lambda)^s` (arXiv 2605.23264; there over integer frequencies of a
/// periodic transform, so that it grows with resolution): which frequencies an error is charged for, and, inverted, the
/// power spectrum of the noise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spectrum {
    /// Order, in `[-2, 3]`; zero is plain L2 and white noise.
    pub s: f64,
    /// Squared length scale in pixels squared, in `[1e-6, 100]`: noise is white beyond about its root.
    pub kappa: f64,
}

impl Default for Spectrum {
    /// `(1 + lambda)^1.5`.
    fn default() -> Self {
        Self { s: 1.5, kappa: 1.0 }
    }
}

impl Spectrum {
    /// `(1 + lambda)^s`: smooth within a few pixels and white beyond. For noise with a photograph's whole spectrum
    /// take a `kappa` of about 100, see [`estimate_s`](super::estimate_s).
    ///
    /// # Errors
    /// [`Error::Spectrum`] when `s` is outside `[-2, 3]`.
    pub fn sobolev(s: f64) -> Result<Self> {
        let spectrum = Self { s, kappa: 1.0 };
        spectrum.validate()?;
        Ok(spectrum)
    }

    /// Checks the parameters' ranges.
    ///
    /// # Errors
    /// [`Error::Spectrum`], naming the parameter.
    pub fn validate(&self) -> Result<()> {
        let Self { s, kappa } = *self;
        if !(-2.0..=3.0).contains(&s) {
            return Err(Error::Spectrum(format!("s = {s} is not within -2 to 3")));
        }
        if !(1e-6..=100.0).contains(&kappa) {
            return Err(Error::Spectrum(format!(
                "kappa = {kappa} is not within 1e-6 to 100"
            )));
        }
        Ok(())
    }

    /// `w(lambda)^exponent`, positive.
    pub fn power(&self, lambda: f64, exponent: f64) -> f64 {
        power(1.0 + self.kappa * lambda, self.s * exponent)
    }

    /// The distance in pixels beyond which one white value hardly changes the coloured noise.
    ///
    /// The kernel of `(1 + kappa * lambda)^(-s/2)` falls by `e^-mu` per pixel along an axis, where `mu` is the
    /// pole `1 + kappa * (2 - 2 cosh mu) = 0`; what is left out is about `1e-8`.
    pub(super) fn reach(&self) -> usize {
        let mu = 2.0 * libm::asinh(0.5 / libm::sqrt(self.kappa));
        libm::ceil(20.0 / mu) as usize + 2
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
        let bad = Spectrum { s: 1.0, kappa: 0.0 };
        assert!(bad.validate().expect_err("outside").to_string().contains("kappa"));
    }

    proptest! {
        #[test]
        fn the_quick_power_is_the_power(base in 1.0f64..100.0, quarters in -48i32..48) {
            let e = f64::from(quarters) / 4.0;
            let exact = base.powf(e);
            prop_assert!((power(base, e) / exact - 1.0).abs() < 1e-13);
        }
    }
}
