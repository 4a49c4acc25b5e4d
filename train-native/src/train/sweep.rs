//! `asasr train sweep`: many runs over several seeds, and their scores; an ablation is one.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::model::sha256_hex;
use clap::ValueEnum as _;
use serde_json::{Map, Value as Json, json};
use toml::{Table, Value};

use super::config::{Adversary, Distill, Job, Options as _, Restorer};
use super::stage;
use crate::cli::{Mode, Sweep};
use crate::error::{Error, Result};
use crate::eval::{self, Judge};
use crate::{files, interrupt};

/// Version of the layout of `sweep.json`.
const FORMAT: u32 = 1;

/// A run as the file has it.
struct Section {
    name: String,
    stage: String,
    options: Table,
    /// Only the first seed trains it, and the others build on that.
    once: bool,
    /// Whether its model is scored.
    scored: bool,
}

/// A run with a seed.
struct Run {
    name: String,
    seed: u64,
    folder: PathBuf,
    job: Job,
    /// As the file has them, each as `key = value`.
    options: Vec<String>,
    scored: bool,
}

/// The file.
struct Plan {
    mode: Mode,
    runs: Vec<Run>,
}

/// Runs the command.
pub(crate) fn run(args: &Sweep) -> Result<()> {
    interrupt::listen();
    let text = fs::read_to_string(&args.config).map_err(|e| Error::at(&args.config, e))?;
    let config: Table = text.parse().map_err(|e| Error::at(&args.config, e))?;
    let plan = plan(args, &config).map_err(|e| Error::at(&args.config, e))?;
    let first = plan.runs.first().map(|r| r.job.common());
    let first = first.ok_or_else(|| Error::at(&args.config, "it has no [[run]]"))?;
    let (protocol, device) = (first.protocol, first.device);
    for run in &plan.runs {
        let own = run.job.common();
        if run.scored && (own.protocol, own.device) != (protocol, device) {
            let why = format!(
                "[{}] is scored, and has another protocol or device than the first run",
                run.name
            );
            return Err(Error::at(&args.config, why));
        }
    }
    let judge = Judge::new(protocol, &args.networks, false)?;
    let pairs = eval::pairs(&files::images_below(&args.val)?, super::run::SCALE, protocol)?;
    judge.check(&pairs)?;
    files::make_folder(&args.out)?;
    files::check_outputs([args.out.join("sweep.json").as_path()].into_iter(), &[])?;
    for run in &plan.runs {
        let title = format!("{}, seed {}", run.name, run.seed);
        stage::train_once(&title, &run.job, args.resume)?;
        if run.scored {
            let best = run.folder.join("best");
            // What scores are of: others are not taken for them.
            let of = json!({
                "model": stage::made(&best)?,
                "mode": plan.mode.name(),
                "protocol": protocol.name(),
                "images": pairs.iter().map(|p| eval::name(&p.path)).collect::<Vec<_>>(),
                "networks": networks(args)?,
            });
            let path = run.folder.join("scores.json");
            let known = fs::read(&path)
                .ok()
                .and_then(|b| serde_json::from_slice::<Json>(&b).ok());
            if known.is_none_or(|k| k["of"] != of) {
                note!("{title}: is scored");
                let means = eval::score(&best, (plan.mode, device), &pairs, &judge)?;
                write(&path, &json!({ "of": of, "means": means }))?;
            }
        }
        summary(args, &plan, &pairs, protocol.name())?;
    }
    say!("the scores: {}", args.out.join("sweep.json").display());
    Ok(())
}

/// Writes the scores so far: of each run those of its seeds, their mean, and their sample deviation where there are several.
fn summary(args: &Sweep, plan: &Plan, pairs: &[eval::Pair], protocol: &str) -> Result<()> {
    let mut runs: Vec<Json> = Vec::new();
    for run in plan.runs.iter().filter(|r| r.scored) {
        let Ok(text) = fs::read_to_string(run.folder.join("scores.json")) else {
            continue;
        };
        let scores: Json = serde_json::from_str(&text).map_err(|e| Error::at(&run.folder, e))?;
        let of_seed = json!({ "seed": run.seed, "means": scores["means"] });
        match runs.iter_mut().find(|r| r["name"] == run.name.as_str()) {
            Some(known) => known["seeds"].as_array_mut().map_or((), |s| s.push(of_seed)),
            None => runs.push(json!({
                "name": run.name,
                "options": run.options,
                "seeds": [of_seed],
            })),
        }
    }
    for run in &mut runs {
        let seeds = run["seeds"].as_array().cloned().unwrap_or_default();
        let (mut mean, mut spread) = (Map::new(), Map::new());
        let keys = seeds.first().and_then(|s| s["means"].as_object());
        for key in keys.into_iter().flat_map(Map::keys) {
            let values: Vec<f64> = seeds.iter().filter_map(|s| s["means"][key].as_f64()).collect();
            mean.insert(
                key.clone(),
                json!(values.iter().sum::<f64>() / values.len() as f64),
            );
            spread.insert(key.clone(), json!(eval::deviation(&values)));
        }
        run["mean"] = Json::Object(mean);
        run["deviation"] = Json::Object(spread);
    }
    let mut report = json!({
        "format": FORMAT,
        "program": format!("asasr {}", env!("CARGO_PKG_VERSION")),
        "command": eval::command(),
        "machine": eval::machine(),
        "protocol": protocol,
        "mode": plan.mode.name(),
        "images": pairs.iter().map(|p| eval::name(&p.path)).collect::<Vec<_>>(),
        "runs": runs,
    });
    if let Some(commit) = &args.commit {
        report["commit"] = json!(commit);
    }
    write(&args.out.join("sweep.json"), &report)
}

