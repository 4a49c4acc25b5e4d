//! Running commands so that the reader sees what runs, why it failed and how long it took; where things are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
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

/// Does the same to all items, as many at a time as there are cores.
///
/// # Errors
/// One of those that were met.
pub(crate) fn side_by_side<T: Send>(items: Vec<T>, each: impl Fn(T) -> Result<()> + Sync) -> Result<()> {
    let waiting = Mutex::new(items.into_iter());
    let next = || waiting.lock().ok()?.next();
    let work = || std::iter::from_fn(next).try_for_each(&each);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|t| t.join().map_err(|_| "a thread ended early".to_owned())?)
    })
}

/// Copies a file, and makes the folders on its way.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let done = to
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::copy(from, to));
    done.map(drop).map_err(|e| format!("{}: {e}", from.display()))
}

/// What a command prints, when it runs and succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let out = command.stderr(Stdio::null()).output().ok()?;
    out.status
        .success()
        .then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
