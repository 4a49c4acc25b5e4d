//! Building the page and the server.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::notices;
use crate::shell::{Result, cargo, output, root, run, say, target};
use crate::tools;

/// What the page is made of.
const SOURCES: [&str; 16] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "Trunk.toml",
    "www",
    "web",
    "core",
    "codec",
    "interchange",
    "shaders",
    "weights",
    "xtask/src",
    POLICY_FILE,
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "NOTICE",
];

/// The page's policy, of which the server makes a header.
const POLICY: &str = include_str!("../../server/src/policy.txt");
const POLICY_FILE: &str = "server/src/policy.txt";

/// The folder of the licences in the page; below it nothing is kept for use offline.
const LICENCES: &str = "licences";

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
    trunk.env("RUSTFLAGS", rust_flags());
    // Trunk reads any value of NO_COLOR as an argument and takes only true and false.
    run("page", trunk.env_remove("NO_COLOR"))?;
    minify(&dist)?;
    add_policy(&dist)?;
    notices::write(&dist.join(LICENCES))?;
    fill_in_build(&dist)?;
    compress(&dist)?;
    let mark = fs::File::create(&stamp).and_then(|f| f.set_modified(start));
    mark.map_err(|e| format!("{}: {e}", stamp.display()))?;
    Ok(dist)
}

/// The flags of `.cargo/config.toml`, which these take the place of, and names of sources that do not tell where they lay.
fn rust_flags() -> String {
    const FEATURES: &str = "-Ctarget-feature=+simd128";
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = home.and_then(|home| fs::read_dir(home.join("registry").join("src")).ok());
    let folders = sources.into_iter().flatten().flatten().map(|e| e.path());
    // Flags are parted by spaces.
    let renamed = folders
        .filter(|f| !f.to_string_lossy().contains(char::is_whitespace))
        .map(|f| format!(" --remap-path-prefix={}=crates", f.display()));
    renamed.fold(FEATURES.to_owned(), |all, flag| all + &flag)
}

/// Puts the component's package together; returns its folder.
pub(crate) fn npm() -> Result<PathBuf> {
    let page = page()?;
    let package = target().join("npm");
    let _ = fs::remove_dir_all(&package);
    let copy = |from: PathBuf, to: PathBuf| -> Result<()> {
        let done = to
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::copy(&from, &to));
        done.map(drop).map_err(|e| format!("{}: {e}", from.display()))
    };
    for name in ["index.d.ts", "upscaler.d.ts", "react.d.ts", "README.md"] {
        copy(root().join("npm").join(name), package.join(name))?;
    }
    describe(&package)?;
    let modules = ["asasr-gpu", "asasr-cpu", "asasr-files", "asasr-models"]
        .map(|m| [format!("{m}.js"), format!("{m}_bg.wasm")]);
    let scripts = [
        "element.js",
        "upscaler.js",
        "worker.js",
        "workers.js",
        "script.js",
        "limits.js",
        "reach.js",
        "read.js",
        "reduced.js",
        "said.js",
        "english.js",
        "models.js",
        "pool.js",
        "signature.js",
        "address.js",
        "container.js",
    ]
    .map(String::from);
    for name in scripts.into_iter().chain(modules.into_iter().flatten()) {
        copy(page.join(&name), package.join(&name))?;
    }
    for name in notices::FILES {
        copy(page.join(LICENCES).join(name), package.join(name))?;
    }
    let models = page.join("v1").join("models");
    for model in fs::read_dir(&models)
        .map_err(|e| format!("{}: {e}", models.display()))?
        .flatten()
    {
        for file in fs::read_dir(model.path())
            .map_err(|e| format!("{}: {e}", models.display()))?
            .flatten()
        {
            let place = package.join("v1").join("models").join(model.file_name());
            copy(file.path(), place.join(file.file_name()))?;
        }
    }
    say(&format!("the package is in {}", package.display()));
    Ok(package)
}

