use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use asasr_core::{Error, Result};
use wgpu::{
    Adapter, Backends, BindGroupDescriptor, BindGroupEntry, Buffer, BufferDescriptor, BufferUsages,
    CommandEncoder, CommandEncoderDescriptor, ComputePass, ComputePassDescriptor, ComputePipeline,
    ComputePipelineDescriptor, Device, DeviceDescriptor, DeviceType, Instance, InstanceDescriptor, MapMode,
    PipelineCompilationOptions, PollType, PowerPreference, Queue, RequestAdapterOptions, ShaderModule,
    ShaderModuleDescriptor, ShaderSource,
};

/// Work-group side of every kernel in x and y.
const GROUP: usize = 8;

/// A device and the first fault it reported.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    name: String,
    software: bool,
    fault: Arc<Mutex<Option<String>>>,
}

impl Gpu {
    /// Asks for the fastest adapter. One that is software is taken only where `allow_software` says so: a CPU
    /// executor is faster then.
    ///
    /// # Errors
    /// [`Error::Device`] when there is none.
    pub async fn request(allow_software: bool) -> Result<Self> {
        let instance = Instance::new(InstanceDescriptor {
            // GL has no storage buffers worth having; the kernels need compute.
            backends: Backends::PRIMARY,
            ..InstanceDescriptor::new_without_display_handle()
        });
        let options = RequestAdapterOptions {
            power_preference: PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|e| Error::Device(format!("there is no GPU that can be used ({e})")))?;
        Self::open(&adapter, allow_software).await
    }

    async fn open(adapter: &Adapter, allow_software: bool) -> Result<Self> {
        let info = adapter.get_info();
        let software = info.device_type == DeviceType::Cpu;
        if software && !allow_software {
            return Err(Error::Device(format!("{} computes in software", info.name)));
        }
        let (device, queue) = adapter
            .request_device(&DeviceDescriptor::default())
            .await
            .map_err(|e| Error::Device(format!("{} cannot be opened ({e})", info.name)))?;
        let fault = Arc::new(Mutex::new(None));
        let note = |fault: &Arc<Mutex<Option<String>>>| {
            let fault = Arc::clone(fault);
            move |why: String| {
                if let Ok(mut slot) = fault.lock() {
                    slot.get_or_insert(why);
                }
            }
        };
        let on_error = note(&fault);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| on_error(e.to_string())));
        let on_lost = note(&fault);
        device
            .set_device_lost_callback(move |reason, why| on_lost(format!("it was lost ({reason:?}: {why})")));
        let name = if info.name.is_empty() {
            "WebGPU".to_owned()
        } else {
            info.name
        };
        Ok(Self {
            device,
            queue,
            name,
            software,
            fault,
        })
    }

    /// The adapter's name; browsers often keep it to themselves.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a program rather than a chip.
    pub fn is_software(&self) -> bool {
        self.software
    }

    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) fn check(&self) -> Result<()> {
        match self.fault.lock() {
            Ok(slot) => slot.clone().map_or(Ok(()), |why| Err(Error::Device(why))),
            Err(_) => Err(Error::Device("its state is unknown".into())),
        }
    }
}

/// A compiled kernel and how its invocations cover a tile.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pipeline: ComputePipeline,
    /// Pixels of a row that an invocation computes.
    pixels: usize,
    /// Invocations in z.
    depth: usize,
}

impl Gpu {
    pub(crate) fn module(&self, label: &str, source: &str) -> ShaderModule {
        self.device.create_shader_module(ShaderModuleDescriptor {
            label: Some(label),
            source: ShaderSource::Wgsl(source.into()),
        })
    }

