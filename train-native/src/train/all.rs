//! `asasr train all`: every stage in turn, from one configuration file.
//!
//! A section of the file becomes the command line of its stage, so that a key is an option, checked and explained by the
//! same parser; all sections are parsed before the first stage begins.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use clap::Parser as _;
use toml::{Table, Value};

use super::{adversary, align, distill, flow, restorer, run};
use crate::cli::{All, Cli, Command, Common, Train};
use crate::error::{Error, Result};
use crate::files;

/// The stages in their order.
const STAGES: [&str; 5] = ["restorer", "flow", "adversary", "align", "distill"];
/// Left in a stage's folder when it is done.
const DONE: &str = "done";

/// Runs the command.
pub(crate) fn run(args: &All) -> Result<()> {
    let text = fs::read_to_string(&args.config).map_err(|e| Error::at(&args.config, e))?;
    let config: Table = text.parse().map_err(|e| Error::at(&args.config, e))?;
    let stages = plan(args, &config).map_err(|e| Error::at(&args.config, e))?;
    for (name, stage, _) in &stages {
        check(stage).map_err(|e| Error::at(&args.config, format!("[{name}] {e}")))?;
    }
    files::make_folder(&args.out)?;
    let mut last = None;
    for (name, stage, options) in stages {
        let Some(common) = common(&stage) else { continue };
        let mark = common.out.join(DONE);
        if name != "adversary" {
            // An adversary is an adapter and no model by itself.
            last = Some(common.out.join("best"));
        }
        if args.resume && mark.exists() {
            let done = fs::read_to_string(&mark).map_err(|e| Error::at(&mark, e))?;
            if done != options {
                return Err(Error::at(
                    &common.out,
                    format!(
                        "finished with other options ({}): put the old ones back, or remove the folder to train it \
                         again",
                        done.replace('\n', ", ")
                    ),
                ));
            }
            eprintln!("{name}: done before");
            continue;
        }
        eprintln!("{name}: begins");
        match &stage {
            Train::Restorer(a) => restorer::run(a),
            Train::Flow(a) => flow::run(a),
            Train::Adversary(a) => adversary::run(a),
            Train::Align(a) => align::run(a),
            Train::Distill(a) => distill::run(a),
            Train::Export(_) | Train::All(_) => Err(Error::new("no stage of training")),
        }?;
        files::write(&mark, options.as_bytes())?;
    }
    if let Some(best) = last {
        copy(&best, &args.out.join("model"))?;
    }
    println!("the finished model: {}", args.out.join("model").display());
    Ok(())
}

/// Refuses before any work what cannot be.
fn check(stage: &Train) -> Result<()> {
    if let Some(common) = common(stage) {
        run::check(common)?;
    }
    match stage {
        Train::Restorer(a) => restorer::check(a),
        Train::Flow(a) => flow::check(a),
        Train::Adversary(a) => adversary::check(a),
        Train::Align(a) => align::check(a),
        Train::Distill(a) => distill::check(a),
        Train::Export(_) | Train::All(_) => Ok(()),
    }
}

/// The stages that the file has sections for, parsed, with the options that the file gives them.
fn plan(args: &All, config: &Table) -> Result<Vec<(&'static str, Train, String)>> {
    for key in config.keys() {
        if key != "common" && !STAGES.contains(&key.as_str()) {
            return Err(Error::new(format!(
                "[{key}] is no stage; the sections are [common], [{}]",
                STAGES.join("], [")
            )));
        }
    }
    let mut stages = Vec::new();
    for name in STAGES {
        let Some(section) = config.get(name) else { continue };
        let before = |stage: &str| {
            config
                .contains_key(stage)
                .then(|| args.out.join(stage).join("best"))
        };
        let mut words: Vec<OsString> = ["asasr", "train", name].map(OsString::from).to_vec();
        let mut put = |key: &str, value: &Path| words.extend([OsString::from(key), value.into()]);
        put("--data", &args.data);
        put("--out", &args.out.join(name));
        if let Some(val) = &args.val {
            put("--val", val);
        }
        match name {
            "flow" => before("restorer").into_iter().for_each(|r| put("--restorer", &r)),
            "adversary" | "align" => before("flow").into_iter().for_each(|m| put("--model", &m)),
            "distill" => before("align")
                .or_else(|| before("flow"))
                .into_iter()
                .for_each(|m| put("--model", &m)),
            _ => {}
        }
        let own = table(name, section)?;
        if name == "align" && own.get("negatives").and_then(Value::as_str) == Some("learned") {
            before("adversary").into_iter().for_each(|a| put("--adapter", &a));
        }
        // What would fail hours later fails now.
        for key in ["perceptual", "artefacts", "init", "model", "restorer", "adapter"] {
            let given = own.get(key).and_then(Value::as_str);
            if let Some(missing) = given.filter(|p| !Path::new(p).exists()) {
                return Err(Error::new(format!("[{name}] {key} = {missing:?} does not exist")));
            }
        }
        let learned = own.get("negatives").and_then(Value::as_str) == Some("learned");
        if learned && before("adversary").is_none() && !own.contains_key("adapter") {
            return Err(Error::new(format!(
                "[{name}] negatives = \"learned\" needs a section [adversary], or an adapter"
            )));
        }
        if args.resume && args.out.join(name).join("checkpoint.safetensors").exists() {
            words.push("--resume".into());
        }
        let empty = Table::new();
        let shared = config.get("common").map_or(Ok(&empty), |c| table("common", c))?;
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
        stages.push((name, stage, options.join("\n")));
    }
    if stages.is_empty() {
        return Err(Error::new(format!(
            "it has none of the sections [{}]",
            STAGES.join("], [")
        )));
    }
    Ok(stages)
}

fn table<'a>(name: &str, value: &'a Value) -> Result<&'a Table> {
    value
        .as_table()
        .ok_or_else(|| Error::new(format!("{name} = {value} is not a section: write [{name}]")))
}

fn common(stage: &Train) -> Option<&Common> {
    Some(match stage {
        Train::Restorer(a) => &a.common,
        Train::Flow(a) => &a.common,
        Train::Adversary(a) => &a.common,
        Train::Align(a) => &a.common,
        Train::Distill(a) => &a.common,
        Train::Export(_) | Train::All(_) => return None,
    })
}

/// Copies the files of a model.
fn copy(from: &Path, to: &Path) -> Result<()> {
    files::make_folder(to)?;
    for entry in fs::read_dir(from).map_err(|e| Error::at(from, e))? {
        let path = entry.map_err(|e| Error::at(from, e))?.path();
        if path.is_file() {
            let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
            files::write(&to.join(path.file_name().unwrap_or_default()), &bytes)?;
        }
    }
    Ok(())
}
