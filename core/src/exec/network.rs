use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::in_place::{Step, Steps};
use super::{After, InPlace, Value};
use crate::graph::passes::{Kernel, Slots, fold, fuse, nest, place};
use crate::graph::{Fault, Op, Places, Shape, Size, TypedGraph};
use crate::model::Weights;
use crate::{Error, Result};

/// A graph with its weights, ready to run.
#[derive(Debug)]
pub struct CpuNetwork {
    graph: TypedGraph,
    kernels: Vec<Kernel>,
    /// The values of all tensors, each once.
    tensors: Vec<Vec<f32>>,
    /// For each node, where its tensors are among them.
    parameters: Vec<Vec<usize>>,
    /// For each node that is a step of a kernel, its [`InPlace::numbers`].
    numbers: Vec<Vec<Vec<f32>>>,
}

impl CpuNetwork {
    /// Folds and fuses the graph, and keeps the weights. The processor takes every operation there is.
    ///
    /// # Errors
    /// [`Error::Weights`] when a tensor is missing or is none of the graph's.
    pub fn new(graph: &TypedGraph, weights: Weights) -> Result<Self> {
        let (graph, mut weights) = fold(graph, weights)?;
        let kernels = nest(&graph, fuse(&graph, |_, _| true), |reader, read, value| {
            let op = |kernel: &Kernel| &graph.graph().nodes[kernel.root].op;
            // A convolution reads the parts of a concatenation where they lie.
            let joins =
                matches!((op(reader), op(read)), (Op::Conv(conv), Op::Concat(_)) if conv.is_vectorised());
            joins && read.steps.is_empty() && graph.reads(reader.root) == [value]
        });
        let place: BTreeMap<&str, usize> = (0..)
            .zip(graph.parameters())
            .map(|(i, p)| (p.name.as_str(), i))
            .collect();
        let nodes = 0..graph.graph().nodes.len();
        let parameters: Vec<Vec<usize>> = nodes
            .map(|i| {
                let tensors = graph.graph().nodes[i].op.operation();
                let tensors = tensors.parameters(&graph.input_types(i));
                tensors
                    .iter()
                    .filter_map(|p| place.get(p.name.as_str()).copied())
                    .collect()
            })
            .collect();
        let tensors: Vec<Vec<f32>> = graph
            .parameters()
            .iter()
            .map(|p| Ok(weights.take(&p.name)?.values))
            .collect::<Result<_>>()?;
        let mut numbers = vec![Vec::new(); parameters.len()];
        for step in kernels.iter().flat_map(|k| &k.steps) {
            let op = graph.graph().nodes[step.node].op.compute().in_place();
            let parameters: Vec<&[f32]> = parameters[step.node]
                .iter()
                .map(|i| tensors[*i].as_slice())
                .collect();
            numbers[step.node] = op.map_or_else(Vec::new, |op| {
                op.numbers(&graph.input_types(step.node), &parameters)
            });
        }
        Ok(Self {
            graph,
            kernels,
            tensors,
            parameters,
            numbers,
        })
    }

    /// The graph as it is run.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// The outputs for `inputs`, in the order of the description. What it computes between lies in `scratch`.
    ///
    /// # Errors
    /// [`Error::Graph`] when the inputs are not those of one image.
    pub fn run(&self, size: Size, inputs: &[Value], scratch: &mut Scratch) -> Result<Vec<Value>> {
        let shapes = self.graph.shapes(size)?;
        let own = &shapes[..self.graph.graph().inputs.len()];
        let fits =
            |(given, shape): (&Value, &Shape)| given.shape == *shape && given.data.len() == shape.numbers();
        if own.len() != inputs.len() || !inputs.iter().zip(own).all(fits) {
            let why = "the inputs are not those of an image of that size".into();
            return Err(Fault::Size(why).whole().into());
        }
        let slots = place(&self.graph, &self.kernels, &shapes, |kernel| {
            self.own_steps(kernel).added
        });
        let mut memory = Memory {
            inputs,
            slots: &slots,
            held: slots.numbers().iter().map(|_| None).collect(),
            scratch,
        };
        for kernel in &self.kernels {
            self.step(kernel, &shapes, &mut memory)?;
        }
        let outputs = self.graph.outputs();
        let given = |i: usize| {
            let again = outputs[i + 1..].contains(&outputs[i]);
            if again {
                memory.read(outputs[i]).cloned()
            } else {
                memory.give(outputs[i])
            }
        };
        let outputs = (0..outputs.len()).map(given).collect();
        memory.leave();
        outputs
    }

