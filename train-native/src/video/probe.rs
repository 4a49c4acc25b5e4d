//! What a video file holds, as ffprobe tells it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::Size;
use serde::Deserialize;

use super::boxes;
use super::clock::{TimeBase, fraction};
use super::rotation::Rotation;
use super::tools::{Tools, file, text_of};
use crate::error::{Error, Result, code, shown};

/// A video, of which nothing was decoded.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// Names of its container, as ffmpeg has them.
    pub(super) container: String,
    /// Where its streams begin, in microseconds of its own clock.
    pub(super) start: i64,
    /// Seconds.
    pub(super) duration: Option<f64>,
    /// That is enlarged.
    pub(super) pictures: Pictures,
    /// All streams, in order.
    pub(super) streams: Vec<Stream>,
}

/// A stream of pictures.
#[derive(Debug)]
pub(super) struct Pictures {
    /// Among the streams.
    pub(super) index: usize,
    pub(super) size: Size,
    pub(super) pixels: Pixels,
    pub(super) base: TimeBase,
    /// Frames a second, on the whole.
    pub(super) rate: (i64, i64),
    /// When it ends, in seconds of the file's clock, where that is told.
    pub(super) end: Option<f64>,
    /// Where it says so.
    pub(super) frames: Option<u64>,
    /// Width to height of a pixel, where it says so.
    pub(super) aspect: Option<(i64, i64)>,
    pub(super) colours: Colours,
    pub(super) interlaced: bool,
    /// How it is turned when it is shown.
    pub(super) rotation: Option<Rotation>,
    /// Whether it says beside its frames how bright they are, or how brightness changes.
    pub(super) lights: bool,
    /// Whether its transparency is kept beside its frames.
    pub(super) veiled: bool,
}

/// What a pixel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pixels {
    /// Bits of a sample.
    pub(super) bits: u8,
    pub(super) alpha: bool,
    /// Red, green and blue, or what stands for them, instead of brightness and two colours.
    pub(super) rgb: bool,
}

/// What colours mean, where the file says it, in ffmpeg's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Colours {
    pub(super) range: Option<String>,
    pub(super) matrix: Option<String>,
    pub(super) primaries: Option<String>,
    pub(super) transfer: Option<String>,
}

/// Any stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) index: usize,
    pub(super) kind: Kind,
    pub(super) codec: String,
    /// What the container calls the codec.
    pub(super) tag: String,
    /// When it begins, in seconds of the file's clock.
    pub(super) begin: Option<f64>,
    /// A picture of the whole, as of a record's sleeve.
    pub(super) cover: bool,
    /// What it is for, in ffmpeg's words.
    pub(super) dispositions: Vec<String>,
    /// Names of what is said of it.
    pub(super) tags: Vec<String>,
}

/// What a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Video,
    Audio,
    Subtitle,
    /// A file in the file, as a font.
    Attachment,
    Data,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    streams: Vec<ToldStream>,
    #[serde(default)]
    format: ToldFormat,
}

#[derive(Default, Deserialize)]
struct ToldFormat {
    #[serde(default)]
    format_name: String,
    start_time: Option<String>,
    duration: Option<String>,
}

#[derive(Deserialize)]
struct ToldStream {
    index: usize,
    #[serde(default)]
    codec_type: String,
    #[serde(default)]
    codec_name: String,
    #[serde(default)]
    codec_tag_string: String,
    #[serde(default)]
    width: usize,
    #[serde(default)]
    height: usize,
    #[serde(default)]
    pix_fmt: String,
    time_base: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    sample_aspect_ratio: Option<String>,
    field_order: Option<String>,
    color_range: Option<String>,
    color_space: Option<String>,
    color_primaries: Option<String>,
    color_transfer: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    nb_frames: Option<String>,
    #[serde(default)]
    disposition: BTreeMap<String, u8>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<ToldSide>,
}

#[derive(Deserialize)]
struct ToldSide {
    #[serde(default)]
    side_data_type: String,
    displaymatrix: Option<String>,
}

impl ToldStream {
    fn is(&self, disposition: &str) -> bool {
        self.disposition.get(disposition).is_some_and(|on| *on != 0)
    }

    fn is_cover(&self) -> bool {
        ["attached_pic", "timed_thumbnails", "still_image"]
            .iter()
            .any(|name| self.is(name))
    }

