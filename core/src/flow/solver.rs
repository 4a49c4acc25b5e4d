use alloc::vec::Vec;

use super::Schedule;
use crate::{Error, Planes, Result};

/// What a flow moves: anything that can be scaled and added.
pub trait State: Clone {
    /// `self * factor`.
    #[must_use]
    fn scaled(&self, factor: f64) -> Self;

    /// `self + other * factor`.
    ///
    /// # Panics
    /// When the shapes differ.
    #[must_use]
    fn plus(&self, other: &Self, factor: f64) -> Self;
}

impl State for Vec<f64> {
    fn scaled(&self, factor: f64) -> Self {
        self.iter().map(|v| v * factor).collect()
    }

    fn plus(&self, other: &Self, factor: f64) -> Self {
        assert_eq!(self.len(), other.len(), "states of one length");
        self.iter().zip(other).map(|(a, b)| a + b * factor).collect()
    }
}

impl State for Planes {
    fn scaled(&self, factor: f64) -> Self {
        let mut out = self.clone();
        out.data_mut().iter_mut().for_each(|v| *v *= factor as f32);
        out
    }

    fn plus(&self, other: &Self, factor: f64) -> Self {
        let size = |p: &Self| [p.channels(), p.height(), p.width()];
        assert_eq!(size(self), size(other), "states of one size");
        let mut out = self.clone();
        for (a, b) in out.data_mut().iter_mut().zip(other.data()) {
            *a += b * factor as f32;
        }
        out
    }
}

#[cfg(feature = "burn")]
impl<const D: usize> State for burn::tensor::Tensor<D> {
    fn scaled(&self, factor: f64) -> Self {
        self.clone().mul_scalar(factor)
    }

    fn plus(&self, other: &Self, factor: f64) -> Self {
        self.clone() + other.clone().mul_scalar(factor)
    }
}

/// A velocity field that is being sampled; the condition is its own affair.
#[expect(
    async_fn_in_trait,
    reason = "fields are used by static dispatch; browsers have no Send futures"
)]
pub trait Field<S> {
    /// The velocity at `x` and time `t` in `[0, 1]`, of the shape of `x`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    async fn velocity(&mut self, x: &S, t: f64) -> Result<S>;
}

/// A step just taken.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a, S> {
    /// Steps taken so far.
    pub done: usize,
    /// Steps in all.
    pub total: usize,
    /// The time reached, in `(0, 1]`.
    pub t: f64,
    /// The state there.
    pub state: &'a S,
}

