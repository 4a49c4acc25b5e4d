//! `asasr train flow`: the velocity field that leads from the restorer's estimate to a likely image.

use std::path::Path;

use asasr_core::flow::{Source, TimeSampling};
use asasr_core::graph::{TypedGraph, nets};
use asasr_core::model::{GaussianSkip, Provenance, Role, Training, VelocityArchitecture, Weights};
use asasr_core::nn::{Parameters, download, init_velocity};
use asasr_core::objective::{PathPoint, SobolevMetric};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::Spectrum;
use burn::tensor::Device;

use super::config::{Backbone, Flow, Times};
use super::data::Batch;
use super::optimise::Terms;
use super::perceptual::{self, PerceptualTerm};
use super::run::{SCALE, Stage, Validation, train};
use super::source;
use super::trainee::{Trainee, loss_terms, off_graph};
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::graphs::Graphs;

/// Steps of a validation sample.
const SAMPLED: usize = 4;

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Flow) -> Result<()> {
    for s in [args.s, args.source_s].into_iter().flatten() {
        Spectrum::sobolev(s)?;
    }
    start(args)?;
    perceptual::check(&args.perceptual)
}

/// Runs the command.
pub(crate) fn run(args: &Flow) -> Result<()> {
    let begin = start(args)?;
    let restorer = args.restorer.as_deref();
    let open = |device: &Device| {
        let model = Graphs::open(args.init.as_deref().or(restorer))?;
        let (graph, source) = (begin.graph.clone(), begin.source);
        let noise = args.source_s.unwrap_or(begin.s);
        let mut trainee = Trainee::new(model, graph, source, noise, &args.common, device)?;
        trainee.loss_s = begin.s;
        trainee.colour_anchor = begin.colour_anchor;
        trainee.provenance.clone_from(&begin.provenance);
        Ok(FlowStage {
            metric: trainee.metric(&args.common, begin.s)?,
            perceptual: perceptual::open(&args.perceptual, device)?,
            fresh: begin.weights.clone(),
            args,
            trainee,
        })
    };
    train(args, open)
}

/// A flow before its first step.
struct Begin {
    graph: TypedGraph,
    weights: Weights,
    source: Source,
    s: f64,
    colour_anchor: Option<f64>,
    provenance: Option<Provenance>,
}

fn start(args: &Flow) -> Result<Begin> {
    if let Some(folder) = &args.init {
        let begun = Graphs::open(Some(folder))?.take(Role::Field);
        let why = "this model has no flow to begin with";
        let (part, weights) = begun.ok_or_else(|| Error::at(folder, why))?;
        let sampling = part.require_sampling()?;
        return Ok(Begin {
            graph: part.graph,
            weights,
            source: source::of(&args.source, Some(sampling.source))?,
            s: sampling.s,
            colour_anchor: sampling.colour_anchor,
            provenance: part.provenance,
        });
    }
    let channels = args.channels.unwrap_or(Flow::CHANNELS).into();
    let blocks = args.blocks.unwrap_or(Flow::BLOCKS).into();
    let mut architecture = match args.backbone.unwrap_or(Flow::BACKBONE) {
        Backbone::Conv => VelocityArchitecture::conv(SCALE, channels, blocks),
        Backbone::Dit => VelocityArchitecture::dit(SCALE, channels, blocks),
    };
    let rho = args.rho.unwrap_or(Flow::RHO).get();
    if rho > 0.0 {
        let sigma = f32::from(args.source.sigma.unwrap_or(Flow::SIGMA)).into();
        architecture = architecture.with_skip(GaussianSkip { sigma, rho });
    }
    architecture.validate()?;
    Ok(Begin {
        weights: init_velocity(&architecture, args.common.seed),
        graph: nets::velocity(&architecture)?.check()?,
        source: source::of(&args.source, None)?,
        s: args.s.unwrap_or(Flow::S),
        colour_anchor: None,
        provenance: None,
    })
}

struct FlowStage<'a> {
    args: &'a Flow,
    trainee: Trainee,
    metric: SobolevMetric,
    perceptual: Option<PerceptualTerm>,
    fresh: Weights,
}

impl Stage for FlowStage<'_> {
    fn base(&self) -> String {
        self.trainee.base(false)
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms> {
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
        let mut random = SplitMix64::of([seed, step, u64::MAX]);
        let t = sampling.draw(n, &mut random);
        // The noise's key is apart from the crops'.
        let prepared = self.trainee.prepare(batch, [!seed, step])?;
        let point = PathPoint::new(&prepared.x0, &prepared.high, &self.trainee.times(t));
        let v = self.trainee.velocity(parameters, &prepared, &point);
        let mut terms = loss_terms(&self.metric, &point.residual(v.clone()), self.args.mix.get());
        if let Some(term) = &self.perceptual {
            let estimate = match self.args.rollout.map(usize::from) {
                None => point.clean_estimate(v),
                Some(steps) => {
                    let done = random.below(steps);
                    let quiet = off_graph(parameters);
                    self.trainee
                        .estimate_after((parameters, &quiet), &prepared, (done, steps))?
                }
            };
            terms.push(term.of(estimate, prepared.high.clone())?);
        }
        Ok(terms)
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let terms = (self.args.mix.get(), self.perceptual.as_ref());
        self.trainee.validate(average, pairs, terms, SAMPLED)
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let weights = download(average, self.trainee.graph.parameters())?;
        self.trainee
            .export(folder, &self.args.common, weights, training, None)
    }
}
