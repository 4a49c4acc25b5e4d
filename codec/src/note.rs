use std::fmt;

use asasr_core::Message;

use crate::Phrase;

/// What decoding changed or left out; [`ToString`] gives a sentence for the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// Only the first frame of an animation is used.
    Animation,
    /// Only the first of so many pages is used.
    Pages(usize),
    /// CMYK was converted to RGB without its profile.
    Cmyk,
    /// The file ends before its image does.
    CutShort {
        /// Rows as they are stored, from the first, that are there; the others are grey.
        rows: usize,
        /// Rows of the image.
        of: usize,
    },
    /// The rows are all there, but not what makes them sharp.
    Coarse,
    /// 16 bits become 8 in that format.
    #[cfg(feature = "save")]
    BitsLost(&'static str),
    /// What says the same every time.
    Other(Phrase),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Animation => write!(f, "the file is an animation: only its first frame is used"),
            Self::Pages(pages) => write!(f, "the file has {pages} pages: only the first is used"),
            Self::Cmyk => write!(
                f,
                "the file is CMYK: its colours were converted to RGB without a profile"
            ),
            Self::CutShort { rows, of } => {
                write!(
                    f,
                    "the file is cut short: {rows} of its {of} rows are there, the others are grey"
                )
            }
            Self::Coarse => write!(f, "the file is not complete: its finest detail is missing"),
            #[cfg(feature = "save")]
            Self::BitsLost(format) => write!(
                f,
                "the photo has 16 bits a colour, {format} keeps 8: save it as PNG to keep all"
            ),
            Self::Other(phrase) => phrase.fmt(f),
        }
    }
}

impl From<Phrase> for Note {
    fn from(phrase: Phrase) -> Self {
        Self::Other(phrase)
    }
}

impl Note {
    /// The codes of [messages](Self::message) beside those of phrases.
    pub(crate) const CODES: [&str; 5] = ["animation", "pages", "cmyk", "rows-missing", "detail-missing"];

    /// What it says, without words.
    pub fn message(self) -> Message {
        match self {
            Self::Animation => Message::new("animation"),
            Self::Pages(pages) => Message::new("pages").with("pages", &pages),
            Self::Cmyk => Message::new("cmyk"),
            Self::CutShort { rows, of } => Message::new("rows-missing").with("rows", &rows).with("of", &of),
            Self::Coarse => Message::new("detail-missing"),
            #[cfg(feature = "save")]
            Self::BitsLost(format) => Message::new("bits-lost").with("format", &format),
            Self::Other(phrase) => phrase.message(),
        }
    }
}
