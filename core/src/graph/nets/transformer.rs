//! What the field's restoration transformers have in common: an image less its mean, residual groups of blocks, and an upsampler.

use alloc::{format, string::String, vec, vec::Vec};

use super::IMAGE;
use crate::graph::ops::{
    Add, Affine, Attention, Constants, Conv, Interpolation, LayerNorm, Leaky, Linear, PixelShuffle,
    PixelUnshuffle, Resize, Slice, WindowMerge, WindowPartition,
};
use crate::graph::{Builder, Graph, Scale};

/// The colours' mean, taken off images of three.
const MEAN: [f64; 3] = [0.4488, 0.4371, 0.4040];
const LEAKY: Leaky = Leaky { slope: 0.2 };
/// Before the upsampler it is `PyTorch`'s own.
const FIRST_LEAKY: Leaky = Leaky { slope: 0.01 };

/// The parts of a restoration transformer around its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct TransformerFrame {
    /// Channels of image and result, usually 3.
    pub colours: usize,
    /// Channels of the blocks: 60 in light ones, 180 in full ones, 240 in large ones.
    pub features: usize,
    /// Blocks of each group.
    pub depths: Vec<usize>,
    /// Side of the blocks of pixels that become channels first, usually 1.
    pub unshuffle: usize,
    /// What the image, less its mean, is multiplied with, and the result divided by: 1, or 255 in networks for JPEG.
    pub range: f64,
    /// Whether a group ends with three convolutions through a quarter of the channels (`3conv`), and not with one (`1conv`).
    pub three_convs: bool,
    /// How the result becomes larger.
    pub upsampler: Upsampler,
}

/// How a restoration transformer's features become an image, as the field calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upsampler {
    /// `pixelshuffle`, in classical networks: a convolution and a shuffle for each factor.
    Shuffle {
        /// Channels between them, usually 64.
        features: usize,
        /// Twos, or one three; none where nothing is enlarged.
        factors: Vec<usize>,
    },
    /// `pixelshuffledirect`, in light networks: one convolution and a shuffle.
    Direct {
        /// Enlargement factor.
        factor: usize,
    },
    /// `nearest+conv`, in networks for photos as they are.
    Nearest {
        /// Channels between the enlargements, usually 64.
        features: usize,
        /// How many there are, of twice the size.
        doublings: usize,
    },
    /// None: the result is added to the image.
    Residual,
}

impl TransformerFrame {
    /// The graph, `image` to `image`, of blocks that are written by `block`, which is given their group's number, their own in it and what
    /// they read. `norm` is the name of the normalisation before the first, where there is one; a group's blocks are in `layers.{i}`.
    pub(super) fn graph(
        &self,
        norm: Option<&str>,
        block: impl Fn(&mut Builder, [usize; 2], &str) -> String,
    ) -> Graph {
        let mut b = Builder::new();
        let (c, image) = (self.features, b.map(IMAGE, self.colours, Scale::ONE));
        let mut x = image.clone();
        if let Some(affine) = self.input() {
            x = b.node("input", affine, &[&x]);
        }
        if self.unshuffle > 1 {
            let factor = self.unshuffle;
            x = b.node("unshuffled", PixelUnshuffle { factor }, &[&x]);
        }
        let first = b.node("conv_first", Conv::new("conv_first", c, 3), &[&x]);
        x.clone_from(&first);
        if let Some(norm) = norm {
            x = normalised(&mut b, norm, &x);
        }
        for (i, depth) in self.depths.iter().enumerate() {
            let mut y = x.clone();
            for j in 0..*depth {
                y = block(&mut b, [i, j], &y);
            }
            let name = format!("layers.{i}");
            y = self.last_convs(&mut b, &format!("{name}.conv"), &y);
            x = b.after(&name, Add {}, &[&x, &y]);
        }
        x = normalised(&mut b, "norm", &x);
        x = self.last_convs(&mut b, "conv_after_body", &x);
        x = b.after("conv_after_body", Add {}, &[&x, &first]);
        x = self.enlarged(&mut b, x);
        if self.upsampler == Upsampler::Residual {
            // The mean goes and comes.
            if self.range != 1.0 {
                let scale = Some(Constants::One(1.0 / self.range));
                x = b.node("output", Affine { scale, shift: None }, &[&x]);
            }
            x = b.node("sum", Add {}, &[&image, &x]);
        } else if let Some(affine) = self.output() {
            x = b.node("output", affine, &[&x]);
        }
        b.output(IMAGE, &x)
    }

    /// The mean's parts, for three colours.
    fn mean(&self, by: f64) -> Option<Constants> {
        let shift = || MEAN.iter().map(|mean| by * mean).collect();
        (self.colours == MEAN.len()).then(|| Constants::Each(shift()))
    }

    fn scaled(by: f64) -> Option<Constants> {
        (by != 1.0).then_some(Constants::One(by))
    }

    fn input(&self) -> Option<Affine> {
        affine(Self::scaled(self.range), self.mean(-self.range))
    }

