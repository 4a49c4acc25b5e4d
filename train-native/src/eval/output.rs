//! The results as a table, as CSV and as JSON.

use std::fmt::Write as _;
use std::{env, fs, thread};

use serde_json::{Map, Value, json};

use super::Outcome;
use super::dataset::Pair;
use super::judge::{METRICS, Metric, Scores, means};
use super::method::Way;
use crate::cli::{Eval, Mode};
use crate::error::{Error, Result};

/// Version of the JSON's layout.
const FORMAT: u32 = 1;

/// Metrics that a table has no room for, beside the bands of the spectral distance.
const LEFT_OUT: [&str; 5] = ["psnr_y_gain", "hs_-1", "hs_0", "hs_1", "seconds"];

/// Whether a table has room for a metric.
pub(crate) fn in_tables(metric: &Metric) -> bool {
    !metric.key.starts_with("lsd_band") && !LEFT_OUT.contains(&metric.key)
}

/// The metrics of a table of these outcomes.
pub(super) fn columns(outcomes: &[(&Outcome, Scores)]) -> Vec<&'static Metric> {
    METRICS
        .iter()
        .filter(|m| in_tables(m) && outcomes.iter().any(|(_, s)| s.contains_key(m.key)))
        .collect()
}

/// Each outcome with its means.
pub(super) fn summed(outcomes: &[Outcome]) -> Vec<(&Outcome, Scores)> {
    let means = |o: &Outcome| {
        let mut means = means(&o.scores, o.pixels);
        means.extend(o.method.speed.map(|v| ("mp_per_s", v)));
        means
    };
    outcomes.iter().map(|o| (o, means(o))).collect()
}

/// A mean as the table shows it.
pub(super) fn cell(metric: &Metric, scores: &Scores) -> String {
    scores
        .get(metric.key)
        .map_or(String::new(), |v| format!("{v:.*}", metric.decimals))
}

/// Prints the means: a row for each method.
pub(super) fn table(outcomes: &[Outcome], images: usize, args: &Eval) {
    let rows = summed(outcomes);
    let columns = columns(&rows);
    let width = rows.iter().map(|(o, _)| o.method.name.chars().count()).max();
    let width = width.unwrap_or(0).max(8);
    say!("{images} images, protocol {}", args.protocol.name());
    let mut line = format!("{:width$}", "");
    for metric in &columns {
        let _ = write!(line, " {:>10}", metric.title);
    }
    say!("{line}");
    for (outcome, scores) in &rows {
        let mut line = format!("{:width$}", outcome.method.name);
        for metric in &columns {
            let _ = write!(line, " {:>10}", cell(metric, scores));
        }
        say!("{line}");
    }
}

/// A line for each image and method.
pub(super) fn csv(outcomes: &[Outcome], pairs: &[Pair]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let known = |m: &&Metric| {
        outcomes
            .iter()
            .any(|o| o.scores.iter().any(|s| s.contains_key(m.key)))
    };
    let columns: Vec<&Metric> = METRICS.iter().filter(known).collect();
    let mut text = String::from("image,method");
    columns.iter().for_each(|m| {
        let _ = write!(text, ",{}", m.key);
    });
    text.push('\n');
    for (i, pair) in pairs.iter().enumerate() {
        for outcome in outcomes {
            let image = quoted(&super::name(&pair.path));
            let _ = write!(text, "{image},{}", quoted(&outcome.method.name));
            for metric in &columns {
                let value = outcome.scores[i].get(metric.key);
                let _ = write!(text, ",{}", value.map_or(String::new(), f64::to_string));
            }
            text.push('\n');
        }
    }
    text
}

/// All that was measured and of what, with the command and the machine.
pub(super) fn json(outcomes: &[Outcome], pairs: &[Pair], args: &Eval) -> Result<String> {
    let object = |scores: &Scores| -> Value {
        let entries = scores.iter().map(|(k, v)| ((*k).to_owned(), json!(v)));
        Value::Object(entries.collect::<Map<_, _>>())
    };
    let methods: Vec<Value> = summed(outcomes)
        .into_iter()
        .map(|(outcome, means)| {
            let mut method = json!({
                "name": outcome.method.name,
                "means": object(&means),
                "images": outcome.scores.iter().map(object).collect::<Vec<_>>(),
            });
            if let Way::Model {
                maker,
                id,
                mode,
                sha256,
                begins,
                hold,
            } = &outcome.method.way
            {
                method["model"] = json!({
                    "id": id, "mode": mode.name(), "sha256": sha256, "on": maker.device(), "held": hold,
                });
                if let Some(source) = begins {
                    method["model"]["source"] = json!(source);
                }
                if *mode != Mode::Instant {
                    method["model"]["seed"] = json!(args.draw.seed);
                    method["model"]["fidelity"] = json!(args.draw.fidelity);
                }
            }
            method
        })
        .collect();
    let mut report = json!({
        "format": FORMAT,
        "program": format!("asasr {}", env!("CARGO_PKG_VERSION")),
        "command": command(),
        "machine": machine(),
        "protocol": args.protocol.name(),
        "images": pairs.iter().map(|p| super::name(&p.path)).collect::<Vec<_>>(),
        "methods": methods,
    });
    if let Some(commit) = &args.commit {
        report["commit"] = json!(commit);
    }
    serde_json::to_string_pretty(&report)
        .map(|text| text + "\n")
        .map_err(|e| Error::new(format!("the results as JSON: {e}")))
}

/// The command without the folders that paths lie in, for results are published.
pub(crate) fn command() -> String {
    let short = |word: String| {
        let (name, path) = word
            .split_once('=')
            .map_or((None, word.as_str()), |(n, p)| (Some(n), p));
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let last = name.map_or(last.to_owned(), |n| format!("{n}={last}"));
        if last.contains(' ') {
            format!("'{last}'")
        } else {
            last
        }
    };
    let words = env::args().skip(1).map(short);
    ["asasr".to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Processor, threads and system.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name"));
    let model = model.map_or(env::consts::ARCH, |m| m.trim_start_matches([' ', '\t', ':']));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {threads} threads, {}", env::consts::OS)
}
