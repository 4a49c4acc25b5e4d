use alloc::vec::Vec;
use core::mem;

use super::Value;
use crate::graph::passes::{Kernel, Slots, Step, fold, fuse, place};
use crate::graph::{Fault, Op, Places, Shape, Size, TypedGraph};
use crate::model::Weights;
use crate::{Error, Result};

/// A graph with its weights, ready to run.
#[derive(Debug)]
pub struct CpuNetwork {
    graph: TypedGraph,
    kernels: Vec<Kernel>,
    /// For each node, its learned tensors.
    parameters: Vec<Vec<Vec<f32>>>,
}

impl CpuNetwork {
    /// Folds and fuses the graph. The processor takes every operation there is.
    ///
    /// # Errors
    /// [`Error::Weights`] when a tensor is missing or is none of the graph's.
    pub fn new(graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        weights.check(graph.parameters())?;
        let (graph, weights) = fold(graph, weights)?;
        let kernels = fuse(&graph, |_, _| true);
        let nodes = 0..graph.graph().nodes.len();
        let parameters = nodes
            .map(|i| {
                let tensors = graph.graph().nodes[i].op.operation();
                let tensors = tensors.parameters(&graph.input_types(i));
                let values = |name: &str| Ok(weights.get(name)?.values.clone());
                tensors.iter().map(|p| values(&p.name)).collect()
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            graph,
            kernels,
            parameters,
        })
    }

    /// The graph as it is run.
    pub fn graph(&self) -> &TypedGraph {
        &self.graph
    }

    /// The outputs for `inputs`, in the order of the description.
    ///
    /// # Errors
    /// [`Error::Graph`] when the inputs are not those of one image.
    pub fn run(&self, size: Size, inputs: &[Value]) -> Result<Vec<Value>> {
        let shapes = self.graph.shapes(size)?;
        let own = &shapes[..self.graph.graph().inputs.len()];
        let fits =
            |(given, shape): (&Value, &Shape)| given.shape == *shape && given.data.len() == shape.numbers();
        if own.len() != inputs.len() || !inputs.iter().zip(own).all(fits) {
            let why = "the inputs are not those of an image of that size".into();
            return Err(Fault::Size(why).whole().into());
        }
        let slots = place(&self.graph, &self.kernels, &shapes);
        let mut memory = Memory {
            inputs,
            slots: &slots,
            held: slots.numbers().iter().map(|_| None).collect(),
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
        (0..outputs.len()).map(given).collect()
    }

    /// Runs a kernel into its slot.
    fn step(&self, kernel: &Kernel, shapes: &[Shape], memory: &mut Memory<'_>) -> Result<()> {
        let made = self.graph.made_by(kernel.last());
        let mut out = memory.take(made, shapes[made]);
        let (first, rest) = self.beginning(kernel);
        let reads = memory.all(self.graph.reads(kernel.root))?;
        let root = self.op(kernel.root);
        let parameters = self.learned(kernel.root);
        match (root, first) {
            #[cfg(feature = "simd")]
            (Op::Conv(conv), Some(slope)) => conv.with_slope(reads[0], &parameters, slope, &mut out),
            _ => root.compute().compute(&reads, &parameters, &mut out),
        }
        for Step { node, operand } in rest {
            let reads = self.graph.reads(*node).iter().enumerate();
            let others: Vec<usize> = reads.filter(|(i, _)| i != operand).map(|(_, v)| *v).collect();
            let others = memory.all(&others)?;
            let (op, parameters) = (self.op(*node).compute(), self.learned(*node));
            if op.in_place(&mut out, *operand, &others, &parameters) {
                continue;
            }
            let own = mem::replace(&mut out, Value::zeros(shapes[made]));
            let mut reads = others;
            reads.insert(*operand, &own);
            op.compute(&reads, &parameters, &mut out);
        }
        memory.put(made, out);
        Ok(())
    }

    /// The slope that a convolution applies itself, and the steps after that.
    fn beginning<'a>(&self, kernel: &'a Kernel) -> (Option<f32>, &'a [Step]) {
        let steps = &kernel.steps[..];
        let Op::Conv(_) = self.op(kernel.root) else {
            return (None, steps);
        };
        match steps.split_first() {
            Some((first, rest)) => match self.op(first.node) {
                Op::Leaky(leaky) if cfg!(feature = "simd") && leaky.slope >= 0.0 => {
                    (Some(leaky.slope as f32), rest)
                }
                _ => (None, steps),
            },
            None => (None, steps),
        }
    }

    fn op(&self, node: usize) -> &Op {
        &self.graph.graph().nodes[node].op
    }

    fn learned(&self, node: usize) -> Vec<&[f32]> {
        self.parameters[node].iter().map(Vec::as_slice).collect()
    }
}

/// What is computed so far.
struct Memory<'a> {
    inputs: &'a [Value],
    slots: &'a Slots,
    held: Vec<Option<Value>>,
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
        let held = self.slots.of(value).and_then(|slot| self.held[slot].take());
        let mut data = held.map_or_else(Vec::new, |v| v.data);
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

    fn put(&mut self, value: usize, made: Value) {
        if let Some(slot) = self.slots.of(value) {
            self.held[slot] = Some(made);
        }
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
            let network = CpuNetwork::new(&case.graph, &case.weights).expect("fits");
            let inputs: Vec<Value> = case.inputs.iter().map(value).collect();
            let got = network.run(case.size, &inputs).expect("runs");
            assert_near(&case.name, &got[0], &case.expected, 2e-5);
        }
    }

    #[test]
    fn inputs_of_another_size_are_refused() {
        let case = conformance::cases().expect("they fit").swap_remove(0);
        let network = CpuNetwork::new(&case.graph, &case.weights).expect("fits");
        let inputs: Vec<Value> = case.inputs.iter().map(value).collect();
        let other = Size::new(case.size.width + 1, case.size.height);
        assert!(matches!(network.run(other, &inputs), Err(Error::Graph(_))));
        assert!(matches!(network.run(case.size, &[]), Err(Error::Graph(_))));
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
            let network = CpuNetwork::new(&graph, &weights).expect("fits");
            let given: Vec<Value> = inputs.iter().map(value).collect();
            let got = network.run(size, &given).expect("runs");
            // Norms of what hardly differs make rounding large.
            for (got, expected) in got.iter().zip(&expected) {
                assert_near(&alloc::format!("{seed}"), got, expected, 5e-3);
            }
        }
    }
}
