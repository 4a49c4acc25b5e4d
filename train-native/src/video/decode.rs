//! Frames of a video, in order, with their times: ffmpeg decodes, and tells the times beside the pixels.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{ChildStderr, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use asasr_core::{Layout, Raster, Samples, Size};

use super::clock::TimeBase;
use super::tools::{Running, Tools, file, plain};
use crate::error::{Error, Result, code};

/// What is to be decoded, and as what.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) path: PathBuf,
    /// Among the streams.
    pub(super) stream: usize,
    /// Of frames as they come.
    pub(super) size: Size,
    pub(super) base: TimeBase,
    /// Where the file's clock begins, in microseconds.
    pub(super) start: i64,
    /// Bits of a sample: 8 or 16.
    pub(super) bits: u8,
    pub(super) alpha: bool,
    /// Whether pixels are turned as the video is shown.
    pub(super) upright: bool,
    pub(super) interlaced: bool,
    /// Options of the filter that makes RGB.
    pub(super) convert: String,
    /// What stretches begin with.
    pub(super) lead: Lead,
}

/// Frames before a stretch, which whoever looks back at frames needs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lead {
    pub(super) frames: usize,
    /// How long they last at most, in microseconds.
    pub(super) lasts: i64,
}

/// A frame.
#[derive(Debug)]
pub(super) struct Frame {
    /// Its time in ticks of the stream.
    pub(super) tick: i64,
    pub(super) pixels: Vec<u8>,
}

/// What happened while a video was decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    /// How many lines ffmpeg said of what was wrong, and the first of them.
    pub(super) told: usize,
    pub(super) first: Option<String>,
    /// Frames that were not later than the one before, and were left out.
    pub(super) late: u64,
}

/// Decodes a video from some place on.
pub(super) struct Decoder<'a> {
    reading: &'a Reading,
    process: Running,
    pixels: ChildStdout,
    times: Receiver<i64>,
    listener: Option<JoinHandle<Faults>>,
    ahead: Option<Frame>,
    /// The pixels of the frames before that, as many as a stretch leads in with.
    before: VecDeque<Vec<u8>>,
    /// The time of the last frame.
    last: Option<i64>,
    late: u64,
    /// Whether it began in the middle, where frames that need earlier ones are faulty for no fault of the file.
    sought: bool,
}

impl Reading {
    fn frame_bytes(&self) -> usize {
        self.size.pixels() * self.samples() * usize::from(self.bits / 8)
    }

    fn samples(&self) -> usize {
        if self.alpha { 4 } else { 3 }
    }

    /// The image of a frame's pixels; what is transparent shows white.
    pub(super) fn image(&self, pixels: Vec<u8>) -> Raster {
        let samples = if self.bits == 16 {
            let both = pixels.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
            let all: Vec<u16> = both.collect();
            Samples::Sixteen(if self.alpha { on_white(&all, u16::MAX) } else { all })
        } else if self.alpha {
            Samples::Eight(on_white(&pixels, u8::MAX))
        } else {
            Samples::Eight(pixels)
        };
        debug_assert_eq!(samples.len(), self.size.pixels() * 3);
        Raster {
            size: self.size,
            layout: Layout::Rgb,
            samples,
        }
    }

    /// The filters of a frame. Times are told after what may change them.
    fn filters(&self) -> String {
        let Size { width, height } = self.size;
        let weave = if self.interlaced {
            // A frame for a frame.
            "bwdif=mode=send_frame:deint=interlaced,"
        } else {
            ""
        };
        let pixels = match (self.bits, self.alpha) {
            (16, false) => "rgb48le",
            (16, true) => "rgba64le",
            (_, false) => "rgb24",
            (_, true) => "rgba",
        };
        format!(
            "{weave}settb={},showinfo=checksum=0,scale={width}:{height}:{},format={pixels}",
            self.base, self.convert
        )
    }
}

/// Samples of four a pixel, the last of them alpha, laid on white.
fn on_white<T: Copy + Into<u32> + TryFrom<u32> + Default>(samples: &[T], most: T) -> Vec<T> {
    let white: u64 = u64::from(most.into());
    let mut out = Vec::with_capacity(samples.len() / 4 * 3);
    for pixel in samples.chunks_exact(4) {
        let alpha = u64::from(pixel[3].into());
        out.extend(pixel[..3].iter().map(|colour| {
            let sum = u64::from((*colour).into()) * alpha + white * (white - alpha);
            T::try_from(((sum + white / 2) / white) as u32).unwrap_or_default()
        }));
    }
    out
}

