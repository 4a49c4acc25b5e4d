//! The layers of the convolutional networks, which on the CPU run through operations of our own.
//!
//! burn's operations serve every device and type. On burn-flex, in `f32`, these take their place: a convolution needs no
//! patch matrix (`im2col`), bias and activation are part of it, and its gradients are passes of the same kind; a modulation is
//! one pass instead of five.
//!
//! The kernels are those of `exec::simd`; `operations` has them as operations on burn tensors, with their backward passes.

mod operations;

use alloc::format;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, module::conv2d, ops::ConvOptions};

use self::operations::CpuOps;
use super::Parameters;
use super::layers::activate;
use crate::exec::simd::convolution as simd;
use crate::model::Activation;

/// The layer `name`: `[n, inputs, h, w]` to `[n, outputs, h, w]` by an odd `kernel` with zero padding, then `activation`.
pub(super) fn convolve(
    parameters: &Parameters,
    name: &str,
    (outputs, kernel): (usize, usize),
    activation: Activation,
    x: Tensor<4>,
) -> Tensor<4> {
    if !convolves(&x, kernel) {
        return convolve_by_burn(parameters, name, (outputs, kernel), activation, x);
    }
    let (weight, bias) = weights(parameters, name, (outputs, kernel), &x);
    let (slope, rest) = fused(activation);
    activate(convolution(x, weight, bias, slope), rest, parameters, name)
}

/// Whether [`convolution`] serves `x` with a kernel of this side.
pub(crate) fn convolves(x: &Tensor<4>, kernel: usize) -> bool {
    ours(x) && simd::KERNELS.contains(&kernel)
}

/// `[n, inputs, h, w]` to `[n, outputs, h, w]` by weights `[outputs, inputs, k, k]` with as many zeros around the map as keep its size;
/// what is below zero is then multiplied by `slope`, which is not negative.
///
/// # Panics
/// Where [`convolves`] says no.
pub(crate) fn convolution(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, slope: f32) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as CpuOps>::convolution(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        slope,
    ))
}

/// `(1 + gamma) x + beta` for `x` of `[n, c, h, w]`, `gamma` and `beta` of `[n, c]`; what is below zero is then multiplied by `slope`,
/// which is not negative.
///
/// # Panics
/// Where `x` is not [`ours`].
pub(crate) fn modulation(x: Tensor<4>, [gamma, beta]: [Tensor<2>; 2], slope: f32) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as CpuOps>::modulation(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        slope,
    ))
}

/// The same by burn's operations, on any device.
pub(super) fn convolve_by_burn(
    parameters: &Parameters,
    name: &str,
    (outputs, kernel): (usize, usize),
    activation: Activation,
    x: Tensor<4>,
) -> Tensor<4> {
    let (weight, bias) = weights(parameters, name, (outputs, kernel), &x);
    let pad = kernel / 2;
    let options = ConvOptions::new([1, 1], [pad, pad], [1, 1], 1);
    activate(
        conv2d(x, weight, Some(bias), options),
        activation,
        parameters,
        name,
    )
}

/// The weights and biases of the convolution `name` of `x`.
fn weights(
    parameters: &Parameters,
    name: &str,
    (outputs, kernel): (usize, usize),
    x: &Tensor<4>,
) -> (Tensor<4>, Tensor<1>) {
    let [_, inputs, _, _] = x.dims();
    let weight = parameters[&format!("{name}.weight")].clone();
    let bias = parameters[&format!("{name}.bias")].clone();
    (weight.reshape([outputs, inputs, kernel, kernel]), bias)
}

