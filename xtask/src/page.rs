//! The page: its files, its WebAssembly modules, its policy, and compressed copies of all.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::links::{Module, Part, parts};
use crate::notices;
use crate::shell::{Result, cargo, copy, root, run, say, side_by_side};
use crate::tools;

/// What the page is made of.
const SOURCES: [&str; 20] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "www",
    "web",
    "core",
    "codec",
    "interchange",
    "shaders",
    "third-party/mediabunny",
    "weights",
    "xtask/bindgen",
    "xtask/src/links.rs",
    "xtask/src/notices.rs",
    "xtask/src/page.rs",
    "xtask/src/tools.rs",
    POLICY_FILE,
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "NOTICE",
];

/// The page's policy, of which the server makes a header.
const POLICY: &str = include_str!("../../server/src/policy.txt");
const POLICY_FILE: &str = "server/src/policy.txt";

/// The folder of the licences in the page; below it nothing is kept for use offline.
pub(crate) const LICENCES: &str = "licences";

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
    // Whole or not at all: what is served meanwhile stays.
    let half = root().join("dist.part");
    let _ = fs::remove_dir_all(&half);
    fs::create_dir_all(&half).map_err(|e| format!("{}: {e}", half.display()))?;
    assemble(&half, toolchain)?;
    minify(&half)?;
    add_policy(&half)?;
    notices::write(&notices::MODULES, &half.join(LICENCES))?;
    copy(
        &root().join(MEDIABUNNY_LICENCE),
        &half.join(LICENCES).join("LICENSE-mediabunny"),
    )?;
    fill_in_build(&half)?;
    compress(&half)?;
    let _ = fs::remove_dir_all(&dist);
    fs::rename(&half, &dist).map_err(|e| format!("{}: {e}", dist.display()))?;
    let mark = fs::File::create(&stamp).and_then(|f| f.set_modified(start));
    mark.map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(dist)
}

/// Puts the parts that `index.html` lists into `page`.
fn assemble(page: &Path, toolchain: tools::WasmToolchain) -> Result<()> {
    let www = root().join("www");
    let index = www.join("index.html");
    let html = fs::read_to_string(&index).map_err(|e| format!("{}: {e}", index.display()))?;
    let (html, parts) = parts(&html)?;
    let index = page.join("index.html");
    fs::write(&index, html).map_err(|e| format!("{}: {e}", index.display()))?;
    let mut modules = Vec::new();
    for part in parts {
        match part {
            Part::File { from, name } => copy(&www.join(from), &page.join(name))?,
            Part::Folder { from, to } => copy_folder(&www.join(from), &page.join(to))?,
            Part::Module(module) => modules.push(module),
        }
    }
    let compiled = modules
        .iter()
        .map(|module| compile(module, toolchain))
        .collect::<Result<Vec<PathBuf>>>()?;
    let mut bindgen = cargo(&["run", "--quiet", "--locked", "--package", "asasr-bindgen", "--"]);
    run("scripts of the modules", bindgen.arg(page).args(compiled))?;
    side_by_side(modules, |module| optimise(&module, page))
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let entries = fs::read_dir(from).map_err(|e| format!("{}: {e}", from.display()))?;
    entries
        .flatten()
        .try_for_each(|entry| copy(&entry.path(), &to.join(entry.file_name())))
}

/// Compiles a module; returns its file.
fn compile(module: &Module, toolchain: tools::WasmToolchain) -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .args([
            "build",
            "--locked",
            "--package",
            "asasr-web",
            "--target",
            tools::WASM,
        ])
        .args(["--bin", &module.name])
        .args(["--features", &module.features])
        .args(["--profile", &module.profile])
        .current_dir(root());
    cargo.envs(toolchain.environment()).env("RUSTFLAGS", rust_flags());
    run(&module.name, &mut cargo)?;
    let folder = toolchain.target().join(tools::WASM).join(&module.profile);
    Ok(folder.join(format!("{}.wasm", module.name)))
}

