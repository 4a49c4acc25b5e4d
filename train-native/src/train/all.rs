//! `asasr train all`: every stage in turn, from one configuration file.
//! All sections are parsed before the first stage begins.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::stage;
use crate::cli::{All, Train};
use crate::error::{Error, Result};
use crate::files;

/// The stages in their order.
const STAGES: [&str; 5] = ["restorer", "flow", "adversary", "align", "distill"];

/// Runs the command.
pub(crate) fn run(args: &All) -> Result<()> {
    let text = fs::read_to_string(&args.config).map_err(|e| Error::at(&args.config, e))?;
    let config: Table = text.parse().map_err(|e| Error::at(&args.config, e))?;
    let stages = plan(args, &config).map_err(|e| Error::at(&args.config, e))?;
    for (name, stage, _) in &stages {
        stage::check(stage).map_err(|e| Error::at(&args.config, format!("[{name}] {e}")))?;
    }
    files::make_folder(&args.out)?;
    let mut last = None;
    for (name, stage, options) in stages {
        let Some(common) = stage::common(&stage) else {
            continue;
        };
        if name != "adversary" {
            // An adversary is an adapter and no model by itself.
            last = Some(common.out.join("best"));
        }
        stage::run(name, &stage, &options, args.resume)?;
    }
    if let Some(best) = last {
        copy(&best, &args.out.join("model"))?;
    }
    println!("the finished model: {}", args.out.join("model").display());
    Ok(())
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
            .get("common")
            .map_or(Ok(&empty), |c| stage::table("common", c))?;
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
