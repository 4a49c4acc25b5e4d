use asasr_core::{
    Error, Executor, Planes, Rect, Result,
    model::{Activation, Architecture, Layer, Skip, Weights},
};
use wgpu::{
    BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages, CommandEncoder,
    CommandEncoderDescriptor, ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, MapMode,
    PipelineCompilationOptions, PollType, ShaderModule, ShaderModuleDescriptor, ShaderSource,
};

use crate::gpu::Gpu;
use crate::pack;
use crate::plan::{Place, Plan};

const CONV_SHARED: &str = include_str!("../shader/conv_shared.wgsl");
const CONV3X3: &str = include_str!("../shader/conv3x3.wgsl");
const CONV1X1: &str = include_str!("../shader/conv1x1.wgsl");
const ADD: &str = include_str!("../shader/add.wgsl");
const FINISH: &str = include_str!("../shader/finish.wgsl");

/// Work-group side of every kernel in x and y.
const GROUP: usize = 8;

/// A layer ready to run.
#[derive(Debug)]
struct Kernel {
    pipeline: ComputePipeline,
    /// Weights and parameters of a convolution.
    constants: Vec<Buffer>,
    /// Invocations for an image of one pixel: pixels a thread in x, and threads in z.
    pixels: usize,
    depth: usize,
}

/// Buffers for tiles of up to `pixels` pixels.
#[derive(Debug)]
struct Buffers {
    pixels: usize,
    size: Buffer,
    image: Buffer,
    slots: Vec<Buffer>,
    output: Buffer,
    readback: Buffer,
}

/// Runs a network with our kernels.
#[derive(Debug)]
pub struct GpuExecutor {
    gpu: Gpu,
    scale: usize,
    halo: usize,
    /// Widest feature map in groups of four channels.
    widest: usize,
    plan: Plan,
    kernels: Vec<Kernel>,
    finish: Kernel,
    buffers: Option<Buffers>,
}

impl GpuExecutor {
    /// Uploads `weights` and builds a pipeline for every layer.
    ///
    /// # Errors
    /// [`Error::Architecture`] or [`Error::Weights`] when the two do not fit; [`Error::Device`] when the device refuses.
    pub fn new(gpu: Gpu, architecture: &Architecture, weights: &Weights) -> Result<Self> {
        architecture.validate()?;
        weights.check(&architecture.parameters())?;
        let module = |label: &str, source: String| {
            gpu.device.create_shader_module(ShaderModuleDescriptor {
                label: Some(label),
                source: ShaderSource::Wgsl(source.into()),
            })
        };
        let conv3x3 = module("conv3x3", format!("{CONV_SHARED}{CONV3X3}"));
        let conv1x1 = module("conv1x1", format!("{CONV_SHARED}{CONV1X1}"));
        let add = module("add", ADD.into());
        let finish = module("finish", FINISH.into());

        let mut widest = 1;
        let mut kernels = Vec::with_capacity(architecture.layers.len());
        for layer in &architecture.layers {
            kernels.push(match layer {
                Layer::Conv {
                    name,
                    inputs,
                    outputs,
                    kernel,
                    activation,
                } => {
                    widest = widest.max(pack::groups(*outputs));
                    let get = |suffix: &str| {
                        weights
                            .get(&format!("{name}.{suffix}"))
                            .map(|t| t.values.as_slice())
                    };
                    let (kind, slope, learned) = match activation {
                        Activation::None => (0.0, 0.0, None),
                        Activation::LeakyRelu { slope } => (1.0, f64::from(*slope), None),
                        Activation::Prelu => (2.0, 0.0, Some(get("slope")?)),
                    };
                    let constants = [
                        ("GROUPS_IN", pack::groups(*inputs) as f64),
                        ("GROUPS_OUT", pack::groups(*outputs) as f64),
                        ("ACTIVATION", kind),
                        ("SLOPE", slope),
                    ];
                    let module = if *kernel == 3 { &conv3x3 } else { &conv1x1 };
                    let blocks = pack::weights(get("weight")?, *outputs, *inputs, *kernel);
                    let parameters = pack::parameters(get("bias")?, learned);
                    Kernel {
                        pipeline: pipeline(&gpu, name, module, &constants),
                        constants: vec![upload(&gpu, name, &blocks), upload(&gpu, name, &parameters)],
                        pixels: 4,
                        depth: pack::groups(*outputs).div_ceil(if *kernel == 3 { 2 } else { 1 }),
                    }
                }
                Layer::Film { name, .. } => {
                    return Err(Error::Architecture(format!(
                        "layer {name} is modulated by a time, which these kernels do not run"
                    )));
                }
                Layer::Add { .. } => {
                    let depth = kernels_width(architecture, kernels.len());
                    Kernel {
                        pipeline: pipeline(&gpu, "add", &add, &[("GROUPS", depth as f64)]),
                        constants: Vec::new(),
                        pixels: 1,
                        depth,
                    }
                }
            });
        }
        let bicubic = f64::from(u8::from(architecture.skip == Skip::Bicubic));
        let constants = [("SCALE", architecture.scale as f64), ("BICUBIC", bicubic)];
        let finish = Kernel {
            pipeline: pipeline(&gpu, "finish", &finish, &constants),
            constants: Vec::new(),
            pixels: 1,
            depth: 1,
        };
        gpu.check()?;
        Ok(Self {
            scale: architecture.scale,
            halo: architecture.receptive_radius(),
            widest,
            plan: Plan::new(architecture),
            kernels,
            finish,
            buffers: None,
            gpu,
        })
    }

