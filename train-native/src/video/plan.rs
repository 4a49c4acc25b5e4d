//! What is to be made of a video, found before any frame is decoded.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use asasr_core::Size;
use asasr_core::model::sha256_hex;
use asasr_core::pipeline::{self, OutputScale, Target, Tiles};

use super::clock::Moment;
use super::colours::Conversion;
use super::decode::Reading;
use super::encode::Writing;
use super::format::{Container, Packing};
use super::frames::Way;
use super::mux::Cut;
use super::options::Video;
use super::probe::{Kind, Pixels, Source, named};
use super::rotation::Rotation;
use super::tools::Tools;
use super::work::{Record, Stretches};

use crate::error::{Error, Result, code, shown};
use crate::files;
use crate::graphs::Graphs;
use crate::upscale::tell::Remark;

/// Longest side of a result: what H.264 takes.
const LONGEST: usize = 16384;

/// Where results go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf, Container),
    Folder(PathBuf),
    /// Beside each video.
    Beside,
}

/// All that is decided of a video.
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) target: PathBuf,
    pub(super) container: Container,
    pub(super) reading: Reading,
    pub(super) writing: Writing,
    pub(super) options: pipeline::Options,
    /// What is written into the file of how it is turned.
    pub(super) rotation: Option<Rotation>,
    pub(super) cut: Cut,
    pub(super) stretches: Stretches,
    pub(super) notes: Vec<Remark>,
}

impl Place {
    /// What `-o` means for one video, or for `several`.
    pub(super) fn of(output: &Path, several: bool) -> Result<Self> {
        let refused = |why: &str| Error::at(output, why).coded(code::PLACE);
        if output.as_os_str().is_empty() || output == Path::new("-") {
            return Err(refused(
                "a video is written to a file: name a .mp4, .mov, .mkv or .webm file, or a folder",
            ));
        }
        let spelt = output.as_os_str().as_encoded_bytes().last();
        let folder = spelt.is_some_and(|b| std::path::is_separator(char::from(*b)));
        if folder || output.is_dir() {
            return Ok(Self::Folder(output.to_path_buf()));
        }
        match Container::of(output) {
            Some(_) if several => Err(refused("several videos need a folder as output")),
            Some(container) => Ok(Self::File(output.to_path_buf(), container)),
            None if output.extension().is_some() || output.exists() => Err(refused(
                "what is written is MP4, QuickTime, Matroska or WebM: name a .mp4, .mov, .mkv or .webm file, or a folder",
            )),
            None => Ok(Self::Folder(output.to_path_buf())),
        }
    }

    /// The result's place for each of the inputs, and the container.
    pub(super) fn targets(&self, inputs: &[PathBuf], suffix: &str) -> Vec<(PathBuf, Container)> {
        if let Self::File(path, container) = self {
            return vec![(path.clone(), *container); inputs.len()];
        }
        let folder = |input: &Path| match self {
            Self::Folder(folder) => folder.clone(),
            _ => input.parent().unwrap_or(Path::new("")).to_path_buf(),
        };
        let mut taken = HashSet::new();
        let mut names = Vec::new();
        for input in inputs {
            let container = Container::like(input);
            let text =
                |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
            let (stem, whole) = (text(input.file_stem()), text(input.file_name()));
            let numbered = (2..).map(|n| format!("{whole}-{n}"));
            let name = [stem, whole.clone()]
                .into_iter()
                .chain(numbered)
                .map(|stem| format!("{stem}-{suffix}.{}", container.ending()))
                // Some disks know no case.
                .find(|name| taken.insert((folder(input), name.to_lowercase())));
            names.push((folder(input).join(name.unwrap_or_default()), container));
        }
        names
    }
}

/// What is said of the result's size.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Times(usize),
    Columns(usize),
    Rows(usize),
}

impl Wanted {
    fn of(args: &Video, scale: usize, swapped: bool) -> Self {
        match (args.width, args.height) {
            (Some(n), _) if swapped => Self::Rows(n as usize),
            (Some(n), _) => Self::Columns(n as usize),
            (_, Some(n)) if swapped => Self::Columns(n as usize),
            (_, Some(n)) => Self::Rows(n as usize),
            _ => Self::Times(args.scale.map_or(scale, usize::from)),
        }
    }

    /// The size, with even sides where those are asked for, and whether that differs from what is wanted.
    fn size(self, given: Size, even: bool) -> (Size, bool) {
        let share =
            |n: usize, of: usize, from: usize| (n as f64 * of as f64 / from as f64).round().max(1.0) as usize;
        let wanted = match self {
            Self::Times(n) => given.times(n),
            Self::Columns(n) => Size::new(n, share(n, given.height, given.width)),
            Self::Rows(n) => Size::new(share(n, given.width, given.height), n),
        };
        // Results are not smaller than what they are made of.
        let side = |n: usize, least: usize| {
            if n.is_multiple_of(2) || !even {
                n
            } else if n > least {
                n - 1
            } else {
                n + 1
            }
        };
        let size = Size::new(side(wanted.width, given.width), side(wanted.height, given.height));
        (size, size != wanted)
    }
}

