//! What every stage on top of a restorer shares: the source, the field, the validation by sampling, the export.

use std::fmt::Write as _;
use std::path::Path;

use asasr_core::flow::{Field as _, Sampling, Schedule, Source, State as _, integrate};
use asasr_core::graph::TypedGraph;
use asasr_core::model::{Dtype, NetworkPart, Provenance, Role, Training, Weights};
use asasr_core::nn::{
    ConditionedField, Conditioning, GraphNetwork, GraphValue, Held, Parameters, VelocityField, graph_field,
    image_of, upload,
};
use asasr_core::objective::{PathPoint, SobolevMetric, flow_loss};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{Boundary, ColouredNoise, Laplacian, Spectrum, log_spectral_distance};
use asasr_core::{Planes, Rect, Size, metrics, resample};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde_json::{Map, json};

use super::config::Common;
use super::data::{Batch, stacked};
use super::optimise::{Terms, scalar};
use super::perceptual::PerceptualTerm;
use super::run::{COMPARED, SCALE, Validation};
use crate::device::Precision;
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::graphs::Graphs;

/// Side of the crop that validation samples, in low-quality pixels.
const VALIDATED: usize = 40;
/// Times at which the validation loss is taken.
const TIMES: [f64; 3] = [0.1, 0.5, 0.9];

/// A velocity field that is trained, and the restorer that it starts from.
pub(super) struct Trainee {
    model: Graphs,
    restorer: GraphNetwork,
    pub(super) graph: TypedGraph,
    pub(super) field: Box<dyn VelocityField>,
    pub(super) source: Source,
    /// Sobolev order of the source's noise.
    pub(super) s: f64,
    /// Sobolev order of the flow loss that validation takes; the noise's, unless a stage has another.
    pub(super) loss_s: f64,
    /// The colour anchor of the flow that a stage goes on with.
    pub(super) colour_anchor: Option<f64>,
    /// Where the first weights of the flow that a stage goes on with are from.
    pub(super) provenance: Option<Provenance>,
    precision: Precision,
    pub(super) device: Device,
}

/// A batch with everything a flow needs, off the graph.
pub(super) struct Prepared {
    pub(super) condition: Conditioning,
    pub(super) x0: Tensor<4>,
    pub(super) high: Tensor<4>,
    /// The bicubic enlargement of the input.
    pub(super) skip: Tensor<4>,
    /// The posterior mean.
    pub(super) mean: Tensor<4>,
}

impl Trainee {
    /// A field to be trained on the restorer of `model`.
    pub(super) fn new(
        model: Graphs,
        graph: TypedGraph,
        source: Source,
        s: f64,
        common: &Common,
        device: &Device,
    ) -> Result<Self> {
        if model.scale()? != SCALE {
            return Err(Error::new(format!(
                "the restorer enlarges {} times; flows are trained for {SCALE}",
                model.scale()?
            )));
        }
        Spectrum::sobolev(s)?;
        let (part, weights) = model.restorer()?;
        Ok(Self {
            restorer: GraphNetwork::new(&part.graph, weights, device)?,
            model,
            field: graph_field(&graph)?,
            graph,
            source,
            s,
            loss_s: s,
            colour_anchor: None,
            provenance: None,
            precision: common.precision,
            device: device.clone(),
        })
    }

    /// The flow of the model in `folder`, and its weights.
    pub(super) fn open(folder: &Path, common: &Common, device: &Device) -> Result<(Self, Weights)> {
        let model = Graphs::open(Some(folder))?;
        let why = "this model has no flow: train one with `asasr train flow`";
        let (part, weights) = model.network(Role::Field).ok_or_else(|| Error::at(folder, why))?;
        let (part, weights, sampling) = (part.clone(), weights.clone(), part.require_sampling()?);
        let mut trainee = Self::new(model, part.graph, sampling.source, sampling.s, common, device)?;
        trainee.colour_anchor = sampling.colour_anchor;
        trainee.provenance = part.provenance;
        Ok((trainee, weights))
    }

