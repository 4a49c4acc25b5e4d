//! `asasr train flow`: the velocity field that leads from the restorer's estimate to a likely image.

use std::path::Path;

use asasr_core::flow::{Schedule, Solver, Source, TimeSampling, integrate};
use asasr_core::model::{Dtype, FlowPart, Manifest, Training, VelocityArchitecture, Weights, sha256_hex};
use asasr_core::nn::{
    ConditionedField, Conditioning, Network, Parameters, VelocityField, download, init_velocity,
    velocity_field,
};
use asasr_core::objective::{PathPoint, SobolevMetric, flow_loss};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{ColouredNoise, Laplacian, Spectrum, log_spectral_distance};
use asasr_core::{Planes, Rect, metrics, resample};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde_json::{Map, json};

use super::data::Batch;
use super::optimise::scalar;
use super::run::{SCALE, Stage, Validation, command, name, prepare, train};
use crate::cli::{Backbone, Flow, Times};
use crate::device::burn_device;
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::files;
use crate::model::{self, Model};

/// Side of the crop that validation samples, in low-quality pixels.
const VALIDATED: usize = 40;
/// Steps of a validation sample.
const SAMPLED: usize = 4;
/// Times at which the validation loss is taken.
const TIMES: [f64; 3] = [0.1, 0.5, 0.9];

/// Runs the command.
pub(crate) fn run(args: &Flow) -> Result<()> {
    let checkpoint = prepare(&args.common)?;
    let device = burn_device(args.common.device)?;
    let Model {
        manifest, restorer, ..
    } = model::open(args.restorer.as_deref())?;
    if manifest.architecture.scale != SCALE {
        return Err(Error::new(format!(
            "the restorer enlarges {} times; flows are trained for {SCALE}",
            manifest.architecture.scale
        )));
    }
    let (channels, blocks) = (args.channels.into(), args.blocks.into());
    let architecture = match args.backbone {
        Backbone::Conv => VelocityArchitecture::conv(SCALE, channels, blocks),
        Backbone::Dit => VelocityArchitecture::dit(SCALE, channels, blocks),
    };
    let field = velocity_field(&architecture)?;
    let spectrum = Spectrum::sobolev(args.s)?;
    let metric =
        |side: usize| SobolevMetric::new(side, side, spectrum.clone(), Laplacian::default(), &device);
    let stage = FlowStage {
        args,
        network: Network::new(&manifest.architecture, &restorer, &device)?,
        manifest,
        restorer,
        architecture: architecture.clone(),
        field,
        metric: metric(usize::from(args.common.patch) * SCALE)?,
        spectrum,
        source: Source::PosteriorMean { sigma: args.sigma },
        device: device.clone(),
    };
    let own = format!(
        "{}--backbone {} --channels {} --blocks {} --sigma {} --s {} --mix {} --times {}",
        args.restorer
            .as_deref()
            .map_or(String::new(), |r| format!("--restorer {} ", name(r))),
        if args.backbone == Backbone::Conv {
            "conv"
        } else {
            "dit"
        },
        args.channels,
        args.blocks,
        args.sigma,
        args.s,
        args.mix,
        match args.times {
            Times::Uniform => "uniform",
            Times::Stratified => "stratified",
            Times::LogitNormal => "logit-normal",
        },
    );
    let fresh = init_velocity(&architecture, args.common.seed);
    let command = command("flow", &args.common, &own);
    train(&args.common, &stage, &checkpoint, &fresh, &command, &device)
}

struct FlowStage<'a> {
    args: &'a Flow,
    manifest: Manifest,
    restorer: Weights,
    network: Network,
    architecture: VelocityArchitecture,
    field: Box<dyn VelocityField>,
    metric: SobolevMetric,
    spectrum: Spectrum,
    source: Source,
    device: Device,
}

/// A batch with everything a flow needs, off the graph.
pub(super) struct Prepared {
    pub(super) condition: Conditioning,
    pub(super) x0: Tensor<4>,
    pub(super) high: Tensor<4>,
}

