use std::sync::Mutex;

use asasr_core::{
    Executor, OnStep, Planes, Rect, Result,
    model::{Architecture, Skip, Weights},
};
use wgpu::{Buffer, BufferUsages};

use crate::gpu::{Gpu, Kernel};
use crate::network::GpuNetwork;
use crate::pack;

const ENLARGE: &str = include_str!("../shader/enlarge.wgsl");

/// Buffers for tiles of up to `pixels` pixels.
#[derive(Debug)]
struct Buffers {
    pixels: usize,
    frame: Buffer,
    image: Buffer,
    slots: Vec<Buffer>,
    output: Buffer,
    readback: Buffer,
}

/// Runs a restorer with our kernels.
#[derive(Debug)]
pub struct GpuExecutor {
    gpu: Gpu,
    scale: usize,
    halo: usize,
    network: GpuNetwork,
    enlarge: Kernel,
    /// Those that no tile uses.
    buffers: Mutex<Vec<Buffers>>,
}

impl Clone for GpuExecutor {
    /// On the same device and with the same weights, but with tiles of its own.
    fn clone(&self) -> Self {
        Self {
            gpu: self.gpu.clone(),
            scale: self.scale,
            halo: self.halo,
            network: self.network.clone(),
            enlarge: self.enlarge.clone(),
            buffers: Mutex::default(),
        }
    }
}

impl GpuExecutor {
    /// Uploads `weights` and builds a pipeline for every layer.
    ///
    /// # Errors
    /// [`Error::Architecture`](asasr_core::Error::Architecture) or [`Error::Weights`](asasr_core::Error::Weights) when the
    /// two do not fit; [`Error::Device`](asasr_core::Error::Device) when the device refuses.
    pub fn new(gpu: Gpu, architecture: &Architecture, weights: &Weights) -> Result<Self> {
        architecture.validate()?;
        weights.check(&architecture.parameters())?;
        let network = GpuNetwork::new(&gpu, &architecture.layers, 3, weights, |_| Ok(Vec::new()))?;
        let bicubic = f64::from(u8::from(architecture.skip == Skip::Bicubic));
        let constants = [("SCALE", architecture.scale as f64), ("BICUBIC", bicubic)];
        let enlarge = gpu.kernel("enlarge", &gpu.module("enlarge", ENLARGE), &constants, (1, 1));
        gpu.check()?;
        Ok(Self {
            scale: architecture.scale,
            halo: architecture.receptive_radius(),
            network,
            enlarge,
            buffers: Mutex::default(),
            gpu,
        })
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Room for a tile of `pixels` pixels.
    fn reserve(&self, pixels: usize) -> Result<Buffers> {
        let free = self.buffers.lock().ok().and_then(|mut all| all.pop());
        if let Some(buffers) = free
            && buffers.pixels >= pixels
        {
            return Ok(buffers);
        }
        let output = (pixels * 3 * self.scale * self.scale * 4) as u64;
        let gpu = &self.gpu;
        gpu.allows(pixels, output.max(self.network.slot_bytes(pixels)))?;
        let storage = BufferUsages::STORAGE;
        let read = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
        Ok(Buffers {
            pixels,
            frame: gpu.buffer(
                "frame",
                Frame::BYTES,
                BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            ),
            image: gpu.buffer("image", (pixels * 16) as u64, storage | BufferUsages::COPY_DST),
            slots: self.network.slots(gpu, pixels),
            output: gpu.buffer("output", output, storage | BufferUsages::COPY_SRC),
            readback: gpu.buffer("readback", output, read),
        })
    }
}

impl Executor for GpuExecutor {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.halo
    }

    fn lanes(&self) -> usize {
        2
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        let (width, height, scale) = (tile.width(), tile.height(), self.scale);
        let b = self.reserve(width * height)?;
        let gpu = &self.gpu;
        Frame::new((width, height)).write(gpu, &b.frame);
        gpu.write(&b.image, &pack::image(tile));
        let count = width * height * 3 * scale * scale;
        gpu.submit(
            |pass| {
                let features = self
                    .network
                    .encode(pass, &b.frame, &b.image, &b.slots, (width, height));
                let bound = [&b.frame, features, &b.image, &b.output];
                pass.dispatch(&self.enlarge, &bound, (width * scale, height * scale));
            },
            |encoder| encoder.copy_buffer_to_buffer(&b.output, 0, &b.readback, 0, (count * 4) as u64),
        );
        let values = gpu.read(&b.readback, count).await?;
        if let Ok(mut free) = self.buffers.lock() {
            free.push(b);
        }
        Planes::new(3, height * scale, width * scale, values)
    }
}

/// What the kernels know of a tile; `Frame` of `shared.wgsl`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) size: (usize, usize),
    pub(crate) step: usize,
    pub(crate) dt: f64,
    pub(crate) gain: f64,
}

impl Frame {
    pub(crate) const BYTES: u64 = 32;

    pub(crate) fn new(size: (usize, usize)) -> Self {
        Self {
            size,
            step: 0,
            dt: 0.0,
            gain: 0.0,
        }
    }

    /// As the kernels read it.
    pub(crate) fn write(self, gpu: &Gpu, buffer: &Buffer) {
        let (width, height) = self.size;
        let float = |v: f64| (v as f32).to_bits();
        let words = [
            width as u32,
            height as u32,
            self.step as u32,
            float(self.dt),
            float(self.gain),
            0,
            0,
            0,
        ];
        gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(&words));
    }
}
