//! A page with the table, crops side by side, their differences from the truth, and spectra.

use std::fmt::Write as _;

use asasr_core::spectral::{log_spectral_distance, radial_power};
use asasr_core::{Planes, Rect, metrics};

use super::Outcome;
use super::dataset::Pair;
use super::output::{cell, columns, summed};
use crate::cli::Eval;
use crate::error::Result;
use crate::html::{chart, escaped, figure};
use crate::sheet;

/// Images that are shown; all are measured.
const SHOWN: usize = 16;
/// Side of a crop in output pixels.
const CROP: usize = 160;
/// Side of a crop on a sheet.
const SHEET_CROP: usize = 128;
const BANDS: usize = 40;
/// A luma difference of so many grey levels is full red or blue.
const FULL: f64 = 40.0;

/// What the page will hold.
#[derive(Default)]
pub(super) struct Page {
    rows: String,
    shown: usize,
    /// For the truth and each method: the sum of the power of each band.
    power: Vec<Vec<f64>>,
    /// For each method: the sum of the spectral distance in each band.
    distance: Vec<Vec<f64>>,
    frequency: Vec<f64>,
    count: f64,
}

impl Page {
    /// Takes an image and what each method made of it.
    pub(super) fn add(&mut self, pair: &Pair, outcomes: &[Outcome], images: &[Planes]) -> Result<()> {
        self.measure(pair, images)?;
        if self.shown == SHOWN {
            return Ok(());
        }
        self.shown += 1;
        let crop = busiest(pair, CROP);
        let truth = pair.hq.crop(crop);
        let _ = write!(self.rows, "<h3>{}</h3><p>", escaped(&super::name(&pair.path)));
        let input = repeated(pair, crop);
        self.rows += &figure("input", &input, 2 * input.width())?;
        self.rows += &figure("truth", &truth, 2 * truth.width())?;
        for (outcome, image) in outcomes.iter().zip(images) {
            let psnr = outcome.scores.last().and_then(|s| s.get("psnr_y"));
            let title = format!("{}, {:.2} dB", outcome.method.name, psnr.unwrap_or(&0.0));
            self.rows += &figure(&title, &image.crop(crop), 2 * crop.width())?;
        }
        self.rows += "</p><p>";
        for (outcome, image) in outcomes.iter().zip(images) {
            let map = difference(&image.crop(crop), &truth);
            self.rows += &figure(&format!("{} less truth", outcome.method.name), &map, crop.width())?;
        }
        self.rows += "</p>";
        Ok(())
    }

    fn measure(&mut self, pair: &Pair, images: &[Planes]) -> Result<()> {
        let size = pair.hq.size();
        let truth = metrics::luma(&pair.hq);
        self.power.resize(images.len() + 1, vec![0.0; BANDS]);
        self.distance.resize(images.len(), vec![0.0; BANDS]);
        let bands = radial_power(&truth, size, BANDS)?;
        add(&mut self.power[0], &bands.power);
        self.frequency = bands.frequency;
        for (i, image) in images.iter().enumerate() {
            let luma = metrics::luma(image);
            add(&mut self.power[i + 1], &radial_power(&luma, size, BANDS)?.power);
            add(
                &mut self.distance[i],
                &log_spectral_distance(&luma, &truth, size, BANDS)?.bands,
            );
        }
        self.count += 1.0;
        Ok(())
    }

