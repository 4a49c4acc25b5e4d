//! `asasr train one-step`: one likely image in one step, learned against a discriminator.
//!
//! A network `G(c, x0)` with a coloured source sample `x0` is a velocity field that does not depend on the time, `v = G - x0`. Its
//! result gets the restorer's low frequencies, in training as in use. What it learns from:
//!
//! | term | what it asks |
//! |---|---|
//! | `l1` | near the truth |
//! | `perceptual` | near it as VGG-16 sees it |
//! | `adversarial` | not told from truths of the same input by a discriminator, place by place |
//! | `features` | alike in the discriminator's features |
//! | `discriminator` | the discriminator's own loss |
//!
//! Both learn in the same step: generator and discriminator are parameters of one state, and each sees the other's held.

use std::path::Path;

use asasr_core::flow::{ColourAnchor, Sampling};
use asasr_core::graph::TypedGraph;
use asasr_core::graph::nets::{self, Discriminator, NOISE, NOISE_WEIGHT};
use asasr_core::model::{Dtype, NetworkPart, Role, Tensor as Stored, Training, Weights};
use asasr_core::nn::{
    Filter, GraphNetwork, GraphValue, Parameters, download, image_of, run_graph, spectrally_normalised,
};
use asasr_core::objective::relativistic;
use asasr_core::spectral::Spectrum;
use asasr_core::{Size, metrics};
use burn::tensor::{Device, Tensor};
use serde_json::{Map, json};

use super::config::OneStep;
use super::data::Batch;
use super::optimise::{Terms, scalar};
use super::perceptual::{self, PerceptualTerm};
use super::run::{COMPARED, SCALE, Stage, Validation, train};
use super::trainee::{centre, coloured, planes};
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::graphs::{self, Graphs};

/// What the discriminator's parameters are named after.
const CRITIC: &str = "discriminator.";
/// Batches over which the discriminator's say grows to its weight: at first it knows nothing.
const RAMP: f64 = 500.0;
/// The generator's file.
const FILE: &str = "one-step.safetensors";

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &OneStep) -> Result<()> {
    perceptual::check(&args.perceptual)
}

/// Runs the command.
pub(crate) fn run(args: &OneStep) -> Result<()> {
    let (base, mut weights) = graphs::only(&args.init, Role::OneStep)?;
    let generator = if base.graph.graph().inputs.iter().any(|input| input.name == NOISE) {
        base.graph.clone()
    } else {
        let noisy = nets::with_noise(&base.graph, 3, SCALE)?;
        let entrance = noisy.parameters().iter().find(|p| p.name == NOISE_WEIGHT);
        if let Some(p) = entrance {
            let values = vec![0.0; p.len()];
            let shape = p.shape.clone();
            weights.insert(NOISE_WEIGHT.into(), Stored { shape, values });
        }
        noisy
    };
    if base.scale() != (SCALE, 1) {
        let why = format!("training is for networks that enlarge {SCALE} times");
        return Err(Error::at(&args.init, why));
    }
    Spectrum::sobolev(args.s)?;
    let restorer = graphs::restorer(args.restorer.as_deref())?;
    let critic = Discriminator {
        inputs: 6,
        features: args.features.into(),
    };
    let critic = critic.graph().check()?;
    let mut fresh = weights;
    for (name, tensor) in graphs::he_normal(&critic, args.common.seed).iter() {
        fresh.insert(format!("{CRITIC}{name}"), tensor.clone());
    }
    let open = |device: &Device| {
        let side = usize::from(args.common.patch) * SCALE;
        Ok(OneStepStage {
            args,
            base: &base,
            generator: &generator,
            critic: &critic,
            restorer: &restorer,
            mean: GraphNetwork::new(&restorer.0.graph, &restorer.1, device)?,
            low_pass: low_pass(args, Size::new(side, side), device)?,
            perceptual: perceptual::open(&args.perceptual, device)?,
            fresh: fresh.clone(),
            device: device.clone(),
        })
    };
    train(args, open)
}

fn low_pass(args: &OneStep, size: Size, device: &Device) -> Result<Filter> {
    let anchor = ColourAnchor::new(args.colour_anchor.get())?;
    Ok(Filter::new(
        &anchor.axis(size.width),
        &anchor.axis(size.height),
        device,
    ))
}

