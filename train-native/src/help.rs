//! What the command line says of itself, for shells and for `man`.

use std::fs;

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions, Manual};
use crate::error::{Error, Result};

/// Prints the completions for a shell.
pub(crate) fn completions(args: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "asasr", &mut script);
    say!("{}", String::from_utf8_lossy(&script).trim_end());
}

/// Writes `asasr.1`, `asasr-upscale.1` and so on.
///
/// # Errors
/// A folder that cannot be made or written.
pub(crate) fn manual(args: &Manual) -> Result<()> {
    let folder = &args.folder;
    let at = |e: std::io::Error| Error::at(folder, e);
    fs::create_dir_all(folder).map_err(at)?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(at)
}
