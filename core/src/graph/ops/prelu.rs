use alloc::{string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, count, map, parameter, params::params};
use crate::exec::shade::{self, Shade, Shader};
use crate::exec::{self, InPlace, Run};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::cpu::{prelu, prelu_by_burn};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Kernels, Layout, OnBurn};

/// The rectifier with a learned slope for each channel (He et al. 2015): `x` where positive, else `slope_c x`.
///
/// Reads one value and keeps its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prelu {
    /// Name of the slopes, `[channels]`.
    pub slope: String,
}

params!(Prelu { slope });

impl Operation for Prelu {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        Ok(inputs[0])
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        vec![parameter(&self.slope, &[inputs[0].channels])]
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Reference for Prelu {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let slope = || Self {
            slope: "slope".into(),
        };
        vec![(slope(), vec![map(3)]), (slope(), vec![ValueType::vector(2)])]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| {
            let x = inputs[0].at(c, p);
            if x > 0.0 { x } else { parameters[0][c] * x }
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Prelu {
    fn on_burn(&self, given: Given) -> Batch {
        let kernels = given.kernels;
        let ([x], learned) = given.take();
        let slopes = learned[0].clone();
        if kernels == Kernels::Fastest && x.layout == Layout::Planes {
            return x.each(|x| prelu(x, slopes));
        }
        let slopes = x.per_channel(slopes);
        x.each(|x| prelu_by_burn(x, slopes))
    }
}

impl InPlace for Prelu {
    fn on_run(&self, own: &mut [f32], _: usize, _: &[Run<'_>], numbers: &[Run<'_>]) {
        exec::zip(own, numbers[0], |x, slope| if x > 0.0 { x } else { slope * x });
    }
}

impl Shade for Prelu {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("select(t0 * a, a, a > vec4<f32>())", &[])
    }
}
