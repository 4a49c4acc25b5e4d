//! Printing that never ends the program: a reader may leave (`| head -1`), and a disk may be full.
//!
//! `say!` is for standard output, `note!` for standard error; both take what `say!` takes.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// Why a line on standard output was lost, unless its reader had left.
static LOST: OnceLock<String> = OnceLock::new();

/// A line on standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::say::out(format_args!($($text)*)) };
}

/// A line on standard error.
macro_rules! note {
    ($($text:tt)*) => { $crate::say::err(format_args!($($text)*)) };
}

/// Prints a line on standard output.
pub(crate) fn out(text: fmt::Arguments<'_>) {
    if let Err(e) = line(io::stdout().lock(), text)
        && e.kind() != ErrorKind::BrokenPipe
    {
        LOST.get_or_init(|| e.to_string());
    }
}

/// Prints a line on standard error; where that cannot be written there is nobody to tell.
pub(crate) fn err(text: fmt::Arguments<'_>) {
    let _ = line(io::stderr().lock(), text);
}

fn line(mut out: impl Write, text: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// For commands whose text is all they make.
///
/// # Errors
/// When some of it could not be written. A reader that left, as `head` does, wants no more of it: that is none.
pub(crate) fn check() -> Result<()> {
    match LOST.get() {
        None => Ok(()),
        Some(why) => Err(Error::new(format!(
            "standard output could not be written to the end: {why}"
        ))),
    }
}
