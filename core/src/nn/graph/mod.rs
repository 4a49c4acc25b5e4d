//! Graphs on burn tensors: on any of burn's devices, differentiable, in batches.
//!
//! | file | what |
//! |---|---|
//! | `mod` | a checked graph with its parameters, and how its nodes are run |
//! | `operation` | what an operation is given, and what it answers ([`OnBurn`], in each operation's own file) |
//! | `value` | batches of values, and how they lie |
//!
//! burn takes every operation: there is no graph that it refuses.

mod operation;
mod value;

use alloc::{format, vec::Vec};

use burn::tensor::{Device, FloatDType, Tensor};

use super::{Parameters, download, upload};
use crate::graph::passes::{Kernel, fuse};
use crate::graph::{Fault, Op, Shape, TypedGraph, reference};
use crate::model::Weights;
use crate::{Error, Result};

pub(crate) use operation::{Given, Kernels, OnBurn};
pub use value::GraphValue;
pub(crate) use value::{Batch, Layout};

/// A graph on a burn device.
///
/// Parameters are flat tensors by name, so that optimisers, averages and checkpoints treat all networks alike.
#[derive(Debug, Clone)]
pub struct GraphNetwork {
    graph: TypedGraph,
    device: Device,
    parameters: Parameters,
}

impl GraphNetwork {
    /// Loads `weights` onto `device`.
    ///
    /// # Errors
    /// [`Error::Weights`] when a tensor is missing or is none of the graph's.
    pub fn new(graph: &TypedGraph, weights: &Weights, device: &Device) -> Result<Self> {
        weights.check(graph.parameters())?;
        Ok(Self {
            graph: graph.clone(),
            device: device.clone(),
            parameters: upload(weights, device),
        })
    }

    /// What is computed.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// Where the parameters are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The flat parameter tensors by name.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The flat parameter tensors by name, to replace.
    pub fn parameters_mut(&mut self) -> &mut Parameters {
        &mut self.parameters
    }

    /// The parameters read back from the device.
    ///
    /// # Errors
    /// [`Error::Device`] when they cannot be read.
    pub fn weights(&self) -> Result<Weights> {
        download(&self.parameters, self.graph.parameters())
    }

    /// The outputs for a batch of `inputs`, both in the order of the description: [`run_graph`] with the own parameters.
    ///
    /// # Errors
    /// As [`run_graph`].
    pub fn run(&self, inputs: &[GraphValue]) -> Result<Vec<GraphValue>> {
        run_graph(&self.graph, &self.parameters, inputs)
    }

    /// [`Self::run`] by burn's own kernels, to be compared with.
    ///
    /// # Errors
    /// As [`run_graph`].
    pub fn run_by_burn(&self, inputs: &[GraphValue]) -> Result<Vec<GraphValue>> {
        run_with(&self.graph, &self.parameters, inputs, Kernels::Burns)
    }
}

/// The outputs of `graph`, maps all, for a batch of `inputs`, both in the order of the description, with parameters that may be
/// tracked and may hold others than the graph's.
///
/// A node computes in the type of its learned tensors, or of the widest value that it reads where it has none; outputs are of the first
/// input's type. So parameters in half precision make a network of half precision, in which those that stayed in single precision
/// compute in that.
///
/// # Errors
/// [`Error::Graph`] when the inputs are not those of images of one size, as many of each, and [`Error::Weights`] when a parameter is
/// missing or of another size.
pub fn run_graph(
    graph: &TypedGraph,
    parameters: &Parameters,
    inputs: &[GraphValue],
) -> Result<Vec<GraphValue>> {
    run_with(graph, parameters, inputs, Kernels::Fastest)
}

/// The map that a network of one output made.
///
/// # Panics
/// With what is wrong, when something did not fit.
pub(super) fn only_map(made: Result<Vec<GraphValue>>) -> Tensor<4> {
    let made = made.expect("the parameters and the inputs are those of the network");
    match made.into_iter().next() {
        Some(GraphValue::Map(x)) => x,
        other => unreachable!("its output is a map, not {other:?}"),
    }
}

