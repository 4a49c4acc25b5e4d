//! The loop all stages share: batches, steps, validation, checkpoints, progress.

use std::path::{Path, PathBuf};
use std::{fs, io::Write as _, time::Instant};

use asasr_core::model::{Training, Weights};
use asasr_core::nn::Parameters;
use burn::optim::AdamConfig;
use burn::tensor::{Device, Tensor};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::checkpoint::State;
use super::data::{Batch, Dataset};
use super::optimise;
use super::report::{self, Comparison};
use crate::cli::Common;
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::{files, interrupt, pack};

pub(crate) const SCALE: usize = 4;
/// Validation images in the report.
pub(crate) const COMPARED: usize = 3;

/// What is particular to a stage.
pub(crate) trait Stage {
    /// The loss of a batch, `[1]`, for the parameters that learn; whatever is random is a function of the batch's number.
    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Tensor<1>>;

    /// Scores averaged parameters on the validation pairs.
    fn validate(&self, average: &Parameters, pairs: &[Pair]) -> Result<Validation>;

    /// Writes the model with averaged parameters into `folder`.
    fn export(
        &self,
        folder: &Path,
        average: &Parameters,
        training: Training,
        score: &Validation,
    ) -> Result<()>;
}

/// A validation's outcome.
pub(crate) struct Validation {
    /// Higher is better; decides which model is the best.
    pub(crate) score: f64,
    /// For a reader.
    pub(crate) text: String,
    /// For `metrics.jsonl`.
    pub(crate) record: Map<String, Value>,
    /// For the report.
    pub(crate) comparisons: Vec<Comparison>,
}

/// Refuses to begin where a run is, or to go on where none is, before any work starts.
pub(crate) fn prepare(common: &Common) -> Result<PathBuf> {
    interrupt::listen();
    files::make_folder(&common.out)?;
    let checkpoint = common.out.join("checkpoint.safetensors");
    if !common.resume && checkpoint.exists() {
        return Err(Error::at(
            &checkpoint,
            "a run is here already: add --resume to go on, or name another --out",
        ));
    }
    Ok(checkpoint)
}

/// Trains `fresh`, or what its checkpoint holds, to the end of the schedule or an interruption.
pub(crate) fn train(
    common: &Common,
    stage: &impl Stage,
    checkpoint: &Path,
    fresh: &Weights,
    (command, peak): (&str, f64),
    device: &Device,
) -> Result<()> {
    let mut state = if common.resume {
        State::load(checkpoint, fresh, device)?
    } else {
        State::fresh(fresh, device)
    };
    let (train, val) = split(common)?;
    let patch = common.patch.into();
    let dataset = Dataset::load(&train, SCALE, patch, common.cache_mb, common.protocol)?;
    let pairs = eval::pairs(&val, SCALE, common.protocol)?;
    let learned: usize = fresh.iter().map(|(_, t)| t.values.len()).sum();
    eprintln!(
        "{learned} parameters, {} training images, {} validation images, steps {} to {}",
        dataset.len(),
        pairs.len(),
        state.step,
        common.steps
    );

    let adam = AdamConfig::new().with_epsilon(1e-8).build();
    let mut run = Run {
        common,
        stage,
        pairs,
        images: dataset.len(),
        command,
        bar: bar(common.steps, state.step),
        window: Window::new(),
    };
    let end = common.stop_after.unwrap_or(common.steps).min(common.steps);
    while state.step < end {
        let step = state.step;
        let rate = optimise::learning_rate(peak, step, common.steps);
        let parts = u64::from(common.accumulate);
        let loss = optimise::step(&mut state, &adam, rate, parts, |p, part| {
            // Every batch has a number of its own.
            let draw = step * parts + part;
            let batch = dataset.batch(common.seed, draw, common.batch.into(), patch, device)?;
            stage.loss(p, batch, draw)
        })?;
        if !loss.is_finite() {
            let seeds = common.out.join("failed-batch.json");
            let batch = json!({
                "seed": common.seed, "step": step, "batch": common.batch, "patch": common.patch,
                "accumulate": common.accumulate,
                "protocol": common.protocol.name(),
            });
            files::write(&seeds, batch.to_string().as_bytes())?;
            return Err(Error::new(format!(
                "the loss of step {step} is {loss}; the last good state is in {}: resume it with a smaller \
                 --learning-rate; what makes the batch again is in {}",
                checkpoint.display(),
                seeds.display()
            )));
        }
        run.window.add(loss);
        run.bar.inc(1);
        run.bar.set_message(format!("loss {:.5}", run.window.mean()));
        let stop = interrupt::requested();
        if state.step.is_multiple_of(common.val_every) || state.step == end || stop {
            let reported = run.report(&mut state);
            // A validation that fails must not cost the steps before it.
            state.save(checkpoint)?;
            reported?;
        }
        if stop {
            run.bar.abandon();
            return Err(Error::new(format!(
                "stopped at step {}: go on with --resume",
                state.step
            )));
        }
    }
    run.bar.finish();
    println!(
        "best model: {} (score {:.4})",
        common.out.join("best").display(),
        state.best
    );
    Ok(())
}

