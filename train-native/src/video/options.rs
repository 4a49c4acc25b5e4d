//! What the command line says of videos.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::clock::Moment;
use crate::cli::{How, any_path};

/// How the frames of a result are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Codec {
    /// H.264, which everything plays
    H264,
    /// H.265: smaller files, 10 bits and HDR
    Hevc,
    /// VP9, for the web
    Vp9,
    /// AV1: the smallest files
    Av1,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Video {
    /// Videos to enlarge, whatever the installed ffmpeg reads; patterns such as *.mp4
    #[arg(required = true, value_name = "IN", value_parser = any_path())]
    pub(crate) inputs: Vec<PathBuf>,
    /// A .mp4, .mov, .mkv or .webm file for one video, or a folder, where IN.mp4 becomes IN-x4.mp4; otherwise results lie beside
    /// their videos
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// How many times wider and higher; otherwise the model's own
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) scale: Option<u8>,
    /// So many columns instead, and rows in proportion
    #[arg(long, value_name = "PIXELS", conflicts_with_all = ["scale", "height"], value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub(crate) width: Option<u32>,
    /// So many rows instead, as the video is shown, and columns in proportion
    #[arg(long, value_name = "PIXELS", conflicts_with = "scale", value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub(crate) height: Option<u32>,
    /// How frames are packed; otherwise vp9 in .webm, hevc for more than 8 bits, and h264
    #[arg(long, value_enum)]
    pub(crate) codec: Option<Codec>,
    /// Quality: lower is better and larger. 0 to 51 for h264 (18 otherwise) and hevc (20), 0 to 63 for vp9 (24) and av1 (26)
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=63))]
    pub(crate) crf: Option<u8>,
    /// Begin there: seconds, or HH:MM:SS
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub(crate) from: Option<Moment>,
    /// End before there
    #[arg(long, value_name = "TIME", value_parser = Moment::parse)]
    pub(crate) to: Option<Moment>,
    /// Go on where an earlier run with the same options was ended
    #[arg(long)]
    pub(crate) resume: bool,
    /// Keep results that are there already, and pass over their videos
    #[arg(long)]
    pub(crate) no_clobber: bool,
    /// Seconds of the video that are made and kept at a time: what a run that is ended loses at most
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    pub(crate) stretch: u16,
    /// Stretches that are made at a time, each with its share of the processor's cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) jobs: u8,
    /// The program ffmpeg, with ffprobe beside it; otherwise those that the shell finds
    #[arg(long, value_name = "PATH", env = "ASASR_FFMPEG")]
    pub(crate) ffmpeg: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) how: How,
}
