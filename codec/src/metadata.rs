use asasr_core::Size;

use crate::phrase::{LARGE_ICC, NO_XMP, Phrase};
use crate::resolution::Resolution;
use crate::{exif, xmp};

/// Most bytes of a colour profile: those of printing presses, the largest, have 2 MB or so.
pub(crate) const MOST_ICC: usize = 4 << 20;
/// Most bytes of text that a PNG's chunks carry along.
pub(crate) const MOST_TEXT: usize = 4 << 20;

/// A gamma that means sRGB where nothing else is told, as browsers and libpng have it: within 5 % of this.
pub(crate) fn is_srgb_gamma(gamma: u32) -> bool {
    (f64::from(gamma) / 45_455.0 - 1.0).abs() <= 0.05
}

/// By what a file says which colours its samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColoursBy {
    /// An ICC profile.
    Profile,
    /// Numbers that only a PNG holds: cICP, or gAMA with cHRM.
    Numbers,
}

/// What a file tells about its image, to be carried into the result.
///
/// What the samples mean is told by the first of `cicp`, `icc`, `srgb`, and `gamma` with `chromaticities` that is there (PNG
/// 3, section 4.3); without any they are sRGB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The ICC profile that the samples are in.
    pub icc: Option<Vec<u8>>,
    /// The EXIF data, a TIFF structure, with the orientation set to upright.
    pub exif: Option<Vec<u8>>,
    /// The XMP data, UTF-8, with the orientation set to upright where the image was turned.
    pub xmp: Option<String>,
    /// Primaries, transfer function, matrix and range of the samples, as numbers of ITU-T H.273 (cICP of PNG).
    pub cicp: Option<[u8; 4]>,
    /// The brightness and colours of the display that an HDR image was made on (mDCV of PNG).
    pub mastering: Option<[u8; 24]>,
    /// The brightness that an HDR image reaches (cLLI of PNG).
    pub light: Option<[u8; 8]>,
    /// The samples are sRGB, with that rendering intent (sRGB of PNG).
    pub srgb: Option<u8>,
    /// The exponent from light to samples, times 100000 (gAMA of PNG).
    pub gamma: Option<u32>,
    /// White, red, green and blue, x and y of each, times 100000 (cHRM of PNG).
    pub chromaticities: Option<[u32; 8]>,
    /// The file says expressly that all bits of its samples count (sBIT of PNG).
    pub all_bits: bool,
    /// How large a pixel is.
    pub resolution: Option<Resolution>,
    /// Text, as the chunks of a PNG that hold it: a type and the content.
    pub texts: Vec<([u8; 4], Vec<u8>)>,
}

/// What a file tells about its image, and what of it cannot be carried.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) metadata: Metadata,
    pub(crate) notes: Vec<Phrase>,
    /// Where the file tells it outside EXIF data.
    pub(crate) orientation: Option<u8>,
    /// Colours are multiplied by alpha.
    #[cfg(feature = "tiff")]
    pub(crate) associated: bool,
}

impl From<(Metadata, Vec<Phrase>)> for Told {
    fn from((metadata, notes): (Metadata, Vec<Phrase>)) -> Self {
        Self {
            metadata,
            notes,
            ..Self::default()
        }
    }
}

impl Metadata {
    /// The same of an image of another size, in pixels: where EXIF and XMP data tell one, they tell this.
    #[must_use]
    pub fn sized(&self, size: Size) -> Self {
        let mut sized = self.clone();
        if let Some(data) = &mut sized.exif {
            exif::set_size(data, size);
        }
        if let Some(data) = sized.xmp.take() {
            sized.xmp = Some(xmp::sized(data, size));
        }
        sized
    }

    /// What says what the samples mean, and nothing else.
    #[must_use]
    pub fn colours(&self) -> Self {
        Self {
            icc: self.icc.clone(),
            cicp: self.cicp,
            mastering: self.mastering,
            light: self.light,
            srgb: self.srgb,
            gamma: self.gamma,
            chromaticities: self.chromaticities,
            ..Self::default()
        }
    }

