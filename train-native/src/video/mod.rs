//! `asasr video`.
//!
//! Data flows one way: ffmpeg decodes frames into a pipe, a network enlarges one after the other, another ffmpeg encodes them. This is
//! done by stretches of some seconds, each a file of its own, which a last ffmpeg joins with the video's other streams.
//!
//! | file | what |
//! |---|---|
//! | `options` | what the command line says |
//! | `tools` | ffmpeg and ffprobe |
//! | `clock` | times in ticks, and as people write them |
//! | `probe` | what a video file holds |
//! | `format` | containers and codecs |
//! | `colours` | from a video's colours to RGB and back |
//! | `boxes` | what MP4 files are made of |
//! | `rotation` | how a video is turned when it is shown |
//! | `plan` | what is to be made of a video, before any frame is decoded |
//! | `decode`, `frames`, `feed`, `encode` | frames with their times, what enlarges them, a pipe for them, a file of them |
//! | `work` | what is kept of an unfinished run |
//! | `lanes` | stretches become files |
//! | `mux` | stretches become the result |
//! | `tell` | what the user is told meanwhile |

mod boxes;
mod clock;
mod colours;
mod decode;
mod encode;
mod feed;
mod format;
mod frames;
mod lanes;
mod mux;
pub(crate) mod options;
mod plan;
mod probe;
mod rotation;
mod tell;
mod tools;
mod work;

use std::path::{Path, PathBuf};
use std::sync::Once;

use asasr_core::pipeline;
use asasr_core::video::Recurrence;

use self::clock::shown as time;
use self::frames::{Enlarge, InOrder, Still, Way};
use self::lanes::{Made, Task};
use self::mux::Enlarged;
use self::options::Video;
use self::plan::{Place, Plan};
use self::tell::Telltale;
pub(crate) use self::tools::Tools;
use self::work::Work;
use crate::cli::Mode;
use crate::error::{Error, Result, code, shown};
use crate::executor::{AnyRecurrent, ExecutorMaker};
use crate::graphs::Graphs;
use crate::upscale::place::MadeFolder;
use crate::upscale::tell::{Remark, Teller};
use crate::upscale::{find, guarded};
use crate::{files, interrupt};

/// Runs the command. Every video is tried; one that fails is named and the others go on.
pub(crate) fn run(args: &Video) -> Result<()> {
    interrupt::listen();
    let args = &Video {
        inputs: find::expanded(&args.inputs),
        ..args.clone()
    };
    let teller = Teller(args.how.progress);
    let (failed, all) = all(args, teller).inspect_err(|e| teller.told(None, e))?;
    match failed {
        0 => Ok(()),
        n => Err(Error::new(format!("{n} of {all} videos were not enlarged"))),
    }
}

/// Enlarges what can be; how many videos were not, and how many there are.
fn all(args: &Video, teller: Teller) -> Result<(usize, usize)> {
    let place = match &args.output {
        Some(output) => Place::of(output, args.inputs.len() > 1)?,
        None => Place::Beside,
    };
    if args.from.zip(args.to).is_some_and(|(from, to)| from >= to) {
        return Err(Error::new("--to is not after --from: choose a later one"));
    }
    let tools = Tools::find(args.ffmpeg.as_deref())?;
    let model = Graphs::signed(args.how.weights.as_deref(), args.how.public_key.as_deref())?;
    let way = Way::of(&model, args.how.mode);
    let scale = model.scale()?;
    check(args, &model, way)?;
    let _made = match &place {
        Place::Folder(folder) if !folder.is_dir() => Some(MadeFolder::new(folder)?),
        _ => None,
    };
    let mut inputs = args.inputs.clone();
    if place == Place::Beside {
        find::pass_over_results(&mut inputs, |path| path, |path, note| teller.note(path, &note));
    }
    let read: Vec<(files::Identity, PathBuf)> = (inputs.iter())
        .filter_map(|path| Some((files::identity(path)?, path.clone())))
        .collect();
    let suffix = match (args.width, args.height) {
        (Some(n), _) => format!("w{n}"),
        (_, Some(n)) => format!("h{n}"),
        _ => format!("x{}", args.scale.map_or(scale, usize::from)),
    };
    // First what is wrong with each, then the work.
    let (mut plans, mut failed) = (Vec::new(), 0);
    for (input, target) in inputs.iter().zip(place.targets(&inputs, &suffix)) {
        if args.no_clobber && target.0.symlink_metadata().is_ok() {
            let text = format!("its result {} is there and is kept", shown(&target.0));
            teller.note(input, &Remark::new("kept", text));
            continue;
        }
        let plan = guarded(input, || Plan::new(args, input, target, (scale, way), &tools));
        match plan.and_then(|plan| plan.check_place(&read).map(|()| plan)) {
            Ok(plan) => plans.push(plan),
            Err(why) => {
                teller.failed(input, &why);
                failed += 1;
            }
        }
    }
    for plan in plans {
        let input = &plan.source.path;
        plan.notes.iter().for_each(|note| teller.note(input, note));
        let made = guarded(input, || one(args, (&model, way), &plan, (&tools, teller)));
        if let Err(why) = made {
            teller.failed(input, &why);
            failed += 1;
        }
        if interrupt::requested() {
            return Err(Error::new("stopped").coded(code::CANCELLED));
        }
    }
    Ok((failed, args.inputs.len()))
}

