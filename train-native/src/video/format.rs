//! The container and the codec of a result.

use std::path::Path;

use asasr_core::Size;

use super::options::{Codec, Video};
use super::tools::Tools;
use crate::error::{Error, Result, code};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Mp4,
    Mov,
    Mkv,
    WebM,
}

impl Container {
    /// That of a file's name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "mp4" | "m4v" => Some(Self::Mp4),
            "mov" => Some(Self::Mov),
            "mkv" => Some(Self::Mkv),
            "webm" => Some(Self::WebM),
            _ => None,
        }
    }

    /// For a result in a folder: that of the video where it is written; Matroska takes what others have, and animations are plain.
    pub(super) fn like(input: &Path) -> Self {
        let ending = input.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let animation = ["gif", "apng", "png", "webp"]
            .iter()
            .any(|a| ending.eq_ignore_ascii_case(a));
        Self::of(input).unwrap_or(if animation { Self::Mp4 } else { Self::Mkv })
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mov => "mov",
            Self::Mkv => "mkv",
            Self::WebM => "webm",
        }
    }

    /// What ffmpeg calls it.
    pub(super) fn muxer(self) -> &'static str {
        match self {
            Self::Mkv => "matroska",
            _ => self.ending(),
        }
    }

    /// Whether its boxes are those of MP4.
    pub(super) fn has_boxes(self) -> bool {
        matches!(self, Self::Mp4 | Self::Mov)
    }

    /// What text is written as where it does not take a video's own subtitles.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Mp4 | Self::Mov => "mov_text",
            Self::Mkv => "subrip",
            Self::WebM => "webvtt",
        }
    }

    fn takes(self, codec: Codec) -> bool {
        match self {
            Self::Mp4 | Self::Mkv => true,
            Self::Mov => matches!(codec, Codec::H264 | Codec::Hevc),
            Self::WebM => matches!(codec, Codec::Vp9 | Codec::Av1),
        }
    }
}

impl Codec {
    fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
        }
    }

    /// Whether sides have to be even.
    pub(super) fn is_even(self) -> bool {
        matches!(self, Self::H264 | Self::Hevc)
    }

    /// Whether packets come in the order in which frames are displayed.
    pub(super) fn in_order(self) -> bool {
        matches!(self, Self::Vp9 | Self::Av1)
    }
}

/// Whether the quick encoder of AV1 does not take pictures of a size: small ones, and those of odd sides.
fn is_odd(Size { width, height }: Size) -> bool {
    width.min(height) < 64 || !width.is_multiple_of(2) || !height.is_multiple_of(2)
}

/// How frames are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packing {
    pub(super) codec: Codec,
    pub(super) encoder: &'static str,
    pub(super) crf: u8,
    /// Bits of a sample: 8 or 10.
    pub(super) bits: u8,
}

impl Packing {
    /// For a video of so many bits, whose result has that size or about.
    ///
    /// # Errors
    /// Where the file does not take what is asked for, or ffmpeg does not encode it.
    pub(super) fn choose(
        args: &Video,
        container: Container,
        bits: u8,
        size: Size,
        tools: &Tools,
    ) -> Result<Self> {
        let deep = bits > 8;
        let codec = args.codec.unwrap_or(match container {
            Container::WebM => Codec::Vp9,
            _ if deep => Codec::Hevc,
            _ => Codec::H264,
        });
        let (name, ending) = (codec.name(), container.ending());
        if !container.takes(codec) {
            let why = format!("--codec {name}: a .{ending} file does not take it; name a .mkv file");
            return Err(Error::new(why).coded(code::FORMAT));
        }
        let (encoders, most, usual): (&[&str], u8, u8) = match codec {
            Codec::H264 => (&["libx264"], 51, 18),
            Codec::Hevc => (&["libx265"], 51, 20),
            Codec::Vp9 => (&["libvpx-vp9"], 63, 24),
            Codec::Av1 if is_odd(size) => (&["libaom-av1"], 63, 26),
            Codec::Av1 => (&["libsvtav1", "libaom-av1"], 63, 26),
        };
        let Some(encoder) = encoders.iter().find(|e| tools.encodes(e)) else {
            let why = format!(
                "this ffmpeg does not encode {name}: install one that has {}, or choose another --codec",
                encoders[0]
            );
            return Err(Error::new(why).coded(code::FFMPEG));
        };
        let crf = args.crf.unwrap_or(usual);
        if crf > most {
            let why = format!("--crf {crf}: {name} takes 0 to {most}");
            return Err(Error::new(why).coded(code::FORMAT));
        }
        Ok(Self {
            codec,
            encoder,
            crf,
            bits: if deep { 10 } else { 8 },
        })
    }

    /// Pixels as the encoder takes them.
    pub(super) fn pixels(&self) -> &'static str {
        if self.bits == 10 { "yuv420p10le" } else { "yuv420p" }
    }

    /// The encoder's options: quality alone says how much is spent, so that stretches do not differ.
    pub(super) fn options(&self) -> Vec<String> {
        let crf = self.crf.to_string();
        let words: &[&str] = match self.encoder {
            "libx264" => &["-preset", "medium"],
            "libx265" => &[
                "-preset",
                "medium",
                "-tag:v",
                "hvc1",
                "-x265-params",
                "log-level=error",
            ],
            "libvpx-vp9" => &["-b:v", "0", "-deadline", "good", "-cpu-used", "3", "-row-mt", "1"],
            "libsvtav1" => &["-preset", "7"],
            _ => &["-b:v", "0", "-cpu-used", "6", "-row-mt", "1"],
        };
        let mut all = vec!["-c:v".to_owned(), self.encoder.into(), "-crf".into(), crf];
        all.extend(words.iter().map(|w| (*w).to_owned()));
        all
    }
}
