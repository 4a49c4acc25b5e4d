//! A small graph on a tile, to be timed.

use std::sync::Arc;

use asasr_core::Result;
use asasr_core::graph::ops::{Conv, Leaky};
use asasr_core::graph::{Builder, Graph, Kind, Scale, Size};
use asasr_core::model::{Tensor, Weights};
use wgpu::Buffer;

use crate::gpu::{Gpu, Pass};
use crate::graph::{END, Ends, Held, Planned, WgslNetwork};

/// Channels that a layer reads and makes.
pub(crate) const CHANNELS: usize = 48;

#[derive(Debug)]
pub(crate) struct Trial {
    network: WgslNetwork,
    plan: Arc<Planned>,
    held: Held,
    inputs: Vec<Buffer>,
    output: Buffer,
    bytes: u64,
}

/// A convolution of features with a leaky rectifier.
pub(crate) fn convolution(kernel: usize) -> Graph {
    let mut b = Builder::new();
    let x = b.map("features", CHANNELS, Scale::ONE);
    let y = b.node("layer", Conv::new("layer", CHANNELS, kernel), &[&x]);
    let y = b.after("layer", Leaky { slope: 0.1 }, &[&y]);
    b.output("features", &y)
}

impl Trial {
    /// A graph of one output, run as `gpu` is tuned on a tile of `size`; what goes in and out is features.
    ///
    /// # Errors
    /// [`asasr_core::Error::Graph`] when it is none; [`asasr_core::Error::Exhausted`] when the device has no room.
    pub(crate) async fn new(gpu: &Gpu, graph: Graph, size: Size, ends: Ends) -> Result<Self> {
        let graph = graph.check()?;
        let mut weights = Weights::default();
        for p in graph.parameters() {
            let (shape, values) = (p.shape.clone(), vec![0.01; p.len()]);
            weights.insert(p.name.clone(), Tensor { shape, values });
        }
        let network = WgslNetwork::unfolded(gpu, graph, &weights, ends)?;
        let plan = network.plan(size)?;
        let held = network.hold(&plan).await?;
        let buffer = |value| gpu.buffer("trial", network.bytes_at(&plan, value), END);
        let graph = network.graph();
        let inputs: Vec<Buffer> = (0..graph.graph().inputs.len()).map(buffer).collect();
        let output = buffer(graph.outputs()[0]);
        let maps = inputs.iter().zip(graph.types());
        let maps = maps.filter(|(_, t)| t.kind == Kind::Map).map(|(b, _)| b.size());
        let bytes = maps.sum::<u64>() + output.size();
        Ok(Self {
            network,
            plan,
            held,
            inputs,
            output,
            bytes,
        })
    }

    /// Bytes of maps that it reads and writes at least.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// One run.
    pub(crate) fn encode(&self, pass: &mut Pass<'_>) {
        let inputs: Vec<&Buffer> = self.inputs.iter().collect();
        self.network
            .encode(pass, &self.plan, &self.held, &inputs, &[&self.output]);
    }
}
