use std::{fmt, io, path::Path};

use asasr_core::Message;

/// A failure as the user reads it: one sentence that names the input and, where there is one, the remedy; and as programs do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    text: String,
    message: Message,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// What goes wrong in the program itself, for other programs; what libraries say has their codes.
pub(crate) mod code {
    /// Anything without a code of its own.
    pub(crate) const PROGRAM: &str = "program";
    /// The system did not read or write a file.
    pub(crate) const FILE: &str = "file";
    /// A result would replace an input or another result, or no file can lie there.
    pub(crate) const PLACE: &str = "place";
    /// The format of the result cannot hold it, or tell its colours.
    pub(crate) const FORMAT: &str = "format";
    /// The disk has too little room for a result.
    pub(crate) const DISK_FULL: &str = "disk-full";
    /// The machine has too little memory for an image.
    pub(crate) const NO_MEMORY: &str = "no-memory";
    /// The program has a fault that an image brings out.
    pub(crate) const FAULT: &str = "fault";
    /// The program ffmpeg, by which videos are read and written, is missing, too old, or failed.
    pub(crate) const FFMPEG: &str = "ffmpeg";
    /// A file is no video that can be read.
    pub(crate) const VIDEO: &str = "video";
    /// What an earlier run began is there, and is not what was asked for.
    pub(crate) const UNFINISHED: &str = "unfinished";
    /// The user ended the work.
    pub(crate) const CANCELLED: &str = "cancelled";
}

/// An error of a library, which has a code.
pub(crate) trait Coded: fmt::Display {
    fn message(&self) -> Message;
}

impl Coded for asasr_core::Error {
    fn message(&self) -> Message {
        self.message()
    }
}

impl Coded for asasr_codec::Error {
    fn message(&self) -> Message {
        self.message()
    }
}

impl Coded for io::Error {
    fn message(&self) -> Message {
        Message::new(code::FILE).with("why", self)
    }
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            text: message.into(),
            message: Message::new(code::PROGRAM),
        }
    }

    /// `why` about the file or folder at `path`.
    pub(crate) fn at(path: &Path, why: impl fmt::Display) -> Self {
        Self::new(format!("{}: {why}", shown(path)))
    }

    /// What a library says about the file or folder at `path`.
    pub(crate) fn of(path: &Path, why: &impl Coded) -> Self {
        Self {
            message: why.message(),
            ..Self::at(path, why)
        }
    }

    /// The same with another remedy.
    pub(crate) fn with(self, remedy: &str) -> Self {
        Self {
            text: format!("{}, {remedy}", self.text),
            ..self
        }
    }

    /// The same about the file or folder at `path`, as far as it was about none.
    pub(crate) fn within(self, path: &Path) -> Self {
        Self {
            text: format!("{}: {}", shown(path), self.text),
            ..self
        }
    }

    /// The same under that [`code`].
    pub(crate) fn coded(self, code: &'static str) -> Self {
        Self {
            message: Message::new(code),
            ..self
        }
    }

    /// What it says, without words.
    pub(crate) fn message(&self) -> &Message {
        &self.message
    }
}

/// A path on one line: what would begin another, or speak to the terminal, is written out.
pub(crate) fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "\"\"".into();
    }
    let mut text = String::new();
    for c in path.display().to_string().chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<asasr_core::Error> for Error {
    fn from(e: asasr_core::Error) -> Self {
        Self {
            text: e.to_string(),
            message: e.message(),
        }
    }
}

impl From<asasr_store::Error> for Error {
    fn from(e: asasr_store::Error) -> Self {
        Self::new(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(shown(Path::new("a\nb\u{1b}[2J.png")), "a\\nb\\u{1b}[2J.png");
        assert_eq!(Error::at(Path::new(""), "why").to_string(), "\"\": why");
        assert_eq!(shown(Path::new("grün.png")), "grün.png");
    }
}
