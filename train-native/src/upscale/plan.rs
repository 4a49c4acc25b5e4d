//! What is to be done, found before any network runs: the place of each result, and whether there is room for it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use asasr_codec::{Format, Header, Saving};
use asasr_core::Size;
use asasr_core::pipeline::{self, Tiles};

use super::find::{self, Folder, Found};
use super::input::Input;
use super::maps::{MapPlaces, Maps};
use super::place::{MadeFolder, Place, check_target};
use super::tell::Remark;
use crate::cli::{Mode, Upscale};
use crate::device::DeviceChoice;
use crate::error::{Error, Result, code, shown};
use crate::files::Identity;
use crate::{files, memory};

/// An image to enlarge.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) input: Input,
    /// The folder below that of all results in which its own lies.
    below: PathBuf,
    /// Where the result goes; none is standard output.
    pub(super) target: Option<PathBuf>,
    /// By a process of its own: it is so large that memory may not be enough, and the others are not to end with it.
    pub(super) alone: bool,
    /// Where its maps go.
    pub(super) maps: Maps,
}

/// What will be done, and what will not.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    /// The others, and why they are not enlarged.
    pub(super) refused: Vec<(PathBuf, Error)>,
    /// How many of the results are there already, and kept.
    pub(super) kept: usize,
    /// All inputs, over which nothing is written.
    pub(super) read: Vec<(Identity, PathBuf)>,
    /// What the user may want to know, and of which.
    pub(super) notes: Vec<(PathBuf, Remark)>,
    /// The folders that were made for results and maps; they go when nothing came into them.
    made: Vec<MadeFolder>,
}

impl Plan {
    /// Looks at every input and at the place of its result; `scale` is the model's. What cannot be done is refused, and the rest is planned.
    ///
    /// # Errors
    /// When nothing can be written at the place.
    pub(super) fn new(args: &Upscale, place: &Place, saving: Saving, scale: usize) -> Result<Self> {
        let mut plan = Self::default();
        let format = saving.format;
        let maps = MapPlaces::of(args, super::several(args))?;
        let mut found = plan.find(args, place, &maps);
        if *place == Place::Beside {
            let told = |path: &Path, note| plan.notes.push((path.to_path_buf(), note));
            find::pass_over_results(&mut found, |f| &f.path, told);
        }
        // Those that cannot be read, too: nobody wants them gone.
        let named = |found: &Found| Some((files::identity(&found.path)?, found.path.clone()));
        plan.read = found.iter().filter_map(named).collect();
        let inputs = plan.open(args, &found);
        if inputs.is_empty() {
            return Ok(plan);
        }
        let folded = plan.prepare(place, &inputs)?;
        let job = |(input, below)| Job {
            input,
            below,
            target: None,
            alone: false,
            maps: Maps::default(),
        };
        plan.jobs = inputs.into_iter().map(job).collect();
        let has_maps = args.consistency.is_some() || args.spread.is_some();
        plan.name((place, has_maps), (&args.suffix(), format.ending()), folded);
        if args.no_clobber {
            plan.keep_results();
        }
        plan.keep(|input, _| match place {
            Place::Beside if !input.is_file() => {
                let why = "a pipe has no folder for the result to lie in: name the result with -o";
                Err(Error::at(&input.name, why).coded(code::PLACE))
            }
            _ => Ok(()),
        });
        let read = plan.read.clone();
        plan.keep(|input, target| target.map_or(Ok(()), |target| check_target(input, target, &read)));
        plan.keep(|input, _| check_width(input, args, pipeline::reach(scale) as u32));
        plan.keep(|input, _| check_format(input, args, scale, format));
        plan.made.extend(maps.prepare()?);
        plan.map(&maps);
        if let Some(free) = memory::available() {
            let needed = |input: &Input| memory_for(input, args, scale, format);
            plan.keep(|input, _| check_memory(input, needed(input), free, format));
            let large = |input: &Input| input.is_file() && needed(input) > free / ALONE;
            let several = plan.jobs.len() > 1;
            plan.jobs
                .iter_mut()
                .for_each(|job| job.alone = several && large(&job.input));
        }
        if let Some(free) = free(place, &plan.jobs) {
            plan.check_room(place, args, format, free);
        }
        Ok(plan)
    }

