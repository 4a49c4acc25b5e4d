use std::sync::Arc;

#[cfg(feature = "wgpu")]
use asasr_core::graph::nets;
use asasr_core::{
    Beside, Executor, OnStep, Part, Planes, Rect, Size,
    exec::{CpuExecutor, CpuFlow},
    flow::{Drawing, Sampler, Sampling},
    model::format1::{FlowPart, Manifest},
    model::{Architecture, NetworkPart, Weights},
    nn::{BurnExecutor, BurnFlow, GraphExecutor, GraphNetwork, Network, OneStepFlow, Parameters, cast},
};
use burn::tensor::{DType, Device, FloatDType};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::cli::{Draw, Mode};
use crate::error::{Error, Result};
use crate::model::{self, Model, Opened};
use crate::package::Graphs;

/// Where networks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    id: String,
    name: String,
    kind: Kind,
}

enum Kind {
    Restorer(AnyExecutor),
    Flow(Box<Flow>),
}

struct Flow {
    place: FlowPlace,
    sampling: Sampling,
    drawing: Drawing,
    /// That of the image at work.
    executor: Option<AnyExecutor>,
}

/// Where a flow runs.
enum FlowPlace {
    Burn(Arc<BurnFlow>),
    Cpu(Arc<CpuFlow>),
    Graph(Arc<OneStepFlow>),
    #[cfg(feature = "wgpu")]
    Wgpu(Arc<asasr_shaders::GpuFlow>),
}

/// A network with its weights.
type Loaded<'a> = (&'a NetworkPart, &'a Weights);

/// Networks of a model on a device.
enum Place {
    Restorer(AnyExecutor),
    Flow(FlowPlace, Sampling),
}

impl Place {
    fn cpu((restorer, weights): Loaded<'_>, drawn: Option<Loaded<'_>>) -> Result<Self> {
        let restorer = CpuExecutor::new(&restorer.graph, weights)?;
        let Some((part, weights)) = drawn else {
            return Ok(Self::Restorer(AnyExecutor::Cpu(restorer)));
        };
        let flow = CpuFlow::new(restorer, &part.graph, weights)?;
        Ok(Self::Flow(FlowPlace::Cpu(Arc::new(flow)), sampling(part)?))
    }

    fn burn(restorer: Loaded<'_>, drawn: Option<Loaded<'_>>, device: &Device) -> Result<Self> {
        let load = |(part, weights): Loaded<'_>| GraphNetwork::new(&part.graph, weights, device);
        let restorer = load(restorer)?;
        let Some(drawn) = drawn else {
            let executor = Box::new(GraphExecutor::new(restorer)?);
            return Ok(Self::Restorer(AnyExecutor::Graph(executor)));
        };
        let flow = OneStepFlow::new(restorer, load(drawn)?)?;
        Ok(Self::Flow(FlowPlace::Graph(Arc::new(flow)), sampling(drawn.0)?))
    }

    #[cfg(feature = "wgpu")]
    fn wgpu(
        (restorer, weights): Loaded<'_>,
        drawn: Option<Loaded<'_>>,
        software: bool,
    ) -> Result<(Self, String)> {
        let gpu = crate::gpu::open(software)?;
        let name = format!("wgpu: {}", gpu.name());
        let restorer = asasr_shaders::GpuExecutor::new(gpu, &restorer.graph, weights)?;
        let Some((part, weights)) = drawn else {
            return Ok((Self::Restorer(AnyExecutor::Wgpu(Box::new(restorer))), name));
        };
        let flow = asasr_shaders::GpuFlow::new(restorer, &part.graph, weights)?;
        Ok((Self::Flow(FlowPlace::Wgpu(Arc::new(flow)), sampling(part)?), name))
    }

    #[cfg(not(feature = "wgpu"))]
    fn wgpu(_: Loaded<'_>, _: Option<Loaded<'_>>, _: bool) -> Result<(Self, String)> {
        Err(no_wgpu())
    }
}

/// How a network that draws is sampled.
fn sampling(part: &NetworkPart) -> Result<Sampling> {
    part.sampling.ok_or_else(|| {
        Error::new(format!(
            "the network of {} does not say how it is sampled",
            part.file
        ))
    })
}

impl ExecutorMaker {
    pub(crate) fn new(model: Opened, choice: DeviceChoice, mode: Mode, draw: Draw) -> Result<Self> {
        match model {
            Opened::Layers(model) => Self::of_layers(*model, choice, mode, draw),
            Opened::Graphs(graphs) => Self::of_graphs(&graphs, choice, mode, draw),
        }
    }

