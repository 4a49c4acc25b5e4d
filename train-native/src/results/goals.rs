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
//! reason = "too little training"          # why it is missed, where it is
//!
//! [some]                                  # images whose means are told apart, wherever all of them were scored
//! title = "those that nothing saw"
//! images = ["a.png", "b.png"]
//! ```

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::report::Report;
use crate::error::{Error, Result};
use crate::eval::{METRICS, Metric, deviation};

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
    reason: Option<String>,
}

/// Some of the images, in a table of their own.
pub(super) struct Subset {
    pub(super) title: String,
    pub(super) images: Vec<String>,
}

/// All goals, and the images that are told apart.
#[derive(Default)]
pub(super) struct Goals {
    goals: Vec<Goal>,
    pub(super) some: Option<Subset>,
}

/// Reads the file, where there is one.
pub(super) fn read(path: &Path) -> Result<Goals> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Goals::default()),
        text => text.map_err(|e| Error::at(path, e))?,
    };
    let file: Table = text.parse().map_err(|e| Error::at(path, e))?;
    let list = file.get("goal").and_then(Value::as_array);
    let list = list.ok_or_else(|| Error::at(path, "it has no [[goal]]"))?;
    let goals = list.iter().map(goal).collect::<Result<_>>();
    let some = file.get("some").map(subset).transpose();
    Ok(Goals {
        goals: goals.map_err(|e| Error::at(path, e))?,
        some: some.map_err(|e| Error::at(path, e))?,
    })
}

fn subset(value: &Value) -> Result<Subset> {
    let title = value.get("title").and_then(Value::as_str);
    let images = value.get("images").and_then(Value::as_array);
    let images = images.and_then(|i| i.iter().map(|n| n.as_str().map(str::to_owned)).collect());
    title
        .zip(images.filter(|i: &Vec<String>| !i.is_empty()))
        .map(|(title, images)| Subset {
            title: title.to_owned(),
            images,
        })
        .ok_or_else(|| Error::new("[some] needs title = \"…\" and images = [\"…\"]"))
}

fn goal(value: &Value) -> Result<Goal> {
    let word = |key: &str| {
        let word = value.get(key).and_then(Value::as_str);
        word.map(str::to_owned)
            .ok_or_else(|| Error::new(format!("a [[goal]] needs {key} = \"…\"")))
    };
    for key in value.as_table().into_iter().flat_map(Table::keys) {
        if !["text", "results", "metric", "of", "than", "value", "by", "reason"].contains(&key.as_str()) {
            return Err(Error::new(format!("a [[goal]] has no {key}")));
        }
    }
    if value.get("value").is_some() == value.get("than").is_some() {
        return Err(Error::new(
            "a [[goal]] has either than = \"…\" or value = a number",
        ));
    }
    let number = |key: &str| {
        let Some(given) = value.get(key) else {
            return Ok(None);
        };
        let number = given.as_float().or(given.as_integer().map(|i| i as f64));
        let number = number.ok_or_else(|| Error::new(format!("{key} = {given} is no number")))?;
        Ok::<_, Error>(Some(number))
    };
    let key = word("metric")?;
    let metric = METRICS.iter().find(|m| m.key == key);
    Ok(Goal {
        text: word("text")?,
        results: word("results")?,
        metric: metric.ok_or_else(|| Error::new(format!("metric = {key:?} is unknown")))?,
        of: word("of")?,
        bar: match number("value")? {
            Some(value) => Bar::Value(value),
            None => Bar::Row(word("than")?),
        },
        by: number("by")?.unwrap_or(0.0),
        reason: value.get("reason").map(|_| word("reason")).transpose()?,
    })
}