impl FlowStage<'_> {
    /// The posterior mean and the source sample of a batch; the noise is a function of `key` and the image's index.
    fn prepare(&self, batch: Batch, key: [u64; 2]) -> Result<Prepared> {
        let mean = self.network.residual(batch.low.clone()) + batch.skip;
        let [n, c, h, w] = mean.dims();
        let noise: Vec<Planes> = (0..n as u64)
            .into_par_iter()
            .map(|i| {
                let seed = SplitMix64::of([key[0], key[1], i]).next_u64();
                ColouredNoise::new(seed, h, w, self.spectrum.clone())?.tile(c, whole(w, h))
            })
            .collect::<asasr_core::Result<_>>()?;
        let values: Vec<f32> = noise.into_iter().flat_map(Planes::into_data).collect();
        let noise = Tensor::from_data(TensorData::new(values, [n, c, h, w]), &self.device);
        Ok(Prepared {
            x0: mean.clone() + noise * self.source.sigma(),
            condition: Conditioning {
                low: batch.low,
                mean: Some(mean),
            },
            high: batch.high,
        })
    }

    /// The loss of prepared images at times `t`.
    fn loss_at(
        &self,
        parameters: &Parameters,
        p: &Prepared,
        t: Vec<f64>,
        metric: &SobolevMetric,
    ) -> Tensor<1> {
        let n = t.len();
        let t: Tensor<1> = Tensor::from_data(TensorData::new(t, [n]), &self.device);
        let point = PathPoint::new(&p.x0, &p.high, &t);
        let v = self
            .field
            .velocity(parameters, point.x_t.clone(), t, &p.condition);
        flow_loss(metric, point.residual(v), self.args.mix)
    }
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
        let prepared = self.prepare(batch, [!seed, step])?;
        Ok(self.loss_at(parameters, &prepared, t, &self.metric))
    }

    /// The flow loss at fixed times and noise decides; a sample's PSNR-Y and spectral distance are told beside it.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let mut sums = [0.0; 5];
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.device);
            let [_, _, h, w] = batch.high.dims();
            let metric = SobolevMetric::new(h, w, self.spectrum.clone(), Laplacian::default(), &self.device)?;
            let truth = planes(batch.high.clone())?;
            let prepared = self.prepare(batch, [0, i as u64])?;
            for t in TIMES {
                let loss = self.loss_at(average, &prepared, vec![t], &metric);
                sums[0] += f64::from(scalar(loss)?) / TIMES.len() as f64;
            }
            let mean = prepared
                .condition
                .mean
                .clone()
                .unwrap_or_else(|| prepared.x0.clone());
            let mut field = ConditionedField::new(&*self.field, average, prepared.condition)?;
            let schedule = Schedule::uniform(SAMPLED)?;
            let x1 = integrate(&mut field, prepared.x0, &schedule, Solver::Euler, |_| true);
            for (at, image) in [(1, pollster::block_on(x1)?), (3, mean)] {
                let mut image = planes(image)?;
                metrics::quantise(&mut image);
                sums[at] += metrics::psnr_y(&image, &truth, SCALE)?.min(100.0);
                let lsd = log_spectral_distance(&metrics::luma(&image), &metrics::luma(&truth), h, w, 1)?;
                sums[at + 1] += lsd.total;
            }
        }
        let [loss, psnr, lsd, psnr_mean, lsd_mean] = sums.map(|s| s / pairs.len() as f64);
        let mut record = Map::new();
        for (name, value) in [
            ("flow_loss", loss),
            ("psnr_y", psnr),
            ("lsd", lsd),
            ("psnr_y_restorer", psnr_mean),
            ("lsd_restorer", lsd_mean),
        ] {
            record.insert(name.into(), json!(value));
        }
        Ok(Validation {
            score: -loss,
            text: format!(
                "loss {loss:.5}; in {SAMPLED} steps PSNR-Y {psnr:.2} dB and LSD {lsd:.2} dB, the restorer {psnr_mean:.2} \
                 and {lsd_mean:.2}"
            ),
            record,
        })
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        _score: &Validation,
    ) -> Result<()> {
        let weights = download(average, &self.architecture.parameters())?;
        let bytes = weights.to_safetensors(Dtype::F16)?;
        let file = "flow.safetensors";
        let restorer = self.restorer.to_safetensors(Dtype::F16)?;
        let manifest = Manifest {
            id: self.args.common.id.clone(),
            licence: self.args.common.licence.clone(),
            bytes: restorer.len(),
            sha256: sha256_hex(&restorer),
            flow: Some(FlowPart {
                file: file.into(),
                bytes: bytes.len(),
                sha256: sha256_hex(&bytes),
                parameters: self.architecture.parameter_count(),
                architecture: self.architecture.clone(),
                source: self.source,
                s: self.args.s,
                training,
            }),
            ..self.manifest.clone()
        };
        files::write(&folder.join(&manifest.file), &restorer)?;
        files::write(&folder.join(file), &bytes)?;
        files::write(&folder.join("manifest.json"), manifest.to_json()?.as_bytes())
    }
}

fn whole(width: usize, height: usize) -> Rect {
    Rect {
        x0: 0,
        y0: 0,
        x1: width,
        y1: height,
    }
}

/// The middle of a validation pair as a batch of one.
fn centre(pair: &Pair, device: &Device) -> Batch {
    let side = |n: usize| (n.saturating_sub(VALIDATED) / 2, n.min(VALIDATED));
    let ((x0, w), (y0, h)) = (side(pair.lq.width()), side(pair.lq.height()));
    let rect = Rect {
        x0,
        y0,
        x1: x0 + w,
        y1: y0 + h,
    };
    let low = pair.lq.crop(rect);
    let tensor = |p: &Planes| {
        let shape = [1, 3, p.height(), p.width()];
        Tensor::from_data(TensorData::new(p.data().to_vec(), shape), device)
    };
    Batch {
        skip: tensor(&resample::enlarge(&low, SCALE)),
        high: tensor(&pair.hq.crop(rect.scaled(SCALE))),
        low: tensor(&low),
    }
}

/// The one image of a batch.
fn planes(x: Tensor<4>) -> Result<Planes> {
    let [_, c, h, w] = x.dims();
    let values = x
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))?;
    Ok(Planes::new(c, h, w, values)?)
}
