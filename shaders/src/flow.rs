use std::sync::Mutex;

use asasr_core::flow::{FlowDevice, Schedule};
use asasr_core::model::{Condition, ConvVelocity, FlowPart, VelocityArchitecture, Weights};
use asasr_core::{Error, Executor as _, OnStep, Planes, Rect, Result};
use wgpu::{Buffer, BufferUsages};

use crate::executor::{Frame, GpuExecutor};
use crate::gpu::{Gpu, Kernel};
use crate::network::{GpuNetwork, Modulation};
use crate::pack;

const GATHER: &str = include_str!("../shader/gather.wgsl");
const STEP: &str = include_str!("../shader/step.wgsl");

/// Runs a restorer and a convolutional velocity field with our kernels.
#[derive(Debug)]
pub struct GpuFlow {
    restorer: GpuExecutor,
    field: ConvVelocity,
    whole: VelocityArchitecture,
    weights: Weights,
    gather: Kernel,
    step: Kernel,
    /// Channels that the field reads.
    inputs: usize,
    ready: Mutex<Ready>,
}

/// What a drawing leaves for the next one.
#[derive(Debug, Default)]
struct Ready {
    /// The field made ready for the times of a schedule.
    network: Option<(Vec<f64>, GpuNetwork)>,
    buffers: Option<Buffers>,
}

/// Buffers for tiles of up to `pixels` pixels.
#[derive(Debug)]
struct Buffers {
    pixels: usize,
    frame: Buffer,
    image: Buffer,
    mean: Buffer,
    state: Buffer,
    input: Buffer,
    slots: Vec<Buffer>,
    readback: Buffer,
}

impl GpuFlow {
    /// Takes a restorer and the weights of `flow`, which goes on its device.
    ///
    /// # Errors
    /// [`Error::Architecture`] for a transformer, which these kernels do not run, [`Error::Weights`] when `weights` are not
    /// those of `flow`; [`Error::Device`] when the device refuses.
    pub fn new(restorer: GpuExecutor, flow: &FlowPart, weights: &Weights) -> Result<Self> {
        let whole = flow.architecture.clone();
        whole.validate()?;
        weights.check(&whole.parameters())?;
        let VelocityArchitecture::Conv(field) = whole.clone() else {
            return Err(Error::Architecture(
                "the flow is a transformer, which runs on the CPU and through CUDA only".into(),
            ));
        };
        let block = 3 * field.scale * field.scale;
        let inputs = match field.condition {
            Condition::LowQuality => block + 3,
            Condition::LowQualityAndMean => 2 * block + 3,
        };
        let gpu = restorer.gpu();
        let scale = ("SCALE", field.scale as f64);
        let constants = [scale, ("CHANNELS", inputs as f64)];
        let groups = pack::groups(inputs);
        let gather = gpu.kernel("gather", &gpu.module("gather", GATHER), &constants, (1, groups));
        let step = gpu.kernel("step", &gpu.module("step", STEP), &[scale], (1, 1));
        gpu.check()?;
        Ok(Self {
            field,
            whole,
            weights: weights.clone(),
            gather,
            step,
            inputs,
            ready: Mutex::default(),
            restorer,
        })
    }

    /// The field made ready for the times at which `schedule` asks it, and buffers that may be too small.
    fn prepare(&self, schedule: &Schedule) -> Result<(Vec<f64>, GpuNetwork, Option<Buffers>)> {
        let times = &schedule.times()[..schedule.steps()];
        let left = self
            .ready
            .lock()
            .map(|mut r| core::mem::take(&mut *r))
            .unwrap_or_default();
        if let Some((known, network)) = left.network
            && known == times
        {
            return Ok((known, network, left.buffers));
        }
        let modulations = |layer: usize| -> Result<Vec<Modulation>> {
            let name = self.field.layers[layer].name().map_or("", String::as_str);
            let one = |t: &f64| self.whole.modulation(&self.weights, name, *t);
            times.iter().map(one).collect()
        };
        let (gpu, layers) = (self.restorer.gpu(), &self.field.layers);
        let network = GpuNetwork::new(gpu, layers, self.inputs, &self.weights, modulations)?;
        Ok((times.to_vec(), network, None))
    }
}

