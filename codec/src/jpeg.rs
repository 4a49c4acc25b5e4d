//! Whether a JPEG is whole, and its colour model. Decoders fill what is missing with grey; a user wants to know.

/// What a walk over the markers of a JPEG found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Markers {
    /// The end-of-image marker was reached.
    pub(crate) complete: bool,
    /// Components of the frame: 1 grey, 3 colour, 4 CMYK.
    pub(crate) components: u8,
}

/// Walks the markers (ITU-T T.81, annex B) from the start of the image to its end.
pub(crate) fn markers(bytes: &[u8]) -> Markers {
    let mut found = Markers {
        complete: false,
        components: 0,
    };
    let mut i = 2;
    while i + 1 < bytes.len() {
        if bytes[i] != 0xFF {
            // Entropy-coded data, or a stray byte between segments.
            i += 1;
            continue;
        }
        match bytes[i + 1] {
            0xD9 => {
                found.complete = true;
                return found;
            }
            // A fill byte; the next one may begin a marker.
            0xFF => i += 1,
            // A stuffed zero, a restart marker, TEM, or a nested SOI: no length follows.
            0x00 | 0x01 | 0xD0..=0xD8 => i += 2,
            marker => {
                let Some(length) = bytes.get(i + 2..i + 4) else {
                    return found;
                };
                let is_frame = (0xC0..=0xCF).contains(&marker) && !matches!(marker, 0xC4 | 0xC8 | 0xCC);
                if is_frame && let Some(&components) = bytes.get(i + 9) {
                    found.components = components;
                }
                i += 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    found
}