    fn stream(&self) -> Stream {
        Stream {
            index: self.index,
            kind: match self.codec_type.as_str() {
                "video" => Kind::Video,
                "audio" => Kind::Audio,
                "subtitle" => Kind::Subtitle,
                "attachment" => Kind::Attachment,
                _ => Kind::Data,
            },
            codec: self.codec_name.clone(),
            tag: self.codec_tag_string.clone(),
            begin: seconds(self.start_time.as_deref()),
            cover: self.is_cover(),
            dispositions: self
                .disposition
                .iter()
                .filter(|(_, on)| **on != 0)
                .map(|(name, _)| name.clone())
                .collect(),
            tags: self.tags.keys().cloned().collect(),
        }
    }
}

impl Source {
    /// Looks at the file called `path`.
    ///
    /// # Errors
    /// What is no video that can be read, with the reason.
    pub(super) fn open(path: &Path, tools: &Tools) -> Result<Self> {
        let refused = |why: String| Error::at(path, why).coded(code::VIDEO);
        if path == Path::new("-") {
            return Err(refused(
                "videos are read from files, more than once: name a file".into(),
            ));
        }
        let metadata = fs::metadata(path).map_err(|e| Error::of(path, &e))?;
        if !metadata.is_file() {
            return Err(refused("is no file: name a video".into()));
        }
        if metadata.len() == 0 {
            return Err(refused("is empty: copy it again".into()));
        }
        let mut ask = tools.ffprobe();
        ask.args(["-show_format", "-show_streams"]).arg(file(path));
        let told = text_of(&mut ask).map_err(|why| {
            refused(if boxes::begins_as_one(path) {
                "is cut short or damaged: its index, which is written last, is missing; copy it again".into()
            } else {
                let spelt = format!("file:{}: ", path.display());
                let why = why.strip_prefix(&spelt).unwrap_or(&why);
                format!("is no video that this ffmpeg reads ({why})")
            })
        })?;
        let told: Told = serde_json::from_str(&told).map_err(|e| {
            Error::at(path, format!("what ffprobe tells of it is not understood ({e})")).coded(code::FFMPEG)
        })?;
        let container = told.format.format_name;
        if container == "image2" || container.ends_with("_pipe") {
            return Err(refused(
                "is an image, or an animation that this ffmpeg does not read: asasr upscale enlarges images"
                    .into(),
            ));
        }
        let film = |s: &&ToldStream| s.codec_type == "video" && !s.is_cover();
        let main = told.streams.iter().filter(film).find(|s| s.is("default"));
        let Some(main) = main.or_else(|| told.streams.iter().find(film)) else {
            return Err(refused("has no moving pictures: name a video".into()));
        };
        if container.starts_with("mov,") && boxes::are_encrypted(path).unwrap_or(false) {
            return Err(refused(
                "is encrypted: only the player that has its key can show it".into(),
            ));
        }
        let pictures = Pictures::of(main, tools).map_err(refused)?;
        Ok(Self {
            path: path.to_path_buf(),
            bytes: metadata.len(),
            container,
            start: seconds(told.format.start_time.as_deref()).map_or(0, |s| (s * 1e6).round() as i64),
            duration: seconds(told.format.duration.as_deref()),
            pictures,
            streams: told.streams.iter().map(ToldStream::stream).collect(),
        })
    }

    /// What to take off its clock to have times that begin near zero: its beginning where its clock began before it, as in
    /// broadcasts; what others say is kept as it is.
    pub(super) fn origin(&self) -> i64 {
        let broadcast = ["mpegts", "mpeg", "rtp", "rtsp", "hls"];
        let running = self.container.split(',').any(|name| broadcast.contains(&name));
        if running { self.start } else { 0 }
    }
}

