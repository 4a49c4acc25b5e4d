//! Building the page and the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::shell::{Result, cargo, root, run, say, target};
use crate::tools;

/// What the page is made of.
const SOURCES: [&str; 10] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "Trunk.toml",
    "www",
    "web",
    "core",
    "codec",
    "shaders",
    "weights",
];

/// Builds the page unless it is newer than its sources; returns its folder.
pub(crate) fn page() -> Result<PathBuf> {
    let dist = root().join("dist");
    // Its time is that of the build's start: what changed meanwhile is newer.
    let stamp = root().join("dist.built");
    let built = fs::metadata(&stamp).and_then(|m| m.modified()).ok();
    if dist.join("index.html").is_file()
        && built.is_some_and(|built| SOURCES.iter().all(|s| newest(&root().join(s)) <= built))
    {
        say("the page is up to date");
        return Ok(dist);
    }
    for need in tools::page_needs() {
        tools::ensure(&need)?;
    }
    let toolchain = tools::wasm_toolchain().ok_or("no compiler for WebAssembly is ready")?;
    say("building the page; the first time takes several minutes");
    let start = SystemTime::now();
    let mut trunk = Command::new("trunk");
    trunk
        .args(["build", "--release", "--locked", "--skip-version-check", "--dist"])
        .arg(&dist);
    trunk.current_dir(root()).envs(toolchain.environment());
    // Trunk reads any value of NO_COLOR as an argument and takes only true and false.
    run("page", trunk.env_remove("NO_COLOR"))?;
    let mark = fs::File::create(&stamp).and_then(|f| f.set_modified(start));
    mark.map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(dist)
}

/// Builds the server; returns its program.
pub(crate) fn server() -> Result<PathBuf> {
    run(
        "server",
        cargo(&["build", "--release", "--package", "asasr-server", "--target-dir"]).arg(target()),
    )?;
    Ok(target()
        .join("release")
        .join(format!("asasr-server{}", std::env::consts::EXE_SUFFIX)))
}

/// Builds the mathematics for a target without a standard library; returns the program.
pub(crate) fn bare() -> Result<PathBuf> {
    let toolchain = tools::bare_toolchain().ok_or("no compiler for a target without a standard library")?;
    let folder = target().join("bare");
    let mut build = Command::new("cargo");
    build
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "asasr-bare",
            "--target",
            tools::BARE,
        ])
        .arg("--target-dir")
        .arg(&folder);
    run(
        "no_std program",
        build.current_dir(root()).envs(toolchain.bare_environment()),
    )?;
    Ok(folder.join(tools::BARE).join("release").join("asasr_bare.wasm"))
}

/// The latest change of a file, or of anything in a folder.
fn newest(path: &Path) -> SystemTime {
    let own = fs::metadata(path)
        .and_then(|m| m.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH);
    let below = fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| newest(&e.path()));
    below.fold(own, SystemTime::max)
}
