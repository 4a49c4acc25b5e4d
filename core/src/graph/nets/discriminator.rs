use alloc::{format, string::String, vec::Vec};

use crate::graph::ops::{Conv, Leaky, PixelUnshuffle};
use crate::graph::{Builder, Graph, Output, Scale};

/// A discriminator of patches (Isola et al. 2017), small: each convolution is followed by a leaky rectifier, and two of them read
/// blocks of 2x2 pixels of what is before them, so that a logit sees about 40 pixels of the image.
///
/// Its outputs are `logits`, one for every 4x4 pixels, and the activations before them, `features.{0, 1, ..}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discriminator {
    /// Channels of what it reads: an image, and what it is told beside it.
    pub inputs: usize,
    /// Channels at full size; twice and four times as many where there are fewer pixels.
    pub features: usize,
}

impl Discriminator {
    /// The slope of the leaky rectifiers.
    const SLOPE: f64 = 0.2;

    /// The graph: `image` to `logits` and `features.{i}`.
    pub fn graph(&self) -> Graph {
        let mut b = Builder::new();
        let mut x = b.map("image", self.inputs, Scale::ONE);
        let mut features = Vec::new();
        for (i, (halved, times)) in [(false, 1), (true, 2), (true, 4), (false, 4), (false, 4)]
            .into_iter()
            .enumerate()
        {
            let name = format!("layer.{i}");
            if halved {
                x = b.after(&name, PixelUnshuffle { factor: 2 }, &[&x]);
            }
            x = b.node(&name, Conv::new(&name, times * self.features, 3), &[&x]);
            x = b.after(&name, Leaky { slope: Self::SLOPE }, &[&x]);
            features.push(x.clone());
        }
        let logits = b.node("logits", Conv::new("logits", 1, 3), &[&x]);
        let mut graph = b.output("logits", &logits);
        let named = |(i, value): (usize, String)| Output {
            name: format!("features.{i}"),
            value,
        };
        graph.outputs.extend(features.into_iter().enumerate().map(named));
        graph
    }
}
