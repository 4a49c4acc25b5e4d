//! The loop all stages share: batches, steps, validation, checkpoints, progress.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io, time::Instant};

use asasr_core::model::{Dtype, NetworkPart, Role, Training, Weights, sha256_hex};
use asasr_core::nn::Parameters;
use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Map, Value, json};

use super::checkpoint::{self, State};
use super::config::options::{self, Paths, one_line};
use super::config::record::{Record, checkpoint_of};
use super::config::{Common, Rate, Run as Options, Share, Shares};
use super::data::{Batch, Dataset, Inputs};
use super::feed;
use super::optimise::{self, Terms, Values, Workers};
use super::optimiser::Optimiser;
use super::report::{self, Comparison};
use crate::device::{Precision, burn_devices};
use crate::drawn::Artist;
use crate::error::{Error, Result};
use crate::eval::{self, Pair, ResultFolder};
use crate::graphs::Graphs;
use crate::{files, interrupt, memory, pack};

pub(crate) use super::config::SCALE;
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

/// Writes the model of the one network that a stage trained, as which `begun` describes it, with what was measured of it.
pub(super) fn export_one(
    folder: &Path,
    common: &Common,
    (role, begun): (Role, &NetworkPart),
    (weights, training): (Weights, Training),
    score: &Validation,
) -> Result<()> {
    let part = NetworkPart {
        training: Some(training),
        provenance: begun.provenance.clone(),
        ..NetworkPart::new(&format!("{}.safetensors", role.name()), begun.graph.clone())
    };
    let mut model = Graphs::named(common.id.clone().into(), common.licence.clone().into());
    model.manifest.measured = serde_json::from_value(json!(score.record)).ok();
    model.put(role, (part, weights));
    model.write(folder, Dtype::F16)
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
    let out = &common.files.out;
    files::make_folder(out)?;
    let checkpoint = checkpoint_of(out);
    if !common.running.resume && checkpoint.exists() {
        return Err(Error::at(
            &checkpoint,
            "a run is here already: add --resume to go on, or name another --out",
        ));
    }
    // What cannot be written is told now, and not by the first checkpoint.
    let files = ["checkpoint.safetensors", "metrics.jsonl", "report.html"].map(|n| out.join(n));
    files::check_outputs(files.iter().map(PathBuf::as_path), &[])?;
    for name in ["best", "checkpoints"] {
        files::check_folder(&out.join(name))?;
    }
    Ok(checkpoint)
}

/// Trains the stage that `open` makes on each device, or goes on from its checkpoint, to the end of the schedule or an
/// interruption.
pub(crate) fn train<O: Options, S: Stage>(options: &O, open: impl Fn(&Device) -> Result<S>) -> Result<()> {
    let common = options.common();
    check(common)?;
    let checkpoint = prepare(common)?;
    let artist = Artist::new(common.fonts.as_deref())?;
    let devices = burn_devices(common.device, common.devices.into())?;
    let stages: Vec<S> = devices.iter().map(open).collect::<Result<_>>()?;
    let peak = common.learning_rate.map_or(O::PEAK.get(), Rate::get);
    let fresh = stages[0].fresh();
    let (train, val) = split(common)?;
    let inputs = inputs(common, &train, &val)?;
    let mut record = Record::new(options, stages[0].base(), fingerprint(&train, &val))?;
    let mut state = begin::<O>(common, &checkpoint, &fresh, &mut record, &devices[0])?;
    let dataset = dataset(options, &train, inputs.as_ref(), artist)?;
    let pairs = match (&inputs, &common.files.val) {
        (Some(inputs), None) => eval::pairs_with(&val, inputs, options.scale())?,
        _ => eval::pairs(&val, options.scale(), common.protocol)?,
    };
    let learned: usize = fresh.iter().map(|(_, t)| t.values.len()).sum();
    note!(
        "{learned} parameters, {} training images, {} validation images, steps {} to {}",
        dataset.len(),
        pairs.len(),
        state.step,
        common.steps.get()
    );

    let optimiser = Optimiser::new(
        common.optimiser,
        (common.relative_rates, common.clip.get()),
        &fresh,
    );
    let workers = Workers::new(&devices, common.precision, common.accumulate.into())?;
    let mut run = Run {
        common,
        stage: &stages[0],
        checkpoint: &checkpoint,
        pairs,
        images: dataset.len(),
        crops: common.batch.get() as f64 * workers.parts() as f64,
        published: options::printed(options, Paths::Published)? + &record.history(),
        bar: bar(common.steps.get(), state.step),
        window: Window::new(),
    };
    let steps = common.steps.get();
    let end = common.running.stop_after.map_or(steps, |s| s.get().min(steps));
    if state.step >= end && !run.reported(state.step) {
        // It was stopped between its last step and the validation.
        let best = run.report(&mut state)?;
        state.save(&checkpoint, &record)?;
        checkpoint::keep(&checkpoint, state.step, common.running.keep, best)?;
        return Ok(());
    }
    if state.step >= end {
        return Err(Error::new(format!(
            "the run is at step {} already: give more --steps to go on",
            state.step
        )));
    }
    let parts = workers.parts();
    // Every batch has a number of its own.
    feed::fed(&dataset, common, state.step * parts..end * parts, |feed| {
        while state.step < end {
            let step = state.step;
            let rate = optimise::learning_rate(peak, step, steps, common.warm_up, common.schedule);
            let crops = feed.step(parts)?;
            let loss = optimise::step(&mut state, &optimiser, rate, &workers, |p, worker, part| {
                let batch = crops.take(part)?.on(&devices[worker]);
                stages[worker].loss(p, batch, step * parts + part)
            })?;
            run.after(&mut state, &record, &loss, end)?;
        }
        Ok(())
    })?;
    run.bar.finish();
    if let Some(best) = state.best {
        say!(
            "best model: {} (score {best:.4})",
            common.files.out.join("best").display()
        );
    }
    Ok(())
}

