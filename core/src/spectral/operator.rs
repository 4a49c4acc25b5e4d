use alloc::{format, vec::Vec};

use super::{Laplacian, Sample, Spectrum, Transform2};
use crate::{Error, Result, Size};

/// The precision operator of a Sobolev space on planes of one size, its inverse `Sigma_s`, their roots and norms.
///
/// Every operation acts on one plane or several, `[channels, height, width]`, in `O(n log n)` per plane (feature
/// `std`); norms and inner products run over all channels together.
#[derive(Debug, Clone)]
pub struct SobolevOperator {
    transform: Transform2,
    spectrum: Spectrum,
    vertical: Vec<f64>,
    horizontal: Vec<f64>,
    mean_weight: f64,
    mean_variance: f64,
}

impl SobolevOperator {
    /// Plans the operator for planes of a size.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is zero or, without `std`, above 1024; [`Error::Spectrum`] when the spectrum's
    /// parameters are out of range.
    pub fn new(size: Size, spectrum: Spectrum, laplacian: Laplacian) -> Result<Self> {
        spectrum.validate()?;
        let Size { width, height } = size;
        let mut operator = Self {
            transform: Transform2::new(laplacian.boundary, size)?,
            spectrum,
            vertical: laplacian.eigenvalues(height),
            horizontal: laplacian.eigenvalues(width),
            mean_weight: 0.0,
            mean_variance: 0.0,
        };
        let (mut weights, mut variances) = (0.0, 0.0);
        for k in 0..height {
            for l in 0..width {
                let w = operator.weight(k, l);
                weights += w;
                variances += 1.0 / w;
            }
        }
        let n = (height * width) as f64;
        (operator.mean_weight, operator.mean_variance) = (weights / n, variances / n);
        Ok(operator)
    }

    /// Rows of a plane.
    pub fn height(&self) -> usize {
        self.transform.height()
    }

    /// Columns of a plane.
    pub fn width(&self) -> usize {
        self.transform.width()
    }

    /// The eigenvalue of coefficient `[k, l]`.
    pub fn eigenvalue(&self, k: usize, l: usize) -> f64 {
        self.vertical[k] + self.horizontal[l]
    }

    /// The weight `w` of coefficient `[k, l]`.
    pub fn weight(&self, k: usize, l: usize) -> f64 {
        self.spectrum.power(self.eigenvalue(k, l), 1.0)
    }

    /// The mean of `w` over all coefficients: the divisor that makes white residuals cost the same for every `s`.
    pub fn mean_weight(&self) -> f64 {
        self.mean_weight
    }

    /// The mean of `1 / w`: the variance of `Sigma_s^{1/2} eps` for white `eps` of variance 1.
    pub fn mean_variance(&self) -> f64 {
        self.mean_variance
    }

    /// The orthonormal transform the operator is diagonal in.
    pub fn transform(&self) -> &Transform2 {
        &self.transform
    }

    /// Multiplies every coefficient by `w^exponent`.
    ///
    /// # Errors
    /// [`Error::Size`] when `planes` is not one or more planes of as many values as the operator has (their sides are not
    /// known here), as for every method that takes them.
    pub fn apply<S: Sample>(&self, planes: &mut [S], exponent: f64) -> Result<()> {
        self.check(planes)?;
        for plane in planes.chunks_exact_mut(self.height() * self.width()) {
            self.transform.forward(plane);
            for (row, vertical) in plane.chunks_exact_mut(self.width()).zip(&self.vertical) {
                for (v, horizontal) in row.iter_mut().zip(&self.horizontal) {
                    *v = S::from_f64(v.to_f64() * self.spectrum.power(vertical + horizontal, exponent));
                }
            }
            self.transform.inverse(plane);
        }
        Ok(())
    }