/// [`run_graph`] by the kernels that are asked for.
pub(super) fn run_with(
    graph: &TypedGraph,
    parameters: &Parameters,
    inputs: &[GraphValue],
    kernels: Kernels,
) -> Result<Vec<GraphValue>> {
    check_inputs(graph, inputs)?;
    let answer = inputs.first().map_or(FloatDType::F32, GraphValue::dtype);
    let mut memory = Memory {
        values: inputs.iter().cloned().map(|x| Some(x.into())).collect(),
        left: graph.uses(),
    };
    memory.values.resize(graph.types().len(), None);
    for kernel in fuse(graph, |kernel, next| {
        kernel.steps.is_empty() && slope(graph, next).is_some()
    }) {
        let made = step(graph, &kernel, parameters, kernels, &mut memory)?;
        memory.values[graph.made_by(kernel.last())] = Some(made);
    }
    graph
        .outputs()
        .iter()
        .map(|value| {
            let made = memory.take(*value)?;
            Ok(GraphValue::Map(made.into_planes().cast(answer)))
        })
        .collect()
}

/// What a kernel makes.
fn step(
    graph: &TypedGraph,
    kernel: &Kernel,
    parameters: &Parameters,
    kernels: Kernels,
    memory: &mut Memory,
) -> Result<Batch> {
    let op = &graph.graph().nodes[kernel.root].op;
    let tensors = op.operation().parameters(&graph.input_types(kernel.root));
    let mut learned = Vec::with_capacity(tensors.len());
    for tensor in &tensors {
        let found = parameters
            .get(&tensor.name)
            .ok_or_else(|| Error::Weights(format!("{} is missing", tensor.name)))?;
        if found.dims() != [tensor.len()] {
            return Err(Error::Weights(format!(
                "{} has {} numbers; the network needs {}",
                tensor.name,
                found.dims()[0],
                tensor.len()
            )));
        }
        learned.push(found.clone());
    }
    let reads = graph.reads(kernel.root).iter();
    let mut inputs: Vec<Batch> = reads.map(|value| memory.take(*value)).collect::<Result<_>>()?;
    let own = learned.first().map(|tensor| tensor.dtype().into());
    let dtype = own.unwrap_or_else(|| widest(&inputs));
    for input in &mut inputs {
        if input.dtype() != dtype {
            input.tensor = input.tensor.clone().cast(dtype);
        }
    }
    let learned = learned.into_iter().map(|tensor| tensor.cast(dtype)).collect();
    let given = Given {
        inputs,
        learned,
        kernels,
    };
    let op = op.on_burn();
    Ok(
        match kernel.steps.first().and_then(|step| slope(graph, step.node)) {
            Some(slope) => op.on_burn_with_slope(given, slope),
            None => op.on_burn(given),
        },
    )
}

/// The type that holds the numbers of all values.
fn widest(values: &[Batch]) -> FloatDType {
    let mut types = values.iter().map(Batch::dtype);
    let first = types.next().unwrap_or(FloatDType::F32);
    types.fold(first, |a, b| match (a, b) {
        (a, b) if a == b => a,
        (FloatDType::F64, _) | (_, FloatDType::F64) => FloatDType::F64,
        _ => FloatDType::F32,
    })
}

/// The slope of a leaky rectifier that other operations can apply themselves: a gradient tells the side of a result by its sign, so
/// that it may not be negative.
fn slope(graph: &TypedGraph, node: usize) -> Option<f64> {
    match &graph.graph().nodes[node].op {
        Op::Leaky(leaky) if leaky.slope >= 0.0 => Some(leaky.slope),
        _ => None,
    }
}

/// Checks that the inputs are those of as many images of one size.
fn check_inputs(graph: &TypedGraph, inputs: &[GraphValue]) -> Result<()> {
    let (counts, shapes): (Vec<usize>, Vec<Shape>) = inputs.iter().map(GraphValue::shape).unzip();
    reference::shapes(graph, &shapes)?;
    for (n, input) in counts.iter().zip(&graph.graph().inputs) {
        if *n == 0 || *n != counts[0] {
            let why = format!(
                "a batch of {n} does not go with one of {}: give as many of each",
                counts[0]
            );
            return Err(Fault::Size(why).at(&input.name).into());
        }
    }
    Ok(())
}

/// What is computed so far and still read.
struct Memory {
    values: Vec<Option<Batch>>,
    /// How often each value is still read.
    left: Vec<usize>,
}

impl Memory {
    /// A value for one of its readers; the last one's is the only one, so that its memory can be written.
    fn take(&mut self, value: usize) -> Result<Batch> {
        self.left[value] -= 1;
        let held = &mut self.values[value];
        let found = if self.left[value] == 0 {
            held.take()
        } else {
            held.clone()
        };
        found.ok_or_else(|| Error::Device("a value was read before it was made".into()))
    }
}

#[cfg(test)]
mod tests;