    fn output(&self) -> Option<Affine> {
        affine(Self::scaled(1.0 / self.range), self.mean(1.0))
    }

    /// What ends a group, and the last one.
    fn last_convs(&self, b: &mut Builder, module: &str, x: &str) -> String {
        let c = self.features;
        if !self.three_convs {
            return b.node(module, Conv::new(module, c, 3), &[x]);
        }
        let part = |place: usize| format!("{module}.{place}");
        let mut x = String::from(x);
        for (place, outputs, kernel) in [(0, c / 4, 3), (2, c / 4, 1), (4, c, 3)] {
            let name = part(place);
            x = b.node(&name, Conv::new(&name, outputs, kernel), &[&x]);
            if place < 4 {
                x = b.after(&name, LEAKY, &[&x]);
            }
        }
        x
    }

    fn enlarged(&self, b: &mut Builder, mut x: String) -> String {
        let activated = |b: &mut Builder, name: &str, outputs, leaky: Leaky, x: &str| {
            let y = b.node(name, Conv::new(name, outputs, 3), &[x]);
            b.after(name, leaky, &[&y])
        };
        match &self.upsampler {
            Upsampler::Residual => {}
            Upsampler::Direct { factor } => {
                let outputs = self.colours * factor * factor;
                x = b.node("upsample.0", Conv::new("upsample.0", outputs, 3), &[&x]);
                return b.node("upsample.1", PixelShuffle { factor: *factor }, &[&x]);
            }
            Upsampler::Shuffle { features, factors } => {
                x = activated(b, "conv_before_upsample.0", *features, FIRST_LEAKY, &x);
                for (i, factor) in factors.iter().enumerate() {
                    let name = format!("upsample.{}", 2 * i);
                    let conv = Conv::new(&name, features * factor * factor, 3);
                    x = b.node(&name, conv, &[&x]);
                    x = b.after(&name, PixelShuffle { factor: *factor }, &[&x]);
                }
            }
            Upsampler::Nearest { features, doublings } => {
                x = activated(b, "conv_before_upsample.0", *features, FIRST_LEAKY, &x);
                for i in 1..=*doublings {
                    let (name, by) = (format!("conv_up{i}"), Interpolation::Nearest);
                    x = b.after(&name, Resize { factor: 2, by }, &[&x]);
                    x = activated(b, &name, *features, LEAKY, &x);
                }
                x = activated(b, "conv_hr", *features, LEAKY, &x);
            }
        }
        b.node("conv_last", Conv::new("conv_last", self.colours, 3), &[&x])
    }
}

fn affine(scale: Option<Constants>, shift: Option<Constants>) -> Option<Affine> {
    (scale.is_some() || shift.is_some()).then_some(Affine { scale, shift })
}

/// Layer normalisation with the parameters of `module`.
pub(super) fn normalised(b: &mut Builder, module: &str, x: &str) -> String {
    let norm = LayerNorm {
        epsilon: 1e-5,
        weight: Some(format!("{module}.weight")),
        bias: Some(format!("{module}.bias")),
    };
    b.node(module, norm, &[x])
}

/// A linear map with the parameters of `module`.
pub(super) fn linear(b: &mut Builder, module: &str, outputs: usize, x: &str) -> String {
    b.node(module, Linear::new(module, outputs), &[x])
}

/// Queries, keys and values of every pixel, one after the other.
pub(super) fn queries_keys_values(b: &mut Builder, module: &str, c: usize, bias: bool, x: &str) -> String {
    let plain = Linear::new(module, 3 * c);
    let bias = plain.bias.clone().filter(|_| bias);
    b.node(module, Linear { bias, ..plain }, &[x])
}

/// Attention of every pixel to those of its window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windowed {
    /// Rows and columns of a window.
    pub(super) window: [usize; 2],
    /// Whether the grid begins half a window late, rounded down.
    pub(super) shifted: bool,
    /// Parts of the channels.
    pub(super) heads: usize,
    /// The first channels of queries, keys and values.
    pub(super) first: [usize; 3],
    /// Channels of each.
    pub(super) channels: usize,
}

impl Windowed {
    /// The map that `name` makes of `qkv`, with the table `{name}.position`.
    pub(super) fn of(self, b: &mut Builder, name: &str, qkv: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let (window, channels) = (self.window, self.channels);
        // Late by a half is early by the rest of the window.
        let shift = window.map(|side| {
            if self.shifted && side > 1 {
                side - side / 2
            } else {
                0
            }
        });
        let mut tokens = vec![];
        for (what, first) in ["query", "key", "value"].into_iter().zip(self.first) {
            let own = b.node(part(what), Slice { first, channels }, &[qkv]);
            tokens.push(b.after(&part(what), WindowPartition { window, shift }, &[&own]));
        }
        let attention = Attention {
            heads: self.heads,
            position: Some(part("position")),
        };
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let mixed = b.node(name, attention, &tokens);
        b.node(part("merged"), WindowMerge {}, &[&mixed])
    }
}