/// Makes room for a tile of `pixels` pixels.
fn buffers(gpu: &Gpu, network: &GpuNetwork, inputs: usize, scale: usize, pixels: usize) -> Result<Buffers> {
    let large = (pixels * 3 * scale * scale * 4) as u64;
    let input = (pixels * pack::groups(inputs) * 16) as u64;
    gpu.allows(pixels, large.max(input).max(network.slot_bytes(pixels)))?;
    let written = BufferUsages::STORAGE | BufferUsages::COPY_DST;
    let frame = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
    let read = BufferUsages::MAP_READ | BufferUsages::COPY_DST;
    Ok(Buffers {
        pixels,
        frame: gpu.buffer("frame", Frame::BYTES, frame),
        image: gpu.buffer("image", (pixels * 16) as u64, written),
        mean: gpu.buffer("mean", large, written),
        state: gpu.buffer("state", large, written | BufferUsages::COPY_SRC),
        input: gpu.buffer("input", input, BufferUsages::STORAGE),
        slots: network.slots(gpu, pixels),
        readback: gpu.buffer("readback", large, read),
    })
}

impl FlowDevice for GpuFlow {
    fn scale(&self) -> usize {
        self.field.scale
    }

    fn halo(&self) -> usize {
        self.restorer.halo() + self.whole.receptive_radius()
    }

    async fn mean(&self, low: &Planes) -> Result<Planes> {
        let place = Rect::whole(low.width(), low.height());
        self.restorer.run(low, place, &|_, _| true).await
    }

    async fn integrate(
        &self,
        (low, mean): (&Planes, &Planes),
        x0: &Planes,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<Planes> {
        let (times, network, left) = self.prepare(schedule)?;
        let (width, height, scale) = (low.width(), low.height(), self.field.scale);
        let (gpu, size) = (self.restorer.gpu(), (width, height));
        let b = match left {
            Some(b) if b.pixels >= width * height => b,
            _ => buffers(gpu, &network, self.inputs, scale, width * height)?,
        };
        gpu.write(&b.image, &pack::image(low));
        gpu.write(&b.mean, mean.data());
        gpu.write(&b.state, x0.data());
        let count = x0.data().len();
        for (i, pair) in schedule.times().windows(2).enumerate() {
            let frame = Frame {
                step: i,
                dt: pair[1] - pair[0],
                gain: self.field.skip.map_or(0.0, |s| s.gain(pair[0])),
                ..Frame::new(size)
            };
            frame.write(gpu, &b.frame);
            let last = i + 1 == schedule.steps();
            gpu.submit(
                |pass| {
                    let bound = [&b.frame, &b.image, &b.mean, &b.state, &b.input];
                    pass.dispatch(&self.gather, &bound, size);
                    let features = network.encode(pass, &b.frame, &b.input, &b.slots, size);
                    let bound = [&b.frame, features, &b.mean, &b.state];
                    pass.dispatch(&self.step, &bound, (width * scale, height * scale));
                },
                |encoder| {
                    if last {
                        encoder.copy_buffer_to_buffer(&b.state, 0, &b.readback, 0, (count * 4) as u64);
                    }
                },
            );
            gpu.done().await?;
            if !on_step(i + 1, schedule.steps()) {
                return Err(Error::Cancelled);
            }
        }
        let values = gpu.read(&b.readback, count).await?;
        if let Ok(mut ready) = self.ready.lock() {
            *ready = Ready {
                network: Some((times, network)),
                buffers: Some(b),
            };
        }
        Planes::new(3, height * scale, width * scale, values)
    }
}