struct OneStepStage<'a> {
    args: &'a OneStep,
    /// What was begun with.
    base: &'a NetworkPart,
    generator: &'a TypedGraph,
    critic: &'a TypedGraph,
    restorer: &'a (NetworkPart, Weights),
    mean: GraphNetwork,
    low_pass: Filter,
    perceptual: Option<PerceptualTerm>,
    fresh: Weights,
    device: Device,
}

/// What the discriminator makes of images.
struct Judgement {
    logits: Tensor<4>,
    features: Vec<Tensor<4>>,
}

impl Judgement {
    /// The same, held.
    fn detached(self) -> Self {
        Self {
            logits: self.logits.detach(),
            features: self.features.into_iter().map(Tensor::detach).collect(),
        }
    }

    /// The mean absolute difference of features, averaged over layers.
    fn distance(&self, other: &Self) -> Tensor<1> {
        let pairs = self.features.iter().zip(&other.features);
        let each = pairs.map(|(a, b)| (a.clone() - b.clone()).abs().mean());
        let layers = self.features.len().max(1) as f64;
        Tensor::cat(each.collect(), 0).sum().mul_scalar(1.0 / layers)
    }
}

impl OneStepStage<'_> {
    /// The posterior mean of inputs.
    fn mean(&self, low: Tensor<4>) -> Result<Tensor<4>> {
        Ok(image_of(self.mean.run(&[GraphValue::Map(low)])?)?)
    }

    /// Source samples `[n, 3, h, w]`, a function of `key` and each image's index.
    fn noise(&self, key: [u64; 2], dims: [usize; 4]) -> Result<Tensor<4>> {
        coloured(self.args.s, key, dims, &self.device)
    }

    /// The generator's images, with the mean's low frequencies.
    fn sample(
        &self,
        parameters: &Parameters,
        (low, noise): (Tensor<4>, Tensor<4>),
        mean: &Tensor<4>,
        low_pass: &Filter,
    ) -> Result<Tensor<4>> {
        let own = self.args.common.precision.of(&own(parameters, self.generator));
        let inputs = [GraphValue::Map(low), GraphValue::Map(noise)];
        let x = image_of(run_graph(self.generator, &own, &inputs)?)?;
        Ok(x.clone() + low_pass.apply(mean.clone() - x))
    }

    /// The discriminator's parameters, each kernel divided by its largest singular value.
    fn critic(&self, parameters: &Parameters) -> Parameters {
        let mut all = Parameters::new();
        for p in self.critic.parameters() {
            let values = parameters[&format!("{CRITIC}{}", p.name)].clone();
            let rows = p.shape[0] as i32;
            let values = match p.shape.len() {
                1 => values,
                _ => spectrally_normalised(values.reshape([rows, -1])).reshape([-1]),
            };
            all.insert(p.name.clone(), values);
        }
        self.args.common.precision.of(&all)
    }

    /// What a discriminator of these parameters makes of images for inputs of that mean.
    fn judge(&self, critic: &Parameters, image: Tensor<4>, mean: &Tensor<4>) -> Result<Judgement> {
        let given = Tensor::cat(vec![image, mean.clone()], 1);
        let values = run_graph(self.critic, critic, &[GraphValue::Map(given)])?;
        let mut maps = values.into_iter().map(|value| image_of(vec![value]));
        Ok(Judgement {
            logits: maps
                .next()
                .ok_or_else(|| Error::new("a discriminator without logits"))??,
            features: maps.collect::<asasr_core::Result<_>>()?,
        })
    }
}

/// The parameters of a graph among others.
fn own(parameters: &Parameters, graph: &TypedGraph) -> Parameters {
    let named = |name: &String| (name.clone(), parameters[name].clone());
    graph.parameters().iter().map(|p| named(&p.name)).collect()
}

