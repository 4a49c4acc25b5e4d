//! Everything a run needs to go on: parameters, their average, the optimiser's moments and the step, in one
//! safetensors file.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use asasr_core::model::{Dtype, Tensor as Stored, Weights};
use burn::optim::{AdamState, AdaptiveMomentumState};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use super::config::Run;
use super::config::record::{Record, Resumed};
use super::optimiser::Moments;
use crate::error::{Error, Result};
use crate::files;

/// The state of a run after `step` optimiser steps.
pub(crate) struct State {
    pub(crate) step: u64,
    /// Best validation score so far; higher is better.
    pub(crate) best: Option<f64>,
    pub(crate) parameters: BTreeMap<String, Tensor<1>>,
    pub(crate) average: BTreeMap<String, Tensor<1>>,
    pub(crate) moments: BTreeMap<String, Moments>,
}

impl State {
    /// A run that has not begun.
    pub(crate) fn fresh(weights: &Weights, device: &Device) -> Self {
        let parameters: BTreeMap<_, _> = weights
            .iter()
            .map(|(n, t)| (n.clone(), upload(t.values.clone(), device)))
            .collect();
        Self {
            step: 0,
            best: None,
            average: parameters.clone(),
            parameters,
            moments: BTreeMap::new(),
        }
    }

    /// Writes the checkpoint with the record of its run; the old one stays until the new one is whole.
    pub(crate) fn save(&self, path: &Path, record: &Record) -> Result<()> {
        let mut file = Weights::default();
        file.set_note(record.at(self.step, self.best).to_json()?);
        let mut put = |name: String, values: Vec<f32>| {
            let shape = vec![values.len()];
            file.insert(name, Stored { shape, values });
        };
        for (name, tensor) in &self.parameters {
            put(format!("parameter.{name}"), download(tensor)?);
        }
        for (name, tensor) in &self.average {
            put(format!("average.{name}"), download(tensor)?);
        }
        for (name, moments) in &self.moments {
            match moments {
                Moments::Adam(state) => {
                    put(format!("moment1.{name}"), download(&state.momentum.moment_1)?);
                    put(format!("moment2.{name}"), download(&state.momentum.moment_2)?);
                    // Exact in f32: steps end below 2^24.
                    put(format!("time.{name}"), vec![state.momentum.time as f32]);
                }
                Moments::Momentum(momentum) => put(format!("momentum.{name}"), download(momentum)?),
            }
        }
        files::write(path, &file.to_safetensors(Dtype::F32)?)
    }

    /// Reads a checkpoint of a network with the parameters of `like`. `record`, that of the run that goes on, notes where its options
    /// were others.
    pub(crate) fn load<O: Run>(
        path: &Path,
        like: &Weights,
        record: &mut Record,
        device: &Device,
    ) -> Result<Self> {
        let bytes =
            fs::read(path).map_err(|e| Error::at(path, format!("no checkpoint to resume from: {e}")))?;
        let file = Weights::from_safetensors(&bytes).map_err(|e| {
            let why = format!("{e}; --resume --from takes an older one of OUT/checkpoints");
            Error::at(path, why)
        })?;
        let Resumed { step, best } = record.go_on::<O>(&Record::of(&file, path)?, path)?;
        let known = |name: &str| {
            name.strip_prefix("parameter.")
                .is_none_or(|n| like.get(n).is_ok())
        };
        if let Some((extra, _)) = file.iter().find(|(name, _)| !known(name)) {
            let why = format!("{extra} is not in this network: resume with the options of the run");
            return Err(Error::at(path, why));
        }
        let get = |name: &str, n: usize| -> Result<Vec<f32>> {
            let values = &file.get(name).map_err(|e| Error::at(path, e))?.values;
            if values.len() != n {
                let why = format!(
                    "{name} has {} values, this network {n}: resume with its sizes",
                    values.len()
                );
                return Err(Error::at(path, why));
            }
            Ok(values.clone())
        };
        let mut state = Self {
            step,
            best,
            ..Self::fresh(like, device)
        };
        for (name, tensor) in like.iter() {
            let take = |kind: &str| {
                Ok::<_, Error>(upload(
                    get(&format!("{kind}.{name}"), tensor.values.len())?,
                    device,
                ))
            };
            state.parameters.insert(name.clone(), take("parameter")?);
            state.average.insert(name.clone(), take("average")?);
            if file.get(&format!("momentum.{name}")).is_ok() {
                let moments = Moments::Momentum(take("momentum")?);
                state.moments.insert(name.clone(), moments);
            } else if step > 0 {
                // As old as the moments are; that is the step, unless another optimiser went before.
                let time = get(&format!("time.{name}"), 1).map_or(step, |t| t[0] as u64);
                let momentum = AdaptiveMomentumState::new(time as usize, take("moment1")?, take("moment2")?);
                let moments = Moments::Adam(AdamState::new(momentum));
                state.moments.insert(name.clone(), moments);
            }
        }
        Ok(state)
    }
}

/// Keeps the newest checkpoint in the folder `checkpoints` beside it under its step's number, so that the last `count`
/// stay, and as `best` when it is.
pub(crate) fn keep(newest: &Path, step: u64, count: u16, best: bool) -> Result<()> {
    let folder = newest.with_file_name("checkpoints");
    if count > 0 || best {
        files::make_folder(&folder)?;
    }
    if best {
        link(newest, &folder.join("best.safetensors"))?;
    }
    if count > 0 {
        link(newest, &folder.join(format!("step-{step:08}.safetensors")))?;
    }
    let kept = numbered(&folder);
    for old in kept.iter().rev().skip(count.into()) {
        fs::remove_file(old).map_err(|e| Error::at(old, e))?;
    }
    Ok(())
}

/// Another name for a file, or a copy where the disk has no such thing; the old one stays until the new one is whole.
fn link(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension("new");
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(Error::at(&fresh, e)),
        _ => {}
    }
    fs::hard_link(from, &fresh)
        .or_else(|_| fs::copy(from, &fresh).map(drop))
        .and_then(|()| fs::rename(&fresh, to))
        .map_err(|e| Error::at(to, e))
}

/// Goes back to `step`: forgets the checkpoints of later steps and what was measured there.
pub(crate) fn forget_after(newest: &Path, step: u64) -> Result<()> {
    for path in numbered(&newest.with_file_name("checkpoints")) {
        let later = path
            .file_stem()
            .and_then(|n| n.to_string_lossy().strip_prefix("step-")?.parse().ok())
            .is_some_and(|n: u64| n > step);
        if later {
            fs::remove_file(&path).map_err(|e| Error::at(&path, e))?;
        }
    }
    let log = newest.with_file_name("metrics.jsonl");
    let Ok(text) = fs::read_to_string(&log) else {
        return Ok(());
    };
    let earlier = |line: &&str| {
        let line: Option<Value> = serde_json::from_str(line).ok();
        line.is_some_and(|l| l["step"].as_u64().is_some_and(|s| s <= step))
    };
    let kept: String = text.lines().filter(earlier).flat_map(|l| [l, "\n"]).collect();
    files::write(&log, kept.as_bytes())
}

/// The checkpoints in a folder that bear their step's number, in order.
fn numbered(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = |p: &PathBuf| {
        p.file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("step-"))
    };
    let mut all: Vec<PathBuf> = entries.map(|e| e.path()).filter(named).collect();
    all.sort();
    all
}

fn upload(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

fn download(tensor: &Tensor<1>) -> Result<Vec<f32>> {
    tensor
        .clone()
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))
}
