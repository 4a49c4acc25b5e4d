//! `asasr eval`: models and other tools' results against the truth.
//!
//! | file | what |
//! |---|---|
//! | `dataset` | truths and inputs |
//! | `method` | what enlarges: bicubic, a model's modes, a folder of results |
//! | `judge` | the metrics |
//! | `reading` | text that is read in a result |
//! | `output` | the table, CSV and JSON |
//! | `page` | the HTML page |

mod dataset;
mod judge;
mod method;
mod output;
mod page;
mod reading;

pub(crate) use dataset::{
    Pair, ResultFolder, colours, enlarge, measure, pair_with, pairs, pairs_with, truth,
};
pub(crate) use judge::{Judge, METRICS, Metric, Scores, deviation};
pub(crate) use output::{command, in_tables, machine};

use std::path::{Path, PathBuf};

use asasr_core::Planes;
use asasr_core::metrics::Passage;
use indicatif::{ProgressBar, ProgressStyle};

use self::method::Method;
use crate::cli::{Draw, Eval, Mode};
use crate::device::DeviceChoice;
use crate::error::{Error, Result};
use crate::executor::ExecutorMaker;
use crate::graphs::Graphs;
use crate::{encode, files, interrupt, sheet};

/// Images on a sheet; all are measured.
const SHEET_ROWS: usize = 8;

/// What a method made of all images.
pub(crate) struct Outcome {
    pub(crate) method: Method,
    /// For each image.
    pub(crate) scores: Vec<Scores>,
    /// Output pixels of all images.
    pub(crate) pixels: f64,
}

/// Runs the command.
pub(crate) fn run(args: &Eval) -> Result<()> {
    interrupt::listen();
    let judge = Judge::new(args.protocol, &args.networks, args.ocr)?;
    let models = method::models(args)?;
    let scale = method::scale(&models)?;
    let paths = files::images_below(&args.data)?;
    // What cannot be written is told before the work, not after it.
    let others = args.inputs.iter().cloned().chain(method::folders(args));
    let others = others.flat_map(|f| files::images_below(&f).unwrap_or_default());
    let read: Vec<PathBuf> = paths.iter().cloned().chain(others).collect();
    files::check_outputs(args.files(), &read)?;
    let pairs = match &args.inputs {
        Some(inputs) => pairs_with(&paths, &ResultFolder::open(inputs, &paths)?, scale)?,
        None => pairs(&paths, scale, args.protocol)?,
    };
    judge.check(&pairs)?;
    let methods = method::all(args, models, &pairs)?;
    let mut rows = Vec::new();
    let mut page = args.html.as_deref().map(|_| page::Page::default());
    let bar = ProgressBar::new((pairs.len() * methods.len()) as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} results, {eta} left, {msg}") {
        bar.set_style(style);
    }
    let mut outcomes: Vec<Outcome> = methods
        .into_iter()
        .map(|method| Outcome {
            method,
            scores: Vec::new(),
            pixels: pairs.iter().map(|p| (p.hq.width() * p.hq.height()) as f64).sum(),
        })
        .collect();
    // The frame before, its results, and how the truth moves from there.
    let mut before: Option<(&Pair, Vec<Planes>)> = None;
    for pair in &pairs {
        let subject = judge.subject(pair)?;
        let passage = before.as_ref().map(|(last, _)| Passage::new(&last.hq, &pair.hq));
        let passage = passage.transpose().map_err(|e| Error::at(&pair.path, e))?;
        let mut images = Vec::new();
        for (i, outcome) in outcomes.iter_mut().enumerate() {
            if interrupt::requested() {
                return Err(Error::new("stopped; nothing was written"));
            }
            bar.set_message(format!("{}: {}", outcome.method.name, name(&pair.path)));
            let (mut image, seconds) = outcome.method.enlarge(pair)?;
            asasr_core::metrics::quantise(&mut image);
            let mut scores = judge
                .scores(&subject, &image, seconds)
                .map_err(|e| Error::at(&pair.path, e))?;
            if let (Some(passage), Some((_, last))) = (&passage, &before) {
                let error = passage.warping_error(&last[i], &image);
                let error = error.map_err(|e| Error::at(&pair.path, e))?;
                scores.extend(error.map(|e| ("warping", e)));
            }
            outcome.scores.push(scores);
            bar.inc(1);
            images.push(image);
        }
        if let Some(page) = &mut page {
            page.add(pair, &outcomes, &images)?;
        }
        if args.sheet.is_some() && rows.len() < SHEET_ROWS {
            rows.push(page::row(pair, &images));
        }
        before = args.video.then_some((pair, images));
    }
    bar.finish_and_clear();
    output::table(&outcomes, pairs.len(), args);
    // Each is tried: one that fails does not take the others with it.
    let mut failed = Vec::new();
    if let Some(path) = &args.csv {
        failed.extend(files::write(path, output::csv(&outcomes, &pairs).as_bytes()).err());
    }
    if let Some(path) = &args.json {
        let json = output::json(&outcomes, &pairs, args);
        failed.extend(json.and_then(|text| files::write(path, text.as_bytes())).err());
    }
    if let (Some(page), Some(path)) = (page, &args.html) {
        let html = page.html(&outcomes, pairs.len(), args);
        failed.extend(files::write(path, html.as_bytes()).err());
    }
    if let Some(path) = &args.sheet {
        failed.extend(encode::save(&sheet::sheet(&rows), path).err());
    }
    let last = failed.pop();
    failed.iter().for_each(|e| note!("error: {e}"));
    last.map_or(Ok(()), Err)
}

/// The mean scores of a model in a folder on all images.
pub(crate) fn score(
    folder: &Path,
    (mode, device): (Mode, DeviceChoice),
    pairs: &[Pair],
    judge: &Judge,
) -> Result<Scores> {
    let mut maker = ExecutorMaker::new(Graphs::open(Some(folder))?, device, mode, Draw::default())?;
    let mut scores = Vec::new();
    for pair in pairs {
        if interrupt::requested() {
            return Err(Error::new("stopped while it was scored: go on with --resume"));
        }
        let [executor, _] = maker.for_image(pair.lq.size())?;
        let mut image = enlarge(executor, &pair.lq, true).map_err(|e| Error::at(&pair.path, e))?;
        asasr_core::metrics::quantise(&mut image);
        let own = judge.scores(&judge.subject(pair)?, &image, None);
        scores.push(own.map_err(|e| Error::at(&pair.path, e))?);
    }
    Ok(judge::means(&scores, 0.0))
}

/// The last part of a path, for a reader.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
