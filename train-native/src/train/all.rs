//! `asasr train all`: every stage in turn, from one configuration file.
//! All sections are read before the first stage begins.

use std::fs;
use std::path::PathBuf;

use serde_json::Map;
use toml::{Table, Value};

use super::config::{
    Adversary, Align, Distill, Export, Finish, Flow, Job, ModelPlace, OneStep, Options as _, Place, Restorer,
    Video, options,
};
use super::{export, stage};
use crate::cli::All;
use crate::error::{Error, Result};
use crate::files;

/// The section whose options go to all stages.
const COMMON: &str = "common";
/// The section of the finished model.
const EXPORT: &str = Export::NAME;

/// Runs the command.
pub(crate) fn run(args: &All) -> Result<()> {
    let text = fs::read_to_string(&args.config).map_err(|e| Error::at(&args.config, e))?;
    let config: Table = text.parse().map_err(|e| Error::at(&args.config, e))?;
    let jobs = plan(args, &config).map_err(|e| Error::at(&args.config, e))?;
    let export = finished(args, &config).map_err(|e| Error::at(&args.config, e))?;
    for (name, job) in &jobs {
        stage::check(job).map_err(|e| Error::at(&args.config, format!("[{name}] {e}")))?;
    }
    files::make_folder(&args.out)?;
    if let Some(export) = &export {
        files::check_folder(&export.output)?;
    }
    for (name, job) in jobs {
        stage::train_once(name, &job, args.resume)?;
    }
    let Some(export) = export else { return Ok(()) };
    export::write(&export)
}

/// The stages that the file has sections for.
fn plan(args: &All, config: &Table) -> Result<Vec<(&'static str, Job)>> {
    for key in config.keys() {
        if ![COMMON, EXPORT].contains(&key.as_str()) && !Job::NAMES.contains(&key.as_str()) {
            return Err(Error::new(format!(
                "[{key}] is no stage; the sections are [{COMMON}], [{}], [{EXPORT}]",
                Job::NAMES.join("], [")
            )));
        }
    }
    let empty = Table::new();
    let shared = config
        .get(COMMON)
        .map_or(Ok(&empty), |c| stage::table(COMMON, c))?;
    let mut jobs = Vec::new();
    for name in Job::NAMES {
        let Some(section) = config.get(name) else { continue };
        let own = stage::table(name, section)?;
        let out = args.out.join(name);
        let mut fixed = stage::places(&[("data", &args.data), ("out", &out)])?;
        if let Some(val) = &args.val {
            fixed.extend(stage::places(&[("val", val)])?);
        }
        let mut usual = Map::new();
        let mut follow = |key: &str, stages: &[&str]| {
            if let Some(before) = stages.iter().find(|s| config.contains_key(**s)) {
                usual.extend(stage::places(&[(key, &best(args, before))])?);
            }
            Ok::<_, Error>(())
        };
        let learned = own.get("negatives").and_then(Value::as_str) == Some("learned");
        match name {
            Flow::NAME => follow("restorer", &[Restorer::NAME])?,
            Adversary::NAME => follow("model", &[Flow::NAME])?,
            Align::NAME => {
                follow("model", &[Flow::NAME])?;
                if learned {
                    follow("adapter", &[Adversary::NAME])?;
                }
            }
            Distill::NAME => follow("model", &[Align::NAME, Flow::NAME])?,
            OneStep::NAME => follow("restorer", &[Restorer::NAME])?,
            _ => {}
        }
        if learned && !usual.contains_key("adapter") && !own.contains_key("adapter") {
            return Err(Error::new(format!(
                "[{name}] negatives = \"learned\" needs a section [adversary], or an adapter"
            )));
        }
        let job = Job::from_recipe(name, (&fixed, &usual), (shared, own));
        let job = job.map_err(|e| Error::new(format!("[{name}] {e}")))?;
        jobs.push((name, job.resuming(args.resume)));
    }
    if jobs.is_empty() {
        return Err(Error::new(format!(
            "it has none of the sections [{}]",
            Job::NAMES.join("], [")
        )));
    }
    Ok(jobs)
}

/// The best model of a stage.
fn best(args: &All, stage: &str) -> PathBuf {
    args.out.join(stage).join("best")
}

/// What puts the finished model together, with the options of the section `[export]`. `None` where no stage before it makes
/// one: an adversary is an adapter and no model by itself; what samples in one step and what is for video are whole models already.
fn finished(args: &All, config: &Table) -> Result<Option<Export>> {
    let own = config.get(EXPORT).map(|c| stage::table(EXPORT, c)).transpose()?;
    let made = Job::NAMES
        .iter()
        .rfind(|s| ![Adversary::NAME, OneStep::NAME, Video::NAME].contains(s) && config.contains_key(**s));
    let Some(last) = made else {
        return match own {
            Some(_) => Err(Error::new(format!(
                "[{EXPORT}] needs a stage that makes a model: [restorer], [flow], [align] or [distill]"
            ))),
            None => Ok(None),
        };
    };
    let (empty, none) = (Table::new(), Map::new());
    let finish = options::from_recipe((&none, &none), (&empty, own.unwrap_or(&empty)));
    let finish: Finish = finish.map_err(|e| Error::new(format!("[{EXPORT}] {e}")))?;
    if *last == Restorer::NAME
        && let Some(key) = finish.of_flows()
    {
        return Err(Error::new(format!("[{EXPORT}] {key} needs a section [flow]")));
    }
    Ok(Some(Export {
        model: ModelPlace::from(best(args, last).into_os_string()),
        flow: None,
        share: None,
        adapter: None,
        strength: None,
        fast: None,
        finish,
        output: Place::from(args.out.join("model").into_os_string()),
    }))
}
