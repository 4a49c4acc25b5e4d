//! `asasr upscale`.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
    time::Duration,
};

use asasr_codec::PngRows;
use asasr_core::OutputScale;
use asasr_store::{Package, PublicKey};
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Mode, Upscale};
use crate::device::ExecutorMaker;
use crate::error::{Error, Result};
use crate::{files, interrupt, model};

/// Runs the command. Every image is tried; one that fails is named and the others go on.
pub(crate) fn run(args: &Upscale) -> Result<()> {
    interrupt::listen();
    if let (Some(key), Some(folder)) = (&args.public_key, &args.weights) {
        let key = PublicKey::read(key)?;
        Package::from_folder(folder)?.check_signature(&key)?;
    }
    let jobs = plan_outputs(args)?;
    if args.mode == Mode::Instant && args.draw.fidelity > 0.0 {
        return Err(Error::new(
            "--fidelity leads back from a flow's sample: add --mode fast or --mode quality",
        ));
    }
    let model = model::open(args.weights.as_deref())?;
    let mut maker = ExecutorMaker::new(model, args.device, args.mode, args.draw)?;
    eprintln!("{}", maker.describe());
    let mut failed = 0;
    for (input, output) in &jobs {
        if let Err(error) = one(args, &mut maker, input, output) {
            eprintln!("error: {error}");
            failed += 1;
        }
        if interrupt::requested() {
            return Err(Error::new("stopped"));
        }
    }
    match failed {
        0 => Ok(()),
        n => Err(Error::new(format!(
            "{n} of {} images were not enlarged",
            jobs.len()
        ))),
    }
}

/// Where each input's result goes; no two to one place, and none over an input.
fn plan_outputs(args: &Upscale) -> Result<Vec<(PathBuf, PathBuf)>> {
    let out = &args.output;
    let is_png = out.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
    let folder = out.is_dir() || !is_png;
    if !folder && args.inputs.len() > 1 {
        return Err(Error::at(out, "several images need a folder as output"));
    }
    if !out.is_dir() && folder {
        if out.extension().is_some() {
            return Err(Error::at(
                out,
                "results are PNG files: name a .png file or a folder",
            ));
        }
        files::make_folder(out)?;
    }
    let mut jobs: Vec<(PathBuf, PathBuf)> = Vec::new();
    for input in &args.inputs {
        if input.is_dir() {
            return Err(Error::at(
                input,
                "is a folder: name the images in it, as in FOLDER/*",
            ));
        }
        let target = if folder {
            let stem = input.file_stem().unwrap_or_default().to_string_lossy();
            out.join(format!("{stem}-x{}.png", args.scale))
        } else {
            out.clone()
        };
        if let Some((other, _)) = jobs.iter().find(|(_, t)| *t == target) {
            let why = format!(
                "{} would have the same result file: enlarge one into another folder",
                other.display()
            );
            return Err(Error::at(input, why));
        }
        if let Some(other) = args.inputs.iter().find(|i| same_file(i, &target)) {
            return Err(Error::at(
                input,
                format!(
                    "its result would replace {}: name another output",
                    other.display()
                ),
            ));
        }
        jobs.push((input.clone(), target));
    }
    Ok(jobs)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

fn one(args: &Upscale, maker: &mut ExecutorMaker, input: &Path, output: &Path) -> Result<()> {
    let bytes = fs::read(input).map_err(|e| Error::at(input, e))?;
    let max_pixels = u64::from(args.max_megapixels) * 1_000_000;
    let picture = asasr_codec::decode(&bytes, max_pixels).map_err(|e| Error::at(input, e))?;
    drop(bytes);
    let picture = if args.strip { picture.stripped() } else { picture };
    for note in picture.notes() {
        eprintln!("note: {}: {note}", input.display());
    }
    let scale = OutputScale::new(usize::from(args.scale))?;
    let executor = maker.for_image(picture.width(), picture.height())?;
    let (width, height) = (picture.width() * scale.get(), picture.height() * scale.get());
    let file = files::beside(output)?;
    let writer = BufWriter::new(file.as_file().try_clone().map_err(|e| Error::at(output, e))?);
    let encode = |e: asasr_codec::Error| Error::at(output, e);
    let (layout, bits) = (picture.layout(), picture.bits());
    let mut png =
        PngRows::with_metadata(writer, (width, height), layout, bits, picture.metadata()).map_err(encode)?;

    let bar = ProgressBar::new(1000).with_message(input.display().to_string());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:32} {percent} %, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let work = asasr_core::upscale(
        executor,
        (picture.width(), picture.height()),
        usize::from(args.tile),
        scale,
        |rect| picture.planes(rect),
        |first, rows| {
            png.write(first, rows)
                .map_err(|e| asasr_core::Error::Output(e.to_string()))
        },
        |p| {
            bar.set_position((p.fraction * 1000.0) as u64);
            !interrupt::requested()
        },
    );
    let done = pollster::block_on(work);
    bar.finish_and_clear();
    done.map_err(|e| {
        Error::at(
            if matches!(e, asasr_core::Error::Output(_)) {
                output
            } else {
                input
            },
            e,
        )
    })?;
    png.finish().map_err(encode)?;
    files::persist(file, output)?;
    println!("{} ({width}x{height})", output.display());
    Ok(())
}
