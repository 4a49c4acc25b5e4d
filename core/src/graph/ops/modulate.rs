use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, count, map, params::params, tokens};
use crate::exec::shade::{self, Shade, Shader};
use crate::exec::{self, InPlace, Run};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Kernels, Layout, OnBurn};

/// Feature-wise modulation (Perez et al. 2018; adaLN, Peebles and Xie 2023): `(1 + gamma_c) x + beta_c`.
///
/// Reads `x` and the vectors `gamma` and `beta` of its channels; keeps the type of `x`. A gate is [`mul`](struct@super::Mul) by a
/// vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Modulate {}

params!(Modulate {});

impl Operation for Modulate {
    fn reads(&self) -> RangeInclusive<usize> {
        3..=3
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let vector = ValueType::vector(inputs[0].channels);
        match inputs[1..].iter().find(|v| **v != vector) {
            None => Ok(inputs[0]),
            Some(other) => Err(Fault::Inputs(format!(
                "{vector} is needed to modulate, not {other}"
            ))),
        }
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl Reference for Modulate {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let vector = ValueType::vector(3);
        let of = |value| (Self {}, vec![value, vector, vector]);
        vec![of(map(3)), of(tokens(3, [4, 4], [0, 0])), of(vector)]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| {
            (1.0 + inputs[1].at(c, 0)) * inputs[0].at(c, p) + inputs[2].at(c, 0)
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for Modulate {
    fn on_burn(&self, given: Given) -> Batch {
        self.on_burn_with_slope(given, 1.0)
    }

    fn on_burn_with_slope(&self, given: Given, slope: f64) -> Batch {
        use crate::nn::cpu::{activate, modulate, modulate_by_burn};

        let kernels = given.kernels;
        let ([x, gamma, beta], _) = given.take();
        let factors = [gamma, beta].map(Batch::into_vector);
        if x.layout == Layout::Planes {
            return x.each(|x| match kernels {
                Kernels::Fastest => modulate(x, factors, slope),
                Kernels::Burns => modulate_by_burn(x, factors, slope),
            });
        }
        let (n, c) = (x.len(), x.channels());
        let [gamma, beta] = factors.map(|factor| factor.reshape([n, 1, 1, c]));
        x.each(|x| activate(x * (gamma + 1.0) + beta, slope))
    }
}

impl InPlace for Modulate {
    fn on_run(&self, own: &mut [f32], operand: usize, others: &[Run<'_>], _: &[Run<'_>]) {
        let others = [others[0], others[1]];
        match operand {
            0 => exec::zip_two(own, others, |x, gamma, beta| (1.0 + gamma) * x + beta),
            1 => exec::zip_two(own, others, |gamma, x, beta| (1.0 + gamma) * x + beta),
            _ => exec::zip_two(own, others, |beta, x, gamma| (1.0 + gamma) * x + beta),
        }
    }
}

impl Shade for Modulate {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("(1.0 + b) * a + c", &[])
    }
}
