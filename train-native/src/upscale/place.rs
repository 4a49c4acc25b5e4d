//! Places of results and maps.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use asasr_codec::{Format, Saving};

use super::input::Input;
use crate::cli::Upscale;
use crate::error::{Error, Result, code, shown};
use crate::files::{self, Identity};

/// Where results go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard output: one result.
    Stdout,
    /// One result.
    File(PathBuf),
    /// A file for each.
    Folder(PathBuf),
    /// A file beside each.
    Beside,
}

impl Place {
    /// Where results go that were not given a place: beside their images, and of standard input on standard output.
    pub(super) fn unnamed(args: &Upscale) -> Result<Self> {
        if args.recursive && args.inputs.iter().any(|input| input.is_dir()) {
            return Err(Error::new(
                "-r needs -o FOLDER: the next run would enlarge results that lie among the photos",
            ));
        }
        let is_filter = args.inputs.len() == 1 && args.inputs[0] == Path::new("-");
        Ok(if is_filter { Self::Stdout } else { Self::Beside })
    }

    /// What `-o` means for one input, or for `several`; a file's name ends as those of one of `formats`.
    pub(super) fn of(output: &Path, several: bool, formats: &[Format]) -> Result<Self> {
        if output == Path::new("-") {
            if several {
                return Err(Error::new(
                    "-o -: standard output takes one image; name a folder for several",
                ));
            }
            return Ok(Self::Stdout);
        }
        if output.as_os_str().is_empty() {
            return Err(Error::new("-o names nothing: name a .png file or a folder"));
        }
        // A separator at the end says folder.
        let spelt = output.as_os_str().as_encoded_bytes();
        let folder = spelt
            .last()
            .is_some_and(|b| std::path::is_separator(char::from(*b)));
        if folder || output.is_dir() {
            return Ok(Self::Folder(output.to_path_buf()));
        }
        if format_of(output).is_some_and(|format| formats.contains(&format)) {
            if several {
                return Err(Error::at(output, "several images need a folder as output"));
            }
            return Ok(Self::File(output.to_path_buf()));
        }
        if output.extension().is_some() || fs::symlink_metadata(output).is_ok() {
            let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
            let kinds = match names.split_last() {
                Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
                _ => names.concat(),
            };
            let why = format!(
                "what is written is {kinds}: name a .png file, or a folder with {} at its end",
                std::path::MAIN_SEPARATOR
            );
            return Err(Error::at(output, why));
        }
        Ok(Self::Folder(output.to_path_buf()))
    }

    /// Refuses to write an image to a terminal.
    pub(super) fn check_terminal(&self) -> Result<()> {
        if *self == Self::Stdout && io::stdout().is_terminal() {
            return Err(Error::new(
                "standard output is a terminal: lead it to a file or another program, or name a .png file",
            ));
        }
        Ok(())
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File(path) | Self::Folder(path) => shown(path),
            Self::Beside => "the images".into(),
        }
    }
}

/// The format that a file's name says.
fn format_of(path: &Path) -> Option<Format> {
    Format::of_ending(path.extension()?.to_str()?)
}

/// In which format, and of what quality, results are written: as `--format` and `--quality` say, or the name of the file.
///
/// # Errors
/// Where these contradict, or this program does not write that format.
pub(super) fn saving(args: &Upscale, place: &Place) -> Result<Saving> {
    /// As the page has it.
    const QUALITY: u8 = 92;
    let named = match place {
        Place::File(path) => format_of(path).map(|format| (path, format)),
        Place::Stdout | Place::Folder(_) | Place::Beside => None,
    };
    let format = match (args.format, named) {
        (Some(format), Some((path, named))) if format != named => {
            let (name, ending) = (format.name(), format.ending());
            let why = format!("--format says {name}: name a .{ending} file, or leave the option out");
            return Err(Error::at(path, why));
        }
        (Some(format), _) | (None, Some((_, format))) => format,
        (None, None) => Format::Png,
    };
    if !format.is_written() {
        return Err(Error::new(format!(
            "{} is not written by this build of the program: build it with `--features {}`, or choose another --format",
            format.name(),
            format.ending()
        )));
    }
    if args.quality.is_some() && !format.is_lossy() {
        return Err(Error::new(format!(
            "--quality is for JPEG, WebP and AVIF: {} keeps all there is; leave it out, or choose another --format",
            format.name()
        )));
    }
    Ok(Saving {
        format,
        quality: args.quality.unwrap_or(QUALITY),
    })
}

/// Folders that were made, each in the one before it.
#[derive(Debug)]
pub(crate) struct MadeFolder(Vec<PathBuf>);

impl MadeFolder {
    /// Makes a folder and those above it.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let missing = folder
            .ancestors()
            .take_while(|f| !f.as_os_str().is_empty() && !f.exists());
        let mut made: Vec<PathBuf> = missing.map(Path::to_path_buf).collect();
        made.reverse();
        files::make_folder(folder)?;
        Ok(Self(made))
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        // With anything in it, it stays, and so do those around it.
        for folder in self.0.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Refuses a result over an input, under whatever name, and places that no file can take. `read` has all inputs.
pub(super) fn check_target(input: &Input, target: &Path, read: &[(Identity, PathBuf)]) -> Result<()> {
    let place = |why: String| Error::at(&input.name, why).coded(code::PLACE);
    files::check_place(target).map_err(|e| place(format!("its result: {e}")))?;
    let there = files::identity(target);
    match read.iter().find(|(i, _)| there.as_ref() == Some(i)) {
        None => Ok(()),
        Some((_, other)) => Err(place(format!(
            "its result would replace {}: name another output",
            shown(other)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart() {
        let of = |output: &str, several| Place::of(Path::new(output), several, &Format::ALL);
        assert_eq!(of("-", false), Ok(Place::Stdout));
        assert!(of("-", true).is_err() && of("", false).is_err());
        for name in ["a.PNG", "a.tiff", "a.jpeg", "a.webp", "a.avif", "a.jxl"] {
            assert_eq!(of(name, false), Ok(Place::File(name.into())));
        }
        assert!(of("a.png", true).is_err() && of("a.gif", false).is_err());
        assert!(Place::of(Path::new("a.jpg"), false, &[Format::Png]).is_err());
        assert_eq!(of("new", true), Ok(Place::Folder("new".into())));
        assert_eq!(of("new.png/", true), Ok(Place::Folder("new.png/".into())));
        assert!(of("Cargo.toml", false).is_err() && of("/dev/null", false).is_err());
        assert_eq!(of("src", false), Ok(Place::Folder("src".into())));
    }
}
