//! `asasr train all`: every stage in turn, from one configuration file.
//! All sections are parsed before the first stage begins.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::{export, stage};
use crate::cli::{All, Export, Train};
use crate::error::{Error, Result};
use crate::files;

/// The stages in their order.
const STAGES: [&str; 5] = ["restorer", "flow", "adversary", "align", "distill"];
/// The section whose options go to all stages.
const COMMON: &str = "common";
/// The section of the finished model.
const EXPORT: &str = "export";
/// Its options: the others name what other commands made.
const EXPORTED: [&str; 7] = [
    "id",
    "licence",
    "dtype",
    "colour-anchor",
    "sigma",
    "local-slope",
    "least-sigma",
];
/// Those of them that are a flow's.
const OF_FLOWS: [&str; 4] = ["colour-anchor", "sigma", "local-slope", "least-sigma"];

/// Runs the command.
pub(crate) fn run(args: &All) -> Result<()> {
    let text = fs::read_to_string(&args.config).map_err(|e| Error::at(&args.config, e))?;
    let config: Table = text.parse().map_err(|e| Error::at(&args.config, e))?;
    let stages = plan(args, &config).map_err(|e| Error::at(&args.config, e))?;
    let export = finished(args, &config).map_err(|e| Error::at(&args.config, e))?;
    for (name, stage, _) in &stages {
        stage::check(stage).map_err(|e| Error::at(&args.config, format!("[{name}] {e}")))?;
    }
    files::make_folder(&args.out)?;
    if let Some(export) = &export {
        files::check_folder(&export.output)?;
    }
    for (name, stage, options) in stages {
        stage::run(name, &stage, &options, args.resume)?;
    }
    let Some(export) = export else { return Ok(()) };
    export::write(&export)
}

/// The stages that the file has sections for, parsed, with the options that the file gives them.
fn plan(args: &All, config: &Table) -> Result<Vec<(&'static str, Train, String)>> {
    for key in config.keys() {
        if ![COMMON, EXPORT].contains(&key.as_str()) && !STAGES.contains(&key.as_str()) {
            return Err(Error::new(format!(
                "[{key}] is no stage; the sections are [{COMMON}], [{}], [{EXPORT}]",
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
        let own = stage::table(name, section)?;
        if name == "align" && own.get("negatives").and_then(Value::as_str) == Some("learned") {
            before("adversary").into_iter().for_each(|a| put("--adapter", &a));
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
        let shared = config
            .get(COMMON)
            .map_or(Ok(&empty), |c| stage::table(COMMON, c))?;
        let (stage, options) = stage::parse(name, words, shared, own)?;
        stages.push((name, stage, options));
    }
    if stages.is_empty() {
        return Err(Error::new(format!(
            "it has none of the sections [{}]",
            STAGES.join("], [")
        )));
    }
    Ok(stages)
}

/// The command that puts the finished model together, with the options of the section `[export]`. `None` where no stage before it makes
/// one: an adversary is an adapter and no model by itself.
fn finished(args: &All, config: &Table) -> Result<Option<Export>> {
    let empty = Table::new();
    let own = config.get(EXPORT).map(|c| stage::table(EXPORT, c)).transpose()?;
    let other = own.and_then(|o| o.keys().find(|k| !EXPORTED.contains(&k.as_str())));
    if let Some(other) = other {
        let known = EXPORTED.join(", ");
        return Err(Error::new(format!(
            "[{EXPORT}] {other} is not known here; it has {known}"
        )));
    }
    let made = STAGES
        .iter()
        .rfind(|s| **s != "adversary" && config.contains_key(**s));
    let Some(last) = made else {
        return match own {
            Some(_) => Err(Error::new(format!(
                "[{EXPORT}] needs a stage that makes a model: [restorer], [flow], [align] or [distill]"
            ))),
            None => Ok(None),
        };
    };
    if *last == "restorer"
        && let Some(key) = OF_FLOWS.iter().find(|k| own.is_some_and(|o| o.contains_key(**k)))
    {
        return Err(Error::new(format!("[{EXPORT}] {key} needs a section [flow]")));
    }
    let mut words: Vec<OsString> = ["asasr", "train", EXPORT, "--model"].map(OsString::from).to_vec();
    words.extend([
        args.out.join(last).join("best").into(),
        "--output".into(),
        args.out.join("model").into(),
    ]);
    match stage::parse(EXPORT, words, &empty, own.unwrap_or(&empty))?.0 {
        Train::Export(export) => Ok(Some(export)),
        _ => Err(Error::new(format!("[{EXPORT}] is no export"))),
    }
}
