//! What the header of a BMP tells about its image, and what of it the decoder does not take.

use crate::phrase::{CALIBRATED, DAMAGED_ICC, GAMMAS_APART, LINKED_ICC, Phrase, UNSEEN};
use crate::resolution::Resolution;
use crate::{Layout, Metadata, Picture, Samples};

/// Where the header with the size begins; that size is its first field.
const HEADER: usize = 14;
/// Places in that header: bits of a pixel, compression, pixels per metre, masks of red, green, blue and alpha.
const BITS: usize = 14;
const COMPRESSION: usize = 16;
const PER_METRE: [usize; 2] = [24, 28];
const MASKS: usize = 40;
const ALPHA_MASK: usize = 52;
/// And in longer ones: which colours, red, green and blue of those in XYZ, a gamma each, place and length of a profile.
const COLOURS: usize = 56;
const PRIMARIES: usize = 60;
const GAMMAS: [usize; 3] = [96, 100, 104];
const PROFILE: [usize; 2] = [112, 116];

/// Compression: none, and none with masks.
const PLAIN: u32 = 0;
const MASKED: u32 = 3;
/// None, with masks of alpha too behind the header.
const MASKED_ALPHA: u32 = 6;

/// Colours: those of the fields that follow, of a profile inside, of a profile elsewhere.
const CALIBRATED_COLOURS: u32 = 0;
const EMBEDDED: &[u8; 4] = b"MBED";
const LINKED: &[u8; 4] = b"LINK";

/// A number of the header; none behind its end.
fn field(bytes: &[u8], at: usize) -> Option<u32> {
    let number = |at: usize| {
        let bytes = bytes.get(HEADER + at..HEADER + at + 4)?;
        bytes.try_into().ok().map(u32::from_le_bytes)
    };
    number(at).filter(|_| number(0).is_some_and(|length| at + 4 <= length as usize))
}

/// What a BMP tells, and what of it cannot be carried.
pub(crate) fn read(bytes: &[u8]) -> (Metadata, Vec<Phrase>) {
    let (mut metadata, mut notes) = (Metadata::default(), Vec::new());
    let [x, y] = PER_METRE.map(|at| f64::from(field(bytes, at).unwrap_or(0)));
    metadata.resolution = Resolution::per_metre(x, y);
    match field(bytes, COLOURS) {
        Some(CALIBRATED_COLOURS) => calibrated(bytes, &mut metadata, &mut notes),
        Some(kind) if kind == u32::from_be_bytes(*EMBEDDED) => {
            let [at, length] = PROFILE.map(|at| field(bytes, at).unwrap_or(0) as usize);
            let profile = bytes
                .get(HEADER.saturating_add(at)..)
                .and_then(|rest| rest.get(..length));
            match profile {
                Some(profile) => metadata.take_icc(profile, &mut notes),
                None => notes.push(DAMAGED_ICC),
            }
        }
        Some(kind) if kind == u32::from_be_bytes(*LINKED) => notes.push(LINKED_ICC),
        _ => {}
    }
    (metadata, notes)
}

/// Primaries and gamma. Writers that mean sRGB leave them 0.
fn calibrated(bytes: &[u8], metadata: &mut Metadata, notes: &mut Vec<Phrase>) {
    let gammas = GAMMAS.map(|at| field(bytes, at).unwrap_or(0));
    // X, Y and Z of red, of green and of blue; together they are white.
    let mut colours = [[0.0; 3]; 4];
    for i in 0..9 {
        let value = f64::from(field(bytes, PRIMARIES + 4 * i).unwrap_or(0) as i32);
        colours[1 + i / 3][i % 3] = value;
        colours[0][i % 3] += value;
    }
    let sums = colours.map(|c| c.iter().sum::<f64>());
    if gammas.contains(&0) || sums.iter().any(|sum| *sum <= 0.0) {
        return;
    }
    if gammas.iter().any(|g| *g != gammas[0]) {
        notes.push(GAMMAS_APART);
        return;
    }
    // PNG holds numbers of 31 bits.
    let gamma = (100_000.0 * 65_536.0 / f64::from(gammas[0])).round();
    if gamma > f64::from(i32::MAX) {
        return;
    }
    notes.push(CALIBRATED);
    metadata.gamma = Some(gamma as u32);
    let mut chromaticities = [0; 8];
    for (i, (colour, sum)) in colours.iter().zip(sums).enumerate() {
        for axis in 0..2 {
            chromaticities[2 * i + axis] = (colour[axis] / sum * 100_000.0).round() as u32;
        }
    }
    metadata.chromaticities = Some(chromaticities);
}

/// A file whose header has a mask of alpha, but a compression that means none, as one that the decoder takes by its masks: so
/// do browsers and editors. None for all other files.
pub(crate) fn with_masks(bytes: &[u8]) -> Option<Vec<u8>> {
    let alpha = field(bytes, ALPHA_MASK).filter(|_| bytes.starts_with(b"BM"))?;
    let masks: [u32; 3] = match field(bytes, BITS)? as u16 {
        16 => [0x7C00, 0x03E0, 0x001F],
        32 => [0x00FF_0000, 0xFF00, 0x00FF],
        _ => return None,
    };
    let overlaps = masks.iter().any(|mask| mask & alpha != 0);
    if field(bytes, COMPRESSION)? != PLAIN || alpha == 0 || overlaps {
        return None;
    }
    let mut out = bytes.to_vec();
    let mut set = |at: usize, value: u32| out[HEADER + at..][..4].copy_from_slice(&value.to_le_bytes());
    set(COMPRESSION, MASKED);
    (0..3).for_each(|i| set(MASKS + 4 * i, masks[i]));
    Some(out)
}

/// A file whose header has no room for the mask of alpha, which follows it, as one of the longer header that has: the masks stand
/// at the same place.
pub(crate) fn with_long_header(bytes: &[u8]) -> Option<Vec<u8>> {
    let length = field(bytes, 0).filter(|_| bytes.starts_with(b"BM"))?;
    if length as usize != MASKS || field(bytes, COMPRESSION)? != MASKED_ALPHA {
        return None;
    }
    let mut out = bytes.to_vec();
    out[HEADER..HEADER + 4].copy_from_slice(&(ALPHA_MASK as u32 + 4).to_le_bytes());
    out[HEADER + COMPRESSION..][..4].copy_from_slice(&MASKED.to_le_bytes());
    Some(out)
}

/// Without alpha where that is 0 everywhere: the writer left it so, and nobody saves an image that is not seen.
pub(crate) fn seen(mut picture: Picture) -> Picture {
    if let (Layout::Rgba, Samples::Eight(samples)) = (picture.layout(), &picture.raster.samples)
        && samples.iter().skip(3).step_by(4).all(|alpha| *alpha == 0)
    {
        picture.raster = picture.raster.without_alpha();
        picture.notes.push(UNSEEN.into());
    }
    picture
}

/// Compression: the image is a JPEG or a PNG of its own.
const INSIDE: [u32; 2] = [4, 5];

/// Whether another image is inside.
pub(crate) fn holds_another(bytes: &[u8]) -> bool {
    field(bytes, COMPRESSION).is_some_and(|kind| INSIDE.contains(&kind))
}
