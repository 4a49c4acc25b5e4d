use alloc::{format, string::String, vec::Vec};

use super::transformer::{TransformerFrame, Windowed, linear, normalised, queries_keys_values};
use crate::graph::ops::{Add, ChannelAttention, Concat, Conv, Gelu, Mean, Mul, Sigmoid, Slice};
use crate::graph::{Builder, Graph};

/// DAT (Chen et al. 2023): residual groups of blocks that attend by turns to the pixels of a window and to the channels, each beside a
/// depthwise convolution of the values; the two weigh each other.
///
/// Half of the channels attend in windows that lie, the other half in ones that stand. Tensors as in the field's files, with these
/// changes: batch normalisations are folded into the convolutions before them, 1x1 convolutions of vectors are linear maps, temperatures
/// are a vector, and `attns.{i}.position` is what `attns.{i}.pos` makes of the distances.
///
/// Channel attention and the channels' weights see the whole image, so that tiles are not exact. The authors' code fills queries, keys and
/// values up to whole windows by zeros, which are attended to. Here pixels beyond the edge do not exist: results are the same where both
/// sides are multiples of the window's longer one.
#[derive(Debug, Clone, PartialEq)]
pub struct Dat {
    /// What is around the blocks.
    pub frame: TransformerFrame,
    /// Heads of each group's attention; attention in windows has half of them for each half of the channels.
    pub heads: Vec<usize>,
    /// Rows and columns of the first half's windows: 8 and 32, or 8 and 16 in DAT-S.
    pub window: [usize; 2],
    /// Channels within the feed-forward part, usually 2 or 4 times the features.
    pub hidden: usize,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
}

impl Dat {
    /// The graph: `image` to `image`, as many times larger as the upsampler makes it.
    pub fn graph(&self) -> Graph {
        self.frame
            .graph(Some("before_RG.1"), |b, at, x| self.block(b, at, x))
    }

    fn block(&self, b: &mut Builder, at: [usize; 2], x: &str) -> String {
        let [group, block] = at;
        let part = |part: &str| format!("layers.{group}.blocks.{block}.{part}");
        let y = normalised(b, &part("norm1"), x);
        let y = self.attention(b, at, &part("attn"), &y);
        let x = b.after(&part("attn"), Add {}, &[x, &y]);
        let y = normalised(b, &part("norm2"), &x);
        let y = self.gated(b, &part("ffn"), &y);
        b.after(&part("ffn"), Add {}, &[&x, &y])
    }

    /// Attention and the convolution of the values, each times what is made of the other.
    fn attention(&self, b: &mut Builder, at: [usize; 2], name: &str, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let (c, [_, block]) = (self.frame.features, at);
        let qkv = queries_keys_values(b, &part("qkv"), c, self.qkv_bias, x);
        let parts = ["query", "key", "value"];
        let slice = |i: usize| Slice {
            first: i * c,
            channels: c,
        };
        let values = b.node(part(parts[2]), slice(2), &[&qkv]);
        let own = Conv {
            groups: c,
            ..Conv::new(&part("dwconv.0"), c, 3)
        };
        let near = b.node(part("dwconv.0"), own, &[&values]);
        let near = b.after(&part("dwconv"), Gelu {}, &[&near]);
        let by_pixels = block.is_multiple_of(2);
        let far = if by_pixels {
            self.windows(b, at, name, &qkv)
        } else {
            let [query, key] = [0, 1].map(|i| b.node(part(parts[i]), slice(i), &[&qkv]));
            let attention = ChannelAttention {
                heads: self.heads_of(at),
                temperature: part("temperature"),
            };
            b.node(name, attention, &[&query, &key, &values])
        };
        let (channels_of, pixels_of) = if by_pixels { (&near, &far) } else { (&far, &near) };
        let channels = self.weights_of_channels(b, &part("channel_interaction"), channels_of);
        let pixels = self.weights_of_pixels(b, &part("spatial_interaction"), pixels_of);
        let (far_by, near_by) = if by_pixels {
            (channels, pixels)
        } else {
            (pixels, channels)
        };
        let far = b.node(part("far"), Mul {}, &[&far, &far_by]);
        let near = b.node(part("near"), Mul {}, &[&near, &near_by]);
        let sum = b.node(part("sum"), Add {}, &[&far, &near]);
        linear(b, &part("proj"), c, &sum)
    }

    fn heads_of(&self, [group, _]: [usize; 2]) -> usize {
        self.heads.get(group).copied().unwrap_or_default()
    }

    /// Half of the channels in windows that lie, the other half in ones that stand.
    fn windows(&self, b: &mut Builder, at: [usize; 2], name: &str, qkv: &str) -> String {
        let (c, [group, block]) = (self.frame.features, at);
        // In groups by turns the third, seventh, ... block, or the first, fifth, ...
        let shifted = block % 4 == if group.is_multiple_of(2) { 2 } else { 0 };
        let half = c / 2;
        let halves = [0, 1].map(|i| {
            let [rows, columns] = self.window;
            let window = if i == 0 { [rows, columns] } else { [columns, rows] };
            let attention = Windowed {
                window,
                shifted,
                heads: self.heads_of(at) / 2,
                first: [0, c, 2 * c].map(|first| first + i * half),
                channels: half,
            };
            attention.of(b, &format!("{name}.attns.{i}"), qkv)
        });
        b.node(name, Concat {}, &[&halves[0], &halves[1]])
    }

    /// What is made of each channel's mean: a vector within 0 to 1.
    fn weights_of_channels(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let part = |place: usize| format!("{name}.{place}");
        let c = self.frame.features;
        let y = b.node(part(0), Mean {}, &[x]);
        let y = linear(b, &part(1), c / 8, &y);
        let y = b.node(part(3), Gelu {}, &[&y]);
        let y = linear(b, &part(4), c, &y);
        b.after(name, Sigmoid {}, &[&y])
    }

    /// What is made of each pixel: a map of one channel within 0 to 1.
    fn weights_of_pixels(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let part = |place: usize| format!("{name}.{place}");
        let c = self.frame.features;
        let y = b.node(part(0), Conv::new(&part(0), c / 16, 1), &[x]);
        let y = b.node(part(2), Gelu {}, &[&y]);
        let y = b.node(part(3), Conv::new(&part(3), 1, 1), &[&y]);
        b.after(name, Sigmoid {}, &[&y])
    }

    /// The feed-forward part, of which one half is times a depthwise convolution of the other.
    fn gated(&self, b: &mut Builder, name: &str, x: &str) -> String {
        let part = |part: &str| format!("{name}.{part}");
        let half = self.hidden / 2;
        let y = linear(b, &part("fc1"), self.hidden, x);
        let y = b.after(name, Gelu {}, &[&y]);
        let slice = |first| Slice {
            first,
            channels: half,
        };
        let kept = b.node(part("kept"), slice(0), &[&y]);
        let gate = b.node(part("gate"), slice(half), &[&y]);
        let gate = normalised(b, &part("sg.norm"), &gate);
        let own = Conv {
            groups: half,
            ..Conv::new(&part("sg.conv"), half, 3)
        };
        let gate = b.node(part("sg.conv"), own, &[&gate]);
        let y = b.after(&part("sg"), Mul {}, &[&kept, &gate]);
        linear(b, &part("fc2"), self.frame.features, &y)
    }
}