impl<'a> Decoder<'a> {
    /// Decodes from the first frame that is not before `tick`.
    ///
    /// # Errors
    /// Where ffmpeg cannot be started or reads nothing.
    pub(super) fn from(reading: &'a Reading, tools: &Tools, tick: Option<i64>) -> Result<Self> {
        let Some(tick) = tick else {
            return Self::start(reading, tools, None);
        };
        // A second before, for indexes are not always exact.
        let before = reading.base.micros(tick) - reading.start - 1_000_000 - reading.lead.lasts;
        let mut decoder = Self::start(reading, tools, (before > 0).then_some(before))?;
        if before > 0 && decoder.peek()?.is_none_or(|frame| frame.tick > tick) {
            // It went too far, or there is nothing: from the beginning there is no doubt.
            decoder = Self::start(reading, tools, None)?;
        }
        while decoder.peek()?.is_some_and(|frame| frame.tick < tick) {
            if let Some(frame) = decoder.ahead.take() {
                decoder.remember(frame.pixels);
            }
        }
        Ok(decoder)
    }

    /// Decodes from the key frame before so many microseconds, or from the beginning.
    fn start(reading: &'a Reading, tools: &Tools, micros: Option<i64>) -> Result<Self> {
        let mut command = tools.ffmpeg();
        command.args([
            "-nostdin",
            "-nostats",
            "-v",
            "level+info",
            "-copyts",
            "-noaccurate_seek",
        ]);
        if let Some(micros) = micros {
            command.arg("-ss").arg(format!("{micros}us"));
        }
        if !reading.upright {
            command.arg("-noautorotate");
        }
        command.arg("-i").arg(file(&reading.path));
        command.arg("-map").arg(format!("0:{}", reading.stream));
        command.args(["-vf", &reading.filters(), "-fps_mode", "passthrough"]);
        command.args(["-f", "rawvideo", "pipe:1"]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| {
                Error::at(&reading.path, format!("ffmpeg cannot be started ({e})")).coded(code::FFMPEG)
            })?;
        let streams = child.stdout.take().zip(child.stderr.take());
        let process = Running(child);
        let (pixels, said) = streams.ok_or_else(|| Error::at(&reading.path, "ffmpeg has no pipes"))?;
        let (send, times) = channel();
        Ok(Self {
            reading,
            process,
            pixels,
            times,
            listener: Some(thread::spawn(move || hear(said, &send))),
            ahead: None,
            before: VecDeque::new(),
            last: None,
            late: 0,
            sought: micros.is_some(),
        })
    }

    /// The next frame, which stays the next; none at the end.
    pub(super) fn peek(&mut self) -> Result<Option<&Frame>> {
        while self.ahead.is_none() {
            let Some(frame) = self.read()? else {
                return Ok(None);
            };
            if self.last.is_some_and(|last| frame.tick <= last) {
                self.late += 1;
            } else {
                self.last = Some(frame.tick);
                self.ahead = Some(frame);
            }
        }
        Ok(self.ahead.as_ref())
    }

    /// Takes the next frame.
    pub(super) fn take(&mut self) -> Result<Option<Frame>> {
        self.peek()?;
        let frame = self.ahead.take();
        if let Some(frame) = frame.as_ref().filter(|_| self.reading.lead.frames > 0) {
            self.remember(frame.pixels.clone());
        }
        Ok(frame)
    }

    fn remember(&mut self, pixels: Vec<u8>) {
        self.before.push_back(pixels);
        while self.before.len() > self.reading.lead.frames {
            self.before.pop_front();
        }
    }

    /// The pixels of the frames before the next, the earliest first.
    pub(super) fn lead(&self) -> impl Iterator<Item = Vec<u8>> {
        self.before.iter().cloned()
    }

    fn read(&mut self) -> Result<Option<Frame>> {
        let mut pixels = vec![0; self.reading.frame_bytes()];
        let mut filled = 0;
        while filled < pixels.len() {
            match self.pixels.read(&mut pixels[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::of(&self.reading.path, &e)),
            }
        }
        if filled < pixels.len() {
            self.check_end()?;
            return Ok(None);
        }
        let untold =
            |_| Error::at(&self.reading.path, "ffmpeg does not tell when its frames are").coded(code::FFMPEG);
        let tick = self.times.recv().map_err(untold)?;
        Ok(Some(Frame { tick, pixels }))
    }

