//! Results of real upscalers for the adversary: inputs, truths and what others made of them, on disk.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::{Planes, Size, random::SplitMix64, resample};
use burn::tensor::{Device, Tensor};

use super::config::Common;
use super::data::{Batch, Cached, bytes, cached, oriented, stacked};
use super::run::SCALE;
use crate::error::{Error, Result};
use crate::{eval, files};

/// The folders that `asasr degrade` writes.
const TRUTHS: &str = "hq";
const INPUTS: &str = "lq";

/// One input, its truth and a result, in 8 bits.
struct Triple {
    low: Vec<u8>,
    high: Vec<u8>,
    made: Vec<u8>,
    /// Of the input.
    size: Size,
}

/// All results of a folder.
pub(super) struct ForeignResults {
    triples: Vec<Triple>,
}

impl ForeignResults {
    /// Reads `hq`, `lq` and every other folder in `pairs`, as far as the cache reaches; results that do not fit their input
    /// are named and left out.
    pub(super) fn load(pairs: &Path, common: &Common) -> Result<Self> {
        let makers = makers(pairs)?;
        let lists: Vec<Vec<PathBuf>> = makers
            .iter()
            .map(|m| files::images_below(m))
            .collect::<Result<_>>()?;
        // In turn, so that a small cache holds some of every upscaler.
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        let turns: Vec<&PathBuf> = (0..longest)
            .flat_map(|i| lists.iter().filter_map(move |l| l.get(i)))
            .collect();
        let Cached {
            kept: triples,
            beyond,
            ..
        } = cached(
            &turns,
            common.running.cache_mb,
            |path| triple(pairs, path, common.patch.into()),
            |t| t.low.len() + t.high.len() + t.made.len(),
        );
        if beyond > 0 {
            note!(
                "{beyond} results did not fit into the cache of {} MB",
                common.running.cache_mb
            );
        }
        if triples.is_empty() {
            return Err(Error::at(pairs, "no result here fits its input"));
        }
        note!("{} results of {} upscalers", triples.len(), makers.len());
        Ok(Self { triples })
    }

    /// `n` crops, a function of `key`, and what upscalers made of them.
    pub(super) fn batch(&self, key: [u64; 2], n: usize, patch: usize, device: &Device) -> (Batch, Tensor<4>) {
        let mut columns: [Vec<Planes>; 4] = Default::default();
        for i in 0..n as u64 {
            let mut draw = SplitMix64::of([key[0], key[1], i]);
            let t = &self.triples[draw.below(self.triples.len())];
            let (x, y) = (
                draw.below(t.size.width - patch + 1),
                draw.below(t.size.height - patch + 1),
            );
            let turn = draw.below(8);
            let large = |from: &[u8]| {
                oriented(
                    from,
                    t.size.times(SCALE),
                    (x * SCALE, y * SCALE),
                    patch * SCALE,
                    turn,
                )
            };
            let low = oriented(&t.low, t.size, (x, y), patch, turn);
            let crops = [
                resample::enlarge(&low, SCALE),
                large(&t.high),
                large(&t.made),
                low,
            ];
            columns
                .iter_mut()
                .zip(crops)
                .for_each(|(column, crop)| column.push(crop));
        }
        let [skip, high, made, low] = columns.map(|c| stacked(&c, device));
        (Batch { low, skip, high }, made)
    }
}

/// Refuses a folder without the right folders in it.
pub(super) fn check(pairs: &Path) -> Result<()> {
    makers(pairs).map(drop)
}

/// The folders of results.
fn makers(pairs: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(pairs).map_err(|e| Error::at(pairs, e))?;
    let mut makers: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_dir())
        .collect();
    makers.retain(|p| ![TRUTHS, INPUTS].iter().any(|known| p.ends_with(known)));
    makers.sort();
    if makers.is_empty() || !pairs.join(INPUTS).is_dir() || !pairs.join(TRUTHS).is_dir() {
        return Err(Error::at(
            pairs,
            "needs the folders hq and lq, as `asasr degrade` writes them, and one of results for each upscaler",
        ));
    }
    Ok(makers)
}

fn triple(pairs: &Path, made: &Path, patch: usize) -> Result<Triple> {
    let stem = made.file_stem().unwrap_or_default();
    let beside = |folder: &str| pairs.join(folder).join(stem).with_extension("png");
    let (low, high) = (
        eval::colours(&beside(INPUTS), 1)?,
        eval::truth(&beside(TRUTHS), 1)?,
    );
    let result = eval::truth(made, 1)?;
    let size = low.size();
    for (image, path) in [(&high, beside(TRUTHS)), (&result, made.to_path_buf())] {
        if image.size() != size.times(SCALE) {
            let why = format!("not {SCALE} times the size of its input, {}", size.times(SCALE));
            return Err(Error::at(&path, why));
        }
    }
    if size.width < patch || size.height < patch {
        return Err(Error::at(
            made,
            format!("its input is smaller than a crop of {patch} pixels"),
        ));
    }
    Ok(Triple {
        low: bytes(&low),
        high: bytes(&high),
        made: bytes(&result),
        size,
    })
}