    /// The images that are named or lie in folders that are. Of one folder alone the results lie as the images do; of one among other
    /// inputs in a folder of its name.
    fn find(&mut self, args: &Upscale, place: &Place, maps: &MapPlaces) -> Vec<Found> {
        let whole = |path: &PathBuf| fs::canonicalize(path).ok();
        let own = match place {
            Place::Folder(folder) => whole(folder),
            _ => None,
        };
        let results: Vec<PathBuf> = own
            .iter()
            .cloned()
            .chain(maps.folders().filter_map(whole))
            .collect();
        let files = args.inputs.iter().any(|input| input.is_file());
        let mut all = Vec::new();
        for name in &args.inputs {
            // As a shell's FOLDER/* names it; where nothing else is named it was meant.
            let several = args.inputs.len() > 1;
            if own.is_some() && whole(name) == own && (several || !args.recursive) {
                self.notes.push((name.clone(), find::results_folder()));
            } else if args.recursive && name.is_dir() {
                let below = name.file_name().filter(|_| several).unwrap_or_default();
                match Folder::read(name, Path::new(below), &results) {
                    Ok(folder) => self.take(name, folder, several, &mut all),
                    Err(why) => self.refused.push((name.clone(), why)),
                }
            } else if name.is_dir() && files {
                let note = "a folder, passed over: add -r to enlarge the images in it";
                self.notes
                    .push((name.clone(), Remark::new("folder-passed-over", note)));
            } else {
                all.push(Found::named(name));
            }
        }
        all
    }

    /// Takes what was found in a folder, one of `several` inputs or the only one.
    fn take(&mut self, name: &Path, folder: Folder, several: bool, all: &mut Vec<Found>) {
        if folder.images.is_empty() && folder.refused.is_empty() {
            let why = "no images in it, by their names' endings";
            if several {
                let note = Remark::new("no-images", format!("{why}: passed over"));
                self.notes.push((name.to_path_buf(), note));
            } else {
                let why = Error::at(
                    name,
                    format!("{why}: name a folder with PNG, JPEG or other images"),
                );
                self.refused.push((name.to_path_buf(), why.coded(code::FILE)));
            }
        }
        self.notes.extend(folder.notes);
        self.refused.extend(folder.refused);
        all.extend(folder.images);
    }

    /// Reads headers; one after the other, for the order of messages.
    fn open(&mut self, args: &Upscale, found: &[Found]) -> Vec<(Input, PathBuf)> {
        let mut seen = HashSet::new();
        let mut inputs = Vec::new();
        for Found { path: name, below } in found {
            let whole = fs::canonicalize(name).unwrap_or_else(|_| name.clone());
            // By its own name, for a link may want a result of its own.
            if !seen.insert((whole, name.file_name().map(OsStr::to_owned))) {
                let note = Remark::new("named-twice", "named twice, enlarged once");
                self.notes.push((name.clone(), note));
                continue;
            }
            let opened = super::guarded(name, || Input::open(name, super::taken(args)));
            match opened {
                Ok(input) => inputs.push((input, below.clone())),
                Err(why) => self.refused.push((name.clone(), why)),
            }
        }
        inputs
    }

    /// Makes the folder, and tries whether a file can be written there. Tells whether names there differ by case alone.
    fn prepare(&mut self, place: &Place, inputs: &[(Input, PathBuf)]) -> Result<bool> {
        let probe = match place {
            Place::Stdout => return Ok(false),
            Place::Beside => {
                // Of folders where nothing can be written each image says so.
                let probe = |(input, _): &(Input, _)| {
                    files::beside(&files::folder_of(&input.name).join("result.png")).ok()
                };
                return Ok(inputs
                    .iter()
                    .find_map(probe)
                    .is_some_and(|file| files::folds_case(&file)));
            }
            Place::File(path) => path.clone(),
            Place::Folder(folder) => {
                if !folder.is_dir() {
                    self.made.push(MadeFolder::new(folder)?);
                }
                folder.join("result.png")
            }
        };
        let file = files::beside(&probe).map_err(|e| match place {
            Place::Folder(folder) => {
                Error::at(folder, format!("no file can be written here ({e})")).coded(code::FILE)
            }
            _ => e,
        })?;
        Ok(files::folds_case(&file))
    }