/// Writes the package's description, with the repository: a publish with provenance compares it with where it is built.
fn describe(package: &Path) -> Result<()> {
    const DESCRIPTION: &str = "package.json";
    let from = root().join("npm").join(DESCRIPTION);
    let mut text = fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
    let on_github = env::var("GITHUB_REPOSITORY").map(|name| format!("https://github.com/{name}"));
    let remote = || {
        output(
            Command::new("git")
                .args(["remote", "get-url", "origin"])
                .current_dir(root()),
        )
    };
    match on_github.ok().or_else(remote).as_deref().and_then(repository) {
        Some(url) => text = with_repository(&text, &url),
        None => say("the package names no repository: GITHUB_REPOSITORY=OWNER/NAME does, for a publish"),
    }
    let to = package.join(DESCRIPTION);
    fs::write(&to, text).map_err(|e| format!("{}: {e}", to.display()))
}

/// A remote as npm writes it; none for a folder.
fn repository(remote: &str) -> Option<String> {
    let ssh = remote.strip_prefix("ssh://git@").map(str::to_owned);
    let short = || remote.strip_prefix("git@").map(|r| r.replacen(':', "/", 1));
    let https = || remote.strip_prefix("https://").map(str::to_owned);
    let place = ssh.or_else(short).or_else(https)?;
    // What stands before an @ may be a secret.
    let place = place.rsplit_once('@').map_or(&*place, |(_, place)| place);
    Some(format!("git+https://{}.git", place.trim_end_matches(".git")))
}

fn with_repository(description: &str, url: &str) -> String {
    const BEFORE: &str = "  \"license\":";
    let line =
        format!("  \"repository\": {{ \"type\": \"git\", \"url\": \"{url}\", \"directory\": \"npm\" }},\n");
    description.replacen(BEFORE, &(line + BEFORE), 1)
}

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
        path.extension().is_some_and(|e| e == "js") && path.file_name().is_some_and(|n| n != SERVICE_WORKER)
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
    let files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    let (copies, files): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|p| {
        p.extension()
            .is_some_and(|e| e == "br" || e == "zst" || e == "gz")
    });
    for path in copies {
        fs::remove_file(&path).map_err(|e| at(&path, e))?;
    }
    for path in files {
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
    }
    Ok(())
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 11, 24);
    out.write_all(bytes)?;
    out.flush()?;
    Ok(out.into_inner())
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
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
    // What only one device needs is kept when it is used.
    let later: Vec<String> = files
        .iter()
        .filter(|(name, _)| name.starts_with("asasr-"))
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// Builds the server; returns its program.
pub(crate) fn server() -> Result<PathBuf> {
    run(
        "server",
        cargo(&["build", "--release", "--package", "asasr-server", "--target-dir"]).arg(target()),
    )?;
    Ok(target()
        .join("release")
        .join(format!("asasr-server{}", env::consts::EXE_SUFFIX)))
}

/// The program `asasr`, which cargo builds before it runs the workspace's tests.
pub(crate) fn command_line() -> PathBuf {
    target()
        .join("debug")
        .join(format!("asasr{}", env::consts::EXE_SUFFIX))
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

    #[test]
    fn the_package_tells_its_version_and_repository() {
        let text = fs::read_to_string(root().join("npm").join("package.json")).expect("it is there");
        let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&version), "not of this workspace's version");
        for remote in [
            "https://github.com/a/b",
            "https://user:secret@github.com/a/b.git",
            "git@github.com:a/b.git",
            "ssh://git@github.com/a/b.git",
        ] {
            let url = repository(remote).unwrap_or_default();
            assert_eq!(url, "git+https://github.com/a/b.git", "{remote}");
        }
        assert_eq!(repository("/srv/asasr"), None);
        let filled = with_repository(&text, "git+https://github.com/a/b.git");
        assert!(
            filled.contains("\"url\": \"git+https://github.com/a/b.git\""),
            "{filled}"
        );
    }
}
