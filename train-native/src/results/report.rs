//! What the files hold.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// A row of a table.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) means: BTreeMap<String, f64>,
    /// Sample deviations over seeds, of a sweep.
    pub(super) deviations: BTreeMap<String, f64>,
    /// The scores of each seed, of a sweep.
    pub(super) seeds: Vec<BTreeMap<String, f64>>,
    /// The scores of each image, of an evaluation.
    pub(super) images: Vec<BTreeMap<String, f64>>,
}

/// A file.
pub(super) struct Report {
    /// Its name without the ending.
    pub(super) name: String,
    pub(super) rows: Vec<Row>,
    protocol: String,
    /// The mode and number of seeds of a sweep.
    sweep: Option<(String, usize)>,
    images: Vec<String>,
    command: String,
    program: String,
    machine: String,
}

/// The reports in a folder, by name; sweeps come last.
pub(super) fn all(folder: &Path) -> Result<Vec<Report>> {
    let entries = fs::read_dir(folder).map_err(|e| Error::at(folder, e))?;
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Error::at(
            folder,
            "no results are here; `asasr eval --json` and `asasr train sweep` write them",
        ));
    }
    let mut reports: Vec<Report> = paths.iter().map(|p| read(p)).collect::<Result<_>>()?;
    reports.sort_by_key(|r| r.sweep.is_some());
    Ok(reports)
}

fn read(path: &Path) -> Result<Report> {
    let text = fs::read_to_string(path).map_err(|e| Error::at(path, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::at(path, e))?;
    let word = |key: &str| json[key].as_str().map(str::to_owned);
    let parts = || {
        let runs = json["runs"].as_array();
        let seeds = runs.and_then(|r| r.iter().filter_map(|r| r["seeds"].as_array()).map(Vec::len).max());
        let list = runs.or(json["methods"].as_array())?;
        Some(Report {
            name: path.file_stem()?.to_string_lossy().into_owned(),
            rows: list.iter().map(row).collect::<Option<_>>()?,
            protocol: word("protocol")?,
            sweep: word("mode").zip(seeds),
            images: {
                let names = json["images"].as_array()?.iter();
                names.map(|n| n.as_str().unwrap_or_default().to_owned()).collect()
            },
            command: word("command")?,
            program: match word("commit") {
                Some(commit) => format!("{} at {commit}", word("program")?),
                None => word("program")?,
            },
            machine: word("machine")?,
        })
    };
    match (json["format"].as_u64(), parts()) {
        (Some(1), Some(report)) => Ok(report),
        _ => Err(Error::at(
            path,
            "these are no results of this version; write them again with `asasr eval --json` or `asasr train sweep`",
        )),
    }
}

fn row(value: &Value) -> Option<Row> {
    let numbers = |value: &Value| -> Option<BTreeMap<String, f64>> {
        let entries = value.as_object()?.iter();
        Some(
            entries
                .filter_map(|(k, v)| Some((k.clone(), v.as_f64()?)))
                .collect(),
        )
    };
    let list = |key: &str| value[key].as_array().into_iter().flatten();
    Some(Row {
        name: value["name"].as_str()?.to_owned(),
        means: numbers(&value["means"]).or_else(|| numbers(&value["mean"]))?,
        deviations: numbers(&value["deviation"]).unwrap_or_default(),
        seeds: list("seeds").filter_map(|s| numbers(&s["means"])).collect(),
        images: list("images").filter_map(numbers).collect(),
    })
}

impl Report {
    #[cfg(test)]
    pub(super) fn of_rows(rows: Vec<Row>) -> Self {
        Self {
            name: "some".into(),
            rows,
            protocol: "clean".into(),
            sweep: None,
            images: Vec::new(),
            command: String::new(),
            program: String::new(),
            machine: String::new(),
        }
    }

    /// A heading.
    pub(super) fn title(&self) -> String {
        match &self.sweep {
            Some((mode, _)) => format!("{}: protocol {}, mode {mode}", self.name, self.protocol),
            None => format!("{}: protocol {}", self.name, self.protocol),
        }
    }

    /// Where the numbers come from.
    pub(super) fn origin(&self) -> String {
        let seeds = match &self.sweep {
            Some((_, 1)) => ", one seed".to_owned(),
            Some((_, n)) => format!(", {n} seeds, mean ± sample deviation"),
            None => String::new(),
        };
        format!(
            "{} images{seeds}. {}, {}.\n\n```sh\n{}\n```\n",
            self.images.len(),
            self.program,
            self.machine,
            self.command
        )
    }

    /// The rows over some of the images alone; nothing where not all of these were scored.
    pub(super) fn over(&self, some: &[String]) -> Option<Vec<Row>> {
        let at = |name: &String| self.images.iter().position(|i| i == name);
        let places: Vec<usize> = some.iter().map(at).collect::<Option<_>>()?;
        let row = |row: &Row| {
            let images: Vec<_> = places
                .iter()
                .map(|i| row.images.get(*i).cloned())
                .collect::<Option<_>>()?;
            let mean = |key: &String| {
                let values = images.iter().map(|image| image.get(key).copied());
                let sum: f64 = values.sum::<Option<f64>>()?;
                Some((key.clone(), sum / images.len() as f64))
            };
            Some(Row {
                name: row.name.clone(),
                means: row.means.keys().filter_map(mean).collect(),
                deviations: BTreeMap::new(),
                seeds: Vec::new(),
                images,
            })
        };
        self.rows.iter().map(row).collect()
    }

    pub(super) fn row(&self, name: &str) -> Result<&Row> {
        let known = || {
            self.rows
                .iter()
                .map(|r| r.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        self.rows
            .iter()
            .find(|r| r.name == name)
            .ok_or_else(|| Error::new(format!("{} has no row {name:?}; it has {}", self.name, known())))
    }
}
