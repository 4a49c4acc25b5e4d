//! `asasr train video`: a small recurrent network on crops that move.
//!
//! The frames of a clip are enlarged one after the other, each with the last result moved to it as [`Recurrence`] does it in use. Gradients
//! do not go back through that: every frame is learned from by itself.

use std::path::Path;

use asasr_core::graph::TypedGraph;
use asasr_core::graph::nets::Recurrent;
use asasr_core::model::{Measured, NetworkPart, Role, Tensor as Stored, Training, Weights};
use asasr_core::nn::{GraphValue, Parameters, download, image_of, run_graph};
use asasr_core::video::Recurrence;
use asasr_core::{Planes, metrics};
use burn::tensor::{Device, Tensor};
use serde_json::{Value, json};

use super::clips::Clips;
use super::config::{Loss, Run as _, Video};
use super::data::{Batch, Dataset, stacked};
use super::optimise::Terms;
use super::run::{COMPARED, Stage, Validation, export_one, train};
use super::trainee::planes;
use crate::error::{Error, Result};
use crate::eval::Pair;
use crate::graphs;

/// The file of the weights.
const FILE: &str = "recurrent.safetensors";
/// Side of a clip that is validated, in low-quality pixels.
const SIDE: usize = 64;

/// Runs the command.
pub(crate) fn run(args: &Video) -> Result<()> {
    let (part, fresh) = open(args)?;
    let open = |device: &Device| {
        Ok(VideoStage {
            args,
            part: &part,
            fresh: &fresh,
            device: device.clone(),
        })
    };
    train(args, open)
}

/// What learns: its description and where it begins.
fn open(args: &Video) -> Result<(NetworkPart, Weights)> {
    let scale = args.scale();
    if let Some(folder) = &args.init {
        let (part, fresh) = graphs::only(folder, Role::Recurrent)?;
        if part.scale() != (scale, 1) {
            return Err(Error::at(
                folder,
                format!("its network does not enlarge {scale} times: give its --scale"),
            ));
        }
        return Ok((part, fresh));
    }
    let graph = Recurrent {
        features: args.channels.unwrap_or(Video::CHANNELS).into(),
        blocks: args.blocks.unwrap_or(Video::BLOCKS).into(),
        scale,
    };
    let graph = graph.graph().check()?;
    let mut fresh = graphs::he_normal(&graph, args.common.seed);
    // The first result is the enlargement.
    if let Ok(tail) = fresh.get("tail.weight").cloned() {
        let values = vec![0.0; tail.values.len()];
        fresh.insert("tail.weight".into(), Stored { values, ..tail });
    }
    Ok((NetworkPart::new(FILE, graph), fresh))
}

struct VideoStage<'a> {
    args: &'a Video,
    part: &'a NetworkPart,
    fresh: &'a Weights,
    device: Device,
}

/// The frames of clips that are stored one below the other, `[n, 3, h, w]` each.
fn frames(clips: &Tensor<4>, count: usize) -> Vec<Tensor<4>> {
    let height = clips.dims()[2] / count;
    (0..count)
        .map(|t| clips.clone().narrow(2, t * height, height))
        .collect()
}

/// The images of a batch.
fn apart(batch: &Tensor<4>) -> Result<Vec<Planes>> {
    let n = batch.dims()[0];
    (0..n).map(|i| planes(batch.clone().narrow(0, i, 1))).collect()
}

impl VideoStage<'_> {
    fn graph(&self) -> &TypedGraph {
        &self.part.graph
    }

    /// Calls `each` with the number of every frame and its result, as the parameters make it; `learning` is whether these are learned.
    fn play(
        &self,
        (parameters, learning): (&Parameters, bool),
        low: &Tensor<4>,
        mut each: impl FnMut(usize, Tensor<4>) -> Result<()>,
    ) -> Result<()> {
        let count = self.args.frames.into();
        let mut memory: Vec<Recurrence> = vec![Recurrence::new(self.args.scale()); low.dims()[0]];
        for (t, frame) in frames(low, count).into_iter().enumerate() {
            let small = apart(&frame)?;
            let before = memory
                .iter()
                .zip(&small)
                .map(|(m, frame)| Ok(m.before(frame)?.previous));
            let before: Vec<Planes> = before.collect::<Result<_>>()?;
            let inputs = [frame, stacked(&before, &self.device)]
                .map(|x| GraphValue::Map(if learning { x.autodiff() } else { x }));
            let made = image_of(run_graph(self.graph(), parameters, &inputs)?)?;
            let results = apart(&if learning {
                made.clone().inner()
            } else {
                made.clone()
            })?;
            for ((memory, frame), mut result) in memory.iter_mut().zip(small).zip(results) {
                result.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
                memory.keep(frame, result);
            }
            each(t, made)?;
        }
        Ok(())
    }
}

