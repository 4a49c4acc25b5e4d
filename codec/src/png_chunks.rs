//! The chunks of a PNG that tell about its image (PNG 3, sections 4.3 and 11.3), read and written. The decoder does not read
//! them: it stops at the first data, inflates a profile of any size, and knows not all of them.

use fdeflate::BoundedDecompressionError::OutputTooLarge;

use crate::metadata::{MOST_ICC, MOST_TEXT, Metadata};
use crate::phrase::{DAMAGED_ICC, LARGE_ICC, NO_TEXT, NO_XMP, Phrase, SIGNIFICANT_BITS};
use crate::resolution::Resolution;
use crate::{Layout, xmp};

/// The keyword of the text that is XMP data.
const XMP: &[u8] = b"XML:com.adobe.xmp\0";
/// The chunks that count before a palette and the image only.
const EARLY: [&[u8; 4]; 8] = [
    b"cICP", b"mDCV", b"cLLI", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"sBIT",
];
/// The one that counts before the image only.
const BEFORE_DATA: &[u8; 4] = b"pHYs";
/// The chunks that count anywhere, the last three more than once.
const ANYWHERE: [&[u8; 4]; 4] = [b"eXIf", b"tEXt", b"zTXt", b"iTXt"];

/// CRC-32 of a chunk's type and content (PNG 3, annex D).
fn crc(chunk: &[u8]) -> u32 {
    !chunk.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ if c & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    })
}

/// The next chunk: its type with its content, and its checksum.
fn next<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], u32)> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (chunk, after) = after.split_at_checked(length.checked_add(4)?)?;
    let (sum, after) = after.split_first_chunk::<4>()?;
    *rest = after;
    Some((chunk, u32::from_be_bytes(*sum)))
}

/// Bytes of a PNG up to the end of its last whole chunk.
pub(crate) fn whole(bytes: &[u8]) -> usize {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while next(&mut rest).is_some() {}
    bytes.len() - rest.len()
}

/// What the chunks of a PNG tell, and what of it cannot be carried. A chunk that is damaged or stands where it must not counts
/// for nothing, as for other readers.
pub(crate) fn read(bytes: &[u8]) -> (Metadata, Vec<Phrase>) {
    // Bits of a sample and the kind of colours, as the first chunk tells; a palette has 8.
    let bits = match bytes.get(24..26) {
        Some(&[bits, kind]) if kind != 3 => bits,
        _ => 8,
    };
    // A palette's colours are red, green and blue.
    let channels = match bytes.get(25) {
        Some(0) => 1,
        Some(4) => 2,
        Some(6) => 4,
        _ => 3,
    };
    let mut found = Found {
        metadata: Metadata::default(),
        notes: Vec::new(),
        bits,
        channels,
        texts: 0,
    };
    let mut rest = bytes.get(8..).unwrap_or_default();
    let (mut early, mut before_data) = (true, true);
    let mut seen: Vec<&[u8]> = Vec::new();
    while let Some((chunk, sum)) = next(&mut rest) {
        let (kind, content) = chunk.split_at(4);
        if kind == b"IEND" {
            break;
        }
        before_data &= kind != b"IDAT";
        early &= before_data && kind != b"PLTE";
        let text = ANYWHERE[1..].iter().any(|k| *k == kind);
        let counts = text
            || !seen.contains(&kind)
                && (kind == ANYWHERE[0]
                    || before_data && kind == BEFORE_DATA
                    || early && EARLY.iter().any(|k| *k == kind));
        if counts && crc(chunk) == sum {
            if !text {
                seen.push(kind);
            }
            found.take(kind, content);
        }
    }
    (found.metadata, found.notes)
}

struct Found {
    metadata: Metadata,
    notes: Vec<Phrase>,
    bits: u8,
    channels: usize,
    /// Bytes of text chunks so far, what is around them too: empty ones are no exception.
    texts: usize,
}