    /// The device it runs on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Makes room for a tile of `pixels` pixels; buffers grow and are kept.
    fn reserve(&mut self, pixels: usize) -> Result<()> {
        if self.buffers.as_ref().is_some_and(|b| b.pixels >= pixels) {
            return Ok(());
        }
        self.buffers = None;
        let most = self.gpu.device.limits().max_storage_buffer_binding_size;
        let output = (pixels * 3 * self.scale * self.scale * 4) as u64;
        let features = (pixels * self.widest * 16) as u64;
        if output.max(features) > most {
            return Err(Error::Size(format!(
                "a tile of {pixels} pixels needs a buffer of {} MB, the GPU allows {} MB: choose smaller tiles",
                output.max(features) >> 20,
                most >> 20
            )));
        }
        let buffer = |label: &str, size: u64, usage: BufferUsages| {
            self.gpu.device.create_buffer(&BufferDescriptor {
                label: Some(label),
                size,
                usage,
                mapped_at_creation: false,
            })
        };
        let storage = BufferUsages::STORAGE;
        self.buffers = Some(Buffers {
            pixels,
            size: buffer("size", 16, BufferUsages::UNIFORM | BufferUsages::COPY_DST),
            image: buffer("image", (pixels * 16) as u64, storage | BufferUsages::COPY_DST),
            slots: (0..self.plan.slots)
                .map(|_| buffer("features", features, storage))
                .collect(),
            output: buffer("output", output, storage | BufferUsages::COPY_SRC),
            readback: buffer(
                "readback",
                output,
                BufferUsages::MAP_READ | BufferUsages::COPY_DST,
            ),
        });
        Ok(())
    }

