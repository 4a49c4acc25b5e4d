use alloc::{format, string::String};

use super::layers::modulation;
use crate::graph::Builder;
use crate::graph::ops::{
    Add, Attention, Conv, Gelu, LayerNorm, Linear, Modulate, Mul, Slice, WindowMerge, WindowPartition,
};
use crate::model::DitVelocity;

const EPSILON: f64 = 1e-6;

/// The transformer backbone: adaLN-zero blocks of windowed attention and a perceptron between two convolutions.
pub(super) fn backbone(b: &mut Builder, own: &DitVelocity, input: &str, embedding: &str) -> String {
    let mut x = b.node("embed", Conv::new("embed", own.channels, 3), &[input]);
    for i in 0..own.blocks {
        x = block(b, own, i, &x, embedding);
    }
    let [shift, scale] = modulation(b, "head_modulation", own.channels, embedding);
    let x = modulated(b, "head", &x, &scale, &shift);
    b.node("head", Conv::new("head", 3 * own.scale * own.scale, 3), &[&x])
}

/// `x + gate1 * attention(modulated x)`, then `x + gate2 * mlp(modulated x)`.
fn block(b: &mut Builder, own: &DitVelocity, i: usize, x: &str, embedding: &str) -> String {
    let part = |part: &str| format!("blocks.{i}.{part}");
    let c = own.channels;
    let [shift1, scale1, gate1, shift2, scale2, gate2] = modulation(b, &part("modulation"), c, embedding);

    let inner = modulated(b, &part("attention"), x, &scale1, &shift1);
    let inner = attention(b, own, i, &inner);
    let inner = b.node(part("proj"), Linear::new(&part("proj"), c), &[&inner]);
    let inner = b.after(&part("proj"), Mul {}, &[&inner, &gate1]);
    let x = b.after(&part("proj"), Add {}, &[x, &inner]);

    let inner = modulated(b, &part("mlp"), &x, &scale2, &shift2);
    let inner = b.node(part("mlp.0"), Linear::new(&part("mlp.0"), 4 * c), &[&inner]);
    let inner = b.after(&part("mlp.0"), Gelu {}, &[&inner]);
    let inner = b.node(part("mlp.2"), Linear::new(&part("mlp.2"), c), &[&inner]);
    let inner = b.after(&part("mlp.2"), Mul {}, &[&inner, &gate2]);
    b.after(&part("mlp.2"), Add {}, &[&x, &inner])
}

/// Attention of every pixel to its window; in every other block the grid begins half a window early.
fn attention(b: &mut Builder, own: &DitVelocity, i: usize, x: &str) -> String {
    let part = |part: &str| format!("blocks.{i}.{part}");
    let (c, side) = (own.channels, own.window);
    let shift = if i.is_multiple_of(2) { 0 } else { side / 2 };
    let partition = WindowPartition {
        window: [side; 2],
        shift: [shift; 2],
    };
    let tokens = b.node(part("windows"), partition, &[x]);
    let qkv = b.node(part("qkv"), Linear::new(&part("qkv"), 3 * c), &[&tokens]);
    let [q, k, v] = [("query", 0), ("key", c), ("value", 2 * c)]
        .map(|(name, first)| b.node(part(name), Slice { first, channels: c }, &[&qkv]));
    let attention = Attention {
        heads: own.heads,
        position: Some(part("position")),
    };
    let mixed = b.node(part("attention"), attention, &[&q, &k, &v]);
    b.node(part("merged"), WindowMerge {}, &[&mixed])
}

/// Layer normalisation without parameters of its own, then modulation.
fn modulated(b: &mut Builder, module: &str, x: &str, scale: &str, shift: &str) -> String {
    let norm = LayerNorm {
        epsilon: EPSILON,
        weight: None,
        bias: None,
    };
    let x = b.after(module, norm, &[x]);
    b.after(module, Modulate {}, &[&x, scale, shift])
}
