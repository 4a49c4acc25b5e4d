#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};

use super::params::params;
use super::pointwise::Pointwise;
use crate::exec::lanes::exp;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// The Gaussian error linear unit, exactly: `x Phi(x)` with the distribution function of the normal (Hendrycks and Gimpel 2016).
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gelu {}

params!(Gelu {});

impl Pointwise for Gelu {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        0.5 * x * (1.0 + libm::erf(x * core::f64::consts::FRAC_1_SQRT_2))
    }

    fn number(&self, x: f32) -> f32 {
        0.5 * x * (1.0 + erf(x * core::f32::consts::FRAC_1_SQRT_2))
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::gelu(x)
    }
}

/// The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    (1.0 - sum * exp(-x * x)).copysign(x)
}

const ERF: &str = "
// The error function to 1.5e-7: Abramowitz and Stegun, 7.1.26.
fn erf(x: vec4<f32>) -> vec4<f32> {
    let t = 1.0 / (1.0 + 0.3275911 * abs(x));
    let sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
    return sign(x) * (1.0 - sum * exp(-min(x * x, vec4<f32>(80.0))));
}
";

impl Shade for Gelu {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("0.5 * a * (1.0 + erf(a * 0.70710678118654752))", &[ERF])
    }
}
