//! Kernels: an operation, and what is done to each number of its result before it is written.
//!
//! An activation, a residual, a gate or a modulation reads a value at one place and writes it at the same: done where the value is
//! made, it costs no pass through memory. Which of them an executor can do, and after what, it says itself.

use alloc::{vec, vec::Vec};

use crate::graph::TypedGraph;

/// An operation and the pointwise ones that follow it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The first node.
    pub root: usize,
    /// What is done to its result, in order.
    pub steps: Vec<Step>,
    /// Kernels whose results are computed where this one reads them, and are never written.
    pub within: Vec<Kernel>,
}

/// A pointwise operation on the value that a kernel is about to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The node.
    pub node: usize,
    /// Which of the values it reads that one is; the others come from memory.
    pub operand: usize,
}

impl Kernel {
    /// The node whose value is written.
    pub fn last(&self) -> usize {
        self.steps.last().map_or(self.root, |step| step.node)
    }

    /// The values that it reads from memory, in order; one may come twice.
    pub fn reads(&self, graph: &TypedGraph) -> Vec<usize> {
        let own = self.own_reads(graph).into_iter();
        own.flat_map(|value| match self.maker_within(graph, value) {
            Some(kernel) => kernel.reads(graph),
            None => vec![value],
        })
        .collect()
    }

    /// The values that its operation and steps read, from memory or from a kernel [within](Self::within) it.
    pub fn own_reads(&self, graph: &TypedGraph) -> Vec<usize> {
        let mut reads = graph.reads(self.root).to_vec();
        for step in &self.steps {
            let others = graph.reads(step.node).iter().enumerate();
            reads.extend(others.filter(|(i, _)| *i != step.operand).map(|(_, v)| *v));
        }
        reads
    }

    /// The kernel within it that makes a value.
    pub fn maker_within(&self, graph: &TypedGraph, value: usize) -> Option<&Self> {
        self.within.iter().find(|k| graph.made_by(k.last()) == value)
    }
}

/// The graph as kernels, in an order in which each comes after what it reads. `joins` is asked whether a kernel can do the node of an
/// index as its next step.
pub fn fuse(graph: &TypedGraph, joins: impl Fn(&Kernel, usize) -> bool) -> Vec<Kernel> {
    let nodes = &graph.graph().nodes;
    let uses = graph.uses();
    // For each value, the last node that reads it and at which place: the only one where there is one use.
    let mut readers = vec![None; graph.types().len()];
    for node in 0..nodes.len() {
        for (operand, value) in graph.reads(node).iter().enumerate() {
            readers[*value] = Some(Step { node, operand });
        }
    }
    let mut taken = vec![false; nodes.len()];
    let mut kernels: Vec<Kernel> = Vec::new();
    for root in 0..nodes.len() {
        if taken[root] {
            continue;
        }
        let mut kernel = Kernel {
            root,
            steps: Vec::new(),
            within: Vec::new(),
        };
        loop {
            let value = graph.made_by(kernel.last());
            let Some(step) = readers[value].filter(|_| uses[value] == 1) else {
                break;
            };
            let same = graph.types()[graph.made_by(step.node)] == graph.types()[value];
            let pointwise = nodes[step.node].op.operation().is_pointwise();
            if taken[step.node] || !same || !pointwise || !joins(&kernel, step.node) {
                break;
            }
            taken[step.node] = true;
            kernel.steps.push(step);
        }
        // What a step reads may be made after its root, and is made before the step.
        let at = kernels.partition_point(|k| k.last() < kernel.last());
        kernels.insert(at, kernel);
    }
    kernels
}

/// Puts kernels within those that alone read their results, where `joins` says so of the reader, what it would take in, and the value:
/// what only moves numbers, as a concatenation does, then costs no pass through memory.
pub fn nest(
    graph: &TypedGraph,
    kernels: Vec<Kernel>,
    joins: impl Fn(&Kernel, &Kernel, usize) -> bool,
) -> Vec<Kernel> {
    let uses = graph.uses();
    let mut all: Vec<Kernel> = Vec::with_capacity(kernels.len());
    for mut kernel in kernels {
        for value in kernel.own_reads(graph) {
            let maker = all.iter().position(|k| graph.made_by(k.last()) == value);
            let maker = maker.filter(|_| uses[value] == 1);
            if let Some(at) = maker.filter(|at| joins(&kernel, &all[*at], value)) {
                kernel.within.push(all.remove(at));
            }
        }
        all.push(kernel);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::nets::restorer;
    use crate::model::Architecture;

    #[test]
    fn a_restorers_activations_and_residuals_are_part_of_its_convolutions() {
        let graph = restorer(&Architecture::restorer(4, 4, 2)).expect("a network");
        let graph = graph.check().expect("fits");
        let kernels = fuse(&graph, |_, _| true);
        let names: Vec<Vec<&str>> = kernels
            .iter()
            .map(|k| {
                let nodes = [k.root].into_iter().chain(k.steps.iter().map(|s| s.node));
                nodes.map(|n| graph.graph().nodes[n].op.name()).collect()
            })
            .collect();
        let expected: [&[&str]; 9] = [
            &["conv", "leaky"],
            &["conv", "leaky"],
            &["conv", "add"],
            &["conv", "leaky"],
            &["conv", "add"],
            &["conv", "leaky", "add"],
            &["conv"],
            &["resize"],
            &["pixel_shuffle", "add"],
        ];
        assert_eq!(names, expected);
        let alone = fuse(&graph, |_, _| false);
        assert_eq!(alone.len(), graph.graph().nodes.len());

        // The enlarged image is added where it is made.
        let nested = nest(&graph, kernels, |_, read, _| {
            graph.graph().nodes[read.root].op.name() == "resize"
        });
        assert_eq!(nested.len(), 8);
        let image = 0;
        let last = graph.made_by(nested[6].last());
        assert_eq!(nested[7].reads(&graph), [last, image]);
    }
}
