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
        Self(format!("{}: {why}", shown(path)))
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
