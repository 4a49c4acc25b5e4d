//! The list of layers of format 1, which restorers and convolutional fields share.

use alloc::{format, string::String, vec};

use crate::graph::Builder;
use crate::graph::ops::{Add, Conv, Leaky, Linear, Modulate, Prelu, Slice};
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
