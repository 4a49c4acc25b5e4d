//! Convolutions with zero padding that keep the size.
//!
//! burn's own serve every device. On the CPU, in `f32`, with kernels of 1 and 3 pixels, an operation of ours takes their
//! place: it needs no patch matrix (`im2col`), fuses bias and activation, and its gradients are passes of the same kind.
//!
//! | file | what |
//! |---|---|
//! | `padded` | the layout the kernels read: planes with zeros around them |
//! | `kernel` | forward and gradients on slices, vectorised for whatever the processor has |
//! | `operation` | both as an operation on burn tensors, with its backward pass |

mod kernel;
mod operation;
mod padded;

use alloc::format;

use burn::backend::Dispatch;
use burn::tensor::{DType, Device, Tensor, module::conv2d, ops::ConvOptions};

use self::operation::ConvolutionOps;
use super::Parameters;
use super::layers::activate;
use crate::model::Activation;

/// The layer `name`: `[n, inputs, h, w]` to `[n, outputs, h, w]` by an odd `kernel`, then `activation`.
pub(super) fn convolve(
    parameters: &Parameters,
    name: &str,
    (outputs, kernel): (usize, usize),
    activation: Activation,
    x: Tensor<4>,
) -> Tensor<4> {
    let [_, inputs, _, _] = x.dims();
    let weight = parameters[&format!("{name}.weight")]
        .clone()
        .reshape([outputs, inputs, kernel, kernel]);
    let bias = parameters[&format!("{name}.bias")].clone();
    let ours = kernel::KERNELS.contains(&kernel)
        && x.device() == Device::flex()
        && [x.dtype(), weight.dtype(), bias.dtype()] == [DType::F32; 3];
    if !ours {
        let pad = kernel / 2;
        let options = ConvOptions::new([1, 1], [pad, pad], [1, 1], 1);
        return activate(conv2d(x, weight, Some(bias), options), activation, parameters, name);
    }
    // The gradient of a fused activation is told from the sign of its result.
    let (slope, rest) = match activation {
        Activation::LeakyRelu { slope } if slope >= 0.0 => (slope, Activation::None),
        other => (1.0, other),
    };
    let y = <Dispatch as ConvolutionOps>::convolution(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        slope,
    );
    activate(Tensor::from_dispatch(y), rest, parameters, name)
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
                let gradient = |leaf: &Tensor<1>| leaf.grad(&gradients).expect("reaches the loss").into_data();
                [y.inner().into_data(), gradient(&x), gradient(&weight), gradient(&bias)]
            });
            for (a, b) in both[0].iter().zip(&both[1]) {
                a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-4, 1e-4));
            }
        }
    }
}
