//! Networks as graphs: what is computed, apart from how and where.
//!
//! A [`Graph`] is a list of named [inputs](Input), [nodes](Node) and [outputs](Output) in which every value has one name and is made
//! once (static single assignment). It is what a file says, and may say anything. [`Graph::check`] holds it to [`limits`] and makes
//! a [`TypedGraph`] of it, in which every value has a [`ValueType`] and every learned tensor a shape; all else works on that:
//!
//! | question | answer |
//! |---|---|
//! | what does an operation do? | its file in [`ops`] |
//! | how far does an output see, and where must tiles lie? | [`TypedGraph::reach`], [`TypedGraph::alignment`] |
//! | what does it cost at a size? | [`TypedGraph::shapes`], [`TypedGraph::cost`] |
//! | what is the right result? | [`reference::run`], in plain `f64` |
//! | does an executor compute it? | [`conformance::cases`] of every operation |
//! | how is a network written down? | [`nets`], one file a network, with [`Builder`] |
//! | how is it made ready to run? | [`passes`]: constants folded, kernels fused, memory laid out |
//!
//! An image has `width` by `height` pixels at scale 1; maps have a [`Scale`] of that. Batches are the caller's.
//!
//! ```
//! use asasr_core::graph::{Graph, Size};
//! let graph = Graph::from_json(br#"{
//!     "inputs": [{"name": "image", "channels": 3}],
//!     "nodes": [
//!         {"name": "tail", "op": "conv", "inputs": ["image"],
//!          "params": {"weight": "tail.weight", "bias": "tail.bias", "outputs": 12, "kernel": 3}},
//!         {"name": "larger", "op": "pixel_shuffle", "inputs": ["tail"], "params": {"factor": 2}}
//!     ],
//!     "outputs": [{"name": "image", "value": "larger"}]
//! }"#)?.check()?;
//! assert_eq!(graph.reach().radius, 1);
//! assert_eq!(graph.cost(Size::new(8, 8))?.multiply_adds, 8 * 8 * 12 * 27);
//! # Ok::<(), asasr_core::Error>(())
//! ```

mod analysis;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
mod builder;
mod check;
pub mod conformance;
mod error;
pub mod limits;
pub mod nets;
pub mod ops;
pub mod passes;
pub mod reference;
mod tiling;
mod types;

use alloc::{format, string::String, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

pub use crate::Size;
pub use analysis::Cost;
pub use builder::Builder;
pub use check::TypedGraph;
pub use error::{Fault, GraphError};
pub use ops::{Extent, Op, Operation};
pub use reference::Tensor;
pub use tiling::{Reach, common_grid};
pub use types::{Grid, Kind, Places, Scale, Shape, ValueType, Windows};

use crate::fields::{self, Fields, Misfit, Object, fields, names};
use crate::{Error, Result};

/// A network as a file describes it; nothing in it is checked yet.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Graph {
    /// What is given.
    pub inputs: Vec<Input>,
    /// What is computed, in an order in which every node comes after what it reads.
    pub nodes: Vec<Node>,
    /// What is asked for.
    pub outputs: Vec<Output>,
    /// How far it sees in effect, in pixels of the image, where that was measured to be less than what it could see: tiles have this halo.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halo: Option<usize>,
}

/// A value that is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// The value's name.
    pub name: String,
    /// Numbers at every place.
    pub channels: usize,
    /// Pixels for each of the image; 1 where it is not given, and for vectors.
    #[serde(skip_serializing_if = "is_scale_one")]
    pub scale: Scale,
    /// A map where it is not given.
    #[serde(skip_serializing_if = "is_map")]
    pub kind: InputKind,
}

fields!(Input { name, channels, scale = Scale::ONE, kind = InputKind::Map });

/// How the channels of an input are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// At every pixel.
    #[default]
    Map,
    /// Once.
    Vector,
}

names!(InputKind { "map" = Map, "vector" = Vector });

/// A value that is computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "RawNode")]
pub struct Node {
    /// The value's name.
    pub name: String,
    /// How it is computed.
    pub op: Op,
    /// The names of what it reads, in the operation's order.
    pub inputs: Vec<String>,
}

/// A value that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Its name among the outputs.
    pub name: String,
    /// The name of the value.
    pub value: String,
}

fields!(Output { name, value });

/// A node as it is written.
#[derive(Serialize)]
struct RawNode {
    name: String,
    op: String,
    inputs: Vec<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    params: Map<String, Value>,
}

fields!(RawNode { name, op, inputs, params = Map::new() });

impl TryFrom<RawNode> for Node {
    type Error = GraphError;

    fn try_from(raw: RawNode) -> core::result::Result<Self, GraphError> {
        let op = Op::read(&raw.op, raw.params).map_err(|fault| fault.at(&raw.name))?;
        Ok(Self {
            name: raw.name,
            op,
            inputs: raw.inputs,
        })
    }
}

impl From<Node> for RawNode {
    fn from(node: Node) -> Self {
        Self {
            name: node.name,
            op: node.op.name().into(),
            params: node.op.params(),
            inputs: node.inputs,
        }
    }
}

fn is_scale_one(scale: &Scale) -> bool {
    *scale == Scale::ONE
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_map(kind: &InputKind) -> bool {
    *kind == InputKind::Map
}

impl Input {
    /// The type of the value.
    pub fn value_type(&self) -> ValueType {
        match self.kind {
            InputKind::Map => ValueType::map(self.channels, self.scale),
            InputKind::Vector => ValueType::vector(self.channels),
        }
    }
}

/// A graph whose nodes are still to be read.
struct RawGraph {
    inputs: Vec<Input>,
    nodes: Vec<RawNode>,
    outputs: Vec<Output>,
    halo: Option<usize>,
}

fields!(RawGraph {
    inputs,
    nodes,
    outputs,
    halo
});

impl TryFrom<RawGraph> for Graph {
    type Error = GraphError;

    fn try_from(raw: RawGraph) -> core::result::Result<Self, GraphError> {
        let nodes: core::result::Result<_, _> = raw.nodes.into_iter().map(Node::try_from).collect();
        Ok(Self {
            inputs: raw.inputs,
            nodes: nodes?,
            outputs: raw.outputs,
            halo: raw.halo,
        })
    }
}

impl Object for Graph {
    fn take(fields: &mut Fields) -> core::result::Result<Self, Misfit> {
        let graph = RawGraph::take(fields)?.try_into();
        graph.map_err(|e: GraphError| Misfit(format!("{e}")))
    }
}

impl<'de> Deserialize<'de> for Graph {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        let graph = Fields::of(Map::deserialize(deserializer)?, Self::take);
        graph.map_err(|Misfit(why)| D::Error::custom(why))
    }
}

impl Graph {
    /// Reads a description. Its memory is a small multiple of the text's; fractions of more than 15 digits may change in the last.
    ///
    /// # Errors
    /// [`Error::Graph`], with the node where it is one's: [`Fault::Form`], [`Fault::UnknownOp`] or [`Fault::Params`].
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let raw: RawGraph = fields::from_json(json).map_err(|Misfit(why)| Fault::Form(why).whole())?;
        Ok(raw.try_into()?)
    }

    /// The description, on one line.
    ///
    /// # Errors
    /// [`Error::Graph`] when it cannot be written, which no checked graph's is.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::Graph(Fault::Form(format!("{e}")).whole()))
    }

    /// Finds the type of every value.
    ///
    /// # Errors
    /// [`Error::Graph`], naming the first node that does not fit and the remedy.
    pub fn check(self) -> Result<TypedGraph> {
        Ok(TypedGraph::new(self)?)
    }
}
