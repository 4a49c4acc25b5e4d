//! EXIF data, a TIFF structure: what is no longer true of an enlarged, upright image is mended.

use asasr_core::Size;

use crate::ifd::{LONG, Tiff};
use crate::resolution::Resolution;

/// What some writers put in front, as JPEG has it.
const PREFIX: &[u8] = b"Exif\0\0";

/// How the photo was held.
const ORIENTATION: u32 = 274;
/// TIFF's type of a number of 16 bits.
const SHORT: u32 = 3;
const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;
const THUMBNAIL: u16 = 513;
const THUMBNAIL_LENGTH: u16 = 514;
const EXIF_DIRECTORY: u16 = 0x8769;
/// Columns and rows: in the first directory, and in EXIF's own.
const SIZES: [[u16; 2]; 2] = [[256, 257], [0xA002, 0xA003]];

/// EXIF data is no `BigTIFF`.
fn open(exif: &[u8]) -> Option<Tiff<'_>> {
    Tiff::open(exif).filter(|tiff| !tiff.is_big())
}

/// The data without the prefix that belongs to JPEG.
pub(crate) fn bare(exif: &[u8]) -> &[u8] {
    exif.strip_prefix(PREFIX).unwrap_or(exif)
}

/// Leaves out the preview, which is a directory of its own.
pub(crate) fn drop_thumbnail(exif: &mut Vec<u8>) {
    let Some((next, preview)) = open(exif).and_then(|tiff| {
        let next = tiff.first()?.next;
        let second = tiff.directory(tiff.number(next, 4).filter(|at| *at > 0)?)?;
        let value = |tag| tiff.integer(second.find(tag)?);
        let preview = value(THUMBNAIL)
            .zip(value(THUMBNAIL_LENGTH))
            .and_then(|(at, n)| Some(at..at.checked_add(n).filter(|end| *end <= exif.len())?));
        Some((next, preview))
    }) else {
        return;
    };
    exif[next..next + 4].fill(0);
    match preview {
        // As nearly all writers place it.
        Some(bytes) if bytes.end == exif.len() && bytes.start >= next + 4 => exif.truncate(bytes.start),
        Some(bytes) if bytes.start >= next + 4 => exif[bytes].fill(0),
        _ => {}
    }
}

/// The orientation in EXIF data, which says upright from then on.
pub(crate) fn take_orientation(exif: &mut [u8]) -> Option<u8> {
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let number = |at: usize, bytes: usize| {
        let bytes = exif.get(at..at.checked_add(bytes)?)?.iter();
        let next = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(if little {
            bytes.rev().fold(0, next)
        } else {
            bytes.fold(0, next)
        })
    };
    let directory = number(4, 4)? as usize;
    let entry = (0..number(directory, 2)? as usize)
        .map_while(|i| directory.checked_add(2 + 12 * i))
        .find(|at| number(*at, 2) == Some(ORIENTATION))?;
    // One number, which then stands in the entry itself.
    let at = entry.checked_add(8)?;
    if number(entry + 2, 2)? != SHORT || number(entry + 4, 4)? != 1 {
        return None;
    }
    let found = u8::try_from(number(at, 2)?)
        .ok()
        .filter(|n| (1..=8).contains(n))?;
    let upright = if little {
        1u16.to_le_bytes()
    } else {
        1u16.to_be_bytes()
    };
    exif[at..at + 2].copy_from_slice(&upright);
    Some(found)
}

/// Says the size in the tags that tell one.
pub(crate) fn set_size(exif: &mut [u8], size: Size) {
    let Some((little, places)) = open(exif).and_then(|tiff| {
        let first = tiff.first()?;
        let own = first
            .find(EXIF_DIRECTORY)
            .and_then(|e| tiff.directory(tiff.integer(e)?));
        let mut places = Vec::new();
        for (directory, tags) in [Some(first), own].iter().flatten().zip(SIZES) {
            for (tag, side) in tags.into_iter().zip([size.width, size.height]) {
                // One number stands in the entry itself.
                places.extend(directory.find(tag).filter(|e| e.count == 1).map(|e| (e.at, side)));
            }
        }
        Some((tiff.is_little(), places))
    }) else {
        return;
    };
    for (at, side) in places {
        let side = u32::try_from(side).unwrap_or(u32::MAX);
        let (kind, side) = if little {
            (LONG.to_le_bytes(), side.to_le_bytes())
        } else {
            (LONG.to_be_bytes(), side.to_be_bytes())
        };
        exif[at + 2..at + 4].copy_from_slice(&kind);
        exif[at + 8..at + 12].copy_from_slice(&side);
    }
}

/// Exchanges the resolutions of columns and rows, as the image was turned by a quarter.
pub(crate) fn turn_resolution(exif: &mut [u8]) {
    let Some([x, y]) = open(exif).and_then(|tiff| {
        let first = tiff.first()?;
        let entries = [first.find(X_RESOLUTION)?, first.find(Y_RESOLUTION)?];
        let alike = entries[0].kind == entries[1].kind && entries.iter().all(|e| e.count == 1);
        alike.then(|| entries.map(|e| e.at))
    }) else {
        return;
    };
    // The values, or their places.
    for i in 8..12 {
        exif.swap(x + i, y + i);
    }
}

/// The resolution that the first directory tells.
pub(crate) fn resolution(tiff: &[u8]) -> Option<Resolution> {
    let tiff = Tiff::open(tiff)?;
    let first = tiff.first()?;
    let x = tiff.positive(first.find(X_RESOLUTION)?)?;
    let y = first
        .find(Y_RESOLUTION)
        .and_then(|e| tiff.positive(e))
        .unwrap_or(x);
    // Inches where no unit is told.
    match first.find(RESOLUTION_UNIT).and_then(|e| tiff.integer(e)) {
        Some(1) => Resolution::aspect(x, y),
        Some(3) => Resolution::per_metre(x * 100.0, y * 100.0),
        _ => Resolution::per_inch(x, y),
    }
}
