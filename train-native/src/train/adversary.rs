//! `asasr train adversary`: an adapter of the flow that makes realistic wrong answers (Adversarial Manifold Guidance,
//! arXiv 2605.23264, stage 1).
//!
//! It learns by flow matching towards artefacts instead of truths: what upscalers get wrong, made of the restorer's own
//! answer to the same input, and results of real upscalers where the user has some.

use std::path::Path;

use asasr_core::flow::TimeSampling;
use asasr_core::model::{Dtype, LoraAdapter, LoraConfig, ParameterShape, Training, Weights};
use asasr_core::nn::{AdapterSet, Parameters};
use asasr_core::objective::{PathPoint, SobolevMetric};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{ColouredNoise, Spectrum};
use asasr_core::{Planes, Size};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use super::config::Adversary;
use super::data::Batch;
use super::optimise::{Terms, scalar};
use super::results::{self, ForeignResults};
use super::run::{COMPARED, Stage, Validation, train};
use super::trainee::{Prepared, Trainee, centre, loss_terms, planes};
use crate::degrade::artefact;
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::files;

/// The adapter's name among others.
pub(super) const NAME: &str = "adversary";
/// Share of the Sobolev term in its loss.
const MIX: f64 = 0.5;

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Adversary) -> Result<()> {
    args.artefacts.as_deref().map_or(Ok(()), results::check)
}

/// Runs the command.
pub(crate) fn run(args: &Adversary) -> Result<()> {
    let results = match &args.artefacts {
        Some(folder) => Some(ForeignResults::load(folder, &args.common)?),
        None => None,
    };
    let open = |device: &Device| {
        let (trainee, weights) = Trainee::open(&args.model, &args.common, device)?;
        let (adapter, adapters) = fresh_adapter(NAME, args.rank.into(), args.common.seed, &trainee)?;
        Ok(AdversaryStage {
            metric: trainee.metric(&args.common, trainee.s)?,
            base: trainee.upload(&weights),
            results: results.as_ref(),
            fresh: adapter.factors(),
            args,
            trainee,
            adapters,
        })
    };
    train(args, open)
}

/// A new adapter of the trainee's field, and the set that holds it alone.
pub(super) fn fresh_adapter(
    name: &str,
    rank: usize,
    seed: u64,
    trainee: &Trainee,
) -> Result<(LoraAdapter, AdapterSet)> {
    let shapes = trainee.graph.parameters();
    let adapter = LoraAdapter::new(&LoraConfig::new(rank), shapes, seed)?;
    let mut adapters = AdapterSet::default();
    adapters.insert(name, &adapter, &trainee.device);
    Ok((adapter, adapters))
}

struct AdversaryStage<'a> {
    args: &'a Adversary,
    trainee: Trainee,
    base: Parameters,
    adapters: AdapterSet,
    metric: SobolevMetric,
    /// Results of real upscalers.
    results: Option<&'a ForeignResults>,
    fresh: Weights,
}

impl AdversaryStage<'_> {
    fn with(&self, factors: &Parameters) -> Result<AdapterSet> {
        Ok(self.adapters.with_factors(NAME, factors)?)
    }

    /// Artefacts of the posterior means of a batch, a function of `key` and each image's index.
    fn artefacts(&self, prepared: &Prepared, key: [u64; 2]) -> Result<Tensor<4>> {
        let [n, c, h, w] = prepared.mean.dims();
        let each: Vec<(Planes, Planes)> = (0..n)
            .map(|i| {
                let one = |t: &Tensor<4>| planes(t.clone().narrow(0, i, 1));
                Ok((one(&prepared.mean)?, one(&prepared.skip)?))
            })
            .collect::<Result<_>>()?;
        let made: Vec<Vec<f32>> = each
            .par_iter()
            .enumerate()
            .map(|(i, (mean, skip))| {
                let mut random = SplitMix64::of([key[0], key[1], i as u64]);
                let spectrum = Spectrum::sobolev(2.0 * random.unit())?;
                let size = Size::new(w, h);
                let noise = ColouredNoise::new(random.next_u64(), size, spectrum)?.tile(c, size.whole())?;
                Ok(artefact::draw(mean, skip, &noise, &mut random).into_data())
            })
            .collect::<Result<_>>()?;
        Ok(Tensor::from_data(
            TensorData::new(made.concat(), [n, c, h, w]),
            &self.trainee.device,
        ))
    }

    /// The adversary's clean estimate halfway to the truth.
    fn answer(&self, factors: &Parameters, p: &Prepared) -> Result<Tensor<4>> {
        let n = p.high.dims()[0];
        let point = PathPoint::new(&p.x0, &p.high, &self.trainee.times(vec![0.5; n]));
        let parameters = self.with(factors)?.apply(&self.base)?;
        let v = self.trainee.velocity(&parameters, p, &point);
        Ok(point.clean_estimate(v))
    }

    fn loss_at(
        &self,
        factors: &Parameters,
        p: &Prepared,
        x1: &Tensor<4>,
        t: Vec<f64>,
        metric: &SobolevMetric,
    ) -> Result<Terms> {
        let point = PathPoint::new(&p.x0, x1, &self.trainee.times(t));
        let parameters = self.with(factors)?.apply(&self.base)?;
        let v = self.trainee.velocity(&parameters, p, &point);
        Ok(loss_terms(metric, &point.residual(v), MIX))
    }
}

