//! `asasr train restorer`: the posterior mean.

use std::{fs, io::Write as _, path::Path, time::Instant};

use asasr_core::model::{Architecture, Dtype, MANIFEST_FORMAT, Manifest, Measured, Training, sha256_hex};
use asasr_core::nn::{BurnExecutor, Network, init_weights};
use burn::optim::{Adam, AdamConfig, Optimizer as _};
use indicatif::{ProgressBar, ProgressStyle};

use super::checkpoint::State;
use super::data::{Batch, Dataset};
use crate::cli::{Loss, Restorer};
use crate::device::burn_device;
use crate::error::{Error, Result};
use crate::eval::{self, Pair};
use crate::{files, interrupt};

const SCALE: usize = 4;
const WARM_UP: f64 = 200.0;
/// Most of the old average kept at each step: it forgets over about a thousand steps.
const AVERAGE_DECAY: f32 = 0.999;
/// Largest Euclidean norm of the whole gradient: rare bad batches must not throw the run.
const MAX_GRADIENT: f32 = 1.0;

/// Runs the command.
pub(crate) fn run(args: &Restorer) -> Result<()> {
    interrupt::listen();
    files::make_folder(&args.out)?;
    let checkpoint = args.out.join("checkpoint.safetensors");
    if !args.resume && checkpoint.exists() {
        return Err(Error::at(
            &checkpoint,
            "a run is here already: add --resume to go on, or name another --out",
        ));
    }
    let device = burn_device(args.device)?;
    let architecture = Architecture::restorer(SCALE, args.channels.into(), args.blocks.into());
    architecture.validate()?;
    let fresh = init_weights(&architecture, args.seed);
    let mut state = if args.resume {
        State::load(&checkpoint, &fresh, &device)?
    } else {
        State::fresh(&fresh, &device)
    };

    let (train, val) = split(args)?;
    let dataset = Dataset::load(&train, SCALE, args.patch.into(), args.cache_mb)?;
    let pairs = eval::clean_pairs(&val, SCALE)?;
    eprintln!(
        "{} parameters, {} training images, {} validation images, steps {} to {}",
        architecture.parameter_count(),
        dataset.len(),
        pairs.len(),
        state.step,
        args.steps
    );

    let network = Network::new(&architecture, &fresh, &device)?;
    let adam = AdamConfig::new().with_epsilon(1e-8).build();
    let mut run = Run {
        args,
        network,
        pairs,
        images: dataset.len(),
        bar: bar(args.steps, state.step),
        window: Window::new(),
    };
    let end = args.stop_after.unwrap_or(args.steps).min(args.steps);
    while state.step < end {
        let batch = dataset.batch(
            args.seed,
            state.step,
            args.batch.into(),
            args.patch.into(),
            &device,
        );
        let loss = step(&mut run.network, &mut state, &adam, batch, args)?;
        if !loss.is_finite() {
            return Err(Error::new(format!(
                "the loss of step {} is {loss}; the last good state is in {}: resume it with a smaller --learning-rate",
                state.step,
                checkpoint.display()
            )));
        }
        run.window.add(loss);
        run.bar.inc(1);
        run.bar.set_message(format!("loss {:.5}", run.window.mean()));
        let stop = interrupt::requested();
        if state.step.is_multiple_of(args.val_every) || state.step == end || stop {
            let reported = run.report(&mut state);
            // A validation that fails must not cost the steps before it.
            state.save(&checkpoint)?;
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
        "best model: {} ({:.3} dB)",
        args.out.join("best").display(),
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
struct Run<'a> {
    args: &'a Restorer,
    network: Network,
    pairs: Vec<Pair>,
    images: usize,
    bar: ProgressBar,
    window: Window,
}

impl Run<'_> {
    /// Scores the averaged weights, says and logs it, and exports them when they are the best so far.
    fn report(&mut self, state: &mut State) -> Result<()> {
        self.network.parameters_mut().clone_from(&state.average);
        let measured = eval::measure(
            &mut BurnExecutor::new(self.network.clone()),
            &self.pairs,
            |_, _, _| {},
        )?;
        let (loss, rate) = (self.window.mean(), self.window.rate());
        let line = serde_json::json!({
            "step": state.step, "loss": loss, "images_per_s": rate * f64::from(self.args.batch),
            "psnr_y": measured.psnr_y, "psnr_y_bicubic": measured.psnr_y_bicubic,
        });
        let path = self.args.out.join("metrics.jsonl");
        let log = fs::OpenOptions::new().create(true).append(true).open(&path);
        log.and_then(|mut f| writeln!(f, "{line}"))
            .map_err(|e| Error::at(&path, e))?;
        let text = format!(
            "step {}: loss {loss:.5}, validation PSNR-Y {:.3} dB ({:+.3} over bicubic), {rate:.2} steps/s",
            state.step,
            measured.psnr_y,
            measured.psnr_y - measured.psnr_y_bicubic,
        );
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
        if measured.psnr_y > state.best {
            state.best = measured.psnr_y;
            export(
                &self.args.out.join("best"),
                &self.network,
                self.args,
                state.step,
                self.images,
                measured,
            )?;
        }
        self.window = Window::new();
        Ok(())
    }
}

/// Training and validation files.
fn split(args: &Restorer) -> Result<(Vec<std::path::PathBuf>, Vec<std::path::PathBuf>)> {
    let all = files::images_below(&args.data)?;
    if let Some(val) = &args.val {
        return Ok((all, files::images_below(val)?));
    }
    if all.len() < 2 {
        return Err(Error::at(
            &args.data,
            "one image cannot be both trained on and validated on: give --val",
        ));
    }
    let (val, train): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(i, _)| i % 20 == 0);
    let paths = |v: Vec<(usize, std::path::PathBuf)>| v.into_iter().map(|(_, p)| p).collect();
    Ok((paths(train), paths(val)))
}

