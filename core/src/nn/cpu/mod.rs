//! Operations of the convolutional networks that on the CPU are our own.
//!
//! burn's operations serve every device and type. On burn-flex, in `f32`, these take their place: a convolution needs no
//! patch matrix (`im2col`), bias and activation are part of it, and its gradients are passes of the same kind; a modulation is
//! one pass instead of five.
//!
//! The kernels are those of `exec::simd`; `operations` has them as operations on burn tensors, with their backward passes.

mod operations;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, activation::leaky_relu, module::conv2d, ops::ConvOptions};

use self::operations::CpuOps;
use crate::exec::FAST_KERNELS;
pub(crate) use crate::exec::simd::activation::Activation;

/// A convolution of stride 1 and what follows it.
#[derive(Debug)]
pub(crate) struct Convolution {
    /// `[outputs, inputs / groups, k, k]`.
    pub(crate) weight: Tensor<4>,
    /// `[outputs]`.
    pub(crate) bias: Option<Tensor<1>>,
    /// Zeros around the map.
    pub(crate) padding: usize,
    /// Parts of the channels that do not see each other.
    pub(crate) groups: usize,
    /// What is below zero is multiplied by this, which is not negative.
    pub(crate) slope: f64,
}

impl Convolution {
    /// `[n, inputs, h, w]` to `[n, outputs, h, w]`, by our operation where it serves.
    pub(crate) fn of(self, x: Tensor<4>) -> Tensor<4> {
        let [outputs, _, kernel, _] = self.weight.dims();
        let plain = self.groups == 1 && self.padding == kernel / 2;
        if !(plain && ours(&x) && FAST_KERNELS.contains(&kernel)) {
            return self.by_burn(x);
        }
        let zeros = || Tensor::zeros([outputs], (&x.device(), x.dtype()));
        let bias = self.bias.unwrap_or_else(zeros);
        Tensor::from_dispatch(<Dispatch as CpuOps>::convolution(
            x.into_dispatch(),
            self.weight.into_dispatch(),
            bias.into_dispatch(),
            self.slope as f32,
        ))
    }

    /// The same by burn's operations, on any device.
    pub(crate) fn by_burn(self, x: Tensor<4>) -> Tensor<4> {
        let options = ConvOptions::new([1, 1], [self.padding; 2], [1, 1], self.groups);
        activate(conv2d(x, self.weight, self.bias, options), self.slope)
    }
}

/// `(1 + gamma) x + beta` for `x` of `[n, c, h, w]`, `gamma` and `beta` of `[n, c]`; what is below zero is then multiplied by `slope`,
/// which is not negative. By our operation where it serves.
pub(crate) fn modulate(x: Tensor<4>, factors: [Tensor<2>; 2], slope: f64) -> Tensor<4> {
    if !ours(&x) {
        return modulate_by_burn(x, factors, slope);
    }
    let [gamma, beta] = factors;
    Tensor::from_dispatch(<Dispatch as CpuOps>::modulation(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        slope as f32,
    ))
}

/// The same by burn's operations, on any device.
pub(crate) fn modulate_by_burn(x: Tensor<4>, factors: [Tensor<2>; 2], slope: f64) -> Tensor<4> {
    let [n, c, _, _] = x.dims();
    let [gamma, beta] = factors.map(|factor| factor.reshape([n, c, 1, 1]));
    activate(x * (gamma + 1.0) + beta, slope)
}

/// The leaky rectifier; with a slope of one there is none.
pub(crate) fn activate(x: Tensor<4>, slope: f64) -> Tensor<4> {
    if slope == 1.0 { x } else { leaky_relu(x, slope) }
}

/// A smooth activation of numbers of any shape, by our operation where it serves.
pub(crate) fn smooth(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    if ours(&x) {
        return Tensor::from_dispatch(<Dispatch as CpuOps>::activation(x.into_dispatch(), activation));
    }
    smooth_by_burn(x, activation)
}

/// The same by burn's operations, on any device.
pub(crate) fn smooth_by_burn(x: Tensor<4>, activation: Activation) -> Tensor<4> {
    match activation {
        Activation::Logistic => burn::tensor::activation::sigmoid(x),
        Activation::Silu => burn::tensor::activation::silu(x),
    }
}

/// The rectifier with a slope for each channel, `x` of `[n, c, h, w]` and `slopes` of `[c]`, by our operation where it serves.
pub(crate) fn prelu(x: Tensor<4>, slopes: Tensor<1>) -> Tensor<4> {
    if ours(&x) {
        let y = <Dispatch as CpuOps>::prelu(x.into_dispatch(), slopes.into_dispatch());
        return Tensor::from_dispatch(y);
    }
    let c = slopes.dims()[0];
    prelu_by_burn(x, slopes.reshape([1, c, 1, 1]))
}

/// The same by burn's operations, on any device; the slopes are broadcast.
pub(crate) fn prelu_by_burn(x: Tensor<4>, slopes: Tensor<4>) -> Tensor<4> {
    let below = x.clone().lower_elem(0.0);
    let scaled = x.clone() * slopes;
    x.mask_where(below, scaled)
}