    /// The hashes of the model that a stage builds on, of a model without a flow those of its restorer, and its source where it is local.
    pub(super) fn base(&self, with_flow: bool) -> String {
        let networks = &self.model.manifest.networks;
        let flow = networks.get(&Role::Field).filter(|_| with_flow);
        let restorer = self.model.manifest.restorer().map_or("", |part| &part.sha256);
        let mut base = format!("{restorer} {}", flow.map_or("", |f| &f.sha256));
        // The same weights may be sampled from another source.
        if let Source::LocalPosteriorMean { sigma, least, slope } = self.source {
            let _ = write!(base, " {sigma} {least} {slope}");
        }
        base
    }

    /// The metric of order `s` on square training crops.
    pub(super) fn metric(&self, common: &Common, s: f64) -> Result<SobolevMetric> {
        let side = usize::from(common.patch) * SCALE;
        self.metric_of_order(Size::new(side, side), s)
    }

    /// The same under another boundary.
    pub(super) fn metric_under(&self, boundary: Boundary, common: &Common, s: f64) -> Result<SobolevMetric> {
        let side = usize::from(common.patch) * SCALE;
        let laplacian = Laplacian {
            boundary,
            ..Laplacian::default()
        };
        Ok(SobolevMetric::new(
            Size::new(side, side),
            Spectrum::sobolev(s)?,
            laplacian,
            &self.device,
        )?)
    }

    /// The metric of the source's order for the images of a batch.
    pub(super) fn metric_of(&self, batch: &Batch) -> Result<SobolevMetric> {
        let [_, _, h, w] = batch.high.dims();
        self.metric_of_order(Size::new(w, h), self.loss_s)
    }

    /// The metric of order `s` for images of a size.
    pub(super) fn metric_of_order(&self, size: Size, s: f64) -> Result<SobolevMetric> {
        Ok(SobolevMetric::new(
            size,
            Spectrum::sobolev(s)?,
            Laplacian::default(),
            &self.device,
        )?)
    }

    /// Weights of the field on the device.
    pub(super) fn upload(&self, weights: &Weights) -> Parameters {
        upload(weights, &self.device)
    }

    /// The posterior mean and the source sample of a batch; the noise is a function of `key` and the image's index.
    pub(super) fn prepare(&self, batch: Batch, key: [u64; 2]) -> Result<Prepared> {
        let mean = image_of(self.restorer.run(&[GraphValue::Map(batch.low.clone())])?)?;
        let [_, _, h, w] = mean.dims();
        let deviation = self.deviation(&batch.low, Size::new(w, h))?;
        let noise = coloured(self.s, key, mean.dims(), &self.device)? * deviation;
        let around = if self.source.around_mean() {
            mean.clone()
        } else {
            mean.zeros_like()
        };
        Ok(Prepared {
            x0: around + noise,
            condition: Conditioning {
                low: batch.low,
                mean: Some(mean.clone()),
            },
            high: batch.high,
            skip: batch.skip,
            mean,
        })
    }

    /// The deviation of the source's noise for inputs `[n, 3, h, w]`: `[n, 1, height, width]`, or `[1, 1, 1, 1]` where it is the same
    /// everywhere.
    fn deviation(&self, low: &Tensor<4>, size: Size) -> Result<Tensor<4>> {
        let Source::LocalPosteriorMean { .. } = self.source else {
            return Ok(Tensor::full([1, 1, 1, 1], self.source.sigma(), &self.device));
        };
        let n = low.dims()[0];
        let mut values = Vec::with_capacity(n * size.pixels());
        for i in 0..n {
            let low = planes(low.clone().narrow(0, i, 1))?;
            values.extend(resample::linear(&self.source.deviation(&low), size).into_data());
        }
        Ok(Tensor::from_data(
            TensorData::new(values, [n, 1, size.height, size.width]),
            &self.device,
        ))
    }

    /// The field's velocity at a point.
    pub(super) fn velocity(&self, parameters: &Parameters, p: &Prepared, point: &PathPoint) -> Tensor<4> {
        let t = point.t.clone();
        self.field
            .velocity(&self.precision.of(parameters), point.x_t.clone(), t, &p.condition)
    }

    /// A sample in `steps` steps from the source, as inference takes it but for the colour anchor.
    fn sample(&self, parameters: &Parameters, p: &Prepared, steps: usize) -> Result<Tensor<4>> {
        let schedule = Schedule::uniform(steps)?;
        let mut field = self.held(parameters, p)?;
        let x1 = integrate(&mut field, p.x0.clone(), &schedule, |_| true);
        Ok(pollster::block_on(x1)?)
    }