    /// Whether ffmpeg came to the video's end, and not to its own.
    fn check_end(&mut self) -> Result<()> {
        let at = |why: String| Error::at(&self.reading.path, why).coded(code::VIDEO);
        let status = (self.process.0.wait()).map_err(|e| Error::of(&self.reading.path, &e))?;
        if status.success() {
            return Ok(());
        }
        let faults = self
            .listener
            .take()
            .and_then(|l| l.join().ok())
            .unwrap_or_default();
        let why = faults
            .first
            .unwrap_or_else(|| format!("ffmpeg ended with {status}"));
        Err(at(format!("it cannot be decoded ({why})")))
    }

    /// Ends the work; what was wrong meanwhile.
    pub(super) fn finish(mut self) -> Faults {
        let _ = self.process.0.kill();
        let heard = self.listener.take().and_then(|l| l.join().ok());
        Faults {
            late: self.late,
            ..heard.filter(|_| !self.sought).unwrap_or_default()
        }
    }
}

/// Reads what ffmpeg says: times of frames, which are passed on, and faults, which are counted.
fn hear(said: ChildStderr, times: &Sender<i64>) -> Faults {
    let mut faults = Faults::default();
    for line in BufReader::new(said).split(b'\n').map_while(io::Result::ok) {
        let line = String::from_utf8_lossy(&line);
        let line = plain(&line);
        if let Some(tick) = time_of(line) {
            // Nobody may want more.
            let _ = times.send(tick);
        } else if let Some(fault) = fault_of(line) {
            faults.told += 1;
            faults.first.get_or_insert_with(|| fault.to_owned());
        }
    }
    faults
}

/// What a line says of a fault of the video; that two frames have one time is told in another way.
fn fault_of(line: &str) -> Option<&str> {
    let fault = ["[error] ", "[fatal] "]
        .iter()
        .find_map(|l| line.strip_prefix(l))?;
    let fault = plain(fault);
    (!fault.contains("non monotonically increasing dts to muxer")).then_some(fault)
}

/// The time in a line of the filter showinfo: `n:   0 pts:   1001 pts_time:0.04 ...`. Frames without one have `NOPTS`, and are late.
fn time_of(line: &str) -> Option<i64> {
    let rest = line.strip_prefix("[info] n:")?.split_once(" pts:")?.1;
    let word = rest.split_whitespace().next()?;
    Some(word.parse().unwrap_or(i64::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_of_what_ffmpeg_says() {
        let line =
            "[Parsed_showinfo_0 @ 0x56] [info] n:   3 pts:   2127 pts_time:2.127   pos:    23231 fmt:yuv420p";
        assert_eq!(time_of(plain(line)), Some(2127));
        assert_eq!(time_of("[info] n: 12 pts:-1001 pts_time:-0.04"), Some(-1001));
        assert_eq!(time_of("[info] n: 12 pts:  NOPTS pts_time:NOPTS"), Some(i64::MIN));
        assert_eq!(
            time_of("[info] config in time_base: 1/1000, frame_rate: 25/1"),
            None
        );
        assert_eq!(time_of("[error] n: 1 pts: 3"), None);
        assert_eq!(
            fault_of("[error] File ended prematurely"),
            Some("File ended prematurely")
        );
        assert_eq!(fault_of("[warning] odd"), None);
        let ours = "[error] Application provided invalid, non monotonically increasing dts to muxer in stream 0: 5 >= 5";
        assert_eq!(fault_of(ours), None);
    }

    #[test]
    fn what_is_transparent_shows_white() {
        assert_eq!(
            on_white(&[10u8, 20, 30, 255, 10, 20, 30, 0], 255),
            [10, 20, 30, 255, 255, 255]
        );
        assert_eq!(on_white(&[0u8, 255, 100, 128], 255), [127, 255, 177]);
        assert_eq!(
            on_white(&[1u16, 2, 3, 65535, 1, 2, 3, 0], 65535),
            [1, 2, 3, 65535, 65535, 65535]
        );
    }
}
