//! One layer of 48 channels on a tile, to be timed.

use asasr_core::Result;
use asasr_core::model::{Layer, Tensor, Weights};
use wgpu::Buffer;

use crate::executor::Frame;
use crate::gpu::{Gpu, Pass, STORAGE};
use crate::network::GpuNetwork;

/// Channels that the layer reads and makes.
pub(crate) const CHANNELS: usize = 48;

#[derive(Debug)]
pub(crate) struct Trial {
    network: GpuNetwork,
    frame: Buffer,
    input: Buffer,
    slots: Vec<Buffer>,
    size: (usize, usize),
}

impl Trial {
    /// A convolution or a modulation without learned slopes, tuned as `gpu` is, on a tile of so many columns and rows.
    ///
    /// # Errors
    /// [`asasr_core::Error::Weights`] when the layer learns more than weights and biases.
    pub(crate) fn new(gpu: &Gpu, layer: Layer, size: (usize, usize)) -> Result<Self> {
        let mut weights = Weights::default();
        if let Layer::Conv { name, kernel, .. } = &layer {
            let shape = vec![CHANNELS, CHANNELS, *kernel, *kernel];
            for (part, shape) in [("weight", shape), ("bias", vec![CHANNELS])] {
                let values = vec![0.01; shape.iter().product()];
                weights.insert(format!("{name}.{part}"), Tensor { shape, values });
            }
        }
        let modulations = |_| Ok(vec![vec![0.1; 2 * CHANNELS]]);
        let network = GpuNetwork::new(gpu, &[layer], (CHANNELS, false), &weights, modulations)?;
        let pixels = size.0 * size.1;
        let slots = network.slots(pixels).into_iter();
        Ok(Self {
            frame: gpu.uniform("frame", &Frame::new(size).words()),
            input: gpu.buffer("input", network.bytes(pixels, CHANNELS), STORAGE),
            slots: slots
                .map(|(bytes, usage)| gpu.buffer("slot", bytes, usage))
                .collect(),
            network,
            size,
        })
    }

    /// Bytes of features that it reads, and as many that it writes.
    pub(crate) fn bytes(&self) -> u64 {
        self.input.size()
    }

    /// One run.
    pub(crate) fn encode(&self, pass: &mut Pass<'_>) {
        let slots: Vec<&Buffer> = self.slots.iter().collect();
        self.network
            .encode(pass, &self.frame, &self.input, &slots, self.size);
    }
}
