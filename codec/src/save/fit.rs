//! What of a picture a format cannot hold.

use super::Format;
use super::jpeg::{EXIF, SEGMENT, XMP};
use crate::phrase::{EXIF_BEYOND_JPEG, JPEG_OPAQUE, ONLY_PNG, OTHER_ICC, TO_SRGB, XMP_BEYOND_JPEG};
use crate::{Metadata, Note, Picture};

impl Picture {
    /// The picture as a file of that format can have it, which its notes say: without what the format cannot carry, and with
    /// its colours in sRGB where it cannot tell others. None where these are brighter than sRGB can be, or their profile cannot be applied.
    #[must_use]
    pub fn fitted(self, format: Format) -> Option<Self> {
        if format == Format::Png {
            return Some(self);
        }
        let mut picture = self.with_told_colours(format)?;
        let metadata = &mut picture.metadata;
        let mut notes: Vec<Note> = Vec::new();
        if !metadata.texts.is_empty() {
            metadata.texts.clear();
            notes.push(ONLY_PNG.into());
        }
        if format == Format::Jpeg {
            if metadata
                .exif
                .as_ref()
                .is_some_and(|exif| exif.len() + EXIF > SEGMENT)
            {
                metadata.exif = None;
                notes.push(EXIF_BEYOND_JPEG.into());
            }
            if metadata
                .xmp
                .as_ref()
                .is_some_and(|xmp| xmp.len() + XMP.len() > SEGMENT)
            {
                metadata.xmp = None;
                notes.push(XMP_BEYOND_JPEG.into());
            }
        }
        if format == Format::Jpeg && !picture.is_opaque() {
            notes.push(JPEG_OPAQUE.into());
        }
        let (_, bits) = format.stored(picture.layout(), picture.bits());
        if bits < picture.bits() {
            notes.push(Note::BitsLost(format.name()));
        }
        picture.notes.extend(notes);
        Some(picture)
    }

    /// The picture with colours that a file of that format tells.
    fn with_told_colours(mut self, format: Format) -> Option<Self> {
        let (stored, _) = format.stored(self.layout(), self.bits());
        let rest = self.metadata.without_colours();
        let profile = match format {
            Format::Jpeg | Format::WebP | Format::Tiff if !self.metadata.is_hdr() => self.metadata.profile(),
            // No encoder that writes a profile, and no numbers for light that is brighter.
            _ => return self.in_srgb(),
        };
        // The space of a profile's samples (ICC.1:2022, 7.2.6).
        let space = profile.as_deref().and_then(|icc| icc.get(16..20));
        let fits = match space {
            None => true,
            Some(b"RGB ") => stored.samples() > 2,
            Some(b"GRAY") => stored.samples() < 3,
            Some(_) => false,
        };
        if profile.is_some() && !fits {
            if self.is_grey() {
                return self.in_srgb();
            }
            self.notes.push(OTHER_ICC.into());
        }
        self.metadata = Metadata {
            icc: profile.filter(|_| fits),
            ..rest
        };
        Some(self)
    }

    /// The picture in sRGB, with the rest of what its file told.
    fn in_srgb(mut self) -> Option<Self> {
        let rest = self.metadata.without_colours();
        if self.colours_to_srgb()? {
            self.notes.push(TO_SRGB.into());
        }
        self.metadata = rest;
        Some(self)
    }
}