fn bar(steps: u64, done: u64) -> ProgressBar {
    let bar = ProgressBar::new(steps).with_position(done);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len}, {per_sec}, {eta} left, {msg}") {
        bar.set_style(style);
    }
    bar
}

/// What a run looks at and shows between its steps.
struct Run<'a, S> {
    common: &'a Common,
    stage: &'a S,
    pairs: Vec<Pair>,
    images: usize,
    command: &'a str,
    bar: ProgressBar,
    window: Window,
}

impl<S: Stage> Run<'_, S> {
    /// Scores the averaged parameters, says and logs it, and exports them when they are the best so far.
    fn report(&mut self, state: &mut State) -> Result<()> {
        let validation = self.stage.validate(&state.average, &self.pairs)?;
        let (loss, rate) = (self.window.mean(), self.window.rate());
        let mut line = Map::new();
        line.insert("step".into(), json!(state.step));
        line.insert("loss".into(), json!(loss));
        line.insert(
            "images_per_s".into(),
            json!(rate * f64::from(self.common.batch) * f64::from(self.common.accumulate)),
        );
        line.extend(validation.record.clone());
        let path = self.common.out.join("metrics.jsonl");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        log.and_then(|mut f| writeln!(f, "{}", Value::Object(line)))
            .map_err(|e| Error::at(&path, e))?;
        report::write(&self.common.out, self.command, &validation.comparisons)?;
        let text = format!(
            "step {}: loss {loss:.5}, validation {}, {rate:.2} steps/s",
            state.step, validation.text
        );
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
        if validation.score > state.best {
            state.best = validation.score;
            let training = Training {
                command: self.command.to_owned(),
                steps: state.step,
                images: self.images,
            };
            let folder = self.common.out.join("best");
            files::make_folder(&folder)?;
            self.stage
                .export(&folder, &state.average, training, &validation)?;
        }
        self.window = Window::new();
        Ok(())
    }
}

/// Training and validation files.
fn split(common: &Common) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let below = |data: &Path| files::images_below(&pack::unpacked(data, &common.out)?);
    let all = below(&common.data)?;
    if let Some(val) = &common.val {
        return Ok((all, below(val)?));
    }
    if all.len() < 2 {
        return Err(Error::at(
            &common.data,
            "one image cannot be both trained on and validated on: give --val",
        ));
    }
    let (val, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 20 == 0);
    let paths = |v: Vec<(usize, PathBuf)>| v.into_iter().map(|(_, p)| p).collect();
    Ok((paths(train), paths(val)))
}

/// The last part of a path, for manifests are published.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The command that repeats a run, with the stage's own options.
pub(crate) fn command(stage: &str, common: &Common, peak: f64, own: &str) -> String {
    let val = common
        .val
        .as_deref()
        .map_or(String::new(), |v| format!(" --val {}", name(v)));
    format!(
        "asasr train {stage} --data {}{val} --out {} --steps {} --batch {} --patch {} --accumulate {} --learning-rate {} \
         --protocol {} \
         {own} --seed {} --val-every {} --cache-mb {} --id {} --licence '{}'",
        name(&common.data),
        name(&common.out),
        common.steps,
        common.batch,
        common.patch,
        common.accumulate,
        peak,
        common.protocol.name(),
        common.seed,
        common.val_every,
        common.cache_mb,
        common.id,
        common.licence
    )
}

/// Mean loss and speed since the last report.
struct Window {
    sum: f64,
    steps: u32,
    since: Instant,
}

impl Window {
    fn new() -> Self {
        Self {
            sum: 0.0,
            steps: 0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, loss: f32) {
        self.sum += f64::from(loss);
        self.steps += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / f64::from(self.steps.max(1))
    }

    fn rate(&self) -> f64 {
        f64::from(self.steps) / self.since.elapsed().as_secs_f64().max(1e-9)
    }
}
