//! Building the npm package, the server and the program without a standard library.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::notices;
use crate::page::{LICENCES, page};
use crate::shell::{Result, cargo, copy, output, root, run, say, target};
use crate::tools;

/// Puts the component's package together; returns its folder.
pub(crate) fn npm() -> Result<PathBuf> {
    let page = page()?;
    let package = target().join("npm");
    let _ = fs::remove_dir_all(&package);
    for name in ["index.d.ts", "upscaler.d.ts", "react.d.ts", "README.md"] {
        copy(&root().join("npm").join(name), &package.join(name))?;
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
        copy(&page.join(&name), &package.join(&name))?;
    }
    for name in notices::FILES {
        copy(&page.join(LICENCES).join(name), &package.join(name))?;
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
            copy(&file.path(), &place.join(file.file_name()))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