/// Makes a module of the page smaller and faster.
fn optimise(module: &Module, page: &Path) -> Result<()> {
    let file = page.join(format!("{}_bg.wasm", module.name));
    let mut command = Command::new(tools::wasm_opt());
    command
        .args(&module.optimise)
        .arg(&file)
        .arg("--output")
        .arg(&file);
    run(&format!("smaller {}", module.name), &mut command)
}

/// The flags of `.cargo/config.toml`, which these take the place of, and names of sources that do not tell where they lay.
fn rust_flags() -> String {
    const FEATURES: &str = "-Ctarget-feature=+simd128";
    let crates = sources_of_crates();
    FEATURES.to_owned() + &renaming(crates.iter().map(|folder| (folder.as_path(), "crates")))
}

/// Where the sources of crates lie.
pub(crate) fn sources_of_crates() -> Vec<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.and_then(|home| fs::read_dir(home.join("registry").join("src")).ok());
    sources
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect()
}

/// Flags under which other names stand for folders in what is compiled; where several hold a file the last counts.
pub(crate) fn renaming<'a>(folders: impl IntoIterator<Item = (&'a Path, &'a str)>) -> String {
    let renamed = folders
        .into_iter()
        // Flags are parted by spaces.
        .filter(|(folder, _)| !folder.to_string_lossy().contains(char::is_whitespace))
        .map(|(folder, name)| format!(" --remap-path-prefix={}={name}", folder.display()));
    renamed.collect()
}

/// What is by others and stays as they made it, and where its licence lies.
const MEDIABUNNY: &str = "mediabunny.js";
const MEDIABUNNY_LICENCE: &str = "third-party/mediabunny/LICENSE";

/// The service worker, whose list of files is filled in where a line of it says so, and which stays as it is for that.
const SERVICE_WORKER: &str = "service-worker.js";

/// Puts the policy into the page itself: a plain host of files sends no headers of ours.
fn add_policy(dist: &Path) -> Result<()> {
    let index = dist.join("index.html");
    let at = |e: &dyn std::fmt::Display| format!("{}: {e}", index.display());
    let html = fs::read_to_string(&index).map_err(|e| at(&e))?;
    let html = with_policy(&html).ok_or_else(|| at(&"it lacks the line after which its policy goes"))?;
    fs::write(&index, html).map_err(|e| at(&e))
}

/// The page with its policy before everything that is loaded. Who may frame it only a header can say.
fn with_policy(html: &str) -> Option<String> {
    const FIRST: &str = "<meta charset=\"utf-8\">";
    let (before, after) = html.split_once(FIRST)?;
    let policy = POLICY.trim();
    Some(format!(
        "{before}{FIRST}\n  <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n  \
         <meta name=\"referrer\" content=\"no-referrer\">{after}"
    ))
}

/// Makes the page's scripts small, each by itself.
fn minify(dist: &Path) -> Result<()> {
    let entries = fs::read_dir(dist).map_err(|e| format!("{}: {e}", dist.display()))?;
    let scripts = entries.flatten().map(|e| e.path()).filter(|path| {
        let kept = |name| path.file_name().is_some_and(|n| n == name);
        path.extension().is_some_and(|e| e == "js") && !kept(SERVICE_WORKER) && !kept(MEDIABUNNY)
    });
    let mut command = Command::new(tools::esbuild());
    command
        .args([
            "--minify",
            "--charset=utf8",
            "--target=es2022",
            "--allow-overwrite",
            "--log-level=warning",
        ])
        .arg(format!("--outdir={}", dist.display()));
    run("smaller scripts", command.args(scripts))
}

