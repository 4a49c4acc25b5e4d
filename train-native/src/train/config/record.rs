//! What a checkpoint says of its run: the options, the files, the score. JSON in the file's metadata.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::model::Weights;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::options::{self, Difference, Effect, Paths};
use super::{Place, Run, named};
use crate::error::{Error, Result};

/// The version of the layout. Version 2 kept the options as a command line, and is read.
const FORMAT: u64 = 3;

/// The newest checkpoint in a run's folder.
pub(crate) fn checkpoint_of(out: &Path) -> PathBuf {
    out.join("checkpoint.safetensors")
}

/// What a run is, and how far it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    format: u64,
    /// The version of the program.
    program: String,
    /// The stage's name.
    pub(crate) stage: String,
    /// All options that name no file or folder.
    options: Map<String, Value>,
    /// Those that do, but for the run's own folder, which may be moved.
    files: BTreeMap<String, File>,
    /// The model that the stage builds on, by its hashes.
    base: String,
    /// The photographs, by their names.
    data: String,
    /// Optimiser steps done.
    step: u64,
    /// The best score so far; higher is better.
    best: Option<f64>,
    /// Where the run went on with other options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Change>,
    /// Whether only the last part of paths is known, as in format 2.
    #[serde(skip)]
    paths_cut: bool,
}

/// A file or folder that an option names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The whole path, or a built-in model's id.
    path: String,
    /// The hash of a file, a model or an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// Options that became others on the way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    /// Steps done before.
    step: u64,
    /// Each option with its values.
    options: Vec<String>,
}

/// What a run that goes on has to know of it.
pub(crate) struct Resumed {
    pub(crate) step: u64,
    /// The best score, unless scores say something else now.
    pub(crate) best: Option<f64>,
}

impl Record {
    /// Of a run that begins.
    pub(crate) fn new<O: Run>(options: &O, base: String, data: String) -> Result<Self> {
        let (values, mut places) = options::split::<O>(options::map(options)?);
        places.remove("out");
        let file = |(key, path): (String, Value)| {
            let path = path.as_str().unwrap_or_default();
            let sha256 = options::content::<O>(&key, path);
            let path = options::whole::<O>(&key, path);
            (key, File { path, sha256 })
        };
        Ok(Self {
            format: FORMAT,
            program: env!("CARGO_PKG_VERSION").into(),
            stage: O::NAME.into(),
            options: values,
            files: places.into_iter().map(file).collect(),
            base,
            data,
            step: 0,
            best: None,
            changes: Vec::new(),
            paths_cut: false,
        })
    }

    /// That of the checkpoint `weights`, which was read from `path`.
    pub(crate) fn of(weights: &Weights, path: &Path) -> Result<Self> {
        let note: Value = weights
            .note()
            .and_then(|n| serde_json::from_str(n).ok())
            .unwrap_or_default();
        let other = |format: &str| {
            format!(
                "a checkpoint of format {format}, this program reads 2 and {FORMAT}: resume it with the version that wrote it, or \
                 begin anew with --init"
            )
        };
        let read = match note["format"].as_u64() {
            Some(FORMAT) => serde_json::from_value(note).map_err(|e| format!("its record is damaged: {e}")),
            Some(2) => of_command(weights, &note),
            Some(format) => Err(other(&format.to_string())),
            None if weights.iter().any(|(n, _)| n.starts_with("parameter.")) => Err(other("1")),
            None => Err("this is no checkpoint, but other weights".into()),
        };
        read.map_err(|why| Error::at(path, why))
    }

