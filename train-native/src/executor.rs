//! A model's networks on the device of the user's choice.

use std::sync::Arc;

use asasr_core::exec::{CpuExecutor, CpuFlow};
use asasr_core::flow::{Drawing, Sampler, Sampling};
use asasr_core::model::Role;
use asasr_core::nn::{GraphExecutor, GraphFlow, GraphNetwork};
use asasr_core::video::RecurrentExecutor;
use asasr_core::{Planes, Size};
use burn::tensor::Device;

use crate::cli::{Draw, HoldTo, Mode};
use crate::device::{DeviceChoice, cuda};
use crate::error::{Error, Result};
use crate::graphs::{Graphs, Loaded, Network};

/// Makes executors of a model: one for all images in the mode `instant`; a new one for each image where a network draws the image's own
/// noise.
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
    /// The restorer alone.
    restorer: AnyExecutor,
}

/// Where a network draws.
enum FlowPlace {
    Cpu(CpuFlow),
    Burn(Arc<GraphFlow>),
    #[cfg(feature = "wgpu")]
    Wgpu(Arc<asasr_shaders::GpuFlow>),
}

/// A restorer, and what draws around it, for a device that copies their weights.
type Lent<'a> = (Loaded<'a>, Option<Loaded<'a>>);

fn lent((part, weights): &Network) -> Loaded<'_> {
    (part, weights)
}

/// What one of these opens on a graphics processor of the user's choice; nothing where it is to be the CPU. `wgpu` is told whether a
/// software adapter is taken, too.
fn on_gpu<T>(
    choice: DeviceChoice,
    wgpu: impl Fn(bool) -> Result<T>,
    cuda: impl Fn() -> Result<T>,
) -> Result<Option<T>> {
    match choice {
        DeviceChoice::Cpu => Ok(None),
        DeviceChoice::Cuda => cuda().map(Some),
        DeviceChoice::Wgpu => wgpu(true).map(Some),
        DeviceChoice::Auto => Ok(wgpu(false).or_else(|_| cuda()).ok()),
    }
}

/// Networks of a model on a device.
enum Place {
    Restorer(AnyExecutor),
    /// Beside the restorer alone.
    Flow(FlowPlace, AnyExecutor),
}

impl Place {
    fn cpu((restorer, weights): Network, drawn: Option<Network>) -> Result<(Self, String)> {
        let restorer = CpuExecutor::new(&restorer.graph, weights)?;
        let alone = AnyExecutor::Cpu(restorer.clone());
        let place = match drawn {
            None => Self::Restorer(alone),
            Some((part, weights)) => {
                let flow = CpuFlow::new(restorer, &part.graph, weights)?;
                Self::Flow(FlowPlace::Cpu(flow), alone)
            }
        };
        Ok((place, "CPU".to_owned()))
    }

    fn cuda(networks: Lent<'_>) -> Result<(Self, String)> {
        Ok((Self::burn(networks, &cuda()?)?, "CUDA".to_owned()))
    }

    fn burn(((restorer, weights), drawn): Lent<'_>, device: &Device) -> Result<Self> {
        let restorer = GraphNetwork::new(&restorer.graph, weights, device)?;
        let alone = AnyExecutor::Burn(Box::new(GraphExecutor::new(restorer.clone())?));
        Ok(match drawn {
            None => Self::Restorer(alone),
            Some((part, weights)) => {
                let flow = GraphFlow::new(restorer, &part.graph, weights)?;
                Self::Flow(FlowPlace::Burn(Arc::new(flow)), alone)
            }
        })
    }

    #[cfg(feature = "wgpu")]
    fn wgpu(((restorer, weights), drawn): Lent<'_>, software: bool) -> Result<(Self, String)> {
        let gpu = crate::gpu::open(software)?;
        let name = format!("wgpu: {}", gpu.name());
        let restorer = asasr_shaders::GpuExecutor::new(gpu, &restorer.graph, weights)?;
        let alone = AnyExecutor::Wgpu(Box::new(restorer.clone()));
        let place = match drawn {
            None => Self::Restorer(alone),
            Some((part, weights)) => {
                let flow = asasr_shaders::GpuFlow::new(restorer, &part.graph, weights)?;
                Self::Flow(FlowPlace::Wgpu(Arc::new(flow)), alone)
            }
        };
        Ok((place, name))
    }

