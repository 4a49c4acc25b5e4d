use alloc::{vec, vec::Vec};

use serde::{Deserialize, Serialize};

use super::pointwise::{Pointwise, logistic, logistic_number};

/// The logistic function, `1 / (1 + e^-x)`.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

impl Pointwise for Sigmoid {
    fn samples() -> Vec<Self> {
        vec![Self {}]
    }

    fn value(&self, x: f64) -> f64 {
        logistic(x)
    }

    fn number(&self, x: f32) -> f32 {
        logistic_number(x)
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::sigmoid(x)
    }
}