    /// Names the results, each as its image with a suffix and an ending.
    fn name(&mut self, (place, has_maps): (&Place, bool), ends: (&str, &str), folded: bool) {
        match place {
            Place::Stdout => {}
            Place::File(path) => self.jobs.iter_mut().for_each(|j| j.target = Some(path.clone())),
            Place::Folder(_) | Place::Beside => {
                let folder = |job: &Job| match place {
                    Place::Folder(folder) => folder.join(&job.below),
                    _ => job.input.name.parent().unwrap_or(Path::new("")).to_path_buf(),
                };
                let folders: Vec<PathBuf> = self.jobs.iter().map(folder).collect();
                // Maps of images from several folders lie in one.
                let is_apart = !has_maps || *place != Place::Beside;
                let own = |folder| if is_apart { folder } else { Path::new("") };
                let inputs: Vec<(&Path, &Path)> = (folders.iter().zip(&self.jobs))
                    .map(|(folder, job)| (own(folder.as_path()), job.input.name.as_path()))
                    .collect();
                for (i, (name, own)) in names(&inputs, ends, folded).into_iter().enumerate() {
                    let Job { input, target, .. } = &mut self.jobs[i];
                    if !own {
                        let note = format!(
                            "another image's result has the usual name, so this result is {}",
                            shown(Path::new(&name))
                        );
                        self.notes
                            .push((input.name.clone(), Remark::new("renamed", note)));
                    }
                    *target = Some(folders[i].join(name));
                }
            }
        }
    }

    /// Passes over the images whose results are there.
    fn keep_results(&mut self) {
        let (notes, before) = (&mut self.notes, self.jobs.len());
        self.jobs.retain(|Job { input, target, .. }| {
            let there = target.as_deref().filter(|target| is_there(target));
            notes.extend(there.map(|target| (input.name.clone(), kept(target))));
            there.is_none()
        });
        self.kept = before - self.jobs.len();
    }

    /// Places the maps of all jobs, and refuses those whose maps have none.
    fn map(&mut self, maps: &MapPlaces) {
        let (read, refused) = (&self.read, &mut self.refused);
        self.jobs.retain_mut(|job| {
            match maps.for_image((&job.input, &job.below), job.target.as_deref(), read) {
                Ok(maps) => {
                    job.maps = maps;
                    true
                }
                Err(why) => {
                    refused.push((job.input.name.clone(), why));
                    false
                }
            }
        });
    }

    /// Refuses those jobs that `check` does.
    fn keep(&mut self, mut check: impl FnMut(&Input, Option<&Path>) -> Result<()>) {
        let refused = &mut self.refused;
        self.jobs
            .retain(|job| match check(&job.input, job.target.as_deref()) {
                Ok(()) => true,
                Err(why) => {
                    refused.push((job.input.name.clone(), why));
                    false
                }
            });
    }

    fn check_room(&mut self, place: &Place, args: &Upscale, format: Format, free: u64) {
        let raw: Vec<u64> = self
            .jobs
            .iter()
            .map(|j| raw_bytes(j.input.header, result_pixels(j.input.header, args)))
            .collect();
        let mut fits = room(&raw, format, free).into_iter().zip(raw);
        self.keep(|input, _| match fits.next() {
            Some((false, raw)) => Err(Error::at(
                &input.name,
                format!(
                    "its result has {} before it is packed, and beside the results before it the disk of {} has too little \
                     free of its {}: make room, or name another output",
                    megabytes(raw),
                    place.shown(),
                    megabytes(free)
                ),
            )
            .coded(code::DISK_FULL)),
            _ => Ok(()),
        });
    }
}