/// One step of Adam on the loss of `batch`; returns the loss.
fn step(network: &mut Network, state: &mut State, adam: &Adam, batch: Batch, args: &Restorer) -> Result<f32> {
    let tracked: Vec<_> = state
        .parameters
        .iter()
        .map(|(n, t)| (n.clone(), t.clone().autodiff().require_grad()))
        .collect();
    *network.parameters_mut() = tracked.iter().cloned().collect();
    let error = network.residual(batch.input.autodiff()) - batch.residual.autodiff();
    let loss = match args.loss {
        Loss::L1 => error.abs().mean(),
        Loss::L2 => error.square().mean(),
    };
    let mut gradients = loss.backward();
    let value = loss
        .inner()
        .try_into_scalar::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))?;
    let gradients: Vec<_> = tracked
        .into_iter()
        .map(|(name, t)| {
            let gradient = t.grad_remove(&mut gradients);
            gradient
                .map(|g| (name, g))
                .ok_or_else(|| Error::new("a parameter does not reach the loss"))
        })
        .collect::<Result<_>>()?;
    let norm = gradients
        .iter()
        .map(|(_, g)| g.clone().square().sum())
        .reduce(|a, b| a + b);
    let norm = norm
        .map_or(Ok(0.0), burn::tensor::Tensor::try_into_scalar::<f32>)
        .map_or(f32::NAN, f32::sqrt);
    if !norm.is_finite() {
        // Nothing was changed yet: the state is still the one before this step.
        return Ok(f32::NAN);
    }
    let shrink = if norm > MAX_GRADIENT {
        MAX_GRADIENT / norm
    } else {
        1.0
    };
    let rate = learning_rate(args, state.step);
    // A young average forgets faster, so that the untrained weights do not linger in it.
    let decay = AVERAGE_DECAY.min((1 + state.step) as f32 / (10 + state.step) as f32);
    for (name, gradient) in gradients {
        let old = state.parameters[&name].clone();
        let (new, moments) = adam.step(rate, old, gradient * shrink, state.adam.remove(&name));
        let average = state.average[&name].clone() * decay + new.clone() * (1.0 - decay);
        state.average.insert(name.clone(), average);
        state.parameters.insert(name.clone(), new);
        if let Some(moments) = moments {
            state.adam.insert(name, moments);
        }
    }
    state.step += 1;
    Ok(value)
}

fn learning_rate(args: &Restorer, step: u64) -> f64 {
    let warm = ((step + 1) as f64 / WARM_UP).min(1.0);
    let progress = step as f64 / args.steps as f64;
    args.learning_rate * warm * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}

/// Writes the weights in half precision and their manifest.
fn export(
    folder: &Path,
    network: &Network,
    args: &Restorer,
    steps: u64,
    images: usize,
    measured: Measured,
) -> Result<()> {
    files::make_folder(folder)?;
    let bytes = network.weights()?.to_safetensors(Dtype::F16)?;
    let file = "restorer.safetensors";
    let architecture = network.architecture().clone();
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        id: args.id.clone(),
        licence: args.licence.clone(),
        file: file.into(),
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        parameters: architecture.parameter_count(),
        architecture,
        training: Training {
            command: command_line(args),
            steps,
            images,
        },
        measured: Some(measured),
    };
    files::write(&folder.join(file), &bytes)?;
    files::write(&folder.join("manifest.json"), manifest.to_json()?.as_bytes())
}

/// The command that repeats the run; folders by their last name, for manifests are published.
fn command_line(args: &Restorer) -> String {
    let name = |p: &Path| p.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let val = args
        .val
        .as_deref()
        .map_or(String::new(), |v| format!(" --val {}", name(v)));
    let loss = if args.loss == Loss::L1 { "l1" } else { "l2" };
    format!(
        "asasr train restorer --data {}{val} --out {} --steps {} --batch {} --patch {} --learning-rate {} --loss {loss} \
         --channels {} --blocks {} --seed {} --val-every {} --cache-mb {} --id {} --licence '{}'",
        name(&args.data),
        name(&args.out),
        args.steps,
        args.batch,
        args.patch,
        args.learning_rate,
        args.channels,
        args.blocks,
        args.seed,
        args.val_every,
        args.cache_mb,
        args.id,
        args.licence
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
