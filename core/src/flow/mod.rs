//! Flow matching (Lipman et al. 2023; Liu et al. 2023) from a low-quality image to a faithful one.
//!
//! The path `x_t = (1 - t) x0 + t x1` leads from a source sample `x0` at `t = 0` to the high-quality image `x1` at
//! `t = 1`. A network learns its velocity `u = x1 - x0`; integrating the learned field from `x0` makes an image.
//!
//! [`Source`] makes `x0`, the functions of this module relate the points of a path, [`TimeSampling`] draws the times to
//! train at, [`Schedule`] holds the times to sample at, and [`integrate`] does it, for planes, tensors or `Vec<f64>`
//! alike ([`State`]). [`Sampler`] draws whole images tile by tile on any [`FlowDevice`].

mod anchor;
mod inputs;
mod sampler;
mod sampling;
mod schedule;
mod solver;
mod source;
mod time;

pub use anchor::ColourAnchor;
pub use inputs::FieldInputs;
pub use sampler::{Drawing, FlowDevice, Sampler, departure, spread};
pub use sampling::Sampling;
pub use schedule::Schedule;
pub use solver::{Field, State, Step, integrate};
pub use source::Source;
pub use time::TimeSampling;

/// The point of the path at time `t` in `[0, 1]`: `x_t = (1 - t) x0 + t x1`.
pub fn point<S: State>(x0: &S, x1: &S, t: f64) -> S {
    x0.scaled(1.0 - t).plus(x1, t)
}

/// The path's velocity, `u = x1 - x0`.
pub fn velocity<S: State>(x0: &S, x1: &S) -> S {
    x1.plus(x0, -1.0)
}

/// The velocity that leads from the path's point `x_t` to `x1`: `u = (x1 - x_t) / (1 - t)`, for `t` below 1.
pub fn velocity_towards<S: State>(x_t: &S, x1: &S, t: f64) -> S {
    x1.plus(x_t, -1.0).scaled(1.0 / (1.0 - t))
}

/// The image a velocity points at: `x1 = x_t + (1 - t) v`. Its error is `1 - t` times the velocity's.
pub fn clean_estimate<S: State>(x_t: &S, v: &S, t: f64) -> S {
    x_t.plus(v, 1.0 - t)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_path_is_consistent(
            x0 in proptest::collection::vec(-3.0f64..3.0, 4),
            x1 in proptest::collection::vec(-3.0f64..3.0, 4),
            error in proptest::collection::vec(-1.0f64..1.0, 4),
            t in 0.0f64..0.99,
        ) {
            let close = |a: &Vec<f64>, b: &Vec<f64>| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
            let x_t = point(&x0, &x1, t);
            let u = velocity(&x0, &x1);
            prop_assert!(close(&velocity_towards(&x_t, &x1, t), &u));
            prop_assert!(close(&clean_estimate(&x_t, &u, t), &x1));
            prop_assert!(close(&point(&x0, &x1, 0.0), &x0) && close(&point(&x0, &x1, 1.0), &x1));
            // x1_hat - x1 = (1 - t) gamma
            let v = u.plus(&error, 1.0);
            let off = clean_estimate(&x_t, &v, t).plus(&x1, -1.0);
            prop_assert!(close(&off, &error.scaled(1.0 - t)));
        }
    }
}
