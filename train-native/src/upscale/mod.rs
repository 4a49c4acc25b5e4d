//! `asasr upscale`.
//!
//! | file | what |
//! |---|---|
//! | `find` | images that are named, by patterns and in folders |
//! | `input` | images as they are named: files, pipes, standard input |
//! | `place` | where results and maps go |
//! | `plan` | what is to be done and whether there is room, before any network runs |
//! | `models` | the model of each image |
//! | `maps` | what was measured, drawn |
//! | `tell` | what the user is told meanwhile, as text or JSON |
//! | `alone` | an image in a process of its own |

mod alone;
pub(crate) mod find;
mod input;
mod maps;
mod models;
pub(crate) mod place;
mod plan;
pub(crate) mod tell;

use std::any::Any;
use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, BufWriter, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use asasr_codec::{Format, ImageRows, Options, Picture, Saving};
use asasr_core::Executor as _;
use asasr_core::pipeline::{self, Event, Output, Tiles};

use self::input::Input;
use self::models::Models;
use self::place::Place;
use self::plan::{Job, Plan};
use self::tell::{Remark, Teller};
use crate::cli::{Mode, Telling, Upscale};
use crate::error::{Error, Result, code, shown};
use crate::files::Identity;
use crate::graphs::Graphs;
use crate::{files, interrupt};

/// Runs the command. Every image is tried; one that fails is named and the others go on.
pub(crate) fn run(args: &Upscale) -> Result<()> {
    interrupt::listen();
    if args.alone {
        alone::be_the_first_to_go();
    }
    // A process for one image gets its name as it is.
    let inputs = if args.alone {
        args.inputs.clone()
    } else {
        find::expanded(&args.inputs)
    };
    let args = &Upscale {
        inputs,
        ..args.clone()
    };
    // First what is wrong for every image, the cheapest first; then each image; then the work.
    let place = match &args.output {
        Some(output) => Place::of(output, several(args), &Format::ALL)?,
        None => Place::unnamed(args)?,
    };
    let saving = place::saving(args, &place)?;
    place.check_terminal()?;
    if args.how.progress == Telling::Json && place == Place::Stdout {
        return Err(Error::new(
            "--progress json: standard output has the image already: name a .png file with -o",
        ));
    }
    let teller = Teller(args.how.progress);
    // What ends the run is that of its image where the image has a process of its own.
    let input = args.alone.then(|| args.inputs.first()).flatten();
    let (failed, all) =
        all(args, &place, saving).inspect_err(|e| teller.told(input.map(PathBuf::as_path), e))?;
    match failed {
        0 => Ok(()),
        n => Err(Error::new(format!("{n} of {all} images were not enlarged"))),
    }
}

/// Whether there may be more than one image.
fn several(args: &Upscale) -> bool {
    args.inputs.len() > 1 || args.recursive && args.inputs.iter().any(|input| input.is_dir())
}

/// Enlarges what can be; how many images were not, and how many there are.
fn all(args: &Upscale, place: &Place, saving: Saving) -> Result<(usize, usize)> {
    let teller = Teller(args.how.progress);
    let model = open_model(args)?;
    let args = &args.with_defaults(model.scale()?, model.default_mode());
    check_model(args, &model)?;
    let mut plan = Plan::new(args, place, saving, model.scale()?)?;
    if args.alone
        && let Some((_, why)) = plan.refused.pop()
    {
        return Err(why);
    }
    plan.notes
        .iter()
        .for_each(|(input, note)| teller.note(input, note));
    plan.refused
        .iter()
        .for_each(|(input, why)| teller.failed(input, why));
    let all = plan.jobs.len() + plan.refused.len() + plan.kept;
    let done = work(args, saving, &plan, model)?;
    let kept = plan.kept + done.kept;
    if kept > 0 && !args.alone {
        note!("{kept} of {all} results were there and were kept");
    }
    Ok((plan.refused.len() + done.failed, all))
}

/// The model, with its signature checked where that is asked for.
fn open_model(args: &Upscale) -> Result<Graphs> {
    Graphs::signed(args.how.weights.as_deref(), args.how.public_key.as_deref())
}

