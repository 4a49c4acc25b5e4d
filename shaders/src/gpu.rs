use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use asasr_core::{Error, Result, Size};
use bytemuck::Pod;
use wgpu::{
    Adapter, Backends, BindGroupDescriptor, BindGroupEntry, BindGroupLayout, BindGroupLayoutDescriptor,
    BindGroupLayoutEntry, BindingResource, BindingType, Buffer, BufferBinding, BufferBindingType,
    BufferDescriptor, BufferUsages, CommandEncoder, CommandEncoderDescriptor, ComputePass,
    ComputePassDescriptor, ComputePipeline, ComputePipelineDescriptor, Device, DeviceDescriptor, DeviceType,
    ErrorFilter, Features, Instance, InstanceDescriptor, Limits, MapMode, PipelineCompilationOptions,
    PipelineLayoutDescriptor, PollType, PowerPreference, Queue, RequestAdapterOptions, ShaderModule,
    ShaderModuleDescriptor, ShaderSource, ShaderStages, SubmissionIndex,
};

use crate::pool::{Pool, Pooled};
use crate::tuning::{Precision, Tuning};

/// Work-group sides of kernels that have no say in them.
const GROUP: (usize, usize) = (8, 8);

/// Usage of a buffer that kernels read and write; of one that is also written from here, copied from, or read back.
pub(crate) const STORAGE: BufferUsages = BufferUsages::STORAGE;
pub(crate) const WRITTEN: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST);
pub(crate) const COPIED: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC);
pub(crate) const READ: BufferUsages = BufferUsages::MAP_READ.union(BufferUsages::COPY_DST);
pub(crate) const UNIFORM: BufferUsages = BufferUsages::UNIFORM.union(BufferUsages::COPY_DST);

/// What is known after a thread ended while it held a lock.
pub(crate) fn unknown() -> Error {
    Error::Device("its state is unknown".into())
}

/// Devices opened so far.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// What a device reported first.
#[derive(Debug, Clone)]
enum Fault {
    Lost(String),
    Memory(String),
    Other(String),
}

/// A device, the buffers that lie ready on it, and the first fault it reported.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    pub(crate) tuning: Tuning,
    adapter: String,
    name: String,
    allow_software: bool,
    fault: Arc<Mutex<Option<Fault>>>,
    pool: Pool,
    /// Few enough to look through.
    pipelines: Arc<Mutex<Vec<(String, Pipeline)>>>,
    number: u64,
}

impl Gpu {
    /// Asks for the fastest adapter. One that is software is taken only where `allow_software` says so: a CPU
    /// executor is faster then.
    ///
    /// # Errors
    /// [`Error::Device`] when there is none.
    pub async fn request(allow_software: bool) -> Result<Self> {
        let instance = InstanceDescriptor::new_without_display_handle();
        Self::request_of(instance, Limits::default(), allow_software).await
    }

    async fn request_of(instance: InstanceDescriptor, limits: Limits, allow_software: bool) -> Result<Self> {
        let instance = Instance::new(InstanceDescriptor {
            // GL has no storage buffers worth having; the kernels need compute.
            backends: Backends::PRIMARY,
            ..instance
        });
        let options = RequestAdapterOptions {
            power_preference: PowerPreference::HighPerformance,
            ..Default::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|e| Error::Device(format!("there is no GPU that can be used ({e})")))?;
        Self::open(&adapter, limits, allow_software).await
    }