/// Puts compressed copies beside the page's files, for servers that have them ready.
fn compress(dist: &Path) -> Result<()> {
    let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    let entries = fs::read_dir(dist).map_err(|e| at(dist, e))?;
    let files = entries.flatten().map(|e| e.path()).filter(|p| p.is_file());
    side_by_side(files.collect(), |path| {
        let bytes = fs::read(&path).map_err(|e| at(&path, e))?;
        for (ending, smaller) in [
            ("br", brotli(&bytes)),
            ("zst", zstd::encode_all(&bytes[..], 19)),
            ("gz", gzip(&bytes)),
        ] {
            let smaller = smaller.map_err(|e| at(&path, e))?;
            let mut name = path.clone().into_os_string();
            name.push(".");
            name.push(ending);
            if smaller.len() < bytes.len() {
                fs::write(&name, smaller).map_err(|e| at(Path::new(&name), e))?;
            }
        }
        Ok(())
    })
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 11, 24);
    out.write_all(bytes)?;
    out.flush()?;
    Ok(out.into_inner())
}

pub(crate) fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(bytes)?;
    out.finish()
}

/// Tells the service worker which files make up this build, by their sha256.
fn fill_in_build(dist: &Path) -> Result<()> {
    const EMPTY: &str = "const BUILD = null;";
    let at = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
    let worker = dist.join(SERVICE_WORKER);
    let script = fs::read_to_string(&worker).map_err(|e| at(&worker, e))?;
    if !script.contains(EMPTY) {
        return Err(format!("{} lacks the line {EMPTY}", worker.display()));
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(dist).map_err(|e| at(dist, e))? {
        let path = entry.map_err(|e| at(dist, e))?.path();
        // The browser keeps the service worker itself; models are kept apart, under their own hashes.
        if path.is_file() && path != worker {
            let bytes = fs::read(&path).map_err(|e| at(&path, e))?;
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            files.push((name, hex(&Sha256::digest(bytes))));
        }
    }
    files.sort();
    let list: Vec<String> = files
        .iter()
        .map(|(name, hash)| format!("\"{name}\":\"{hash}\""))
        .collect();
    // What only one device or only videos need is kept when it is used.
    let is_later = |name: &str| {
        let begins = ["asasr-", "videos.", "video-", MEDIABUNNY];
        begins.iter().any(|b| name.starts_with(b))
    };
    let later: Vec<String> = files
        .iter()
        .filter(|(name, _)| is_later(name))
        .map(|(name, _)| format!("\"{name}\""))
        .collect();
    let version = &hex(&Sha256::digest(list.join(",")))[..16];
    let build = format!(
        "const BUILD = {{\"version\":\"{version}\",\"files\":{{{}}},\"later\":[{}]}};",
        list.join(","),
        later.join(",")
    );
    fs::write(&worker, script.replace(EMPTY, &build)).map_err(|e| at(&worker, e))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy comes first, is the server's, and forbids nothing that the page's own file has.
    #[test]
    fn the_page_carries_its_policy() {
        let page = fs::read_to_string(root().join("www").join("index.html")).expect("the page's source");
        let html = with_policy(&page).expect("it has a place for it");
        let policy = html
            .find("http-equiv=\"Content-Security-Policy\"")
            .expect("it is there");
        for loaded in ["<link", "<script", "<style", "<title"] {
            assert!(html.find(loaded).is_none_or(|at| policy < at), "{loaded}");
        }
        let content = html
            .split("content=\"")
            .find(|c| c.starts_with("default-src 'none';"));
        let content = content.and_then(|c| c.split_once('"')).map(|(c, _)| c);
        assert_eq!(content, Some(POLICY.trim()));
        // These count in a header only, and a browser complains of them elsewhere.
        for directive in ["frame-ancestors", "report-uri", "sandbox"] {
            assert!(!POLICY.contains(directive), "{directive}");
        }
        for inline in ["<style", " style=", " onclick=", " onload=", "javascript:"] {
            assert!(!page.contains(inline), "{inline}");
        }
        assert!(
            page.split("<script")
                .skip(1)
                .all(|s| s.starts_with(" type=\"module\" src=\""))
        );
        assert_eq!(with_policy("<!doctype html><title>none</title>"), None);
    }
}