/// Checks the model against what is asked of it.
fn check_model(args: &Upscale, model: &Graphs) -> Result<()> {
    let mode = args.mode();
    if mode == Mode::Instant && args.how.draw.fidelity > 0.0 {
        return Err(Error::new(
            "--fidelity leads back from a flow's sample: add --mode fast or --mode quality",
        ));
    }
    let several = args.samples.is_some_and(|n| n > 1);
    if (several || args.spread.is_some()) && mode == Mode::Instant {
        return Err(Error::new(
            "--samples and --spread tell what is invented: add --mode fast or --mode quality, which invent",
        ));
    }
    let sampler = model.sampler(mode)?;
    if args.samples == Some(1) && args.spread.is_some() && sampler.is_some_and(|((part, _), _)| part.draws())
    {
        return Err(Error::new(
            "--spread shows where samples differ: leave --samples 1 out, or ask for more",
        ));
    }
    if several && args.spread.is_none() && args.how.progress == Telling::Bar {
        return Err(Error::new(
            "--samples measures how far samples are apart: add --spread map.png, or --progress json",
        ));
    }
    let most = pipeline::reach(model.scale()?);
    if usize::from(args.scale()) > most {
        return Err(Error::new(format!(
            "the model {} enlarges {most} times at most: choose --scale {most} or less",
            model.id()
        )));
    }
    Ok(())
}

/// How many images failed, and of how many the results came from elsewhere meanwhile and are kept.
#[derive(Debug, Default)]
struct Done {
    failed: usize,
    kept: usize,
}

/// Enlarges what is planned, one image after the other.
fn work(args: &Upscale, saving: Saving, plan: &Plan, model: Graphs) -> Result<Done> {
    let mut all = Done::default();
    if plan.jobs.is_empty() {
        return Ok(all);
    }
    let mut models = Models::new(args, model);
    let mut written = HashSet::new();
    let teller = Teller(args.how.progress);
    for job in &plan.jobs {
        let Job { input, target, .. } = job;
        if let Some(target) = target.as_deref().filter(|t| args.no_clobber && plan::is_there(t)) {
            teller.note(&input.name, &plan::kept(target));
            all.kept += 1;
            continue;
        }
        let faulty = Cell::new(false);
        // They stay where anything came into them.
        let made = job.folders().map_err(Some);
        let free = || still_free(input, target.as_deref(), &plan.read, &written);
        let ready = made
            .as_ref()
            .map(drop)
            .map_err(Clone::clone)
            .and_then(|()| free());
        let done = ready.and_then(|()| match target {
            Some(target) if job.alone => alone::run(args, job, target),
            _ => {
                faulty.set(true);
                let done = guarded(&input.name, || {
                    let done = one(args, saving, &mut models, job);
                    faulty.set(false);
                    done
                });
                done.map_err(Some)
            }
        });
        match done {
            Ok(()) => written.extend(target.as_deref().and_then(files::identity)),
            Err(Some(error)) if args.alone => return Err(error),
            Err(why) => {
                why.iter().for_each(|e| teller.failed(&input.name, e));
                all.failed += 1;
            }
        }
        if faulty.get() {
            models.forget();
        }
        if interrupt::requested() {
            return Err(Error::new("stopped").coded(code::CANCELLED));
        }
    }
    Ok(all)
}

/// Why an image was not enlarged; none where that was told.
type Failed = Option<Error>;

/// Checks a place again: since the plan was made other programs may have been there, and names that differ may be one on this disk.
fn still_free(
    input: &Input,
    target: Option<&Path>,
    read: &[(Identity, PathBuf)],
    written: &HashSet<Identity>,
) -> std::result::Result<(), Failed> {
    let Some(target) = target else { return Ok(()) };
    place::check_target(input, target, read).map_err(Some)?;
    if files::identity(target).is_some_and(|i| written.contains(&i)) {
        let target = shown(target);
        let why = format!("{target} is another image's result: enlarge it into another folder");
        return Err(Some(Error::at(&input.name, why).coded(code::PLACE)));
    }
    Ok(())
}

/// Does something for one image, so that even a fault of the program ends no more than that.
pub(crate) fn guarded<T>(name: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|fault| {
        Err(Error::at(
            name,
            format!(
                "the program has a fault that this image brings out ({}): please report it",
                told(fault.as_ref())
            ),
        )
        .coded(code::FAULT))
    })
}

/// What a panic said.
fn told(fault: &(dyn Any + Send)) -> &str {
    let owned = || fault.downcast_ref::<String>().map(String::as_str);
    let text = fault.downcast_ref::<&str>().copied().or_else(owned);
    text.unwrap_or("it does not say which")
}

/// What is taken of an image file.
fn taken(args: &Upscale) -> Options {
    Options {
        max_pixels: u64::from(args.max_megapixels) * 1_000_000,
        shortened: args.shortened,
    }
}

/// Standard output; knows whether its reader left.
struct Pipe(Rc<Cell<bool>>);

