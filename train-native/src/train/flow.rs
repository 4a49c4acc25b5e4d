//! `asasr train flow`: the velocity field that leads from the restorer's estimate to a likely image.

use std::path::Path;

use asasr_core::flow::{Source, TimeSampling};
use asasr_core::model::{GaussianSkip, Training, VelocityArchitecture};
use asasr_core::nn::{Parameters, download, init_velocity};
use asasr_core::objective::SobolevMetric;
use asasr_core::random::SplitMix64;
use burn::tensor::Tensor;

use super::data::Batch;
use super::run::{SCALE, Stage, Validation, command, name, prepare, train};
use super::sampler::Sampler;
use crate::cli::{Backbone, Flow, Times};
use crate::device::burn_device;
use crate::error::Result;
use crate::eval::Pair;
use crate::model;

/// Steps of a validation sample.
const SAMPLED: usize = 4;

/// Runs the command.
pub(crate) fn run(args: &Flow) -> Result<()> {
    let checkpoint = prepare(&args.common)?;
    let device = burn_device(args.common.device)?;
    let (channels, blocks) = (args.channels.into(), args.blocks.into());
    let architecture = match args.backbone {
        Backbone::Conv => VelocityArchitecture::conv(SCALE, channels, blocks),
        Backbone::Dit => VelocityArchitecture::dit(SCALE, channels, blocks),
    };
    let architecture = if args.rho > 0.0 {
        let sigma = args.sigma.into();
        architecture.with_skip(GaussianSkip { sigma, rho: args.rho })
    } else {
        architecture
    };
    let source = Source::PosteriorMean { sigma: args.sigma };
    let model = model::open(args.restorer.as_deref())?;
    let sampler = Sampler::new(model, architecture.clone(), source, args.s, &device)?;
    let stage = FlowStage {
        metric: sampler.metric(&args.common, args.s)?,
        args,
        sampler,
    };
    let restorer = args.restorer.as_deref();
    let own = format!(
        "{}--backbone {} --channels {} --blocks {} --sigma {} --rho {} --s {} --mix {} --times {}",
        restorer.map_or(String::new(), |r| format!("--restorer {} ", name(r))),
        if args.backbone == Backbone::Conv {
            "conv"
        } else {
            "dit"
        },
        args.channels,
        args.blocks,
        args.sigma,
        args.rho,
        args.s,
        args.mix,
        match args.times {
            Times::Uniform => "uniform",
            Times::Stratified => "stratified",
            Times::LogitNormal => "logit-normal",
        },
    );
    let fresh = init_velocity(&architecture, args.common.seed);
    let peak = args.common.learning_rate.unwrap_or(5e-4);
    let command = command("flow", &args.common, peak, &own);
    train(
        &args.common,
        &stage,
        &checkpoint,
        &fresh,
        (&command, peak),
        &device,
    )
}

struct FlowStage<'a> {
    args: &'a Flow,
    sampler: Sampler,
    metric: SobolevMetric,
}

impl Stage for FlowStage<'_> {
    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Tensor<1>> {
        let sampling = match self.args.times {
            Times::Uniform => TimeSampling::Uniform,
            Times::Stratified => TimeSampling::Stratified,
            Times::LogitNormal => TimeSampling::LogitNormal {
                mean: 0.0,
                deviation: 1.0,
            },
        };
        let seed = self.args.common.seed;
        let n = batch.low.dims()[0];
        let t = sampling.draw(n, &mut SplitMix64::of([seed, step, u64::MAX]));
        // The noise's key is apart from the crops'.
        let prepared = self.sampler.prepare(batch, [!seed, step])?;
        Ok(self
            .sampler
            .loss(parameters, &prepared, t, &self.metric, self.args.mix))
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        self.sampler.validate(average, pairs, self.args.mix, SAMPLED)
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let weights = download(average, &self.sampler.architecture.parameters())?;
        self.sampler
            .export(folder, &self.args.common, &weights, training, None)
    }
}