impl Pictures {
    fn of(told: &ToldStream, tools: &Tools) -> std::result::Result<Self, String> {
        let size = Size::new(told.width, told.height);
        if size.pixels() == 0 || told.pix_fmt.is_empty() {
            let codec = match told.codec_name.as_str() {
                "" | "none" | "unknown" => &told.codec_tag_string,
                name => name,
            };
            return Err(format!(
                "its pictures ({codec}) cannot be read: it is damaged, or this ffmpeg does not know them"
            ));
        }
        let rate = |text: &Option<String>| text.as_deref().and_then(fraction);
        let side = |name: &str| {
            told.side_data_list
                .iter()
                .find(|s| s.side_data_type.starts_with(name))
        };
        let known = |text: &Option<String>| {
            let none = ["unknown", "unspecified", "reserved", ""];
            text.clone().filter(|t| !none.contains(&t.as_str()))
        };
        let begin = seconds(told.start_time.as_deref());
        // Matroska files say it so.
        let end_in_words = || {
            let (hours, rest) = told.tags.get("DURATION")?.split_once(':')?;
            let (minutes, seconds) = rest.split_once(':')?;
            let [h, m, s] = [hours, minutes, seconds].map(|n| n.trim().parse::<f64>().ok());
            Some(h? * 3600.0 + m? * 60.0 + s?)
        };
        let turned = side("Display Matrix").and_then(|s| s.displaymatrix.as_deref());
        Ok(Self {
            index: told.index,
            size,
            pixels: Pixels::of(&told.pix_fmt, tools)?,
            base: (told.time_base.as_deref())
                .and_then(TimeBase::parse)
                .ok_or("does not tell what its times are counted in")?,
            rate: rate(&told.avg_frame_rate)
                .or_else(|| rate(&told.r_frame_rate))
                .unwrap_or((25, 1)),
            end: (seconds(told.duration.as_deref()).zip(begin).map(|(d, b)| d + b)).or_else(end_in_words),
            frames: told.nb_frames.as_deref().and_then(|n| n.parse().ok()),
            aspect: told.sample_aspect_ratio.as_deref().and_then(fraction),
            colours: Colours {
                range: known(&told.color_range),
                matrix: known(&told.color_space),
                primaries: known(&told.color_primaries),
                transfer: known(&told.color_transfer),
            },
            interlaced: (told.field_order.as_deref())
                .is_some_and(|order| ["tt", "bb", "tb", "bt"].contains(&order)),
            rotation: turned.and_then(Rotation::parse).filter(|r| !r.is_none()),
            lights: ["Mastering display", "Content light", "DOVI", "Dolby"]
                .iter()
                .any(|name| side(name).is_some()),
            veiled: told
                .tags
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("alpha_mode") && value != "0"),
        })
    }

    /// About how many frames there are in so many seconds.
    pub(super) fn frames_in(&self, seconds: f64) -> f64 {
        seconds * self.rate.0 as f64 / self.rate.1 as f64
    }
}

#[derive(Deserialize)]
struct ToldFormats {
    pixel_formats: Vec<ToldPixels>,
}

#[derive(Deserialize)]
struct ToldPixels {
    name: String,
    flags: BTreeMap<String, u8>,
    #[serde(default)]
    components: Vec<ToldDepth>,
}

#[derive(Deserialize)]
struct ToldDepth {
    bit_depth: u8,
}

impl Pixels {
    /// Of the format of that name.
    fn of(name: &str, tools: &Tools) -> std::result::Result<Self, String> {
        let told = text_of(tools.ffprobe().arg("-show_pixel_formats"))?;
        let told: ToldFormats = serde_json::from_str(&told).map_err(|e| e.to_string())?;
        let format = told.pixel_formats.iter().find(|f| f.name == name);
        let format = format.ok_or_else(|| format!("its pixels ({name}) are not known to ffprobe"))?;
        let flag = |name: &str| format.flags.get(name).is_some_and(|on| *on != 0);
        Ok(Self {
            // Palettes have colours of 8 bits.
            bits: format.components.iter().map(|c| c.bit_depth).max().unwrap_or(8),
            alpha: flag("alpha"),
            rgb: flag("rgb") || flag("palette") || name == "pal8",
        })
    }
}

/// When the first stream of a file begins, in seconds.
pub(super) fn begin(path: &Path, tools: &Tools) -> Option<f64> {
    let mut ask = tools.ffprobe();
    let told = text_of(ask.arg("-show_streams").arg(file(path))).ok()?;
    let told: Told = serde_json::from_str(&told).ok()?;
    seconds(told.streams.first()?.start_time.as_deref())
}

/// Reads seconds, above or below zero.
fn seconds(text: Option<&str>) -> Option<f64> {
    text?.parse().ok().filter(|s: &f64| s.is_finite())
}

/// What a file says, for messages.
pub(super) fn named(stream: &Stream) -> String {
    let kind = match stream.kind {
        Kind::Video if stream.cover => "its cover",
        Kind::Video => "another video stream",
        Kind::Audio => "its sound",
        Kind::Subtitle => "its subtitles",
        Kind::Attachment => "an attached file",
        Kind::Data => "a stream of data",
    };
    let codec = shown(Path::new(&stream.codec));
    match stream.codec.as_str() {
        "" | "none" | "unknown" => kind.to_owned(),
        _ => format!("{kind} ({codec})"),
    }
}
