//! `asasr eval`: PSNR-Y of a model and of bicubic enlargement on the same inputs.

use std::path::{Path, PathBuf};

use asasr_core::{Executor, OutputScale, Planes, metrics, model::Measured, resample};

use crate::cli::Eval;
use crate::device::AnyExecutor;
use crate::error::{Error, Result};
use crate::{files, model};

/// A validation image under the protocol `clean`: cropped truth and its 8-bit antialiased bicubic reduction.
pub(crate) struct Pair {
    pub(crate) path: PathBuf,
    pub(crate) hq: Planes,
    pub(crate) lq: Planes,
}

/// Largest image read for training or evaluation, in pixels.
pub(crate) const MAX_PIXELS: u64 = 100_000_000;

/// Smallest side that is measured: the border that PSNR-Y leaves out must leave something.
const MIN_SIDE: usize = 16;
/// PSNR-Y counted for an image met exactly, in dB; the true value is infinite and would swallow every mean.
const BEST: f64 = 100.0;
/// Side of a tile's core in pixels: large images must not need memory without bound.
const TILE: usize = 256;

/// Reads the images that can be used; the others are named and left out.
pub(crate) fn clean_pairs(paths: &[PathBuf], scale: usize) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    for path in paths {
        match clean_pair(path, scale) {
            Ok(pair) => pairs.push(pair),
            Err(why) => eprintln!("left out: {why}"),
        }
    }
    if pairs.is_empty() {
        Err(Error::new("no image can be used for validation"))
    } else {
        Ok(pairs)
    }
}

/// Reads one image and degrades it; an alpha channel is left out.
pub(crate) fn clean_pair(path: &Path, scale: usize) -> Result<Pair> {
    let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
    let picture = asasr_codec::decode(&bytes, MAX_PIXELS).map_err(|e| Error::at(path, e))?;
    if picture.width() < MIN_SIDE || picture.height() < MIN_SIDE {
        return Err(Error::at(
            path,
            format!("smaller than {MIN_SIDE}x{MIN_SIDE} pixels"),
        ));
    }
    let (hq, _) = picture.all_planes().split_channels(3);
    let mut lq = resample::shrink(&hq, scale).map_err(|e| Error::at(path, e))?;
    metrics::quantise(&mut lq);
    let hq = hq.crop(asasr_core::Rect {
        x0: 0,
        y0: 0,
        x1: lq.width() * scale,
        y1: lq.height() * scale,
    });
    Ok(Pair {
        path: path.to_path_buf(),
        hq,
        lq,
    })
}

/// PSNR-Y of `image` against the truth after rounding to 8 bits, as a saved file would have it.
fn score(mut image: Planes, truth: &Planes, scale: usize) -> asasr_core::Result<f64> {
    metrics::quantise(&mut image);
    Ok(metrics::psnr_y(&image, truth, scale)?.min(BEST))
}

/// The whole image, enlarged tile by tile.
fn enlarge(executor: &mut impl Executor, image: &Planes) -> asasr_core::Result<Planes> {
    let scale = executor.scale();
    let mut out = Planes::zeros(3, image.height() * scale, image.width() * scale);
    pollster::block_on(asasr_core::upscale(
        executor,
        (image.width(), image.height()),
        TILE,
        OutputScale::new(scale)?,
        |rect| image.crop(rect),
        |first, rows| {
            out.put_rows(first, rows);
            Ok(())
        },
        |_| true,
    ))?;
    Ok(out)
}

/// Mean PSNR-Y of `executor` and of bicubic over `pairs`; `each` sees every image's two scores.
pub(crate) fn measure(
    executor: &mut impl Executor,
    pairs: &[Pair],
    mut each: impl FnMut(&Pair, f64, f64),
) -> Result<Measured> {
    let scale = executor.scale();
    let (mut ours, mut bicubic) = (0.0, 0.0);
    for pair in pairs {
        let output = enlarge(executor, &pair.lq)?;
        let at = |e: asasr_core::Error| Error::at(&pair.path, e);
        let a = score(output, &pair.hq, scale).map_err(at)?;
        let b = score(resample::enlarge(&pair.lq, scale), &pair.hq, scale).map_err(at)?;
        each(pair, a, b);
        ours += a;
        bicubic += b;
    }
    let n = pairs.len() as f64;
    Ok(Measured {
        protocol: "clean".into(),
        images: pairs.len(),
        psnr_y: ours / n,
        psnr_y_bicubic: bicubic / n,
    })
}

/// Runs the command.
pub(crate) fn run(args: &Eval) -> Result<()> {
    let (manifest, weights) = model::open(args.weights.as_deref())?;
    let (mut executor, device) = AnyExecutor::new(args.device, &manifest.architecture, &weights)?;
    let pairs = clean_pairs(&files::images_below(&args.data)?, manifest.architecture.scale)?;
    eprintln!("{} on {device}, protocol clean, PSNR-Y in dB", manifest.id);
    println!("{:40} {:>10} {:>10} {:>8}", "image", "bicubic", "model", "gain");
    let line = |name: &str, ours: f64, bicubic: f64| {
        println!("{name:40} {bicubic:>10.3} {ours:>10.3} {:>+8.3}", ours - bicubic);
    };
    let mean = measure(&mut executor, &pairs, |pair, ours, bicubic| {
        line(
            &pair.path.file_name().unwrap_or_default().to_string_lossy(),
            ours,
            bicubic,
        );
    })?;
    line(
        &format!("mean of {}", mean.images),
        mean.psnr_y,
        mean.psnr_y_bicubic,
    );
    Ok(())
}
