use alloc::{format, string::String};

use super::IMAGE;
use crate::graph::ops::{
    Add, Concat, Conv, Gelu, GroupNorm, Interpolation, LayerNorm, Mish, Mul, PixelShuffle, Resize, Sigmoid,
    Slice,
};
use crate::graph::{Builder, Graph, Scale};

/// PLKSR (Lee et al. 2024) and RealPLKSR: blocks that see far by one large kernel over the first of their channels, shuffled into an
/// image that is added to the nearest enlargement.
///
/// Tensors as in the field's files: `feats.0` and the last are convolutions, and what lies between them blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plksr {
    /// Channels of image and result, usually 3.
    pub colours: usize,
    /// Channels between them, usually 64.
    pub features: usize,
    /// Blocks, usually 28; 12 in tiny ones.
    pub blocks: usize,
    /// Side of the large kernel, usually 17; 13 in tiny ones.
    pub kernel: usize,
    /// Channels that it reads and makes, usually a quarter of the features.
    pub partial: usize,
    /// Enlargement factor.
    pub scale: usize,
    /// What lies between the two convolutions that mix the channels.
    pub mixer: Mixer,
    /// Sides of these two's kernels: 3 and 1 (CCM), 1 and 3 (ICCM), or 3 and 3 (DCCM).
    pub mixer_kernels: [usize; 2],
    /// Whether a block weighs each number by one of its neighbourhood.
    pub attention: bool,
    /// What a block normalises.
    pub norm: PlksrNorm,
    /// The last convolution's place in `feats`.
    pub last: usize,
}

/// What lies between the convolutions that mix a [`Plksr`]'s channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixer {
    /// As in PLKSR, whose files call the mixer `channe_mixer`.
    Gelu,
    /// As in RealPLKSR, whose files call it `channel_mixer`.
    Mish,
}

/// What a block of [`Plksr`] normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlksrNorm {
    /// Nothing (PLKSR).
    None,
    /// What it reads, over the channels: `layer_norm` (RealPLKSR).
    Layer,
    /// What it makes, over the whole image in four groups: `norm` (RealPLKSR). Tiles are then not exact.
    Group,
}

impl Plksr {
    /// The graph: `image` to `image`, `scale` times larger.
    pub fn graph(&self) -> Graph {
        let mut b = Builder::new();
        let image = b.map(IMAGE, self.colours, Scale::ONE);
        let mut x = b.node("feats.0", Conv::new("feats.0", self.features, 3), &[&image]);
        for i in 1..=self.blocks {
            let name = format!("feats.{i}");
            let y = self.block(&mut b, &name, &x);
            x = b.after(&name, Add {}, &[&x, &y]);
        }
        let last = format!("feats.{}", self.last);
        let outputs = self.colours * self.scale * self.scale;
        x = b.node(&last, Conv::new(&last, outputs, 3), &[&x]);
        let factor = self.scale;
        x = b.node("to_img", PixelShuffle { factor }, &[&x]);
        let by = Interpolation::Nearest;
        let skip = b.node("skip", Resize { factor, by }, &[&image]);
        let sum = b.node("sum", Add {}, &[&x, &skip]);
        b.output(IMAGE, &sum)
    }

    fn block(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let (features, partial) = (self.features, self.partial);
        let conv = |b: &mut Builder, module: &str, outputs: usize, kernel: usize, x: &str| {
            let module = part(module);
            b.node(&module, Conv::new(&module, outputs, kernel), &[x])
        };
        let mixer = match self.mixer {
            Mixer::Gelu => "channe_mixer",
            Mixer::Mish => "channel_mixer",
        };
        let [wide, narrow] = self.mixer_kernels;
        let x = match self.norm {
            PlksrNorm::Layer => {
                let norm = LayerNorm {
                    epsilon: 1e-6,
                    weight: Some(part("layer_norm.weight")),
                    bias: Some(part("layer_norm.bias")),
                };
                &b.node(part("layer_norm"), norm, &[x])
            }
            PlksrNorm::None | PlksrNorm::Group => x,
        };
        let y = conv(b, &format!("{mixer}.0"), 2 * features, wide, x);
        let y = match self.mixer {
            Mixer::Gelu => b.after(&part(mixer), Gelu {}, &[&y]),
            Mixer::Mish => b.after(&part(mixer), Mish {}, &[&y]),
        };
        let y = conv(b, &format!("{mixer}.2"), features, narrow, &y);
        let slice = |first, channels| Slice { first, channels };
        let near = b.node(part("lk.near"), slice(0, partial), &[&y]);
        let rest = b.node(
            part("lk.rest"),
            slice(partial, features.saturating_sub(partial)),
            &[&y],
        );
        let far = conv(b, "lk.conv", partial, self.kernel, &near);
        let mut y = b.after(&part("lk"), Concat {}, &[&far, &rest]);
        if self.attention {
            let gate = conv(b, "attn.f.0", features, 3, &y);
            let gate = b.after(&part("attn"), Sigmoid {}, &[&gate]);
            y = b.after(&part("attn"), Mul {}, &[&y, &gate]);
        }
        let y = conv(b, "refine", features, 1, &y);
        match self.norm {
            PlksrNorm::None | PlksrNorm::Layer => y,
            PlksrNorm::Group => {
                let norm = GroupNorm {
                    groups: 4,
                    epsilon: 1e-5,
                    weight: part("norm.weight"),
                    bias: part("norm.bias"),
                };
                b.node(part("norm"), norm, &[&y])
            }
        }
    }
}
