use alloc::vec::Vec;

use burn::tensor::{Tensor, activation};

use super::Batch;

/// How burn computes an operation, on any of its devices and differentiable.
pub(crate) trait OnBurn {
    /// Its result, for checked inputs and the tensors that [`Operation::parameters`](crate::graph::Operation::parameters) names, all of
    /// one type of number.
    fn on_burn(&self, given: Given) -> Batch;

    /// The same, and what is below zero is then multiplied by `slope`, which is not negative.
    fn on_burn_with_slope(&self, given: Given, slope: f64) -> Batch {
        self.on_burn(given).each(|x| activation::leaky_relu(x, slope))
    }
}

/// What an operation computes its result of.
#[derive(Debug)]
pub(crate) struct Given {
    /// What it reads.
    pub(crate) inputs: Vec<Batch>,
    /// Its learned tensors, flat, in its own order.
    pub(crate) learned: Vec<Tensor<1>>,
    /// Whose kernels.
    pub(crate) kernels: Kernels,
}

/// Whose kernels compute an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernels {
    /// On burn-flex in `f32` ours, where there is one; else burn's.
    Fastest,
    /// Burn's everywhere.
    Burns,
}

impl Given {
    /// What it reads, if that is `N` values, and its learned tensors.
    pub(crate) fn take<const N: usize>(self) -> ([Batch; N], Vec<Tensor<1>>) {
        match self.inputs.try_into() {
            Ok(inputs) => (inputs, self.learned),
            Err(_) => unreachable!("the number of inputs was checked"),
        }
    }

    /// The only value that it reads.
    pub(crate) fn one(self) -> Batch {
        let ([x], _) = self.take();
        x
    }
}
