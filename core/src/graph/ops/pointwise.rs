//! What the functions of one number have in common: they keep the type, see nothing but their place, and have no learned values.

use alloc::{vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Fault, Operation, Reference, Shape, Tensor, ValueType, count, map, tokens};
use crate::exec::{self, InPlace, Run};
#[cfg(feature = "burn")]
use crate::nn::cpu::{Activation, smooth};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, Kernels, OnBurn};

/// A function of one number.
pub(super) trait Pointwise: core::fmt::Debug + Sized + Sync {
    /// Some of these, to be tested on every executor.
    fn samples() -> Vec<Self>;

    /// Its value.
    fn value(&self, x: f64) -> f64;

    /// Its value as the processor computes it.
    fn number(&self, x: f32) -> f32 {
        self.value(f64::from(x)) as f32
    }

    /// The kernel of ours that computes it on burn, where there is one.
    #[cfg(feature = "burn")]
    fn kernel(&self) -> Option<Activation> {
        None
    }

    /// Its values on burn.
    #[cfg(feature = "burn")]
    fn tensor(&self, x: burn::tensor::Tensor<4>) -> burn::tensor::Tensor<4>;

    /// Checks its parameters.
    fn check_params(&self) -> Result<(), Fault> {
        Ok(())
    }
}

impl<P: Pointwise> Operation for P {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        self.check_params()?;
        Ok(inputs[0])
    }

    fn multiply_adds(&self, _inputs: &[Shape], output: &Shape) -> u64 {
        count(output)
    }

    fn is_pointwise(&self) -> bool {
        true
    }
}

impl<P: Pointwise> Reference for P {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let on = |value: ValueType| P::samples().into_iter().map(move |one| (one, vec![value]));
        let kinds = [map(3), map(1), ValueType::vector(3), tokens(2, [4, 4], [0, 0])];
        kinds.into_iter().flat_map(on).collect()
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| self.value(inputs[0].at(c, p)))
    }
}

#[cfg(feature = "burn")]
impl<P: Pointwise> OnBurn for P {
    fn on_burn(&self, given: Given) -> Batch {
        let kernel = self.kernel().filter(|_| given.kernels == Kernels::Fastest);
        given.one().each(|x| match kernel {
            Some(kernel) => smooth(x, kernel),
            None => self.tensor(x),
        })
    }
}

impl<P: Pointwise> InPlace for P {
    fn on_run(&self, own: &mut [f32], _: usize, _: &[Run<'_>], _: &[Run<'_>]) {
        exec::map(own, |x| self.number(x));
    }
}

/// The logistic function.
pub(super) fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
