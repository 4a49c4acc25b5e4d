//! What the first directory of a TIFF file tells about its image.

use std::collections::BTreeSet;

use crate::exif;
use crate::ifd::{BYTE, Directory, Entry, LONG, Tiff, UNDEFINED};
use crate::metadata::Told;
use crate::phrase::{NO_EXIF, TIFF_COLOURS};

const ORIENTATION: u16 = 274;
const EXTRA_SAMPLES: u16 = 338;
pub(crate) const XMP: u16 = 700;
pub(crate) const ICC: u16 = 34675;
/// Tags that tell colours in other ways than a profile: curves, the white point and primaries.
const COLOURS: [u16; 3] = [301, 318, 319];
/// Tags that EXIF has in its first directory too: of what, with what, when and by whom, and of which resolution.
pub(crate) const DESCRIPTIVE: [u16; 15] = [
    270, 271, 272, 282, 283, 296, 305, 306, 315, 33432, 0x9C9B, 0x9C9C, 0x9C9D, 0x9C9E, 0x9C9F,
];
/// Tags that are the place of a directory: EXIF's, that of GPS, and one inside EXIF's.
pub(crate) const DIRECTORIES: [u16; 3] = [0x8769, 0x8825, 0xA005];
/// Most bytes of EXIF data; entries may share theirs, so that a small file could tell much.
const MOST: usize = 4 << 20;

/// What a TIFF tells, and what of it cannot be carried.
pub(crate) fn read(bytes: &[u8]) -> Told {
    let mut tags = Told::default();
    let Some((tiff, first)) = Tiff::open(bytes).and_then(|tiff| Some((tiff, tiff.first()?))) else {
        return tags;
    };
    let number = |tag| tiff.integer(first.find(tag)?);
    let data = |tag| {
        let entry = first.find(tag).filter(|e| [BYTE, UNDEFINED].contains(&e.kind))?;
        Some(tiff.bytes(entry))
    };
    let (metadata, notes) = (&mut tags.metadata, &mut tags.notes);
    if let Some(profile) = data(ICC) {
        metadata.take_icc(profile, notes);
    }
    if let Some(xmp) = data(XMP) {
        metadata.take_xmp(xmp, notes);
    }
    if metadata.icc.is_none() && COLOURS.iter().any(|tag| first.find(*tag).is_some()) {
        notes.push(TIFF_COLOURS);
    }
    metadata.resolution = exif::resolution(bytes);
    match copied(tiff, &first) {
        Ok(exif) => metadata.exif = exif,
        Err(TooMuch) => notes.push(NO_EXIF),
    }
    tags.associated = number(EXTRA_SAMPLES) == Some(1);
    tags.orientation = number(ORIENTATION)
        .and_then(|n| u8::try_from(n).ok())
        .filter(|n| (1..=8).contains(n));
    tags
}

/// There is more EXIF data than is taken.
struct TooMuch;

/// What EXIF knows of a file's tags as EXIF data; none where that is nothing but how the file was stored.
fn copied(tiff: Tiff, first: &Directory) -> Result<Option<Vec<u8>>, TooMuch> {
    let keep = |e: &&Entry| DESCRIPTIVE.contains(&e.tag) || DIRECTORIES.contains(&e.tag);
    let kept: Vec<&Entry> = first.entries.iter().filter(keep).collect();
    if kept.is_empty() {
        return Ok(None);
    }
    let mut out = if tiff.is_little() {
        b"II*\0\x08\0\0\0".to_vec()
    } else {
        b"MM\0*\0\0\0\x08".to_vec()
    };
    append(&mut out, tiff, &kept, 0)?;
    Ok(Some(out))
}

/// Appends a directory, its values, and the directories inside it.
fn append(out: &mut Vec<u8>, tiff: Tiff, entries: &[&Entry], depth: usize) -> Result<(), TooMuch> {
    let short = |n: usize| {
        let n = n as u16;
        if tiff.is_little() {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        }
    };
    let long = |n: usize| {
        let n = n as u32;
        if tiff.is_little() {
            n.to_le_bytes()
        } else {
            n.to_be_bytes()
        }
    };
    // Types of 64 bits are BigTIFF's alone, and a directory is not one's own grandchild.
    let inside = |e: &Entry| {
        let directory = tiff.directory(tiff.integer(e)?)?;
        (depth < 2).then_some(directory)
    };
    // The first of each tag, for a hostile file has thousands of one that leads to the next directory.
    let mut known = BTreeSet::new();
    let entries: Vec<(&Entry, Option<Directory>)> = entries
        .iter()
        .filter(|e| e.kind <= 12 && known.insert(e.tag))
        .take(usize::from(u16::MAX))
        .map(|e| (*e, DIRECTORIES.contains(&e.tag).then(|| inside(e)).flatten()))
        .filter(|(e, directory)| directory.is_some() || !DIRECTORIES.contains(&e.tag))
        .collect();
    out.extend(short(entries.len()));
    let table = out.len();
    // The entries, and the place of a next directory, which there is not.
    out.resize(table + 12 * entries.len() + 4, 0);
    for (i, (entry, directory)) in entries.iter().enumerate() {
        let at = table + 12 * i;
        let place = out.len();
        let (kind, count) = if directory.is_some() {
            (LONG, 1)
        } else {
            (entry.kind, entry.count)
        };
        out[at..at + 2].copy_from_slice(&short(usize::from(entry.tag)));
        out[at + 2..at + 4].copy_from_slice(&short(usize::from(kind)));
        out[at + 4..at + 8].copy_from_slice(&long(count));
        let values = tiff.bytes(entry);
        if let Some(directory) = directory {
            out[at + 8..at + 12].copy_from_slice(&long(place));
            append(
                out,
                tiff,
                &directory.entries.iter().collect::<Vec<_>>(),
                depth + 1,
            )?;
        } else if values.len() <= 4 {
            out[at + 8..at + 8 + values.len()].copy_from_slice(values);
        } else {
            out[at + 8..at + 12].copy_from_slice(&long(place));
            out.extend_from_slice(values);
        }
        // Values begin at even places.
        out.resize(out.len() + out.len() % 2, 0);
        if out.len() > MOST {
            return Err(TooMuch);
        }
    }
    Ok(())
}
