//! Memory for the values between kernels: slots that one value after another lies in.

use alloc::{vec, vec::Vec};

use super::Kernel;
use crate::graph::{Shape, TypedGraph};

/// Where the values lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slots {
    of: Vec<Option<usize>>,
    numbers: Vec<u64>,
}

impl Slots {
    /// The slot of a value; none for inputs, which are the caller's, and for what is never written to memory.
    ///
    /// # Panics
    /// When there is no such value.
    pub fn of(&self, value: usize) -> Option<usize> {
        self.of[value]
    }

    /// Numbers that each slot must hold.
    pub fn numbers(&self) -> &[u64] {
        &self.numbers
    }

    /// Bytes of all slots, for numbers of `width` bytes.
    pub fn bytes(&self, width: usize) -> u64 {
        let all = self.numbers.iter().fold(0, |sum: u64, n| sum.saturating_add(*n));
        all.saturating_mul(width as u64)
    }
}

/// Gives every kernel's result a slot that is free from then until its last reader is done; outputs keep theirs. A kernel writes where
/// it reads only over the value that `over` names for it, one of the result's shape that it reads at no place but the one it writes; it is
/// done there where nothing else reads that value any more. `shapes` are those of all values at the size that is run.
///
/// Each other takes the smallest free slot that is large enough, or else the largest, which grows.
pub fn place(
    graph: &TypedGraph,
    kernels: &[Kernel],
    shapes: &[Shape],
    over: impl Fn(&Kernel) -> Option<usize>,
) -> Slots {
    let mut last_read = vec![0; shapes.len()];
    for (k, kernel) in kernels.iter().enumerate() {
        for value in kernel.reads(graph) {
            last_read[value] = k;
        }
    }
    for value in graph.outputs() {
        last_read[*value] = usize::MAX;
    }
    let mut slots = Slots {
        of: vec![None; shapes.len()],
        numbers: Vec::new(),
    };
    // For each slot, the last kernel that needs what is in it.
    let mut busy_until: Vec<usize> = Vec::new();
    for (k, kernel) in kernels.iter().enumerate() {
        let value = graph.made_by(kernel.last());
        let need = shapes[value].numbers() as u64;
        if let Some(read) = over(kernel)
            && last_read[read] == k
            && kernel.reads(graph).iter().filter(|v| **v == read).count() == 1
            && let Some(slot) = slots.of[read]
        {
            busy_until[slot] = last_read[value];
            slots.of[value] = Some(slot);
            continue;
        }
        let free = (0..busy_until.len()).filter(|slot| busy_until[*slot] < k);
        // Large enough ones first, the smallest of them; then the largest of the others.
        let best = free.min_by_key(|slot| {
            let has = slots.numbers[*slot];
            if has >= need {
                (false, has)
            } else {
                (true, u64::MAX - has)
            }
        });
        let slot = best.unwrap_or_else(|| {
            slots.numbers.push(0);
            busy_until.push(0);
            busy_until.len() - 1
        });
        slots.numbers[slot] = slots.numbers[slot].max(need);
        busy_until[slot] = last_read[value];
        slots.of[value] = Some(slot);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::nets::{Rrdb, restorer};
    use crate::graph::passes::{fuse, nest};
    use crate::graph::reference::{self, learned, run_node};
    use crate::graph::{Size, Tensor, arbitrary, conformance};
    use crate::model::{Architecture, Weights};
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    /// What a kernel makes of what it reads from memory.
    fn result(
        graph: &TypedGraph,
        kernel: &Kernel,
        weights: &Weights,
        shapes: &[Shape],
        memory: &dyn Fn(usize) -> Tensor,
    ) -> Tensor {
        let read = |v: usize| match kernel.maker_within(graph, v) {
            Some(within) => result(graph, within, weights, shapes, memory),
            None => memory(v),
        };
        let learned = learned(weights);
        let run = |node: usize, given: Vec<Tensor>| {
            let given: Vec<&Tensor> = given.iter().collect();
            run_node(graph, &learned, node, &given, shapes[graph.made_by(node)]).expect("runs")
        };
        let given = graph.reads(kernel.root).iter().map(|v| read(*v));
        let mut value = run(kernel.root, given.collect());
        for step in &kernel.steps {
            let reads = graph.reads(step.node).iter().enumerate();
            let given = reads.map(|(i, v)| {
                if i == step.operand {
                    value.clone()
                } else {
                    read(*v)
                }
            });
            value = run(step.node, given.collect());
        }
        value
    }

    /// Runs the kernels in their slots; a value that was overwritten before its last reader is missed.
    fn run_in_slots(
        graph: &TypedGraph,
        kernels: &[Kernel],
        slots: &Slots,
        weights: &Weights,
        inputs: &[Tensor],
        shapes: &[Shape],
        over: impl Fn(&Kernel) -> Option<usize>,
    ) -> Vec<Tensor> {
        let mut memory: Vec<Option<(usize, Tensor)>> = vec![None; slots.numbers().len()];
        let read = |memory: &[Option<(usize, Tensor)>], value: usize| match slots.of(value) {
            None => inputs[value].clone(),
            Some(slot) => {
                let (held, tensor) = memory[slot].clone().expect("was written");
                assert_eq!(held, value, "what slot {slot} holds");
                tensor
            }
        };
        for kernel in kernels {
            let value = result(graph, kernel, weights, shapes, &|v| read(&memory, v));
            let made = graph.made_by(kernel.last());
            let slot = slots.of(made).expect("every result has a slot");
            let beside = kernel.reads(graph);
            let beside = beside.iter().find(|v| slots.of(**v) == Some(slot));
            assert!(
                beside.is_none_or(|v| over(kernel) == Some(*v)),
                "a kernel writes where it reads"
            );
            assert!(slots.numbers()[slot] >= shapes[made].numbers() as u64);
            memory[slot] = Some((made, value));
        }
        graph.outputs().iter().map(|v| read(&memory, *v)).collect()
    }

    fn nodes(kernel: &Kernel, all: &mut Vec<usize>) {
        all.push(kernel.root);
        all.extend(kernel.steps.iter().map(|s| s.node));
        kernel.within.iter().for_each(|k| nodes(k, all));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn random_graphs_run_in_their_slots(seed: u64, share in 0..4_usize) {
            let graph = arbitrary::graph(seed, 20, |_| true);
            let size = Size::new(4 * graph.size_multiple(), 3 * graph.size_multiple());
            let (weights, inputs) = (conformance::weights(&graph, seed), conformance::inputs(&graph, size, seed).expect("a size that fits"));
            // An executor that takes some steps and not others.
            let joins = |kernel: &Kernel, next: usize| SplitMix64::of([seed, kernel.root as u64, next as u64]).below(4) < share;
            let kernels = fuse(&graph, joins);
            let nests = |reader: &Kernel, read: &Kernel, value: usize| SplitMix64::of([seed, reader.root as u64, (read.root + value) as u64]).below(4) < share;
            let kernels = nest(&graph, kernels, nests);
            let mut seen = Vec::new();
            kernels.iter().for_each(|k| nodes(k, &mut seen));
            seen.sort_unstable();
            prop_assert!(seen.into_iter().eq(0..graph.graph().nodes.len()), "every node is in one kernel");
            let shapes = graph.shapes(size).expect("fits");
            // What a step alone reads may be written over.
            let over = |kernel: &Kernel| {
                let mut others = kernel.steps.iter().flat_map(|step| {
                    let reads = graph.reads(step.node).iter().enumerate();
                    reads.filter(|(i, _)| *i != step.operand).map(|(_, v)| *v)
                });
                let made = graph.types()[graph.made_by(kernel.last())];
                others.rfind(|v| share > 1 && graph.types()[*v] == made)
            };
            let slots = place(&graph, &kernels, &shapes, over);
            let got = run_in_slots(&graph, &kernels, &slots, &weights, &inputs, &shapes, over);
            let expected = reference::run(&graph, &weights, &inputs).expect("runs");
            for (a, b) in got.iter().zip(&expected) {
                prop_assert!(a.data().iter().zip(b.data()).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
            }
        }
    }

    #[test]
    fn long_chains_live_in_few_slots() {
        let size = Size::new(16, 16);
        let used = |graph: TypedGraph| {
            let kernels = fuse(&graph, |_, _| true);
            let slots = place(&graph, &kernels, &graph.shapes(size).expect("fits"), |_| None);
            (slots.numbers().len(), slots.bytes(4))
        };
        let graph = restorer(&Architecture::restorer(4, 48, 6)).expect("a network");
        // The head's result for the long skip, the block's for its skip, and two in turn; the image and its skip go there too.
        let (count, bytes) = used(graph.check().expect("fits"));
        assert_eq!((count, bytes), (4, 4 * 48 * 256 * 4));

        let rrdb = Rrdb {
            colours: 3,
            features: 64,
            growth: 32,
            blocks: 23,
            doublings: 0,
            unshuffle: 1,
            plus: false,
        };
        let short = used(Rrdb { blocks: 3, ..rrdb }.graph().check().expect("fits"));
        assert_eq!(
            used(rrdb.graph().check().expect("fits")),
            short,
            "more blocks take no more memory"
        );
    }
}
