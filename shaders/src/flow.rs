use std::sync::{Arc, Mutex, OnceLock};

use asasr_core::flow::{ColourAnchor, FlowDevice, Schedule, Source};
use asasr_core::model::{Condition, ConvVelocity, FlowPart, VelocityArchitecture, Weights};
use asasr_core::spectral::ColouredNoise;
use asasr_core::{Error, Executor as _, OnStep, Part, Planes, Rect, Result};

use crate::executor::{Frame, GpuExecutor, GpuImage, Restorer};
use crate::gpu::{Gpu, Kernel, STORAGE, UNIFORM, WRITTEN, unknown};
use crate::kernels;
use crate::network::{GpuNetwork, Modulation};
use crate::noise::NoiseMaker;
use crate::pack;
use crate::resample::Resampler;

/// Runs a restorer and a convolutional velocity field with our kernels.
#[derive(Debug)]
pub struct GpuFlow {
    restorer: GpuExecutor,
    field: ConvVelocity,
    whole: VelocityArchitecture,
    weights: Weights,
    /// Channels that the field reads.
    inputs: usize,
    kernels: Mutex<Option<Arc<Kernels>>>,
    /// The field made ready for the times of a schedule.
    network: Mutex<Option<(Vec<f64>, u64, GpuNetwork)>>,
}

/// What runs beside the field on a device.
#[derive(Debug)]
struct Kernels {
    /// The device's number.
    device: u64,
    gather: Kernel,
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
    /// Takes a restorer and the weights of `flow`, which goes on its device.
    ///
    /// # Errors
    /// [`Error::Architecture`] for a transformer, which these kernels do not run, [`Error::Weights`] when `weights` are not
    /// those of `flow`.
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
        Ok(Self {
            field,
            whole,
            weights: weights.clone(),
            inputs,
            kernels: Mutex::default(),
            network: Mutex::default(),
            restorer,
        })
    }

    /// The kernels on that device.
    fn kernels(&self, gpu: &Gpu) -> Result<Arc<Kernels>> {
        let mut kept = self.kernels.lock().map_err(|_| unknown())?;
        if let Some(kernels) = kept.as_ref().filter(|k| k.device == gpu.number()) {
            return Ok(Arc::clone(kernels));
        }
        let made = Arc::new(Kernels {
            device: gpu.number(),
            gather: kernels::gather(gpu, self.field.scale, self.inputs),
            step: kernels::step(gpu, self.field.scale),
            noise: NoiseMaker::new(gpu),
            anchor: OnceLock::new(),
        });
        gpu.check()?;
        Ok(Arc::clone(kept.insert(made)))
    }

    /// The field made ready for the times at which `schedule` asks it.
    fn network(&self, gpu: &Gpu, schedule: &Schedule) -> Result<GpuNetwork> {
        let times = &schedule.times()[..schedule.steps()];
        let mut kept = self.network.lock().map_err(|_| unknown())?;
        if let Some((known, device, network)) = &*kept
            && known == times
            && *device == gpu.number()
        {
            return Ok(network.clone());
        }
        let modulations = |layer: usize| -> Result<Vec<Modulation>> {
            let name = self.field.layers[layer].name().map_or("", String::as_str);
            let one = |t: &f64| self.whole.modulation(&self.weights, name, *t);
            times.iter().map(one).collect()
        };
        let layers = &self.field.layers;
        let network = GpuNetwork::new(gpu, layers, (self.inputs, false), &self.weights, modulations)?;
        *kept = Some((times.to_vec(), gpu.number(), network.clone()));
        Ok(network)
    }
}

impl FlowDevice for GpuFlow {
    type Image = FlowImage;

    fn scale(&self) -> usize {
        self.field.scale
    }

    fn halo(&self) -> usize {
        self.restorer.halo().max(Source::REACH) + self.whole.receptive_radius()
    }

    fn lanes(&self) -> usize {
        self.restorer.lanes()
    }

    async fn mean(&self, low: &Planes) -> Result<FlowImage> {
        let restorer = self.restorer.ready().await?;
        let image = restorer.enlarge(low, self.field.scale).await?;
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
        let kernels = self.kernels(gpu)?;
        Ok(FlowImage {
            image: kernels
                .noise
                .source(gpu, source, (low, mean), noise, place)
                .await?,
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
        let (kernels, network) = (self.kernels(gpu)?, self.network(gpu, schedule)?);
        let (width, height) = (low.width(), low.height());
        let (pixels, size) = (width * height, (width, height));
        let [frame, image, input] = gpu
            .take([
                (Frame::BYTES, UNIFORM),
                ((pixels * 16) as u64, WRITTEN),
                (network.bytes(pixels, self.inputs), STORAGE),
            ])
            .await?;
        let slots = gpu.take_all(&network.slots(pixels)).await?;
        let slots: Vec<&wgpu::Buffer> = slots.iter().map(|s| &**s).collect();
        gpu.write(&image, &pack::image(low));
        let steps = schedule.steps();
        let mut at_work = None;
        for (i, pair) in schedule.times().windows(2).enumerate() {
            let words = Frame {
                step: i,
                dt: pair[1] - pair[0],
                gain: self.field.skip.map_or(0.0, |s| s.gain(pair[0])),
                left: 1.0 - pair[0],
                ..Frame::new(size)
            };
            gpu.write(&frame, &words.words());
            let submitted = gpu.submit_watched(|pass| {
                let bound = [&frame, &image, &mean.buffer, &x0.buffer, &input];
                pass.dispatch(&kernels.gather, &bound.map(|b| &**b), size);
                let features = network.encode(pass, &frame, &input, &slots, size);
                pass.dispatch(
                    &kernels.step,
                    &[&frame, features, &mean.buffer, &x0.buffer],
                    x0.size,
                );
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
        let kernels = self.kernels(gpu)?;
        kernels
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
