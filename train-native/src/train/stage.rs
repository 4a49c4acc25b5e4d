//! A stage of training as a part of something larger: checked before any work, and passed over where it was done before.

use std::fs;
use std::path::Path;

use asasr_core::model::sha256_hex;
use serde_json::{Map, Value as Json};
use toml::{Table, Value};

use super::config::record::{Record, checkpoint_of};
use super::config::{Job, Run, each};
use super::{adversary, align, distill, flow, one_step, restorer, run, video};
use crate::error::{Error, Result};
use crate::{files, model};

/// Left in a stage's folder when it is done, with the record of its last checkpoint.
const DONE: &str = "done";

/// Refuses before any work what cannot be.
pub(super) fn check(job: &Job) -> Result<()> {
    run::check(job.common())?;
    match job {
        Job::Restorer(a) => restorer::check(a),
        Job::Flow(a) => flow::check(a),
        Job::Adversary(a) => adversary::check(a),
        Job::Align(a) => align::check(a),
        Job::Distill(a) => distill::check(a),
        Job::OneStep(a) => one_step::check(a),
        Job::Video(_) => Ok(()),
    }
}

/// Trains a stage.
pub(super) fn train(job: &Job) -> Result<()> {
    match job {
        Job::Restorer(a) => restorer::run(a),
        Job::Flow(a) => flow::run(a),
        Job::Adversary(a) => adversary::run(a),
        Job::Align(a) => align::run(a),
        Job::Distill(a) => distill::run(a),
        Job::OneStep(a) => one_step::run(a),
        Job::Video(a) => video::run(a),
    }
}

/// Trains a stage, unless it was done before; one that was done with other options is refused.
pub(super) fn train_once(name: &str, job: &Job, resume: bool) -> Result<()> {
    let out = &job.common().files.out;
    let mark = out.join(DONE);
    if resume && mark.exists() {
        each!(job, options => check_done(options, &mark))?;
        note!("{name}: done before");
        return Ok(());
    }
    note!("{name}: begins");
    train(job)?;
    let record = Record::read(&checkpoint_of(out))?;
    files::write(&mark, record.to_json()?.as_bytes())
}

/// Refuses a stage that was done with other options, or on a model that was trained again.
fn check_done<O: Run>(options: &O, mark: &Path) -> Result<()> {
    let out = &options.common().files.out;
    let text = fs::read_to_string(mark).map_err(|e| Error::at(mark, e))?;
    // Versions before this left the options as text; their checkpoints have them, too.
    let done = match Record::from_json(&text) {
        Some(done) => done,
        None => Record::read(&checkpoint_of(out))?,
    };
    let now = Record::new(options, String::new(), String::new())?;
    let changed = done.differences::<O>(&now)?;
    if changed.is_empty() {
        return Ok(());
    }
    let each: Vec<&str> = changed.iter().map(|c| c.text.as_str()).collect();
    let why = format!(
        "finished with other options, or on another model ({}): put the old ones back, or remove the folder to train it again",
        each.join(", ")
    );
    Err(Error::at(out, why))
}

/// Prints the command that made a run, from the record in its checkpoint.
pub(super) fn print_command(run: &Path) -> Result<()> {
    let record = Record::read(run)?;
    // A checkpoint lies in the run's folder, or in the folder `checkpoints` in there.
    let mut out = std::path::absolute(run).map_err(|e| Error::at(run, e))?;
    if !out.is_dir() {
        out.pop();
        if out.ends_with("checkpoints") {
            out.pop();
        }
    }
    let (command, history) = Job::command_of(&record, &out)?;
    say!("{command}");
    if !history.is_empty() {
        note!("this command alone may end elsewhere{history}");
    }
    Ok(())
}

/// The hash of a model's manifest, which may be a built-in one, or of an adapter.
pub(super) fn made(folder: &Path) -> Result<String> {
    if !folder.exists()
        && let Some(model) = folder.to_str().and_then(model::shipped)
    {
        return Ok(sha256_hex(model.manifest));
    }
    let manifest = folder.join("manifest.json");
    let path = if manifest.exists() {
        manifest
    } else {
        folder.join("adapter_model.safetensors")
    };
    let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    Ok(sha256_hex(&bytes))
}

/// Paths as structs of options are read with them.
pub(super) fn places(all: &[(&str, &Path)]) -> Result<Map<String, Json>> {
    let text = |(key, path): &(&str, &Path)| match path.to_str() {
        Some(text) => Ok(((*key).to_owned(), Json::from(text))),
        None => Err(Error::at(path, "is not Unicode, and has to be here: rename it")),
    };
    all.iter().map(text).collect()
}

/// A section.
pub(super) fn table<'a>(name: &str, value: &'a Value) -> Result<&'a Table> {
    value
        .as_table()
        .ok_or_else(|| Error::new(format!("{name} = {value} is not a section: write [{name}]")))
}