    /// The end that the field points at after `done` of `steps` steps of such a sample, fewer than all; these are of `quiet`, the same
    /// parameters off the graph. As in a sample it is held to the range of images, beyond which there is no gradient.
    pub(super) fn estimate_after(
        &self,
        (parameters, quiet): (&Parameters, &Parameters),
        p: &Prepared,
        (done, steps): (usize, usize),
    ) -> Result<Tensor<4>> {
        let schedule = Schedule::uniform(steps)?;
        let mut x = p.x0.clone();
        let quiet = self.precision.of(quiet);
        let mut field = self.held(&quiet, p)?;
        for pair in schedule.times().windows(2).take(done) {
            let v = pollster::block_on(field.velocity(&x, pair[0]))?;
            x = x.plus(&v, pair[1] - pair[0]);
        }
        let t = schedule.times()[done];
        let parameters = self.precision.of(parameters);
        let mut field = self.held(&parameters, p)?;
        let v = pollster::block_on(field.velocity(&x, t))?;
        Ok(x.plus(&v, 1.0 - t))
    }

    fn held<'a>(&'a self, parameters: &'a Parameters, p: &Prepared) -> Result<Held<ConditionedField<'a>>> {
        let field = ConditionedField::new(&*self.field, parameters, p.condition.clone())?;
        Ok(Held(field))
    }

    /// Times as a tensor.
    pub(super) fn times(&self, t: Vec<f64>) -> Tensor<1> {
        let n = t.len();
        Tensor::from_data(TensorData::new(t, [n]), &self.device)
    }

    /// The loss `mix` of prepared images at times `t`.
    pub(super) fn loss(
        &self,
        parameters: &Parameters,
        p: &Prepared,
        t: Vec<f64>,
        metric: &SobolevMetric,
        mix: f64,
    ) -> Tensor<1> {
        let point = PathPoint::new(&p.x0, &p.high, &self.times(t));
        flow_loss(metric, point.residual(self.velocity(parameters, p, &point)), mix)
    }

    /// The flow loss at fixed times and noise, and PSNR-Y and spectral distance of a sample of `steps` steps beside the
    /// restorer's; the score is minus the loss, and minus the perceptual term of the sample where there is one.
    pub(super) fn validate(
        &self,
        parameters: &Parameters,
        pairs: &[Pair],
        (mix, perceptual): (f64, Option<&PerceptualTerm>),
        steps: usize,
    ) -> Result<Validation> {
        let mut sums = [0.0; 6];
        let mut comparisons = Vec::new();
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.device);
            let [_, _, h, w] = batch.high.dims();
            let metric = self.metric_of_order(Size::new(w, h), self.loss_s)?;
            let (high, truth) = (batch.high.clone(), planes(batch.high.clone())?);
            let prepared = self.prepare(batch, [0, i as u64])?;
            for t in TIMES {
                let loss = self.loss(parameters, &prepared, vec![t], &metric, mix);
                sums[0] += f64::from(scalar(loss)?) / TIMES.len() as f64;
            }
            let x1 = self.sample(parameters, &prepared, steps)?;
            if let Some(term) = perceptual {
                sums[5] += f64::from(scalar(term.of(x1.clone(), high)?.1)?);
            }
            let (sample, mean) = (planes(x1)?, planes(prepared.mean)?);
            if i < COMPARED {
                comparisons.push(vec![
                    ("bicubic", planes(prepared.skip)?),
                    ("restorer", mean.clone()),
                    ("sample", sample.clone()),
                    ("truth", truth.clone()),
                ]);
            }
            for (at, mut image) in [(1, sample), (3, mean)] {
                metrics::quantise(&mut image);
                sums[at] += metrics::psnr_y(&image, &truth, SCALE)?.min(100.0);
                let lsd = log_spectral_distance(
                    &metrics::luma(&image),
                    &metrics::luma(&truth),
                    Size::new(w, h),
                    1,
                )?;
                sums[at + 1] += lsd.total;
            }
        }
        let [loss, psnr, lsd, psnr_mean, lsd_mean, distance] = sums.map(|s| s / pairs.len() as f64);
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
        let mut beside = String::new();
        if perceptual.is_some() {
            record.insert("perceptual".into(), json!(distance));
            beside = format!(", of a sample perceptual {distance:.5}");
        }
        Ok(Validation {
            score: -loss - distance,
            text: format!(
                "loss {loss:.5}{beside}; in {steps} steps PSNR-Y {psnr:.2} dB and LSD {lsd:.2} dB, the restorer {psnr_mean:.2} \
                 and {lsd_mean:.2}"
            ),
            record,
            comparisons,
        })
    }

    /// Writes a model: the restorer, and `weights` as its flow or, with their number of steps, as its fast flow beside
    /// the flow they were distilled from.
    pub(super) fn export(
        &self,
        folder: &Path,
        common: &Common,
        weights: Weights,
        training: Training,
        fast: Option<(usize, &Weights)>,
    ) -> Result<()> {
        // What the anchor would do to a distilled flow is not measured.
        let part =
            |file: &str, (steps, colour_anchor): (usize, Option<f64>), training: Training| NetworkPart {
                sampling: Some(Sampling {
                    source: self.source,
                    s: self.s,
                    steps,
                    colour_anchor,
                }),
                training: Some(training),
                provenance: self.provenance.clone(),
                ..NetworkPart::new(file, self.graph.clone())
            };
        let mut model = Graphs::named(common.id.clone().into(), common.licence.clone().into());
        // A network that samples in one step stays behind: `fast` is to show what was trained.
        let (restorer, restoring) = self.model.restorer()?;
        model.manifest.measured.clone_from(&self.model.manifest.measured);
        model.put(Role::Restorer, (restorer.clone(), restoring.clone()));
        let quality = (Schedule::default().steps(), self.colour_anchor);
        if let Some((steps, teacher)) = fast {
            let own = self.model.network(Role::Field);
            let own = own.and_then(|(part, _)| part.training.clone());
            let flow = part(
                "flow.safetensors",
                quality,
                own.unwrap_or_else(|| training.clone()),
            );
            model.put(Role::Field, (flow, teacher.clone()));
            let fast = part("fast.safetensors", (steps, None), training);
            model.put(Role::FewSteps, (fast, weights));
        } else {
            let flow = part("flow.safetensors", quality, training);
            model.put(Role::Field, (flow, weights));
        }
        model.write(folder, Dtype::F16)
    }
}

