use alloc::{vec, vec::Vec};

use super::params::params;
use super::pointwise::{Pointwise, logistic};
use crate::exec::lanes;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// `x / (1 + e^-x)` (Elfwing et al. 2017), also called Swish.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silu {}

params!(Silu {});

impl Pointwise for Silu {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        x * logistic(x)
    }

    fn number(&self, x: f32) -> f32 {
        x * lanes::logistic(x)
    }

    #[cfg(feature = "burn")]
    fn kernel(&self) -> Option<crate::nn::cpu::Activation> {
        Some(crate::nn::cpu::Activation::Silu)
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::silu(x)
    }
}

impl Shade for Silu {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("a * logistic(a)", &[super::sigmoid::LOGISTIC])
    }
}