    fn of_graphs(graphs: &Graphs, choice: DeviceChoice, mode: Mode, draw: Draw) -> Result<Self> {
        let drawn = match (mode, graphs.sampler()) {
            (Mode::Instant, _) => None,
            (_, Some(drawn)) => Some(drawn),
            (_, None) => return Err(model::no_flow(&graphs.manifest.id)),
        };
        let restorer = graphs.restorer()?;
        let (place, name) = match choice {
            DeviceChoice::Cpu => (Place::cpu(restorer, drawn)?, "CPU".to_owned()),
            DeviceChoice::Cuda => (Place::burn(restorer, drawn, &cuda()?)?, "CUDA".to_owned()),
            DeviceChoice::Wgpu => Place::wgpu(restorer, drawn, true)?,
            DeviceChoice::Auto => match Place::wgpu(restorer, drawn, false) {
                Ok(found) => found,
                Err(_) => match cuda() {
                    Ok(device) => (Place::burn(restorer, drawn, &device)?, "CUDA".to_owned()),
                    Err(_) => (Place::cpu(restorer, drawn)?, "CPU".to_owned()),
                },
            },
        };
        let kind = match place {
            Place::Restorer(executor) => Kind::Restorer(executor),
            Place::Flow(place, sampling) => Kind::Flow(Box::new(Flow {
                place,
                sampling,
                drawing: Drawing {
                    fidelity: draw.fidelity as f32,
                    ..Drawing::new(draw.seed, sampling.steps)
                },
                executor: None,
            })),
        };
        Ok(Self {
            id: graphs.manifest.id.clone(),
            name,
            kind,
        })
    }

    fn of_layers(model: Model, choice: DeviceChoice, mode: Mode, draw: Draw) -> Result<Self> {
        let Model {
            manifest,
            restorer,
            flow,
            fast,
        } = model;
        if mode == Mode::Instant {
            let (executor, name) = AnyExecutor::new(choice, &manifest.architecture, &restorer)?;
            let kind = Kind::Restorer(executor);
            return Ok(Self {
                id: manifest.id,
                name,
                kind,
            });
        }
        let Some((part, steps)) = manifest.flow_of(mode.of_model()) else {
            return Err(model::no_flow(&manifest.id));
        };
        let distilled = manifest.fast.as_ref().is_some_and(|f| f.file == part.file);
        let weights = if distilled { fast } else { flow };
        let weights = weights.ok_or_else(|| Error::new(format!("{} is not loaded", part.file)))?;
        let burn = |device: Device, name: &str| -> Result<(FlowPlace, String)> {
            let restorer = Network::new(&manifest.architecture, &restorer, &device)?;
            let flow = BurnFlow::new(restorer, part, &weights, &device)?;
            Ok((FlowPlace::Burn(Arc::new(flow)), name.to_owned()))
        };
        let wgpu = |software| wgpu_flow(&manifest, &restorer, part, &weights, software);
        let (place, name) = match choice {
            DeviceChoice::Cpu => burn(Device::flex(), "CPU")?,
            DeviceChoice::Cuda => burn(cuda()?, "CUDA")?,
            DeviceChoice::Wgpu => wgpu(true)?,
            DeviceChoice::Auto => wgpu(false)
                .or_else(|_| burn(cuda()?, "CUDA"))
                .or_else(|_| burn(Device::flex(), "CPU"))?,
        };
        let drawing = Drawing {
            fidelity: draw.fidelity as f32,
            ..Drawing::new(draw.seed, steps)
        };
        Ok(Self {
            name,
            kind: Kind::Flow(Box::new(Flow {
                place,
                sampling: part.into(),
                drawing,
                executor: None,
            })),
            id: manifest.id,
        })
    }

    /// Draws so many images at once, of which the first is the result.
    #[must_use]
    pub(crate) fn of_samples(mut self, samples: u8) -> Self {
        if let Kind::Flow(flow) = &mut self.kind {
            flow.drawing.samples = usize::from(samples);
        }
        self
    }

    /// The model and where it runs.
    pub(crate) fn describe(&self) -> String {
        format!("{} on {}", self.id, self.name)
    }

    /// Where it runs.
    pub(crate) fn device(&self) -> &str {
        &self.name
    }

