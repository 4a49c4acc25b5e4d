//! `asasr pack`: many photos in one file of a given size, a tar archive of JPEG files, and reading it in place of a folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use asasr_core::{Planes, Rect};
use jpeg_encoder::SamplingFactor;
use rayon::prelude::*;

use crate::cli::Pack;
use crate::error::{Error, Result};
use crate::{encode, eval, files, interrupt};

/// High enough that reductions by four do not show it.
const QUALITY: u8 = 95;
/// A tar archive's block: every file takes a header and is filled up to whole blocks.
const BLOCK: usize = 512;

/// Runs the command.
pub(crate) fn run(args: &Pack) -> Result<()> {
    interrupt::listen();
    let paths = files::images_below(&args.data)?;
    files::check_outputs([args.output.as_path()].into_iter(), &paths)?;
    let limit = args.max_size as usize * 1_000_000;
    let mut all = encoded(&paths, 1.0)?;
    let size =
        |all: &[(PathBuf, Vec<u8>)]| all.iter().map(|(_, b)| taken(b.len())).sum::<usize>() + 2 * BLOCK;
    if size(&all) > limit {
        all = encoded(&paths, 0.5)?;
    }
    let (mut used, mut kept) = (2 * BLOCK, Vec::new());
    for (path, bytes) in all {
        if used + taken(bytes.len()) <= limit {
            used += taken(bytes.len());
            kept.push((path, bytes));
        }
    }
    if kept.is_empty() {
        return Err(Error::new(format!(
            "not one image fits into {} MB: raise --max-size",
            args.max_size
        )));
    }
    let file = files::beside(&args.output)?;
    let fail = |e: std::io::Error| Error::at(&args.output, format!("cannot be written: {e}"));
    let mut archive = tar::Builder::new(file.as_file());
    for (i, (path, bytes)) in kept.iter().enumerate() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // The number keeps files of one name in different folders apart.
        archive
            .append_data(&mut header, format!("{i:06}-{stem}.jpg"), bytes.as_slice())
            .map_err(fail)?;
    }
    archive.finish().map_err(fail)?;
    drop(archive);
    files::persist(file, &args.output)?;
    say!(
        "{} of {} images, {:.1} MB: {}",
        kept.len(),
        paths.len(),
        used as f64 / 1e6,
        args.output.display()
    );
    Ok(())
}

fn taken(bytes: usize) -> usize {
    BLOCK + bytes.div_ceil(BLOCK) * BLOCK
}

/// Every usable image as JPEG without halved chroma, cropped to the middle `share` of its sides.
fn encoded(paths: &[PathBuf], share: f64) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let all: Vec<Option<(PathBuf, Vec<u8>)>> = paths
        .par_iter()
        .map(|path| {
            if interrupt::requested() {
                return Err(Error::new("stopped"));
            }
            match eval::truth(path, 4) {
                Ok(image) => {
                    let bytes = encode::jpeg(&middle(&image, share), QUALITY, SamplingFactor::F_1_1)
                        .map_err(|e| Error::at(path, e))?;
                    Ok(Some((path.clone(), bytes)))
                }
                Err(why) => {
                    note!("left out: {why}");
                    Ok(None)
                }
            }
        })
        .collect::<Result<_>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn middle(image: &Planes, share: f64) -> Planes {
    let side = |n: usize| {
        let kept = (n as f64 * share) as usize / 4 * 4;
        ((n - kept) / 2, (n - kept) / 2 + kept)
    };
    let ((x0, x1), (y0, y1)) = (side(image.width()), side(image.height()));
    image.crop(Rect { x0, y0, x1, y1 })
}

/// The folder to read for `data`: itself, or, for a pack, `beside`, into which it is unpacked.
pub(crate) fn unpacked(data: &Path, beside: &Path) -> Result<PathBuf> {
    if !data.is_file() {
        return Ok(data.to_path_buf());
    }
    let folder = beside.join(data.file_stem().unwrap_or_default());
    files::make_folder(&folder)?;
    let file = File::open(data).map_err(|e| Error::at(data, e))?;
    let fail = |e: std::io::Error| Error::at(data, format!("not a pack that `asasr pack` wrote: {e}"));
    let mut names = Vec::new();
    for entry in tar::Archive::new(file).entries().map_err(fail)? {
        let mut entry = entry.map_err(fail)?;
        let path = entry.path().map_err(fail)?.into_owned();
        // Only plain names: an archive must not write elsewhere.
        let Some(name) = path.file_name().filter(|n| Path::new(n) == path) else {
            return Err(Error::at(
                data,
                format!("its entry {} is not a plain name", path.display()),
            ));
        };
        let to = folder.join(name);
        names.push(name.to_owned());
        if fs::metadata(&to).is_ok_and(|m| m.len() == entry.size()) {
            continue;
        }
        let mut out = files::beside(&to)?;
        std::io::copy(&mut entry, &mut out).map_err(|e| Error::at(&to, e))?;
        files::persist(out, &to)?;
    }
    // Of an older pack of this name nothing stays.
    for entry in fs::read_dir(&folder)
        .map_err(|e| Error::at(&folder, e))?
        .flatten()
    {
        if !names.contains(&entry.file_name()) {
            fs::remove_file(entry.path()).map_err(|e| Error::at(&entry.path(), e))?;
        }
    }
    Ok(folder)
}
