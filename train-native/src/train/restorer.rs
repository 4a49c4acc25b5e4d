//! `asasr train restorer`: the posterior mean.

use std::path::Path;

use asasr_core::Planes;
use asasr_core::graph::nets;
use asasr_core::model::{Architecture, NetworkPart, Role, Training, Weights};
use asasr_core::nn::{
    GraphExecutor, GraphNetwork, GraphValue, Parameters, image_of, init_weights, run_graph,
};
use burn::tensor::{Device, Tensor};
use serde_json::Value;

use super::config::{Loss, Restorer};
use super::data::Batch;
use super::optimise::Terms;
use super::perceptual::{self, PerceptualTerm};
use super::run::{COMPARED, SCALE, Stage, Validation, export_one, train};
use super::trainee::{centre, planes};
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::graphs;

/// Refuses before any work what cannot be.
pub(crate) fn check(args: &Restorer) -> Result<()> {
    perceptual::check(&args.perceptual)
}

/// What learns: its description and where it begins.
fn open(args: &Restorer) -> Result<(NetworkPart, Weights)> {
    let Some(folder) = &args.init else {
        let channels = args.channels.unwrap_or(Restorer::CHANNELS);
        let blocks = args.blocks.unwrap_or(Restorer::BLOCKS);
        let architecture = Architecture::restorer(SCALE, channels.into(), blocks.into());
        architecture.validate()?;
        let graph = nets::restorer(&architecture)?.check()?;
        let fresh = init_weights(&architecture, args.common.seed);
        return Ok((NetworkPart::new(FILE, graph), fresh));
    };
    let (part, fresh) = graphs::only(folder, Role::Restorer)?;
    if part.scale() != (SCALE, 1) {
        return Err(Error::at(
            folder,
            format!("training is for models that enlarge {SCALE} times"),
        ));
    }
    Ok((part, fresh))
}

/// Runs the command.
pub(crate) fn run(args: &Restorer) -> Result<()> {
    let (part, fresh) = open(args)?;
    let open = |device: &Device| {
        Ok(RestorerStage {
            args,
            part: &part,
            fresh: &fresh,
            network: GraphNetwork::new(&part.graph, &fresh, device)?,
            perceptual: perceptual::open(&args.perceptual, device)?,
            device: device.clone(),
        })
    };
    train(args, open)
}

/// The file of the weights.
const FILE: &str = "restorer.safetensors";

struct RestorerStage<'a> {
    args: &'a Restorer,
    part: &'a NetworkPart,
    fresh: &'a Weights,
    network: GraphNetwork,
    perceptual: Option<PerceptualTerm>,
    device: Device,
}

impl RestorerStage<'_> {
    fn with(&self, parameters: &Parameters) -> GraphNetwork {
        let mut network = self.network.clone();
        network.parameters_mut().clone_from(parameters);
        network
    }

    /// The enlargement of a batch.
    fn answer(&self, parameters: &Parameters, low: Tensor<4>) -> Result<Tensor<4>> {
        let made = run_graph(&self.part.graph, parameters, &[GraphValue::Map(low)])?;
        Ok(image_of(made)?)
    }
}

/// The image as the error is taken of: what lies far beyond black and white counts a hundredth. A network that is thrown far out by
/// one crop in a thousand, as gated ones are, would learn from nothing else for as long as the optimiser remembers.
fn held_in(image: Tensor<4>) -> Tensor<4> {
    let near = image.clone().clamp(-0.25, 1.25);
    (image - near.clone()) * 0.01 + near
}

impl Stage for RestorerStage<'_> {
    fn base(&self) -> String {
        String::new()
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, _step: u64) -> Result<Terms> {
        let high = batch.high.autodiff();
        let parameters = self.args.common.precision.of(parameters);
        let answer = self.answer(&parameters, batch.low.autodiff())?;
        let error = held_in(answer.clone()) - high.clone();
        let mut terms = vec![match self.args.loss {
            Loss::L1 => ("l1", error.abs().mean()),
            Loss::L2 => ("l2", error.square().mean()),
        }];
        if let Some(term) = &self.perceptual {
            terms.push(term.of(answer, high)?);
        }
        Ok(terms)
    }

    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let executor = GraphExecutor::new(self.with(average))?;
        let run = |image: &Planes| Ok(eval::enlarge(&executor, image, true)?);
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
            let answer = self.answer(average, batch.low)?;
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
        let trained = (self.with(average).weights()?, training);
        export_one(
            folder,
            &self.args.common,
            (Role::Restorer, self.part),
            trained,
            score,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    #[test]
    fn what_is_far_out_counts_little_and_still_pulls() {
        let values = [-0.25, 0.5, 1.25, 11.25, -100.25];
        let image = TensorData::new(values.to_vec(), [1, 1, 1, 5]);
        let image = Tensor::<4>::from_data(image, &Device::flex().autodiff()).require_grad();
        let held = held_in(image.clone());
        let gradients = held.clone().sum().backward();
        let read = |x: TensorData| x.try_into_vec::<f32>().expect("reads");
        let close = |got: Vec<f32>, want: [f32; 5]| {
            for (a, b) in got.iter().zip(want) {
                assert!((a - b).abs() < 1e-4, "{got:?}");
            }
        };
        close(read(held.inner().into_data()), [-0.25, 0.5, 1.25, 1.35, -1.25]);
        let gradient = image.grad(&gradients).expect("reaches the loss");
        let slopes = read(gradient.into_data());
        assert!(
            (slopes[1] - 1.0).abs() < 1e-6
                && (slopes[3] - 0.01).abs() < 1e-6
                && (slopes[4] - 0.01).abs() < 1e-6
        );
    }
}