/// Checks the model against what is asked of it.
fn check(args: &Video, model: &Graphs, way: Way) -> Result<()> {
    if matches!(way, Way::Still(Mode::Instant) | Way::Recurrent) && args.how.draw.fidelity > 0.0 {
        return Err(Error::new(
            "--fidelity leads back from a flow's sample: add --mode fast or --mode quality",
        ));
    }
    let most = match way {
        Way::Still(mode) => {
            model.check_mode(mode)?;
            pipeline::reach(model.scale()?)
        }
        Way::Recurrent => model.scale()?,
    };
    if args.scale.is_some_and(|scale| usize::from(scale) > most) {
        return Err(Error::new(format!(
            "the model {} enlarges {most} times at most: choose --scale {most} or less",
            model.id()
        )));
    }
    Ok(())
}

/// Enlarges one video.
fn one(
    args: &Video,
    (model, way): (&Graphs, Way),
    plan: &Plan,
    (tools, teller): (&Tools, Teller),
) -> Result<()> {
    let record = plan.record(args, model, way, tools)?;
    let (work, done) = Work::open(&plan.target, &record, args.resume)?;
    let (others, notes) = mux::others(&plan.source, plan.container, tools, &work)?;
    notes.iter().for_each(|note| teller.note(&plan.source.path, note));
    let earlier = work::frames(&done);
    if earlier > 0 {
        let text = format!("{earlier} frames of an earlier run are there");
        teller.note(&plan.source.path, &Remark::new("resumed", text));
    }
    let task = Task {
        reading: &plan.reading,
        writing: &plan.writing,
        tools,
        stretches: plan.stretches,
        work: &work,
        target: &plan.target,
        jobs: usize::from(args.jobs),
    };
    let sizes = [plan.reading.size, plan.writing.size];
    let tale = Telltale::begin(teller, &plan.source.path, sizes, plan.frames(), earlier);
    let described = Once::new();
    let maker = || -> Result<Box<dyn Enlarge>> {
        let how = &args.how;
        match way {
            Way::Still(mode) => {
                let maker = ExecutorMaker::new(model.clone(), how.device, mode, how.draw)?.held(how.hold);
                described.call_once(|| note!("{}", maker.describe()));
                let options = plan.options;
                Ok(Box::new(Still { maker, options }))
            }
            Way::Recurrent => {
                let (network, place) = AnyRecurrent::open(model.clone(), how.device)?;
                described.call_once(|| note!("{} on {place}", model.id()));
                Ok(Box::new(InOrder {
                    network,
                    memory: Recurrence::new(model.scale()?),
                    size: plan.writing.size,
                }))
            }
        }
    };
    let made = lanes::make(&task, done, &maker, &|second| tale.frame(second));
    tale.computed();
    let made = made.and_then(|made| {
        finish(args, plan, &made, &others, (tools, teller), &work).map(|frames| (made_size(plan), frames))
    });
    match made {
        Ok((size, frames)) => {
            work.remove();
            tale.done(&plan.target, size, frames);
            Ok(())
        }
        Err(why) => Err(kept(&work, why)),
    }
}

fn made_size(plan: &Plan) -> asasr_core::Size {
    plan.writing.size
}

/// Why a run ended, and how it goes on.
fn kept(work: &Work, why: Error) -> Error {
    let frames = work::frames(&work.done());
    match (interrupt::requested(), frames) {
        (true, 0) => Error::new("stopped").coded(code::CANCELLED),
        (true, _) => {
            let text = format!(
                "stopped: {frames} finished frames are kept; the same command goes on from there with --resume"
            );
            Error::new(text).coded(code::CANCELLED)
        }
        (false, 0) => why,
        (false, _) => why.with("then go on with --resume"),
    }
}

/// Puts the result in its place; how many frames it has.
fn finish(
    args: &Video,
    plan: &Plan,
    made: &Made,
    others: &[mux::Other],
    (tools, teller): (&Tools, Teller),
    work: &Work,
) -> Result<u64> {
    let frames = work::frames(&made.stretches);
    let film = &plan.source.pictures;
    let input = &plan.source.path;
    // What is missing at the end is so where ffmpeg met faults as well; else the last frame is to be seen for long.
    let last = made
        .stretches
        .values()
        .next_back()
        .map_or(0.0, |d| film.base.seconds(d.last));
    let missing = film.end.map_or(0.0, |end| end - last);
    let short = made.faults.told > 0 && missing > 0.5 && plan.cut.to.is_none();
    if short {
        let text = format!(
            "it is cut short: its frames end at {}, and not at {}",
            time(last),
            time(last + missing)
        );
        teller.note(input, &Remark::new("video-cut-short", text));
    } else if let Some(first) = &made.faults.first {
        let text = format!("ffmpeg met {} faults in it; the first: {first}", made.faults.told);
        teller.note(input, &Remark::new("video-faults", text));
    }
    if made.faults.late > 0 {
        let text = format!(
            "{} of its frames are not later than those before them, and are left out",
            made.faults.late
        );
        teller.note(input, &Remark::new("frames-left-out", text));
    }
    let enlarged = Enlarged {
        base: film.base,
        last: mux::last_lasts(&plan.source, made, plan.cut, short),
        in_order: plan.writing.packing.codec.in_order(),
        made,
    };
    let file = files::beside(&plan.target)?;
    let target: &Path = &plan.target;
    let format = (plan.cut, plan.container);
    mux::join(
        &plan.source,
        (&enlarged, others),
        format,
        (tools, work),
        (file.path(), target),
    )?;
    if let Some(rotation) = plan.rotation {
        rotation.put(file.path())?;
    }
    let persist = if args.no_clobber {
        files::persist_new
    } else {
        files::persist
    };
    persist(file, target)?;
    Ok(frames)
}
