use std::{fmt, path::Path};

/// A failure as the user reads it: one sentence that names the input and, where there is one, the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error(String);

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// `why` about the file or folder at `path`.
    pub(crate) fn at(path: &Path, why: impl fmt::Display) -> Self {
        Self(format!("{}: {why}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<asasr_core::Error> for Error {
    fn from(e: asasr_core::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<asasr_store::Error> for Error {
    fn from(e: asasr_store::Error) -> Self {
        Self(e.to_string())
    }
}
