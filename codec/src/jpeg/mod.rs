//! JPEG (ITU-T T.81): sequential and progressive, Huffman coded, of 8 bits, with any scans and sampling.
//!
//! A decoder of our own, since a user wants to know what is missing. Those for Rust either fill it without a word and
//! go wrong with separate scans (zune-jpeg 0.5.15) or some samplings (jpeg-decoder 0.3.2), or weigh the page down
//! (libjpeg-turbo-rs 0.9.0, by twice zune-jpeg's bytes). What it gives is libjpeg-turbo's to the bit; a test holds it to that.

mod frame;
mod huffman;
mod idct;
mod rows;
mod scan;

use frame::{Colours, Frame, unread};
use huffman::next_marker;
use scan::{Scan, Tables};

use asasr_core::Size;

use crate::Error;
use crate::phrase::DATA;

/// Scans that are read: files of cameras and programs have a dozen, and each takes time.
const MOST_SCANS: usize = 500;

/// What a JPEG holds.
#[derive(Debug)]
pub(crate) struct Jpeg {
    pub(crate) size: Size,
    /// Whether a pixel is one sample, else red, green and blue.
    pub(crate) grey: bool,
    /// Row by row; mid-grey where the file has nothing.
    pub(crate) samples: Vec<u8>,
    /// Whether it was stored as inks.
    pub(crate) cmyk: bool,
    /// Its rows, from the top, that are there.
    pub(crate) rows: usize,
    /// What of it is missing besides.
    pub(crate) lacks: Lack,
}

/// What is missing of a progressive image whose rows are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lack {
    Nothing,
    /// Scans that refine it: the file says that it ends without them.
    Detail,
    /// Scans that refine it, or a part of one: the file breaks off.
    CutDetail,
    /// Colours, which come after its brightness.
    Colour,
}

fn damaged() -> Error {
    Error::Damaged(DATA.into())
}

/// Decodes a JPEG, and tells how much of it is there.
///
/// # Errors
/// [`Error::TooLarge`], [`Error::UnreadKind`], [`Error::Damaged`], and [`Error::Truncated`] where the file ends before its
/// image begins.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Jpeg, Error> {
    let mut walk = Walk::default();
    let end = match walk.all(bytes, max_pixels) {
        // What comes after a gap need make no sense.
        Err(Error::Damaged(_)) if walk.cut => false,
        end => end?,
    };
    let Walk { frame, cut, .. } = walk;
    let mut frame = frame.ok_or(Error::Truncated)?;
    scan::finish(&mut frame);
    let rows = frame.components.iter().map(|c| c.rows).min().unwrap_or(0);
    // Components with scans of their own: brightness is the picture, colours are not.
    let bright = frame.components.first().map_or(0, |c| c.rows);
    let colourless = rows == 0 && bright > 0 && frame.components.len() == 3;
    let rows = if colourless { bright } else { rows };
    let lacks = match (frame.progressive && !frame.is_complete(), end && !cut) {
        (false, _) => Lack::Nothing,
        (true, true) => Lack::Detail,
        (true, false) => Lack::CutDetail,
    };
    let lacks = if colourless { Lack::Colour } else { lacks };
    Ok(Jpeg {
        size: Size::new(frame.size.0, frame.size.1),
        grey: frame.colours == Colours::Grey,
        samples: rows::pixels(&frame),
        cmyk: matches!(frame.colours, Colours::Cmyk | Colours::Ycck),
        rows,
        lacks,
    })
}

/// What a walk over a file's markers has found.
#[derive(Debug, Default)]
struct Walk<'a> {
    /// The frame's header, and whether it is progressive.
    header: Option<(&'a [u8], bool)>,
    /// The frame, from its first scan on: until then markers may tell its colours.
    frame: Option<Frame>,
    tables: Tables,
    jfif: bool,
    adobe: Option<u8>,
    scans: usize,
    /// The data of a scan ended before the scan did.
    cut: bool,
}

impl<'a> Walk<'a> {
    /// Walks to the end of the image, and tells whether the file marks it.
    fn all(&mut self, bytes: &'a [u8], max_pixels: u64) -> Result<bool, Error> {
        let mut at = 2;
        while !self.frame.as_ref().is_some_and(Frame::is_complete)
            && let Some((marker, after)) = next_marker(bytes, at)
        {
            at = after;
            match marker {
                0xD9 => return Ok(true),
                // TEM, restart markers and a start within the image have no length.
                0x01 | 0xD0..=0xD8 => {}
                _ => {
                    let Some(segment) = segment(bytes, at) else { break };
                    at += 2 + segment.len();
                    self.take(marker, segment)?;
                    if marker == 0xDA {
                        at = self.scan(segment, bytes, at, max_pixels)?;
                    }
                }
            }
        }
        Ok(false)
    }

    /// Takes what a segment tells.
    fn take(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), Error> {
        if let Some(kind) = unread(marker) {
            return Err(Error::UnreadKind(kind));
        }
        match marker {
            0xC0..=0xC2 => {
                let before = self.header.replace((segment, marker == 0xC2));
                return before.map_or(Ok(()), |_| Err(damaged()));
            }
            0xC4 => self.tables.take_codes(segment)?,
            0xDB => self.tables.take_steps(segment)?,
            0xDD => {
                let [high, low, ..] = *segment else {
                    return Err(damaged());
                };
                self.tables.interval = u16::from_be_bytes([high, low]).into();
            }
            0xE0 => self.jfif |= segment.starts_with(b"JFIF\0"),
            0xEE if segment.starts_with(b"Adobe") => self.adobe = segment.get(11).copied(),
            _ => {}
        }
        Ok(())
    }

    /// Decodes a scan; gives where it ends.
    fn scan(&mut self, segment: &[u8], bytes: &[u8], at: usize, max_pixels: u64) -> Result<usize, Error> {
        self.scans += 1;
        if self.scans > MOST_SCANS {
            return Err(damaged());
        }
        let frame = match &mut self.frame {
            Some(frame) => frame,
            none => {
                let (header, progressive) = self.header.ok_or_else(damaged)?;
                let told = (self.jfif, self.adobe);
                none.insert(Frame::new(header, progressive, told, max_pixels)?)
            }
        };
        let (at, whole) = Scan::new(segment, frame)?.decode(frame, &mut self.tables, bytes, at)?;
        self.cut |= !whole;
        Ok(at)
    }
}

/// What follows a marker, without its length; none where the file ends before it does.
fn segment(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let length = u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?);
    bytes.get(at + 2..at + usize::from(length).max(2))
}