/// Half of `x`, `[n, c, h, w]`, by the maximum over windows of that side and a binomial low-pass; none where our operations do not
/// serve `x`.
pub(super) fn halve(x: &Tensor<4>, window: usize) -> Option<Tensor<4>> {
    ours(x).then(|| {
        let y = <Dispatch as CpuOps>::halving(x.clone().into_dispatch(), window);
        Tensor::from_dispatch(y)
    })
}

/// Whether our operations serve a tensor.
fn ours(x: &Tensor<4>) -> bool {
    x.device() == Device::flex() && x.dtype() == DType::F32
}

#[cfg(all(test, feature = "autodiff"))]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use alloc::vec::Vec;
    use burn::tensor::TensorData;

    /// Through burn's graph, ours and burn's convolution give the same values and gradients.
    #[test]
    fn the_operation_and_burns_own_agree() {
        let device = Device::flex().autodiff();
        let (n, inputs, outputs, h, w) = (2, 5, 7, 6, 11);
        let draw = |seed: u64, n: usize| -> Tensor<1> {
            let mut random = SplitMix64::new(seed);
            let values: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
            Tensor::from_data(TensorData::new(values, [n]), &device).require_grad()
        };
        for (kernel, slope, biased) in [(3, 0.2, true), (1, 1.0, true), (3, 0.0, false)] {
            let both = [Convolution::of, Convolution::by_burn].map(|run| {
                let x = draw(1, n * inputs * h * w);
                let weight = draw(2, outputs * inputs * kernel * kernel);
                let bias = draw(3, outputs);
                let convolution = Convolution {
                    weight: weight.clone().reshape([outputs, inputs, kernel, kernel]),
                    bias: biased.then(|| bias.clone()),
                    padding: kernel / 2,
                    groups: 1,
                    slope,
                };
                let y = run(convolution, x.clone().reshape([n, inputs, h, w]));
                let gradients = y.clone().sin().sum().backward();
                let mut all = alloc::vec![y.inner().into_data()];
                let leaves = [&x, &weight].into_iter().chain(biased.then_some(&bias));
                all.extend(leaves.map(|leaf| leaf.grad(&gradients).expect("reaches the loss").into_data()));
                all
            });
            for (a, b) in both[0].iter().zip(&both[1]) {
                a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
            }
        }
    }

    /// Values and gradients of what a function makes of these leaves.
    fn traced<const N: usize>(
        leaves: &[Tensor<1>; N],
        run: impl Fn([Tensor<1>; N]) -> Tensor<4>,
    ) -> Vec<TensorData> {
        let y = run(leaves.clone());
        let gradients = y.clone().sin().sum().backward();
        let mut all = alloc::vec![y.inner().into_data()];
        all.extend(
            leaves
                .iter()
                .map(|leaf| leaf.grad(&gradients).expect("reaches the loss").into_data()),
        );
        all
    }

    #[test]
    fn activations_and_burns_operations_agree() {
        let device = Device::flex().autodiff();
        let shape = [2, 3, 70, 90];
        let draw = |seed: u64, n: usize| -> Tensor<1> {
            let mut random = SplitMix64::new(seed);
            let values: Vec<f32> = (0..n).map(|_| 3.0 * random.normal() as f32).collect();
            Tensor::from_data(TensorData::new(values, [n]), &device).require_grad()
        };
        let agree = |both: [Vec<TensorData>; 2]| {
            for (a, b) in both[0].iter().zip(&both[1]) {
                a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-4, 1e-5));
            }
        };
        let n: usize = shape.iter().product();
        for activation in [Activation::Logistic, Activation::Silu] {
            agree(
                [smooth, smooth_by_burn]
                    .map(|run| traced(&[draw(1, n)], |[x]| run(x.reshape(shape), activation))),
            );
        }
        let by_burn = |x: Tensor<4>, slopes: Tensor<1>| prelu_by_burn(x, slopes.reshape([1, 3, 1, 1]));
        let runs: [&dyn Fn(Tensor<4>, Tensor<1>) -> Tensor<4>; 2] = [&prelu, &by_burn];
        agree(runs.map(|run| {
            traced(&[draw(1, n), draw(2, 3)], |[x, slopes]| {
                run(x.reshape(shape), slopes)
            })
        }));
    }

    #[test]
    fn modulation_and_burns_operations_agree() {
        let device = Device::flex().autodiff();
        let (n, c, h, w, slope) = (3, 4, 5, 7, 0.2);
        let both = [modulate, modulate_by_burn].map(|run| {
            let draw = |seed: u64, n: usize| -> Tensor<1> {
                let mut random = SplitMix64::new(seed);
                let values: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
                Tensor::from_data(TensorData::new(values, [n]), &device).require_grad()
            };
            let leaves = [draw(1, n * c * h * w), draw(2, n * c), draw(3, n * c)];
            let [x, gamma, beta] = leaves.clone();
            let factors = [gamma, beta].map(|t| t.reshape([n, c]));
            let y = run(x.reshape([n, c, h, w]), factors, slope);
            let gradients = y.clone().sin().sum().backward();
            let mut all = alloc::vec![y.inner().into_data()];
            all.extend(leaves.map(|leaf| leaf.grad(&gradients).expect("reaches the loss").into_data()));
            all
        });
        for (a, b) in both[0].iter().zip(&both[1]) {
            a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
        }
    }
}
