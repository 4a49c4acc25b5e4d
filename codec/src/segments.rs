//! What the segments of a JPEG tell about its image.

use crate::Metadata;
use crate::ifd::Tiff;
use crate::phrase::{DAMAGED_ICC, GAIN_MAP, MORE_PICTURES, NO_XMP, Phrase};
use crate::resolution::Resolution;

const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// XMP data beyond the 64 kB of one segment.
const MORE_XMP: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
/// Several pictures in one file (CIPA DC-007).
const PICTURES: &[u8] = b"MPF\0";
/// What says that one of them is a gain map: ISO 21496-1, Adobe's and Google's, Apple's.
const GAIN_MAPS: [&[u8]; 3] = [
    b"urn:iso:std:iso:ts:21496:-1",
    b"http://ns.adobe.com/hdr-gain-map/",
    b"urn:com:apple:photo:2020:aux:hdrgainmap",
];

/// The next segment before the image: its marker and its content.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    loop {
        let start = rest.iter().position(|b| *b == 0xFF)?;
        let after = rest[start..].iter().position(|b| *b != 0xFF)? + start;
        let marker = rest[after];
        *rest = &rest[after + 1..];
        match marker {
            // The image begins, or ends.
            0xDA | 0xD9 => return None,
            0x00 | 0x01 | 0xD0..=0xD8 => {}
            _ => {
                let (length, _) = rest.split_first_chunk::<2>()?;
                let segment = rest.get(..usize::from(u16::from_be_bytes(*length)).max(2))?;
                *rest = &rest[segment.len()..];
                return Some((marker, &segment[2..]));
            }
        }
    }
}

/// What a JPEG tells, and what of it cannot be carried.
pub(crate) fn read(bytes: &[u8]) -> (Metadata, Vec<Phrase>) {
    let (mut metadata, mut notes) = (Metadata::default(), Vec::new());
    let mut parts: Vec<(u8, u8, &[u8])> = Vec::new();
    let mut several: Option<&[u8]> = None;
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some((marker, content)) = next(&mut rest) {
        match marker {
            0xE0 if content.starts_with(b"JFIF\0") && metadata.resolution.is_none() => {
                metadata.resolution = density(content);
            }
            0xE1 if content.starts_with(EXIF) && metadata.exif.is_none() => metadata.take_exif(content),
            0xE1 if content.starts_with(XMP) && metadata.xmp.is_none() => {
                metadata.take_xmp(&content[XMP.len()..], &mut notes);
            }
            0xE1 if content.starts_with(MORE_XMP) && !notes.contains(&NO_XMP) => notes.push(NO_XMP),
            0xE2 if content.starts_with(PICTURES) => several = Some(&content[PICTURES.len()..]),
            0xE2 if content.starts_with(ICC) && content.len() > ICC.len() + 2 => {
                let (place, part) = content[ICC.len()..].split_at(2);
                parts.push((place[0], place[1], part));
            }
            _ => {}
        }
    }
    if !parts.is_empty() {
        take_profile(&mut metadata, parts, &mut notes);
    }
    let tells = |bytes: &[u8]| {
        GAIN_MAPS
            .iter()
            .any(|name| bytes.windows(name.len()).any(|w| w == *name))
    };
    // In the first picture, or in one that stands behind it.
    let head = bytes.len() - rest.len();
    if tells(&bytes[..head]) || several.is_some() && tells(rest) {
        notes.push(GAIN_MAP);
    } else if several.is_some_and(|list| holds_more(list).unwrap_or(false)) {
        notes.push(MORE_PICTURES);
    }
    (metadata, notes)
}

/// Whether a list of pictures has one besides the first that is no smaller copy of it (CIPA DC-007, 5.2.3.3.1).
fn holds_more(list: &[u8]) -> Option<bool> {
    const ENTRIES: u16 = 0xB002;
    const ENTRY: usize = 16;
    let tiff = Tiff::open(list)?;
    let entries = tiff.first()?.find(ENTRIES)?.values.clone();
    let mut kinds = entries.step_by(ENTRY).skip(1).filter_map(|at| tiff.number(at, 4));
    // Cameras put previews there too.
    Some(kinds.any(|kind| kind >> 16 & 0xFF != 1))
}

/// Puts a profile together: its parts say which of how many they are (ICC.1, annex B.4).
fn take_profile(metadata: &mut Metadata, mut parts: Vec<(u8, u8, &[u8])>, notes: &mut Vec<Phrase>) {
    parts.sort_by_key(|(place, ..)| *place);
    let count = parts.len();
    let whole = parts
        .iter()
        .zip(1..)
        .all(|((place, of, _), i)| *place == i && usize::from(*of) == count);
    if whole {
        let parts: Vec<&[u8]> = parts.into_iter().map(|(.., part)| part).collect();
        metadata.take_icc(&parts.concat(), notes);
    } else {
        notes.push(DAMAGED_ICC);
    }
}

/// The density in a JFIF segment: version, unit, and two numbers.
fn density(content: &[u8]) -> Option<Resolution> {
    let (unit, sizes) = content.get(7..12)?.split_first()?;
    let [x, y] = [0, 2].map(|i| f64::from(u16::from_be_bytes([sizes[i], sizes[i + 1]])));
    match unit {
        0 => Resolution::aspect(x, y),
        1 => Resolution::per_inch(x, y),
        2 => Resolution::per_metre(x * 100.0, y * 100.0),
        _ => None,
    }
}