    /// The page, a file that needs nothing else.
    pub(super) fn html(&self, outcomes: &[Outcome], images: usize, args: &Eval) -> String {
        let rows = summed(outcomes);
        let columns = columns(&rows);
        let mut html = format!(
            "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
             <title>Evaluation</title><style>\
             body{{font:15px/1.5 system-ui,sans-serif;max-width:1500px;margin:2rem auto;padding:0 1rem;color:#222}}\
             table{{border-collapse:collapse;display:block;overflow-x:auto}}td,th{{padding:.2em .7em;text-align:right;\
             border-bottom:1px solid #e2e2e8;white-space:nowrap}}td:first-child{{text-align:left}}\
             figure{{display:inline-block;margin:0 .6rem .6rem 0}}figcaption{{font-size:13px;color:#555}}\
             svg{{background:#fafafc;border:1px solid #e2e2e8}}img{{image-rendering:pixelated;max-width:100%}}</style>\
             <h1>Evaluation</h1><p>{images} images, protocol {}. Bold is best; hover over a metric to see what it is.</p>\
             <table><tr><td></td>",
            args.protocol.name()
        );
        for metric in &columns {
            let _ = write!(
                html,
                "<th title=\"{}\">{} {}</th>",
                escaped(metric.meaning),
                escaped(metric.title),
                if metric.lower_is_better { "↓" } else { "↑" }
            );
        }
        html += "</tr>";
        for (outcome, scores) in &rows {
            let _ = write!(html, "<tr><td>{}</td>", escaped(&outcome.method.name));
            for metric in &columns {
                let sign = if metric.lower_is_better { -1.0 } else { 1.0 };
                let value = |s: &super::Scores| s.get(metric.key).map(|v| v * sign);
                let best = rows.iter().filter_map(|(_, s)| value(s)).reduce(f64::max);
                let text = cell(metric, scores);
                let bold = value(scores).is_some() && value(scores) == best;
                let _ = if bold {
                    write!(html, "<td><b>{text}</b></td>")
                } else {
                    write!(html, "<td>{text}</td>")
                };
            }
            html += "</tr>";
        }
        html +=
            "</table><h2>Spectra</h2><p>Over radial frequency in cycles per pixel, means of all images.</p>";
        html += &self.spectra(outcomes);
        let _ = write!(
            html,
            "<h2>Crops</h2><p>The part of each image with the most contrast, twice as large; below, the luma of each result \
             less the truth's: red is too bright, blue too dark, full at {FULL} grey levels.</p>{}",
            self.rows
        );
        html
    }

    fn spectra(&self, outcomes: &[Outcome]) -> String {
        let curve = |values: &[f64], decibel: bool| -> Vec<(f64, f64)> {
            let points = self.frequency.iter().zip(values).filter(|(_, v)| **v > 0.0);
            let each = |(f, v): (&f64, &f64)| {
                let mean = v / self.count;
                (*f, if decibel { 10.0 * mean.log10() } else { mean })
            };
            points.map(each).collect()
        };
        let names = || outcomes.iter().map(|o| o.method.name.as_str());
        let powers: Vec<_> = ["truth"]
            .into_iter()
            .chain(names())
            .zip(&self.power)
            .map(|(n, p)| (n, curve(p, true)))
            .collect();
        // The same colours in both charts: the truth's distance from itself is nowhere above zero.
        let distances: Vec<_> = [("truth", Vec::new())]
            .into_iter()
            .chain(names().zip(&self.distance).map(|(n, d)| (n, curve(d, false))))
            .collect();
        chart("luma power in dB", &powers) + &chart("log-spectral distance in dB", &distances)
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(s, v)| *s += v);
}

/// A row of a sheet: crops of the input, the truth and what each method made of it.
pub(super) fn row(pair: &Pair, images: &[Planes]) -> Vec<Planes> {
    let crop = busiest(pair, SHEET_CROP);
    let shown = [repeated(pair, crop), pair.hq.crop(crop)];
    shown
        .into_iter()
        .chain(images.iter().map(|i| i.crop(crop)))
        .collect()
}

/// The square, on the grid of the input's pixels, in which the truth's luma varies most.
fn busiest(pair: &Pair, side: usize) -> Rect {
    let (image, scale) = (&pair.hq, pair.hq.width() / pair.lq.width());
    let (w, h) = (image.width(), image.height());
    let side = side.min(w).min(h) / scale * scale;
    let luma = metrics::luma(image);
    let step = side / 2 / scale * scale;
    let places = |n: usize| (0..=n - side).step_by(step.max(scale));
    let contrast = |x0: usize, y0: usize| {
        let rows = (y0..y0 + side).map(|y| &luma[y * w + x0..y * w + x0 + side]);
        rows.flat_map(|r| r.windows(2))
            .map(|p| (p[1] - p[0]).abs())
            .sum::<f64>()
    };
    let (x0, y0) = places(h)
        .flat_map(|y| places(w).map(move |x| (x, y)))
        .max_by(|a, b| contrast(a.0, a.1).total_cmp(&contrast(b.0, b.1)))
        .unwrap_or_default();
    Rect {
        x0,
        y0,
        x1: x0 + side,
        y1: y0 + side,
    }
}

/// The input's pixels below a crop of the output, each repeated.
fn repeated(pair: &Pair, crop: Rect) -> Planes {
    let scale = pair.hq.width() / pair.lq.width();
    let below = Rect {
        x0: crop.x0 / scale,
        y0: crop.y0 / scale,
        x1: crop.x1 / scale,
        y1: crop.y1 / scale,
    };
    sheet::repeated(&pair.lq.crop(below), scale)
}

/// Red where `image` is brighter than `truth`, blue where it is darker, white where they agree.
fn difference(image: &Planes, truth: &Planes) -> Planes {
    let mut out = Planes::zeros(3, truth.height(), truth.width());
    out.data_mut().fill(1.0);
    let n = truth.height() * truth.width();
    for (i, (a, b)) in metrics::luma(image).iter().zip(metrics::luma(truth)).enumerate() {
        let strength = ((a - b) / FULL).clamp(-1.0, 1.0) as f32;
        let fading = if strength > 0.0 { [1, 2] } else { [0, 1] };
        for c in fading {
            out.data_mut()[c * n + i] = 1.0 - strength.abs();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crop_is_where_most_happens() {
        let mut image = Planes::zeros(3, 64, 96);
        for y in 40..64 {
            for x in (64..96).step_by(2) {
                image.row_mut(1, y)[x] = 1.0;
            }
        }
        let pair = Pair {
            path: "photo.png".into(),
            hq: image,
            lq: Planes::zeros(3, 16, 24),
        };
        let crop = busiest(&pair, 32);
        assert_eq!((crop.x0, crop.y0, crop.width(), crop.height()), (64, 32, 32, 32));
    }

    #[test]
    fn differences_have_their_colours() {
        let grey = |v: f32| Planes::new(3, 1, 1, vec![v; 3]).expect("sizes agree");
        assert_eq!(difference(&grey(0.5), &grey(0.5)).data(), [1.0, 1.0, 1.0]);
        assert_eq!(difference(&grey(1.0), &grey(0.0)).data(), [1.0, 0.0, 0.0]);
        assert_eq!(difference(&grey(0.0), &grey(1.0)).data(), [0.0, 0.0, 1.0]);
    }
}
