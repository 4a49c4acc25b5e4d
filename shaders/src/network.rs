//! Layers on the device, without what comes before and after them.

use std::collections::HashMap;

use asasr_core::Result;
use asasr_core::model::{Activation, Layer, Weights};
use wgpu::{Buffer, BufferUsages};

use crate::gpu::{Cover, Gpu, Kernel, Pass};
use crate::pack;
use crate::plan::{Place, Plan, Step};
use crate::tuning::{Convolution, Precision};

const SHARED: &str = include_str!("../shader/shared.wgsl");
const CONV_SHARED: &str = include_str!("../shader/conv_shared.wgsl");
const CONV3X3: &str = include_str!("../shader/conv3x3.wgsl");
const WINOGRAD: &str = include_str!("../shader/conv3x3_winograd.wgsl");
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
    precision: Precision,
}

/// How much a modulated layer's values are multiplied by and moved, `[2 * channels]`: all `gamma` before all `beta`.
pub(crate) type Modulation = Vec<f32>;

impl GpuNetwork {
    /// Uploads the weights of valid `layers` that read `inputs` channels, of an image of single precision or of features,
    /// and builds a pipeline for every step. `modulations` gives those of a modulated layer, by its index, for every step of the solver.
    ///
    /// # Errors
    /// [`asasr_core::Error::Weights`] when a parameter is missing.
    pub(crate) fn new(
        gpu: &Gpu,
        layers: &[Layer],
        (inputs, of_image): (usize, bool),
        weights: &Weights,
        modulations: impl Fn(usize) -> Result<Vec<Modulation>>,
    ) -> Result<Self> {
        let tuning = gpu.tuning;
        let three = match tuning.convolution {
            Convolution::Direct => CONV3X3,
            Convolution::Winograd => WINOGRAD,
        };
        let mut modules = HashMap::new();
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
            let mut constants = vec![
                ("WIDE", tuning.group.0 as f64),
                ("HIGH", tuning.group.1 as f64),
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
                    let values = get(c, "weight")?;
                    let size = (step.channels, before);
                    let (module, blocks, depth) = match (*kernel, tuning.convolution) {
                        (1, _) => ("conv1x1", pack::weights(values, size, 1), groups),
                        (_, way) => {
                            constants.push(("TALL", tuning.tall as f64));
                            let blocks = match way {
                                Convolution::Direct => pack::weights(values, size, 3),
                                Convolution::Winograd => pack::winograd(values, size),
                            };
                            ("conv3x3", blocks, groups.div_ceil(tuning.tall))
                        }
                    };
                    (name.as_str(), module, Some(blocks), 4, depth)
                }
                _ => ("pointwise", "pointwise", None, 1, groups),
            };
            let kind = |place| {
                if of_image && place == Place::Input {
                    "vec4<f32>"
                } else {
                    "Real4"
                }
            };
            let reads = (kind(step.input), kind(step.other.unwrap_or(step.input)));
            let module = modules.entry((module, reads)).or_insert_with(|| {
                let parts: &[&str] = match module {
                    "conv3x3" => &[CONV_SHARED, "override TALL: u32;\n", three],
                    "conv1x1" => &[CONV_SHARED, CONV1X1],
                    _ => &[POINTWISE],
                };
                let alias = format!("alias Input4 = {};\nalias Other4 = {};\n", reads.0, reads.1);
                let head = [&tuning.precision.header(), &alias, SHARED];
                gpu.module(module, &[&head, parts].concat().concat())
            });
            let cover = Cover {
                group: tuning.group,
                pixels,
                depth,
            };
            steps.push(Ready {
                step: *step,
                kernel: gpu.kernel(label, module, &constants, cover),
                parameters: gpu.upload(label, &parameters),
                weights: blocks.map(|b| gpu.upload_in(tuning.precision, label, &b)),
            });
            before = step.channels;
        }
        Ok(Self {
            plan,
            steps,
            precision: tuning.precision,
        })
    }

    /// Bytes of `channels` features of tiles of `pixels` pixels.
    pub(crate) fn bytes(&self, pixels: usize, channels: usize) -> u64 {
        (pixels * pack::groups(channels) * 4 * self.precision.bytes()) as u64
    }

    /// The slots for tiles of `pixels` pixels.
    pub(crate) fn slots(&self, pixels: usize) -> Vec<(u64, BufferUsages)> {
        vec![(self.bytes(pixels, self.plan.widest()), BufferUsages::STORAGE); self.plan.slots]
    }

    /// Runs all layers on a tile of `size` pixels; returns the buffer of the result.
    pub(crate) fn encode<'a>(
        &self,
        pass: &mut Pass<'_>,
        frame: &Buffer,
        input: &Buffer,
        slots: &[&'a Buffer],
        size: (usize, usize),
    ) -> &'a Buffer {
        for ready in &self.steps {
            let at = |place: Place| match place {
                Place::Input => input,
                Place::Slot(s) => slots[s],
            };
            let from = at(ready.step.input);
            // What adds nothing binds what it reads anyway.
            let other = ready.step.other.map_or(from, at);
            let mut bound = vec![frame, from, &ready.parameters, other, slots[ready.step.output]];
            bound.extend(&ready.weights);
            pass.dispatch(&ready.kernel, &bound, size);
        }
        slots[self.plan.output()]
    }
}
