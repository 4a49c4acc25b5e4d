//! What several networks share: the list of layers of format 1, of restorers and convolutional fields, and the gate of SPAN's blocks.

use alloc::{format, string::String, vec};

use crate::graph::Builder;
use crate::graph::ops::{Add, Affine, Constants, Conv, Leaky, Linear, Modulate, Mul, Prelu, Sigmoid, Slice};
use crate::model::{Activation, Layer};

/// The last value of `layers` on `input`; `time` is the embedding that modulates, where a layer does.
pub(super) fn layers(b: &mut Builder, layers: &[Layer], input: &str, time: &str) -> String {
    let mut values = vec![String::from(input)];
    for (i, layer) in layers.iter().enumerate() {
        let x = &values[i];
        let y = match layer {
            Layer::Conv {
                name,
                outputs,
                kernel,
                activation,
                ..
            } => {
                let y = b.node(name, Conv::new(name, *outputs, *kernel), &[x]);
                activate(b, name, *activation, y)
            }
            Layer::Film {
                name,
                channels,
                activation,
            } => {
                let [gamma, beta] = modulation(b, name, *channels, time);
                let y = b.after(name, Modulate {}, &[x, &gamma, &beta]);
                activate(b, name, *activation, y)
            }
            Layer::Add { with } => b.node(format!("layer.{}.add", i + 1), Add {}, &[x, &values[*with]]),
        };
        values.push(y);
    }
    values.pop().unwrap_or_default()
}

fn activate(b: &mut Builder, name: &str, activation: Activation, x: String) -> String {
    match activation {
        Activation::None => x,
        Activation::LeakyRelu { slope } => b.after(name, Leaky { slope: slope.into() }, &[&x]),
        Activation::Prelu => {
            let slope = format!("{name}.slope");
            b.after(name, Prelu { slope }, &[&x])
        }
    }
}

/// A linear map `module` of the time embedding, cut into `N` vectors of as many channels.
pub(super) fn modulation<const N: usize>(
    b: &mut Builder,
    module: &str,
    channels: usize,
    time: &str,
) -> [String; N] {
    let all = b.node(module, Linear::new(module, N * channels), &[time]);
    core::array::from_fn(|i| {
        let first = i * channels;
        b.node(format!("{module}.{i}"), Slice { first, channels }, &[&all])
    })
}

/// `(y + x) (sigmoid(y) - 1/2)`, the gate without parameters of SPAN's blocks (Wan et al. 2023), in the block `module`.
pub(super) fn gated(b: &mut Builder, module: &str, y: &str, x: &str) -> String {
    let gate = b.after(module, Sigmoid {}, &[y]);
    let half = Affine {
        scale: None,
        shift: Some(Constants::One(-0.5)),
    };
    let gate = b.after(module, half, &[&gate]);
    let sum = b.after(module, Add {}, &[y, x]);
    b.after(module, Mul {}, &[&sum, &gate])
}
