use burn::tensor::Tensor;

use super::SobolevMetric;
use super::flow::per_image;

/// Smallest squared norm that is divided by. Clamped before the root, it keeps gradients finite where a step is zero.
const TINY: f64 = 1e-30;

/// The adversary's negative: `x^l = x^w + delta` with `delta = x_adv - x^w` projected on the ball of `radius` in `H^s`
/// (Adversarial Manifold Guidance, arXiv 2605.23264).
///
/// `adversary` is the adversary's clean estimate `x_t^w + (1 - t) v_phi(x_t^w, t, c)`, see
/// [`PathPoint::clean_estimate`](super::PathPoint::clean_estimate); `radius` is `eps_t` of each image, `[n]`, positive.
pub fn negative(
    metric: &SobolevMetric,
    winner: &Tensor<4>,
    adversary: &Tensor<4>,
    radius: &Tensor<1>,
) -> Tensor<4> {
    winner.clone() + project(metric, adversary.clone() - winner.clone(), radius)
}

/// The step on the sphere `||delta||_{H^s} = radius` that lowers a functional most to first order, from its L2
/// gradient `g`: `delta = -radius Sigma_s g / sqrt(<g, Sigma_s g>)` for each image (arXiv 2605.23264); `radius` is
/// `[n]`, positive.
///
/// With `J` the policy's energy, the image that much further is one the policy is confidently wrong about: the
/// analytic adversary. A gradient of zero gives a step of zero.
pub fn riesz_step(metric: &SobolevMetric, gradient: Tensor<4>, radius: &Tensor<1>) -> Tensor<4> {
    let n = gradient.dims()[0];
    // The step does not depend on the gradient's length; scaled to one, its squares neither vanish nor overflow.
    let largest = gradient
        .clone()
        .abs()
        .reshape([n as i32, -1])
        .max_dim(1)
        .reshape([n]);
    let gradient = gradient * per_image(&largest.clamp_min(TINY).recip());
    let root = metric.apply(gradient.clone(), -0.5);
    let squared = root.square().reshape([n as i32, -1]).sum_dim(1).reshape([n]);
    let factor = squared.clamp_min(TINY).sqrt().recip().neg() * radius.clone();
    metric.apply(gradient, -1.0) * per_image(&factor)
}

/// Projects each image's `delta` on the ball `||delta||_{H^s} <= radius` by scaling it down where it lies outside;
/// `radius` is `[n]`, positive.
pub fn project(metric: &SobolevMetric, delta: Tensor<4>, radius: &Tensor<1>) -> Tensor<4> {
    let norm = metric.norm_squared(delta.clone()).clamp_min(TINY).sqrt();
    let factor = (norm.recip() * radius.clone()).clamp_max(1.0);
    delta * per_image(&factor)
}

/// The authors' fixed mix, `x^w + lambda (x_adv - x^w)`, without a ball; they use `lambda = 0.1`.
pub fn mix(winner: &Tensor<4>, adversary: &Tensor<4>, lambda: f64) -> Tensor<4> {
    winner.clone() + (adversary.clone() - winner.clone()).mul_scalar(lambda)
}

/// The cosine of the angle between `a` and `b` in `H^s` for each image, `[n]` in `[-1, 1]`, zero where one is zero: how
/// well the learned adversary's step agrees with [`riesz_step`].
pub fn sobolev_cosine(metric: &SobolevMetric, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
    let norm = |x: Tensor<4>| metric.norm_squared(x).clamp_min(TINY).sqrt();
    metric.inner(a.clone(), b.clone()) / norm(a) / norm(b)
}
