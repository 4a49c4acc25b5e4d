use alloc::format;

use super::graph_flow::{download, image_of, upload};
use super::{GraphNetwork, GraphValue};
use crate::graph::Fault;
use crate::video::RecurrentExecutor;
use crate::{Error, Executor, OnStep, Planes, Rect, Result};

/// Runs a graph of one image to one image tile by tile on a burn device.
#[derive(Debug)]
pub struct GraphExecutor {
    network: GraphNetwork,
    scale: usize,
    halo: usize,
}

impl GraphExecutor {
    /// # Errors
    /// [`Error::Graph`] where the network has other inputs than one image, or its result is no whole number of times larger.
    pub fn new(network: GraphNetwork) -> Result<Self> {
        Self::reading(network, 1)
    }

    /// Of a network for video, that also reads its last result.
    ///
    /// # Errors
    /// [`Error::Graph`] where it has not two inputs, or its result is no whole number of times larger.
    pub fn recurrent(network: GraphNetwork) -> Result<Self> {
        Self::reading(network, 2)
    }

    fn reading(network: GraphNetwork, inputs: usize) -> Result<Self> {
        let graph = network.graph();
        let (scale, divisor) = graph.output_scale(0).terms();
        if graph.graph().inputs.len() != inputs || divisor != 1 {
            let why = format!(
                "it has {} inputs and enlarges {scale}/{divisor} times",
                graph.graph().inputs.len()
            );
            return Err(Error::Graph(Fault::Inputs(why).whole()));
        }
        let halo = graph.reach().radius;
        Ok(Self { network, scale, halo })
    }
}

impl Executor for GraphExecutor {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.halo
    }

    fn grid(&self) -> usize {
        self.network.graph().alignment()
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        let given = GraphValue::Map(upload(tile, &self.network));
        download(image_of(self.network.run(&[given])?)?).await
    }
}

impl RecurrentExecutor for GraphExecutor {
    async fn run_after(&self, tile: &Planes, previous: &Planes) -> Result<Planes> {
        let given = [tile, previous].map(|x| GraphValue::Map(upload(x, &self.network)));
        download(image_of(self.network.run(&given)?)?).await
    }
}
