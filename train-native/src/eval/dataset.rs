//! Images to measure on, and the measure that training reports.

use std::path::{Path, PathBuf};

use asasr_core::pipeline::{self, Options, OutputScale, Tiles};
use asasr_core::{Executor, Planes, Rect, metrics, model::Measured, resample};
use rayon::prelude::*;

use crate::degrade::{Protocol, degrade, stream};
use crate::error::{Error, Result};
use crate::files;

/// A validation image: cropped truth and the 8-bit input made of it.
pub(crate) struct Pair {
    pub(crate) path: PathBuf,
    pub(crate) hq: Planes,
    pub(crate) lq: Planes,
}

/// Largest image read for training or evaluation, in pixels.
pub(crate) const MAX_PIXELS: u64 = 100_000_000;

/// Smallest side that is measured: without a border of 4 pixels a window of SSIM has to fit in.
const MIN_SIDE: usize = 20;
/// PSNR-Y counted for an image met exactly, in dB; the true value is infinite and would swallow every mean.
pub(super) const BEST: f64 = 100.0;

/// Reads the images that can be used; the others are named and left out.
pub(crate) fn pairs(paths: &[PathBuf], scale: usize, protocol: Protocol) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let read: Vec<_> = paths.par_iter().map(|path| pair(path, scale, protocol)).collect();
    for read in read {
        match read {
            Ok(pair) => pairs.push(pair),
            Err(why) => note!("left out: {why}"),
        }
    }
    if pairs.is_empty() {
        Err(Error::new("no image can be used for validation"))
    } else {
        Ok(pairs)
    }
}

/// Reads one image, cropped to multiples of `scale`; an alpha channel is left out.
pub(crate) fn colours(path: &Path, scale: usize) -> Result<Planes> {
    let bytes = std::fs::read(path).map_err(|e| Error::at(path, e))?;
    let picture = asasr_codec::decode(&bytes, MAX_PIXELS).map_err(|e| Error::at(path, e))?;
    let (width, height) = (picture.width() / scale * scale, picture.height() / scale * scale);
    if width == 0 || height == 0 {
        return Err(Error::at(path, format!("smaller than {scale}x{scale} pixels")));
    }
    let (hq, _) = picture.all_planes().split_channels(3);
    Ok(hq.crop(Rect::whole(width, height)))
}

