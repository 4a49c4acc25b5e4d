//! What is done to a graph once, for every executor, before it runs.
//!
//! [`fold`] → a smaller graph of the same function, and its weights; [`fuse`] → a list of kernels, each an operation and what is done
//! to its result where it is written; [`nest`] → fewer of them, some within others; [`place`] → the memory that each kernel's result lies in.

mod fold;
mod fuse;
mod slots;

use alloc::{collections::BTreeSet, string::String};

use super::Graph;

pub use fold::fold;
pub use fuse::{Kernel, Step, fuse, nest};
pub use slots::{Slots, place};

/// The graph without the nodes that no output depends on.
pub(super) fn without_unused(mut graph: Graph) -> Graph {
    // Collecting would take a sort along, which is kilobytes of the page.
    let mut needed = BTreeSet::<String>::new();
    needed.extend(graph.outputs.iter().map(|o| o.value.clone()));
    for node in graph.nodes.iter().rev() {
        if needed.contains(&node.name) {
            needed.extend(node.inputs.iter().cloned());
        }
    }
    graph.nodes.retain(|node| needed.contains(&node.name));
    graph
}