impl Plan {
    /// For one video and the place of its result.
    ///
    /// # Errors
    /// What is no video, and what cannot be made of it.
    pub(super) fn new(
        args: &Video,
        input: &Path,
        (target, container): (PathBuf, Container),
        (scale, way): (usize, Way),
        tools: &Tools,
    ) -> Result<Self> {
        let source = Source::open(input, tools)?;
        let film = &source.pictures;
        let upright = film.rotation.is_some() && !container.has_boxes();
        let swaps = film.rotation.is_some_and(Rotation::swaps);
        if upright && !film.rotation.is_some_and(Rotation::is_quarters) {
            let why = format!(
                "is mirrored or turned by an angle when it is shown, which a .{} file does not tell: name a .mp4 or .mov file",
                container.ending()
            );
            return Err(Error::at(input, why).coded(code::FORMAT));
        }
        let given = if upright && swaps {
            Size::new(film.size.height, film.size.width)
        } else {
            film.size
        };
        let wanted = Wanted::of(args, scale, swaps && !upright);
        let (free, _) = wanted.size(given, false);
        let packing =
            Packing::choose(args, container, film.pixels.bits, free, tools).map_err(|e| e.within(input))?;
        let (size, rounded) = wanted.size(given, packing.codec.is_even());
        let options = pipeline::Options {
            target: target_of(given, size),
            longest: LONGEST,
            tiles: Tiles::Side(usize::from(args.how.tile)),
            consistency: false,
            hold: args.how.hold.is_on(),
        };
        let passes = options.passes(given, scale).map_err(|e| Error::of(input, &e))?;
        if way == Way::Recurrent && passes.second.is_some() {
            let why =
                format!("the network for videos enlarges {scale} times at most: choose a smaller result");
            return Err(Error::at(input, why));
        }
        let conversion = Conversion::new(given, size, film.pixels, &film.colours)
            .map_err(|why| Error::at(input, why).coded(code::FORMAT))?;
        let mut notes = remarks(&source, &packing);
        if upright {
            let ending = container.ending();
            let text =
                format!("its frames are turned as it is shown, for a .{ending} file does not tell how");
            notes.push(Remark::new("turned", text));
        }
        if rounded {
            let text = format!("its result has {size} pixels, for this codec takes even sides alone");
            notes.push(Remark::new("even-size", text));
        }
        let origin = source.origin();
        let moment = |m: Option<Moment>| m.map(|m| origin + m.0);
        let (from, to) = (moment(args.from), moment(args.to));
        // As samples go through pipes.
        let bits = if film.pixels.bits > 8 { 16 } else { 8 };
        let (x, y) = (
            size.width as f64 / film.size.width as f64,
            size.height as f64 / film.size.height as f64,
        );
        Ok(Self {
            reading: Reading {
                path: source.path.clone(),
                stream: film.index,
                size: given,
                base: film.base,
                start: source.start,
                bits,
                alpha: film.pixels.alpha,
                upright,
                interlaced: film.interlaced,
                convert: conversion.from,
                lead: way.lead(film.rate),
            },
            writing: Writing {
                size,
                base: film.base,
                rate: film.rate,
                bits,
                aspect: film
                    .aspect
                    .map(|(x, y)| if upright && swaps { (y, x) } else { (x, y) }),
                packing,
                convert: conversion.to,
                colours: conversion.told,
            },
            options,
            rotation: film.rotation.filter(|_| !upright).map(|r| r.times((x, y))),
            cut: Cut {
                from,
                to,
                shift: from.unwrap_or(origin),
            },
            stretches: Stretches::new(film.base, args.stretch, origin, [from, to]),
            notes,
            target,
            container,
            source,
        })
    }

    /// About how many frames the result has.
    pub(super) fn frames(&self) -> Option<f64> {
        let film = &self.source.pictures;
        let Cut { from, to, .. } = self.cut;
        if let (None, None, Some(frames)) = (from, to, film.frames) {
            return Some(frames as f64);
        }
        let begin = self.source.start as f64 / 1e6;
        let end = film.end.or_else(|| Some(begin + self.source.duration?))?;
        let end = to.map_or(end, |to| end.min(to as f64 / 1e6));
        let begin = from.map_or(begin, |from| begin.max(from as f64 / 1e6));
        Some(film.frames_in((end - begin).max(0.0)))
    }

    /// What decides over the frames' bytes, under names that people know.
    ///
    /// # Errors
    /// Where the video cannot be read.
    pub(super) fn record(&self, args: &Video, model: &Graphs, way: Way, tools: &Tools) -> Result<Record> {
        let time = |m: Option<Moment>| m.map_or("none".into(), |m| m.0.to_string());
        let all = [
            ("the video", identity(&self.source)?),
            ("the result's size", self.writing.size.to_string()),
            ("the codec and its options", self.writing.words().join(" ")),
            ("the model", format!("{} {}", model.id(), way.hash(model)?)),
            ("--mode", way.name().into()),
            ("--hold", args.how.hold.to_string()),
            ("--seed", args.how.draw.seed.to_string()),
            ("--fidelity", args.how.draw.fidelity.to_string()),
            ("--tile", args.how.tile.to_string()),
            ("--stretch", args.stretch.to_string()),
            ("--from", time(args.from)),
            ("--to", time(args.to)),
            ("ffmpeg's version", tools.version.clone()),
            ("this program's version", env!("CARGO_PKG_VERSION").into()),
        ];
        Ok(all.map(|(name, value)| (name.to_owned(), value)).into())
    }