    /// `main` of a module, with its overridable constants. An invocation computes so many pixels of a row, and there are
    /// so many for each of these.
    pub(crate) fn kernel(
        &self,
        label: &str,
        module: &ShaderModule,
        constants: &[(&str, f64)],
        (pixels, depth): (usize, usize),
    ) -> Kernel {
        let pipeline = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(label),
            layout: None,
            module,
            entry_point: Some("main"),
            compilation_options: PipelineCompilationOptions {
                constants,
                ..Default::default()
            },
            cache: None,
        });
        Kernel {
            pipeline,
            pixels,
            depth,
        }
    }

    pub(crate) fn buffer(&self, label: &str, size: u64, usage: BufferUsages) -> Buffer {
        self.device.create_buffer(&BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// A new buffer with these values.
    pub(crate) fn upload(&self, label: &str, values: &[f32]) -> Buffer {
        let usage = BufferUsages::STORAGE | BufferUsages::COPY_DST;
        let buffer = self.buffer(label, (values.len() * 4) as u64, usage);
        self.write(&buffer, values);
        buffer
    }

    pub(crate) fn write(&self, buffer: &Buffer, values: &[f32]) {
        self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
    }

    /// Refuses a tile of `pixels` pixels whose largest buffer, of `bytes` bytes, the device does not bind.
    ///
    /// # Errors
    /// [`Error::Size`], with the device's limit.
    pub(crate) fn allows(&self, pixels: usize, bytes: u64) -> Result<()> {
        let most = self.device.limits().max_storage_buffer_binding_size;
        if bytes <= most {
            return Ok(());
        }
        Err(Error::Size(format!(
            "a tile of {pixels} pixels needs a buffer of {} MB, the GPU allows {} MB: choose smaller tiles",
            bytes >> 20,
            most >> 20
        )))
    }

    /// Encodes kernels by `work`, and then whatever `after` adds, and submits all.
    pub(crate) fn submit(&self, work: impl FnOnce(&mut Pass<'_>), after: impl FnOnce(&mut CommandEncoder)) {
        let mut encoder = self
            .device
            .create_command_encoder(&CommandEncoderDescriptor::default());
        work(&mut Pass {
            gpu: self,
            pass: encoder.begin_compute_pass(&ComputePassDescriptor::default()),
        });
        after(&mut encoder);
        self.queue.submit([encoder.finish()]);
    }

    /// Waits until all that was submitted is done.
    ///
    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) async fn done(&self) -> Result<()> {
        let (send, receive) = futures_channel::oneshot::channel();
        // Nobody listens when the run was dropped.
        self.queue.on_submitted_work_done(move || {
            let _ = send.send(());
        });
        self.poll()?;
        receive.await.map_err(|_| Error::Device("it went away".into()))?;
        self.check()
    }

    /// The first `count` values of a buffer that can be mapped.
    ///
    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) async fn read(&self, buffer: &Buffer, count: usize) -> Result<Vec<f32>> {
        let bytes = 0..(count * 4) as u64;
        let (send, receive) = futures_channel::oneshot::channel();
        buffer.map_async(MapMode::Read, bytes.clone(), move |mapped| {
            let _ = send.send(mapped);
        });
        // Other tiles are submitted before this thread waits.
        let mut asked = false;
        poll_fn(|context| {
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.poll()?;
        let mapped = receive.await.map_err(|_| Error::Device("it went away".into()))?;
        self.check()?;
        mapped.map_err(|e| Error::Device(e.to_string()))?;
        let view = buffer
            .get_mapped_range(bytes)
            .map_err(|e| Error::Device(e.to_string()))?;
        let values = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        buffer.unmap();
        Ok(values)
    }

    /// Natively this waits; in a browser the event loop calls back.
    fn poll(&self) -> Result<()> {
        let polled = self.device.poll(PollType::wait_indefinitely());
        polled.map(drop).map_err(|e| Error::Device(e.to_string()))
    }
}

/// Kernels that run one after the other.
pub(crate) struct Pass<'a> {
    gpu: &'a Gpu,
    pass: ComputePass<'a>,
}

impl Pass<'_> {
    /// Runs a kernel on a tile of `width` by `height` pixels; buffers are bound in their order.
    pub(crate) fn dispatch(&mut self, kernel: &Kernel, bound: &[&Buffer], (width, height): (usize, usize)) {
        let entries: Vec<BindGroupEntry<'_>> = bound
            .iter()
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
        self.pass.set_pipeline(&kernel.pipeline);
        self.pass.set_bind_group(0, &group, &[]);
        let x = width.div_ceil(GROUP * kernel.pixels);
        let y = height.div_ceil(GROUP);
        self.pass
            .dispatch_workgroups(x as u32, y as u32, kernel.depth as u32);
    }
}
