//! The loop all stages share: batches, steps, validation, checkpoints, progress.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io, time::Instant};

use asasr_core::model::{Training, Weights, sha256_hex};
use asasr_core::nn::Parameters;
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::checkpoint::{self, Origin, State};
use super::data::{Batch, Dataset};
use super::optimise::{self, Terms, Values, Workers};
use super::optimiser::Optimiser;
use super::report::{self, Comparison};
use crate::cli::{Common, OptimiserKind, Schedule};
use crate::degrade::Protocol;
use crate::device::{Precision, burn_devices};
use crate::drawn::Artist;
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::{files, interrupt, memory, pack};

pub(crate) const SCALE: usize = 4;
/// Validation images in the report.
pub(crate) const COMPARED: usize = 3;

/// What is particular to a stage, on one device.
pub(crate) trait Stage: Send + Sync {
    /// What learns, as it is at the first step.
    fn fresh(&self) -> Weights;

    /// The model that the stage builds on, by its hashes.
    fn base(&self) -> String;

    /// The loss of a batch for the parameters that learn; whatever is random is a function of the batch's number.
    fn loss(&self, parameters: &Parameters, batch: Batch, step: u64) -> Result<Terms>;

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

impl Validation {
    /// The weighted perceptual distance of its sample, 0 where there is no such term.
    pub(super) fn perceptual(&self) -> f64 {
        self.record
            .get("perceptual")
            .and_then(Value::as_f64)
            .unwrap_or_default()
    }
}

/// Refuses to begin where a run is, before any work starts.
fn prepare(common: &Common) -> Result<PathBuf> {
    interrupt::listen();
    files::make_folder(&common.out)?;
    let checkpoint = common.out.join("checkpoint.safetensors");
    if !common.resume && checkpoint.exists() {
        return Err(Error::at(
            &checkpoint,
            "a run is here already: add --resume to go on, or name another --out",
        ));
    }
    // What cannot be written is told now, and not by the first checkpoint.
    let files = ["checkpoint.safetensors", "metrics.jsonl", "report.html"].map(|n| common.out.join(n));
    files::check_outputs(files.iter().map(PathBuf::as_path), &[])?;
    for name in ["best", "checkpoints"] {
        files::check_folder(&common.out.join(name))?;
    }
    Ok(checkpoint)
}

/// Trains the stage that `open` makes on each device, or goes on from its checkpoint, to the end of the schedule or an
/// interruption. A stage has a name, options of its own as words, and a peak learning rate unless the user gives one.
pub(crate) fn train<S: Stage>(
    common: &Common,
    (name, own, peak): (&str, &str, f64),
    open: impl Fn(&Device) -> Result<S>,
) -> Result<()> {
    check(common)?;
    let checkpoint = prepare(common)?;
    let artist = Artist::new(common.fonts.as_deref())?;
    let devices = burn_devices(common.device, common.devices.into())?;
    let stages: Vec<S> = devices.iter().map(open).collect::<Result<_>>()?;
    let peak = common.learning_rate.unwrap_or(peak);
    let command = command(name, common, peak, own);
    let fresh = stages[0].fresh();
    let (train, val) = split(common)?;
    let origin = Origin {
        command: command.clone(),
        base: stages[0].base(),
        data: fingerprint(&train, &val),
    };
    let mut state = begin(common, &checkpoint, &fresh, &origin, &devices[0])?;
    let patch = common.patch.into();
    let dataset = dataset(common, &train, artist)?;
    let pairs = eval::pairs(&val, SCALE, common.protocol)?;
    let learned: usize = fresh.iter().map(|(_, t)| t.values.len()).sum();
    note!(
        "{learned} parameters, {} training images, {} validation images, steps {} to {}",
        dataset.len(),
        pairs.len(),
        state.step,
        common.steps
    );

    let optimiser = Optimiser::new(common.optimiser, common.relative_rates, &fresh);
    let workers = Workers {
        devices: &devices,
        precision: common.precision,
        accumulate: common.accumulate.into(),
    };
    let mut run = Run {
        common,
        stage: &stages[0],
        checkpoint: &checkpoint,
        pairs,
        images: dataset.len(),
        crops: f64::from(common.batch) * workers.parts() as f64,
        published: format!("{command} --out {}", self::name(&common.out)),
        bar: bar(common.steps, state.step),
        window: Window::new(),
    };
    let end = common.stop_after.unwrap_or(common.steps).min(common.steps);
    if state.step >= end && !run.reported(state.step) {
        // It was stopped between its last step and the validation.
        let best = run.report(&mut state)?;
        state.save(&checkpoint, &origin)?;
        checkpoint::keep(&checkpoint, state.step, common.keep, best)?;
        return Ok(());
    }
    if state.step >= end {
        return Err(Error::new(format!(
            "the run is at step {} already: give more --steps to go on",
            state.step
        )));
    }
    while state.step < end {
        let step = state.step;
        let rate = optimise::learning_rate(peak, step, common.steps, common.warm_up, common.schedule);
        let loss = optimise::step(&mut state, &optimiser, rate, &workers, |p, worker, part| {
            // Every batch has a number of its own.
            let draw = step * workers.parts() + part;
            let device = &workers.devices[worker];
            let batch = dataset.batch(common.seed, draw, common.batch.into(), patch, device)?;
            stages[worker].loss(p, batch, draw)
        })?;
        if let Some((what, _)) = loss.iter().find(|(_, v)| !v.is_finite()) {
            state.save(&checkpoint, &origin)?;
            return Err(run.failed(what, step)?);
        }
        run.window.add(&loss);
        run.bar.inc(1);
        run.bar.set_message(run.message());
        let stop = interrupt::requested();
        let validated = state.step.is_multiple_of(common.val_every) || state.step == end;
        if validated || stop {
            // First of all: neither a validation that fails nor impatience may cost the steps before it.
            state.save(&checkpoint, &origin)?;
        }
        if validated && !stop {
            let best = run.report(&mut state)?;
            if best {
                state.save(&checkpoint, &origin)?;
            }
            checkpoint::keep(&checkpoint, state.step, common.keep, best)?;
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
    say!(
        "best model: {} (score {:.4})",
        common.out.join("best").display(),
        state.best
    );
    Ok(())
}

/// What crops are taken from.
fn dataset(common: &Common, photos: &[PathBuf], artist: Artist) -> Result<Dataset> {
    let patch = common.patch.into();
    let loaded = Dataset::load(photos, SCALE, patch, common.cache_mb, common.protocol)?;
    Ok(loaded
        .blurring(common.blurred)
        .mixing(common.shares)
        .drawing(artist, common.drawn.unwrap_or_default()))
}

/// The state to go on from.
fn begin(
    common: &Common,
    checkpoint: &Path,
    fresh: &Weights,
    origin: &Origin,
    device: &Device,
) -> Result<State> {
    if !common.resume {
        return Ok(State::fresh(fresh, device));
    }
    let from = common.from.as_deref().unwrap_or(checkpoint);
    let state = State::load(from, fresh, origin, device)?;
    if common.from.is_some() {
        checkpoint::forget_after(checkpoint, state.step)?;
    }
    Ok(state)
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
    checkpoint: &'a Path,
    pairs: Vec<Pair>,
    images: usize,
    /// Crops of a step.
    crops: f64,
    /// The command, for those who read it.
    published: String,
    bar: ProgressBar,
    window: Window,
}

impl<S: Stage> Run<'_, S> {
    /// Whether a step was validated.
    fn reported(&self, step: u64) -> bool {
        let log = fs::read_to_string(self.common.out.join("metrics.jsonl")).unwrap_or_default();
        let of_step = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|l| l["step"] == step);
        log.lines().any(of_step)
    }

    /// What the progress bar says: the loss, its terms, crops per second and memory.
    fn message(&self) -> String {
        let mut text = format!("loss {:.5}", self.window.mean());
        let terms = self.window.terms();
        if terms.len() > 1 {
            let each: Vec<String> = terms.iter().map(|(n, v)| format!("{n} {v:.5}")).collect();
            let _ = write!(text, " ({})", each.join(", "));
        }
        let _ = write!(text, ", {:.1} crops/s", self.window.rate() * self.crops);
        if let Some(megabytes) = memory::resident() {
            let _ = write!(text, ", {megabytes} MB");
        }
        text
    }

    /// Notes what makes the batch again whose loss is not finite; the error that ends the run.
    fn failed(&self, what: &str, step: u64) -> Result<Error> {
        let seeds = self.common.out.join("failed-batch.json");
        let batch = json!({
            "seed": self.common.seed, "step": step, "batch": self.common.batch, "patch": self.common.patch,
            "accumulate": self.common.accumulate, "devices": self.common.devices,
            "protocol": self.common.protocol.name(),
        });
        files::write(&seeds, batch.to_string().as_bytes())?;
        Ok(Error::new(format!(
            "the {what} of step {step} is not finite; the last good state is in {}: resume it with a smaller \
             --learning-rate{}; what makes the batch again is in {}",
            self.checkpoint.display(),
            if self.common.precision == Precision::F16 {
                " or with --precision bf16"
            } else {
                ""
            },
            seeds.display()
        )))
    }

    /// Scores the averaged parameters, says and logs it, and exports them when they are the best so far; returns whether
    /// they are.
    fn report(&mut self, state: &mut State) -> Result<bool> {
        let validation = self.stage.validate(&state.average, &self.pairs)?;
        let (loss, rate) = (self.window.mean(), self.window.rate());
        let mut line = Map::new();
        line.insert("step".into(), json!(state.step));
        line.insert("loss".into(), json!(loss));
        let terms = self.window.terms();
        if terms.len() > 1 {
            let named = |(n, v): &(&str, f64)| (format!("loss_{n}"), json!(v));
            line.extend(terms.iter().map(named));
        }
        line.insert("images_per_s".into(), json!(rate * self.crops));
        if let Some(megabytes) = memory::resident() {
            line.insert("memory_mb".into(), json!(megabytes));
        }
        line.extend(validation.record.clone());
        let path = self.common.out.join("metrics.jsonl");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        log.and_then(|mut f| io::Write::write_all(&mut f, format!("{}\n", Value::Object(line)).as_bytes()))
            .map_err(|e| Error::at(&path, e))?;
        report::write(&self.common.out, &self.published, &validation.comparisons)?;
        let text = format!(
            "step {}: {}, validation {}, {rate:.2} steps/s",
            state.step,
            self.message(),
            validation.text
        );
        if self.bar.is_hidden() {
            note!("{text}");
        } else {
            self.bar.println(text);
        }
        let best = validation.score > state.best;
        if best {
            state.best = validation.score;
            let training = Training {
                command: self.published.clone(),
                steps: state.step,
                images: self.images,
            };
            let folder = self.common.out.join("best");
            files::make_folder(&folder)?;
            self.stage
                .export(&folder, &state.average, training, &validation)?;
        }
        self.window = Window::new();
        Ok(best)
    }
}

/// What tells one set of photographs from another: their names.
fn fingerprint(train: &[PathBuf], val: &[PathBuf]) -> String {
    let names = |paths: &[PathBuf]| paths.iter().map(|p| name(p)).collect::<Vec<_>>().join("\n");
    sha256_hex(format!("{}\n\n{}", names(train), names(val)).as_bytes())
}

/// What can be told before a stage begins, so that nothing fails after hours that could have failed at once.
pub(crate) fn check(common: &Common) -> Result<()> {
    let devices = burn_devices(common.device, common.devices.into())?;
    common.precision.check(&devices[0])?;
    if common.shares.is_some() && common.protocol != Protocol::Real {
        return Err(Error::new(
            "--shares mixes the parts of --protocol real: give that protocol too",
        ));
    }
    for data in [Some(&common.data), common.val.as_ref()].into_iter().flatten() {
        if !data.is_file() {
            files::images_below(data)?;
        }
    }
    Ok(())
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

/// The last part of a path, for manifests are published; on one line, as they are read.
pub(crate) fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.replace(
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
        "?",
    )
}

/// The command that repeats a run, but for its `--out`.
fn command(stage: &str, common: &Common, peak: f64, own: &str) -> String {
    let val = common
        .val
        .as_deref()
        .map_or(String::new(), |v| format!(" --val {}", name(v)));
    let mut extra = String::new();
    if common.devices != 1 {
        let _ = write!(extra, " --devices {}", common.devices);
    }
    if common.warm_up != 200 {
        let _ = write!(extra, " --warm-up {}", common.warm_up);
    }
    if common.schedule == Schedule::Constant {
        extra.push_str(" --schedule constant");
    }
    if common.optimiser == OptimiserKind::Muon {
        extra.push_str(" --optimiser muon");
    }
    if common.relative_rates {
        extra.push_str(" --relative-rates");
    }
    if let Some([clean, mild, full]) = common.shares {
        let _ = write!(extra, " --shares {clean},{mild},{full}");
    }
    if let Some(drawn) = common.drawn {
        let _ = write!(extra, " --drawn {drawn}");
    }
    if let Some(fonts) = &common.fonts {
        let _ = write!(extra, " --fonts {}", name(fonts));
    }
    if common.blurred > 0.0 {
        let _ = write!(extra, " --blurred {}", common.blurred);
    }
    if common.precision != Precision::F32 {
        let _ = write!(extra, " --precision {}", common.precision.name());
    }
    format!(
        "asasr train {stage} --data {}{val} --steps {} --batch {} --patch {} --accumulate {} --learning-rate {} \
         --protocol {} \
         {own}{extra} --seed {} --val-every {} --cache-mb {} --id {} --licence '{}'",
        name(&common.data),
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
    sums: Vec<(&'static str, f64)>,
    steps: u32,
    since: Instant,
}

impl Window {
    fn new() -> Self {
        Self {
            sums: Vec::new(),
            steps: 0,
            since: Instant::now(),
        }
    }

    fn add(&mut self, values: &Values) {
        self.sums.resize(values.len(), ("", 0.0));
        for (sum, (name, value)) in self.sums.iter_mut().zip(values) {
            *sum = (name, sum.1 + f64::from(*value));
        }
        self.steps += 1;
    }

    fn terms(&self) -> Vec<(&'static str, f64)> {
        let steps = f64::from(self.steps.max(1));
        self.sums.iter().map(|(n, s)| (*n, s / steps)).collect()
    }

    fn mean(&self) -> f64 {
        self.terms().iter().map(|(_, v)| v).sum()
    }

    fn rate(&self) -> f64 {
        f64::from(self.steps) / self.since.elapsed().as_secs_f64().max(1e-9)
    }
}
