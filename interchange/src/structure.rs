//! Names of networks that are known by their structure alone, for files in which tensors are called anything.

use std::collections::BTreeMap;

use asasr_core::graph::nets::{Compact, Mixer, Plksr, PlksrNorm, Rrdb, Span};
use asasr_core::graph::{Graph, Op, TypedGraph, limits};

/// How often a graph has each operation; of convolutions, with the channels that they make and their kernel.
type Counts = BTreeMap<(&'static str, [usize; 2]), usize>;

/// The name of a network with its sizes, `Compact 64nf 16nc`, where the graph has its operations, each as often.
pub(crate) fn name(graph: &TypedGraph) -> Option<String> {
    let own = graph.graph();
    let counts = counts(own);
    let many = |name: &str| -> usize {
        let of = counts.iter().filter(|((n, _), _)| *n == name);
        of.map(|(_, n)| n).sum()
    };
    let convs: Vec<[usize; 2]> = own.nodes.iter().filter_map(|node| conv(&node.op)).collect();
    let [features, _] = *convs.first()?;
    let [last, _] = *convs.last()?;
    let colours = own.inputs.first()?.channels;
    let scale = (last / colours.max(1)).isqrt();
    if own.nodes.len() > limits::NODES / 2 || features == 0 || scale == 0 {
        return None;
    }
    let fits = |other: Graph| counts == self::counts(&other);
    let compact = Compact {
        colours,
        features,
        convs: many("prelu").saturating_sub(1),
        scale,
    };
    if fits(compact.graph()) {
        return Some(format!("Compact {features}nf {}nc", compact.convs));
    }
    let span = Span {
        colours,
        features,
        scale,
        gain: None,
        input: None,
    };
    if fits(span.graph()) {
        return Some(format!("SPAN {features}nf"));
    }
    let blocks = many("concat") / 12;
    let unshuffle = own.nodes.iter().find_map(|node| match node.op {
        Op::PixelUnshuffle(op) => Some(op.factor),
        _ => None,
    });
    for plus in [false, true] {
        let rrdb = Rrdb {
            colours,
            features,
            growth: convs.get(1).map_or(1, |[outputs, _]| *outputs),
            blocks,
            doublings: doublings(own),
            unshuffle: unshuffle.unwrap_or(1),
            plus,
        };
        if blocks > 0 && fits(rrdb.graph()) {
            let plus = if plus { "+ " } else { "" };
            return Some(format!("ESRGAN {plus}{features}nf {blocks}nb"));
        }
    }
    let [partial, kernel] = *convs.iter().max_by_key(|[_, kernel]| *kernel)?;
    let blocks = many("concat");
    let real = many("mish") > 0;
    for mixer_kernels in [[3, 1], [1, 3], [3, 3]] {
        let plksr = Plksr {
            colours,
            features,
            blocks,
            kernel,
            partial,
            scale,
            mixer: if real { Mixer::Mish } else { Mixer::Gelu },
            mixer_kernels,
            attention: many("sigmoid") > 0,
            norm: match (many("layer_norm"), many("group_norm")) {
                (0, 0) => PlksrNorm::None,
                (0, _) => PlksrNorm::Group,
                _ => PlksrNorm::Layer,
            },
            last: blocks + 1,
        };
        if blocks > 0 && fits(plksr.graph()) {
            let name = if real { "RealPLKSR" } else { "PLKSR" };
            return Some(format!("{name} {features}dim {blocks}nb {kernel}ks"));
        }
    }
    None
}

/// How many times the maps of a graph are enlarged by two, those by four counted twice.
fn doublings(graph: &Graph) -> usize {
    let factor = |op: &Op| match op {
        Op::Resize(op) => op.factor.ilog2() as usize,
        _ => 0,
    };
    graph.nodes.iter().map(|node| factor(&node.op)).sum()
}

fn conv(op: &Op) -> Option<[usize; 2]> {
    match op {
        Op::Conv(op) => Some([op.outputs, op.kernel]),
        _ => None,
    }
}

/// Without what another's description may well write in more or fewer operations.
fn counts(graph: &Graph) -> Counts {
    let mut counts = Counts::new();
    for node in &graph.nodes {
        if matches!(node.op, Op::Affine(_) | Op::Repeat(_) | Op::Resize(_)) {
            continue;
        }
        let key = (node.op.name(), conv(&node.op).unwrap_or_default());
        *counts.entry(key).or_default() += 1;
    }
    counts
}
