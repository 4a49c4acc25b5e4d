//! `asasr train align`: preference optimisation of the flow, S-DPO and AS-DPO (arXiv 2605.23264).
//!
//! The reference is the flow itself, the policy the flow with a LoRA adapter. Two pairs a step share source and times:
//! the truth against the enlarged input, and the truth against an adversary's answer. A perceptual term, where samples come by, keeps what
//! the flow learned from one.

use std::path::Path;

use asasr_core::Size;
use asasr_core::flow::TimeSampling;
use asasr_core::model::{Training, Weights};
use asasr_core::nn::{AdapterSet, Parameters};
use asasr_core::objective::{
    Diagnostics, PathPoint, Preference, SobolevMetric, align, mix, negative, riesz_step, sobolev_cosine,
};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{Boundary, Spectrum};
use burn::tensor::{Device, Tensor};

use super::adversary::{self, fresh_adapter, read_adapter, write_adapter};
use super::config::{Align, Edge, Negatives, Share};
use super::data::Batch;
use super::optimise::{Terms, scalar};
use super::perceptual::{self, PerceptualTerm};
use super::run::{Stage, Validation, train};
use super::trainee::{Prepared, Trainee, centre, off_graph};
use crate::error::{Error, Result};
use crate::eval::Pair;

/// The adapter's name among others.
const NAME: &str = "preference";
/// Steps of a validation sample.
const SAMPLED: usize = 4;
/// Share of the Sobolev term in the validation's flow loss.
const MIX: f64 = 0.5;

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Align) -> Result<()> {
    Spectrum::sobolev(args.s)?;
    perceptual::check(&args.perceptual)
}

/// Runs the command.
pub(crate) fn run(args: &Align) -> Result<()> {
    check(args)?;
    let boundary = match args.boundary {
        Edge::Neumann => Boundary::Neumann,
        Edge::Periodic => Boundary::Periodic,
    };
    let open = |device: &Device| {
        let (trainee, weights) = Trainee::open(&args.model, &args.common, device)?;
        let (adapter, adapters) = fresh_adapter(NAME, args.rank.into(), args.common.seed, &trainee)?;
        let base = trainee.upload(&weights);
        let adversary = match &args.adapter {
            Some(folder) => {
                let shapes = trainee.graph.parameters();
                let mut learned = AdapterSet::default();
                learned.insert(adversary::NAME, &read_adapter(folder, shapes)?, device);
                Some(learned.apply(&base)?)
            }
            None => None,
        };
        Ok(AlignStage {
            metric: trainee.metric_under(boundary, &args.common, args.s)?,
            perceptual: perceptual::open(&args.perceptual, device)?,
            preference: Preference {
                beta: args.beta.get(),
                anchor: args.anchor.get(),
            },
            fresh: adapter.factors(),
            args,
            trainee,
            weights,
            base,
            adversary,
            adapters,
        })
    };
    train(args, open)
}

struct AlignStage<'a> {
    args: &'a Align,
    trainee: Trainee,
    weights: Weights,
    /// The reference.
    base: Parameters,
    /// The learned adversary's parameters.
    adversary: Option<Parameters>,
    adapters: AdapterSet,
    metric: SobolevMetric,
    preference: Preference,
    perceptual: Option<PerceptualTerm>,
    fresh: Weights,
}

/// The answers a step learns to reject.
struct Losers {
    images: Vec<Tensor<4>>,
    /// `H^s` cosine of the learned adversary's step to the Riesz step.
    cosine: Option<Tensor<1>>,
}

impl AlignStage<'_> {
    fn policy(&self, factors: &Parameters) -> Result<Parameters> {
        Ok(self.adapters.with_factors(NAME, factors)?.apply(&self.base)?)
    }

    /// The Riesz step on the policy's energy at the truth.
    fn riesz(
        &self,
        policy: &Parameters,
        p: &Prepared,
        t: &Tensor<1>,
        metric: &SobolevMetric,
        radius: &Tensor<1>,
    ) -> Result<Tensor<4>> {
        let truth = p.high.clone().autodiff().require_grad();
        let point = PathPoint::new(&p.x0, &truth, t);
        let energy = metric.energy(point.residual(self.trainee.velocity(policy, p, &point)));
        let gradient = truth
            // The step does not depend on the scale, which keeps small gradients above nothing in half precision.
            .grad(&(energy.sum() * self.args.common.precision.loss_scale()).backward())
            .ok_or_else(|| Error::new("the energy does not depend on the image"))?;
        Ok(riesz_step(metric, gradient, radius))
    }

    /// `policy` is off the graph.
    fn losers(
        &self,
        policy: &Parameters,
        p: &Prepared,
        t: &Tensor<1>,
        metric: &SobolevMetric,
        told: bool,
    ) -> Result<Losers> {
        let mut images = vec![p.skip.clone()];
        let n = p.high.dims()[0];
        let radius = metric.radius(self.args.eps.unwrap_or(Align::EPS).get() / 255.0, 3);
        let radius = Tensor::full([n], radius, &self.trainee.device);
        let mut cosine = None;
        match (self.args.negatives, &self.adversary) {
            (Negatives::Learned, Some(adversary)) => {
                let point = PathPoint::new(&p.x0, &p.high, t);
                let answer = point.clean_estimate(self.trainee.velocity(adversary, p, &point));
                if told {
                    let step = self.riesz(policy, p, t, metric, &radius)?;
                    cosine = Some(sobolev_cosine(metric, answer.clone() - p.high.clone(), step).mean());
                }
                images.push(match self.args.lambda {
                    Some(lambda) => mix(&p.high, &answer, lambda.get()),
                    None => negative(metric, &p.high, &answer, &radius),
                });
            }
            (Negatives::Riesz, _) => {
                let step = self.riesz(policy, p, t, metric, &radius)?;
                images.push(p.high.clone() + step.mul_scalar(self.args.lambda.map_or(1.0, Share::get)));
            }
            _ => {}
        }
        Ok(Losers { images, cosine })
    }

    fn loss_of(
        &self,
        (policy, quiet): (&Parameters, &Parameters),
        p: &Prepared,
        t: &Tensor<1>,
        metric: &SobolevMetric,
        told: bool,
    ) -> Result<(Tensor<1>, Vec<Diagnostics>, Option<Tensor<1>>)> {
        let losers = self.losers(quiet, p, t, metric, told)?;
        let (loss, diagnostics) = align(
            &self.preference,
            metric,
            |point| self.trainee.velocity(policy, p, point),
            |point| self.trainee.velocity(&self.base, p, point),
            (&p.x0, t),
            &p.high,
            &losers.images,
        );
        Ok((loss, diagnostics, losers.cosine))
    }
}