    async fn open(adapter: &Adapter, limits: Limits, allow_software: bool) -> Result<Self> {
        let info = adapter.get_info();
        let software = info.device_type == DeviceType::Cpu;
        if software && !allow_software {
            return Err(Error::Device(format!("{} computes in software", info.name)));
        }
        let features = adapter.features() & Features::SHADER_F16;
        let (device, queue) = adapter
            .request_device(&DeviceDescriptor {
                required_features: features,
                required_limits: limits,
                ..Default::default()
            })
            .await
            .map_err(|e| Error::Device(format!("{} cannot be opened ({e})", info.name)))?;
        let fault = Arc::new(Mutex::new(None));
        let note = |fault: &Arc<Mutex<Option<Fault>>>| {
            let fault = Arc::clone(fault);
            move |what: Fault| {
                if let Ok(mut slot) = fault.lock() {
                    // A lost device explains all else; of other faults the first explains those after it.
                    if slot.is_none() || matches!(what, Fault::Lost(_)) {
                        *slot = Some(what);
                    }
                }
            }
        };
        let on_error = note(&fault);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            let why = e.to_string();
            on_error(match e {
                wgpu::Error::OutOfMemory { .. } => Fault::Memory(why),
                _ => Fault::Other(why),
            });
        }));
        let on_lost = note(&fault);
        device.set_device_lost_callback(move |reason, why| {
            on_lost(Fault::Lost(format!("it was lost ({reason:?}: {why})")));
        });
        let key = [&info.name, &info.driver, &info.driver_info]
            .map(String::as_str)
            .join("/");
        let name = if info.name.is_empty() {
            "WebGPU".to_owned()
        } else {
            info.name
        };
        Ok(Self {
            device,
            queue,
            tuning: Tuning::default(),
            adapter: format!("{key}/{:04x}:{:04x}", info.vendor, info.device),
            name,
            allow_software,
            fault,
            pool: Pool::default(),
            pipelines: Arc::default(),
            number: OPENED.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The adapter once more, after the device was lost.
    ///
    /// # Errors
    /// As [`Self::request`].
    pub(crate) async fn reopen(&self) -> Result<Self> {
        let mut again = Self::request(self.allow_software).await?;
        // Another adapter may have come in its place, one without half precision.
        let _ = again.set_tuning(self.tuning);
        Ok(again)
    }

    /// What tells the adapter and its driver from others, as far as they say.
    pub fn adapter(&self) -> &str {
        &self.adapter
    }

    /// Tells a device from those opened before and after it.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether kernels of half precision run.
    pub fn has_half(&self) -> bool {
        self.device.features().contains(Features::SHADER_F16)
    }

    /// The adapter's name; browsers often keep it to themselves.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it was lost.
    pub fn is_lost(&self) -> bool {
        self.fault
            .lock()
            .is_ok_and(|f| matches!(*f, Some(Fault::Lost(_))))
    }

    /// Whether nothing should be run on it any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.check().is_err()
    }

    /// Gives the device up, as a driver does that is reset; for tests.
    #[doc(hidden)]
    pub fn lose(&self) {
        self.device.destroy();
    }

    /// # Errors
    /// [`Error::Device`] with the first fault the device reported; [`Error::Exhausted`] when it was lost or had no memory left.
    pub(crate) fn check(&self) -> Result<()> {
        match self.fault.lock() {
            Ok(slot) => match slot.clone() {
                None => Ok(()),
                Some(Fault::Lost(why)) => Err(Error::Exhausted(why)),
                Some(Fault::Memory(why)) => Err(Error::Exhausted(format!("it has no memory left ({why})"))),
                Some(Fault::Other(why)) => Err(Error::Device(why)),
            },
            Err(_) => Err(unknown()),
        }
    }

    /// Takes it for lost.
    fn lost(&self, why: &str) -> Error {
        if let Ok(mut slot) = self.fault.lock() {
            slot.get_or_insert_with(|| Fault::Lost(format!("it was lost ({why})")));
        }
        self.gone(why)
    }

    /// The device's own word for what went wrong, or else that it is gone.
    fn gone(&self, why: &str) -> Error {
        self.check()
            .err()
            .unwrap_or_else(|| Error::Device(why.to_owned()))
    }
}

/// A compiled kernel and how its invocations cover a tile.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    pipeline: ComputePipeline,
    cover: Cover,
}

/// How invocations cover a tile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cover {
    /// Sides of a work-group.
    pub(crate) group: (usize, usize),
    /// Pixels of a row that an invocation computes.
    pub(crate) pixels: usize,
    /// Invocations in z.
    pub(crate) depth: usize,
}

impl Cover {
    /// An invocation for each pixel of `depth` planes.
    pub(crate) fn planes(depth: usize) -> Self {
        Self {
            group: GROUP,
            pixels: 1,
            depth,
        }
    }
}

/// A compiled module that says itself what it is bound to.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pipeline: ComputePipeline,
    layout: BindGroupLayout,
}

