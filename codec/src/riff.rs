//! What the chunks of a WebP tell about its image (WebP container specification).

use crate::{Metadata, Phrase};

/// What a WebP tells, and what of it cannot be carried.
pub(crate) fn read(bytes: &[u8]) -> (Metadata, Vec<Phrase>) {
    let (mut metadata, mut notes) = (Metadata::default(), Vec::new());
    let mut rest = bytes.get(12..).unwrap_or_default();
    // A profile counts only where the header says that there is one.
    let mut profile = false;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let (kind, length) = head.split_at(4);
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        // The last chunk of a file may be shorter than it says; its image then is too.
        let content = &after[..length.min(after.len())];
        rest = after.get(length.saturating_add(length & 1)..).unwrap_or_default();
        match kind {
            b"VP8X" => profile = content.first().is_some_and(|flags| flags & 0x20 != 0),
            b"ICCP" if profile && metadata.icc.is_none() => metadata.take_icc(content, &mut notes),
            b"EXIF" if metadata.exif.is_none() => metadata.take_exif(content),
            // Some writers call it so.
            b"XMP " | b"XMP\0" if metadata.xmp.is_none() => metadata.take_xmp(content, &mut notes),
            _ => {}
        }
    }
    (metadata, notes)
}
