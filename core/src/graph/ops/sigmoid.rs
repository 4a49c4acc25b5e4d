use alloc::{vec, vec::Vec};

use super::params::params;
use super::pointwise::{Pointwise, logistic};
use crate::exec::lanes;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// The logistic function, `1 / (1 + e^-x)`.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid {}

params!(Sigmoid {});

impl Pointwise for Sigmoid {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        logistic(x)
    }

    fn number(&self, x: f32) -> f32 {
        lanes::logistic(x)
    }

    #[cfg(feature = "burn")]
    fn kernel(&self) -> Option<crate::nn::cpu::Activation> {
        Some(crate::nn::cpu::Activation::Logistic)
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::sigmoid(x)
    }
}

/// The logistic function in WGSL.
pub(super) const LOGISTIC: &str = "
fn logistic(x: vec4<f32>) -> vec4<f32> {
    // Beyond -80 it is zero, and the exponential may overflow.
    return 1.0 / (1.0 + exp(-max(x, vec4<f32>(-80.0))));
}
";

impl Shade for Sigmoid {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("logistic(a)", &[LOGISTIC])
    }
}