    /// The executor for an image of that many input pixels.
    pub(crate) fn for_image(&mut self, size: Size) -> Result<&mut AnyExecutor> {
        let Flow {
            place,
            sampling,
            drawing,
            executor,
        } = match &mut self.kind {
            Kind::Restorer(executor) => return Ok(executor),
            Kind::Flow(flow) => &mut **flow,
        };
        let made = match place {
            FlowPlace::Burn(flow) => AnyExecutor::Flow(Box::new(Sampler::new(
                Arc::clone(flow),
                *sampling,
                *drawing,
                size,
            )?)),
            FlowPlace::Cpu(flow) => AnyExecutor::CpuFlow(Box::new(Sampler::new(
                Arc::clone(flow),
                *sampling,
                *drawing,
                size,
            )?)),
            FlowPlace::Graph(flow) => AnyExecutor::OneStep(Box::new(Sampler::new(
                Arc::clone(flow),
                *sampling,
                *drawing,
                size,
            )?)),
            #[cfg(feature = "wgpu")]
            FlowPlace::Wgpu(flow) => AnyExecutor::WgpuFlow(Box::new(Sampler::new(
                Arc::clone(flow),
                *sampling,
                *drawing,
                size,
            )?)),
        };
        Ok(executor.insert(made))
    }
}

#[cfg(feature = "wgpu")]
fn wgpu_flow(
    manifest: &Manifest,
    restorer: &Weights,
    part: &FlowPart,
    weights: &Weights,
    software: bool,
) -> Result<(FlowPlace, String)> {
    let gpu = crate::gpu::open(software)?;
    let name = format!("wgpu: {}", gpu.name());
    let restorer =
        asasr_shaders::GpuExecutor::new(gpu, &nets::restorer(&manifest.architecture)?.check()?, restorer)?;
    let flow = asasr_shaders::GpuFlow::new(restorer, &nets::velocity(&part.architecture)?.check()?, weights)?;
    Ok((FlowPlace::Wgpu(Arc::new(flow)), name))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu_flow(_: &Manifest, _: &Weights, _: &FlowPart, _: &Weights, _: bool) -> Result<(FlowPlace, String)> {
    Err(no_wgpu())
}

#[cfg(not(feature = "wgpu"))]
fn no_wgpu() -> Error {
    Error::new("this build has no wgpu: build with --features wgpu, or choose --device cpu")
}

/// A network on the device of the user's choice.
pub(crate) enum AnyExecutor {
    Burn(BurnExecutor),
    Flow(Box<Sampler<Arc<BurnFlow>>>),
    Cpu(CpuExecutor),
    CpuFlow(Box<Sampler<Arc<CpuFlow>>>),
    Graph(Box<GraphExecutor>),
    OneStep(Box<Sampler<Arc<OneStepFlow>>>),
    #[cfg(feature = "wgpu")]
    Wgpu(Box<asasr_shaders::GpuExecutor>),
    #[cfg(feature = "wgpu")]
    WgpuFlow(Box<Sampler<Arc<asasr_shaders::GpuFlow>>>),
}

/// Does the same with whichever executor it is.
macro_rules! whichever {
    ($any:expr, $executor:ident => $do:expr) => {
        match $any {
            AnyExecutor::Burn($executor) => $do,
            AnyExecutor::Flow($executor) => $do,
            AnyExecutor::Cpu($executor) => $do,
            AnyExecutor::CpuFlow($executor) => $do,
            AnyExecutor::Graph($executor) => $do,
            AnyExecutor::OneStep($executor) => $do,
            #[cfg(feature = "wgpu")]
            AnyExecutor::Wgpu($executor) => $do,
            #[cfg(feature = "wgpu")]
            AnyExecutor::WgpuFlow($executor) => $do,
        }
    };
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
    let gpu = crate::gpu::open(software)?;
    let name = format!("wgpu: {}", gpu.name());
    let executor = asasr_shaders::GpuExecutor::new(gpu, &nets::restorer(architecture)?.check()?, weights)?;
    Ok((AnyExecutor::Wgpu(Box::new(executor)), name))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(_: &Architecture, _: &Weights, _: bool) -> Result<(AnyExecutor, String)> {
    Err(no_wgpu())
}

impl Executor for AnyExecutor {
    fn lanes(&self) -> usize {
        whichever!(self, executor => executor.lanes())
    }

    fn beside(&self) -> Beside {
        whichever!(self, executor => executor.beside())
    }

    fn scale(&self) -> usize {
        whichever!(self, executor => executor.scale())
    }

    fn halo(&self) -> usize {
        whichever!(self, executor => executor.halo())
    }

    async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> asasr_core::Result<Planes> {
        whichever!(self, executor => executor.run(tile, place, on_step).await)
    }

    async fn run_part(
        &self,
        tile: &Planes,
        place: Rect,
        part: &Part,
        on_step: OnStep<'_>,
    ) -> asasr_core::Result<Planes> {
        whichever!(self, executor => executor.run_part(tile, place, part, on_step).await)
    }
}
