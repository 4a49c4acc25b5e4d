//! Random graphs of every operation, for tests of executors (feature `arbitrary`).

use alloc::{format, string::String, vec, vec::Vec};

use super::ops::{
    Affine, Attention, ChannelAttention, Concat, Constants, Conv, GaussianGain, GroupNorm, Interpolation,
    LayerNorm, Linear, Modulate, Pad, PixelShuffle, PixelUnshuffle, Prelu, Repeat, Resize, Sinusoidal, Slice,
    WindowMerge, WindowPartition,
};
use super::passes::without_unused;
use super::{Builder, Graph, Kind, Op, Scale, TypedGraph, ValueType};
use crate::random::SplitMix64;

const MOST_CHANNELS: usize = 16;

/// A graph that is a pure function of the seed, of at most about `nodes` nodes of the operations that `takes` names. Of an operation
/// that has no arm below it has what the operation's own cases have: it needs one only where its parameters must fit what it reads,
/// or to be more varied.
pub fn graph(seed: u64, nodes: usize, takes: impl Fn(&str) -> bool) -> TypedGraph {
    let names: Vec<&str> = Op::NAMES.iter().copied().filter(|name| takes(name)).collect();
    let mut r = SplitMix64::of([seed, 0, 0]);
    let mut g = Growing::new(&mut r);
    for _ in 0..nodes {
        // The first that fits: many do not.
        (0..30).any(|_| g.grow(names[r.below(names.len())], &mut r));
    }
    g.finish()
}

struct Growing {
    b: Builder,
    values: Vec<(String, ValueType)>,
    count: usize,
}

impl Growing {
    fn new(r: &mut SplitMix64) -> Self {
        let mut b = Builder::new();
        let double = Scale::new(2, 1).expect("a scale");
        let channels = [1 + r.below(4), 1 + r.below(4), 1 + r.below(4)];
        let values = vec![
            (
                b.map("image", channels[0], Scale::ONE),
                ValueType::map(channels[0], Scale::ONE),
            ),
            (
                b.map("state", channels[1], double),
                ValueType::map(channels[1], double),
            ),
            (b.vector("vector", channels[2]), ValueType::vector(channels[2])),
            (b.vector("time", 1), ValueType::vector(1)),
        ];
        let mut growing = Self { b, values, count: 0 };
        let conv = Op::from(Conv::new("first", 1 + r.below(6), 3));
        assert!(growing.push(conv, &[0]));
        growing
    }

    /// A value, rather a late one.
    fn pick(&self, r: &mut SplitMix64) -> usize {
        let n = self.values.len();
        if r.below(3) == 0 {
            r.below(n)
        } else {
            n - 1 - r.below(n.min(4))
        }
    }

    fn push(&mut self, op: Op, reads: &[usize]) -> bool {
        let types: Vec<ValueType> = reads.iter().map(|v| self.values[*v].1).collect();
        let Ok(made) = op.operation().check(&types) else {
            return false;
        };
        let (num, _) = made.scale.terms();
        if made.channels > MOST_CHANNELS || made.margin.abs() > 2 || num > 4 {
            return false;
        }
        let names: Vec<&str> = reads.iter().map(|v| self.values[*v].0.as_str()).collect();
        let name = self.b.node(format!("v{}", self.count), op, &names);
        self.count += 1;
        self.values.push((name, made));
        true
    }

    fn grow(&mut self, name: &str, r: &mut SplitMix64) -> bool {
        let x = self.pick(r);
        let c = self.values[x].1.channels;
        let id = format!("p{}", self.count);
        let (op, more): (Op, usize) = match name {
            "concat" => (Concat {}.into(), 1 + r.below(2)),
            "modulate" => return self.modulate(x, &id, r),
            "attention" => return self.attention(x, id, r),
            "channel_attention" => {
                let op = ChannelAttention {
                    heads: 1 + r.below(2),
                    temperature: id,
                };
                return self.push(op.into(), &[x, x, x]);
            }
            _ => match unary(name, c, &id, r) {
                Some(op) => (op, 0),
                None => plain(name, r),
            },
        };
        let mut reads = vec![x];
        for _ in 0..more {
            // Any that fits the first, or one that will be refused.
            let fitting = (0..8).map(|_| self.pick(r)).find(|y| {
                let (a, b) = (self.values[x].1, self.values[*y].1);
                b.lies_as(&a) || b.kind == Kind::Vector && name != "concat"
            });
            reads.push(fitting.unwrap_or(x));
        }
        self.push(op, &reads)
    }

    /// Attention to tokens, or on a map cut into windows.
    fn attention(&mut self, x: usize, id: String, r: &mut SplitMix64) -> bool {
        let position = (r.below(2) == 0).then_some(id);
        let op = Attention {
            heads: 1 + r.below(2),
            position,
        };
        if self.values[x].1.kind != Kind::Map {
            return self.push(op.into(), &[x, x, x]);
        }
        let partition = partition(r);
        if !self.values[x].1.channels.is_multiple_of(op.heads) || !self.push(partition, &[x]) {
            return false;
        }
        let tokens = self.values.len() - 1;
        self.push(op.into(), &[tokens; 3]) && self.push(WindowMerge {}.into(), &[tokens + 1])
    }

