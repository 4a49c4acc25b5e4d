//! What was measured of a result, drawn: grey images of the input's size.

use std::path::{Path, PathBuf};

use asasr_codec::{Format, Layout, PngRows, SharedBytes};
use asasr_core::pipeline::Report;
use asasr_core::{Size, metrics};

use super::input::Input;
use super::place::{MadeFolder, Place, check_target};
use crate::cli::Upscale;
use crate::error::{Error, Result, code};
use crate::files::{self, Identity};

/// How much brighter a map is than what it shows, in grey levels: departures are small.
const GAIN: f32 = 8.0;

/// Where the maps of an image go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) consistency: Option<PathBuf>,
    pub(super) spread: Option<PathBuf>,
}

/// Where maps of all images go.
pub(super) struct MapPlaces {
    consistency: Option<Place>,
    spread: Option<Place>,
}

impl MapPlaces {
    /// What `--consistency` and `--spread` mean for one input or for `several`.
    pub(super) fn of(args: &Upscale, several: bool) -> Result<Self> {
        let place = |name: &str, path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            match Place::of(path, several, &[Format::Png])? {
                Place::Stdout => Err(Error::new(format!(
                    "--{name} -: a map goes to a file: name a .png file or a folder"
                ))),
                place => Ok(Some(place)),
            }
        };
        Ok(Self {
            consistency: place("consistency", &args.consistency)?,
            spread: place("spread", &args.spread)?,
        })
    }

    /// The folders of maps of several images.
    pub(super) fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let places = [&self.consistency, &self.spread].into_iter().flatten();
        places.filter_map(|place| match place {
            Place::Folder(folder) => Some(folder),
            _ => None,
        })
    }

    /// The maps of an image whose result has that place. A folder's maps lie and are called as the results are, but for the ending.
    ///
    /// # Errors
    /// Where a map would replace an input, the result or the other map, or cannot be written.
    pub(super) fn for_image(
        &self,
        (input, below): (&Input, &Path),
        target: Option<&Path>,
        read: &[(Identity, PathBuf)],
    ) -> Result<Maps> {
        let named = |place: &Option<Place>| match place {
            Some(Place::File(path)) => Some(path.clone()),
            Some(Place::Folder(folder)) => {
                let result = target.and_then(Path::file_name);
                let name = Path::new(result.or(input.name.file_name()).unwrap_or_default());
                Some(folder.join(below).join(name.with_extension("png")))
            }
            Some(Place::Stdout | Place::Beside) | None => None,
        };
        let maps = Maps {
            consistency: named(&self.consistency),
            spread: named(&self.spread),
        };
        let all = [
            target.map(Path::to_path_buf),
            maps.consistency.clone(),
            maps.spread.clone(),
        ];
        let places: Vec<&PathBuf> = all.iter().flatten().collect();
        for (i, path) in places.iter().enumerate() {
            if places[..i].contains(path) {
                let why = "the result and its maps cannot be one file: name another place";
                return Err(Error::at(path, why).coded(code::PLACE));
            }
        }
        for map in [&maps.consistency, &maps.spread].into_iter().flatten() {
            check_target(input, map, read)?;
        }
        Ok(maps)
    }

    /// Makes the folders, and tries whether files can be written there.
    pub(super) fn prepare(&self) -> Result<Vec<MadeFolder>> {
        let mut made = Vec::new();
        for place in [&self.consistency, &self.spread].into_iter().flatten() {
            let probe = match place {
                Place::Folder(folder) => {
                    if !folder.is_dir() {
                        made.push(MadeFolder::new(folder)?);
                    }
                    folder.join("map.png")
                }
                Place::File(path) => path.clone(),
                Place::Stdout | Place::Beside => continue,
            };
            files::beside(&probe)?;
        }
        Ok(made)
    }
}

impl Maps {
    /// Where they go.
    pub(super) fn places(&self) -> impl Iterator<Item = &Path> {
        let places = [&self.consistency, &self.spread].into_iter().flatten();
        places.map(PathBuf::as_path)
    }

    /// Draws what a report of an image of that size has.
    pub(super) fn draw(&self, size: Size, report: &Report) -> Result<()> {
        if let (Some(path), Some(told)) = (&self.consistency, &report.consistency) {
            write(path, size, told.differences.iter().map(|level| f32::from(*level)))?;
        }
        if let (Some(path), Some(told)) = (&self.spread, &report.invented) {
            write(path, size, told.map.iter().copied())?;
        }
        Ok(())
    }
}

/// A grey PNG of grey levels, made brighter.
fn write(path: &Path, size: Size, levels: impl Iterator<Item = f32>) -> Result<()> {
    let at = |e: asasr_codec::Error| Error::of(path, &e);
    let samples: Vec<u8> = levels.map(|level| metrics::to_u8(GAIN * level / 255.0)).collect();
    let bytes = SharedBytes::default();
    let mut png = PngRows::new(bytes.clone(), size, Layout::Grey, 8).map_err(at)?;
    png.write_samples(&samples).map_err(at)?;
    png.finish().map_err(at)?;
    files::write(path, &bytes.take())
}