    #[cfg(not(feature = "wgpu"))]
    fn wgpu(_: Lent<'_>, _: bool) -> Result<(Self, String)> {
        Err(no_wgpu())
    }
}

impl ExecutorMaker {
    /// Of the model's networks for a mode. Of their weights nothing but what the device needs is kept.
    pub(crate) fn new(model: Graphs, choice: DeviceChoice, mode: Mode, draw: Draw) -> Result<Self> {
        let id = model.id().to_owned();
        let (restorer, drawn) = model.of_mode(mode)?;
        let (drawn, steps) = drawn.unzip();
        let sampling = drawn
            .as_ref()
            .map(|(part, _)| part.require_sampling())
            .transpose()?;
        let given = || (lent(&restorer), drawn.as_ref().map(lent));
        let wgpu = |software| Place::wgpu(given(), software);
        let (place, name) = match on_gpu(choice, wgpu, || Place::cuda(given()))? {
            Some(found) => found,
            None => Place::cpu(restorer, drawn)?,
        };
        let kind = match (place, sampling.zip(steps)) {
            (Place::Flow(place, restorer), Some((sampling, steps))) => Kind::Flow(Box::new(Flow {
                place,
                sampling,
                drawing: Drawing {
                    fidelity: draw.fidelity as f32,
                    ..Drawing::new(draw.seed, steps)
                },
                executor: None,
                restorer,
            })),
            (Place::Restorer(executor), _) => Kind::Restorer(executor),
            (Place::Flow(..), None) => return Err(Error::new("nothing was asked to draw")),
        };
        Ok(Self { id, name, kind })
    }

    /// Draws so many images at once, of which the first is the result.
    #[must_use]
    pub(crate) fn of_samples(mut self, samples: u8) -> Self {
        if let Kind::Flow(flow) = &mut self.kind {
            flow.drawing.samples = usize::from(samples);
        }
        self
    }

    /// Holds what it draws to the restorer's mean in another way than the model says.
    #[must_use]
    pub(crate) fn held(mut self, hold: HoldTo) -> Self {
        if let Kind::Flow(flow) = &mut self.kind {
            let (sampling, steps) = (flow.sampling, flow.drawing.steps);
            flow.sampling = match hold {
                HoldTo::On => sampling,
                HoldTo::Off => sampling.anchored(None, steps),
                HoldTo::Width(width) => sampling.anchored(Some(width), steps),
            };
        }
        self
    }

    /// The model's id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The model and where it runs.
    pub(crate) fn describe(&self) -> String {
        format!("{} on {}", self.id, self.name)
    }

    /// Where it runs.
    pub(crate) fn device(&self) -> &str {
        &self.name
    }

    /// The executor for an image of `size` input pixels, and that of a second pass.
    pub(crate) fn for_image(&mut self, size: Size) -> Result<[&AnyExecutor; 2]> {
        let flow = match &mut self.kind {
            Kind::Restorer(executor) => return Ok([executor, executor]),
            Kind::Flow(flow) => &mut **flow,
        };
        let (sampling, drawing) = (flow.sampling, flow.drawing);
        let made = match &flow.place {
            FlowPlace::Cpu(device) => {
                let sampler = Sampler::new(device.clone(), sampling, drawing, size)?;
                AnyExecutor::CpuFlow(Box::new(sampler))
            }
            FlowPlace::Burn(device) => {
                let sampler = Sampler::new(Arc::clone(device), sampling, drawing, size)?;
                AnyExecutor::BurnFlow(Box::new(sampler))
            }
            #[cfg(feature = "wgpu")]
            FlowPlace::Wgpu(device) => {
                let sampler = Sampler::new(Arc::clone(device), sampling, drawing, size)?;
                AnyExecutor::WgpuFlow(Box::new(sampler))
            }
        };
        Ok([flow.executor.insert(made), &flow.restorer])
    }
}

