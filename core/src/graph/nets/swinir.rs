use alloc::{format, string::String, vec::Vec};

use super::transformer::{TransformerFrame, Windowed, linear, normalised, queries_keys_values};
use crate::graph::ops::{Add, Gelu};
use crate::graph::{Builder, Graph};

/// SwinIR (Liang et al. 2021): residual groups of blocks of windowed attention and a perceptron, with every other one's windows shifted
/// by half.
///
/// Tensors as in the field's files, but for `attn.position`, which is the transposed `attn.relative_position_bias_table`.
///
/// The authors' code fills the image up to whole windows by reflection. Here pixels beyond the edge do not exist: results are the same
/// where both sides are whole windows, and differ near the right and the lower edge where they are not.
#[derive(Debug, Clone, PartialEq)]
pub struct SwinIr {
    /// What is around the blocks.
    pub frame: TransformerFrame,
    /// Heads of each group's attention.
    pub heads: Vec<usize>,
    /// Side of a window, usually 8; 7 in networks for JPEG.
    pub window: usize,
    /// Channels within the perceptron, usually 2 or 4 times the features.
    pub hidden: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether what the first convolution makes is normalised, `patch_embed.norm`.
    pub embed_norm: bool,
}

impl SwinIr {
    /// The graph: `image` to `image`, as many times larger as the upsampler makes it.
    pub fn graph(&self) -> Graph {
        let norm = self.embed_norm.then_some("patch_embed.norm");
        self.frame.graph(norm, |b, at, x| self.block(b, at, x))
    }

    fn block(&self, b: &mut Builder, [group, block]: [usize; 2], x: &str) -> String {
        let part = |part: &str| format!("layers.{group}.residual_group.blocks.{block}.{part}");
        let c = self.frame.features;
        let y = normalised(b, &part("norm1"), x);
        let qkv = queries_keys_values(b, &part("attn.qkv"), c, self.qkv_bias, &y);
        let attention = Windowed {
            window: [self.window; 2],
            shifted: !block.is_multiple_of(2),
            heads: self.heads.get(group).copied().unwrap_or_default(),
            first: [0, c, 2 * c],
            channels: c,
        };
        let y = attention.of(b, &part("attn"), &qkv);
        let y = linear(b, &part("attn.proj"), c, &y);
        let x = b.after(&part("attn"), Add {}, &[x, &y]);
        let y = normalised(b, &part("norm2"), &x);
        let y = linear(b, &part("mlp.fc1"), self.hidden, &y);
        let y = b.after(&part("mlp"), Gelu {}, &[&y]);
        let y = linear(b, &part("mlp.fc2"), c, &y);
        b.after(&part("mlp"), Add {}, &[&x, &y])
    }
}
