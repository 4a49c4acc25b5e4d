//! Image files to pixels and back.
//!
//! [`decode`] reads PNG and, with the feature `formats`, JPEG, WebP, GIF and BMP from memory into a [`Picture`], applies the EXIF orientation and
//! says in [`Picture::notes`] what it changed. What the file tells about its image goes along as [`Metadata`];
//! [`Picture::stripped`] leaves it out and, with the feature `colour`, converts the colours to sRGB. [`PngRows`] writes a PNG from rows as they are finished, so that the
//! enlarged image is never held whole.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a failed step fails the test"))]

#[cfg(feature = "formats")]
mod associated;
#[cfg(feature = "formats")]
mod bmp;
#[cfg(feature = "colour")]
mod colour;
mod decode;
mod decode_png;
mod encode;
mod exif;
mod extend;
#[cfg(feature = "formats")]
mod formats;
#[cfg(feature = "formats")]
mod jpeg;
mod lines;
mod metadata;
mod orientation;
mod picture;
mod png_chunks;
#[cfg(feature = "formats")]
mod riff;
#[cfg(feature = "formats")]
mod segments;
mod tiff;
#[cfg(feature = "tiff")]
mod tiff_tags;
mod xmp;

use std::fmt;

pub use decode::decode;
pub use encode::{PngRows, SharedBytes};
pub use lines::PngLines;
pub use metadata::{Metadata, Resolution};
pub use picture::{Layout, Picture};

const ANIMATION: &str = "the file is an animation: only its first frame is used";

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
    /// The bytes are an image of a format that is not read here.
    UnsupportedFormat(String),
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
    /// The file is damaged, or uses something that is not supported.
    Damaged(String),
    /// The result could not be encoded or stored.
    Encode(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the file is empty"),
            Self::NotAnImage => write!(f, "this is not an image: PNG, JPEG, WebP, GIF and BMP are read"),
            Self::UnsupportedFormat(format) => {
                write!(
                    f,
                    "{format} images are not read: convert it to PNG, JPEG, WebP, GIF or BMP first"
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
            Self::Truncated => write!(f, "the file is cut short: its image is not complete"),
            Self::Damaged(why) => write!(f, "the image cannot be decoded ({why})"),
            Self::Encode(why) => write!(f, "the PNG is not complete: {why}"),
        }
    }
}

impl std::error::Error for Error {}