    /// Runs a kernel into its slot.
    fn step(&self, kernel: &Kernel, shapes: &[Shape], memory: &mut Memory<'_>) -> Result<()> {
        let made = self.graph.made_by(kernel.last());
        let mut out = memory.take(made, shapes[made]);
        let within = kernel.within.first().map_or(kernel.root, |within| within.root);
        let reads = memory.all(self.graph.reads(within))?;
        let (root, parameters) = (self.op(kernel.root), self.learned(kernel.root));
        let own = self.own_steps(kernel);
        let adds = own
            .added
            .is_some_and(|value| memory.slots.of(value) == memory.slots.of(made));
        let taken = usize::from(own.slope.is_some()) + usize::from(adds);
        let steps = kernel.steps[taken..].iter().map(|step| {
            let others = self.graph.reads(step.node).iter().enumerate();
            let others: Vec<usize> = others
                .filter(|(i, _)| *i != step.operand)
                .map(|(_, v)| *v)
                .collect();
            Ok(Step {
                op: self.in_place(step.node)?,
                operand: step.operand,
                others: memory.all(&others)?,
                numbers: &self.numbers[step.node],
            })
        });
        let steps = Steps::new(out.shape, steps.collect::<Result<_>>()?);
        match root {
            Op::Conv(conv)
                if conv.vectorised(
                    &reads,
                    &parameters,
                    &mut out,
                    After {
                        slope: own.slope.unwrap_or(1.0),
                        adds,
                        finish: Some(&|channel, start, own| steps.run(channel, start, own)),
                    },
                ) => {}
            _ => {
                root.compute().compute(&reads, &parameters, &mut out);
                steps.whole(&mut out.data);
            }
        }
        memory.put(made, out);
        Ok(())
    }

    /// What a kernel's convolution does itself of its steps.
    fn own_steps(&self, kernel: &Kernel) -> OwnSteps {
        let Op::Conv(conv) = self.op(kernel.root) else {
            return OwnSteps::default();
        };
        if !conv.is_vectorised() {
            return OwnSteps::default();
        }
        let slope = kernel.steps.first().and_then(|step| match self.op(step.node) {
            Op::Leaky(leaky) if leaky.slope >= 0.0 => Some(leaky.slope as f32),
            _ => None,
        });
        let made = self.graph.made_by(kernel.last());
        let added = kernel.steps.get(usize::from(slope.is_some()));
        let added = added.filter(|step| matches!(self.op(step.node), Op::Add(_)));
        let added = added.map(|step| self.graph.reads(step.node)[1 - step.operand]);
        let added = added.filter(|value| self.graph.types()[*value] == self.graph.types()[made]);
        OwnSteps { slope, added }
    }

    fn in_place(&self, node: usize) -> Result<&dyn InPlace> {
        let op = self.op(node).compute().in_place();
        op.ok_or_else(|| Error::Device("an operation is none that is done in place".into()))
    }

    fn op(&self, node: usize) -> &Op {
        &self.graph.graph().nodes[node].op
    }

    fn learned(&self, node: usize) -> Vec<&[f32]> {
        self.parameters[node]
            .iter()
            .map(|i| self.tensors[*i].as_slice())
            .collect()
    }
}

/// Steps that the processor's convolution does itself, the first of its kernel.
#[derive(Debug, Clone, Copy, Default)]
struct OwnSteps {
    /// It multiplies what is below zero.
    slope: Option<f32>,
    /// Then it adds to this value, where it can write over it.
    added: Option<usize>,
}

/// What is computed so far.
struct Memory<'a> {
    inputs: &'a [Value],
    slots: &'a Slots,
    held: Vec<Option<Value>>,
    scratch: &'a mut Scratch,
}