impl Found {
    fn take(&mut self, kind: &[u8], content: &[u8]) {
        let metadata = &mut self.metadata;
        match kind {
            // The matrix is that of RGB in every PNG.
            b"cICP" => metadata.cicp = content.try_into().ok().filter(|c: &[u8; 4]| c[2] == 0),
            b"mDCV" => metadata.mastering = content.try_into().ok(),
            b"cLLI" => metadata.light = content.try_into().ok(),
            b"iCCP" => self.take_profile(content),
            b"sRGB" => metadata.srgb = content.first().copied().filter(|intent| *intent < 4),
            b"gAMA" => metadata.gamma = numbers::<1>(content).map(|[n]| n).filter(|n| *n > 0),
            // Without a brightness there is no such colour.
            b"cHRM" => {
                metadata.chromaticities =
                    numbers(content).filter(|c: &[u32; 8]| c.iter().skip(1).step_by(2).all(|y| *y > 0));
            }
            // No bits at all and more than there are mean nothing.
            b"sBIT"
                if content.len() == self.channels
                    && content.iter().all(|bits| (1..=self.bits).contains(bits)) =>
            {
                metadata.all_bits = content.iter().all(|bits| *bits == self.bits);
                if !metadata.all_bits {
                    self.notes.push(SIGNIFICANT_BITS);
                }
            }
            b"pHYs" => metadata.resolution = resolution(content),
            b"eXIf" => metadata.take_exif(content),
            // The first alone: each may unpack to megabytes.
            b"iTXt" if content.starts_with(XMP) => {
                if metadata.xmp.is_none() && !self.notes.contains(&NO_XMP) {
                    self.take_xmp(&content[XMP.len()..]);
                }
            }
            b"sBIT" => {}
            kind => {
                let room = self.texts + 12 + content.len();
                if room <= MOST_TEXT {
                    self.texts = room;
                    metadata
                        .texts
                        .push(([kind[0], kind[1], kind[2], kind[3]], content.to_vec()));
                } else if !self.notes.contains(&NO_TEXT) {
                    self.notes.push(NO_TEXT);
                }
            }
        }
    }

    /// A name, its end, a method of compression, and the profile.
    fn take_profile(&mut self, content: &[u8]) {
        let packed = content
            .iter()
            .position(|b| *b == 0)
            .and_then(|end| content.get(end + 1..)?.strip_prefix(&[0]));
        match packed.map(|packed| fdeflate::decompress_to_vec_bounded(packed, MOST_ICC)) {
            Some(Ok(profile)) => self.metadata.icc = Some(profile),
            Some(Err(OutputTooLarge { .. })) => self.notes.push(LARGE_ICC),
            _ => self.notes.push(DAMAGED_ICC),
        }
    }

    /// Whether it is compressed and how, a language and a translated keyword, and the data.
    fn take_xmp(&mut self, content: &[u8]) {
        let text = content.split_first_chunk::<2>().and_then(|(method, rest)| {
            let mut parts = rest.splitn(3, |b| *b == 0);
            Some((method[0], parts.nth(2)?))
        });
        match text {
            Some((0, data)) => self.metadata.take_xmp(data, &mut self.notes),
            Some((_, packed)) => match fdeflate::decompress_to_vec_bounded(packed, xmp::MOST) {
                Ok(data) => self.metadata.take_xmp(&data, &mut self.notes),
                Err(_) => self.notes.push(NO_XMP),
            },
            None => self.notes.push(NO_XMP),
        }
    }
}

/// So many numbers of 32 bits.
fn numbers<const N: usize>(content: &[u8]) -> Option<[u32; N]> {
    let (numbers, rest) = content.as_chunks::<4>();
    let numbers: &[[u8; 4]; N] = numbers.try_into().ok().filter(|_| rest.is_empty())?;
    Some(numbers.map(u32::from_be_bytes))
}

fn resolution(content: &[u8]) -> Option<Resolution> {
    let (unit, sizes) = content.split_last()?;
    let [x, y] = numbers(sizes)?;
    (x > 0 && y > 0 && *unit < 2).then_some(Resolution {
        x,
        y,
        metre: *unit == 1,
    })
}

/// The chunks that carry the metadata of a PNG of `bits` a sample, in their order, but for the profile, which the encoder
/// compresses.
pub(crate) fn written(metadata: &Metadata, layout: Layout, bits: u8) -> Vec<([u8; 4], Vec<u8>)> {
    let big = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_be_bytes()).collect::<Vec<u8>>();
    let mut chunks = Vec::new();
    let mut put = |kind: &[u8; 4], content: Option<Vec<u8>>| chunks.extend(content.map(|c| (*kind, c)));
    put(b"cICP", metadata.cicp.map(Vec::from));
    put(b"mDCV", metadata.mastering.map(Vec::from));
    put(b"cLLI", metadata.light.map(Vec::from));
    put(b"sRGB", metadata.srgb.map(|intent| vec![intent]));
    put(b"gAMA", metadata.gamma.map(|gamma| big(&[gamma])));
    put(b"cHRM", metadata.chromaticities.map(|numbers| big(&numbers)));
    put(b"sBIT", metadata.all_bits.then(|| vec![bits; layout.samples()]));
    let resolution = metadata.resolution.map(|r| {
        let mut content = big(&[r.x, r.y]);
        content.push(u8::from(r.metre));
        content
    });
    put(b"pHYs", resolution);
    put(b"eXIf", metadata.exif.clone());
    let text = metadata.xmp.as_ref().map(|xmp| {
        // Not compressed, in no language, and its keyword has no translation.
        [XMP, &[0; 4], xmp.as_bytes()].concat()
    });
    put(b"iTXt", text);
    for (kind, content) in &metadata.texts {
        put(kind, Some(content.clone()));
    }
    chunks
}