    /// All but what says what the samples mean.
    #[must_use]
    pub fn without_colours(&self) -> Self {
        Self {
            exif: self.exif.clone(),
            xmp: self.xmp.clone(),
            resolution: self.resolution,
            texts: self.texts.clone(),
            ..Self::default()
        }
    }

    /// Whether nothing says that the samples are other than sRGB.
    #[cfg(not(feature = "colour"))]
    pub(crate) fn is_srgb(&self) -> bool {
        self.cicp.is_none() && self.profile().is_none()
    }

    /// By what it says which colours the samples mean; none where these are sRGB.
    pub fn colours_by(&self) -> Option<ColoursBy> {
        match (self.cicp, &self.icc, self.srgb, self.gamma) {
            (Some([1, 13, ..]), ..) | (None, None, Some(_), _) | (None, None, None, None) => None,
            (Some(_), ..) => Some(ColoursBy::Numbers),
            (None, Some(_), ..) => Some(ColoursBy::Profile),
            // That exponent alone, or nearly, is how older programs say sRGB.
            (None, None, None, Some(gamma)) => {
                let plain = self.chromaticities.is_none() && is_srgb_gamma(gamma);
                (!plain).then_some(ColoursBy::Numbers)
            }
        }
    }

    /// Whether the samples are HDR: of the transfer functions PQ or HLG (ITU-T H.273).
    pub fn is_hdr(&self) -> bool {
        matches!(self.cicp, Some([_, 16 | 18, ..]))
    }

    /// Takes EXIF data, with or without the prefix of JPEG.
    pub(crate) fn take_exif(&mut self, data: &[u8]) {
        self.exif = Some(exif::bare(data).to_vec());
    }

    /// Takes a colour profile, unless it is too large.
    pub(crate) fn take_icc(&mut self, profile: &[u8], notes: &mut Vec<Phrase>) {
        if profile.len() > MOST_ICC {
            notes.push(LARGE_ICC);
        } else if !profile.is_empty() {
            self.icc = Some(profile.to_vec());
        }
    }

    /// Takes XMP data; a PNG holds UTF-8 of any length, and this much is enough.
    pub(crate) fn take_xmp(&mut self, data: &[u8], notes: &mut Vec<Phrase>) {
        // A text may end with a zero, as in C.
        let end = data.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        match std::str::from_utf8(&data[..end]) {
            Ok(text) if end <= xmp::MOST && !text.contains('\0') => {
                self.xmp = Some(text.to_owned()).filter(|t| !t.is_empty());
            }
            _ => notes.push(NO_XMP),
        }
    }

    /// The orientation of the image, 1 without one, and `own` where the file tells it outside EXIF data. From then on all that
    /// goes along says upright: a preview that is not turned along is left out.
    pub(crate) fn take_orientation(&mut self, own: Option<u8>) -> u8 {
        let told = self.exif.as_deref_mut().and_then(exif::take_orientation);
        let orientation = own.or(told).unwrap_or(1);
        if orientation != 1 {
            if let Some(data) = &mut self.exif {
                exif::drop_thumbnail(data);
            }
            self.xmp = self.xmp.take().map(xmp::upright);
            // EXIF and XMP data once more, in figures, as ImageMagick writes it.
            self.texts
                .retain(|(_, text)| !text.starts_with(b"Raw profile type "));
        }
        if self.resolution.is_none() {
            self.resolution = self.exif.as_deref().and_then(exif::resolution);
        }
        if orientation >= 5 {
            if let Some(r) = &mut self.resolution {
                (r.x, r.y) = (r.y, r.x);
            }
            if let Some(data) = &mut self.exif {
                exif::turn_resolution(data);
            }
        }
        orientation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolutions_are_rounded_and_checked() {
        let metre = |x, y| Some(Resolution { x, y, metre: true });
        assert_eq!(Resolution::per_inch(72.0, 300.0), metre(2835, 11811));
        assert_eq!(Resolution::per_metre(f64::INFINITY, 1.0), None);
        assert_eq!(Resolution::per_metre(0.0, 1.0), None);
        assert_eq!(Resolution::aspect(1.0, 1.0), None);
        let shape = Resolution {
            x: 1500,
            y: 1000,
            metre: false,
        };
        assert_eq!(Resolution::aspect(1.5, 1.0), Some(shape));
    }
}