/// Moves `x0` along `field` from `t = 0` to `t = 1` by Euler's method: `x + h v(x, t)`, one evaluation a step.
///
/// `on_step` is called after every step and stops the work by returning `false`. Outside of async code any executor runs
/// it, such as that of the crate `pollster`:
///
/// ```
/// use asasr_core::flow::{Field, Schedule, integrate};
///
/// struct Decay;
///
/// impl Field<Vec<f64>> for Decay {
///     async fn velocity(&mut self, x: &Vec<f64>, _t: f64) -> asasr_core::Result<Vec<f64>> {
///         Ok(x.iter().map(|x| -x).collect())
///     }
/// }
///
/// let schedule = Schedule::uniform(100)?;
/// let end = pollster::block_on(integrate(&mut Decay, vec![1.0], &schedule, |_| true))?;
/// assert!((end[0] - (-1f64).exp()).abs() < 2e-3);
/// # Ok::<(), asasr_core::Error>(())
/// ```
///
/// # Errors
/// Those of the field; [`Error::Cancelled`] when `on_step` said so.
pub async fn integrate<S: State>(
    field: &mut impl Field<S>,
    x0: S,
    schedule: &Schedule,
    mut on_step: impl FnMut(Step<'_, S>) -> bool,
) -> Result<S> {
    let mut x = x0;
    for (i, pair) in schedule.times().windows(2).enumerate() {
        let (t, next) = (pair[0], pair[1]);
        let h = next - t;
        let v = field.velocity(&x, t).await?;
        x = x.plus(&v, h);
        let step = Step {
            done: i + 1,
            total: schedule.steps(),
            t: next,
            state: &x,
        };
        if !on_step(step) {
            return Err(Error::Cancelled);
        }
    }
    Ok(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// The exact field of the path between independent Gaussians `N(0, a^2)` and `N(mean, b^2)`:
    /// `E[x1 - x0 | x_t = x]`.
    struct Gaussians {
        a: f64,
        mean: f64,
        b: f64,
    }

    impl Gaussians {
        /// Deviation of the path at time `t`.
        fn deviation(&self, t: f64) -> f64 {
            (((1.0 - t) * self.a).powi(2) + (t * self.b).powi(2)).sqrt()
        }

        /// `d log deviation / dt`.
        fn rate(&self, t: f64) -> f64 {
            (t * self.b * self.b - (1.0 - t) * self.a * self.a) / self.deviation(t).powi(2)
        }

        /// Where the flow takes `x0`: quantiles stay, so `x1 = mean + b / a x0`.
        fn exact(&self, x0: f64) -> f64 {
            self.mean + self.b / self.a * x0
        }

        fn solve(&mut self, x0: f64, schedule: &Schedule) -> f64 {
            pollster::block_on(integrate(self, vec![x0], schedule, |_| true)).expect("runs")[0]
        }
    }

    impl Field<Vec<f64>> for Gaussians {
        async fn velocity(&mut self, x: &Vec<f64>, t: f64) -> Result<Vec<f64>> {
            let rate = self.rate(t);
            Ok(x.iter().map(|x| self.mean + rate * (x - t * self.mean)).collect())
        }
    }

    #[test]
    fn the_error_falls_with_the_step() {
        let mut field = Gaussians {
            a: 1.0,
            mean: 0.7,
            b: 0.4,
        };
        let points: Vec<(f64, f64)> = [64, 128, 256, 512]
            .iter()
            .map(|n| {
                let got = field.solve(1.3, &Schedule::uniform(*n).expect("in range"));
                (-(*n as f64).ln(), (got - field.exact(1.3)).abs().ln())
            })
            .collect();
        let (mx, my) = (
            points.iter().map(|p| p.0).sum::<f64>() / 4.0,
            points.iter().map(|p| p.1).sum::<f64>() / 4.0,
        );
        let order = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum::<f64>()
            / points.iter().map(|p| (p.0 - mx).powi(2)).sum::<f64>();
        assert!((order - 1.0).abs() < 0.05, "{order}");
    }

    #[test]
    fn twenty_eight_steps_land_within_the_predicted_error() {
        // The leading global error of Euler's method is -h/2 times the integral of Phi(1, t) x''(t). Here the
        // solution is t mean + d(t) / a x0 and Phi(1, t) = d(1) / d(t), with d the path's deviation.
        for (a, b) in [(1.0, 0.4), (1.0, 1.0), (0.3, 1.2)] {
            let mut field = Gaussians { a, mean: 0.5, b };
            let x0 = 0.8;
            let n = 20_000;
            let d = |t: f64| field.deviation(t);
            let e = 1e-4;
            let integral: f64 = (0..n)
                .map(|i| {
                    let t = (f64::from(i) + 0.5) / f64::from(n);
                    let second = (d(t + e) - 2.0 * d(t) + d(t - e)) / (e * e);
                    second / d(t) / f64::from(n)
                })
                .sum();
            let predicted = -integral * d(1.0) * x0 / a / (2.0 * 28.0);
            let error = field.solve(x0, &Schedule::default()) - field.exact(x0);
            // The next order is a step's length smaller.
            assert!(
                (error / predicted - 1.0).abs() < 0.15,
                "{a} {b}: {error} {predicted}"
            );
        }
    }

    #[test]
    fn a_straight_path_needs_one_step() {
        struct Straight;
        impl Field<Planes> for Straight {
            async fn velocity(&mut self, x: &Planes, _t: f64) -> Result<Planes> {
                Planes::new(1, 1, x.width(), vec![0.5; x.width()])
            }
        }
        for schedule in [Schedule::one(), Schedule::two(), Schedule::four()] {
            let x0 = Planes::zeros(1, 1, 3);
            let x1 = pollster::block_on(integrate(&mut Straight, x0, &schedule, |_| true));
            assert!(x1.expect("runs").data().iter().all(|v| (v - 0.5).abs() < 1e-6));
        }
    }

    #[test]
    fn every_step_is_reported_and_may_be_the_last() {
        let mut field = Gaussians {
            a: 1.0,
            mean: 0.0,
            b: 1.0,
        };
        let mut seen = Vec::new();
        let stopped = pollster::block_on(integrate(&mut field, vec![1.0], &Schedule::four(), |s| {
            seen.push((s.done, s.total, s.t));
            s.done < 2
        }));
        assert_eq!(stopped, Err(Error::Cancelled));
        assert_eq!(seen, [(1, 4, 0.25), (2, 4, 0.5)]);
    }
}
