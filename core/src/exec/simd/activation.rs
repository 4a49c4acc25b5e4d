//! Activations with their gradients, on slices.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};

use crate::exec::for_each;
#[cfg(feature = "autodiff")]
use crate::exec::lanes::sum;
use crate::exec::lanes::{logistic, vectorised};

/// Numbers of a unit of work.
const UNIT: usize = 16 << 10;

/// A smooth activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `1 / (1 + e^-x)`.
    Logistic,
    /// `x / (1 + e^-x)`.
    Silu,
}

impl Activation {
    /// Its values.
    pub(crate) fn forward(self, x: &[f32]) -> Vec<f32> {
        match self {
            Self::Logistic => map(x, logistic),
            Self::Silu => map(
                x,
                #[inline(always)]
                |x| x * logistic(x),
            ),
        }
    }

    /// The gradient with respect to `x` from that of its values.
    #[cfg(feature = "autodiff")]
    pub(crate) fn backward(self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        match self {
            Self::Logistic => zip(
                x,
                gradient,
                #[inline(always)]
                |x, g| {
                    let y = logistic(x);
                    g * y * (1.0 - y)
                },
            ),
            Self::Silu => zip(
                x,
                gradient,
                #[inline(always)]
                |x, g| {
                    let y = logistic(x);
                    g * y * (1.0 + x * (1.0 - y))
                },
            ),
        }
    }
}

/// `f` of every number.
fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let units = out.chunks_mut(UNIT).zip(x.chunks(UNIT)).collect();
    for_each(units, |(out, x): (&mut [f32], &[f32])| {
        vectorised(
            #[inline(always)]
            || out.iter_mut().zip(x).for_each(|(out, x)| *out = f(*x)),
        );
    });
    out
}

/// `f` of the numbers at each place.
#[cfg(feature = "autodiff")]
fn zip(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let pairs = x.chunks(UNIT).zip(y.chunks(UNIT));
    let units = out.chunks_mut(UNIT).zip(pairs).collect();
    for_each(units, |(out, (x, y)): (&mut [f32], (&[f32], &[f32]))| {
        vectorised(
            #[inline(always)]
            || {
                for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                    *out = f(*x, *y);
                }
            },
        );
    });
    out
}

/// The gradient before a leaky rectifier, from that after it and its results, which have the signs of what went in.
#[cfg(feature = "autodiff")]
pub(crate) fn through_leaky(gradient: &[f32], results: &[f32], slope: f32) -> Vec<f32> {
    zip(
        gradient,
        results,
        #[inline(always)]
        |g, y| through(g, y, slope),
    )
}

/// The same of one number.
#[cfg(feature = "autodiff")]
#[inline(always)]
pub(crate) fn through(gradient: f32, result: f32, slope: f32) -> f32 {
    // With slope 0 all that is left of what was below zero is zero.
    if result > 0.0 || (result == 0.0 && slope > 0.0) {
        gradient
    } else {
        gradient * slope
    }
}

/// The rectifier with a slope for each channel: planes `[n, c, h, w]`, `slopes` `[c]`.
pub(crate) fn prelu(x: &[f32], slopes: &[f32], area: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let planes = out.chunks_exact_mut(area).zip(x.chunks_exact(area)).enumerate();
    for_each(planes.collect(), |(plane, (out, x))| {
        let slope = slopes[plane % slopes.len()];
        vectorised(
            #[inline(always)]
            || {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = if *x > 0.0 { *x } else { slope * x };
                }
            },
        );
    });
    out
}

/// The gradients with respect to `x` and the slopes, from that of what [`prelu`] makes.
#[cfg(feature = "autodiff")]
pub(crate) fn prelu_backward(
    (x, slopes): (&[f32], &[f32]),
    gradient: &[f32],
    area: usize,
) -> (Vec<f32>, Vec<f32>) {
    let mut dx = vec![0.0; x.len()];
    let mut sums = vec![0.0; x.len() / area.max(1)];
    let planes = dx.chunks_exact_mut(area).zip(&mut sums).enumerate();
    for_each(planes.collect(), |(plane, (dx, total))| {
        let (x, gradient) = (&x[plane * area..][..area], &gradient[plane * area..][..area]);
        let slope = slopes[plane % slopes.len()];
        vectorised(
            #[inline(always)]
            || {
                // What the slope is multiplied by first, and then what becomes of it.
                for ((dx, x), g) in dx.iter_mut().zip(x).zip(gradient) {
                    *dx = if *x > 0.0 { 0.0 } else { g * x };
                }
                *total = sum(dx, |x| x);
                for ((dx, x), g) in dx.iter_mut().zip(x).zip(gradient) {
                    *dx = if *x > 0.0 { *g } else { g * slope };
                }
            },
        );
    });
    let channels = slopes.len();
    let of = |channel: usize| sums.iter().skip(channel).step_by(channels).sum::<f64>() as f32;
    (dx, (0..channels).map(of).collect())
}
