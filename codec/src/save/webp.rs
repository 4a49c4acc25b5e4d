//! WebP (RFC 9649), lossy, by libwebp, in its extended layout where there is anything to carry.

use std::io::Write;

use webp::{Encoder, PixelLayout};

use super::{Whole, failed};
use crate::{Error, Layout};

/// A chunk: name, length, content, and a zero where the length is odd.
fn chunk(out: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    out.extend(name);
    out.extend((content.len() as u32).to_le_bytes());
    out.extend(content);
    out.resize(out.len() + content.len() % 2, 0);
}

/// Three bytes, the lowest first.
fn three(n: u32) -> [u8; 3] {
    let [a, b, c, _] = n.to_le_bytes();
    [a, b, c]
}

pub(super) fn write<W: Write>(mut whole: Whole<W>) -> Result<(), Error> {
    let [width, height] = whole.sides()?;
    let alpha = whole.layout == Layout::Rgba;
    let layout = if alpha {
        PixelLayout::Rgba
    } else {
        PixelLayout::Rgb
    };
    let encoder = Encoder::new(&whole.samples, layout, width, height);
    let quality = f32::from(whole.saving.quality);
    let image = encoder
        .encode_simple(false, quality)
        .map_err(|e| failed(format!("{e:?}")))?;
    let metadata = &whole.metadata;
    let exif = metadata.exif_or_resolution();
    if metadata.icc.is_none() && exif.is_none() && metadata.xmp.is_none() {
        return whole.put(&[&image]);
    }
    let flag = |there: bool, bit: u8| if there { bit } else { 0 };
    let flags = flag(metadata.icc.is_some(), 0x20)
        | flag(alpha, 0x10)
        | flag(exif.is_some(), 0x08)
        | flag(metadata.xmp.is_some(), 0x04);
    let [columns, rows] = [three(width - 1), three(height - 1)];
    let head = [&[flags, 0, 0, 0][..], &columns, &rows].concat();
    let mut before = b"WEBP".to_vec();
    chunk(&mut before, b"VP8X", &head);
    if let Some(icc) = &metadata.icc {
        chunk(&mut before, b"ICCP", icc);
    }
    let pixels = pixels(&image);
    let mut behind = Vec::new();
    if let Some(exif) = &exif {
        chunk(&mut behind, b"EXIF", exif);
    }
    if let Some(xmp) = &metadata.xmp {
        chunk(&mut behind, b"XMP ", xmp.as_bytes());
    }
    let length = before.len() + pixels.len() + behind.len();
    let length = u32::try_from(length).map_err(|_| failed("more than 4 GB"))?;
    whole.put(&[b"RIFF", &length.to_le_bytes(), &before, pixels, &behind])
}

/// The chunks of a file's image alone, which stand at its end.
fn pixels(file: &[u8]) -> &[u8] {
    const EXTENDED: usize = 8 + 10;
    let chunks = file.get(12..).unwrap_or_default();
    if chunks.starts_with(b"VP8X") {
        chunks.get(EXTENDED..).unwrap_or_default()
    } else {
        chunks
    }
}