impl Job {
    /// Makes the folders of the result and the maps; they go again when nothing came into them.
    pub(super) fn folders(&self) -> Result<Vec<MadeFolder>> {
        let mut made = Vec::new();
        for path in self.target.as_deref().into_iter().chain(self.maps.places()) {
            let folder = files::folder_of(path);
            // That of all results is there, and that of one file has to be.
            if !self.below.as_os_str().is_empty() && !folder.is_dir() {
                made.push(MadeFolder::new(folder)?);
            }
        }
        Ok(made)
    }
}

/// Whether a result is there already.
pub(super) fn is_there(target: &Path) -> bool {
    fs::symlink_metadata(target).is_ok_and(|m| !m.is_dir())
}

/// Said of an image whose result is there.
pub(super) fn kept(target: &Path) -> Remark {
    let text = format!("its result {} is there and is kept", shown(target));
    Remark::new("kept", text)
}

/// A name for each result, and whether it is the usual one: `photo-x4.png` of `photo.jpg`. Where two inputs of a folder of results have the
/// same, a later one has its ending in it, `photo.jpg-x4.png`, and a number where that is not enough.
fn names(inputs: &[(&Path, &Path)], (suffix, ending): (&str, &str), folded: bool) -> Vec<(OsString, bool)> {
    let result = |stem: &OsStr, number: Option<u32>| {
        let mut name = stem.to_os_string();
        name.push(number.map_or(String::new(), |n| format!("-{n}")));
        name.push(format!("-{suffix}.{ending}"));
        name
    };
    let mut taken = HashSet::new();
    let mut take = |below: &Path, name: &OsStr| {
        let path = below.join(name).into_os_string();
        taken.insert(if folded {
            OsString::from(path.to_string_lossy().to_lowercase())
        } else {
            path
        })
    };
    // The usual names first: none of them goes to another input.
    let usual: Vec<Option<OsString>> = inputs
        .iter()
        .map(|(below, input)| {
            let usual = result(input.file_stem().unwrap_or_default(), None);
            Some(usual).filter(|name| take(below, name))
        })
        .collect();
    let mut another = |below: &Path, input: &Path| {
        let whole = input.file_name().unwrap_or_default();
        let mut name = result(whole, None);
        let mut number = 1;
        while !take(below, &name) {
            number += 1;
            name = result(whole, Some(number));
        }
        name
    };
    usual
        .into_iter()
        .zip(inputs)
        .map(|(usual, (below, input))| match usual {
            Some(name) => (name, true),
            None => (another(below, input), false),
        })
        .collect()
}

/// Bytes of the samples of so many pixels of a result.
fn raw_bytes(header: Header, pixels: u64) -> u64 {
    pixels * u64::from(header.samples) * u64::from(header.bits / 8)
}

/// Pixels of a result.
fn result_pixels(header: Header, args: &Upscale) -> u64 {
    match args.width {
        None => pixels(header) * u64::from(args.scale()).pow(2),
        Some(width) => u64::from(width).pow(2) * u64::from(header.height) / u64::from(header.width.max(1)),
    }
}

/// How many times the result of each pass of a network of a scale is larger; the second is 1 where there is none.
fn factors(header: Header, args: &Upscale, scale: u64) -> [u64; 2] {
    let needed = |width: u32| u64::from(width.div_ceil(header.width.max(1)).max(2));
    let wanted = args.width.map_or(u64::from(args.scale()), needed);
    let wanted = wanted.min(pipeline::reach(scale as usize) as u64);
    [wanted.min(scale), wanted.div_ceil(scale)]
}

/// Refuses a width that an image cannot have, however it is turned; `most` is the largest enlargement.
fn check_width(input: &Input, args: &Upscale, most: u32) -> Result<()> {
    let Some(width) = args.width else { return Ok(()) };
    let Header {
        width: columns,
        height: rows,
        ..
    } = input.header;
    if [columns, rows]
        .iter()
        .any(|n| (*n..=n.saturating_mul(most)).contains(&width))
    {
        return Ok(());
    }
    let refused = asasr_core::Error::Width {
        wanted: width as usize,
        least: columns as usize,
        most: columns.saturating_mul(most) as usize,
    };
    Err(Error::of(&input.name, &refused))
}

