use alloc::{format, string::String, vec::Vec};

use crate::graph::ops::{Add, Conv, PixelUnshuffle, Sub};
use crate::graph::{Fault, Input, InputKind, Node, Op, Scale, TypedGraph};
use crate::{Error, Result};

/// The name of the input that a source sample enters by.
pub const NOISE: &str = "noise";
/// The name of the weight that reads it, `[outputs, colours * scale^2, 3, 3]`. With zeros the network does not see the noise.
pub const NOISE_WEIGHT: &str = "noise.weight";

/// The velocity field of a network that samples in one step, `v = G(c, x0) - x0`: it reads the image and the state, and what it makes
/// does not depend on the time.
///
/// # Errors
/// [`Error::Graph`] where the network has not one image and at most a source sample for its inputs.
pub fn field_of(graph: &TypedGraph) -> Result<TypedGraph> {
    let mut field = graph.graph().clone();
    let (made, [output]) = (graph.output_scale(0), &mut field.outputs[..]) else {
        let why = "a network that samples has one result".into();
        return Err(Error::Graph(Fault::Inputs(why).whole()));
    };
    let taken: Vec<String> = {
        let nodes = field.nodes.iter().map(|node| &node.name);
        nodes
            .chain(field.inputs.iter().map(|i| &i.name))
            .cloned()
            .collect()
    };
    let free = |name: &str| {
        let mut name = String::from(name);
        while taken.contains(&name) {
            name.push('_');
        }
        name
    };
    if field.inputs.len() == 1 {
        field.inputs.push(Input {
            name: free(NOISE),
            channels: field.inputs[0].channels,
            scale: made,
            kind: InputKind::Map,
        });
    }
    let [_, state] = &field.inputs[..] else {
        let why = "a network that samples in one step reads an image and a source sample".into();
        return Err(Error::Graph(Fault::Inputs(why).whole()));
    };
    let velocity = free("velocity");
    field.nodes.push(Node {
        name: velocity.clone(),
        op: Sub {}.into(),
        inputs: [output.value.clone(), state.name.clone()].into(),
    });
    output.value = velocity;
    field.check()
}

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
