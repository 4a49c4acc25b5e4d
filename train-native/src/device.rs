use asasr_core::{
    Executor, Planes, Rect,
    flow::{Schedule, Solver},
    model::{Architecture, Weights},
    nn::{BurnExecutor, FlowExecutor, Network, Parameters, cast},
};
use burn::tensor::{DType, Device, FloatDType};
use clap::ValueEnum;

use crate::cli::{Draw, Mode};
use crate::error::{Error, Result};
use crate::model::Model;

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum DeviceChoice {
    /// The first GPU this build can use, else the CPU
    #[default]
    Auto,
    /// The processor
    Cpu,
    /// Any GPU through wgpu (Vulkan, Metal, Direct3D 12)
    Wgpu,
    /// An NVIDIA GPU
    Cuda,
}

/// The type that networks compute in while they learn; parameters, averages and losses are always `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Precision {
    /// 32 bits
    #[default]
    F32,
    /// 16 bits with the range of 32
    Bf16,
    /// 16 bits of IEEE half precision; gradients are scaled so that small ones survive
    F16,
}

impl Precision {
    /// What a loss is multiplied by, and its gradient divided by.
    pub(crate) fn loss_scale(self) -> f32 {
        if self == Self::F16 { 1024.0 } else { 1.0 }
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }

    /// Parameters as a network computes with them.
    pub(crate) fn of(self, parameters: &Parameters) -> Parameters {
        match self {
            Self::F32 => parameters.clone(),
            Self::Bf16 => cast(parameters, FloatDType::BF16),
            Self::F16 => cast(parameters, FloatDType::F16),
        }
    }

    /// Refuses what a device cannot compute in.
    pub(crate) fn check(self, device: &Device) -> Result<()> {
        let dtype = match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        };
        if device.supports_dtype(dtype) {
            return Ok(());
        }
        Err(Error::new(format!(
            "this device does not compute in {}: choose another --precision",
            self.name()
        )))
    }
}

/// `count` burn devices for training: so many GPUs, or workers that share the processor.
pub(crate) fn burn_devices(choice: DeviceChoice, count: usize) -> Result<Vec<Device>> {
    let first = burn_device(choice)?;
    if count == 1 {
        return Ok(vec![first]);
    }
    if first == Device::flex() {
        return Ok(vec![first; count]);
    }
    several_gpus(choice, count)
}

#[cfg(feature = "cuda")]
fn several_gpus(choice: DeviceChoice, count: usize) -> Result<Vec<Device>> {
    if choice == DeviceChoice::Wgpu {
        return Err(Error::new("--devices is for --device cuda or cpu"));
    }
    let mut all = Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec();
    if all.len() < count {
        return Err(Error::new(format!(
            "--devices {count}, but this machine has {} NVIDIA GPUs",
            all.len()
        )));
    }
    all.truncate(count);
    Ok(all)
}

#[cfg(not(feature = "cuda"))]
fn several_gpus(_: DeviceChoice, _: usize) -> Result<Vec<Device>> {
    Err(Error::new("--devices is for --device cuda or cpu"))
}

/// A burn device for training. `auto` is CUDA, else wgpu, where this build has it and the machine a GPU.
pub(crate) fn burn_device(choice: DeviceChoice) -> Result<Device> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::flex()),
        DeviceChoice::Auto => Ok(cuda().or_else(|_| burn_wgpu()).unwrap_or_else(|_| Device::flex())),
        DeviceChoice::Cuda => cuda(),
        DeviceChoice::Wgpu => burn_wgpu(),
    }
}

#[cfg(feature = "train-wgpu")]
fn burn_wgpu() -> Result<Device> {
    let found = Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec();
    found
        .into_iter()
        .next()
        .ok_or_else(|| Error::new("wgpu finds no GPU on this machine: choose --device cpu"))
}

#[cfg(not(feature = "train-wgpu"))]
fn burn_wgpu() -> Result<Device> {
    Err(Error::new(
        "this build does not train through wgpu: build with --features train-wgpu, or choose --device cpu",
    ))
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    // burn panics where the driver is missing; the driver's device file tells first.
    if cfg!(target_os = "linux") && !std::path::Path::new("/dev/nvidiactl").exists() {
        return Err(Error::new(
            "no NVIDIA driver is running on this machine: choose --device cpu",
        ));
    }
    Ok(Device::cuda(0))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    Err(Error::new(
        "this build has no CUDA: build with --features cuda, or choose --device cpu",
    ))
}

/// Makes executors of a model: one for all images in the mode `instant`; a new one for each image where a flow draws the
/// image's own noise.
pub(crate) struct ExecutorMaker {
    model: Model,
    mode: Mode,
    seed: u64,
    fidelity: f64,
    /// Where flows run, and their restorer there.
    flow: Option<(Device, Network)>,
    executor: Option<AnyExecutor>,
    name: String,
}