impl Stage for AlignStage<'_> {
    fn base(&self) -> String {
        self.trainee.base(true)
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms> {
        let seed = self.args.common.seed;
        let n = batch.low.dims()[0];
        let mut random = SplitMix64::of([seed, step, u64::MAX]);
        let t = TimeSampling::Stratified.draw(n, &mut random);
        let prepared = self.trainee.prepare(batch, [!seed, step])?;
        let quiet = self.policy(&off_graph(parameters))?;
        let policy = self.policy(parameters)?;
        let t = self.trainee.times(t);
        let (loss, told, _) = self.loss_of((&policy, &quiet), &prepared, &t, &self.metric, false)?;
        // The anchor's part is a constant here: all gradients flow through the other.
        let winner = told.first().map(|d| d.winner_energy.clone().autodiff());
        let anchor = winner.map_or(loss.clone().detach(), |w| w.mul_scalar(self.args.anchor.get()));
        let mut terms = vec![("preference", loss - anchor.clone()), ("anchor", anchor)];
        if let Some(term) = &self.perceptual {
            let steps = usize::from(self.args.rollout.unwrap_or(Align::ROLLOUT));
            let passed = (random.below(steps), steps);
            let estimate = self
                .trainee
                .estimate_after((&policy, &quiet), &prepared, passed)?;
            terms.push(term.of(estimate, prepared.high)?);
        }
        Ok(terms)
    }

    /// The preference loss decides, and the perceptual term of a sample where there is one; energies, margin, accuracy and a sample are
    /// told beside it.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let policy = self.policy(average)?;
        let mut validation =
            self.trainee
                .validate(&policy, pairs, (MIX, self.perceptual.as_ref()), SAMPLED)?;
        let mut sums = [0.0; 6];
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.trainee.device);
            let [_, _, h, w] = batch.high.dims();
            let metric = self.trainee.metric_of_order(Size::new(w, h), self.args.s)?;
            let prepared = self.trainee.prepare(batch, [0, i as u64])?;
            let t = self.trainee.times(vec![0.5]);
            let (loss, diagnostics, cosine) =
                self.loss_of((&policy, &policy), &prepared, &t, &metric, true)?;
            sums[0] += f64::from(scalar(loss)?);
            let k = diagnostics.len() as f64;
            for d in diagnostics {
                for (sum, value) in
                    sums[1..]
                        .iter_mut()
                        .zip([d.winner_energy, d.loser_energy, d.margin, d.accuracy])
                {
                    *sum += f64::from(scalar(value)?) / k;
                }
            }
            sums[5] += cosine.map_or(Ok(0.0), scalar).map(f64::from)?;
        }
        let sums = sums.map(|s| s / pairs.len() as f64);
        let names = [
            "preference_loss",
            "winner_energy",
            "loser_energy",
            "margin",
            "accuracy",
            "riesz_cosine",
        ];
        for (name, value) in names.iter().zip(sums) {
            if *name != "riesz_cosine" || self.adversary.is_some() {
                validation.record.insert((*name).into(), serde_json::json!(value));
            }
        }
        validation.score = -sums[0] - validation.perceptual();
        validation.text = format!(
            "preference loss {:.5}, margin {:+.4}, accuracy {:.2}; {}",
            sums[0], sums[3], sums[4], validation.text
        );
        Ok(validation)
    }

    /// The model with the adapter merged, and the adapter by itself.
    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let adapter = self.adapters.with_factors(NAME, average)?.download(NAME)?;
        let mut merged = self.weights.clone();
        adapter.merge(&mut merged, 1.0)?;
        write_adapter(&folder.join("adapter"), &adapter)?;
        self.trainee
            .export(folder, &self.args.common, merged, training, None)
    }
}
