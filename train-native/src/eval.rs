//! `asasr eval`: PSNR-Y of a model and of bicubic enlargement on the same inputs.

use std::path::{Path, PathBuf};

use asasr_core::{Executor, OutputScale, Planes, metrics, model::Measured, resample};

use rayon::prelude::*;

use crate::cli::Eval;
use crate::degrade::{Protocol, degrade, stream};
use crate::device::ExecutorMaker;
use crate::error::{Error, Result};
use crate::{files, model};

/// A validation image: cropped truth and the 8-bit input made of it.
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
pub(crate) fn pairs(paths: &[PathBuf], scale: usize, protocol: Protocol) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let read: Vec<_> = paths.par_iter().map(|path| pair(path, scale, protocol)).collect();
    for read in read {
        match read {
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

/// Reads one image, cropped to multiples of `scale`; an alpha channel is left out.
pub(crate) fn truth(path: &Path, scale: usize) -> Result<Planes> {
    let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
    let picture = asasr_codec::decode(&bytes, MAX_PIXELS).map_err(|e| Error::at(path, e))?;
    if picture.width() < MIN_SIDE || picture.height() < MIN_SIDE {
        return Err(Error::at(
            path,
            format!("smaller than {MIN_SIDE}x{MIN_SIDE} pixels"),
        ));
    }
    let (hq, _) = picture.all_planes().split_channels(3);
    Ok(hq.crop(asasr_core::Rect {
        x0: 0,
        y0: 0,
        x1: hq.width() / scale * scale,
        y1: hq.height() / scale * scale,
    }))
}

/// Reads one image and degrades it under `protocol` with seed 0.
pub(crate) fn pair(path: &Path, scale: usize, protocol: Protocol) -> Result<Pair> {
    let hq = truth(path, scale)?;
    let lq = degrade(&hq, scale, protocol, &mut stream(0, path, 0)).map_err(|e| Error::at(path, e))?;
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
pub(crate) fn enlarge(executor: &mut impl Executor, image: &Planes) -> asasr_core::Result<Planes> {
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

/// Mean PSNR-Y of what `enlarge` makes and of bicubic enlargement over `pairs`; `each` sees every image's two scores.
pub(crate) fn measure(
    pairs: &[Pair],
    protocol: Protocol,
    mut enlarge: impl FnMut(&Planes) -> Result<Planes>,
    mut each: impl FnMut(&Pair, f64, f64),
) -> Result<Measured> {
    let (mut ours, mut bicubic) = (0.0, 0.0);
    for pair in pairs {
        let scale = pair.hq.width() / pair.lq.width();
        let output = enlarge(&pair.lq)?;
        let at = |e: asasr_core::Error| Error::at(&pair.path, e);
        let a = score(output, &pair.hq, scale).map_err(at)?;
        let b = score(resample::enlarge(&pair.lq, scale), &pair.hq, scale).map_err(at)?;
        each(pair, a, b);
        ours += a;
        bicubic += b;
    }
    let n = pairs.len() as f64;
    Ok(Measured {
        protocol: protocol.name().into(),
        images: pairs.len(),
        psnr_y: ours / n,
        psnr_y_bicubic: bicubic / n,
    })
}

/// Runs the command.
pub(crate) fn run(args: &Eval) -> Result<()> {
    let model = model::open(args.weights.as_deref())?;
    let scale = model.manifest.architecture.scale;
    let mut maker = ExecutorMaker::new(model, args.device, args.mode, args.seed)?;
    let protocol = args.protocol;
    let pairs = pairs(&files::images_below(&args.data)?, scale, protocol)?;
    eprintln!("{}, protocol {}, PSNR-Y in dB", maker.describe(), protocol.name());
    println!("{:40} {:>10} {:>10} {:>8}", "image", "bicubic", "model", "gain");
    let line = |name: &str, ours: f64, bicubic: f64| {
        println!("{name:40} {bicubic:>10.3} {ours:>10.3} {:>+8.3}", ours - bicubic);
    };
    let run = |image: &Planes| Ok(enlarge(maker.for_image(image.width(), image.height())?, image)?);
    let mean = measure(&pairs, protocol, run, |pair, ours, bicubic| {
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