    fn modulate(&mut self, x: usize, id: &str, r: &mut SplitMix64) -> bool {
        let vectors = (0..self.values.len()).filter(|v| self.values[*v].1.kind == Kind::Vector);
        let vectors: Vec<usize> = vectors.collect();
        let channels = self.values[x].1.channels;
        let from = vectors[r.below(vectors.len())];
        for part in ["gamma", "beta"] {
            let linear = Linear::new(&format!("{id}.{part}"), channels);
            if !self.push(linear.into(), &[from]) {
                return false;
            }
        }
        let n = self.values.len();
        self.push(Modulate {}.into(), &[x, n - 2, n - 1])
    }

    /// The graph that ends in the last map without a margin, without what is not part of that.
    fn finish(self) -> TypedGraph {
        let is_map = |t: &ValueType| *t == ValueType::map(t.channels, t.scale);
        let last = self
            .values
            .iter()
            .rev()
            .find(|(_, t)| is_map(t))
            .expect("the image is one");
        let graph = self.b.output("image", &last.0);
        let mut graph: Graph = without_unused(graph);
        let read: Vec<String> = graph
            .nodes
            .iter()
            .flat_map(|n| n.inputs.iter().cloned())
            .collect();
        graph.inputs.retain(|input| read.contains(&input.name));
        graph.check().expect("every node was checked")
    }
}

/// An operation on one value of `c` channels, with parameters that are named after `id`.
fn unary(name: &str, c: usize, id: &str, r: &mut SplitMix64) -> Option<Op> {
    let bias = (r.below(2) == 0).then(|| format!("{id}.bias"));
    let weight = format!("{id}.weight");
    let op = match name {
        "affine" => Affine {
            scale: constants(c, &weight, r),
            shift: constants(c, &weight, r),
        }
        .into(),
        "conv" => convolution(c, weight, bias, r),
        "gaussian_gain" => GaussianGain {
            sigma: 0.5,
            rho: 0.125 * (1 + r.below(8)) as f64,
        }
        .into(),
        "group_norm" => {
            let bias = format!("{id}.bias");
            GroupNorm {
                groups: 1 + r.below(2),
                epsilon: 1e-5,
                weight,
                bias,
            }
            .into()
        }
        "layer_norm" => {
            let weight = (r.below(2) == 0).then_some(weight);
            LayerNorm {
                epsilon: 1e-5,
                weight,
                bias,
            }
            .into()
        }
        "linear" => Linear {
            weight,
            bias,
            outputs: 1 + r.below(6),
        }
        .into(),
        "pad" => Pad { pixels: 1 }.into(),
        "pixel_shuffle" => PixelShuffle { factor: 2 }.into(),
        "pixel_unshuffle" => PixelUnshuffle { factor: 2 }.into(),
        "prelu" => Prelu { slope: weight }.into(),
        "repeat" => Repeat {
            times: 2 + r.below(3),
        }
        .into(),
        "resize" => {
            let all = [
                Interpolation::Nearest,
                Interpolation::Bilinear,
                Interpolation::Bicubic,
            ];
            Resize {
                factor: 2,
                by: all[r.below(3)],
            }
            .into()
        }
        "sinusoidal" => Sinusoidal {
            features: 4,
            highest: 10.0,
            period: 100.0,
        }
        .into(),
        "slice" => {
            let first = r.below(c);
            Slice {
                first,
                channels: 1 + r.below(c - first),
            }
            .into()
        }
        "window_partition" => partition(r),
        _ => return None,
    };
    Some(op)
}

fn partition(r: &mut SplitMix64) -> Op {
    let window = [1 + r.below(4), 1 + r.below(4)];
    let shift = window.map(|n| r.below(n));
    WindowPartition { window, shift }.into()
}

fn convolution(c: usize, weight: String, bias: Option<String>, r: &mut SplitMix64) -> Op {
    let kernel = [1, 1, 3, 3, 5][r.below(5)];
    let groups = if r.below(4) == 0 { c } else { 1 };
    let outputs = if groups == 1 {
        1 + r.below(6)
    } else {
        c * (1 + r.below(2))
    };
    let padding = (r.below(3) == 0).then(|| r.below(kernel / 2 + 2));
    Conv {
        weight,
        bias,
        outputs,
        kernel,
        groups,
        padding,
    }
    .into()
}

/// An operation as one of its cases has it, and how many values it reads beside the first.
fn plain(name: &str, r: &mut SplitMix64) -> (Op, usize) {
    let mut own: Vec<_> = Op::cases()
        .into_iter()
        .filter(|(op, _)| op.name() == name)
        .collect();
    let (op, types) = own.swap_remove(r.below(own.len()));
    (op, types.len() - 1)
}

fn constants(c: usize, learned: &str, r: &mut SplitMix64) -> Option<Constants> {
    match r.below(4) {
        0 => None,
        1 => Some(Constants::One(short(r))),
        2 => Some(Constants::Each((0..c).map(|_| short(r)).collect())),
        _ => Some(Constants::Learned(learned.into())),
    }
}

/// A number of few digits, which JSON gives back to the last bit.
fn short(r: &mut SplitMix64) -> f64 {
    libm::round(16.0 * r.normal()) / 16.0
}

#[cfg(test)]
#[test]
fn every_operation_occurs() {
    for name in Op::NAMES {
        let occurs = |seed| {
            graph(seed, 30, |_| true)
                .graph()
                .nodes
                .iter()
                .any(|n| n.op.name() == *name)
        };
        assert!((0..400).any(occurs), "{name}");
    }
}
