use alloc::{vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::pointwise::Pointwise;

/// The Gaussian error linear unit, exactly: `x Phi(x)` with the distribution function of the normal (Hendrycks and Gimpel 2016).
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelu {}

impl Pointwise for Gelu {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        0.5 * x * (1.0 + libm::erf(x * core::f64::consts::FRAC_1_SQRT_2))
    }

    fn number(&self, x: f32) -> f32 {
        0.5 * x * (1.0 + libm::erff(x * core::f32::consts::FRAC_1_SQRT_2))
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::gelu(x)
    }
}
