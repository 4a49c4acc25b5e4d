//! `asasr train restorer`: the posterior mean.

use std::path::Path;

use asasr_core::Planes;
use asasr_core::model::{
    Architecture, Dtype, MANIFEST_FORMAT, Manifest, Measured, Training, Weights, sha256_hex,
};
use asasr_core::nn::{BurnExecutor, Network, Parameters, init_weights};
use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use super::data::Batch;
use super::run::{COMPARED, SCALE, Stage, Validation, command, prepare, train};
use super::sampler::{centre, planes};
use crate::cli::{Loss, Restorer};
use crate::device::burn_device;
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::files;

/// Runs the command.
pub(crate) fn run(args: &Restorer) -> Result<()> {
    let checkpoint = prepare(&args.common)?;
    let device = burn_device(args.common.device)?;
    let architecture = Architecture::restorer(SCALE, args.channels.into(), args.blocks.into());
    architecture.validate()?;
    let fresh = init_weights(&architecture, args.common.seed);
    let stage = RestorerStage {
        args,
        network: Network::new(&architecture, &fresh, &device)?,
        device: device.clone(),
    };
    let loss = if args.loss == Loss::L1 { "l1" } else { "l2" };
    let own = format!(
        "--loss {loss} --channels {} --blocks {}",
        args.channels, args.blocks
    );
    let peak = args.common.learning_rate.unwrap_or(5e-4);
    let command = command("restorer", &args.common, peak, &own);
    train(
        &args.common,
        &stage,
        &checkpoint,
        &fresh,
        (&command, peak),
        &device,
    )
}

struct RestorerStage<'a> {
    args: &'a Restorer,
    network: Network,
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
    fn loss(&self, parameters: &Parameters, batch: Batch, _step: u64) -> Result<Tensor<1>> {
        let target = (batch.high - batch.skip).autodiff();
        let error = self.with(parameters).residual(batch.low.autodiff()) - target;
        Ok(match self.args.loss {
            Loss::L1 => error.abs().mean(),
            Loss::L2 => error.square().mean(),
        })
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let mut executor = BurnExecutor::new(self.with(average));
        let run = |image: &Planes| Ok(eval::enlarge(&mut executor, image)?);
        let measured = eval::measure(pairs, self.args.common.protocol, run, |_, _, _| {})?;
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
        write_restorer(
            folder,
            network.architecture(),
            &network.weights()?,
            (&self.args.common.id, &self.args.common.licence),
            training,
            measured,
        )
        .map(drop)
    }
}

/// Writes the weights in half precision and their manifest.
fn write_restorer(
    folder: &Path,
    architecture: &Architecture,
    weights: &Weights,
    (id, licence): (&str, &str),
    training: Training,
    measured: Option<Measured>,
) -> Result<Manifest> {
    let bytes = weights.to_safetensors(Dtype::F16)?;
    let file = "restorer.safetensors";
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        id: id.to_owned(),
        licence: licence.to_owned(),
        file: file.into(),
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        parameters: architecture.parameter_count(),
        architecture: architecture.clone(),
        training,
        measured,
        flow: None,
        fast: None,
    };
    files::write(&folder.join(file), &bytes)?;
    files::write(&folder.join("manifest.json"), manifest.to_json()?.as_bytes())?;
    Ok(manifest)
}