impl ExecutorMaker {
    pub(crate) fn new(model: Model, choice: DeviceChoice, mode: Mode, draw: Draw) -> Result<Self> {
        let Draw { seed, fidelity } = draw;
        if mode == Mode::Instant {
            let (executor, name) = AnyExecutor::new(choice, &model.manifest.architecture, &model.restorer)?;
            return Ok(Self {
                model,
                mode,
                seed,
                fidelity,
                flow: None,
                executor: Some(executor),
                name,
            });
        }
        if model.flow.is_none() {
            return Err(Error::new(format!(
                "the model {} has no flow: choose --mode instant, or --weights with a model that has one",
                model.manifest.id
            )));
        }
        let (device, name) = match choice {
            DeviceChoice::Cpu => (Device::flex(), "CPU"),
            DeviceChoice::Cuda => (cuda()?, "CUDA"),
            DeviceChoice::Auto => cuda().map_or_else(|_| (Device::flex(), "CPU"), |d| (d, "CUDA")),
            DeviceChoice::Wgpu => {
                return Err(Error::new(
                    "flows run on the CPU or through CUDA: choose --device cpu or cuda",
                ));
            }
        };
        let restorer = Network::new(&model.manifest.architecture, &model.restorer, &device)?;
        Ok(Self {
            model,
            mode,
            seed,
            fidelity,
            flow: Some((device, restorer)),
            executor: None,
            name: name.to_owned(),
        })
    }

    /// The model and where it runs.
    pub(crate) fn describe(&self) -> String {
        format!("{} on {}", self.model.manifest.id, self.name)
    }

    /// Where it runs.
    pub(crate) fn device(&self) -> &str {
        &self.name
    }

    /// The executor for an image of that many input pixels.
    pub(crate) fn for_image(&mut self, width: usize, height: usize) -> Result<&mut AnyExecutor> {
        let Model {
            manifest, flow, fast, ..
        } = &self.model;
        let quality = manifest.flow.as_ref().zip(flow.as_ref());
        // A model without a distilled flow takes its flow in four steps.
        let chosen = match self.mode {
            Mode::Instant => None,
            Mode::Fast => {
                let distilled = manifest.fast.as_ref().zip(fast.as_ref());
                distilled
                    .map(|part| (part, part.0.steps))
                    .or(quality.map(|part| (part, 4)))
            }
            Mode::Quality => quality.map(|part| (part, part.0.steps)),
        };
        if let (Some((device, restorer)), Some(((part, weights), steps))) = (&self.flow, chosen) {
            let schedule = Schedule::uniform(steps)?;
            let executor = FlowExecutor::new(
                restorer.clone(),
                part,
                weights,
                (width, height),
                self.seed,
                (schedule, Solver::Euler),
                device,
            )?;
            self.executor = Some(AnyExecutor::Flow(Box::new(
                executor.with_fidelity(self.fidelity as f32),
            )));
        }
        self.executor
            .as_mut()
            .ok_or_else(|| Error::new("the model has no executor"))
    }
}

/// A network on the device of the user's choice.
pub(crate) enum AnyExecutor {
    Burn(BurnExecutor),
    Flow(Box<FlowExecutor>),
    #[cfg(feature = "wgpu")]
    Wgpu(Box<asasr_shaders::GpuExecutor>),
}

impl AnyExecutor {
    /// Loads a network and says where it runs.
    pub(crate) fn new(
        choice: DeviceChoice,
        architecture: &Architecture,
        weights: &Weights,
    ) -> Result<(Self, String)> {
        let burn = |device: Device, name: &str| -> Result<(Self, String)> {
            let network = Network::new(architecture, weights, &device)?;
            Ok((Self::Burn(BurnExecutor::new(network)), name.to_owned()))
        };
        match choice {
            DeviceChoice::Cpu => burn(Device::flex(), "CPU"),
            DeviceChoice::Cuda => burn(cuda()?, "CUDA"),
            DeviceChoice::Wgpu => wgpu(architecture, weights, true),
            DeviceChoice::Auto => wgpu(architecture, weights, false)
                .or_else(|_| burn(cuda()?, "CUDA"))
                .or_else(|_| burn(Device::flex(), "CPU")),
        }
    }
}

#[cfg(feature = "wgpu")]
fn wgpu(architecture: &Architecture, weights: &Weights, software: bool) -> Result<(AnyExecutor, String)> {
    let gpu = pollster::block_on(asasr_shaders::Gpu::request(software))?;
    let name = format!("wgpu: {}", gpu.name());
    let executor = asasr_shaders::GpuExecutor::new(gpu, architecture, weights)?;
    Ok((AnyExecutor::Wgpu(Box::new(executor)), name))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: &Architecture, _: &Weights, _: bool) -> Result<(AnyExecutor, String)> {
    Err(Error::new(
        "this build has no wgpu: build with --features wgpu, or choose --device cpu",
    ))
}

impl Executor for AnyExecutor {
    fn scale(&self) -> usize {
        match self {
            Self::Burn(e) => e.scale(),
            Self::Flow(e) => e.scale(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(e) => e.scale(),
        }
    }

    fn halo(&self) -> usize {
        match self {
            Self::Burn(e) => e.halo(),
            Self::Flow(e) => e.halo(),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(e) => e.halo(),
        }
    }

    async fn run(&mut self, tile: &Planes, place: Rect) -> asasr_core::Result<Planes> {
        match self {
            Self::Burn(e) => e.run(tile, place).await,
            Self::Flow(e) => e.run(tile, place).await,
            #[cfg(feature = "wgpu")]
            Self::Wgpu(e) => e.run(tile, place).await,
        }
    }
}
