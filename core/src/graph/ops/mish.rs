use alloc::{vec, vec::Vec};

use super::params::params;
use super::pointwise::Pointwise;
use crate::exec::lanes::exp;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// `x tanh(ln(1 + e^x))` (Misra 2019).
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mish {}

params!(Mish {});

impl Pointwise for Mish {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        // Beyond 40 the logarithm is x to the last digit, and the exponential may overflow.
        let softplus = if x > 40.0 { x } else { libm::log1p(libm::exp(x)) };
        x * libm::tanh(softplus)
    }

    fn number(&self, x: f32) -> f32 {
        // With e = e^x the hyperbolic tangent of log(1 + e) is e (e + 2) / (e (e + 2) + 2).
        // Beyond 20 that is 1.
        let e = exp(x.min(20.0));
        let product = e * (e + 2.0);
        x * (product / (product + 2.0))
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::mish(x)
    }
}

const MISH: &str = "
fn mish(x: vec4<f32>) -> vec4<f32> {
    // With e = e^x the hyperbolic tangent of log(1 + e) is e (e + 2) / (e (e + 2) + 2); beyond 20 it is 1.
    let e = exp(min(x, vec4<f32>(20.0)));
    let product = e * (e + 2.0);
    return x * (product / (product + 2.0));
}
";

impl Shade for Mish {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("mish(a)", &[MISH])
    }
}