impl Stage for AdversaryStage<'_> {
    fn base(&self) -> String {
        self.trainee.base(true)
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms> {
        let seed = self.args.common.seed;
        let n = batch.low.dims()[0];
        let t = TimeSampling::Stratified.draw(n, &mut SplitMix64::of([seed, step, u64::MAX]));
        // Every other batch is of real results, where there are some.
        let (batch, given) = match self.results {
            Some(results) if step % 2 == 1 => {
                let (batch, made) = results.batch(
                    [seed.rotate_left(16), step],
                    n,
                    self.args.common.patch.into(),
                    &self.trainee.device,
                );
                (batch, Some(made))
            }
            _ => (batch, None),
        };
        let prepared = self.trainee.prepare(batch, [!seed, step])?;
        let artefacts = match given {
            Some(made) => made,
            None => self.artefacts(&prepared, [seed.rotate_left(32), step])?,
        };
        self.loss_at(parameters, &prepared, &artefacts, t, &self.metric)
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let mut sum = 0.0;
        let mut comparisons = Vec::new();
        for (i, pair) in pairs.iter().enumerate() {
            let batch = centre(pair, &self.trainee.device);
            let metric = self.trainee.metric_of(&batch)?;
            let prepared = self.trainee.prepare(batch, [0, i as u64])?;
            let artefacts = self.artefacts(&prepared, [1, i as u64])?;
            if i < COMPARED {
                comparisons.push(vec![
                    ("restorer", planes(prepared.mean.clone())?),
                    ("artefact", planes(artefacts.clone())?),
                    ("answer", planes(self.answer(average, &prepared)?)?),
                    ("truth", planes(prepared.high.clone())?),
                ]);
            }
            for (_, term) in self.loss_at(average, &prepared, &artefacts, vec![0.5], &metric)? {
                sum += f64::from(scalar(term)?);
            }
        }
        let loss = sum / pairs.len() as f64;
        let mut record = serde_json::Map::new();
        record.insert("flow_loss".into(), serde_json::json!(loss));
        Ok(Validation {
            score: -loss,
            text: format!("loss {loss:.5} towards artefacts"),
            record,
            comparisons,
        })
    }

    /// PEFT's two files.
    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        _training: Training,
        _score: &Validation,
    ) -> Result<()> {
        write_adapter(folder, &self.with(average)?.download(NAME)?)
    }
}

/// Writes an adapter as PEFT does.
pub(super) fn write_adapter(folder: &Path, adapter: &LoraAdapter) -> Result<()> {
    files::make_folder(folder)?;
    let (config, bytes) = adapter.to_peft(Dtype::F32)?;
    files::write(&folder.join("adapter_model.safetensors"), &bytes)?;
    files::write(&folder.join("adapter_config.json"), config.as_bytes())
}

/// Reads an adapter of a network with parameters of these shapes.
pub(super) fn read_adapter(folder: &Path, shapes: &[ParameterShape]) -> Result<LoraAdapter> {
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read(&path).map_err(|e| Error::at(&path, e))
    };
    if !folder.join("adapter_config.json").exists() {
        return Err(Error::at(
            folder,
            "no adapter is here: a folder with adapter_config.json is needed",
        ));
    }
    let config = String::from_utf8_lossy(&read("adapter_config.json")?).into_owned();
    let bytes = read("adapter_model.safetensors")?;
    LoraAdapter::from_peft(&config, &bytes, shapes).map_err(|e| Error::at(folder, e))
}
