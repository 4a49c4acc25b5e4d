use burn::tensor::Tensor;

use super::SobolevMetric;

/// A batch of points of flow paths, each image at its own time.
#[derive(Debug, Clone)]
pub struct PathPoint {
    /// `x_t = (1 - t) x0 + t x1`, `[n, 3, h, w]`.
    pub x_t: Tensor<4>,
    /// The times, `[n]` in `[0, 1]`.
    pub t: Tensor<1>,
    /// The velocity of the path, `u = x1 - x0`.
    pub u: Tensor<4>,
}

impl PathPoint {
    /// The point at time `t` on the path from `x0` to `x1`.
    pub fn new(x0: &Tensor<4>, x1: &Tensor<4>, t: &Tensor<1>) -> Self {
        let u = x1.clone() - x0.clone();
        Self {
            x_t: x0.clone() + u.clone() * per_image(t),
            t: t.clone(),
            u,
        }
    }

    /// The residual of a velocity, `gamma = v - u`.
    pub fn residual(&self, v: Tensor<4>) -> Tensor<4> {
        v - self.u.clone()
    }

    /// The image a velocity points at, `x1 = x_t + (1 - t) v`.
    pub fn clean_estimate(&self, v: Tensor<4>) -> Tensor<4> {
        self.x_t.clone() + v * (per_image(&self.t).neg() + 1.0)
    }
}

/// `[n]` to `[n, 1, 1, 1]`.
pub(super) fn per_image(t: &Tensor<1>) -> Tensor<4> {
    let n = t.dims()[0];
    t.clone().reshape([n, 1, 1, 1])
}

/// The flow-matching loss of a residual `gamma = v - u`: `(1 - mix) * mean(gamma^2) + mix * energy_{H^s}(gamma)`,
/// averaged over images (arXiv 2605.23264); `mix` in `[0, 1]`, both terms 1 for white residuals of variance 1.
pub fn flow_loss(metric: &SobolevMetric, gamma: Tensor<4>, mix: f64) -> Tensor<1> {
    let plain = gamma.clone().square().mean();
    if mix == 0.0 {
        return plain;
    }
    plain.mul_scalar(1.0 - mix) + metric.energy(gamma).mean().mul_scalar(mix)
}