impl Memory<'_> {
    fn read(&self, value: usize) -> Result<&Value> {
        let found = match self.slots.of(value) {
            None => self.inputs.get(value),
            Some(slot) => self.held[slot].as_ref(),
        };
        found.ok_or_else(|| Error::Device("a value was read before it was made".into()))
    }

    fn all(&self, values: &[usize]) -> Result<Vec<&Value>> {
        values.iter().map(|v| self.read(*v)).collect()
    }

    /// The memory of the value's slot, with what was there before.
    fn take(&mut self, value: usize, shape: Shape) -> Value {
        let slot = self.slots.of(value);
        let held = slot.and_then(|slot| self.held[slot].take());
        // As much as the slot will ever hold: to grow it would be copied.
        let most = slot.map_or(0, |slot| self.slots.numbers()[slot] as usize);
        let mut data = held.map_or_else(|| self.scratch.take(most), |v| v.data);
        data.resize(shape.numbers(), 0.0);
        Value { shape, data }
    }

    /// A value that nothing reads any more.
    fn give(&mut self, value: usize) -> Result<Value> {
        match self.slots.of(value).and_then(|slot| self.held[slot].take()) {
            Some(held) => Ok(held),
            None => self.read(value).cloned(),
        }
    }

    /// Leaves what is held to the next run.
    fn leave(self) {
        self.scratch
            .0
            .extend(self.held.into_iter().flatten().map(|v| v.data));
    }

    fn put(&mut self, value: usize, made: Value) {
        if let Some(slot) = self.slots.of(value) {
            self.held[slot] = Some(made);
        }
    }
}

/// Memory that a run leaves for the next one: new pages cost the system more time than some operations take.
#[derive(Debug, Default)]
pub struct Scratch(Vec<Vec<f32>>);

impl Scratch {
    /// The smallest piece that holds so many numbers, or a new one in place of another.
    fn take(&mut self, numbers: usize) -> Vec<f32> {
        let pieces = self.0.iter().enumerate();
        let large = pieces.filter(|(_, piece)| piece.capacity() >= numbers);
        if let Some((at, _)) = large.min_by_key(|(_, piece)| piece.capacity()) {
            return self.0.swap_remove(at);
        }
        self.0.pop();
        Vec::with_capacity(numbers)
    }
}

