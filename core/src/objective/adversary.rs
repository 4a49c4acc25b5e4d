use burn::tensor::Tensor;

use super::SobolevMetric;
use super::flow::per_image;

/// Keeps a division by a norm finite.
const TINY: f64 = 1e-30;

/// The step on the sphere `||delta||_{H^s} = radius` that lowers a functional most to first order, from its L2
/// gradient `g`: `delta = -radius Sigma_s g / sqrt(<g, Sigma_s g>)` for each image (arXiv 2605.23264).
///
/// With `J` the policy's energy, the image that much further is one the policy is confidently wrong about: the
/// analytic adversary. A gradient of zero gives a step of zero.
pub fn riesz_step(metric: &SobolevMetric, gradient: Tensor<4>, radius: f64) -> Tensor<4> {
    let n = gradient.dims()[0];
    let root = metric.apply(gradient.clone(), -0.5);
    let length = root
        .square()
        .reshape([n as i32, -1])
        .sum_dim(1)
        .reshape([n])
        .sqrt();
    let factor = length.clamp_min(TINY).recip().mul_scalar(-radius);
    metric.apply(gradient, -1.0) * per_image(&factor)
}

/// Projects each image's `delta` on the ball `||delta||_{H^s} <= radius` by scaling it down where it lies outside.
pub fn project(metric: &SobolevMetric, delta: Tensor<4>, radius: f64) -> Tensor<4> {
    let norm = metric.norm_squared(delta.clone()).sqrt();
    let factor = norm.clamp_min(TINY).recip().mul_scalar(radius).clamp_max(1.0);
    delta * per_image(&factor)
}

/// The authors' fixed mix, `x^w + lambda (x_adv - x^w)`, without a ball; they use `lambda = 0.1`.
pub fn mix(winner: &Tensor<4>, adversary: &Tensor<4>, lambda: f64) -> Tensor<4> {
    winner.clone() + (adversary.clone() - winner.clone()).mul_scalar(lambda)
}

/// The cosine of the angle between `a` and `b` in `H^s` for each image, `[n]` in `[-1, 1]`: how well the learned
/// adversary's step agrees with [`riesz_step`].
pub fn sobolev_cosine(metric: &SobolevMetric, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let norms = metric.norm_squared(a.clone()).sqrt() * metric.norm_squared(b.clone()).sqrt();
    metric.inner(a, b) / norms.clamp_min(TINY)
}