/// Coloured noise of order `s` and deviation 1, `[n, c, h, w]`, a function of `key` and each image's index.
pub(super) fn coloured(
    s: f64,
    key: [u64; 2],
    [n, c, h, w]: [usize; 4],
    device: &Device,
) -> Result<Tensor<4>> {
    let spectrum = Spectrum::sobolev(s)?;
    let size = Size::new(w, h);
    let noise: Vec<Planes> = (0..n as u64)
        .into_par_iter()
        .map(|i| {
            let seed = SplitMix64::of([key[0], key[1], i]).next_u64();
            ColouredNoise::new(seed, size, spectrum)?.tile(c, size.whole())
        })
        .collect::<asasr_core::Result<_>>()?;
    Ok(stacked(&noise, device))
}

/// Parameters without the graph that they are learned on.
pub(super) fn off_graph(parameters: &Parameters) -> Parameters {
    parameters
        .iter()
        .map(|(name, values)| (name.clone(), values.clone().inner()))
        .collect()
}

/// The terms of [`flow_loss`] that `mix` leaves.
pub(super) fn loss_terms(metric: &SobolevMetric, gamma: &Tensor<4>, mix: f64) -> Terms {
    let mut terms = Terms::new();
    if mix < 1.0 {
        let plain = flow_loss(metric, gamma.clone(), 0.0);
        terms.push(("l2", plain.mul_scalar(1.0 - mix)));
    }
    if mix > 0.0 {
        let energy = metric.energy(gamma.clone()).mean();
        terms.push(("sobolev", energy.mul_scalar(mix)));
    }
    terms
}

