//! `asasr train distill`: the same flow in one to four steps.
//!
//! A point of the data's path at one of the student's times is led to the next of them by several of the teacher's
//! steps; the student learns to get there in one (progressive distillation, Salimans and Ho 2022, for velocities).

use std::path::Path;

use asasr_core::model::{Training, Weights};
use asasr_core::nn::{Parameters, download};
use asasr_core::objective::{PathPoint, SobolevMetric};
use asasr_core::random::SplitMix64;
use burn::tensor::Device;

use super::config::Distill;
use super::data::Batch;
use super::optimise::{Terms, scalar};
use super::perceptual::{self, PerceptualTerm};
use super::run::{Stage, Validation, train};
use super::trainee::{Prepared, Trainee, centre, loss_terms};
use crate::error::Result;
use crate::eval::Pair;

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Distill) -> Result<()> {
    perceptual::check(&args.perceptual)
}

/// Runs the command.
pub(crate) fn run(args: &Distill) -> Result<()> {
    let open = |device: &Device| {
        let (trainee, weights) = Trainee::open(&args.model, &args.common, device)?;
        Ok(DistillStage {
            metric: trainee.metric(&args.common, trainee.s)?,
            teacher: trainee.upload(&weights),
            perceptual: perceptual::open(&args.perceptual, device)?,
            weights,
            args,
            trainee,
        })
    };
    train(args, open)
}

struct DistillStage<'a> {
    args: &'a Distill,
    trainee: Trainee,
    weights: Weights,
    teacher: Parameters,
    metric: SobolevMetric,
    perceptual: Option<PerceptualTerm>,
}

impl DistillStage<'_> {
    /// The student's loss for images that start at the given ones of its steps.
    fn loss_from(
        &self,
        student: &Parameters,
        p: &Prepared,
        steps: &[usize],
        metric: &SobolevMetric,
        perceptual: Option<&PerceptualTerm>,
    ) -> Result<Terms> {
        let (k, m) = (self.args.to.get() as f64, usize::from(self.args.teacher_steps));
        let at = |offset: f64| {
            self.trainee
                .times(steps.iter().map(|i| (*i as f64 + offset) / k).collect())
        };
        let start = PathPoint::new(&p.x0, &p.high, &at(0.0));
        let mut point = start.clone();
        for j in 0..m {
            point.t = at(j as f64 / m as f64);
            let v = self.trainee.velocity(&self.teacher, p, &point);
            point.x_t = point.x_t + v.mul_scalar(1.0 / (k * m as f64));
        }
        let target = (point.x_t - start.x_t.clone()).mul_scalar(k);
        let v = self.trainee.velocity(student, p, &start);
        let mut terms = loss_terms(metric, &(v.clone() - target), self.args.mix.get());
        if let Some(term) = perceptual {
            terms.push(term.of(start.clean_estimate(v), p.high.clone())?);
        }
        Ok(terms)
    }
}

impl Stage for DistillStage<'_> {
    fn base(&self) -> String {
        self.trainee.base(true)
    }

    fn fresh(&self) -> Weights {
        self.weights.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms> {
        let seed = self.args.common.seed;
        let mut random = SplitMix64::of([seed, step, u64::MAX]);
        let steps: Vec<usize> = (0..batch.low.dims()[0])
            .map(|_| random.below(self.args.to.into()))
            .collect();
        let prepared = self.trainee.prepare(batch, [!seed, step])?;
        let perceptual = self.perceptual.as_ref();
        self.loss_from(parameters, &prepared, &steps, &self.metric, perceptual)
    }

    /// The distance to the teacher decides, and the perceptual term of a sample where there is one; a sample is told beside it.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let to = usize::from(self.args.to);
        let terms = (self.args.mix.get(), self.perceptual.as_ref());
        let mut validation = self.trainee.validate(average, pairs, terms, to)?;
        let mut sum = 0.0;
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.trainee.device);
            let metric = self.trainee.metric_of(&batch)?;
            let prepared = self.trainee.prepare(batch, [0, i as u64])?;
            for step in 0..to {
                for (_, term) in self.loss_from(average, &prepared, &[step], &metric, None)? {
                    sum += f64::from(scalar(term)?) / to as f64;
                }
            }
        }
        let loss = sum / pairs.len() as f64;
        validation
            .record
            .insert("distance_to_teacher".into(), serde_json::json!(loss));
        validation.text = format!("distance to the teacher {loss:.6}; {}", validation.text);
        validation.score = -loss - validation.perceptual();
        Ok(validation)
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let student = download(average, self.trainee.graph.parameters())?;
        let fast = Some((usize::from(self.args.to), &self.weights));
        self.trainee
            .export(folder, &self.args.common, student, training, fast)
    }
}
