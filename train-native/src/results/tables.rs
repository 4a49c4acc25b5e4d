//! Tables and charts.

use std::fmt::Write as _;

use super::report::{Report, Row};
use crate::error::Result;
use crate::eval::{METRICS, Metric, in_tables};
use crate::html::svg;

/// The metrics of a small table.
const FEW: [&str; 6] = [
    "psnr_y",
    "ssim_y",
    "lsd",
    "consistency",
    "st_lpips_alex",
    "mp_per_s",
];

/// All rows, all metrics.
pub(super) fn of(report: &Report) -> String {
    let rows: Vec<&Row> = report.rows.iter().collect();
    table(&rows, in_tables)
}

/// Some rows, few metrics.
pub(super) fn some(report: &Report, names: &[&str]) -> Result<String> {
    let rows: Vec<&Row> = names.iter().map(|n| report.row(n)).collect::<Result<_>>()?;
    Ok(table(&rows, |m| FEW.contains(&m.key)))
}

/// All rows, few metrics, over some of the images; nothing where not all of these were scored.
pub(super) fn over(report: &Report, images: &[String]) -> Option<String> {
    let rows = report.over(images)?;
    let rows: Vec<&Row> = rows.iter().collect();
    Some(table(&rows, |m| FEW.contains(&m.key)))
}

/// On how many images plain interpolation is above each of the others; nothing where there is none, or no scores of images.
pub(super) fn below_bicubic(report: &Report) -> Option<String> {
    let plain = report.rows.iter().find(|r| r.name == "bicubic")?;
    let n = plain.images.len();
    let below = |row: &Row, key: &str| {
        let pairs = row.images.iter().zip(&plain.images);
        let lower = pairs.map(|(a, b)| Some(a.get(key)? < b.get(key)?));
        Some(
            lower
                .collect::<Option<Vec<bool>>>()?
                .iter()
                .filter(|l| **l)
                .count(),
        )
    };
    let others = report
        .rows
        .iter()
        .filter(|r| r.name != plain.name && r.images.len() == n);
    let counts: Vec<String> = others
        .filter_map(|r| {
            let (psnr, ssim) = (below(r, "psnr_y")?, below(r, "ssim_y")?);
            Some(format!("{psnr} ({ssim}) beside {}", r.name))
        })
        .collect();
    (n > 0 && !counts.is_empty()).then(|| {
        format!(
            "Bicubic interpolation has the higher PSNR-Y (in brackets: SSIM-Y) on so many of the {n} images: {}.\n",
            counts.join(", ")
        )
    })
}

fn table(rows: &[&Row], wanted: impl Fn(&Metric) -> bool) -> String {
    let known = |m: &&Metric| wanted(m) && rows.iter().any(|r| r.means.contains_key(m.key));
    let metrics: Vec<&Metric> = METRICS.iter().filter(known).collect();
    let mut text = String::from("|");
    for metric in &metrics {
        let _ = write!(
            text,
            " | {} {}",
            metric.title,
            if metric.lower_is_better { "↓" } else { "↑" }
        );
    }
    let _ = writeln!(text, " |\n|---{}|", "|---:".repeat(metrics.len()));
    for row in rows {
        let _ = write!(text, "| {}", row.name);
        for metric in &metrics {
            let _ = write!(text, " | {}", cell(metric, row, rows));
        }
        text += " |\n";
    }
    text
}

/// A mean with its deviation; bold where no row's, as it is printed, is better.
fn cell(metric: &Metric, row: &Row, rows: &[&Row]) -> String {
    let Some(mean) = row.means.get(metric.key) else {
        return String::new();
    };
    let sign = if metric.lower_is_better { -1.0 } else { 1.0 };
    let best = rows
        .iter()
        .filter_map(|r| r.means.get(metric.key))
        .map(|v| v * sign)
        .reduce(f64::max);
    let mut text = format!("{mean:.*}", metric.decimals);
    let printed_best = best.map(|b| format!("{:.*}", metric.decimals, b * sign));
    if printed_best.as_ref() == Some(&text) && rows.len() > 1 {
        text = format!("**{text}**");
    }
    if let Some(deviation) = row.deviations.get(metric.key) {
        let _ = write!(text, " ± {deviation:.*}", metric.decimals);
    }
    text
}

/// The spectral distance by frequency, where it was told by bands.
pub(super) fn chart(report: &Report) -> Option<String> {
    let bands: Vec<&str> = METRICS
        .iter()
        .map(|m| m.key)
        .filter(|k| k.starts_with("lsd_band"))
        .collect();
    let n = bands.len() as f64;
    let curve = |row: &Row| -> Vec<(f64, f64)> {
        // Bands divide the radial frequencies up to the corner, the root of 1/2.
        let centre = |i: usize| (i as f64 + 0.5) / n * std::f64::consts::FRAC_1_SQRT_2;
        let values = bands.iter().enumerate();
        values
            .filter_map(|(i, b)| Some((centre(i), *row.means.get(*b)?)))
            .collect()
    };
    let curves: Vec<(&str, Vec<(f64, f64)>)> =
        report.rows.iter().map(|r| (r.name.as_str(), curve(r))).collect();
    let any = curves.iter().any(|(_, points)| !points.is_empty());
    any.then(|| svg("log-spectral distance in dB over cycles per pixel", &curves))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn images_below_plain_interpolation_are_counted() {
        let row = |name: &str, scores: [(f64, f64); 2]| Row {
            name: name.into(),
            means: BTreeMap::new(),
            deviations: BTreeMap::new(),
            seeds: Vec::new(),
            images: scores
                .map(|(psnr, ssim)| [("psnr_y".to_owned(), psnr), ("ssim_y".to_owned(), ssim)].into())
                .to_vec(),
        };
        let told = |rows| below_bicubic(&Report::of_rows(rows));
        let (a, plain) = ([(30.0, 0.5), (19.0, 0.4)], [(29.0, 0.8), (20.0, 0.7)]);
        let text = told(vec![row("a", a), row("bicubic", plain)]).expect("there is one");
        assert!(text.ends_with("of the 2 images: 1 (2) beside a.\n"), "{text}");
        assert_eq!(told(vec![row("a", a)]), None);
        assert_eq!(told(vec![row("bicubic", plain)]), None);
    }

    #[test]
    fn the_best_is_bold_as_it_is_printed() {
        let row = |name: &str, psnr: f64, lsd: f64| Row {
            name: name.into(),
            means: [("psnr_y".to_owned(), psnr), ("lsd".to_owned(), lsd)].into(),
            deviations: [("lsd".to_owned(), 0.25)].into(),
            seeds: Vec::new(),
            images: Vec::new(),
        };
        let rows = [row("a", 30.0, 14.0), row("b", 30.0001, 15.0)];
        let rows: Vec<&Row> = rows.iter().collect();
        assert_eq!(
            table(&rows, in_tables),
            "| | PSNR-Y ↑ | LSD ↓ |\n|---|---:|---:|\n| a | **30.000** | **14.000** ± 0.250 |\n\
             | b | **30.000** | 15.000 ± 0.250 |\n"
        );
    }
}
