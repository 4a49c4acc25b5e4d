//! What is done to a graph once, for every executor, before it runs.

use alloc::{collections::BTreeSet, string::String};

use super::Graph;

/// The graph without the nodes that no output depends on.
pub(super) fn without_unused(mut graph: Graph) -> Graph {
    let mut needed: BTreeSet<String> = graph.outputs.iter().map(|o| o.value.clone()).collect();
    for node in graph.nodes.iter().rev() {
        if needed.contains(&node.name) {
            needed.extend(node.inputs.iter().cloned());
        }
    }
    graph.nodes.retain(|node| needed.contains(&node.name));
    graph
}