impl Goals {
    /// Refuses goals of results that are not there: a page without them would look as if nothing was missed.
    pub(super) fn check(&self, reports: &[Report]) -> Result<()> {
        let missing = self
            .goals
            .iter()
            .find(|g| reports.iter().all(|r| r.name != g.results));
        if let Some(goal) = missing {
            let why = format!("a goal is of the results {:?}, which are not there", goal.results);
            return Err(Error::new(why));
        }
        match &self.some {
            Some(some) if reports.iter().all(|r| r.over(&some.images).is_none()) => {
                let why = format!(
                    "no results have scores of all images of [some]: {}",
                    some.images.join(", ")
                );
                Err(Error::new(why))
            }
            _ => Ok(()),
        }
    }

    /// A table of the goals of a report, or nothing.
    pub(super) fn of(&self, report: &Report) -> Result<String> {
        let mut text = String::new();
        for goal in self.goals.iter().filter(|g| g.results == report.name) {
            if text.is_empty() {
                text += "\n| goal | result | |\n|---|---|---|\n";
            }
            let (result, verdict) = goal.verdict(report)?;
            let _ = write!(text, "| {} | {result} | {verdict}", goal.text);
            if let (Some(reason), true) = (&goal.reason, verdict != "met") {
                let _ = write!(text, ": {reason}");
            }
            text += " |\n";
        }
        Ok(text)
    }
}

impl Goal {
    /// On how many of how many images it is reached; nothing where images have no such score.
    fn images(&self, report: &Report) -> Result<Option<(usize, usize)>> {
        let scores = |name: &str| -> Result<Option<Vec<f64>>> {
            let images = report.row(name)?.images.iter();
            Ok(images.map(|i| i.get(self.metric.key).copied()).collect())
        };
        let Some(own) = scores(&self.of)?.filter(|own| !own.is_empty()) else {
            return Ok(None);
        };
        let bars = match &self.bar {
            Bar::Row(name) => scores(name)?,
            Bar::Value(value) => Some(vec![*value; own.len()]),
        };
        let sign = if self.metric.lower_is_better { -1.0 } else { 1.0 };
        let bars = bars.filter(|bars| bars.len() == own.len());
        Ok(bars.map(|bars| {
            let reached = |(own, bar): &(&f64, &f64)| (*own - *bar) * sign >= self.by;
            (own.iter().zip(&bars).filter(reached).count(), own.len())
        }))
    }

    /// What came out, and whether it is good enough. Between rows of a sweep, whose runs with the same seed build on the same
    /// ones, it is the difference of each seed that counts: a mean that is smaller than their deviation is no difference.
    fn verdict(&self, report: &Report) -> Result<(String, &'static str)> {
        let key = self.metric.key;
        let get = |name: &str| -> Result<(f64, Vec<f64>)> {
            let row = report.row(name)?;
            let seeds = row.seeds.iter().filter_map(|s| s.get(key)).copied().collect();
            let mean = row.means.get(key).copied();
            mean.map(|m| (m, seeds))
                .ok_or_else(|| Error::new(format!("{}: {name} has no {key}", report.name)))
        };
        let (value, own) = get(&self.of)?;
        let (bar, other) = match &self.bar {
            Bar::Row(name) => get(name)?,
            Bar::Value(value) => (*value, vec![*value; own.len()]),
        };
        let sign = if self.metric.lower_is_better { -1.0 } else { 1.0 };
        let ahead = (value - bar) * sign - self.by;
        let differences: Vec<f64> = own.iter().zip(&other).map(|(a, b)| a - b).collect();
        let spread = deviation(&differences).unwrap_or(0.0);
        let decimals = self.metric.decimals;
        let plus = if self.by == 0.0 {
            String::new()
        } else {
            format!(" {} {:.*}", if sign > 0.0 { "+" } else { "-" }, decimals, self.by)
        };
        let mut result = format!("{value:.decimals$} against {bar:.decimals$}{plus}");
        if let Some((reached, all)) = self.images(report)? {
            let _ = write!(result, "; {reached} of {all} images");
        }
        let verdict = if own.len() == 1 {
            "one seed tells nothing"
        } else if ahead.abs() < spread {
            "within the spread"
        } else if ahead >= 0.0 {
            "met"
        } else {
            "missed"
        };
        Ok((result, verdict))
    }
}
