use alloc::{format, vec::Vec};

use burn::tensor::{Tensor, activation};

use super::Parameters;
use super::cpu::modulate;
use crate::model::{Activation, Layer};

/// Computes a convolution and its activation: parameters, its name, its outputs and kernel, the activation, what it reads.
pub(super) type Convolve = fn(&Parameters, &str, (usize, usize), Activation, Tensor<4>) -> Tensor<4>;

/// Runs a list of layers on `[n, c, h, w]`; `time` is the embedding, `[n, features]`, that modulates.
///
/// # Panics
/// When a parameter is missing, or a layer is modulated and there is no time.
pub(super) fn run_layers(
    layers: &[Layer],
    parameters: &Parameters,
    input: Tensor<4>,
    time: Option<&Tensor<2>>,
    convolve: Convolve,
) -> Tensor<4> {
    // Of what went into each layer, what a later one adds: all of it would be the most of a tile's memory.
    let mut values: Vec<Option<Tensor<4>>> = Vec::with_capacity(layers.len());
    let last_use = |value: usize| {
        let uses = |layer: &Layer| matches!(layer, Layer::Add { with } if *with == value);
        layers.iter().rposition(uses)
    };
    let mut x = input;
    for (i, layer) in layers.iter().enumerate() {
        let kept = last_use(i).map(|_| x.clone());
        x = match layer {
            Layer::Conv {
                name,
                outputs,
                kernel,
                activation,
                ..
            } => convolve(parameters, name, (*outputs, *kernel), *activation, x),
            Layer::Film { name, activation, .. } => {
                let time = time.expect("a validated network is modulated only where it has a time");
                let factors = modulation(parameters, name, time.clone());
                modulate(parameters, name, factors, *activation, x)
            }
            Layer::Add { with } => {
                let value = &mut values[*with];
                let added = if last_use(*with) == Some(i) {
                    value.take()
                } else {
                    value.clone()
                };
                x + added.expect("a validated network adds what came before")
            }
        };
        values.push(kept);
    }
    x
}

/// `x W^T + b` for `x` of `[n, in]` and `W` of `[out, in]`.
pub(super) fn linear(parameters: &Parameters, name: &str, x: Tensor<2>) -> Tensor<2> {
    let [_, inputs] = x.dims();
    let bias = parameters[&format!("{name}.bias")].clone();
    let outputs = bias.dims()[0];
    let weight = parameters[&format!("{name}.weight")]
        .clone()
        .reshape([outputs, inputs]);
    x.matmul(weight.transpose()) + bias.reshape([1, outputs])
}

/// A linear map of the time embedding `[n, features]`, cut into `N` equal parts of `[n, c]`.
pub(super) fn modulation<const N: usize>(
    parameters: &Parameters,
    name: &str,
    time: Tensor<2>,
) -> [Tensor<2>; N] {
    let all = linear(parameters, name, time);
    let c = all.dims()[1] / N;
    core::array::from_fn(|i| all.clone().narrow(1, i * c, c))
}

pub(super) fn activate(
    x: Tensor<4>,
    activation: Activation,
    parameters: &Parameters,
    name: &str,
) -> Tensor<4> {
    match activation {
        Activation::None => x,
        Activation::LeakyRelu { slope } => activation::leaky_relu(x, f64::from(slope)),
        Activation::Prelu => activation::prelu(x, parameters[&format!("{name}.slope")].clone()),
    }
}

/// `[n, c * r * r, h, w]` to `[n, c, h * r, w * r]`: channel `c * r * r + i * r + j` becomes row `i`, column `j` of
/// each block (Shi et al. 2016).
pub(super) fn pixel_shuffle(x: Tensor<4>, r: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let c = c / (r * r);
    x.reshape([n, c, r, r, h, w])
        .permute([0, 1, 4, 2, 5, 3])
        .reshape([n, c, h * r, w * r])
}

/// `[n, c, h * r, w * r]` to `[n, c * r * r, h, w]`: undoes [`pixel_shuffle`].
pub(super) fn pixel_unshuffle(x: Tensor<4>, r: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let (h, w) = (h / r, w / r);
    x.reshape([n, c, h, r, w, r])
        .permute([0, 1, 3, 5, 2, 4])
        .reshape([n, c * r * r, h, w])
}
