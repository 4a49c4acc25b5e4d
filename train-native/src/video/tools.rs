//! The programs ffmpeg and ffprobe: found, their version checked, run.

use std::collections::HashSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Result, code, shown};

/// The oldest version that has all that is asked of it.
const LEAST: (u32, u32) = (5, 1);

/// How people come by it.
const REMEDY: &str = "install ffmpeg 5.1 or newer (apt install ffmpeg, brew install ffmpeg, winget install ffmpeg), or name it by --ffmpeg PATH";

/// ffmpeg and ffprobe, which are there and new enough.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    /// As the program says it.
    pub(super) version: String,
    encoders: HashSet<String>,
}

impl Tools {
    /// Those of the path `named`, or that the shell finds.
    ///
    /// # Errors
    /// Where one is missing or too old, with the remedy.
    pub(crate) fn find(named: Option<&Path>) -> Result<Self> {
        let ending = env::consts::EXE_SUFFIX;
        let ffmpeg = match named {
            None => PathBuf::from(format!("ffmpeg{ending}")),
            Some(folder) if folder.is_dir() => folder.join(format!("ffmpeg{ending}")),
            Some(file) => file.to_path_buf(),
        };
        // Beside it, under a name that differs as theirs do: ffmpeg-7 and ffprobe-7.
        let name = ffmpeg.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let beside = ffmpeg.with_file_name(name.replace("ffmpeg", "ffprobe"));
        let ffprobe = if named.is_none() || name.contains("ffmpeg") && beside.is_file() {
            beside
        } else {
            PathBuf::from(format!("ffprobe{ending}"))
        };
        let version = checked(&ffmpeg)?;
        checked(&ffprobe)?;
        let encoders = text_of(command(&ffmpeg).args(["-hide_banner", "-v", "error", "-encoders"]))
            .map_err(|why| Error::at(&ffmpeg, why).coded(code::FFMPEG))?;
        let named = |line: &str| {
            let mut words = line.split_whitespace();
            let video = words.next().is_some_and(|flags| flags.starts_with('V'));
            words.next().filter(|_| video).map(str::to_owned)
        };
        Ok(Self {
            encoders: encoders.lines().filter_map(named).collect(),
            ffmpeg,
            ffprobe,
            version,
        })
    }

    /// Whether it encodes by that encoder.
    pub(crate) fn encodes(&self, encoder: &str) -> bool {
        self.encoders.contains(encoder)
    }

    /// ffmpeg, to be given its words; errors alone are told.
    pub(crate) fn ffmpeg(&self) -> Command {
        let mut command = command(&self.ffmpeg);
        command.args(["-hide_banner", "-y"]);
        command
    }

    /// ffprobe, the same.
    pub(super) fn ffprobe(&self) -> Command {
        let mut command = command(&self.ffprobe);
        command.args(["-hide_banner", "-v", "error", "-print_format", "json"]);
        command
    }
}

/// A file as ffmpeg takes it whatever its name says: no option, address or list.
pub(super) fn file(path: &Path) -> OsString {
    let mut word = OsString::from("file:");
    word.push(path);
    word
}

/// A program that Ctrl-C does not reach: this one ends it when it is time.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command
}

/// The version of a program that is there and new enough.
fn checked(program: &Path) -> Result<String> {
    let refused = |why: String| Error::new(why).coded(code::FFMPEG);
    let name = shown(program);
    let told = command(program).arg("-version").output().map_err(|e| {
        refused(if e.kind() == io::ErrorKind::NotFound {
            format!("{name} is not there, and videos are read and written by it: {REMEDY}")
        } else {
            format!("{name} cannot be started ({e}): {REMEDY}")
        })
    })?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let line = text.lines().next().unwrap_or_default();
    let version = line
        .split_once(" version ")
        .and_then(|(_, rest)| rest.split_whitespace().next());
    let Some(version) = version.filter(|_| told.status.success()) else {
        return Err(refused(format!(
            "{name} does not tell its version as ffmpeg does: {REMEDY}"
        )));
    };
    match numbers(version) {
        Some(found) if found < LEAST => Err(refused(format!(
            "{name} is of version {version}, which is too old: {REMEDY}"
        ))),
        // What is built of a commit has no number, and is new.
        _ => Ok(version.to_owned()),
    }
}

/// `5.1.9-0+deb12u1` and `n6.0` begin with numbers.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('n').split(['.', '-', '+']);
    let major = parts.next()?.parse().ok()?;
    Some((major, parts.next().and_then(|m| m.parse().ok()).unwrap_or(0)))
}

/// What a program prints, or the last thing that it says of why not.
pub(super) fn text_of(command: &mut Command) -> std::result::Result<String, String> {
    let told = command.output().map_err(|e| e.to_string())?;
    if told.status.success() {
        return Ok(String::from_utf8_lossy(&told.stdout).into_owned());
    }
    Err(last_said(&String::from_utf8_lossy(&told.stderr))
        .unwrap_or_else(|| format!("ended with {}", told.status)))
}

/// The last line of what a program says, without the places in memory that it names.
pub(super) fn last_said(text: &str) -> Option<String> {
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(plain(line).to_owned())
}

/// `[mov @ 0x55]` names the part of the program that speaks.
pub(super) fn plain(line: &str) -> &str {
    let line = line.trim();
    match line.split_once("] ") {
        Some((part, rest)) if part.starts_with('[') && part.contains(" @ 0x") => plain(rest),
        _ => line,
    }
}

/// Reads what a program says to its end, of which the last lines are kept.
pub(super) fn listen(from: impl Read) -> Vec<String> {
    const KEPT: usize = 20;
    let mut kept = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if !line.is_empty() {
            kept.push(line);
            if kept.len() > KEPT {
                kept.remove(0);
            }
        }
    }
    kept
}

/// A process that does not outlive its use.
#[derive(Debug)]
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_apart() {
        assert_eq!(numbers("5.1.9-0+deb12u1"), Some((5, 1)));
        assert_eq!((numbers("n6.0"), numbers("7-full")), (Some((6, 0)), Some((7, 0))));
        assert_eq!(numbers("N-109542-g1234"), None);
        assert!(numbers("4.4.2") < Some(LEAST));
    }

    #[test]
    fn what_is_said_is_plain() {
        assert_eq!(
            plain("[mov @ 0x5f] [error] moov atom not found"),
            "[error] moov atom not found"
        );
        assert_eq!(
            last_said("a\nfile:b: Invalid data\n\n").as_deref(),
            Some("file:b: Invalid data")
        );
        assert_eq!(last_said(" \n"), None);
    }
}
