//! What was to be reached, and whether it was.
//!
//! ```toml
//! [[goal]]
//! text = "at least 1 dB above the GAN"
//! results = "clean"                       # clean.json
//! metric = "psnr_y"
//! of = "asasr-x4-clean quality"
//! than = "realsr-df2k-x4"                 # or value = 45
//! by = 1.0
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::report::Report;
use crate::error::{Error, Result};
use crate::eval::{METRICS, Metric};

/// What a value is held against.
enum Bar {
    Row(String),
    Value(f64),
}

struct Goal {
    text: String,
    results: String,
    metric: &'static Metric,
    of: String,
    bar: Bar,
    by: f64,
}

/// All goals.
pub(super) struct Goals(Vec<Goal>);

/// Reads the file, where there is one.
pub(super) fn read(path: &Path) -> Result<Goals> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(Goals(Vec::new()));
    };
    let file: Table = text.parse().map_err(|e| Error::at(path, e))?;
    let list = file.get("goal").and_then(Value::as_array);
    let list = list.ok_or_else(|| Error::at(path, "it has no [[goal]]"))?;
    let goals = list.iter().map(goal).collect::<Result<_>>();
    Ok(Goals(goals.map_err(|e| Error::at(path, e))?))
}

fn goal(value: &Value) -> Result<Goal> {
    let word = |key: &str| {
        let word = value.get(key).and_then(Value::as_str);
        word.map(str::to_owned)
            .ok_or_else(|| Error::new(format!("a [[goal]] needs {key} = \"…\"")))
    };
    let number = |key: &str| {
        let number = value.get(key);
        number.and_then(|v| v.as_float().or(v.as_integer().map(|i| i as f64)))
    };
    let key = word("metric")?;
    let metric = METRICS.iter().find(|m| m.key == key);
    Ok(Goal {
        text: word("text")?,
        results: word("results")?,
        metric: metric.ok_or_else(|| Error::new(format!("metric = {key:?} is unknown")))?,
        of: word("of")?,
        bar: match number("value") {
            Some(value) => Bar::Value(value),
            None => Bar::Row(word("than")?),
        },
        by: number("by").unwrap_or(0.0),
    })
}

impl Goals {
    /// A table of the goals of a report, or nothing.
    pub(super) fn of(&self, report: &Report) -> Result<String> {
        let mut text = String::new();
        for goal in self.0.iter().filter(|g| g.results == report.name) {
            if text.is_empty() {
                text += "\n| goal | result | |\n|---|---|---|\n";
            }
            let (result, verdict) = goal.verdict(report)?;
            let _ = writeln!(text, "| {} | {result} | {verdict} |", goal.text);
        }
        Ok(text)
    }
}

impl Goal {
    /// What came out, and whether it is good enough. A difference between rows of a sweep that is smaller than both rows'
    /// deviations together is no difference.
    fn verdict(&self, report: &Report) -> Result<(String, &'static str)> {
        let key = self.metric.key;
        let get = |name: &str| -> Result<(f64, f64)> {
            let row = report.row(name)?;
            let mean = row.means.get(key).copied();
            let deviation = row.deviations.get(key).copied().unwrap_or(0.0);
            mean.map(|m| (m, deviation))
                .ok_or_else(|| Error::new(format!("{}: {name} has no {key}", report.name)))
        };
        let (value, own) = get(&self.of)?;
        let (bar, other) = match &self.bar {
            Bar::Row(name) => get(name)?,
            Bar::Value(value) => (*value, 0.0),
        };
        let sign = if self.metric.lower_is_better { -1.0 } else { 1.0 };
        let (ahead, spread) = ((value - bar) * sign - self.by, own.hypot(other));
        let decimals = self.metric.decimals;
        let plus = if self.by == 0.0 {
            String::new()
        } else {
            format!(" {} {:.*}", if sign > 0.0 { "+" } else { "-" }, decimals, self.by)
        };
        let result = format!("{value:.decimals$} against {bar:.decimals$}{plus}");
        let verdict = if ahead.abs() < spread {
            "within the spread"
        } else if ahead >= 0.0 {
            "met"
        } else {
            "missed"
        };
        Ok((result, verdict))
    }
}
