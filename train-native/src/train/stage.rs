//! A stage of training as a section of a configuration file: it becomes the stage's command line, so that a key is an
//! option, checked and explained by the same parser.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::model::sha256_hex;
use clap::Parser as _;
use toml::{Table, Value};

use super::{adversary, align, distill, flow, restorer, run};
use crate::cli::{Cli, Command, Common, Train};
use crate::error::{Error, Result};
use crate::{files, model};

/// Left in a stage's folder when it is done, with its options.
const DONE: &str = "done";

/// Options that name files or folders.
pub(super) const PATHS: [&str; 7] = [
    "perceptual",
    "artefacts",
    "init",
    "model",
    "restorer",
    "adapter",
    "fonts",
];
/// Those of them that may be a built-in model's id instead.
const MODELS: [&str; 3] = ["init", "model", "restorer"];

/// The stage that `words` and the options of a section, after those of `shared` that it does not give itself, make; and its
/// options as text.
pub(super) fn parse(
    name: &str,
    mut words: Vec<OsString>,
    shared: &Table,
    own: &Table,
) -> Result<(Train, String)> {
    // What would fail hours later fails now.
    for key in PATHS {
        let given = own.get(key).and_then(Value::as_str);
        let known = |p: &str| Path::new(p).exists() || MODELS.contains(&key) && model::shipped(p).is_some();
        if let Some(missing) = given.filter(|p| !known(p)) {
            let why = if MODELS.contains(&key) {
                model::unknown()
            } else {
                "does not exist".into()
            };
            return Err(Error::new(format!("[{name}] {key} = {missing:?}: {why}")));
        }
    }
    let mut options = Vec::new();
    for (key, value) in shared.iter().filter(|(k, _)| !own.contains_key(*k)).chain(own) {
        options.push(format!("{key} = {value}"));
        words.push(format!("--{key}").into());
        words.push(match value {
            Value::String(s) => s.into(),
            Value::Integer(_) | Value::Float(_) => value.to_string().into(),
            other => {
                return Err(Error::new(format!(
                    "[{name}] {key} = {other} is neither a number nor a word"
                )));
            }
        });
    }
    let parsed = Cli::try_parse_from(words).map_err(|e| {
        // The parser's own sentence and its suggestion, without the usage of a command nobody typed.
        let text = e.to_string();
        let kept: Vec<&str> = text
            .lines()
            .filter(|l| !l.starts_with("Usage") && !l.starts_with("For more") && !l.is_empty())
            .map(|l| l.trim().trim_start_matches("error: "))
            .collect();
        Error::new(format!("[{name}] {}", kept.join("; ")))
    })?;
    let Command::Train(stage) = parsed.command else {
        return Err(Error::new(format!("[{name}] is no stage")));
    };
    Ok((stage, options.join("\n")))
}

/// Refuses before any work what cannot be.
pub(super) fn check(stage: &Train) -> Result<()> {
    if let Some(common) = common(stage) {
        run::check(common)?;
    }
    match stage {
        Train::Restorer(a) => restorer::check(a),
        Train::Flow(a) => flow::check(a),
        Train::Adversary(a) => adversary::check(a),
        Train::Align(a) => align::check(a),
        Train::Distill(a) => distill::check(a),
        Train::Export(_) | Train::All(_) | Train::Sweep(_) => Ok(()),
    }
}

/// Trains a stage, unless it was done before; one that was done with other options is refused.
pub(super) fn run(name: &str, stage: &Train, options: &str, resume: bool) -> Result<()> {
    let Some(common) = common(stage) else {
        return Err(Error::new(format!("[{name}] is no stage of training")));
    };
    let mark = common.out.join(DONE);
    // What it builds on may have been trained again.
    let mut options = options.to_owned();
    for base in bases(stage) {
        options.push('\n');
        options += &made(base)?;
    }
    if resume && mark.exists() {
        let done = fs::read_to_string(&mark).map_err(|e| Error::at(&mark, e))?;
        if done != options {
            return Err(Error::at(
                &common.out,
                format!(
                    "finished with other options, or on another model ({}): put the old ones back, or remove the folder to train \
                     it again",
                    done.replace('\n', ", ")
                ),
            ));
        }
        note!("{name}: done before");
        return Ok(());
    }
    note!("{name}: begins");
    match stage {
        Train::Restorer(a) => restorer::run(a),
        Train::Flow(a) => flow::run(a),
        Train::Adversary(a) => adversary::run(a),
        Train::Align(a) => align::run(a),
        Train::Distill(a) => distill::run(a),
        Train::Export(_) | Train::All(_) | Train::Sweep(_) => Ok(()),
    }?;
    files::write(&mark, options.as_bytes())
}

/// The models and adapters that a stage builds on.
fn bases(stage: &Train) -> Vec<&Path> {
    let named = match stage {
        Train::Restorer(a) => vec![a.init.as_ref()],
        Train::Flow(a) => vec![a.init.as_ref(), a.restorer.as_ref()],
        Train::Adversary(a) => vec![Some(&a.model)],
        Train::Align(a) => vec![Some(&a.model), a.adapter.as_ref()],
        Train::Distill(a) => vec![Some(&a.model)],
        Train::Export(_) | Train::All(_) | Train::Sweep(_) => Vec::new(),
    };
    named.into_iter().flatten().map(PathBuf::as_path).collect()
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

/// A section.
pub(super) fn table<'a>(name: &str, value: &'a Value) -> Result<&'a Table> {
    value
        .as_table()
        .ok_or_else(|| Error::new(format!("{name} = {value} is not a section: write [{name}]")))
}

/// What a stage shares with the others.
pub(super) fn common(stage: &Train) -> Option<&Common> {
    Some(match stage {
        Train::Restorer(a) => &a.common,
        Train::Flow(a) => &a.common,
        Train::Adversary(a) => &a.common,
        Train::Align(a) => &a.common,
        Train::Distill(a) => &a.common,
        Train::Export(_) | Train::All(_) | Train::Sweep(_) => return None,
    })
}