/// What crops are taken from.
fn dataset<O: Options>(
    options: &O,
    photos: &[PathBuf],
    inputs: Option<&ResultFolder>,
    artist: Artist,
) -> Result<Dataset> {
    let common = options.common();
    let patch = common.patch.into();
    let made = Inputs::Made(common.protocol);
    let inputs = inputs.map_or(made, |folder| Inputs::Given(folder, common.protocol));
    let loaded = Dataset::load(photos, options.scale(), patch, common.running.cache_mb, inputs)?;
    Ok(loaded
        .blurring(common.blurred.get())
        .mixing(common.shares.map(Shares::parts))
        .drawing(artist, common.drawn.map_or(0.0, Share::get))
        .moving(options.clips()?))
}

/// The state to go on from.
fn begin<O: Options>(
    common: &Common,
    checkpoint: &Path,
    fresh: &Weights,
    record: &mut Record,
    device: &Device,
) -> Result<State> {
    if !common.running.resume {
        return Ok(State::fresh(fresh, device));
    }
    let from = common.running.from.as_deref();
    let state = State::load::<O>(from.unwrap_or(checkpoint), fresh, record, device)?;
    if from.is_some() {
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
        let log = fs::read_to_string(self.common.files.out.join("metrics.jsonl")).unwrap_or_default();
        let of_step = |line: &str| serde_json::from_str::<Value>(line).is_ok_and(|l| l["step"] == step);
        log.lines().any(of_step)
    }

    /// What follows a step: the bar, validation and checkpoints in their time, and the end where somebody wants it.
    fn after(&mut self, state: &mut State, record: &Record, loss: &Values, end: u64) -> Result<()> {
        if let Some((what, _)) = loss.iter().find(|(_, v)| !v.is_finite()) {
            state.save(self.checkpoint, record)?;
            return Err(self.failed(what, state.step)?);
        }
        self.window.add(loss);
        self.bar.inc(1);
        self.bar.set_message(self.message());
        let stop = interrupt::requested();
        let validated = state.step.is_multiple_of(self.common.running.val_every.get()) || state.step == end;
        if validated || stop {
            // First of all: neither a validation that fails nor impatience may cost the steps before it.
            state.save(self.checkpoint, record)?;
        }
        if validated && !stop {
            let best = self.report(state)?;
            if best {
                state.save(self.checkpoint, record)?;
            }
            checkpoint::keep(self.checkpoint, state.step, self.common.running.keep, best)?;
        }
        if stop {
            self.bar.abandon();
            return Err(Error::new(format!(
                "stopped at step {}: go on with --resume",
                state.step
            )));
        }
        Ok(())
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
        let seeds = self.common.files.out.join("failed-batch.json");
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
        let path = self.common.files.out.join("metrics.jsonl");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        log.and_then(|mut f| io::Write::write_all(&mut f, format!("{}\n", Value::Object(line)).as_bytes()))
            .map_err(|e| Error::at(&path, e))?;
        report::write(&self.common.files.out, &self.published, &validation.comparisons)?;
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
        // A score that is no number is none: nothing could be better.
        let best = validation.score.is_finite() && state.best.is_none_or(|best| validation.score > best);
        if best {
            state.best = Some(validation.score);
            let training = Training {
                command: self.published.clone(),
                steps: state.step,
                images: self.images,
            };
            let folder = self.common.files.out.join("best");
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
    for data in [Some(&common.files.data), common.files.val.as_ref()]
        .into_iter()
        .flatten()
    {
        if !data.is_file() {
            files::images_below(data)?;
        }
    }
    Ok(())
}

/// The low-quality images that are given, of the images of --data.
fn inputs(common: &Common, train: &[PathBuf], val: &[PathBuf]) -> Result<Option<ResultFolder>> {
    let Some(folder) = &common.files.inputs else {
        return Ok(None);
    };
    let mut named = train.to_vec();
    if common.files.val.is_none() {
        named.extend_from_slice(val);
    }
    ResultFolder::open(folder, &named).map(Some)
}

/// Training and validation files.
fn split(common: &Common) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let below = |data: &Path| files::images_below(&pack::unpacked(data, &common.files.out)?);
    let all = below(&common.files.data)?;
    if let Some(val) = &common.files.val {
        return Ok((all, below(val)?));
    }
    if all.len() < 2 {
        return Err(Error::at(
            &common.files.data,
            "one image cannot be both trained on and validated on: give --val",
        ));
    }
    let (val, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 20 == 0);
    let paths = |v: Vec<(usize, PathBuf)>| v.into_iter().map(|(_, p)| p).collect();
    Ok((paths(train), paths(val)))
}

/// The last part of a path.
fn name(path: &Path) -> String {
    one_line(&path.file_name().unwrap_or_default().to_string_lossy())
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