/// Refuses a result that the format cannot hold, however the image is turned.
fn check_format(input: &Input, args: &Upscale, scale: usize, format: Format) -> Result<()> {
    let options = pipeline::Options {
        target: args.target()?,
        longest: format.longest(),
        tiles: Tiles::Side(usize::from(args.how.tile)),
        consistency: false,
        hold: true,
    };
    let header = input.header;
    let size = Size::new(header.width as usize, header.height as usize);
    let turned = Size::new(size.height, size.width);
    let results = [size, turned].map(|size| options.passes(size, scale).map(|way| way.size));
    if let [Err(why @ asasr_core::Error::TooLong { .. }), Err(_)] = &results {
        return Err(Error::of(&input.name, why));
    }
    let (name, least) = (format.name(), format.shortest());
    let is_thin = |size: &Size| size.width.min(size.height) < least;
    if results.iter().all(|size| size.as_ref().is_ok_and(is_thin)) {
        let why = format!("its result has a side below the {least} pixels that {name} takes: save it as PNG");
        return Err(Error::at(&input.name, why).coded(code::FORMAT));
    }
    let bytes = raw_bytes(header, result_pixels(header, args));
    match format.most_bytes() {
        Some(most) if bytes > most => Err(Error::at(
            &input.name,
            format!(
                "its result has {} before it is packed, and a {} file holds {}: save it as PNG, or smaller",
                megabytes(bytes),
                format.name(),
                megabytes(most)
            ),
        )
        .coded(code::FORMAT)),
        _ => Ok(()),
    }
}

fn pixels(header: Header) -> u64 {
    u64::from(header.width) * u64::from(header.height)
}

/// Photographs are packed to a half of their samples or a little more without loss, and to a tenth with some; drawings to much less.
fn packed(raw: u64, format: Format) -> u64 {
    raw / if format.is_lossy() { 50 } else { 5 }
}

