use std::sync::{Arc, Mutex, OnceLock};

use asasr_core::flow::{ColourAnchor, FieldInputs, FlowDevice, Schedule, Source};
use asasr_core::graph::{TypedGraph, common_grid};
use asasr_core::model::Weights;
use asasr_core::spectral::ColouredNoise;
use asasr_core::{Error, Executor as _, OnStep, Part, Planes, Rect, Result, Size};

use crate::executor::{GpuExecutor, Kept, Restorer};
use crate::gpu::{Gpu, Kernel, STORAGE, UNIFORM, WRITTEN, unknown};
use crate::graph::{Ends, WgslNetwork};
use crate::image::GpuImage;
use crate::kernels;
use crate::noise::NoiseMaker;
use crate::resample::Resampler;

/// Runs a restorer and a network that draws with our kernels: a velocity field, or one that samples in one step.
#[derive(Debug)]
pub struct GpuFlow {
    restorer: GpuExecutor,
    field: TypedGraph,
    kept: Kept,
    reads: FieldInputs,
    radius: usize,
    ready: Mutex<Option<Arc<Ready>>>,
}

/// What is ready on a device.
#[derive(Debug)]
struct Ready {
    /// The device's number.
    device: u64,
    field: WgslNetwork,
    step: Kernel,
    noise: NoiseMaker,
    /// Made for the first sample that is anchored.
    anchor: OnceLock<Resampler>,
}

/// An image of a flow on its device. Another may be opened before it is read, after the loss of this one.
#[derive(Debug)]
pub struct FlowImage {
    restorer: Arc<Restorer>,
    image: GpuImage,
}

impl GpuFlow {
    /// Takes a restorer and the weights of a network that draws, as [`Role`](asasr_core::model::Role) has them, which goes on its device.
    ///
    /// # Errors
    /// [`Error::Graph`] for a network that draws nothing, [`Error::Weights`] when `weights` are not its own; [`Error::NotTaken`] for one
    /// that the device does not run.
    pub fn new(restorer: GpuExecutor, graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        let (field, reads) = FieldInputs::of(graph)?;
        weights.check(field.parameters())?;
        WgslNetwork::supports(&restorer.current()?.gpu, &field)?;
        Ok(Self {
            radius: field.reach().radius,
            field,
            kept: Kept::of(weights)?,
            reads,
            ready: Mutex::default(),
            restorer,
        })
    }

    /// The field and the kernels around it on that device.
    fn ready(&self, gpu: &Gpu) -> Result<Arc<Ready>> {
        let mut kept = self.ready.lock().map_err(|_| unknown())?;
        if let Some(ready) = kept.as_ref().filter(|k| k.device == gpu.number()) {
            return Ok(Arc::clone(ready));
        }
        let made = Arc::new(Ready {
            device: gpu.number(),
            field: WgslNetwork::unfolded(gpu, self.field.clone(), &self.kept.weights()?, Ends::Planes)?,
            step: kernels::step(gpu),
            noise: NoiseMaker::new(gpu),
            anchor: OnceLock::new(),
        });
        gpu.check()?;
        Ok(Arc::clone(kept.insert(made)))
    }
}

impl FlowDevice for GpuFlow {
    type Image = FlowImage;

    fn scale(&self) -> usize {
        self.restorer.scale()
    }

    fn halo(&self) -> usize {
        self.reads.halo(self.restorer.halo(), self.radius)
    }

    fn grid(&self) -> usize {
        common_grid(self.restorer.grid(), self.field.alignment())
    }

    fn lanes(&self) -> usize {
        self.restorer.lanes()
    }

    fn draws(&self) -> bool {
        self.reads.draws()
    }

    async fn mean(&self, low: &Planes) -> Result<FlowImage> {
        let restorer = self.restorer.ready().await?;
        let image = restorer.enlarge(low).await?;
        Ok(FlowImage { restorer, image })
    }

    async fn source(
        &self,
        source: &Source,
        (
            low,
            FlowImage {
                restorer,
                image: mean,
            },
        ): (&Planes, &FlowImage),
        noise: &ColouredNoise,
        place: Rect,
    ) -> Result<FlowImage> {
        Source::check(mean.size, place)?;
        let gpu = &restorer.gpu;
        let ready = self.ready(gpu)?;
        Ok(FlowImage {
            image: ready.noise.source(gpu, source, (low, mean), noise, place).await?,
            restorer: Arc::clone(restorer),
        })
    }

    async fn integrate(
        &self,
        (low, FlowImage { image: mean, .. }): (&Planes, &FlowImage),
        FlowImage { restorer, image: x0 }: FlowImage,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<FlowImage> {
        let gpu = &restorer.gpu;
        let ready = self.ready(gpu)?;
        let field = &ready.field;
        let plan = field.plan(low.size())?;
        let [image, time, words, velocity] = gpu
            .take([
                ((low.data().len() * 4) as u64, WRITTEN),
                (16, WRITTEN),
                (16, UNIFORM),
                (x0.bytes(), STORAGE),
            ])
            .await?;
        let held = field.hold(&plan).await?;
        gpu.write(&image, low.data());
        let inputs: Vec<&wgpu::Buffer> = self.reads.order(&*x0.buffer, &*image, &*mean.buffer, &*time);
        let steps = schedule.steps();
        let mut at_work = None;
        for (i, pair) in schedule.times().windows(2).enumerate() {
            let (t, left) = (pair[0], 1.0 - pair[0]);
            gpu.write(&time, &[t as f32, 0.0, 0.0, 0.0]);
            gpu.write(&words, &step_words(x0.size, pair[1] - t, left));
            let submitted = gpu.submit_watched(|pass| {
                field.encode(pass, &plan, &held, &inputs, &[&velocity]);
                pass.dispatch(&ready.step, &[&words, &velocity, &x0.buffer], x0.size);
            });
            // The device has the next step before this one is waited for.
            if let Some(before) = at_work.replace(submitted) {
                gpu.done(before).await?;
                if !on_step(i, steps) {
                    return Err(Error::Cancelled);
                }
            }
        }
        if let Some(last) = at_work {
            gpu.done(last).await?;
        }
        if !on_step(steps, steps) {
            return Err(Error::Cancelled);
        }
        Ok(FlowImage { restorer, image: x0 })
    }

    async fn anchor(&self, sample: FlowImage, mean: &FlowImage, anchor: ColourAnchor) -> Result<FlowImage> {
        let gpu = &sample.restorer.gpu;
        let ready = self.ready(gpu)?;
        ready
            .anchor
            .get_or_init(|| Resampler::anchoring(gpu))
            .anchor(gpu, &sample.image, &mean.image, anchor)
            .await?;
        Ok(sample)
    }

    async fn read(&self, FlowImage { restorer, image }: FlowImage, part: Option<&Part>) -> Result<Planes> {
        restorer.read(image, part).await
    }
}

/// `Frame` of `step.wgsl`.
pub(crate) fn step_words(size: Size, dt: f64, left: f64) -> [u32; 4] {
    let float = |v: f64| (v as f32).to_bits();
    [
        size.width as u32,
        size.height as u32,
        float(dt / left),
        float(left),
    ]
}