/// The layer `name`: `(1 + gamma) x + beta` for `x` of `[n, c, h, w]`, `gamma` and `beta` of `[n, c]`, then `activation`.
pub(super) fn modulate(
    parameters: &Parameters,
    name: &str,
    [gamma, beta]: [Tensor<2>; 2],
    activation: Activation,
    x: Tensor<4>,
) -> Tensor<4> {
    if !ours(&x) {
        let [n, c, _, _] = x.dims();
        let shape = [n, c, 1, 1];
        let y = x * (gamma.reshape(shape) + 1.0) + beta.reshape(shape);
        return activate(y, activation, parameters, name);
    }
    let (slope, rest) = fused(activation);
    activate(modulation(x, [gamma, beta], slope), rest, parameters, name)
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
pub(crate) fn ours(x: &Tensor<4>) -> bool {
    x.device() == Device::flex() && x.dtype() == DType::F32
}

/// The slope that an operation applies, and what is left to do after it. A gradient tells the side of a result by its sign,
/// so the slope may not be negative.
fn fused(activation: Activation) -> (f32, Activation) {
    match activation {
        Activation::LeakyRelu { slope } if slope >= 0.0 => (slope, Activation::None),
        other => (1.0, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use alloc::{string::ToString as _, vec::Vec};
    use burn::tensor::TensorData;

    /// Through burn's graph, ours and burn's convolution give the same values and gradients.
    #[cfg(feature = "autodiff")]
    #[test]
    fn the_operation_and_burns_own_agree() {
        let device = Device::flex().autodiff();
        let (n, inputs, outputs, h, w) = (2, 5, 7, 6, 11);
        let draw = |seed: u64, n: usize| -> Tensor<1> {
            let mut random = SplitMix64::new(seed);
            let values: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
            Tensor::from_data(TensorData::new(values, [n]), &device).require_grad()
        };
        for (kernel, activation) in [
            (3, Activation::LeakyRelu { slope: 0.2 }),
            (1, Activation::None),
            (3, Activation::Prelu),
        ] {
            let both = [true, false].map(|ours| {
                let x = draw(1, n * inputs * h * w);
                let planes = x.clone().reshape([n, inputs, h, w]);
                let weight = draw(2, outputs * inputs * kernel * kernel);
                let bias = draw(3, outputs);
                let parameters: Parameters = [
                    ("layer.weight".to_string(), weight.clone()),
                    ("layer.bias".to_string(), bias.clone()),
                    ("layer.slope".to_string(), draw(4, outputs)),
                ]
                .into();
                let y = if ours {
                    convolve(&parameters, "layer", (outputs, kernel), activation, planes)
                } else {
                    let pad = kernel / 2;
                    let options = ConvOptions::new([1, 1], [pad, pad], [1, 1], 1);
                    let weight = weight.clone().reshape([outputs, inputs, kernel, kernel]);
                    let y = conv2d(planes, weight, Some(bias.clone()), options);
                    activate(y, activation, &parameters, "layer")
                };
                let gradients = y.clone().sin().sum().backward();
                let gradient =
                    |leaf: &Tensor<1>| leaf.grad(&gradients).expect("reaches the loss").into_data();
                [
                    y.inner().into_data(),
                    gradient(&x),
                    gradient(&weight),
                    gradient(&bias),
                ]
            });
            for (a, b) in both[0].iter().zip(&both[1]) {
                a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
            }
        }
    }

    #[cfg(feature = "autodiff")]
    #[test]
    fn modulation_and_burns_operations_agree() {
        let device = Device::flex().autodiff();
        let (n, c, h, w, slope) = (3, 4, 5, 7, 0.2);
        let both = [true, false].map(|ours| {
            let draw = |seed: u64, n: usize| -> Tensor<1> {
                let mut random = SplitMix64::new(seed);
                let values: Vec<f32> = (0..n).map(|_| random.normal() as f32).collect();
                Tensor::from_data(TensorData::new(values, [n]), &device).require_grad()
            };
            let leaves = [draw(1, n * c * h * w), draw(2, n * c), draw(3, n * c)];
            let [x, gamma, beta] = leaves.clone();
            let (x, factors) = (x.reshape([n, c, h, w]), [gamma, beta].map(|t| t.reshape([n, c])));
            let y = if ours {
                let activation = Activation::LeakyRelu { slope };
                modulate(&Parameters::new(), "layer", factors, activation, x)
            } else {
                let [gamma, beta] = factors.map(|t| t.reshape([n, c, 1, 1]));
                burn::tensor::activation::leaky_relu(x * (gamma + 1.0) + beta, slope.into())
            };
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
