//! `asasr train distill`: the same flow in one to four steps.
//!
//! A point of the data's path at one of the student's times is led to the next of them by several of the teacher's
//! steps; the student learns to get there in one (progressive distillation, Salimans and Ho 2022, for velocities).

use std::path::Path;

use asasr_core::model::{Training, Weights};
use asasr_core::nn::{Parameters, download};
use asasr_core::objective::{PathPoint, SobolevMetric, flow_loss};
use asasr_core::random::SplitMix64;
use burn::tensor::Tensor;

use super::data::Batch;
use super::optimise::scalar;
use super::run::{Stage, Validation, command, name, prepare, train};
use super::sampler::{Prepared, Sampler, centre};
use crate::cli::Distill;
use crate::device::burn_device;
use crate::error::Result;
use crate::eval::Pair;

/// Runs the command.
pub(crate) fn run(args: &Distill) -> Result<()> {
    let checkpoint = prepare(&args.common)?;
    let device = burn_device(args.common.device)?;
    let (sampler, weights) = Sampler::open(&args.model, &device)?;
    let stage = DistillStage {
        metric: sampler.metric(&args.common, sampler.s)?,
        teacher: sampler.upload(&weights),
        weights: weights.clone(),
        args,
        sampler,
    };
    let own = format!(
        "--model {} --to {} --teacher-steps {} --mix {}",
        name(&args.model),
        args.to,
        args.teacher_steps,
        args.mix
    );
    let peak = args.common.learning_rate.unwrap_or(1e-4);
    let command = command("distill", &args.common, peak, &own);
    train(
        &args.common,
        &stage,
        &checkpoint,
        &weights,
        (&command, peak),
        &device,
    )
}

struct DistillStage<'a> {
    args: &'a Distill,
    sampler: Sampler,
    weights: Weights,
    teacher: Parameters,
    metric: SobolevMetric,
}

impl DistillStage<'_> {
    /// The student's loss for images that start at the given ones of its steps.
    fn loss_from(
        &self,
        student: &Parameters,
        p: &Prepared,
        steps: &[usize],
        metric: &SobolevMetric,
    ) -> Tensor<1> {
        let (k, m) = (f64::from(self.args.to), usize::from(self.args.teacher_steps));
        let at = |offset: f64| {
            self.sampler
                .times(steps.iter().map(|i| (*i as f64 + offset) / k).collect())
        };
        let start = PathPoint::new(&p.x0, &p.high, &at(0.0));
        let mut point = start.clone();
        for j in 0..m {
            point.t = at(j as f64 / m as f64);
            let v = self.sampler.velocity(&self.teacher, p, &point);
            point.x_t = point.x_t + v.mul_scalar(1.0 / (k * m as f64));
        }
        let target = (point.x_t - start.x_t.clone()).mul_scalar(k);
        let v = self.sampler.velocity(student, p, &start);
        flow_loss(metric, v - target, self.args.mix)
    }
}

impl Stage for DistillStage<'_> {
    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Tensor<1>> {
        let seed = self.args.common.seed;
        let mut random = SplitMix64::of([seed, step, u64::MAX]);
        let steps: Vec<usize> = (0..batch.low.dims()[0])
            .map(|_| random.below(self.args.to.into()))
            .collect();
        let prepared = self.sampler.prepare(batch, [!seed, step])?;
        Ok(self.loss_from(parameters, &prepared, &steps, &self.metric))
    }

    /// The distance to the teacher decides; a sample is told beside it.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let to = usize::from(self.args.to);
        let mut validation = self.sampler.validate(average, pairs, self.args.mix, to)?;
        let mut sum = 0.0;
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.sampler.device);
            let metric = self.sampler.metric_of(&batch)?;
            let prepared = self.sampler.prepare(batch, [0, i as u64])?;
            for step in 0..to {
                let loss = self.loss_from(average, &prepared, &[step], &metric);
                sum += f64::from(scalar(loss)?) / to as f64;
            }
        }
        let loss = sum / pairs.len() as f64;
        validation
            .record
            .insert("distance_to_teacher".into(), serde_json::json!(loss));
        validation.text = format!("distance to the teacher {loss:.6}; {}", validation.text);
        validation.score = -loss;
        Ok(validation)
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let student = download(average, &self.sampler.architecture.parameters())?;
        let fast = Some((usize::from(self.args.to), &self.weights));
        self.sampler
            .export(folder, &self.args.common, &student, training, fast)
    }
}