/// Reads one image that can be measured on, cropped to multiples of `scale`; an alpha channel is left out.
pub(crate) fn truth(path: &Path, scale: usize) -> Result<Planes> {
    let hq = colours(path, scale)?;
    if hq.width() < MIN_SIDE || hq.height() < MIN_SIDE {
        return Err(Error::at(
            path,
            format!("smaller than {MIN_SIDE}x{MIN_SIDE} pixels"),
        ));
    }
    Ok(hq)
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

/// The whole image, enlarged tile by tile, and held to the input or not.
pub(crate) fn enlarge(executor: &impl Executor, image: &Planes, hold: bool) -> asasr_core::Result<Planes> {
    let options = Options {
        hold,
        ..Options::new(OutputScale::new(executor.scale())?, Tiles::LARGE)
    };
    pollster::block_on(pipeline::whole(executor, image, &options))
}

/// Mean PSNR-Y of what `enlarge` makes and of bicubic enlargement over `pairs`.
pub(crate) fn measure(
    pairs: &[Pair],
    protocol: Protocol,
    mut enlarge: impl FnMut(&Planes) -> Result<Planes>,
) -> Result<Measured> {
    let (mut ours, mut bicubic) = (0.0, 0.0);
    for pair in pairs {
        let scale = pair.hq.width() / pair.lq.width();
        let output = enlarge(&pair.lq)?;
        let at = |e: asasr_core::Error| Error::at(&pair.path, e);
        let a = score(output, &pair.hq, scale).map_err(at)?;
        let b = score(resample::enlarge(&pair.lq, scale), &pair.hq, scale).map_err(at)?;
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

/// Reads truths and their inputs, which lie in `inputs` under the same names.
pub(crate) fn pairs_with(paths: &[PathBuf], inputs: &ResultFolder, scale: usize) -> Result<Vec<Pair>> {
    // The first failure in the list's order, not in time.
    let all: Vec<_> = paths
        .par_iter()
        .map(|path| pair_with(path, inputs, scale))
        .collect();
    all.into_iter().collect()
}

/// Reads a truth and its input of the same name.
pub(crate) fn pair_with(path: &Path, inputs: &ResultFolder, scale: usize) -> Result<Pair> {
    let hq = truth(path, scale)?;
    let from = inputs.of(path)?;
    let lq = colours(&from, 1)?;
    if (lq.width() * scale, lq.height() * scale) != (hq.width(), hq.height()) {
        return Err(Error::at(
            &from,
            format!(
                "{}x{} pixels, where a {scale} times smaller {} has {}x{}",
                lq.width(),
                lq.height(),
                path.display(),
                hq.width() / scale,
                hq.height() / scale
            ),
        ));
    }
    let path = path.to_path_buf();
    Ok(Pair { path, hq, lq })
}

/// A folder of images that bear the names of others.
pub(crate) struct ResultFolder {
    folder: PathBuf,
    images: Vec<PathBuf>,
    /// The names of those others, without their endings.
    names: Vec<String>,
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// How well a result's name fits an image's: by the length of what they share; the result's may go on after a mark.
fn fit(result: &str, name: &str) -> Option<usize> {
    let rest = result.strip_prefix(name)?;
    (rest.is_empty() || rest.starts_with(['-', '_', '.'])).then_some(name.len())
}

impl ResultFolder {
    /// The results in `folder` for the images at `truths`.
    pub(crate) fn open(folder: &Path, truths: &[PathBuf]) -> Result<Self> {
        Ok(Self {
            images: files::images_below(folder)?,
            folder: folder.to_path_buf(),
            names: truths.iter().map(|p| stem(p)).collect(),
        })
    }

    /// The image of the name of `path`, whatever its ending; the name may go on after a `-`, `_` or `.`, as in `photo-x4.png`,
    /// unless that makes it another image's.
    pub(super) fn of(&self, path: &Path) -> Result<PathBuf> {
        let wanted = stem(path);
        let meant = |p: &&PathBuf| {
            let result = stem(p);
            let best = self.names.iter().filter_map(|n| fit(&result, n)).max();
            fit(&result, &wanted).is_some_and(|own| Some(own) == best)
        };
        let found: Vec<&PathBuf> = self.images.iter().filter(meant).collect();
        let exact: Vec<&PathBuf> = found.iter().copied().filter(|p| stem(p) == wanted).collect();
        match if exact.is_empty() { &found } else { &exact }[..] {
            [one] => Ok(one.clone()),
            [] => Err(Error::at(
                &self.folder,
                format!("no image named {wanted} is here; every image needs one"),
            )),
            [a, b, ..] => Err(Error::at(
                a,
                format!(
                    "this and {} may both be meant for {wanted}: leave one",
                    b.display()
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_belong_to_the_longest_name_they_bear() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        for name in ["a-x4.png", "a-2-x4.png", "b.png", "b-x4.png"] {
            std::fs::write(path(name), "").expect("is written");
        }
        let truths = ["a.jpg", "a-2.jpg", "b.jpg", "c.jpg"].map(PathBuf::from);
        let results = ResultFolder::open(folder.path(), &truths).expect("opens");
        for (truth, result) in [
            ("a.jpg", "a-x4.png"),
            ("a-2.jpg", "a-2-x4.png"),
            ("b.jpg", "b.png"),
        ] {
            assert_eq!(results.of(Path::new(truth)), Ok(path(result)), "{truth}");
        }
        let missing = results
            .of(Path::new("c.jpg"))
            .expect_err("is missing")
            .to_string();
        assert!(missing.contains("no image named c"), "{missing}");
    }
}
