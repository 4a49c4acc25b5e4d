use alloc::string::String;
use core::fmt::{self, Write as _};

use crate::graph::GraphError;

/// Everything that can go wrong in this crate, named after the input at fault and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A model's manifest cannot be read or contradicts itself.
    Manifest(String),
    /// An architecture description is not a network this crate can run.
    Architecture(String),
    /// A graph is not a network this crate can run.
    Graph(GraphError),
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

impl fmt::Write for Harmless<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(acts) {
            let mut rest = part.chars();
            match rest.next_back() {
                Some(c) if acts(c) => write!(self.0, "{}{}", rest.as_str(), c.escape_unicode())?,
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let f = &mut Harmless(f);
        match self {
            Self::Manifest(why) => write!(f, "the model's manifest is not usable: {why}"),
            Self::Architecture(why) => write!(f, "the model's architecture is not usable: {why}"),
            Self::Graph(why) => write!(f, "the network's graph is not usable: {why}"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

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
