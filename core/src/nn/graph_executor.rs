use alloc::format;

use super::graph_flow::{download, image_of, upload};
use super::{GraphNetwork, GraphValue};
use crate::graph::Fault;
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
        let graph = network.graph();
        let (scale, divisor) = graph.output_scale(0).terms();
        if graph.graph().inputs.len() != 1 || divisor != 1 {
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
