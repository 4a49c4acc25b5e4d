use burn::tensor::Tensor;

use super::graph::{only_map, run_graph};
use super::{Conditioning, GraphValue, Parameters, VelocityField};
use crate::Result;
use crate::graph::{TypedGraph, nets};
use crate::model::{Condition, VelocityArchitecture};

/// A velocity field of format 1, as the graph that its description is.
#[derive(Debug)]
pub(super) struct GraphField {
    architecture: VelocityArchitecture,
    graph: TypedGraph,
}

impl GraphField {
    /// # Errors
    /// [`Error::Architecture`](crate::Error::Architecture) when the description is none.
    pub(super) fn new(architecture: &VelocityArchitecture) -> Result<Self> {
        Ok(Self {
            architecture: architecture.clone(),
            graph: nets::velocity(architecture)?.check()?,
        })
    }
}

impl VelocityField for GraphField {
    fn architecture(&self) -> VelocityArchitecture {
        self.architecture.clone()
    }

    fn velocity(
        &self,
        parameters: &Parameters,
        x_t: Tensor<4>,
        t: Tensor<1>,
        condition: &Conditioning,
    ) -> Tensor<4> {
        let [n] = t.dims();
        let mut inputs = alloc::vec![GraphValue::Map(x_t), GraphValue::Map(condition.low.clone())];
        if self.architecture.condition() == Condition::LowQualityAndMean {
            let mean = condition.mean.clone();
            inputs.push(GraphValue::Map(
                mean.expect("the architecture is conditioned on the posterior mean"),
            ));
        }
        inputs.push(GraphValue::Vector(t.reshape([n, 1])));
        only_map(run_graph(&self.graph, parameters, &inputs))
    }
}
