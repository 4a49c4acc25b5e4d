use alloc::{format, string::String};

use super::IMAGE;
use super::layers::gated;
use crate::graph::ops::{Add, Concat, Conv, Interpolation, PixelShuffle, PixelUnshuffle, Resize, Silu};
use crate::graph::{Builder, Graph, Scale};

/// The name of the input by which a recurrent network reads its own last result, moved to the frame.
pub const PREVIOUS: &str = "previous";

/// A small recurrent network for video: the frame, and the [previous result moved to it](crate::video) (Sajjadi et al. 2018,
/// "Frame-recurrent video super-resolution"), through gated blocks as [`Span`](super::Span) has them, added to the bicubic enlargement.
///
/// Its blocks work at a quarter of the result's size, whatever the scale: there a pixel stands for 4x4 of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recurrent {
    /// Channels of the blocks.
    pub features: usize,
    /// How many blocks.
    pub blocks: usize,
    /// Enlargement factor, 1, 2 or 4.
    pub scale: usize,
}

/// Sides of the blocks of the result that a place between stands for.
const BLOCK: usize = 4;

impl Recurrent {
    /// The graph: `image` and [`PREVIOUS`], `scale` times larger, to `image`, as large as that.
    pub fn graph(&self) -> Graph {
        let (mut b, c) = (Builder::new(), self.features);
        let image = b.map(IMAGE, 3, Scale::ONE);
        let previous = b.map(PREVIOUS, 3, Scale::new(self.scale, 1).unwrap_or(Scale::ONE));
        let apart = BLOCK / self.scale;
        let frame = match apart {
            1 => image.clone(),
            factor => b.node("frame", PixelUnshuffle { factor }, &[&image]),
        };
        let before = b.node("before", PixelUnshuffle { factor: BLOCK }, &[&previous]);
        let both = b.node("both", Concat {}, &[&frame, &before]);
        let first = b.node("first", Conv::new("first", c, 3), &[&both]);
        let mut x = first;
        for i in 1..=self.blocks {
            x = self.block(&mut b, &format!("block_{i}"), &x);
        }
        let tail = b.node("tail", Conv::new("tail", 3 * BLOCK * BLOCK, 3), &[&x]);
        let made = b.node("larger", PixelShuffle { factor: BLOCK }, &[&tail]);
        let skip = match self.scale {
            1 => image,
            factor => {
                let by = Interpolation::Bicubic;
                b.node("skip", Resize { factor, by }, &[&image])
            }
        };
        let sum = b.node("sum", Add {}, &[&made, &skip]);
        b.output(IMAGE, &sum)
    }

    /// `(c + x) (sigmoid(c) - 1/2)` for the convolutions' result `c`.
    fn block(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let mut y = String::from(x);
        for i in 1..=3 {
            let conv = format!("{name}.c{i}");
            y = b.node(&conv, Conv::new(&conv, self.features, 3), &[&y]);
            if i < 3 {
                y = b.after(&conv, Silu {}, &[&y]);
            }
        }
        gated(b, name, &y, x)
    }
}
