use burn::tensor::Tensor;

use super::graph::{only_map, run_graph};
use super::{Conditioning, GraphValue, Parameters, VelocityField};
use crate::Result;
use crate::flow::FieldInputs;
use crate::graph::{Fault, TypedGraph};

/// A velocity field as a graph.
#[derive(Debug)]
pub(super) struct GraphField {
    graph: TypedGraph,
    reads: FieldInputs,
}

impl GraphField {
    /// # Errors
    /// [`Error::Graph`](crate::Error::Graph) when it is none that reads the time.
    pub(super) fn new(graph: &TypedGraph) -> Result<Self> {
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