/// The hashes of the networks that measure.
fn networks(args: &Sweep) -> Result<Vec<String>> {
    let networks = &args.networks;
    let all = networks
        .lpips
        .iter()
        .chain(&networks.dists)
        .chain(&networks.backbone);
    all.map(|path| Ok(sha256_hex(&fs::read(path).map_err(|e| Error::at(path, e))?)))
        .collect()
}

fn write(path: &Path, value: &Json) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::at(path, e))?;
    files::write(path, (text + "\n").as_bytes())
}

/// All runs in the order of the file, for one seed after the other.
fn plan(args: &Sweep, config: &Table) -> Result<Plan> {
    for key in config.keys() {
        if !["seeds", "mode", "common", "run"].contains(&key.as_str()) {
            return Err(Error::new(format!(
                "{key} is not known here; a sweep has seeds, mode, [common] and [[run]]"
            )));
        }
    }
    let seeds = config.get("seeds").map_or(Some(1), Value::as_integer);
    let seeds = seeds.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0);
    let seeds = seeds.ok_or_else(|| Error::new("seeds is a number of at least 1"))?;
    let mode = config.get("mode").map_or(Some("quality"), Value::as_str);
    let mode = mode.and_then(|name| Mode::from_str(name, false).ok());
    let mode = mode.ok_or_else(|| Error::new("mode is \"instant\", \"fast\" or \"quality\""))?;
    let empty = Table::new();
    let shared = config
        .get("common")
        .map_or(Ok(&empty), |c| stage::table("common", c))?;
    let sections = sections(config)?;
    for section in sections.iter().filter(|s| s.scored) {
        let scored_in = match section.stage.as_str() {
            Restorer::NAME => mode == Mode::Instant,
            Distill::NAME => mode == Mode::Fast,
            _ => true,
        };
        if !scored_in {
            let why = format!(
                "[{}] a {} is not what the mode {} runs",
                section.name,
                section.stage,
                mode.name()
            );
            return Err(Error::new(why));
        }
    }
    let mut runs = Vec::new();
    for seed in 0..seeds {
        for (i, section) in sections.iter().enumerate() {
            if section.once && seed > 0 {
                continue;
            }
            let folder = folder(&args.out, section, seed);
            let mut fixed = stage::places(&[("data", &args.data), ("val", &args.val), ("out", &folder)])?;
            fixed.insert("seed".into(), seed.into());
            // An earlier run's name stands for its best model.
            let mut own = section.options.clone();
            let mut options = Vec::new();
            let mut begun_here = false;
            for (key, value) in &section.options {
                let place = Job::names_a_place(&section.stage, key)
                    .then(|| value.as_str())
                    .flatten();
                let earlier = place.and_then(|name| sections[..i].iter().find(|s| s.name == name));
                if let Some(earlier) = earlier {
                    let best = self::folder(&args.out, earlier, seed).join("best");
                    fixed.extend(stage::places(&[(key, &best)])?);
                    options.push(format!("{key} = {value}"));
                    own.remove(key);
                    begun_here |= key == "init";
                }
            }
            let mut shared = shared.clone();
            shared.retain(|key, _| !section.options.contains_key(key));
            let given = shared.iter().chain(&own);
            options.extend(given.map(|(key, value)| format!("{key} = {value}")));
            let job = Job::from_recipe(&section.stage, (&fixed, &Map::new()), (&shared, &own));
            let job = job.map_err(|e| Error::new(format!("[{}] {e}", section.name)))?;
            // What does not begin with another run's weights can be told to fail now.
            if !begun_here {
                stage::check(&job).map_err(|e| Error::new(format!("[{}] {e}", section.name)))?;
            }
            runs.push(Run {
                name: section.name.clone(),
                seed,
                folder,
                job: job.resuming(args.resume),
                options,
                scored: section.scored,
            });
        }
    }
    Ok(Plan { mode, runs })
}

fn folder(out: &Path, section: &Section, seed: u64) -> PathBuf {
    let seed = if section.once { 0 } else { seed };
    out.join(&section.name).join(format!("seed-{seed}"))
}

/// The file's `[[run]]`s.
fn sections(config: &Table) -> Result<Vec<Section>> {
    let list = config.get("run").and_then(Value::as_array);
    let list = list.ok_or_else(|| Error::new("it has no [[run]]"))?;
    let mut sections: Vec<Section> = Vec::new();
    for (i, value) in list.iter().enumerate() {
        let mut options = stage::table("run", value)?.clone();
        let mut word = |key: &str| match options.remove(key) {
            Some(Value::String(s)) => Ok(s),
            _ => Err(Error::new(format!(
                "[[run]] number {} needs {key} = \"…\"",
                i + 1
            ))),
        };
        let (name, stage) = (word("name")?, word("stage")?);
        let mut flag = |key: &str| match options.remove(key) {
            None => Ok(false),
            Some(Value::Boolean(b)) => Ok(b),
            Some(other) => Err(Error::new(format!(
                "[{name}] {key} = {other} is neither true nor false"
            ))),
        };
        let (once, scored) = (flag("once")?, flag("score")?);
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
            return Err(Error::new(format!(
                "{name:?} cannot be the name of a run: it names a folder"
            )));
        }
        if sections.iter().any(|s| s.name == name) {
            return Err(Error::new(format!("two runs are named {name:?}")));
        }
        if !Job::NAMES.contains(&stage.as_str()) {
            return Err(Error::new(format!(
                "[{name}] stage = {stage:?} is no stage of training"
            )));
        }
        if scored && stage == Adversary::NAME {
            return Err(Error::new(format!(
                "[{name}] an adversary is no model that could be scored"
            )));
        }
        sections.push(Section {
            name,
            stage,
            options,
            once,
            scored,
        });
    }
    Ok(sections)
}
