use alloc::{format, string::String, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, channels, count, map, params::params, tokens, weight_and_bias};
use crate::exec::shade::{Shade, Shader};
use crate::exec::{Compute, Value};
use crate::graph::{Fault, Shape, Tensor, ValueType};
use crate::model::ParameterShape;
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// A linear map of the channels at every place: `y_o = b_o + sum over i of w_oi x_i`.
///
/// Reads a value of any kind; keeps its places and has `outputs` channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    /// Name of the weight, `[outputs, inputs]`.
    pub weight: String,
    /// Name of the bias, `[outputs]`, where it has one.
    pub bias: Option<String>,
    /// Channels of the result.
    pub outputs: usize,
}

params!(Linear {
    weight,
    bias,
    outputs
});

impl Linear {
    /// One with the parameters `{module}.weight` and `{module}.bias`.
    pub fn new(module: &str, outputs: usize) -> Self {
        Self {
            weight: format!("{module}.weight"),
            bias: Some(format!("{module}.bias")),
            outputs,
        }
    }
}

impl Operation for Linear {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        Ok(inputs[0].with_channels(channels(self.outputs as u64)?))
    }

    fn multiply_adds(&self, inputs: &[Shape], output: &Shape) -> u64 {
        count(output).saturating_mul(inputs[0].channels as u64)
    }

    fn parameters(&self, inputs: &[ValueType]) -> Vec<ParameterShape> {
        weight_and_bias(
            &self.weight,
            self.bias.as_ref(),
            &[self.outputs, inputs[0].channels],
        )
    }
}

impl Reference for Linear {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |outputs, value| (Self::new("linear", outputs), vec![value]);
        let (plain, types) = case(3, map(2));
        let bias = None;
        vec![
            case(5, map(3)),
            case(1, ValueType::vector(1)),
            case(7, ValueType::vector(6)),
            case(4, tokens(3, [4, 4], [2, 2])),
            (Self { bias, ..plain }, types),
        ]
    }

    fn run(&self, inputs: &[&Tensor], parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let n = inputs[0].shape().channels;
        Tensor::build(output, |o, p| {
            let bias = parameters.get(1).map_or(0.0, |bias| bias[o]);
            let row = &parameters[0][o * n..][..n];
            let products = row.iter().enumerate().map(|(i, w)| w * inputs[0].at(i, p));
            bias + products.sum::<f64>()
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Linear {
    fn on_burn(&self, given: Given) -> Batch {
        let ([x], learned) = given.take();
        let (places, x) = (x.places, x.into_rows());
        let [n, h, w, c] = x.dims();
        let weight = learned[0].clone().reshape([self.outputs, c]).transpose();
        let mut y = x.reshape([n * h * w, c]).matmul(weight);
        if let Some(bias) = learned.get(1) {
            y = y + bias.clone().reshape([1, self.outputs]);
        }
        Batch::rows(y.reshape([n, h, w, self.outputs]), places)
    }
}

impl Compute for Linear {
    #[cfg(feature = "simd")]
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        use crate::exec::After;
        use crate::exec::simd::{convolution::Convolution, linear::linear};
        use crate::graph::Places;

        let (x, bias) = (inputs[0], parameters.get(1).copied());
        let Places::Map(size) = x.shape.places else {
            return linear(&x.data, x.channels(), parameters[0], bias, &mut out.data);
        };
        let convolution = Convolution {
            inputs: x.channels(),
            outputs: self.outputs,
            kernel: 1,
            height: size.height,
            width: size.width,
        };
        let none = vec![0.0; self.outputs];
        let bias = bias.unwrap_or(&none);
        convolution.forward_into(&x.data, parameters[0], bias, &mut out.data, After::slope(1.0));
    }

    #[cfg(not(feature = "simd"))]
    fn compute(&self, inputs: &[&Value], parameters: &[&[f32]], out: &mut Value) {
        let (x, n) = (inputs[0], inputs[0].channels());
        let ((from, pixel), (to, place)) = (x.steps(), out.steps());
        for p in 0..x.places() {
            for (o, row) in parameters[0].chunks_exact(n).enumerate() {
                let products = row
                    .iter()
                    .enumerate()
                    .map(|(i, w)| w * x.data[i * from + p * pixel]);
                let bias = parameters.get(1).map_or(0.0, |bias| bias[o]);
                out.data[o * to + p * place] = bias + products.sum::<f32>();
            }
        }
    }
}

impl Shade for Linear {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        Shader::Dense { kernel: 1 }
    }
}
