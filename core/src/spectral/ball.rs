//! Steps of bounded Sobolev norm, for the adversary (arXiv 2605.23264, Adversarial Manifold Guidance).

use alloc::{format, vec::Vec};

use super::{Sample, SobolevOperator};
use crate::{Error, Result};

impl SobolevOperator {
    /// Projects `delta` on the ball `||delta||_{H^s} <= radius` by scaling it down where it lies outside.
    ///
    /// # Errors
    /// As [`Self::apply`]; [`Error::Spectrum`] when `radius` is negative or not a number.
    pub fn project<S: Sample>(&self, delta: &mut [S], radius: f64) -> Result<()> {
        check(radius)?;
        let norm = libm::sqrt(self.norm_squared(delta)?);
        if norm > radius {
            scale(delta, radius / norm);
        }
        Ok(())
    }

    /// Replaces the L2 gradient `g` of a functional by the step on the sphere `||delta||_{H^s} = radius` that lowers
    /// it most to first order: `delta = -radius Sigma_s g / sqrt(<g, Sigma_s g>)`, where `Sigma_s g` is the Riesz
    /// representative of the derivative in `H^s`.
    ///
    /// Returns the change it predicts, `<g, delta> = -radius sqrt(<g, Sigma_s g>)`, never positive. A gradient of zero
    /// stays zero.
    ///
    /// # Errors
    /// As [`Self::apply`]; [`Error::Spectrum`] when `radius` is negative or not a number.
    pub fn riesz_step<S: Sample>(&self, gradient: &mut [S], radius: f64) -> Result<f64> {
        check(radius)?;
        let half = {
            // <g, Sigma g> is the squared norm of Sigma^{1/2} g: a sum of squares, never negative.
            let mut root: Vec<f64> = gradient.iter().map(|v| v.to_f64()).collect();
            self.covariance_sqrt(&mut root)?;
            libm::sqrt(root.iter().map(|v| v * v).sum::<f64>())
        };
        if half == 0.0 {
            return Ok(0.0);
        }
        self.covariance(gradient)?;
        scale(gradient, -radius / half);
        Ok(-radius * half)
    }

    /// The cosine of the angle between `a` and `b` in `H^s`, in `[-1, 1]`; zero where one of them is zero.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub fn cosine<S: Sample>(&self, a: &[S], b: &[S]) -> Result<f64> {
        let norms = libm::sqrt(self.norm_squared(a)? * self.norm_squared(b)?);
        Ok(if norms == 0.0 {
            0.0
        } else {
            self.inner(a, b)? / norms
        })
    }
}

fn check(radius: f64) -> Result<()> {
    if radius >= 0.0 {
        return Ok(());
    }
    Err(Error::Spectrum(format!(
        "a ball of radius {radius} has no points"
    )))
}

fn scale<S: Sample>(values: &mut [S], factor: f64) {
    for v in values {
        *v = S::from_f64(v.to_f64() * factor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Size;
    use crate::random::SplitMix64;
    use crate::spectral::{Laplacian, Spectrum};
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn values(n: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        (0..n).map(|_| random.normal()).collect()
    }

    fn operator(h: usize, w: usize, s: f64) -> SobolevOperator {
        SobolevOperator::new(
            Size::new(w, h),
            Spectrum::sobolev(s).expect("in range"),
            Laplacian::default(),
        )
        .expect("plans")
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn no_feasible_direction_of_ten_thousand_beats_the_riesz_step() {
        let (h, w, radius) = (6, 8, 0.3);
        let o = operator(h, w, 1.5);
        // Two channels share one ball.
        let g = values(2 * h * w, 1);
        let mut step = g.clone();
        let predicted = o.riesz_step(&mut step, radius).expect("sizes");
        assert!((dot(&g, &step) - predicted).abs() < 1e-12);
        let mut best = 0.0f64;
        for seed in 0..10_000 {
            let mut delta = values(2 * h * w, 100 + seed);
            // Half of them are near the best direction, where a better one would be.
            if seed % 2 == 0 {
                for (d, s) in delta.iter_mut().zip(&step) {
                    *d = 0.003 * *d + s;
                }
            }
            let norm = o.norm_squared(&delta).expect("sizes").sqrt();
            delta.iter_mut().for_each(|v| *v *= radius / norm);
            best = best.min(dot(&g, &delta));
        }
        assert!(best > predicted, "{best} {predicted}");
        // The near ones come close: the test could have failed.
        assert!(best < 0.9 * predicted, "{best} {predicted}");
    }

    #[test]
    fn degenerate_steps_are_zero() {
        let o = operator(3, 4, 1.0);
        let mut zero = vec![0.0; 12];
        assert_eq!(o.riesz_step(&mut zero, 1.0).expect("sizes"), 0.0);
        o.project(&mut zero, 0.0).expect("sizes");
        assert_eq!(zero, [0.0; 12]);
        assert!(o.project(&mut zero, -1.0).is_err() && o.riesz_step(&mut zero, f64::NAN).is_err());
        assert_eq!(o.cosine(&zero, &values(12, 1)).expect("sizes"), 0.0);
    }

    proptest! {
        #[test]
        fn the_riesz_step_lies_on_the_sphere_and_attains_its_value(
            h in 1usize..20, w in 1usize..20, s in -2.0f64..3.0, radius in 1e-3f64..10.0, seed: u64,
        ) {
            let o = operator(h, w, s);
            let g = values(h * w, seed);
            let mut delta = g.clone();
            let value = o.riesz_step(&mut delta, radius).expect("sizes");
            let norm = o.norm_squared(&delta).expect("sizes").sqrt();
            prop_assert!((norm / radius - 1.0).abs() < 1e-9);
            let mut sigma_g = g.clone();
            o.covariance(&mut sigma_g).expect("sizes");
            let expected = -radius * dot(&g, &sigma_g).sqrt();
            prop_assert!((value / expected - 1.0).abs() < 1e-9);
            prop_assert!((dot(&g, &delta) / expected - 1.0).abs() < 1e-9);
            // It points against the H^s gradient.
            prop_assert!((o.cosine(&delta, &sigma_g).expect("sizes") + 1.0).abs() < 1e-9);
        }

        #[test]
        fn projection_is_the_nearest_point_of_the_ball(
            h in 1usize..16, w in 1usize..16, s in 0.0f64..3.0, radius in 0.1f64..20.0, seed: u64,
        ) {
            let o = operator(h, w, s);
            let x = values(h * w, seed);
            let mut p = x.clone();
            o.project(&mut p, radius).expect("sizes");
            prop_assert!(o.norm_squared(&p).expect("sizes").sqrt() <= radius * (1.0 + 1e-12));
            let mut again = p.clone();
            o.project(&mut again, radius).expect("sizes");
            prop_assert!(again.iter().zip(&p).all(|(a, b)| (a - b).abs() < 1e-12));
            // Any other point of the ball makes an obtuse angle: <x - p, y - p>_{H^s} <= 0.
            let mut y = values(h * w, seed ^ 5);
            o.project(&mut y, radius).expect("sizes");
            let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
            let inner = o.inner(&minus(&x, &p), &minus(&y, &p)).expect("sizes");
            prop_assert!(inner <= 1e-9 * (1.0 + o.norm_squared(&x).expect("sizes")));
        }
    }
}
