//! What notes and errors say that is the same every time, each under a code for tables of other languages.

use std::fmt;

use asasr_core::Message;

/// A text without places, in English, and its code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Phrase {
    code: &'static str,
    english: &'static str,
}

impl Phrase {
    /// Without words.
    pub fn message(self) -> Message {
        Message::new(self.code)
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.english)
    }
}

impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)
    }
}

macro_rules! phrases {
    ($($(#[$why:meta])* $name:ident: $code:literal = $english:literal;)*) => {
        $($(#[$why])* #[allow(clippy::doc_markdown, reason = "the text itself")] #[doc = $english] pub const $name: Phrase = Phrase { code: $code, english: $english };)*

        /// The codes of all phrases.
        pub(crate) const CODES: &[&str] = &[$($code),*];
    };
}

phrases! {
    LARGE_ICC: "icc-too-large" = "the colour profile is larger than 4 MB: it was left out, so colours may look different";
    DAMAGED_ICC: "icc-damaged" = "the colour profile is damaged: it was left out, so colours may look different";
    LINKED_ICC: "icc-elsewhere" = "the colour profile is in another file: colours are taken as sRGB";
    NO_XMP: "xmp-left-out" = "the XMP data is damaged or too large: it was left out";
    NO_TEXT: "text-left-out" = "the file has more than 4 MB of text: what is beyond was left out";
    SIGNIFICANT_BITS: "significant-bits" =
        "the file says that some bits of its colours mean nothing (sBIT): in the result all bits count";
    GAIN_MAP: "gain-map" =
        "the file is an HDR photo: its gain map was left out, so the result shows the ordinary picture";
    NO_COLOUR: "colour-missing" = "the file is cut short: some of its colours are missing";
    MORE_PICTURES: "more-pictures" = "the file holds more than one picture: only the first is used";
    CALIBRATED: "calibrated" = "the file tells its colours' primaries and gamma, which few programs know";
    GAMMAS_APART: "gammas-apart" =
        "the file's colours have a gamma each, which PNG cannot tell: they are taken as sRGB";
    UNSEEN: "alpha-zero" = "the file's alpha is 0 everywhere: the image is taken as opaque";
    #[cfg(feature = "tiff")]
    NO_EXIF: "exif-left-out" = "the file has more than 4 MB of EXIF data: it was left out";
    #[cfg(feature = "tiff")]
    BEYOND_WHITE: "beyond-white" =
        "the file has values beyond black and white, as HDR has: there the result is black or white";
    #[cfg(feature = "tiff")]
    CHANNELS_LEFT_OUT: "channels-left-out" =
        "the file has channels that are neither colour nor alpha: they were left out";
    #[cfg(feature = "tiff")]
    TIFF_COLOURS: "tiff-colours" =
        "the file tells its primaries or its curves by tags that are not used: colours are taken as sRGB";
    #[cfg(feature = "colour")]
    HDR: "hdr-kept" = "the file is HDR, which sRGB is not: what tells its colours was kept";
    #[cfg(feature = "colour")]
    KEPT: "icc-kept" = "the colour profile could not be applied: it was kept";
    #[cfg(feature = "save")]
    JPEG_OPAQUE: "jpeg-opaque" = "JPEG has no transparency: it was laid on white";
    #[cfg(feature = "save")]
    TO_SRGB: "to-srgb" = "the colours were converted to sRGB";
    #[cfg(feature = "save")]
    OTHER_ICC: "icc-not-rgb" = "the colour profile is not of three colours: it was left out";
    #[cfg(feature = "save")]
    ONLY_PNG: "text-only-png" = "the file has texts, which only PNG holds: they were left out";
    #[cfg(feature = "save")]
    EXIF_BEYOND_JPEG: "exif-too-large" = "the EXIF data is too large for JPEG: it was left out";
    #[cfg(feature = "save")]
    XMP_BEYOND_JPEG: "xmp-too-large" = "the XMP data is too large for JPEG: it was left out";

    PDF: "pdf" = "a PDF document";
    POSTSCRIPT: "postscript" = "a PostScript document";
    VIDEO: "video" = "a video";
    VIDEO_OR_SOUND: "video-or-sound" = "a video or sound";
    SOUND: "sound" = "a sound";
    ZIP: "zip" = "a zip file or a document";
    ARCHIVE: "archive" = "a packed file";

    CGBI: "png-cgbi" = "Apple's PNG for apps (CgBI)";
    LOSSLESS: "jpeg-lossless" = "lossless JPEG";
    HIERARCHICAL: "jpeg-hierarchical" = "hierarchical JPEG";
    ARITHMETIC: "jpeg-arithmetic" = "JPEG with arithmetic coding";
    ARITHMETIC_OTHER: "jpeg-arithmetic-other" = "lossless or hierarchical JPEG with arithmetic coding";
    JPEG_LS: "jpeg-ls" = "JPEG-LS";
    JPEG_12: "jpeg-12-bits" = "JPEG of 12 bits";
    JPEG_BITS: "jpeg-other-bits" = "JPEG of other than 8 bits";
    JPEG_HEIGHT: "jpeg-height-behind" = "JPEG whose height stands behind its image";
    JPEG_COLOURS: "jpeg-colours" = "JPEG of neither one, three nor four colours";
    JPEG_FRACTION: "jpeg-fraction" = "JPEG whose colours have a broken fraction of its size";

    BMP_INSIDE: "bmp-inside" = "BMP with a JPEG or a PNG inside";
    RARE: "rare-kind" = "a rare kind of this format";
    #[cfg(feature = "tiff")]
    TIFF_COMPRESSION: "tiff-compression" = "TIFF that is compressed in this way";
    #[cfg(feature = "tiff")]
    TIFF_SIGNED: "tiff-signed" = "TIFF of signed numbers";
    #[cfg(feature = "tiff")]
    TIFF_LAB: "tiff-lab" = "TIFF in Lab colours";
    #[cfg(feature = "tiff")]
    TIFF_RARE: "tiff-rare" = "a rare kind of TIFF";

    DATA: "data-damaged" = "its data is damaged";
    PALETTE: "palette-damaged" = "its palette is damaged";
    DISAGREE: "size-and-data" = "its size and its data disagree";
    MEMORY: "memory-untold" = "it needs more memory than its size tells";
    LAYER_PALETTE: "layer-palette" = "it has a palette";
    LAYER_DEPTH: "layer-depth" = "it has less than 8 bits a sample";
    LAYER_INTERLACED: "layer-interlaced" = "its rows are interlaced";
}

/// Why a file is damaged: a phrase, or what a library says of it in words of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// One of ours.
    Known(Phrase),
    /// A library's words.
    Other(String),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(phrase) => phrase.fmt(f),
            Self::Other(why) => f.write_str(why),
        }
    }
}

impl From<Phrase> for Damage {
    fn from(phrase: Phrase) -> Self {
        Self::Known(phrase)
    }
}

impl From<String> for Damage {
    fn from(why: String) -> Self {
        Self::Other(why)
    }
}