/// A network for videos on the device of the user's choice.
pub(crate) enum AnyRecurrent {
    Cpu(CpuExecutor),
    Burn(Box<GraphExecutor>),
    #[cfg(feature = "wgpu")]
    Wgpu(Box<asasr_shaders::GpuExecutor>),
}

asasr_core::executor_of_variants!(
    AnyRecurrent,
    AnyRecurrent {
        Cpu,
        Burn,
        #[cfg(feature = "wgpu")]
        Wgpu,
    }
);

impl RecurrentExecutor for AnyRecurrent {
    async fn run_after(&self, tile: &Planes, previous: &Planes) -> asasr_core::Result<Planes> {
        match self {
            Self::Cpu(executor) => executor.run_after(tile, previous).await,
            Self::Burn(executor) => executor.run_after(tile, previous).await,
            #[cfg(feature = "wgpu")]
            Self::Wgpu(executor) => executor.run_after(tile, previous).await,
        }
    }
}

impl AnyRecurrent {
    /// Of the model's network for videos, and where it runs.
    pub(crate) fn open(mut model: Graphs, choice: DeviceChoice) -> Result<(Self, String)> {
        let network = model.take(Role::Recurrent);
        let network = network
            .ok_or_else(|| Error::new(format!("the model {} has no network for videos", model.id())))?;
        let wgpu = |software| Self::wgpu(lent(&network), software);
        if let Some(found) = on_gpu(choice, wgpu, || Self::cuda(lent(&network)))? {
            return Ok(found);
        }
        let (part, weights) = network;
        Ok((
            Self::Cpu(CpuExecutor::new(&part.graph, weights)?),
            "CPU".to_owned(),
        ))
    }

    fn cuda((part, weights): Loaded<'_>) -> Result<(Self, String)> {
        let network = GraphNetwork::new(&part.graph, weights, &cuda()?)?;
        Ok((
            Self::Burn(Box::new(GraphExecutor::recurrent(network)?)),
            "CUDA".to_owned(),
        ))
    }

    #[cfg(feature = "wgpu")]
    fn wgpu((part, weights): Loaded<'_>, software: bool) -> Result<(Self, String)> {
        let gpu = crate::gpu::open(software)?;
        let name = format!("wgpu: {}", gpu.name());
        let executor = asasr_shaders::GpuExecutor::new(gpu, &part.graph, weights)?;
        Ok((Self::Wgpu(Box::new(executor)), name))
    }

    #[cfg(not(feature = "wgpu"))]
    fn wgpu(_: Loaded<'_>, _: bool) -> Result<(Self, String)> {
        Err(no_wgpu())
    }
}

#[cfg(not(feature = "wgpu"))]
fn no_wgpu() -> Error {
    Error::new("this build has no wgpu: build with --features wgpu, or choose --device cpu")
}

/// A network on the device of the user's choice.
pub(crate) enum AnyExecutor {
    Cpu(CpuExecutor),
    CpuFlow(Box<Sampler<CpuFlow>>),
    Burn(Box<GraphExecutor>),
    BurnFlow(Box<Sampler<Arc<GraphFlow>>>),
    #[cfg(feature = "wgpu")]
    Wgpu(Box<asasr_shaders::GpuExecutor>),
    #[cfg(feature = "wgpu")]
    WgpuFlow(Box<Sampler<Arc<asasr_shaders::GpuFlow>>>),
}

asasr_core::executor_of_variants!(
    AnyExecutor,
    AnyExecutor {
        Cpu,
        CpuFlow,
        Burn,
        BurnFlow,
        #[cfg(feature = "wgpu")]
        Wgpu,
        #[cfg(feature = "wgpu")]
        WgpuFlow,
    }
);
