//! Layers on the device, without what comes before and after them.

use asasr_core::Result;
use asasr_core::model::{Activation, Layer, Weights};
use wgpu::{Buffer, BufferUsages};

use crate::gpu::{Gpu, Kernel, Pass};
use crate::pack;
use crate::plan::{Place, Plan, Step};

const SHARED: &str = include_str!("../shader/shared.wgsl");
const CONV_SHARED: &str = include_str!("../shader/conv_shared.wgsl");
const CONV3X3: &str = include_str!("../shader/conv3x3.wgsl");
const CONV1X1: &str = include_str!("../shader/conv1x1.wgsl");
const POINTWISE: &str = include_str!("../shader/pointwise.wgsl");

/// A step ready to run.
#[derive(Debug, Clone)]
struct Ready {
    step: Step,
    kernel: Kernel,
    parameters: Buffer,
    /// Of a convolution.
    weights: Option<Buffer>,
}

/// Layers with their weights on the device.
#[derive(Debug, Clone)]
pub(crate) struct GpuNetwork {
    plan: Plan,
    steps: Vec<Ready>,
}

/// How much a modulated layer's values are multiplied by and moved, `[2 * channels]`: all `gamma` before all `beta`.
pub(crate) type Modulation = Vec<f32>;

impl GpuNetwork {
    /// Uploads the weights of valid `layers` that read `inputs` channels, and builds a pipeline for every step.
    /// `modulations` gives those of a modulated layer, by its index, for every step of the solver.
    ///
    /// # Errors
    /// [`asasr_core::Error::Weights`] when a parameter is missing.
    pub(crate) fn new(
        gpu: &Gpu,
        layers: &[Layer],
        inputs: usize,
        weights: &Weights,
        modulations: impl Fn(usize) -> Result<Vec<Modulation>>,
    ) -> Result<Self> {
        let module = |label: &str, parts: &[&str]| gpu.module(label, &parts.concat());
        let conv3x3 = module("conv3x3", &[SHARED, CONV_SHARED, CONV3X3]);
        let conv1x1 = module("conv1x1", &[SHARED, CONV_SHARED, CONV1X1]);
        let pointwise = module("pointwise", &[SHARED, POINTWISE]);
        let plan = Plan::new(layers, inputs);
        let mut steps = Vec::with_capacity(plan.steps.len());
        let mut before = inputs;
        for step in &plan.steps {
            let get = |layer: usize, suffix: &str| {
                let name = layers[layer].name().map_or("", String::as_str);
                weights
                    .get(&format!("{name}.{suffix}"))
                    .map(|t| t.values.as_slice())
            };
            let own = step.film.or(step.convolution);
            let (kind, slope, learned) = match (step.activation, own) {
                (Activation::LeakyRelu { slope }, _) => (1.0, f64::from(slope), None),
                (Activation::Prelu, Some(layer)) => (2.0, 0.0, Some(get(layer, "slope")?)),
                (Activation::None | Activation::Prelu, _) => (0.0, 0.0, None),
            };
            let groups = pack::groups(step.channels);
            let constants = [
                ("GROUPS_IN", pack::groups(before) as f64),
                ("GROUPS_OUT", groups as f64),
                ("ACTIVATION", kind),
                ("SLOPE", slope),
                ("MODULATED", f64::from(u8::from(step.film.is_some()))),
                ("ADDED", f64::from(u8::from(step.other.is_some()))),
            ];
            let zero = vec![0.0; step.channels];
            let bias = step.convolution.map_or(Ok(zero.as_slice()), |c| get(c, "bias"))?;
            let parameters = match step.film {
                Some(film) => modulations(film)?
                    .iter()
                    .flat_map(|m| pack::modulated(bias, m, learned))
                    .collect(),
                None => pack::parameters(&[bias], learned),
            };
            let (label, module, blocks, pixels, depth) = match step.convolution.map(|c| (c, &layers[c])) {
                Some((c, Layer::Conv { name, kernel, .. })) => {
                    let blocks = pack::weights(get(c, "weight")?, step.channels, before, *kernel);
                    let (module, depth) = if *kernel == 3 {
                        (&conv3x3, groups.div_ceil(2))
                    } else {
                        (&conv1x1, groups)
                    };
                    (name.as_str(), module, Some(blocks), 4, depth)
                }
                _ => ("pointwise", &pointwise, None, 1, groups),
            };
            steps.push(Ready {
                step: *step,
                kernel: gpu.kernel(label, module, &constants, (pixels, depth)),
                parameters: gpu.upload(label, &parameters),
                weights: blocks.map(|b| gpu.upload(label, &b)),
            });
            before = step.channels;
        }
        Ok(Self { plan, steps })
    }

    /// Bytes of a slot for tiles of `pixels` pixels.
    pub(crate) fn slot_bytes(&self, pixels: usize) -> u64 {
        (pixels * pack::groups(self.plan.widest()) * 16) as u64
    }

    /// Slots for tiles of `pixels` pixels.
    pub(crate) fn slots(&self, gpu: &Gpu, pixels: usize) -> Vec<Buffer> {
        (0..self.plan.slots)
            .map(|_| gpu.buffer("features", self.slot_bytes(pixels), BufferUsages::STORAGE))
            .collect()
    }

    /// Runs all layers on a tile of `size` pixels; returns the buffer of the result.
    pub(crate) fn encode<'a>(
        &self,
        pass: &mut Pass<'_>,
        frame: &Buffer,
        input: &Buffer,
        slots: &'a [Buffer],
        size: (usize, usize),
    ) -> &'a Buffer {
        for ready in &self.steps {
            let at = |place: Place| match place {
                Place::Input => input,
                Place::Slot(s) => &slots[s],
            };
            let from = at(ready.step.input);
            // What adds nothing binds what it reads anyway.
            let other = ready.step.other.map_or(from, at);
            let mut bound = vec![frame, from, &ready.parameters, other, &slots[ready.step.output]];
            bound.extend(&ready.weights);
            pass.dispatch(&ready.kernel, &bound, size);
        }
        &slots[self.plan.output()]
    }
}