/// Which results of so many bytes before they are packed find room on a disk, in order: each is taken for a small part of them, so that
/// what is refused would hardly have fitted.
fn room(raw: &[u64], format: Format, free: u64) -> Vec<bool> {
    let mut left = free;
    let mut fits = |raw: &u64| match left.checked_sub(packed(*raw, format)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    raw.iter().map(&mut fits).collect()
}

/// Bytes that are free where results go, the first one where each lies beside its image; none where the system does not tell, and for
/// standard output.
fn free(place: &Place, jobs: &[Job]) -> Option<u64> {
    let folder = match place {
        Place::Stdout => return None,
        Place::Beside => files::folder_of(jobs.first()?.target.as_deref()?),
        Place::File(path) => files::folder_of(path),
        Place::Folder(folder) => folder,
    };
    fs4::available_space(folder).ok()
}

/// Refuses an image for which the memory cannot be enough.
fn check_memory(input: &Input, needed: u64, free: u64, format: Format) -> Result<()> {
    if needed <= free {
        return Ok(());
    }
    let save = match format {
        Format::Png => "choose a smaller --tile",
        _ => "save it as PNG, which is written row by row",
    };
    Err(Error::at(
        &input.name,
        format!(
            "it needs {} of memory, and {} are free: make it smaller, {save}, or end other programs",
            megabytes(needed),
            megabytes(free)
        ),
    )
    .coded(code::NO_MEMORY))
}

/// An image that takes more than such a part of the memory there is gets a process of its own: what it takes at least is known, and
/// not what it takes at most.
const ALONE: u64 = 3;
/// The program itself with a network, in bytes.
const BASE: u64 = 30 << 20;
/// Bytes for each pixel of a tile while the CPU enlarges it, of the restorer and of a flow. All three are less than what was measured, so
/// that only what cannot be done is refused.
const RESTORER: u64 = 400;
const FLOW: u64 = 1200;

/// The least bytes that an image takes: its samples, and beside them first its file, then a row of enlarged tiles and a tile at work. For a
/// second pass the first one's result is held, and for formats other than PNG the whole result.
fn memory_for(input: &Input, args: &Upscale, scale: usize, format: Format) -> u64 {
    let (header, tile) = (input.header, u64::from(args.how.tile));
    let [first, second] = factors(header, args, scale as u64);
    let (width, height) = (u64::from(header.width), u64::from(header.height));
    let planes = if header.samples % 2 == 0 { 4 } else { 3 };
    let samples = width * height * u64::from(header.samples) * u64::from(header.bits / 8);
    let row = |width: u64, height: u64, scale: u64| width * tile.min(height) * scale * scale * planes * 4;
    let rows = if second == 1 {
        row(width, height, first)
    } else {
        width * first * height * first * planes * 2 + row(width * first, height * first, second)
    };
    let each = match (args.how.device, args.mode()) {
        (DeviceChoice::Cpu, Mode::Instant) => RESTORER,
        (DeviceChoice::Cpu, _) => FLOW,
        // Memory of its own, and smaller tiles where it is not enough.
        _ => 0,
    };
    let result = result_pixels(header, args) * format.held(header.samples, header.bits);
    BASE + samples + result + input.size.max(rows + tile.min(width) * tile.min(height) * each)
}

fn megabytes(bytes: u64) -> String {
    let million = bytes.div_ceil(1_000_000);
    if million < 10_000 {
        format!("{million} MB")
    } else {
        format!("{} GB", million.div_ceil(1000))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    /// Of inputs of the form FOLDER:NAME.
    fn named(inputs: &[&'static str], folded: bool) -> Vec<String> {
        let split = |name: &'static str| name.split_once(':').unwrap_or(("", name));
        let inputs: Vec<(&Path, &Path)> = inputs
            .iter()
            .map(|name| split(name))
            .map(|(below, name)| (Path::new(below), Path::new(name)))
            .collect();
        let names = names(&inputs, ("x4", "png"), folded);
        names.into_iter().map(|(n, _)| n.into_string().unwrap()).collect()
    }

    #[test]
    fn results_have_names_of_their_own() {
        assert_eq!(
            named(&["a.jpg", "d/a.png", "e/a.png", "f/a.png", "b"], false),
            [
                "a-x4.png",
                "a.png-x4.png",
                "a.png-2-x4.png",
                "a.png-3-x4.png",
                "b-x4.png"
            ]
        );
        // The third has the usual name of its own, whatever the second would take.
        assert_eq!(
            named(&["a.jpg", "a.png", "a.png.jpg"], false),
            ["a-x4.png", "a.png-2-x4.png", "a.png-x4.png"]
        );
        assert_eq!(named(&["a.jpg", "A.jpg"], false), ["a-x4.png", "A-x4.png"]);
        assert_eq!(named(&["a.jpg", "A.jpg"], true), ["a-x4.png", "A.jpg-x4.png"]);
        assert_eq!(
            named(&[".png", "a b\nc.d.png"], false),
            [".png-x4.png", "a b\nc.d-x4.png"]
        );
        // In folders of their own they have the same.
        assert_eq!(
            named(&["s:a.jpg", "t:a.jpg", "T:a.jpg", "s:a.png"], true),
            ["a-x4.png", "a-x4.png", "a.jpg-x4.png", "a.png-x4.png"]
        );
    }

    #[test]
    #[cfg(unix)]
    fn names_that_are_no_text_stay_apart() {
        use std::os::unix::ffi::OsStrExt as _;
        let inputs =
            [&b"\xff.png"[..], b"\xfe.png"].map(|n| (Path::new(""), Path::new(OsStr::from_bytes(n))));
        let names = names(&inputs, ("x2", "png"), false);
        assert_eq!(names[0].0.as_bytes(), b"\xff-x2.png");
        assert_eq!(names[1].0.as_bytes(), b"\xfe-x2.png");
    }

    #[test]
    fn a_fifth_of_the_samples_has_to_be_free() {
        assert_eq!(room(&[50, 100, 10], Format::Png, 20), [true, false, true]);
        assert_eq!(room(&[50, 50], Format::Tiff, 20), [true, true]);
        assert_eq!(room(&[50], Format::JpegXl, 9), [false]);
        assert_eq!(room(&[500, 50], Format::Jpeg, 10), [true, false]);
        let header = Header {
            width: 10,
            height: 20,
            samples: 4,
            bits: 16,
        };
        assert_eq!(raw_bytes(header, 4 * pixels(header)), 20 * 40 * 4 * 2);
    }
}
