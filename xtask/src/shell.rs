//! Running commands so that the reader sees what runs, why it failed and how long it took.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

pub(crate) type Result<T> = std::result::Result<T, String>;

/// A line about what this program does, apart from what its commands print.
pub(crate) fn say(text: &str) {
    eprintln!("==> {text}");
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    // Cargo sets it anew at every `cargo run`; the program itself may have been built in another checkout.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let here = PathBuf::from(here);
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// Where build products go.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |t| root().join(t))
}

/// The cargo that runs this program.
pub(crate) fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    command
        .get_args()
        .fold(name, |line, arg| line + " " + &arg.to_string_lossy())
}

/// Runs a command to its end and says how long it took.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    say(&format!("{what}: {}", shown(command)));
    let start = Instant::now();
    let status = command
        .status()
        .map_err(|e| format!("{} cannot be started: {e}", shown(command)))?;
    if !status.success() {
        return Err(format!("{what} failed ({status}): {}", shown(command)));
    }
    say(&format!("{what}: done in {:.1} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// What a command prints, when it runs and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let out = command.stderr(Stdio::null()).output().ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