/// The value of an image, or of any map of so many channels.
impl From<&crate::Planes> for Value {
    fn from(planes: &crate::Planes) -> Self {
        Self {
            shape: Shape {
                channels: planes.channels(),
                places: Places::Map(Size::new(planes.width(), planes.height())),
            },
            data: planes.data().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Tensor, arbitrary, conformance, reference};
    use proptest::prelude::*;

    fn value(tensor: &Tensor) -> Value {
        Value {
            shape: tensor.shape(),
            data: tensor.data().iter().map(|v| *v as f32).collect(),
        }
    }

    fn assert_near(name: &str, got: &Value, expected: &Tensor, share: f64) {
        assert_eq!(got.shape, expected.shape(), "{name}");
        let largest = expected.data().iter().fold(1.0_f64, |m, v| m.max(v.abs()));
        for (a, b) in got.data.iter().zip(expected.data()) {
            assert!((f64::from(*a) - b).abs() < share * largest, "{name}: {a} {b}");
        }
    }

    #[test]
    fn every_operation_gives_its_definitions_numbers() {
        for case in conformance::cases().expect("they fit") {
            let network = CpuNetwork::new(&case.graph, case.weights.clone()).expect("fits");
            let inputs: Vec<Value> = case.inputs.iter().map(value).collect();
            let got = network
                .run(case.size, &inputs, &mut Scratch::default())
                .expect("runs");
            assert_near(&case.name, &got[0], &case.expected, 2e-5);
        }
    }

    #[test]
    fn inputs_of_another_size_are_refused() {
        let mut scratch = Scratch::default();
        let case = conformance::cases().expect("they fit").swap_remove(0);
        let network = CpuNetwork::new(&case.graph, case.weights.clone()).expect("fits");
        let inputs: Vec<Value> = case.inputs.iter().map(value).collect();
        let other = Size::new(case.size.width + 1, case.size.height);
        assert!(matches!(
            network.run(other, &inputs, &mut scratch),
            Err(Error::Graph(_))
        ));
        assert!(matches!(
            network.run(case.size, &[], &mut scratch),
            Err(Error::Graph(_))
        ));
    }

    /// More than a band of rows, and more than a thread takes at a time.
    #[test]
    fn large_maps_are_finished_where_they_are_written() {
        let description = r#"{"inputs": [{"name": "image", "channels": 3}], "nodes": [
            {"name": "head", "op": "conv", "inputs": ["image"], "params": {"weight": "head.weight", "bias": "head.bias", "outputs": 16, "kernel": 3}},
            {"name": "prelu", "op": "prelu", "inputs": ["head"], "params": {"slope": "slope"}},
            {"name": "body", "op": "conv", "inputs": ["prelu"], "params": {"weight": "body.weight", "bias": "body.bias", "outputs": 16, "kernel": 3}},
            {"name": "gate", "op": "mul", "inputs": ["body", "prelu"]},
            {"name": "away", "op": "sub", "inputs": ["head", "gate"]},
            {"name": "wide", "op": "pixel_shuffle", "inputs": ["away"], "params": {"factor": 4}},
            {"name": "curve", "op": "silu", "inputs": ["wide"]}],
            "outputs": [{"name": "image", "value": "curve"}]}"#;
        let graph = crate::graph::Graph::from_json(description.as_bytes()).expect("is one");
        let graph = graph.check().expect("fits");
        let weights = conformance::weights(&graph, 3);
        let size = Size::new(80, 400);
        let inputs = conformance::inputs(&graph, size, 3).expect("a size that fits");
        let expected = reference::run(&graph, &weights, &inputs).expect("runs");
        let network = CpuNetwork::new(&graph, weights).expect("fits");
        let given: Vec<Value> = inputs.iter().map(value).collect();
        let got = network.run(size, &given, &mut Scratch::default()).expect("runs");
        assert_near("large", &got[0], &expected[0], 2e-5);
    }

    /// A dense block: convolutions of all that was made before them, and a residual that the last of them reads too.
    #[test]
    fn concatenations_are_read_where_their_parts_lie() {
        let description = r#"{"inputs": [{"name": "image", "channels": 3}], "nodes": [
            {"name": "head", "op": "conv", "inputs": ["image"], "params": {"weight": "head.weight", "bias": "head.bias", "outputs": 24, "kernel": 3}},
            {"name": "one", "op": "conv", "inputs": ["head"], "params": {"weight": "one.weight", "bias": "one.bias", "outputs": 17, "kernel": 3}},
            {"name": "leaky", "op": "leaky", "inputs": ["one"], "params": {"slope": 0.2}},
            {"name": "both", "op": "concat", "inputs": ["head", "leaky"]},
            {"name": "two", "op": "conv", "inputs": ["both"], "params": {"weight": "two.weight", "outputs": 16, "kernel": 3}},
            {"name": "all", "op": "concat", "inputs": ["head", "leaky", "two"]},
            {"name": "last", "op": "conv", "inputs": ["all"], "params": {"weight": "last.weight", "bias": "last.bias", "outputs": 24, "kernel": 3}},
            {"name": "residual", "op": "add", "inputs": ["head", "last"]}],
            "outputs": [{"name": "image", "value": "residual"}]}"#;
        let graph = crate::graph::Graph::from_json(description.as_bytes()).expect("is one");
        let graph = graph.check().expect("fits");
        let weights = conformance::weights(&graph, 5);
        let network = CpuNetwork::new(&graph, weights.clone()).expect("fits");
        // By either of the convolution's ways.
        for size in [Size::new(70, 40), Size::new(9, 5)] {
            let inputs = conformance::inputs(&graph, size, 5).expect("a size that fits");
            let expected = reference::run(&graph, &weights, &inputs).expect("runs");
            let given: Vec<Value> = inputs.iter().map(value).collect();
            let got = network.run(size, &given, &mut Scratch::default()).expect("runs");
            assert_near("dense", &got[0], &expected[0], 2e-5);
        }
        let nested = network.kernels.iter().filter(|k| !k.within.is_empty()).count();
        assert_eq!(nested, if cfg!(feature = "simd") { 2 } else { 0 });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn random_graphs_give_the_references_numbers(seed: u64) {
            let graph = arbitrary::graph(seed, 12, |_| true);
            let multiple = graph.size_multiple();
            let size = Size::new(3 * multiple, 2 * multiple);
            prop_assume!(graph.shapes(size).is_ok());
            let weights = conformance::weights(&graph, seed);
            let inputs = conformance::inputs(&graph, size, seed).expect("a size that fits");
            let expected = reference::run(&graph, &weights, &inputs).expect("runs");
            let network = CpuNetwork::new(&graph, weights).expect("fits");
            let given: Vec<Value> = inputs.iter().map(value).collect();
            // Memory of another run is of no meaning.
            let mut scratch = Scratch(vec![vec![f32::NAN; 5000]; 3]);
            network.run(size, &given, &mut scratch).expect("runs");
            scratch.0.iter_mut().for_each(|piece| piece.fill(f32::NAN));
            let got = network.run(size, &given, &mut scratch).expect("runs");
            // Norms of what hardly differs make rounding large.
            for (got, expected) in got.iter().zip(&expected) {
                assert_near(&alloc::format!("{seed}"), got, expected, 5e-3);
            }
        }
    }
}
