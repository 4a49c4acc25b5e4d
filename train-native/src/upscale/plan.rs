//! What is to be done, found before any network runs: the place of each result, and whether there is room for it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use asasr_codec::Header;
use asasr_core::pipeline;

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
    pub(super) fn new(args: &Upscale, place: &Place, scale: usize) -> Result<Self> {
        let mut plan = Self::default();
        let inputs = plan.open(args, place);
        if inputs.is_empty() {
            return Ok(plan);
        }
        let folded = plan.prepare(place)?;
        let job = |input| Job {
            input,
            target: None,
            alone: false,
            maps: Maps::default(),
        };
        plan.jobs = inputs.into_iter().map(job).collect();
        plan.name(place, &args.suffix(), folded);
        // Those that cannot be read, too: nobody wants them gone.
        let named = |name: &PathBuf| Some((files::identity(name)?, name.clone()));
        plan.read = args.inputs.iter().filter_map(named).collect();
        let read = plan.read.clone();
        plan.keep(|input, target| target.map_or(Ok(()), |target| check_target(input, target, &read)));
        plan.keep(|input, _| check_width(input, args, pipeline::reach(scale) as u32));
        let maps = MapPlaces::of(args)?;
        plan.made.extend(maps.prepare()?);
        plan.keep(|input, target| maps.for_image(input, target, &read).map(drop));
        for job in &mut plan.jobs {
            job.maps = maps.for_image(&job.input, job.target.as_deref(), &read)?;
        }
        if let Some(free) = memory::available() {
            plan.keep(|input, _| check_memory(input, args, scale, free));
            let large = |input: &Input| input.is_file() && memory_for(input, args, scale) > free / ALONE;
            let several = plan.jobs.len() > 1;
            plan.jobs
                .iter_mut()
                .for_each(|job| job.alone = several && large(&job.input));
        }
        if let Some(free) = free(place) {
            plan.check_room(place, args, free);
        }
        Ok(plan)
    }

    /// Reads headers; one after the other, for the order of messages.
    fn open(&mut self, args: &Upscale, place: &Place) -> Vec<Input> {
        let mut seen = HashSet::new();
        let mut inputs = Vec::new();
        let own = match place {
            Place::Folder(folder) => fs::canonicalize(folder).ok(),
            _ => None,
        };
        for name in &args.inputs {
            let whole = fs::canonicalize(name).unwrap_or_else(|_| name.clone());
            if own.as_ref() == Some(&whole) {
                let note = Remark::new("results-folder", "this is where results go, and is passed over");
                self.notes.push((name.clone(), note));
                continue;
            }
            // As a shell's FOLDER/* names it; where nothing else is named it was meant.
            if whole.is_dir() && args.inputs.iter().any(|other| other.is_file()) {
                let note = "a folder, passed over: name the images in it, as in FOLDER/*";
                self.notes
                    .push((name.clone(), Remark::new("folder-passed-over", note)));
                continue;
            }
            // By its own name, for a link may want a result of its own.
            if !seen.insert((whole, name.file_name().map(OsStr::to_owned))) {
                let note = Remark::new("named-twice", "named twice, enlarged once");
                self.notes.push((name.clone(), note));
                continue;
            }
            let opened = super::guarded(name, || Input::open(name, super::taken(args)));
            match opened {
                Ok(input) => inputs.push(input),
                Err(why) => self.refused.push((name.clone(), why)),
            }
        }
        inputs
    }

    /// Makes the folder, and tries whether a file can be written there. Tells whether names there differ by case alone.
    fn prepare(&mut self, place: &Place) -> Result<bool> {
        let probe = match place {
            Place::Stdout => return Ok(false),
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

    fn name(&mut self, place: &Place, suffix: &str, folded: bool) {
        match place {
            Place::Stdout => {}
            Place::File(path) => self.jobs.iter_mut().for_each(|j| j.target = Some(path.clone())),
            Place::Folder(folder) => {
                let inputs: Vec<&Path> = self.jobs.iter().map(|j| j.input.name.as_path()).collect();
                for (i, (name, own)) in names(&inputs, suffix, folded).into_iter().enumerate() {
                    let Job { input, target, .. } = &mut self.jobs[i];
                    if !own {
                        let note = format!(
                            "another image's result has the usual name, so this result is {}",
                            shown(Path::new(&name))
                        );
                        self.notes
                            .push((input.name.clone(), Remark::new("renamed", note)));
                    }
                    *target = Some(folder.join(name));
                }
            }
        }
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

    fn check_room(&mut self, place: &Place, args: &Upscale, free: u64) {
        let raw: Vec<u64> = self
            .jobs
            .iter()
            .map(|j| raw_bytes(j.input.header, result_pixels(j.input.header, args)))
            .collect();
        let mut fits = room(&raw, free).into_iter().zip(raw);
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

/// A name for each result, and whether it is the usual one: `photo-x4.png` of `photo.jpg`. Where two inputs have the same, a later one has
/// its ending in it, `photo.jpg-x4.png`, and a number where that is not enough.
fn names(inputs: &[&Path], suffix: &str, folded: bool) -> Vec<(OsString, bool)> {
    let result = |stem: &OsStr, number: Option<u32>| {
        let mut name = stem.to_os_string();
        name.push(number.map_or(String::new(), |n| format!("-{n}")));
        name.push(format!("-{suffix}.png"));
        name
    };
    let mut taken = HashSet::new();
    let mut take = |name: &OsStr| {
        taken.insert(if folded {
            OsString::from(name.to_string_lossy().to_lowercase())
        } else {
            name.to_os_string()
        })
    };
    // The usual names first: none of them goes to another input.
    let usual: Vec<Option<OsString>> = inputs
        .iter()
        .map(|input| Some(result(input.file_stem().unwrap_or_default(), None)).filter(|n| take(n)))
        .collect();
    let mut another = |input: &Path| {
        let whole = input.file_name().unwrap_or_default();
        let mut name = result(whole, None);
        let mut number = 1;
        while !take(&name) {
            number += 1;
            name = result(whole, Some(number));
        }
        name
    };
    usual
        .into_iter()
        .zip(inputs)
        .map(|(usual, input)| match usual {
            Some(name) => (name, true),
            None => (another(input), false),
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

fn pixels(header: Header) -> u64 {
    u64::from(header.width) * u64::from(header.height)
}

/// Photographs are packed to a half of their samples or a little more; drawings to much less.
const PACKED: u64 = 5;

/// Which results of so many bytes before they are packed find room on a disk, in order: each is taken for a fifth of them, so that
/// what is refused would hardly have fitted.
fn room(raw: &[u64], free: u64) -> Vec<bool> {
    let mut left = free;
    let mut fits = |raw: &u64| match left.checked_sub(raw / PACKED) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    raw.iter().map(&mut fits).collect()
}

/// Bytes that are free where results go; none where the system does not tell, and for standard output.
fn free(place: &Place) -> Option<u64> {
    let folder = match place {
        Place::Stdout => return None,
        Place::File(path) => files::folder_of(path),
        Place::Folder(folder) => folder,
    };
    fs4::available_space(folder).ok()
}

/// Refuses an image for which the memory cannot be enough.
pub(super) fn check_memory(input: &Input, args: &Upscale, scale: usize, free: u64) -> Result<()> {
    let needed = memory_for(input, args, scale);
    if needed <= free {
        return Ok(());
    }
    Err(Error::at(
        &input.name,
        format!(
            "it needs {} of memory, and {} are free: make it smaller, choose a smaller --tile, or end other programs",
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
/// second pass the first one's result is held.
fn memory_for(input: &Input, args: &Upscale, scale: usize) -> u64 {
    let (header, tile) = (input.header, u64::from(args.tile));
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
    let each = match (args.device, args.mode()) {
        (DeviceChoice::Cpu, Mode::Instant) => RESTORER,
        (DeviceChoice::Cpu, _) => FLOW,
        // Memory of its own, and smaller tiles where it is not enough.
        _ => 0,
    };
    BASE + samples + input.size.max(rows + tile.min(width) * tile.min(height) * each)
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

    fn named(inputs: &[&str], folded: bool) -> Vec<String> {
        let inputs: Vec<&Path> = inputs.iter().map(Path::new).collect();
        let names = names(&inputs, "x4", folded);
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
    }

    #[test]
    #[cfg(unix)]
    fn names_that_are_no_text_stay_apart() {
        use std::os::unix::ffi::OsStrExt as _;
        let inputs = [&b"\xff.png"[..], b"\xfe.png"].map(|n| Path::new(OsStr::from_bytes(n)));
        let names = names(&inputs, "x2", false);
        assert_eq!(names[0].0.as_bytes(), b"\xff-x2.png");
        assert_eq!(names[1].0.as_bytes(), b"\xfe-x2.png");
    }

    #[test]
    fn a_fifth_of_the_samples_has_to_be_free() {
        assert_eq!(room(&[50, 100, 10], 20), [true, false, true]);
        assert_eq!(room(&[50, 50], 20), [true, true]);
        assert_eq!(room(&[50], 9), [false]);
        let header = Header {
            width: 10,
            height: 20,
            samples: 4,
            bits: 16,
        };
        assert_eq!(raw_bytes(header, 4 * pixels(header)), 20 * 40 * 4 * 2);
    }
}
