use alloc::{format, vec::Vec};

use super::params::params;
use super::{Fault, pointwise::Pointwise, real};
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// The leaky rectifier (Maas et al. 2013): `x` where positive, else `slope * x`; with a slope of zero the rectifier.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leaky {
    /// From -1 to 1.
    pub slope: f64,
}

params!(Leaky { slope });

impl Pointwise for Leaky {
    fn samples() -> Vec<Self> {
        [0.0, 0.1, 1.0, -0.5].map(|slope| Self { slope }).into()
    }

    fn value(&self, x: f64) -> f64 {
        if x > 0.0 { x } else { self.slope * x }
    }

    fn number(&self, x: f32) -> f32 {
        let slope = self.slope as f32;
        if x > 0.0 { x } else { slope * x }
    }

    fn check_params(&self) -> Result<(), Fault> {
        real("the slope", self.slope, -1.0..=1.0)
    }

    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4> {
        burn::tensor::activation::leaky_relu(x, self.slope)
    }
}

impl Shade for Leaky {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise(
            format!("select({:?}f * a, a, a > vec4<f32>())", self.slope as f32),
            &[],
        )
    }
}
