use alloc::format;

use crate::graph::ops::{Add, Conv, PixelUnshuffle};
use crate::graph::{Fault, Input, InputKind, Node, Op, Scale, TypedGraph};
use crate::{Error, Result};

/// The name of the input that a source sample enters by.
pub const NOISE: &str = "noise";
/// The name of the weight that reads it, `[outputs, colours * scale^2, 3, 3]`. With zeros the network does not see the noise.
pub const NOISE_WEIGHT: &str = "noise.weight";

/// The network with a second input, [`NOISE`]: a map of `colours` channels in the size of the result, whose blocks of
/// `scale` by `scale` pixels are convolved and added to what the network's first convolution makes.
///
/// So a network that gives one answer becomes the velocity field of a flow in one step, `v = G(c, x0) - x0`: which of the likely
/// images it gives is the noise's choice.
///
/// # Errors
/// [`Error::Graph`] where a network has no convolution, an input of that name already, or sizes that do not fit.
pub fn with_noise(graph: &TypedGraph, colours: usize, scale: usize) -> Result<TypedGraph> {
    let mut noisy = graph.graph().clone();
    let first = noisy
        .nodes
        .iter()
        .enumerate()
        .find_map(|(i, node)| match &node.op {
            Op::Conv(conv) => Some((i, node.name.clone(), conv.outputs)),
            _ => None,
        });
    let Some((at, first, outputs)) = first else {
        let why = "noise enters beside a network's first convolution, and this one has none".into();
        return Err(Error::Graph(Fault::Inputs(why).whole()));
    };
    let sum = format!("{NOISE}.sum");
    let reads = noisy
        .nodes
        .iter_mut()
        .skip(at + 1)
        .flat_map(|node| &mut node.inputs);
    let asked = noisy.outputs.iter_mut().map(|output| &mut output.value);
    reads
        .chain(asked)
        .filter(|name| **name == first)
        .for_each(|name| name.clone_from(&sum));
    noisy.inputs.push(Input {
        name: NOISE.into(),
        channels: colours,
        scale: Scale::new(scale, 1).unwrap_or(Scale::ONE),
        kind: InputKind::Map,
    });
    let node = |name: &str, op, inputs: &[&str]| Node {
        name: name.into(),
        op,
        inputs: inputs.iter().map(|i| (*i).into()).collect(),
    };
    let (blocks, conv) = (format!("{NOISE}.blocks"), format!("{NOISE}.conv"));
    let read = Conv {
        weight: NOISE_WEIGHT.into(),
        bias: None,
        ..Conv::new(NOISE, outputs, 3)
    };
    let unshuffle = PixelUnshuffle { factor: scale };
    noisy.nodes.splice(
        at + 1..=at,
        [
            node(&blocks, unshuffle.into(), &[NOISE]),
            node(&conv, read.into(), &[&blocks]),
            node(&sum, Add {}.into(), &[&first, &conv]),
        ],
    );
    noisy.check()
}