    /// Refuses a place where no file can lie, or where one of the inputs does.
    pub(super) fn check_place(&self, read: &[(files::Identity, PathBuf)]) -> Result<()> {
        let refused = |why: String| Error::at(&self.source.path, why).coded(code::PLACE);
        files::check_place(&self.target).map_err(|e| refused(format!("its result: {e}")))?;
        let there = files::identity(&self.target);
        match read.iter().find(|(i, _)| there.as_ref() == Some(i)) {
            None => files::beside(&self.target).map(drop),
            Some((_, other)) => Err(refused(format!(
                "its result would replace {}: name another output",
                shown(other)
            ))),
        }
    }
}

/// What is said of what a video has, and its result has not.
fn remarks(source: &Source, packing: &Packing) -> Vec<Remark> {
    let film = &source.pictures;
    let Pixels { bits, alpha, .. } = film.pixels;
    let mut notes = Vec::new();
    let mut note = |code, text: &str| notes.push(Remark::new(code, text));
    if film.interlaced {
        note(
            "deinterlaced",
            "it is interlaced: a frame is made of every two fields",
        );
    }
    if bits > packing.bits {
        note("fewer-bits", &format!("its {bits} bits become {}", packing.bits));
    }
    if alpha {
        note("transparency-white", "what is transparent in it becomes white");
    } else if film.veiled {
        note("transparency-left-out", "its transparency is left out");
    }
    if film.lights {
        let text =
            "it tells how bright its scenes are (HDR metadata): that is left out, and its colours are kept";
        note("lights-left-out", text);
    }
    for stream in source.streams.iter().filter(|s| s.index != film.index) {
        if stream.kind == Kind::Video && !stream.cover {
            note("stream-copied", &format!("{} is copied as it is", named(stream)));
        }
    }
    notes
}

fn target_of(given: Size, size: Size) -> Target {
    let times = size.width / given.width;
    match OutputScale::new(times) {
        Ok(scale) if given.times(times) == size => Target::Scale(scale),
        _ => Target::Size(size),
    }
}

/// What tells a video from another: its length, and hashes of its ends, which hold what its streams are.
fn identity(source: &Source) -> Result<String> {
    const PART: u64 = 1 << 20;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&source.path)?;
        let mut bytes = Vec::new();
        (&mut file).take(PART).read_to_end(&mut bytes)?;
        file.seek(SeekFrom::Start(source.bytes.saturating_sub(PART)))?;
        file.take(PART).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|e| Error::of(&source.path, &e))?;
    Ok(format!("{} {}", source.bytes, sha256_hex(&bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn sides_are_even_where_they_have_to_be() {
        let given = Size::new(63, 47);
        let of = |wanted: Wanted, even| wanted.size(given, even);
        assert_eq!(of(Wanted::Times(3), true), (Size::new(188, 140), true));
        assert_eq!(of(Wanted::Times(3), false), (Size::new(189, 141), false));
        assert_eq!(of(Wanted::Times(4), true), (Size::new(252, 188), false));
        assert_eq!(of(Wanted::Times(1), true), (Size::new(64, 48), true));
        let rows = Size::new(640, 360);
        assert_eq!(
            Wanted::Rows(1080).size(rows, true),
            (Size::new(1920, 1080), false)
        );
        assert_eq!(Wanted::Columns(853).size(rows, true), (Size::new(852, 480), true));
        assert_eq!(
            target_of(rows, rows.times(2)),
            Target::Scale(OutputScale::new(2).unwrap())
        );
        assert_eq!(
            target_of(given, Size::new(188, 140)),
            Target::Size(Size::new(188, 140))
        );
    }

    #[test]
    fn results_have_places_of_their_own() {
        let folder = Place::of(Path::new("out/"), true).unwrap();
        let inputs: Vec<PathBuf> = ["a/x.mp4", "b/x.mkv", "c/x.mp4", "x.avi", "x.gif", "d/x.mp4"]
            .map(PathBuf::from)
            .to_vec();
        let names: Vec<String> = (folder.targets(&inputs, "x2").iter())
            .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        let expected = [
            "x-x2.mp4",
            "x-x2.mkv",
            "x.mp4-x2.mp4",
            "x.avi-x2.mkv",
            "x.gif-x2.mp4",
            "x.mp4-2-x2.mp4",
        ];
        assert_eq!(names, expected);
        assert!(Place::of(Path::new("a.mp4"), true).is_err());
        assert!(Place::of(Path::new("a.avi"), false).is_err() && Place::of(Path::new("-"), false).is_err());
        let file = Place::of(Path::new("a.MOV"), false).unwrap();
        assert_eq!(file, Place::File("a.MOV".into(), Container::Mov));
    }
}