    /// The precision operator `Sigma_s^{-1}`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn precision<S: Sample>(&self, planes: &mut [S]) -> Result<()> {
        self.apply(planes, 1.0)
    }

    /// The covariance `Sigma_s`, which turns an L2 gradient into the `H^s` gradient (its Riesz representative).
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn covariance<S: Sample>(&self, planes: &mut [S]) -> Result<()> {
        self.apply(planes, -1.0)
    }

    /// The root `Sigma_s^{1/2}`, which colours white noise; not yet scaled to variance 1.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn covariance_sqrt<S: Sample>(&self, planes: &mut [S]) -> Result<()> {
        self.apply(planes, -0.5)
    }

    /// Turns white noise of variance 1 into noise of covariance `Sigma_s` scaled to variance 1 (arXiv 2605.23264).
    ///
    /// The divisor is the expected deviation, the root of [`Self::mean_variance`].
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn colour<S: Sample>(&self, planes: &mut [S]) -> Result<()> {
        self.covariance_sqrt(planes)?;
        let scale = 1.0 / libm::sqrt(self.mean_variance);
        for v in planes {
            *v = S::from_f64(v.to_f64() * scale);
        }
        Ok(())
    }

    /// `<a, b>_{H^s} = sum w T(a) T(b)`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn inner<S: Sample>(&self, a: &[S], b: &[S]) -> Result<f64> {
        self.check(a)?;
        self.check(b)?;
        if a.len() != b.len() {
            return Err(Error::Size(format!(
                "an inner product of {} and {} values",
                a.len(),
                b.len()
            )));
        }
        let n = self.height() * self.width();
        let wide = |x: &[S]| {
            let mut x: Vec<f64> = x.iter().map(|v| v.to_f64()).collect();
            self.transform.forward(&mut x);
            x
        };
        let mut sum = 0.0;
        for (a, b) in a.chunks_exact(n).zip(b.chunks_exact(n)) {
            let (a, b) = (wide(a), wide(b));
            for (k, vertical) in self.vertical.iter().enumerate() {
                for (l, horizontal) in self.horizontal.iter().enumerate() {
                    let i = k * self.width() + l;
                    sum += self.spectrum.power(vertical + horizontal, 1.0) * a[i] * b[i];
                }
            }
        }
        Ok(sum)
    }

    /// `||a||^2_{H^s} = sum w T(a)^2`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn norm_squared<S: Sample>(&self, a: &[S]) -> Result<f64> {
        self.inner(a, a)
    }

    /// The energy losses use: `||a||^2_{H^s}` over the number of pixels and the mean weight, so that white noise
    /// of variance 1 has energy 1 for every `s`.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn energy<S: Sample>(&self, a: &[S]) -> Result<f64> {
        Ok(self.norm_squared(a)? / (a.len() as f64 * self.mean_weight))
    }

    fn check<S>(&self, planes: &[S]) -> Result<()> {
        let (h, w) = (self.height(), self.width());
        if !planes.is_empty() && planes.len().is_multiple_of(h * w) {
            return Ok(());
        }
        Err(Error::Size(format!(
            "{} values are not planes of the operator's {w}x{h} pixels",
            planes.len()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::spectral::{Boundary, Stencil};
    use proptest::prelude::*;

    fn values(n: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        (0..n).map(|_| random.normal()).collect()
    }

    fn operator(h: usize, w: usize, s: f64) -> SobolevOperator {
        let spectrum = Spectrum::sobolev(s).expect("in range");
        SobolevOperator::new(Size::new(w, h), spectrum, Laplacian::default()).expect("plans")
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn the_h1_norm_is_that_of_forward_differences() {
        for (h, w) in [(1, 9), (8, 8), (17, 12), (31, 64)] {
            let r = values(h * w, 5);
            let mut expected = dot(&r, &r);
            for y in 0..h {
                for x in 0..w {
                    let at = r[y * w + x];
                    if x + 1 < w {
                        expected += (r[y * w + x + 1] - at).powi(2);
                    }
                    if y + 1 < h {
                        expected += (r[(y + 1) * w + x] - at).powi(2);
                    }
                }
            }
            let got = operator(h, w, 1.0).norm_squared(&r).expect("sizes");
            assert!((got / expected - 1.0).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn mean_variances_are_those_of_the_method() {
        for (s, expected) in [(0.5, 0.490), (1.0, 0.259), (1.5, 0.149), (2.0, 0.094)] {
            let got = operator(64, 64, s).mean_variance();
            assert!((got - expected).abs() < 5e-4, "{s}: {got}");
        }
    }

    #[test]
    fn the_largest_weight_does_not_depend_on_resolution() {
        for n in [64, 512] {
            let w = operator(n, n, 1.5).weight(n - 1, n - 1);
            assert!(w <= 27.0 && w > 26.8, "{w}");
        }
    }

    #[test]
    fn reflection_has_no_jump_where_the_period_has_one() {
        // A ramp is smooth inside; its periodic extension jumps. Smoothing by Sigma must keep the ramp's edge.
        let (h, w) = (16, 64);
        let ramp: Vec<f64> = (0..h * w).map(|i| (i % w) as f64 / w as f64).collect();
        let smoothed = |boundary| {
            let laplacian = Laplacian {
                boundary,
                stencil: Stencil::FivePoint,
            };
            let spectrum = Spectrum::sobolev(1.5).expect("in range");
            let mut x = ramp.clone();
            SobolevOperator::new(Size::new(w, h), spectrum, laplacian)
                .expect("plans")
                .covariance(&mut x)
                .expect("sizes");
            x
        };
        let edge_error = |x: &[f64]| (x[0] - ramp[0]).abs().max((x[w - 1] - ramp[w - 1]).abs());
        let (neumann, periodic, dirichlet) = (
            edge_error(&smoothed(Boundary::Neumann)),
            edge_error(&smoothed(Boundary::Periodic)),
            edge_error(&smoothed(Boundary::Dirichlet)),
        );
        assert!(neumann < 0.02, "{neumann}");
        assert!(periodic > 0.3, "{periodic}");
        assert!(dirichlet > 0.3, "{dirichlet}");
    }

    #[test]
    fn an_edge_error_stays_at_its_edge() {
        // An error at the left edge must not be answered at the right one.
        let (h, w) = (8, 96);
        let far = |boundary| {
            let laplacian = Laplacian {
                boundary,
                stencil: Stencil::FivePoint,
            };
            let mut x = vec![0.0f64; h * w];
            x[4 * w] = 1.0;
            let spectrum = Spectrum::sobolev(1.5).expect("in range");
            SobolevOperator::new(Size::new(w, h), spectrum, laplacian)
                .expect("plans")
                .covariance(&mut x)
                .expect("sizes");
            (x[4 * w].abs(), x[4 * w + w - 1].abs())
        };
        let (near, across) = far(Boundary::Neumann);
        assert!(across < 1e-12 * near, "{across} of {near}");
        let (near, across) = far(Boundary::Periodic);
        assert!(across > 0.1 * near, "{across} of {near}");
    }

    #[test]
    fn a_plane_of_another_size_is_named() {
        let o = operator(4, 6, 1.0);
        let message = o.precision(&mut [0.0f32; 5]).expect_err("refused").to_string();
        assert!(message.contains("6x4"), "{message}");
        assert!(o.inner(&[0.0; 24], &[0.0; 23]).is_err());
    }

    /// Any operator this crate offers.
    fn any_operator() -> impl Strategy<Value = SobolevOperator> {
        (1usize..24, 1usize..24, -2.0f64..=3.0, 0usize..6).prop_map(|(h, w, s, which)| {
            let boundary = [Boundary::Neumann, Boundary::Periodic, Boundary::Dirichlet][which % 3];
            let stencil = [Stencil::FivePoint, Stencil::Continuous][which / 3];
            let spectrum = Spectrum { s, kappa: 1.0 };
            SobolevOperator::new(Size::new(w, h), spectrum, Laplacian { boundary, stencil }).expect("plans")
        })
    }

    proptest! {
        #[test]
        fn operators_compose_as_their_exponents_add(o in any_operator(), seed: u64) {
            let x = values(o.height() * o.width(), seed);
            let close = |a: &[f64], b: &[f64]| {
                let size = dot(b, b).sqrt().max(1.0);
                a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9 * size)
            };
            // The root twice is the covariance.
            let (mut twice, mut once) = (x.clone(), x.clone());
            o.covariance_sqrt(&mut twice).expect("sizes");
            o.covariance_sqrt(&mut twice).expect("sizes");
            o.covariance(&mut once).expect("sizes");
            prop_assert!(close(&twice, &once));
            // Precision undoes it.
            o.precision(&mut once).expect("sizes");
            prop_assert!(close(&once, &x));
        }

        #[test]
        fn operators_are_adjoint_to_themselves_and_give_the_inner_product(o in any_operator(), seed: u64) {
            let n = o.height() * o.width();
            let (a, b) = (values(n, seed), values(n, seed ^ 1));
            let (mut pa, mut pb) = (a.clone(), b.clone());
            o.precision(&mut pa).expect("sizes");
            o.precision(&mut pb).expect("sizes");
            let inner = o.inner(&a, &b).expect("sizes");
            let tolerance = 1e-10 * (1.0 + dot(&pa, &pa).sqrt() * dot(&b, &b).sqrt());
            prop_assert!((dot(&pa, &b) - inner).abs() < tolerance);
            prop_assert!((dot(&a, &pb) - inner).abs() < tolerance);
            prop_assert!(o.norm_squared(&a).expect("sizes") >= 0.0);
        }

        #[test]
        fn order_zero_is_l2(h in 1usize..30, w in 1usize..30, seed: u64) {
            let x = values(h * w, seed);
            let o = operator(h, w, 0.0);
            prop_assert!((o.norm_squared(&x).expect("sizes") - dot(&x, &x)).abs() < 1e-10 * dot(&x, &x));
            prop_assert_eq!(o.mean_weight(), 1.0);
        }
    }
}
