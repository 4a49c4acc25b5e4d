//! Image files to pixels and back.
//!
//! [`decode`] reads PNG, JPEG, WebP, GIF and BMP, and with the feature `tiff` TIFF, from memory into a
//! [`Picture`], applies the EXIF orientation and says in [`Picture::notes`] what it changed. What the file tells about its image goes
//! along as [`Metadata`]; [`Picture::stripped`] leaves it out and, with the feature `colour`, converts the colours to sRGB.
//! With the feature `save`, `ImageRows` writes other formats than PNG. [`PngRows`] writes a PNG from rows as they are finished, so that the
//! enlarged image is never held whole.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed step fails the test"))]

#[cfg(feature = "tiff")]
mod associated;
mod bmp;
#[cfg(feature = "colour")]
mod colour;
mod decode;
mod decode_png;
mod encode;
mod exif;
mod extend;
mod foreign;
mod formats;
mod gif;
mod header;
mod ifd;
mod jpeg;
mod lines;
mod metadata;
mod note;
mod options;
mod orientation;
pub mod phrase;
mod picture;
mod png_chunks;
mod profile;
mod resolution;
mod riff;
#[cfg(feature = "save")]
mod save;
mod segments;
#[cfg(feature = "tiff")]
mod tiff;
#[cfg(feature = "tiff")]
mod tiff_pixels;
#[cfg(feature = "tiff")]
mod tiff_tags;
mod xmp;

use std::fmt;

use asasr_core::Message;

pub use asasr_core::{Layout, Raster, Samples};
pub use decode::{decode, decode_with};
pub use encode::{PngRows, SharedBytes};
pub use header::{Header, header};
pub use lines::PngLines;
pub use metadata::{ColoursBy, Metadata};
pub use note::Note;
pub use options::Options;
pub use phrase::{Damage, Phrase};
pub use picture::Picture;
pub use resolution::Resolution;
#[cfg(feature = "save")]
pub use save::{Format, ImageRows, Saving};

/// Whether an image of that size is taken.
fn check_size((width, height): (u32, u32), max_pixels: u64) -> Result<(), Error> {
    if u64::from(width) * u64::from(height) > max_pixels {
        return Err(Error::TooLarge {
            width,
            height,
            max_pixels,
        });
    }
    Ok(())
}

/// Why a file could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The file has no bytes.
    Empty,
    /// The bytes are no image format that is read here.
    NotAnImage,
    /// The bytes are an image of a format that is not read here, by its name.
    UnsupportedFormat(&'static str),
    /// The bytes are an image of a format that is read here, but of a kind that is not: its name.
    UnreadKind(Phrase),
    /// The bytes are no image but something that holds some, by its name.
    NotAPhoto(Phrase),
    /// The header claims more pixels than the limit.
    TooLarge {
        /// Claimed width.
        width: u32,
        /// Claimed height.
        height: u32,
        /// Most pixels taken.
        max_pixels: u64,
    },
    /// The file ends before its image does.
    Truncated,
    /// The file ends before its image does, and so much is there; [`decode_with`] can take it.
    CutShort {
        /// Rows, from the top, that are there.
        rows: usize,
        /// Rows of the image.
        of: usize,
    },
    /// The file is damaged, or uses something that is not supported.
    Damaged(Damage),
    /// The result could not be encoded or stored.
    Encode(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the file is empty"),
            Self::NotAnImage => write!(
                f,
                "this is not an image: choose a photo, a PNG or JPEG file for example"
            ),
            Self::UnsupportedFormat(format) => {
                write!(f, "{format} images are not read: convert it to PNG or JPEG first")
            }
            Self::UnreadKind(kind) => {
                write!(
                    f,
                    "{kind} is not read: open it in another program and save it as PNG"
                )
            }
            Self::NotAPhoto(thing) => {
                write!(
                    f,
                    "this is {thing}, not an image: save what it shows as PNG or JPEG first"
                )
            }
            Self::TooLarge {
                width,
                height,
                max_pixels,
            } => write!(
                f,
                "the image claims {width}x{height} pixels; at most {} megapixels are taken: make it smaller first",
                max_pixels / 1_000_000
            ),
            Self::Truncated => {
                write!(
                    f,
                    "the file is cut short: its image is not complete; get it again from where it came"
                )
            }
            Self::CutShort { rows, of } => write!(
                f,
                "the file is cut short: {rows} of its {of} rows are there; get it again from where it came"
            ),
            Self::Damaged(why) => write!(
                f,
                "the image cannot be decoded ({why}): get it again, or save it anew with another program"
            ),
            Self::Encode(why) => write!(f, "the result is not complete: {why}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    const CODES: [&str; 10] = [
        "empty",
        "not-an-image",
        "format-unread",
        "kind-unread",
        "not-a-photo",
        "too-large",
        "truncated",
        "cut-short",
        "damaged",
        "encode",
    ];

    /// What it says, without words.
    pub fn message(&self) -> Message {
        match self {
            Self::Empty => Message::new("empty"),
            Self::NotAnImage => Message::new("not-an-image"),
            Self::UnsupportedFormat(format) => Message::new("format-unread").with("format", format),
            Self::UnreadKind(kind) => Message::new("kind-unread").with_message("kind", kind.message()),
            Self::NotAPhoto(thing) => Message::new("not-a-photo").with_message("thing", thing.message()),
            Self::TooLarge {
                width,
                height,
                max_pixels,
            } => Message::new("too-large")
                .with("width", width)
                .with("height", height)
                .with("megapixels", &(max_pixels / 1_000_000)),
            Self::Truncated => Message::new("truncated"),
            Self::CutShort { rows, of } => Message::new("cut-short").with("rows", rows).with("of", of),
            Self::Damaged(Damage::Known(why)) => Message::new("damaged").with_message("why", why.message()),
            Self::Damaged(Damage::Other(why)) => Message::new("damaged").with("why", why),
            Self::Encode(why) => Message::new("encode").with("why", why),
        }
    }
}

/// The codes of all messages of errors and notes.
pub fn codes() -> impl Iterator<Item = &'static str> {
    let phrases = phrase::CODES.iter().copied();
    phrases.chain(Error::CODES).chain(Note::CODES)
}