impl Gpu {
    /// `main` of a module whose first binding is a uniform buffer, the second is written, and of the others those that `written`
    /// tells. Those of one text are compiled once.
    pub(crate) fn pipeline(
        &self,
        source: &str,
        bindings: usize,
        written: impl Fn(usize) -> bool,
    ) -> Pipeline {
        let known = self.pipelines.lock().ok();
        if let Some((_, found)) = known
            .as_ref()
            .and_then(|k| k.iter().find(|(text, _)| text == source))
        {
            return found.clone();
        }
        let entry = |i: usize| BindGroupLayoutEntry {
            binding: i as u32,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: match i {
                    0 => BufferBindingType::Uniform,
                    _ => BufferBindingType::Storage {
                        read_only: i != 1 && !written(i),
                    },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = (0..bindings).map(entry).collect();
        let layout = self.device.create_bind_group_layout(&BindGroupLayoutDescriptor {
            label: None,
            entries: &entries,
        });
        let whole = self.device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = self.device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: None,
            layout: Some(&whole),
            module: &self.module("kernel", source),
            entry_point: Some("main"),
            compilation_options: PipelineCompilationOptions::default(),
            cache: None,
        });
        let made = Pipeline { pipeline, layout };
        if let Some(mut known) = known {
            known.push((source.to_owned(), made.clone()));
        }
        made
    }

    /// Forgets the pipelines so far, which are not run again.
    pub(crate) fn forget_pipelines(&self) {
        if let Ok(mut known) = self.pipelines.lock() {
            known.clear();
        }
    }

    pub(crate) fn module(&self, label: &str, source: &str) -> ShaderModule {
        self.device.create_shader_module(ShaderModuleDescriptor {
            label: Some(label),
            source: ShaderSource::Wgsl(source.into()),
        })
    }

