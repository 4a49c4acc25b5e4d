//! `report.html`: a run at a glance, in one file that needs nothing else and may be read while the run goes on.

use std::fmt::Write as _;
use std::{fs, path::Path};

use asasr_core::spectral::radial_power;
use asasr_core::{Planes, metrics};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::files;
use crate::html::{chart, escaped, figure};

/// One validation image, as each of several ways makes it: titles and images of one size.
pub(crate) type Comparison = Vec<(&'static str, Planes)>;

const BANDS: usize = 32;

/// Writes the report of the run in `folder` from its `metrics.jsonl` and the latest comparisons.
pub(crate) fn write(folder: &Path, command: &str, comparisons: &[Comparison]) -> Result<()> {
    let path = folder.join("metrics.jsonl");
    let log = fs::read_to_string(&path).map_err(|e| Error::at(&path, e))?;
    // A line that an interruption cut short is left out.
    let lines: Vec<Value> = log.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let mut html = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>ASASR training</title><style>\
         body{font:15px/1.5 system-ui,sans-serif;max-width:1400px;margin:2rem auto;padding:0 1rem;color:#222}\
         code{background:#f2f2f5;padding:.2em .4em;overflow-wrap:anywhere}figure{display:inline-block;margin:0 .6rem 1rem 0}\
         figcaption{font-size:13px;color:#555}svg{background:#fafafc;border:1px solid #e2e2e8}\
         img{image-rendering:pixelated;max-width:100%}</style><h1>ASASR training</h1>",
    );
    let last = lines.last().and_then(|l| l["step"].as_u64()).unwrap_or(0);
    let _ = write!(
        html,
        "<p>Step {last}. <code>{}</code></p><h2>Curves</h2>",
        escaped(command)
    );
    let keys = lines
        .last()
        .and_then(Value::as_object)
        .map(|o| o.keys().collect::<Vec<_>>());
    for key in keys.unwrap_or_default().into_iter().filter(|k| *k != "step") {
        let points: Vec<(f64, f64)> = lines
            .iter()
            .filter_map(|l| Some((l["step"].as_f64()?, l[key].as_f64()?)))
            .collect();
        if let Some((_, now)) = points.last() {
            let title = format!("{key}: {now:.5}");
            html.push_str(&chart(&title, &[(key.as_str(), points)]));
        }
    }
    if !comparisons.is_empty() {
        html.push_str("<h2>Validation images</h2>");
        for comparison in comparisons {
            html.push_str("<p>");
            for (title, image) in comparison {
                html.push_str(&figure(title, image, 2 * image.width())?);
            }
            html.push_str("</p>");
        }
        html.push_str("<h2>Spectra</h2>");
        html.push_str(&spectra(comparisons)?);
    }
    files::write(&folder.join("report.html"), html.as_bytes())
}

/// Power over frequency of each way, averaged over the comparisons, in dB.
fn spectra(comparisons: &[Comparison]) -> Result<String> {
    let mut curves: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for (i, (title, _)) in comparisons[0].iter().enumerate() {
        let mut power = vec![0.0; BANDS];
        let mut frequency = vec![0.0; BANDS];
        for image in comparisons
            .iter()
            .filter_map(|c| c.get(i))
            .map(|(_, image)| image)
        {
            let bands = radial_power(&metrics::luma(image), image.size(), BANDS)?;
            for (sum, p) in power.iter_mut().zip(&bands.power) {
                *sum += p;
            }
            frequency = bands.frequency;
        }
        let points = frequency.iter().zip(&power).filter(|(_, p)| **p > 0.0);
        curves.push((title, points.map(|(f, p)| (*f, 10.0 * p.log10())).collect()));
    }
    Ok(chart("luma power in dB over cycles per pixel", &curves))
}
