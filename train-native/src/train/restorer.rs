//! `asasr train restorer`: the posterior mean.

use std::path::Path;

use asasr_core::Planes;
use asasr_core::model::{Architecture, Dtype, MANIFEST_FORMAT, Manifest, Measured, Training, Weights};
use asasr_core::nn::{BurnExecutor, Network, Parameters, init_weights};
use burn::tensor::Device;
use serde_json::{Value, json};

use super::config::{Loss, Restorer};
use super::data::Batch;
use super::optimise::Terms;
use super::perceptual::{self, PerceptualTerm};
use super::run::{COMPARED, SCALE, Stage, Validation, train};
use super::sampler::{centre, planes};
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::model::{self, Model};

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Restorer) -> Result<()> {
    perceptual::check(&args.perceptual)
}

/// Runs the command.
pub(crate) fn run(args: &Restorer) -> Result<()> {
    let (architecture, fresh) = if let Some(folder) = &args.init {
        let begun = model::open(Some(folder))?;
        if begun.manifest.architecture.scale != SCALE {
            return Err(Error::at(
                folder,
                format!("training is for models that enlarge {SCALE} times"),
            ));
        }
        (begun.manifest.architecture, begun.restorer)
    } else {
        let channels = args.channels.unwrap_or(Restorer::CHANNELS);
        let blocks = args.blocks.unwrap_or(Restorer::BLOCKS);
        let architecture = Architecture::restorer(SCALE, channels.into(), blocks.into());
        architecture.validate()?;
        let fresh = init_weights(&architecture, args.common.seed);
        (architecture, fresh)
    };
    let open = |device: &Device| {
        Ok(RestorerStage {
            args,
            network: Network::new(&architecture, &fresh, device)?,
            perceptual: perceptual::open(&args.perceptual, device)?,
            fresh: fresh.clone(),
            device: device.clone(),
        })
    };
    train(args, open)
}

struct RestorerStage<'a> {
    args: &'a Restorer,
    network: Network,
    perceptual: Option<PerceptualTerm>,
    fresh: Weights,
    device: Device,
}

impl RestorerStage<'_> {
    fn with(&self, parameters: &Parameters) -> Network {
        let mut network = self.network.clone();
        network.parameters_mut().clone_from(parameters);
        network
    }
}

impl Stage for RestorerStage<'_> {
    fn base(&self) -> String {
        String::new()
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, _step: u64) -> Result<Terms> {
        let network = self.with(&self.args.common.precision.of(parameters));
        let (skip, high) = (batch.skip.autodiff(), batch.high.autodiff());
        let residual = network.residual(batch.low.autodiff());
        let error = residual.clone() - (high.clone() - skip.clone());
        let mut terms = vec![match self.args.loss {
            Loss::L1 => ("l1", error.abs().mean()),
            Loss::L2 => ("l2", error.square().mean()),
        }];
        if let Some(term) = &self.perceptual {
            terms.push(term.of(residual + skip, high)?);
        }
        Ok(terms)
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let executor = BurnExecutor::new(self.with(average));
        let run = |image: &Planes| Ok(eval::enlarge(&executor, image)?);
        let measured = eval::measure(pairs, self.args.common.protocol, run)?;
        let text = format!(
            "PSNR-Y {:.3} dB ({:+.3} over bicubic)",
            measured.psnr_y,
            measured.psnr_y - measured.psnr_y_bicubic
        );
        let Ok(Value::Object(record)) = serde_json::to_value(&measured) else {
            return Err(Error::new("a score is not finite"));
        };
        let mut comparisons = Vec::new();
        for pair in pairs.iter().take(COMPARED) {
            let batch = centre(pair, &self.device);
            let answer = self.with(average).residual(batch.low) + batch.skip.clone();
            comparisons.push(vec![
                ("bicubic", planes(batch.skip)?),
                ("restorer", planes(answer)?),
                ("truth", planes(batch.high)?),
            ]);
        }
        Ok(Validation {
            score: measured.psnr_y,
            text,
            record,
            comparisons,
        })
    }

    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        score: &Validation,
    ) -> Result<()> {
        let measured: Option<Measured> = serde_json::from_value(json!(score.record)).ok();
        let network = self.with(average);
        let architecture = network.architecture();
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            id: self.args.common.id.clone().into(),
            licence: self.args.common.licence.clone().into(),
            file: "restorer.safetensors".into(),
            bytes: 0,
            sha256: String::new(),
            parameters: architecture.parameter_count(),
            architecture: architecture.clone(),
            training,
            measured,
            flow: None,
            fast: None,
        };
        let restorer = network.weights()?;
        let model = Model {
            manifest,
            restorer,
            flow: None,
            fast: None,
        };
        model.write(folder, Dtype::F16)
    }
}
