use alloc::boxed::Box;

use burn::tensor::Tensor;

use super::graph::{only_map, run_graph};
use super::{Conditioning, GraphValue, Parameters, VelocityField};
use crate::Result;
use crate::flow::FieldInputs;
use crate::graph::{Fault, TypedGraph, nets};
use crate::model::VelocityArchitecture;

/// The velocity field that `architecture` describes.
///
/// # Errors
/// [`Error::Architecture`](crate::Error::Architecture) when it describes none.
pub fn velocity_field(architecture: &VelocityArchitecture) -> Result<Box<dyn VelocityField>> {
    graph_field(&nets::velocity(architecture)?.check()?)
}

/// The velocity field that a graph is, of the inputs that [`Role::Field`](crate::model::Role::Field) has.
///
/// # Errors
/// [`Error::Graph`](crate::Error::Graph) when it is none.
pub fn graph_field(graph: &TypedGraph) -> Result<Box<dyn VelocityField>> {
    Ok(Box::new(GraphField::new(graph)?))
}

/// A velocity field as a graph.
#[derive(Debug)]
struct GraphField {
    graph: TypedGraph,
    reads: FieldInputs,
}

impl GraphField {
    /// # Errors
    /// [`Error::Graph`](crate::Error::Graph) when it is none that reads the time.
    fn new(graph: &TypedGraph) -> Result<Self> {
        let (graph, reads) = FieldInputs::of(graph)?;
        match reads {
            FieldInputs::WithMean | FieldInputs::WithoutMean => Ok(Self { graph, reads }),
            FieldInputs::Untimed | FieldInputs::Deterministic => {
                let why = "a network that samples in one step is no velocity field of several times".into();
                Err(Fault::Inputs(why).whole().into())
            }
        }
    }
}

impl VelocityField for GraphField {
    fn scale(&self) -> usize {
        // The state is of the image's size, the low-quality image as many times smaller.
        self.graph.output_scale(0).terms().0
    }

    fn reads_mean(&self) -> bool {
        self.reads == FieldInputs::WithMean
    }

    fn velocity(
        &self,
        parameters: &Parameters,
        x_t: Tensor<4>,
        t: Tensor<1>,
        condition: &Conditioning,
    ) -> Tensor<4> {
        let [n] = t.dims();
        let map = GraphValue::Map;
        // A field that does not read it is given what is not used.
        let mean = match (&condition.mean, self.reads_mean()) {
            (Some(mean), true) => mean.clone(),
            (None, true) => panic!("the field is conditioned on the posterior mean"),
            (_, false) => condition.low.clone(),
        };
        let time = GraphValue::Vector(t.reshape([n, 1]));
        let inputs = self
            .reads
            .order(map(x_t), map(condition.low.clone()), map(mean), time);
        only_map(run_graph(&self.graph, parameters, &inputs))
    }
}
