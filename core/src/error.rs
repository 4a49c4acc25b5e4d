use alloc::string::{String, ToString as _};
use core::fmt::{self, Write as _};

use crate::graph::GraphError;
use crate::{Message, Size};

/// Everything that can go wrong in this crate, named after the input at fault and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A model's manifest cannot be read or contradicts itself.
    Manifest(String),
    /// An architecture description is not a network this crate can run.
    Architecture(String),
    /// A graph is not a network this crate can run.
    Graph(GraphError),
    /// A node that the device's executor does not take; another one may.
    NotTaken {
        /// The node's name.
        node: String,
        /// Its operation.
        op: &'static str,
        /// What the device lacks for it.
        why: String,
    },
    /// A weights file is damaged or does not fit its architecture.
    Weights(String),
    /// The bytes of a file are not those its manifest describes.
    Hash {
        /// The file the manifest names.
        file: String,
        /// Lower-case hexadecimal sha256 of the manifest.
        expected: String,
        /// Lower-case hexadecimal sha256 of the bytes received.
        actual: String,
    },
    /// An image or tile whose size the operation does not take.
    Size(String),
    /// An enlargement that is not offered: 1 to the model's own are.
    Scale {
        /// What was asked for.
        scale: usize,
        /// The most that is offered.
        most: usize,
    },
    /// A width that is not offered.
    Width {
        /// What was asked for, in pixels.
        wanted: usize,
        /// The image's own.
        least: usize,
        /// That at the model's scale.
        most: usize,
    },
    /// An image so wide that a row of its enlarged tiles does not fit the memory.
    TooWide(Size),
    /// A result with a side beyond what its format holds.
    TooLong {
        /// The result's size.
        size: Size,
        /// The format's longest side, in pixels.
        longest: usize,
    },
    /// A name that is no mode's.
    UnknownMode(String),
    /// A mode that the model does not have.
    NoMode {
        /// The model's id.
        model: String,
        /// The mode's name.
        mode: String,
    },
    /// Layers that were not made of this image.
    Layers,
    /// Parameters that describe no spectrum, or an image whose spectrum says nothing.
    Spectrum(String),
    /// Times that are not a schedule.
    Schedule(String),
    /// Adapters that do not fit their network, or a file that is none.
    Adapter(String),
    /// The device failed while it ran a network.
    Device(String),
    /// The device has no room for a tile of this size, or was lost while it computed one; it may run smaller ones.
    Exhausted(String),
    /// The consumer of the output rows failed.
    Output(String),
    /// The caller asked to stop.
    Cancelled,
}

/// Whether a character does something where it is shown: moves a cursor, colours, begins a line, turns the writing direction.
pub(crate) fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Files name things in words of their own: what would [act](acts) in them is written out.
struct Harmless<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Harmless<'_, '_> {
    /// A text with that written out.
    fn written(text: &str) -> String {
        let mut out = String::new();
        // Writing into memory does not fail.
        let _ = write_harmless(&mut out, text);
        out
    }
}

fn write_harmless(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    for part in text.split_inclusive(acts) {
        let mut rest = part.chars();
        match rest.next_back() {
            Some(c) if acts(c) => write!(out, "{}{}", rest.as_str(), c.escape_unicode())?,
            _ => out.write_str(part)?,
        }
    }
    Ok(())
}

impl fmt::Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_harmless(self.0, text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Harmless(f);
        match self {
            Self::Manifest(why) => write!(f, "the model's manifest is not usable: {why}"),
            Self::Architecture(why) => write!(f, "the model's architecture is not usable: {why}"),
            Self::Graph(why) => write!(f, "the network's graph is not usable: {why}"),
            Self::NotTaken { node, op, why } => {
                write!(
                    f,
                    "the compute device does not run {node} ({op}): {why}; use the CPU"
                )
            }
            Self::Weights(why) => write!(f, "the weights are not usable: {why}"),
            Self::Hash {
                file,
                expected,
                actual,
            } => write!(
                f,
                "the weights file {file} is not the one its manifest describes (sha256 {actual}, expected \
                 {expected}): download it again"
            ),
            Self::Scale { scale, most } => write!(f, "a scale of {scale} is not offered: choose 1 to {most}"),
            Self::Width { wanted, least, most } => write!(
                f,
                "an image {least} pixels wide can be made {least} to {most} wide, not {wanted}"
            ),
            Self::TooWide(size) => write!(
                f,
                "an image of {size} pixels is too wide for the memory there is: cut it into parts"
            ),
            Self::TooLong { size, longest } => write!(
                f,
                "the result would have {size} pixels, and its format holds {longest} a side: save it as PNG, or smaller"
            ),
            Self::UnknownMode(mode) => write!(f, "{mode} is no mode: use instant, fast or quality"),
            Self::NoMode { model, mode } => {
                write!(f, "the model {model} has no mode {mode}: use instant")
            }
            Self::Layers => write!(f, "the layers are not those of this image"),
            Self::Size(why) | Self::Spectrum(why) | Self::Schedule(why) => write!(f, "{why}"),
            Self::Adapter(why) => write!(f, "the LoRA adapter is not usable: {why}"),
            Self::Device(why) => write!(f, "the compute device failed: {why}"),
            Self::Exhausted(why) => {
                write!(
                    f,
                    "the compute device cannot go on, not even with small tiles: {why}; use the CPU"
                )
            }
            Self::Output(why) => write!(f, "the result could not be written: {why}"),
            Self::Cancelled => write!(f, "cancelled"),
        }
    }
}

