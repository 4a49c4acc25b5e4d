//! Places of results and maps.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use super::input::Input;
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
}

impl Place {
    /// What `-o` means for so many inputs.
    pub(super) fn of(output: &Path, inputs: usize) -> Result<Self> {
        if output == Path::new("-") {
            if inputs > 1 {
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
        if output.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
            if inputs > 1 {
                return Err(Error::at(output, "several images need a folder as output"));
            }
            return Ok(Self::File(output.to_path_buf()));
        }
        if output.extension().is_some() || fs::symlink_metadata(output).is_ok() {
            return Err(Error::at(
                output,
                "results are PNG files: name a .png file or a folder",
            ));
        }
        Ok(Self::Folder(output.to_path_buf()))
    }

    /// Refuses to write an image to a terminal.
    pub(super) fn check_terminal(&self) -> Result<()> {
        if *self == Self::Stdout && io::stdout().is_terminal() {
            return Err(Error::new(
                "-o -: standard output is a terminal: lead it to a file or another program, or name a .png file",
            ));
        }
        Ok(())
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Stdout => "standard output".into(),
            Self::File(path) | Self::Folder(path) => shown(path),
        }
    }
}

/// Folders that were made, each in the one before it.
#[derive(Debug)]
pub(super) struct MadeFolder(Vec<PathBuf>);

impl MadeFolder {
    /// Makes a folder and those above it.
    pub(super) fn new(folder: &Path) -> Result<Self> {
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
        let of = |output: &str, inputs| Place::of(Path::new(output), inputs);
        assert_eq!(of("-", 1), Ok(Place::Stdout));
        assert!(of("-", 2).is_err() && of("", 1).is_err());
        assert_eq!(of("a.PNG", 1), Ok(Place::File("a.PNG".into())));
        assert!(of("a.png", 2).is_err() && of("a.tiff", 1).is_err());
        assert_eq!(of("new", 2), Ok(Place::Folder("new".into())));
        assert_eq!(of("new.png/", 2), Ok(Place::Folder("new.png/".into())));
        assert!(of("Cargo.toml", 1).is_err() && of("/dev/null", 1).is_err());
        assert_eq!(of("src", 1), Ok(Place::Folder("src".into())));
    }
}
