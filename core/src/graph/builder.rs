use alloc::{collections::BTreeSet, format, string::String};

use super::{Graph, Input, InputKind, Node, Op, Output, Scale, check};

/// Writes a graph down, node by node.
///
/// Nodes are named as the field names its modules; a name that is taken or cannot be one is replaced, so use what is returned.
#[derive(Debug, Default)]
pub struct Builder {
    graph: Graph,
    names: BTreeSet<String>,
}

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A map that is given; returns its name.
    pub fn map(&mut self, name: &str, channels: usize, scale: Scale) -> String {
        self.input(name, channels, scale, InputKind::Map)
    }

    /// A vector that is given; returns its name.
    pub fn vector(&mut self, name: &str, channels: usize) -> String {
        self.input(name, channels, Scale::ONE, InputKind::Vector)
    }

    fn input(&mut self, name: &str, channels: usize, scale: Scale, kind: InputKind) -> String {
        let name = self.free(name.into());
        self.graph.inputs.push(Input {
            name: name.clone(),
            channels,
            scale,
            kind,
        });
        name
    }

    /// A node; returns its name.
    pub fn node(&mut self, name: impl Into<String>, op: impl Into<Op>, inputs: &[&str]) -> String {
        self.push(name.into(), op.into(), inputs)
    }

    fn push(&mut self, name: String, op: Op, inputs: &[&str]) -> String {
        let name = self.free(name);
        self.graph.nodes.push(Node {
            name: name.clone(),
            op,
            inputs: inputs.iter().map(|i| (*i).into()).collect(),
        });
        name
    }

    /// A node named after a module and its operation; returns its name.
    pub fn after(&mut self, module: &str, op: impl Into<Op>, inputs: &[&str]) -> String {
        self.push_after(module, op.into(), inputs)
    }

    fn push_after(&mut self, module: &str, op: Op, inputs: &[&str]) -> String {
        self.push(format!("{module}.{}", op.name()), op, inputs)
    }

    /// The name, or one that is free.
    fn free(&mut self, name: String) -> String {
        let counted = (self.graph.nodes.len()..).map(|i| format!("node.{i}"));
        let plain = check::plain(&name).then_some(name);
        let name = plain.into_iter().chain(counted).find(|n| !self.names.contains(n));
        let name = name.unwrap_or_default();
        self.names.insert(name.clone());
        name
    }

    /// The graph with one output.
    #[must_use]
    pub fn output(mut self, name: &str, value: &str) -> Graph {
        self.graph.outputs.push(Output {
            name: name.into(),
            value: value.into(),
        });
        self.graph
    }
}