/// The middle of a validation pair as a batch of one.
pub(super) fn centre(pair: &Pair, device: &Device) -> Batch {
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
pub(super) fn planes(x: Tensor<4>) -> Result<Planes> {
    let [_, c, h, w] = x.dims();
    let values = x
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))?;
    Ok(Planes::new(c, h, w, values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::{Flow, options::parsed};
    use asasr_core::graph::{Graph, nets};
    use asasr_core::model::VelocityArchitecture;

    /// What training starts from is what sampling starts from.
    #[test]
    fn sources_are_those_of_the_core() {
        let args = flow_args();
        let device = Device::flex();
        let low = low_quality();
        let key = [5, 6];
        for source in [
            Source::PosteriorMean { sigma: 0.1 },
            Source::Noise { sigma: 0.5 },
            Source::LocalPosteriorMean {
                sigma: 0.1,
                least: 0.01,
                slope: 0.2,
            },
        ] {
            let field = nets::velocity(&VelocityArchitecture::conv(SCALE, 8, 1)).and_then(Graph::check);
            let model = Graphs::open(None).expect("built in");
            let field = field.expect("a network");
            let trainee = Trainee::new(model, field, source, 1.5, &args.common, &device).expect("opens");
            let prepared = trainee.prepare(batch_of([&low, &low]), key).expect("prepares");
            for i in 0..2 {
                let seed = SplitMix64::of([key[0], key[1], i as u64]).next_u64();
                let noise =
                    ColouredNoise::new(seed, Size::new(32, 32), Spectrum::sobolev(1.5).expect("in range"));
                let mean = planes(prepared.mean.clone().narrow(0, i, 1)).expect("reads");
                let want = source
                    .sample((&low, &mean), &noise.expect("plans"), Rect::whole(32, 32))
                    .expect("fits");
                let got = planes(prepared.x0.clone().narrow(0, i, 1)).expect("reads");
                for (a, b) in got.data().iter().zip(want.data()) {
                    assert!((a - b).abs() < 1e-6, "{source:?}");
                }
            }
        }
    }

    fn low_quality() -> Planes {
        let value = |i: usize| ((i * 7919) % 257) as f32 / 256.0;
        Planes::new(3, 8, 8, (0..3 * 64).map(value).collect()).expect("sizes agree")
    }

    /// Inputs with their enlargements for truths.
    fn batch_of<const N: usize>(low: [&Planes; N]) -> Batch {
        let device = Device::flex();
        let skip = low.map(|low| resample::enlarge(low, SCALE));
        Batch {
            low: stacked(low, &device),
            skip: stacked(&skip, &device),
            high: stacked(&skip, &device),
        }
    }

    fn flow_args() -> Flow {
        let words = ["asasr", "train", "flow", "--data=PHOTOS", "--out=RUN"].map(String::from);
        parsed(&words).expect("parses")
    }

    /// The estimate before the last step is the sample, and its gradient is that of the last evaluation alone.
    #[test]
    fn estimates_end_in_the_sample() {
        let args = flow_args();
        let device = Device::flex();
        let (trainee, weights) =
            Trainee::open(Path::new("asasr-x4-clean"), &args.common, &device).expect("opens");
        let prepared = trainee
            .prepare(batch_of([&low_quality()]), [1, 2])
            .expect("prepares");
        let tracked: Parameters = trainee
            .upload(&weights)
            .into_iter()
            .map(|(name, t)| (name, t.autodiff().require_grad()))
            .collect();
        let plain = trainee.upload(&weights);
        let sample = planes(trainee.sample(&plain, &prepared, 3).expect("samples")).expect("reads");
        let head = |end: Tensor<4>| {
            let gradients = end.square().sum().backward();
            tracked["head.weight"].grad(&gradients).expect("reaches the loss")
        };
        let mut x = prepared.x0.clone();
        let mut far = 0.0f32;
        for done in 0..3 {
            let end = trainee
                .estimate_after((&tracked, &plain), &prepared, (done, 3))
                .expect("estimates");
            // Of the gradient only the last evaluation is part: it is that of one evaluation at a state given as numbers.
            let t = done as f64 / 3.0;
            let mut field = trainee.held(&tracked, &prepared).expect("fits");
            let v = pollster::block_on(field.velocity(&x, t)).expect("runs");
            let alone = head(x.plus(&v, 1.0 - t));
            let apart = scalar((head(end.clone()) - alone.clone()).abs().max()).expect("reads");
            let most = scalar(alone.abs().max()).expect("reads");
            assert!(most > 0.0 && apart < 1e-3 * most, "{done}: {apart} of {most}");
            let end = planes(end.inner()).expect("reads");
            let pairs = end.data().iter().zip(sample.data());
            far = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(done == 2 || far > 1e-3, "{done}: {far}");
            x = x.plus(&v.inner(), 1.0 / 3.0);
        }
        assert!(far < 1e-5, "{far}");
    }
}
