use alloc::format;

use super::IMAGE;
use crate::graph::ops::{Add, Conv, Interpolation, PixelShuffle, Prelu, Resize};
use crate::graph::{Builder, Graph, Scale};

/// Compact (SRVGG; Wang et al. 2021, Real-ESRGAN): 3x3 convolutions in a row, each but the last with a learned rectifier, shuffled
/// into an image that is added to the nearest enlargement.
///
/// Tensors as in the field's files: `body.{0, 2, ..}` are convolutions, `body.{1, 3, ..}.weight` slopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compact {
    /// Channels of image and result, usually 3.
    pub colours: usize,
    /// Channels between them, usually 64.
    pub features: usize,
    /// Convolutions between the first and the last, usually 16.
    pub convs: usize,
    /// Enlargement factor.
    pub scale: usize,
}

impl Compact {
    /// The graph: `image` to `image`, `scale` times larger.
    pub fn graph(&self) -> Graph {
        let mut b = Builder::new();
        let image = b.map(IMAGE, self.colours, Scale::ONE);
        let mut x = image.clone();
        for i in 0..=self.convs {
            let (conv, act) = (format!("body.{}", 2 * i), format!("body.{}", 2 * i + 1));
            x = b.node(&conv, Conv::new(&conv, self.features, 3), &[&x]);
            let slope = format!("{act}.weight");
            x = b.node(act, Prelu { slope }, &[&x]);
        }
        let last = format!("body.{}", 2 * self.convs + 2);
        let outputs = self.colours * self.scale * self.scale;
        x = b.node(&last, Conv::new(&last, outputs, 3), &[&x]);
        let factor = self.scale;
        x = b.node("larger", PixelShuffle { factor }, &[&x]);
        let by = Interpolation::Nearest;
        let skip = b.node("skip", Resize { factor, by }, &[&image]);
        let sum = b.node("sum", Add {}, &[&x, &skip]);
        b.output(IMAGE, &sum)
    }
}
