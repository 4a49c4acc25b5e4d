use alloc::{format, vec, vec::Vec};

use super::params::params;
use super::{Fault, pointwise::Pointwise, real};
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;
use crate::model::GaussianSkip;

/// The gain of the exact flow between two Gaussians of one mean, from deviation `sigma` to `rho`, at the time `t`:
/// `(t rho^2 - (1 - t) sigma^2) / (t^2 rho^2 + (1 - t)^2 sigma^2)`. See [`GaussianSkip`].
///
/// Reads one value, the time, and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianGain {
    /// Deviation at time 0, 0.001 to 10.
    pub sigma: f64,
    /// Deviation at time 1, 0.001 to 10.
    pub rho: f64,
}

params!(GaussianGain { sigma, rho });

impl Pointwise for GaussianGain {
    fn samples() -> Vec<Self> {
        vec![
            Self {
                sigma: 0.3,
                rho: 0.05,
            },
            Self { sigma: 0.1, rho: 0.5 },
        ]
    }

    fn value(&self, x: f64) -> f64 {
        let (sigma, rho) = (self.sigma, self.rho);
        GaussianSkip { sigma, rho }.gain(x)
    }

    fn check_params(&self) -> Result<(), Fault> {
        real("sigma", self.sigma, 0.001..=10.0)?;
        real("rho", self.rho, 0.001..=10.0)
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        let (truth, noise) = (self.rho * self.rho, self.sigma * self.sigma);
        let left = x.clone().neg() + 1.0;
        let above = x.clone().mul_scalar(truth) - left.clone().mul_scalar(noise);
        let below = x.square().mul_scalar(truth) + left.square().mul_scalar(noise);
        above / below
    }
}

impl Shade for GaussianGain {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let [sigma, rho] = [self.sigma, self.rho].map(|x| (x * x) as f32);
        shade::pointwise(
            format!(
                "(a * {rho:?}f - (1.0 - a) * {sigma:?}f) / (a * a * {rho:?}f + (1.0 - a) * (1.0 - a) * {sigma:?}f)"
            ),
            &[],
        )
    }
}