    fn encode(&self, encoder: &mut CommandEncoder, buffers: &Buffers, width: usize, height: usize) {
        let at = |place: Place| match place {
            Place::Image => &buffers.image,
            Place::Slot(s) => &buffers.slots[s],
        };
        let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
        let mut dispatch = |kernel: &Kernel, bound: &[&Buffer], (w, h): (usize, usize)| {
            let entries: Vec<BindGroupEntry<'_>> = [&buffers.size]
                .into_iter()
                .chain(bound.iter().copied())
                .enumerate()
                .map(|(i, b)| BindGroupEntry {
                    binding: i as u32,
                    resource: b.as_entire_binding(),
                })
                .collect();
            let group = self.gpu.device.create_bind_group(&BindGroupDescriptor {
                label: None,
                layout: &kernel.pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
            pass.set_pipeline(&kernel.pipeline);
            pass.set_bind_group(0, &group, &[]);
            let x = w.div_ceil(GROUP * kernel.pixels);
            pass.dispatch_workgroups(x as u32, h.div_ceil(GROUP) as u32, kernel.depth as u32);
        };
        for (kernel, step) in self.kernels.iter().zip(&self.plan.steps) {
            let mut bound = vec![at(step.input)];
            bound.extend(step.other.map(at));
            bound.extend(&kernel.constants);
            bound.push(&buffers.slots[step.output]);
            dispatch(kernel, &bound, (width, height));
        }
        let features = self
            .plan
            .steps
            .last()
            .map_or(&buffers.image, |s| &buffers.slots[s.output]);
        let size = (width * self.scale, height * self.scale);
        dispatch(&self.finish, &[features, &buffers.image, &buffers.output], size);
    }
}

impl Executor for GpuExecutor {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.halo
    }

    async fn run(&mut self, tile: &Planes, _place: Rect) -> Result<Planes> {
        let (width, height, scale) = (tile.width(), tile.height(), self.scale);
        self.reserve(width * height)?;
        let Some(buffers) = &self.buffers else {
            return Err(Error::Device("it has no memory left".into()));
        };
        let size = [width as u32, height as u32, 0, 0];
        self.gpu
            .queue
            .write_buffer(&buffers.size, 0, bytemuck::cast_slice(&size));
        self.gpu
            .queue
            .write_buffer(&buffers.image, 0, bytemuck::cast_slice(&pack::image(tile)));
        let mut encoder = self
            .gpu
            .device
            .create_command_encoder(&CommandEncoderDescriptor::default());
        self.encode(&mut encoder, buffers, width, height);
        let bytes = (width * height * 3 * scale * scale * 4) as u64;
        encoder.copy_buffer_to_buffer(&buffers.output, 0, &buffers.readback, 0, bytes);
        self.gpu.queue.submit([encoder.finish()]);

        let (send, receive) = futures_channel::oneshot::channel();
        buffers
            .readback
            .map_async(MapMode::Read, 0..bytes, move |mapped| {
                // Nobody listens when the run was dropped.
                let _ = send.send(mapped);
            });
        // Natively this waits; in a browser the event loop calls back.
        let polled = self.gpu.device.poll(PollType::wait_indefinitely());
        polled.map_err(|e| Error::Device(e.to_string()))?;
        let mapped = receive.await.map_err(|_| Error::Device("it went away".into()))?;
        self.gpu.check()?;
        mapped.map_err(|e| Error::Device(e.to_string()))?;
        let view = buffers
            .readback
            .get_mapped_range(0..bytes)
            .map_err(|e| Error::Device(e.to_string()))?;
        let values = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        buffers.readback.unmap();
        Planes::new(3, height * scale, width * scale, values)
    }
}

/// Channels that an addition as layer `index` adds, in groups of four.
fn kernels_width(architecture: &Architecture, index: usize) -> usize {
    let before = architecture.layers[..index].iter().rev().find_map(|l| match l {
        Layer::Conv { outputs, .. } => Some(*outputs),
        Layer::Film { .. } | Layer::Add { .. } => None,
    });
    pack::groups(before.unwrap_or(3))
}

fn pipeline(gpu: &Gpu, label: &str, module: &ShaderModule, constants: &[(&str, f64)]) -> ComputePipeline {
    gpu.device.create_compute_pipeline(&ComputePipelineDescriptor {
        label: Some(label),
        layout: None,
        module,
        entry_point: Some("main"),
        compilation_options: PipelineCompilationOptions {
            constants,
            ..Default::default()
        },
        cache: None,
    })
}

fn upload(gpu: &Gpu, label: &str, values: &[f32]) -> Buffer {
    let buffer = gpu.device.create_buffer(&BufferDescriptor {
        label: Some(label),
        size: (values.len() * 4) as u64,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(values));
    buffer
}