impl Stage for OneStepStage<'_> {
    fn base(&self) -> String {
        format!("{} {}", self.base.sha256, self.restorer.0.sha256)
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms> {
        let args = self.args;
        let mean = self.mean(batch.low.clone())?;
        let noise = self.noise([!args.common.seed, step], batch.high.dims())?;
        let (mean, high) = (mean.autodiff(), batch.high.autodiff());
        let inputs = (batch.low.autodiff(), noise.autodiff());
        let fake = self.sample(parameters, inputs, &mean, &self.low_pass)?;

        let critic = self.critic(parameters);
        let held: Parameters = critic
            .iter()
            .map(|(n, p)| (n.clone(), p.clone().detach()))
            .collect();
        let real = self.judge(&critic, high.clone(), &mean)?;
        let seen = self.judge(&critic, fake.clone().detach(), &mean)?;
        let learned = relativistic(real.logits.clone(), seen.logits);
        let real = real.detached();
        let shown = self.judge(&held, fake.clone(), &mean)?;

        let ramp = (step as f64 / RAMP).min(1.0);
        let weighed = |weight: f64, term: Tensor<1>| term.mul_scalar(weight);
        let mut terms = vec![
            (
                "l1",
                weighed(
                    args.pixel_weight.get(),
                    (fake.clone() - high.clone()).abs().mean(),
                ),
            ),
            (
                "adversarial",
                weighed(
                    ramp * args.adversarial_weight.get(),
                    relativistic(shown.logits.clone(), real.logits.clone()),
                ),
            ),
            (
                "features",
                weighed(ramp * args.feature_weight.get(), shown.distance(&real)),
            ),
            ("discriminator", learned),
        ];
        if let Some(term) = &self.perceptual {
            let every = args.perceptual_every.get();
            // Every batch has all terms, so that they can be summed.
            terms.push(if step.is_multiple_of(every) {
                let (name, distance) = term.of(fake, high)?;
                (name, distance.mul_scalar(every as f64))
            } else {
                ("perceptual", Tensor::zeros([1], &high.device()))
            });
        }
        Ok(terms)
    }

    /// What is learned without the discriminator, at fixed noise, decides; beside it PSNR-Y, and how far two samples lie apart.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let mut sums = [0.0; 5];
        let mut comparisons = Vec::new();
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.device);
            let [_, _, h, w] = batch.high.dims();
            let low_pass = low_pass(self.args, Size::new(w, h), &self.device)?;
            let mean = self.mean(batch.low.clone())?;
            let draw = |key: u64| {
                let noise = self.noise([key, i as u64], batch.high.dims())?;
                self.sample(average, (batch.low.clone(), noise), &mean, &low_pass)
            };
            let (x, other) = (draw(0)?, draw(1)?);
            sums[0] += f64::from(scalar((x.clone() - batch.high.clone()).abs().mean())?);
            sums[1] += f64::from(scalar((x.clone() - other).abs().mean())?);
            if let Some(term) = &self.perceptual {
                sums[2] += f64::from(scalar(term.of(x.clone(), batch.high.clone())?.1)?);
            }
            let truth = planes(batch.high)?;
            let (sample, mean) = (planes(x)?, planes(mean)?);
            if i < COMPARED {
                comparisons.push(vec![
                    ("bicubic", planes(batch.skip)?),
                    ("restorer", mean.clone()),
                    ("sample", sample.clone()),
                    ("truth", truth.clone()),
                ]);
            }
            for (at, mut image) in [(3, sample), (4, mean)] {
                metrics::quantise(&mut image);
                sums[at] += metrics::psnr_y(&image, &truth, SCALE)?.min(100.0);
            }
        }
        let [l1, spread, perceptual, psnr, psnr_mean] = sums.map(|s| s / pairs.len() as f64);
        let mut record = Map::new();
        for (name, value) in [
            ("l1", l1),
            ("spread", spread),
            ("perceptual", perceptual),
            ("psnr_y", psnr),
            ("psnr_y_restorer", psnr_mean),
        ] {
            record.insert(name.into(), json!(value));
        }
        Ok(Validation {
            score: -self.args.pixel_weight.get() * l1 - perceptual,
            text: format!(
                "perceptual {perceptual:.5}, PSNR-Y {psnr:.2} dB, the restorer's {psnr_mean:.2}; two samples differ by {spread:.4}"
            ),
            record,
            comparisons,
        })
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let weights = download(average, self.generator.parameters())?;
        let part = NetworkPart {
            sampling: Some(Sampling::in_one_step(self.args.s, self.args.colour_anchor.get())),
            training: Some(training),
            provenance: self.base.provenance.clone(),
            ..NetworkPart::new(FILE, self.generator.clone())
        };
        let common = &self.args.common;
        let mut model = Graphs::named(common.id.clone().into(), common.licence.clone().into());
        model.put(Role::Restorer, self.restorer.clone());
        model.put(Role::OneStep, (part, weights));
        model.write(folder, Dtype::F16)
    }
}
