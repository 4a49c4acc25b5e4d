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
    let pairs: Vec<Pair> = val
        .iter()
        .map(|p| eval::clean_pair(p, SCALE))
        .collect::<Result<_>>()?;
    eprintln!(
        "{} parameters, {} training images, {} validation images, steps {} to {}",
        architecture.parameter_count(),
        dataset.len(),
        pairs.len(),
        state.step,
        args.steps
    );

    let mut network = Network::new(&architecture, &fresh, &device)?;
    let adam = AdamConfig::new().with_epsilon(1e-8).build();
    let mut log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(args.out.join("metrics.jsonl"))
        .map_err(|e| Error::at(&args.out, e))?;
    let bar = ProgressBar::new(args.steps).with_position(state.step);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len}, {per_sec}, {eta} left, {msg}") {
        bar.set_style(style);
    }
    let mut window = Window::new();
    let end = args.stop_after.unwrap_or(args.steps).min(args.steps);
    while state.step < end {
        let batch = dataset.batch(
            args.seed,
            state.step,
            args.batch.into(),
            args.patch.into(),
            &device,
        );
        let loss = step(&mut network, &mut state, &adam, batch, args)?;
        if !loss.is_finite() {
            return Err(Error::new(format!(
                "the loss of step {} is {loss}; the last good state is in {}: resume it with a smaller --learning-rate",
                state.step,
                checkpoint.display()
            )));
        }
        window.add(loss);
        bar.inc(1);
        bar.set_message(format!("loss {:.5}", window.mean()));
        let stop = interrupt::requested();
        if state.step.is_multiple_of(args.val_every) || state.step == end || stop {
            let measured = validate(&mut network, &state, &pairs)?;
            let line = serde_json::json!({
                "step": state.step, "loss": window.mean(), "images_per_s": window.rate() * f64::from(args.batch),
                "psnr_y": measured.psnr_y, "psnr_y_bicubic": measured.psnr_y_bicubic,
            });
            writeln!(log, "{line}").map_err(|e| Error::at(&args.out, e))?;
            let text = format!(
                "step {}: loss {:.5}, validation PSNR-Y {:.3} dB ({:+.3} over bicubic), {:.2} steps/s",
                state.step,
                window.mean(),
                measured.psnr_y,
                measured.psnr_y - measured.psnr_y_bicubic,
                window.rate()
            );
            if bar.is_hidden() {
                eprintln!("{text}");
            } else {
                bar.println(text);
            }
            if measured.psnr_y > state.best {
                state.best = measured.psnr_y;
                export(
                    &args.out.join("best"),
                    &network,
                    args,
                    &state,
                    dataset.len(),
                    measured,
                )?;
            }
            state.save(&checkpoint)?;
            window = Window::new();
        }
        if stop {
            bar.abandon();
            return Err(Error::new(format!(
                "stopped at step {}: go on with --resume",
                state.step
            )));
        }
    }
    bar.finish();
    println!(
        "best model: {} ({:.3} dB)",
        args.out.join("best").display(),
        state.best
    );
    Ok(())
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

/// Scores the average of the weights and leaves it in `network`.
fn validate(network: &mut Network, state: &State, pairs: &[Pair]) -> Result<Measured> {
    // Early on the average still remembers the untrained weights.
    let weights = if state.step < 2000 {
        &state.parameters
    } else {
        &state.average
    };
    network.parameters_mut().clone_from(weights);
    eval::measure(&mut BurnExecutor::new(network.clone()), pairs, |_, _, _| {})
}

/// Writes the weights in half precision and their manifest.
fn export(
    folder: &Path,
    network: &Network,
    args: &Restorer,
    state: &State,
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
            steps: state.step,
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
         --channels {} --blocks {} --seed {}",
        name(&args.data),
        name(&args.out),
        args.steps,
        args.batch,
        args.patch,
        args.learning_rate,
        args.channels,
        args.blocks,
        args.seed
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