impl Stage for VideoStage<'_> {
    fn base(&self) -> String {
        String::new()
    }

    fn fresh(&self) -> Weights {
        self.fresh.clone()
    }

    fn loss(&self, parameters: &Parameters, batch: Batch, _step: u64) -> Result<Terms> {
        let count = self.args.frames.into();
        let truths = frames(&batch.high, count);
        let parameters = self.args.common.precision.of(parameters);
        let mut losses = Vec::with_capacity(count);
        self.play((&parameters, true), &batch.low, |t, made| {
            let error = made - truths[t].clone().autodiff();
            losses.push(match self.args.loss {
                Loss::L1 => error.abs().mean(),
                Loss::L2 => error.square().mean(),
            });
            Ok(())
        })?;
        let name = match self.args.loss {
            Loss::L1 => "l1",
            Loss::L2 => "l2",
        };
        Ok(vec![(name, Tensor::cat(losses, 0).mean())])
    }

    /// PSNR-Y of the frames of a clip for each image, of a codec's clips and of others in turn.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation> {
        let count: usize = self.args.frames.into();
        let scale = self.args.scale();
        let (mut sums, mut measured) = ([0.0; 3], 0.0);
        let mut comparisons = Vec::new();
        let clips = [
            Clips::new(count, 0.0)?,
            Clips::new(count, self.args.coded.get().ceil())?,
        ];
        for (i, pair) in pairs.iter().enumerate() {
            let dataset = Dataset::of(std::slice::from_ref(&pair.hq), scale, self.args.common.protocol)?;
            let dataset = dataset.moving(Some(clips[i % 2].clone()));
            let side = SIDE.min(pair.lq.width()).min(pair.lq.height()) / 2 * 2;
            let batch = dataset.crops(0, i as u64, 1, side)?.on(&self.device);
            let (truths, skips) = (frames(&batch.high, count), frames(&batch.skip, count));
            self.play((average, false), &batch.low, |t, made| {
                let truth = planes(truths[t].clone())?;
                let made = planes(made)?;
                let skip = planes(skips[t].clone())?;
                if i < COMPARED && t + 1 == count {
                    comparisons.push(vec![
                        ("bicubic", skip.clone()),
                        ("result", made.clone()),
                        ("truth", truth.clone()),
                    ]);
                }
                for (at, mut image) in [(0, made), (1, skip)] {
                    metrics::quantise(&mut image);
                    let psnr = metrics::psnr_y(&image, &truth, scale)?.min(100.0);
                    sums[at] += psnr;
                    if at == 0 && t == 0 {
                        sums[2] += psnr;
                    }
                }
                measured += 1.0;
                Ok(())
            })?;
        }
        let [psnr_y, psnr_y_bicubic, first] = [
            sums[0] / measured,
            sums[1] / measured,
            sums[2] / pairs.len() as f64,
        ];
        let scores = Measured {
            protocol: self.args.common.protocol.name().into(),
            images: pairs.len(),
            psnr_y,
            psnr_y_bicubic,
        };
        let Ok(Value::Object(mut record)) = serde_json::to_value(&scores) else {
            return Err(Error::new("a score is not finite"));
        };
        record.insert("psnr_y_first".into(), json!(first));
        Ok(Validation {
            score: psnr_y,
            text: format!(
                "PSNR-Y {psnr_y:.3} dB ({:+.3} over bicubic), of first frames {first:.3}",
                psnr_y - psnr_y_bicubic
            ),
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
        let trained = (download(average, self.graph().parameters())?, training);
        export_one(
            folder,
            &self.args.common,
            (Role::Recurrent, self.part),
            trained,
            score,
        )
    }
}