    /// `main` of a module, with its overridable constants.
    pub(crate) fn kernel(
        &self,
        label: &str,
        module: &ShaderModule,
        constants: &[(&str, f64)],
        cover: Cover,
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
        Kernel { pipeline, cover }
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
    pub(crate) fn upload(&self, label: &str, values: &[impl Pod]) -> Buffer {
        let buffer = self.buffer(label, size_of_val(values) as u64, WRITTEN);
        self.write(&buffer, values);
        buffer
    }

    /// A new buffer with values of a network, in its precision.
    pub(crate) fn upload_in(&self, precision: Precision, label: &str, values: &[f32]) -> Buffer {
        match precision {
            Precision::Full => self.upload(label, values),
            Precision::Half => {
                let halves: Vec<u16> = values.iter().map(|v| half::f16::from_f32(*v).to_bits()).collect();
                self.upload(label, &halves)
            }
        }
    }

    /// A new uniform buffer with these words.
    pub(crate) fn uniform(&self, label: &str, words: &[u32]) -> Buffer {
        let buffer = self.buffer(label, size_of_val(words) as u64, UNIFORM);
        self.write(&buffer, words);
        buffer
    }

    pub(crate) fn write(&self, buffer: &Buffer, values: &[impl Pod]) {
        self.queue.write_buffer(buffer, 0, bytemuck::cast_slice(values));
    }

    /// Buffers of at least so many bytes, from those that lie ready or new ones.
    ///
    /// # Errors
    /// [`Error::Exhausted`] when the device binds none so large or has no memory left.
    pub(crate) async fn take<const N: usize>(&self, wanted: [(u64, BufferUsages); N]) -> Result<[Pooled; N]> {
        let all = self.take_all(&wanted).await?;
        all.try_into()
            .map_err(|_| Error::Device("it gave other buffers".into()))
    }

    /// As [`Self::take`], for any number.
    pub(crate) async fn take_all(&self, wanted: &[(u64, BufferUsages)]) -> Result<Vec<Pooled>> {
        self.check()?;
        let most = self.device.limits().max_storage_buffer_binding_size;
        if let Some((bytes, _)) = wanted.iter().find(|(bytes, _)| *bytes > most) {
            return Err(Error::Exhausted(format!(
                "it takes a buffer of {} MB, the GPU allows {} MB",
                bytes >> 20,
                most >> 20
            )));
        }
        // Pushed, used and popped in one go: other tiles run between two awaits.
        let scope = self.device.push_error_scope(ErrorFilter::OutOfMemory);
        let mut fresh = false;
        let taken = wanted.iter().map(|(bytes, usage)| {
            self.pool.take(*bytes, *usage).unwrap_or_else(|| {
                fresh = true;
                self.pool.keep(self.buffer("pooled", *bytes, *usage))
            })
        });
        let taken: Vec<Pooled> = taken.collect();
        let refused = scope.pop();
        if !fresh {
            return Ok(taken);
        }
        match refused.await {
            None => Ok(taken),
            Some(why) => {
                taken.into_iter().for_each(Pooled::discard);
                self.pool.clear();
                Err(Error::Exhausted(format!("it has no memory left ({why})")))
            }
        }
    }

    /// Encodes kernels by `work`, and then whatever `after` adds, and submits all.
    pub(crate) fn submit(
        &self,
        work: impl FnOnce(&mut Pass<'_>),
        after: impl FnOnce(&mut CommandEncoder),
    ) -> SubmissionIndex {
        let mut encoder = self
            .device
            .create_command_encoder(&CommandEncoderDescriptor::default());
        work(&mut Pass {
            gpu: self,
            pass: encoder.begin_compute_pass(&ComputePassDescriptor::default()),
        });
        after(&mut encoder);
        self.queue.submit([encoder.finish()])
    }

    /// Encodes kernels by `work` and submits them; knows when they, and all that was submitted before, are done.
    pub(crate) fn submit_watched(&self, work: impl FnOnce(&mut Pass<'_>)) -> Watched {
        let last = self.submit(work, |_| {});
        let (send, receive) = futures_channel::oneshot::channel();
        // Nobody listens when the run was dropped.
        self.queue.on_submitted_work_done(move || {
            let _ = send.send(());
        });
        Watched { last, receive }
    }

    /// Waits until that is done; what was submitted later may still be at work.
    ///
    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) async fn done(&self, watched: Watched) -> Result<()> {
        self.poll(watched.last)?;
        watched.receive.await.map_err(|_| self.gone("it went away"))?;
        self.check()
    }

    /// The first `count` values of a buffer that can be mapped, as `last` left them.
    ///
    /// # Errors
    /// [`Error::Device`] with the first fault the device reported.
    pub(crate) async fn read(&self, buffer: Pooled, count: usize, last: SubmissionIndex) -> Result<Vec<f32>> {
        // Mapped it must not lie ready for others, also when nobody waits any more.
        let buffer = buffer.lend();
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
        self.poll(last)?;
        let mapped = receive.await.map_err(|_| self.gone("it went away"))?;
        self.check()?;
        // A buffer that is not mapped was lost with its device, which may be told only later.
        mapped.map_err(|e| self.lost(&e.to_string()))?;
        let view = buffer
            .get_mapped_range(bytes)
            .map_err(|e| self.gone(&e.to_string()))?;
        let values = bytemuck::cast_slice(&view).to_vec();
        drop(view);
        buffer.unmap();
        self.pool.put_back(buffer);
        Ok(values)
    }

    /// Natively this waits for what was submitted; in a browser the event loop calls back.
    fn poll(&self, last: SubmissionIndex) -> Result<()> {
        let polled = self.device.poll(PollType::Wait {
            submission_index: Some(last),
            timeout: None,
        });
        // What a lost device has refused cannot be waited for; then it says why.
        let polled = polled.or_else(|_| self.device.poll(PollType::wait_indefinitely()));
        polled.map(drop).map_err(|e| self.gone(&e.to_string()))
    }
}

/// Submitted work whose end is waited for.
#[derive(Debug)]
pub(crate) struct Watched {
    last: SubmissionIndex,
    receive: futures_channel::oneshot::Receiver<()>,
}

/// Kernels that run one after the other.
pub(crate) struct Pass<'a> {
    gpu: &'a Gpu,
    pass: ComputePass<'a>,
}

impl Pass<'_> {
    /// Runs a pipeline so many work-groups across, down and deep; buffers are bound in their order.
    pub(crate) fn run<'a>(&mut self, pipeline: &Pipeline, bound: &[BufferBinding<'a>], groups: [u32; 3]) {
        let entry = |(i, b): (usize, &BufferBinding<'a>)| BindGroupEntry {
            binding: i as u32,
            resource: BindingResource::Buffer(b.clone()),
        };
        let entries: Vec<BindGroupEntry<'_>> = bound.iter().enumerate().map(entry).collect();
        let group = self.gpu.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        self.pass.set_pipeline(&pipeline.pipeline);
        self.pass.set_bind_group(0, &group, &[]);
        let [x, y, z] = groups;
        self.pass.dispatch_workgroups(x, y, z);
    }

    /// Runs a kernel on a tile; buffers are bound in their order.
    pub(crate) fn dispatch(&mut self, kernel: &Kernel, bound: &[&Buffer], size: Size) {
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
        let Cover { group, pixels, depth } = kernel.cover;
        let (x, y) = (
            size.width.div_ceil(group.0 * pixels),
            size.height.div_ceil(group.1),
        );
        self.pass.dispatch_workgroups(x as u32, y as u32, depth as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GpuExecutor;
    use asasr_core::Planes;
    use asasr_core::graph::{Graph, nets};
    use asasr_core::model::{Architecture, Tensor, Weights};
    use asasr_core::pipeline::{self, Options, OutputScale};

    fn executor(gpu: Gpu) -> GpuExecutor {
        let architecture = Architecture::restorer(4, 8, 1);
        let mut weights = Weights::default();
        for (i, p) in architecture.parameters().into_iter().enumerate() {
            let value = |k: usize| ((k * 7919 + i * 31) % 101) as f32 / 500.0 - 0.1;
            let tensor = Tensor {
                values: (0..p.len()).map(value).collect(),
                shape: p.shape,
            };
            weights.insert(p.name, tensor);
        }
        let graph = nets::restorer(&architecture)
            .and_then(Graph::check)
            .expect("a network");
        GpuExecutor::new(gpu, &graph, &weights).expect("they fit")
    }

    /// An image of 90x70 pixels in tiles of 64.
    fn enlarge(executor: &GpuExecutor) -> Result<Planes> {
        let size = (90, 70);
        let values = (0..3 * 90 * 70)
            .map(|i| ((i * 7919) % 256) as f32 / 255.0)
            .collect();
        let image = Planes::new(3, size.1, size.0, values)?;
        let options = Options::new(OutputScale::new(4)?, 64);
        pollster::block_on(pipeline::whole(executor, &image, &options))
    }

    /// Buffers of 200 kB hold a tile of about 32 pixels a side: tiles are halved until they fit.
    #[test]
    fn tiles_follow_the_adapters_limits() {
        let whole = enlarge(&executor(
            pollster::block_on(Gpu::request(true)).expect("an adapter"),
        ));
        let limits = Limits {
            max_storage_buffer_binding_size: 200 << 10,
            ..Limits::default()
        };
        let instance = InstanceDescriptor::new_without_display_handle();
        let small = pollster::block_on(Gpu::request_of(instance, limits, true)).expect("an adapter");
        let (whole, parts) = (whole.expect("runs"), enlarge(&executor(small)).expect("runs"));
        for (a, b) in whole.data().iter().zip(parts.data()) {
            assert!((a - b).abs() < 1e-5);
        }
    }

    /// A driver that has no memory for a buffer is believed, and named: this test once more, with too little of it.
    #[cfg(target_os = "linux")]
    #[test]
    fn exhausted_memory_is_named() {
        const CHILD: &str = "ASASR_LITTLE_MEMORY";
        if std::env::var_os(CHILD).is_some() {
            let gpu = pollster::block_on(Gpu::request(true)).expect("an adapter");
            let wanted = [(128 << 20, BufferUsages::STORAGE); 64];
            let why = pollster::block_on(gpu.take(wanted)).expect_err("8 GB do not fit into 6");
            assert!(matches!(why, Error::Exhausted(_)), "{why}");
            assert!(why.to_string().contains("no memory left"), "{why}");
            // Nothing broken lies ready, and the device is as good as before.
            assert!(enlarge(&executor(gpu)).is_ok());
            return;
        }
        let own = std::env::current_exe().expect("runs");
        let command = "ulimit -v 6000000; exec \"$0\" --exact gpu::tests::exhausted_memory_is_named";
        let child = std::process::Command::new("sh")
            .args(["-c", command])
            .arg(own)
            .env(CHILD, "1")
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    fn buffers_are_used_again() {
        let gpu = pollster::block_on(Gpu::request(true)).expect("an adapter");
        let take = |bytes| pollster::block_on(gpu.take([(bytes, BufferUsages::STORAGE)])).expect("room");
        let [a] = take(4096);
        let first = (*a).clone();
        drop(a);
        let [b] = take(1024);
        assert_eq!(*b, first, "a larger one serves");
        let [c] = take(1024);
        assert_ne!(*c, first);
        c.discard();
        drop(b);
        let [d] = take(4096);
        assert_eq!(*d, first);
    }
}