impl Pipe {
    fn told<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if matches!(&done, Err(e) if e.kind() == io::ErrorKind::BrokenPipe) {
            self.0.set(true);
        }
        done
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.told(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.told(io::stdout().flush())
    }
}

/// The picture as a file of that format can have it.
fn fitting(picture: Picture, input: &Path, format: Format, teller: Teller) -> Result<Picture> {
    let fitted = picture.fitted(format).ok_or_else(|| {
        let name = format.name();
        let why = format!("its colours are brighter than sRGB, or their profile cannot be applied, and {name} cannot tell them: save it as PNG");
        Error::at(input, why).coded(code::FORMAT)
    })?;
    if format == Format::Avif && fitted.metadata().xmp.is_some() {
        let note = "AVIF files are written without XMP data: it was left out";
        teller.note(input, &Remark::new("xmp-not-avif", note));
    }
    Ok(fitted)
}

fn one(args: &Upscale, saving: Saving, models: &mut Models<'_>, job: &Job) -> Result<()> {
    let Job {
        input, target, maps, ..
    } = job;
    let (teller, target) = (Teller(args.how.progress), target.as_deref());
    let picture = input.decode(taken(args))?;
    let (maker, notes) = models.for_image(picture.raster())?;
    let picture = if args.strip { picture.stripped() } else { picture };
    let picture = fitting(picture, &input.name, saving.format, teller)?;
    for note in picture.notes() {
        teller.note(&input.name, &(*note).into());
    }
    notes.iter().for_each(|note| teller.note(&input.name, note));
    let model = maker.id().to_owned();
    let [executor, again] = maker.for_image(picture.size())?;
    let options = pipeline::Options {
        target: args.target()?,
        longest: saving.format.longest(),
        tiles: Tiles::Side(usize::from(args.how.tile)),
        consistency: maps.consistency.is_some() || args.how.progress == Telling::Json,
        hold: args.how.hold.is_on(),
    };
    let at = |e: asasr_core::Error| Error::of(&input.name, &e);
    let way = options.passes(picture.size(), executor.scale()).map_err(at)?;
    let output = target.unwrap_or(Path::new("standard output"));
    let left = Rc::new(Cell::new(false));
    let file = target.map(files::beside).transpose()?;
    let writer: Box<dyn Write> = match &file {
        Some(file) => Box::new(file.as_file().try_clone().map_err(|e| Error::of(output, &e))?),
        None => Box::new(Pipe(Rc::clone(&left))),
    };
    let encode = |e: asasr_codec::Error| Error::of(output, &e);
    let (layout, bits) = (picture.layout(), picture.bits());
    let writer = BufWriter::new(writer);
    let mut image =
        ImageRows::new(writer, way.size, (layout, bits), picture.metadata(), saving).map_err(encode)?;
    let work = teller.begun(&input.name, picture.size(), &model);
    let enlarged = pipeline::enlarge(executor, again, picture.raster(), &options, |event| match event {
        Event::Rows {
            output: Output::Image,
            first,
            rows,
        } => image
            .write(first, rows)
            .map_err(|e| asasr_core::Error::Output(e.to_string())),
        Event::Progress(_) if interrupt::requested() => Err(asasr_core::Error::Cancelled),
        Event::Progress(p) => {
            work.progress(p);
            Ok(())
        }
        Event::Begun { .. } | Event::Rows { .. } => Ok(()),
    });
    let done = pollster::block_on(enlarged);
    work.computed();
    if left.get() {
        // Whoever read it has what was wanted, as `head` does.
        return Ok(());
    }
    let report = done.map_err(|e| match e {
        asasr_core::Error::Output(_) => Error::of(output, &e),
        e => at(e),
    })?;
    match image.finish() {
        Err(_) if left.get() => return Ok(()),
        done => done.map_err(encode)?,
    }
    if let Some(file) = file {
        let persist = if args.no_clobber {
            files::persist_new
        } else {
            files::persist
        };
        persist(file, output)?;
    }
    maps.draw(picture.size(), &report)?;
    work.done(target, &report);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_an_error_of_its_image() {
        let good = guarded(Path::new("a.png"), || Ok(1));
        assert_eq!(good, Ok(1));
        for why in ["plain", "made up"] {
            let bad: Result<()> = guarded(Path::new("a.png"), || match why {
                "plain" => panic!("plain"),
                why => panic!("{why}"),
            });
            let told = bad.expect_err("a fault").to_string();
            assert!(told.starts_with("a.png: ") && told.contains(why), "{told}");
        }
    }
}
