//! A stretch's frames as a file: ffmpeg encodes what comes through a pipe.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::thread::{self, JoinHandle};

use asasr_core::Size;

use super::clock::TimeBase;
use super::feed;
use super::format::Packing;
use super::probe::Colours;
use super::tools::{Running, Tools, file, listen, plain};
use crate::error::{Error, Result, code};

/// What frames are, and how they are packed.
#[derive(Debug, Clone)]
pub(super) struct Writing {
    pub(super) size: Size,
    pub(super) base: TimeBase,
    /// Frames a second, on the whole.
    pub(super) rate: (i64, i64),
    /// Bits of a sample as it comes: 8 or 16.
    pub(super) bits: u8,
    /// Width to height of a pixel.
    pub(super) aspect: Option<(i64, i64)>,
    pub(super) packing: Packing,
    /// Options of the filter that makes brightness and colours of RGB.
    pub(super) convert: String,
    pub(super) colours: Colours,
}

/// A file of frames that is being written.
pub(super) struct Encoder<'a> {
    writing: &'a Writing,
    path: PathBuf,
    /// The result, for messages.
    target: &'a Path,
    process: Running,
    pixels: Option<ChildStdin>,
    listener: Option<JoinHandle<Vec<String>>>,
    /// The first frame's time.
    first: Option<i64>,
    finished: bool,
}

impl Writing {
    /// All that decides over a stretch's bytes, for the record of a run.
    pub(super) fn words(&self) -> Vec<String> {
        let rate = self.base.rate();
        let mut filters = vec![
            format!("settb=1/{rate}"),
            format!("scale={}", self.convert),
            format!("format={}", self.packing.pixels()),
        ];
        filters.extend(self.colours.filter());
        filters.extend(self.aspect.map(|(x, y)| format!("setsar={x}/{y}")));
        let mut words = vec!["-vf".to_owned(), filters.join(",")];
        words.extend(self.packing.options());
        words.extend(self.colours.options());
        let plain = ["-fps_mode", "passthrough", "-map_metadata", "-1"];
        words.extend(plain.map(str::to_owned));
        words.extend(["-enc_time_base".to_owned(), format!("1:{rate}")]);
        words.extend(["-video_track_timescale".to_owned(), rate.to_string()]);
        words
    }

    /// Nanoseconds from frame to frame, on the whole.
    fn period(&self) -> u64 {
        (1e9 * self.rate.1 as f64 / self.rate.0 as f64).round().max(1.0) as u64
    }
}

impl<'a> Encoder<'a> {
    /// Begins a file at `path`, a part of `target`.
    pub(super) fn start(writing: &'a Writing, tools: &Tools, path: &Path, target: &'a Path) -> Result<Self> {
        let mut command = tools.ffmpeg();
        // Three frames tell how many there are in a second.
        let probed = 4 * (writing.size.pixels() * 6 + 64);
        command.args(["-nostats", "-v", "error", "-probesize", &probed.to_string()]);
        command.args(["-copyts", "-f", "matroska", "-i", "pipe:0"]);
        command.args(writing.words());
        command.args(["-f", "mp4"]).arg(file(path));
        let started = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = started
            .map_err(|e| Error::at(target, format!("ffmpeg cannot be started ({e})")).coded(code::FFMPEG))?;
        let streams = child.stdin.take().zip(child.stderr.take());
        let process = Running(child);
        let (pixels, said) = streams.ok_or_else(|| Error::at(target, "ffmpeg has no pipes"))?;
        Ok(Self {
            writing,
            path: path.to_path_buf(),
            target,
            process,
            pixels: Some(pixels),
            listener: Some(thread::spawn(move || listen(said))),
            first: None,
            finished: false,
        })
    }

    /// Adds a frame of that time: RGB, of 16 bits the low byte first.
    pub(super) fn frame(&mut self, tick: i64, rgb: &[u8]) -> Result<()> {
        let head = match self.first {
            Some(_) => Vec::new(),
            None => feed::header(self.writing.size, self.writing.bits, self.writing.period()),
        };
        let first = *self.first.get_or_insert(tick);
        let nanos = self.writing.base.nanos(tick - first) as u64;
        let Some(out) = &mut self.pixels else {
            return Err(self.failed());
        };
        let written = io::Write::write_all(out, &head).and_then(|()| feed::frame(out, nanos, rgb));
        // It has gone, and tells why.
        written.map_err(|_| self.failed())
    }

    /// Waits until the file is whole, and on the disk.
    pub(super) fn finish(mut self) -> Result<()> {
        self.pixels = None;
        let status = self.process.0.wait().map_err(|e| Error::of(self.target, &e))?;
        if !status.success() {
            return Err(self.failed());
        }
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|e| Error::of(self.target, &e))?;
        self.finished = true;
        Ok(())
    }

    /// Why it ended before its time.
    fn failed(&mut self) -> Error {
        self.pixels = None;
        let status = self.process.0.wait();
        let said = self
            .listener
            .take()
            .and_then(|l| l.join().ok())
            .unwrap_or_default();
        let why = match status {
            Ok(status) => format!("ffmpeg ended with {status}"),
            Err(e) => e.to_string(),
        };
        write_error(self.target, &said, &why)
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.process.0.kill();
            let _ = self.process.0.wait();
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Why ffmpeg did not write a file, of what it said.
pub(super) fn write_error(path: &Path, said: &[String], otherwise: &str) -> Error {
    let all = said.join("\n");
    if all.contains("No space left on device") || all.contains("not enough space") {
        return Error::at(path, "the disk is full: make room on it").coded(code::DISK_FULL);
    }
    if all.contains("File too large") {
        return Error::at(
            path,
            "the system takes no file as large: allow larger ones, or write to another disk",
        )
        .coded(code::DISK_FULL);
    }
    // What it says first is nearer to the cause.
    let mut told = said.iter().filter(|line| !line.contains("[info]"));
    let why = told.next().map_or(otherwise, |line| plain(line));
    Error::at(path, format!("ffmpeg does not write it ({why})")).coded(code::FFMPEG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_file_is_not_written() {
        let of = |said: &str| {
            let said: Vec<String> = said.lines().map(str::to_owned).collect();
            write_error(Path::new("a.mp4"), &said, "ended")
        };
        let full = of("[mp4 @ 0x1] x\nav_interleaved_write_frame(): No space left on device");
        assert_eq!(full.message().code, code::DISK_FULL);
        assert!(full.to_string().contains("make room"), "{full}");
        assert!(
            of("Svt[info]: one\n[libx264 @ 0x1] bad size\nError")
                .to_string()
                .contains("(bad size)")
        );
        assert!(of("").to_string().contains("(ended)"));
    }
}