    /// That of a checkpoint's file, or of a run's folder.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() {
            checkpoint_of(path)
        } else {
            path.to_owned()
        };
        let bytes = fs::read(&path).map_err(|e| Error::at(&path, format!("no checkpoint is here: {e}")))?;
        let weights = Weights::from_safetensors(&bytes).map_err(|e| Error::at(&path, e))?;
        Self::of(&weights, &path)
    }

    /// The same run further on.
    pub(crate) fn at(&self, step: u64, best: Option<f64>) -> Self {
        Self {
            step,
            best,
            ..self.clone()
        }
    }

    /// From [`to_json`](Self::to_json).
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text)
            .ok()
            .filter(|r: &Self| r.format == FORMAT)
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::new(format!("a record cannot be written: {e}")))
    }

    /// The options, with paths that can be found from any folder.
    pub(crate) fn options<O: Run>(&self) -> Result<O> {
        let mut all = self.options.clone();
        all.extend(
            self.files
                .iter()
                .map(|(k, f)| (k.clone(), Value::from(f.path.as_str()))),
        );
        options::from_map(&all).map_err(|e| {
            Error::new(format!(
                "the run's options are not those of this program, which is {} and not {}: {e}",
                env!("CARGO_PKG_VERSION"),
                self.program
            ))
        })
    }

    /// The options of the stage `O` in which `now` differs and that are not free to.
    pub(crate) fn differences<O: Run>(&self, now: &Self) -> Result<Vec<Difference>> {
        let mut all = options::differences(&self.options::<O>()?.settled(), &now.options::<O>()?.settled())?;
        for (key, file) in &now.files {
            let before = self.files.get(key).and_then(|f| Some((f, f.sha256.as_ref()?)));
            let (Some((before, old)), Some(new)) = (before, &file.sha256) else {
                continue;
            };
            if old != new {
                all.push(Difference {
                    effect: options::effect::<O>(key),
                    text: format!("--{key} with another content than {} had", before.path),
                    remedy: format!("with --{key} as it was"),
                });
            }
        }
        Ok(all)
    }

    /// Goes on from the run that `before` is of: what is another is told, and noted; what must not be is an error.
    pub(crate) fn go_on<O: Run>(&mut self, before: &Self, path: &Path) -> Result<Resumed> {
        if before.stage != self.stage {
            let why = format!(
                "a checkpoint of the stage {}, not of {}",
                before.stage, self.stage
            );
            return Err(Error::at(path, why));
        }
        let mut changed = before.differences::<O>(self)?;
        if let Some(fixed) = changed.iter().find(|c| c.effect == Effect::Fixed) {
            return Err(Error::at(
                path,
                format!(
                    "{}, which stays as the run began: resume {}, or begin anew with another --out",
                    fixed.text, fixed.remedy
                ),
            ));
        }
        if before.base != self.base {
            return Err(Error::at(
                path,
                "this run builds on another model than the one named: name that one, or begin anew",
            ));
        }
        if before.data != self.data {
            changed.push(Difference {
                effect: Effect::Measure,
                text: "other photographs".into(),
                remedy: "with those of before".into(),
            });
        }
        self.changes.clone_from(&before.changes);
        if !changed.is_empty() {
            for Difference { text, remedy, .. } in &changed {
                note!("resumed with {text}; to end as a run that never stopped, resume {remedy}");
            }
            let options = changed.iter().map(|c| c.text.clone()).collect();
            let step = before.step;
            self.changes.push(Change { step, options });
        }
        let measured_alike = !changed.iter().any(|c| c.effect == Effect::Measure);
        Ok(Resumed {
            step: before.step,
            best: before.best.filter(|_| measured_alike),
        })
    }

    /// The command that made the run in `out`; and, each after a semicolon, why it alone may end elsewhere.
    pub(crate) fn command<O: Run>(&self, out: &Path) -> Result<(String, String)> {
        let mut options: O = self.options()?;
        options.common_mut().files.out = Place::from(out.as_os_str().to_owned());
        if self.paths_cut {
            let cut = "; of its paths only the last part is known".to_owned();
            return Ok((
                options::printed(&options, Paths::Published)?,
                self.history() + &cut,
            ));
        }
        Ok((options::printed(&options, Paths::Whole)?, self.history()))
    }

    /// What was another on the way, after a semicolon.
    pub(crate) fn history(&self) -> String {
        let each = |c: &Change| format!("; from step {} on {}", c.step, c.options.join(", "));
        options::one_line(&self.changes.iter().map(each).collect::<String>())
    }
}

/// The record of format 2, whose options are a command line with paths cut to their last part.
fn of_command(weights: &Weights, note: &Value) -> std::result::Result<Record, String> {
    let text = |key: &str| note[key].as_str().unwrap_or_default();
    let number = |name: &str| {
        let value = weights.get(name).ok().and_then(|t| t.values.first());
        value.copied().ok_or_else(|| format!("{name} is missing"))
    };
    let mut words = shlex::split(text("command")).unwrap_or_default();
    let stage = words.get(2).cloned().unwrap_or_default();
    words.push("--out=.".into());
    let record = named!(stage.as_str(), O => {
        options::parsed::<O>(&words).and_then(|o| Record::new(&o, text("base").into(), text("data").into()))
    });
    let record = record.ok_or_else(|| format!("{stage:?} is no stage of this program"))?;
    let mut record = record.map_err(|e| {
        format!(
            "its options, {:?}, cannot be read: resume it with the version that wrote it ({e})",
            text("command")
        )
    })?;
    // What lies at such a path today says nothing of what the run had.
    for file in record.files.values_mut() {
        let last = Path::new(&file.path).file_name().unwrap_or_default();
        (file.path, file.sha256) = (last.to_string_lossy().into_owned(), None);
    }
    record.paths_cut = true;
    record.step = number("state.step")? as u64;
    record.best = Some(f64::from(number("state.best")?)).filter(|b| *b > f64::from(f32::MIN));
    Ok(record)
}
