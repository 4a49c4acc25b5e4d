//! `asasr degrade`: pairs on disk, and a sheet of examples to look at.

use std::path::{Path, PathBuf};

use asasr_core::Rect;
use rayon::prelude::*;

use crate::cli::Degrade;
use crate::degrade::{degrade, stream};
use crate::error::{Error, Result};
use crate::{encode, eval, files, interrupt, sheet};

const SCALE: usize = 4;
/// Images on a sheet, side of a crop, and draws of each.
const ROWS: usize = 6;
const CROP: usize = 128;
const DRAWS: u64 = 8;

/// Runs the command.
pub(crate) fn run(args: &Degrade) -> Result<()> {
    interrupt::listen();
    let paths = files::images_below(&args.data)?;
    let (hq, lq) = (args.out.join("hq"), args.out.join("lq"));
    let names = names(&paths)?;
    let read = files::identities(&paths);
    for folder in [&hq, &lq] {
        names
            .iter()
            .try_for_each(|n| files::check_not_read(&folder.join(n), &read))?;
        files::make_folder(folder)?;
    }
    if let Some(sheet) = &args.sheet {
        files::check_outputs([sheet.as_path()].into_iter(), &paths)?;
    }
    if let Some(sheet) = &args.sheet {
        draw_sheet(args, &paths, sheet)?;
    }
    let written: Vec<Result<bool>> = paths
        .par_iter()
        .zip(&names)
        .map(|(path, name)| {
            if interrupt::requested() {
                return Err(Error::new("stopped; the pairs written so far are whole"));
            }
            let truth = match eval::truth(path, SCALE) {
                Ok(truth) => truth,
                Err(why) => {
                    note!("left out: {why}");
                    return Ok(false);
                }
            };
            let mut random = stream(args.seed, path, args.step);
            let input = degrade(&truth, SCALE, args.protocol, &mut random)?;
            encode::save(&truth, &hq.join(name))?;
            encode::save(&input, &lq.join(name))?;
            Ok(true)
        })
        .collect();
    if interrupt::requested() {
        return Err(Error::new("stopped; the pairs written so far are whole"));
    }
    let (mut count, mut failed) = (0, 0);
    for pair in written {
        match pair {
            Ok(used) => count += usize::from(used),
            Err(error) => {
                note!("error: {error}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        return Err(Error::at(
            &args.out,
            format!("{failed} pairs were not written; {count} were"),
        ));
    }
    if count == 0 {
        return Err(Error::at(&args.data, "no image here can be used"));
    }
    say!(
        "{count} pairs of {} in {}",
        args.protocol.name(),
        args.out.display()
    );
    Ok(())
}

/// The names of the pairs, which must differ.
fn names(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let names: Vec<PathBuf> = paths
        .iter()
        .map(|p| {
            let mut name = p.file_stem().unwrap_or_default().to_os_string();
            name.push(".png");
            name.into()
        })
        .collect();
    let mut sorted: Vec<&PathBuf> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::at(
            pair[0],
            "two images would make a pair of this name: rename one of them",
        )),
        None => Ok(names),
    }
}

/// Crops of the first images in rows: the truth, then draws enlarged to its size by repeating pixels.
fn draw_sheet(args: &Degrade, paths: &[PathBuf], path: &Path) -> Result<()> {
    let mut rows = Vec::new();
    for path in paths {
        let Ok(truth) = eval::truth(path, SCALE) else {
            continue;
        };
        if truth.width() < CROP || truth.height() < CROP {
            continue;
        }
        let (x0, y0) = ((truth.width() - CROP) / 2, (truth.height() - CROP) / 2);
        let crop = truth.crop(Rect {
            x0,
            y0,
            x1: x0 + CROP,
            y1: y0 + CROP,
        });
        let mut row = vec![crop.clone()];
        for draw in 0..DRAWS {
            let mut random = stream(args.seed, path, args.step + draw);
            let small = degrade(&crop, SCALE, args.protocol, &mut random)?;
            row.push(sheet::repeated(&small, SCALE));
        }
        rows.push(row);
        if rows.len() == ROWS {
            break;
        }
    }
    if rows.is_empty() {
        return Err(Error::at(
            &args.data,
            format!("no image of {CROP}x{CROP} pixels or more to draw a sheet of"),
        ));
    }
    encode::save(&sheet::sheet(&rows), path)
}