impl core::error::Error for Error {}

impl From<GraphError> for Error {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

impl Error {
    /// The codes of all [messages](Self::message).
    pub const CODES: [&str; 19] = [
        "manifest",
        "architecture",
        "graph",
        "node-not-taken",
        "weights",
        "weights-other",
        "refused",
        "scale",
        "width",
        "too-wide",
        "too-long",
        "mode-unknown",
        "mode-missing",
        "layers-other",
        "adapter",
        "device",
        "exhausted",
        "output",
        "cancelled",
    ];

    /// What it says, without words. What only a researcher meets says why in English.
    pub fn message(&self) -> Message {
        let because = |code, why: &String| Message::new(code).with("why", &Harmless::written(why));
        match self {
            Self::Manifest(why) => because("manifest", why),
            Self::Architecture(why) => because("architecture", why),
            Self::Graph(why) => because("graph", &why.to_string()),
            Self::NotTaken { node, op, why } => because("node-not-taken", why)
                .with("node", &Harmless::written(node))
                .with("op", op),
            Self::Weights(why) => because("weights", why),
            Self::Hash { file, .. } => Message::new("weights-other").with("file", &Harmless::written(file)),
            Self::Size(why) | Self::Spectrum(why) | Self::Schedule(why) => because("refused", why),
            Self::Scale { scale, most } => Message::new("scale").with("scale", scale).with("most", most),
            Self::Width { wanted, least, most } => Message::new("width")
                .with("wanted", wanted)
                .with("least", least)
                .with("most", most),
            Self::TooWide(size) => Message::new("too-wide").with("size", size),
            Self::TooLong { size, longest } => Message::new("too-long")
                .with("size", size)
                .with("longest", longest),
            Self::UnknownMode(mode) => Message::new("mode-unknown").with("mode", mode),
            Self::NoMode { model, mode } => Message::new("mode-missing")
                .with("model", model)
                .with("mode", mode),
            Self::Layers => Message::new("layers-other"),
            Self::Adapter(why) => because("adapter", why),
            Self::Device(why) => because("device", why),
            Self::Exhausted(why) => because("exhausted", why),
            Self::Output(why) => because("output", why),
            Self::Cancelled => Message::new("cancelled"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Fault;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// One of each, made by a match that has no arm for the others, so that none is forgotten.
    fn all() -> Vec<Error> {
        let why = || "why".to_string();
        let next = |error: &Error| match error {
            Error::Manifest(_) => Some(Error::Architecture(why())),
            Error::Architecture(_) => Some(Error::Graph(Fault::Name.whole())),
            Error::Graph(_) => Some(Error::NotTaken {
                node: why(),
                op: "conv",
                why: why(),
            }),
            Error::NotTaken { .. } => Some(Error::Weights(why())),
            Error::Weights(_) => Some(Error::Hash {
                file: why(),
                expected: why(),
                actual: why(),
            }),
            Error::Hash { .. } => Some(Error::Size(why())),
            Error::Size(_) => Some(Error::Scale { scale: 5, most: 4 }),
            Error::Scale { .. } => Some(Error::Width {
                wanted: 1,
                least: 2,
                most: 8,
            }),
            Error::Width { .. } => Some(Error::TooWide(Size::new(1, 2))),
            Error::TooWide(_) => Some(Error::TooLong {
                size: Size::new(1, 2),
                longest: 1,
            }),
            Error::TooLong { .. } => Some(Error::UnknownMode(why())),
            Error::UnknownMode(_) => Some(Error::NoMode {
                model: why(),
                mode: why(),
            }),
            Error::NoMode { .. } => Some(Error::Layers),
            Error::Layers => Some(Error::Spectrum(why())),
            Error::Spectrum(_) => Some(Error::Schedule(why())),
            Error::Schedule(_) => Some(Error::Adapter(why())),
            Error::Adapter(_) => Some(Error::Device(why())),
            Error::Device(_) => Some(Error::Exhausted(why())),
            Error::Exhausted(_) => Some(Error::Output(why())),
            Error::Output(_) => Some(Error::Cancelled),
            Error::Cancelled => None,
        };
        core::iter::successors(Some(Error::Manifest(why())), next).collect()
    }

    #[test]
    fn every_error_has_a_code_and_every_code_an_error() {
        let mut codes: Vec<&str> = all().iter().map(|e| e.message().code).collect();
        codes.dedup();
        let mut known = Error::CODES.to_vec();
        codes.sort_unstable();
        codes.dedup();
        known.sort_unstable();
        assert_eq!(codes, known);
    }

    #[test]
    fn what_a_file_says_does_nothing_where_it_is_shown() {
        let why = Error::Manifest("unknown variant `a\u{1b}[2J\n\u{202e}`, expected \u{e4}".into());
        assert_eq!(
            why.to_string(),
            "the model's manifest is not usable: unknown variant `a\\u{1b}[2J\\u{a}\\u{202e}`, expected \u{e4}"
        );
        let why = Error::Hash {
            file: "\r".into(),
            expected: String::new(),
            actual: String::new(),
        };
        assert!(!why.to_string().contains(acts), "{why:?}");
    }
}
