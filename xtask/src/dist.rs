//! What a release is made of: archives, Python wheels and a Debian package with the program, the server, a container's files, checksums.
//!
//! The work is done by maturin, zig and dpkg-deb; this puts together what they make.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::notices::{self, Product};
use crate::page;
use crate::shell::{Result, cargo, copy, output, root, run, say, target};
use crate::tools;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The oldest C library that programs for it run with: of 2014.
const GLIBC: &str = "2.17";
const SERVER_FEATURES: &str = "embed";
/// The shells whose completions go with the program, and the files' names as the shells look for them.
const SHELLS: [(&str, &str); 4] = [
    ("bash", "asasr.bash"),
    ("zsh", "_asasr"),
    ("fish", "asasr.fish"),
    ("powershell", "_asasr.ps1"),
];

/// Takes the list of parts out of a wheel, which is a zip file.
const LIST_PARTS: &str = include_str!("parts.py");

/// What a program is made for, as rustc names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target(String);

impl Target {
    fn is_linux(&self) -> bool {
        self.0.contains("-linux-")
    }

    /// Whether its programs need nothing of the system they run on. They cannot load a driver either.
    fn is_static(&self) -> bool {
        self.0.ends_with("-musl")
    }

    fn is_windows(&self) -> bool {
        self.0.contains("-windows-")
    }

    /// The processor, as Debian and container registries name it.
    fn processor(&self) -> &str {
        match self.0.split('-').next() {
            Some("x86_64") => "amd64",
            Some("aarch64") => "arm64",
            other => other.unwrap_or_default(),
        }
    }

    /// Whether its programs run here.
    fn runs_here(&self) -> bool {
        self.0.starts_with(env::consts::ARCH)
            && (self.is_linux() && cfg!(target_os = "linux")
                || self.is_windows() && cfg!(windows)
                || self.0.ends_with("-apple-darwin") && cfg!(target_os = "macos"))
    }

    /// Of the program.
    fn features(&self) -> &'static str {
        if self.is_static() { "" } else { "wgpu" }
    }

    /// What is compiled for it.
    fn product(&self) -> Product<'_> {
        let (packages, features): (&[&str], _) = if self.is_static() {
            (&["asasr", "asasr-server"], SERVER_FEATURES)
        } else {
            (&["asasr"], self.features())
        };
        Product {
            name: "The programs",
            packages,
            target: &self.0,
            features,
        }
    }

    fn program(&self, name: &str) -> PathBuf {
        let ending = if self.is_windows() { ".exe" } else { "" };
        let folder = target().join(&self.0).join("release");
        folder.join(format!("{name}{ending}"))
    }
}

/// Those of this machine: on Linux one without and one with drivers.
fn targets_here() -> Vec<Target> {
    let processor = env::consts::ARCH;
    let systems: &[&str] = match env::consts::OS {
        "linux" => &["unknown-linux-musl", "unknown-linux-gnu"],
        "macos" => &["apple-darwin"],
        _ => &["pc-windows-msvc"],
    };
    systems
        .iter()
        .map(|system| Target(format!("{processor}-{system}")))
        .collect()
}

/// Makes everything for the targets of those names, or for this machine; returns the folder.
pub(crate) fn dist(names: &[String]) -> Result<PathBuf> {
    let targets: Vec<Target> = match names {
        [] => targets_here(),
        some => some.iter().cloned().map(Target).collect(),
    };
    for need in tools::dist_needs() {
        tools::ensure(&need)?;
    }
    let out = target().join("dist");
    let _ = fs::remove_dir_all(&out);
    make(&out)?;
    // Parts that only this needs.
    let parts = target().join("dist-parts");
    let _ = fs::remove_dir_all(&parts);
    if targets.iter().any(Target::is_static) {
        page::page()?;
    }
    for each in &targets {
        tools::ensure_target(&each.0)?;
        let folder = parts.join(&each.0);
        let legal = folder.join("legal");
        notices::write(&each.product(), &legal)?;
        let glibc = each.0.replace("-musl", "-gnu");
        let beside = each.is_static() && targets.iter().any(|t| t.0 == glibc);
        compile((each, beside), &folder, &legal)?;
        list_parts(each, &folder.join("wheel"), &out)?;
        copy_all(&folder.join("wheel"), &out)?;
    }
    let help = parts.join("help");
    write_help(targets.iter().find(|t| t.runs_here()), &help)?;
    for each in &targets {
        let folder = parts.join(&each.0);
        let legal = folder.join("legal");
        archive_program(each, &folder, &legal, &help, &out)?;
        if each.is_static() {
            archive_server(each, &folder, &legal, &out)?;
            add_to_container(each, &legal, &out.join("container"))?;
        } else if each.is_linux() {
            debian(each, &folder.join("deb"), &legal, &help, &out)?;
        }
    }
    checksums(&out)?;
    say(&format!("the release is in {}", out.display()));
    Ok(out)
}

/// Compiles the programs, and puts the wheel into the folder `wheel` of `parts`; whether there is one for glibc `beside` a static one.
fn compile((each, beside): (&Target, bool), parts: &Path, legal: &Path) -> Result<()> {
    let project = &parts.join("project");
    let source = root().join("train-native");
    let description = source.join("pyproject.toml");
    let text = fs::read_to_string(&description).map_err(|e| at(&description, &e))?;
    // What goes into a wheel has to lie beside its description.
    let here = format!(
        "[tool.maturin]\nmanifest-path = {:?}\n",
        source.join("Cargo.toml").display().to_string()
    );
    let licences = format!("license-files = {:?}\ndynamic =", notices::FILES);
    let text = text
        .replace("[tool.maturin]\n", &here)
        .replace("dynamic =", &licences);
    copy_all(legal, project)?;
    copy(&source.join("README.md"), &project.join("README.md"))?;
    write(&project.join("pyproject.toml"), text.as_bytes())?;
    wheel(
        (each, beside),
        ("the program", each.features()),
        project,
        &parts.join("wheel"),
    )?;
    if each.is_static() {
        // The wheel of the server is not handed on: one tool for both, so that nothing is compiled twice.
        wheel(
            (each, beside),
            ("the server", SERVER_FEATURES),
            &root().join("server"),
            &parts.join("server-wheel"),
        )?;
    }
    Ok(())
}

/// The folders of this machine that sources lie in, and what stands for them in what is handed on; a folder stands behind the one it may
/// lie in.
fn folders() -> Vec<(PathBuf, &'static str)> {
    let own = [(root(), "asasr"), (target(), "target")];
    let crates = page::sources_of_crates()
        .into_iter()
        .map(|folder| (folder, "crates"));
    own.into_iter().chain(crates).collect()
}

/// Compiles what is described in `project` by maturin, whose wheel goes into `out`.
fn wheel(
    (each, beside): (&Target, bool),
    (what, features): (&str, &str),
    project: &Path,
    out: &Path,
) -> Result<()> {
    let folders = folders();
    let given = env::var("RUSTFLAGS").unwrap_or_default();
    let flags = given + &page::renaming(folders.iter().map(|(folder, name)| (folder.as_path(), *name)));
    let mut maturin = Command::new(tools::maturin());
    maturin
        .args(["build", "--locked", "--release", "--bindings", "bin"])
        .args(["--target", &each.0, "--features", features])
        .arg("--target-dir")
        .arg(target())
        .arg("--out")
        .arg(out)
        .current_dir(project)
        .env("PATH", tools::python_path())
        .env("RUSTFLAGS", flags);
    if each.is_static() {
        // Nothing in it is of either C library; where there is a wheel for glibc too, that is for those who have glibc.
        maturin.args([
            "--zig",
            "--auditwheel",
            "skip",
            "--compatibility",
            "musllinux_1_2",
        ]);
        if !beside {
            maturin.arg("manylinux2014");
        }
    } else if each.is_linux() {
        maturin.args(["--zig", "--compatibility", "manylinux2014"]);
    }
    run(&format!("{what} for {}", each.0), &mut maturin)
}

/// Writes completions and manual pages, with a program of `built` where one runs here.
fn write_help(built: Option<&Target>, folder: &Path) -> Result<()> {
    let program = || match built {
        Some(each) => Command::new(each.program("asasr")),
        None => cargo(&["run", "--quiet", "--locked", "--package", "asasr", "--"]),
    };
    let completions = folder.join("completions");
    make(&completions)?;
    for (shell, file) in SHELLS {
        let script = output(program().args(["completions", shell]))
            .ok_or_else(|| format!("no completions for {shell}"))?;
        write(&completions.join(file), format!("{script}\n").as_bytes())?;
    }
    run("manual pages", program().arg("manual").arg(folder.join("man")))
}

/// Writes the list of parts (of the standard `CycloneDX`, which maturin puts into the wheel) into `out`; it and the wheel's own tell no
/// folder of this machine.
fn list_parts(each: &Target, wheels: &Path, out: &Path) -> Result<()> {
    let list = out.join(format!("asasr-{VERSION}-{}.cdx.json", each.0));
    let made = files(wheels)?;
    let [wheel] = made.as_slice() else {
        return Err(format!(
            "{}: {} wheels, and one is expected",
            wheels.display(),
            made.len()
        ));
    };
    let mut take = Command::new(tools::python_program("python"));
    take.args(["-c", LIST_PARTS]).arg(&list).arg(wheel);
    for (folder, name) in folders().iter().rev() {
        take.arg(folder).arg(name);
    }
    run("list of parts", &mut take)
}

fn archive_program(each: &Target, parts: &Path, legal: &Path, help: &Path, out: &Path) -> Result<()> {
    let name = format!("asasr-{VERSION}-{}", each.0);
    let folder = parts.join("archive").join(&name);
    let program = each.program("asasr");
    copy(&program, &folder.join(self::name(&program)))?;
    copy_all(legal, &folder)?;
    copy_all(&help.join("completions"), &folder.join("completions"))?;
    copy_all(&help.join("man"), &folder.join("man"))?;
    copy(
        &root().join("train-native").join("README.md"),
        &folder.join("README.md"),
    )?;
    archive(each, &name, &parts.join("archive"), out)
}

fn archive_server(each: &Target, parts: &Path, legal: &Path, out: &Path) -> Result<()> {
    let name = format!("asasr-server-{VERSION}-{}", each.0);
    let folder = parts.join("server").join(&name);
    copy(&each.program("asasr-server"), &folder.join("asasr-server"))?;
    copy_all(legal, &folder)?;
    let deploy = root().join("server").join("deploy");
    copy(
        &deploy.join("asasr-server.service"),
        &folder.join("asasr-server.service"),
    )?;
    copy(
        &root().join("server").join("README.md"),
        &folder.join("README.md"),
    )?;
    archive(each, &name, &parts.join("server"), out)
}

/// Packs the folder `name` below `parent`, as people of that system expect it.
fn archive(each: &Target, name: &str, parent: &Path, out: &Path) -> Result<()> {
    const PACK: &str = "import shutil, sys\n\
                        shutil.make_archive(*sys.argv[1:], owner='root', group='root')";
    let format = if each.is_windows() { "zip" } else { "gztar" };
    let mut pack = Command::new(tools::python_program("python"));
    pack.args(["-c", PACK])
        .arg(out.join(name))
        .arg(format)
        .arg(parent)
        .arg(name);
    run(name, &mut pack)
}

/// Puts the programs where the container file looks for those of a processor.
fn add_to_container(each: &Target, legal: &Path, container: &Path) -> Result<()> {
    let programs = container.join("linux").join(each.processor());
    for name in ["asasr", "asasr-server"] {
        copy(&each.program(name), &programs.join(name))?;
    }
    copy_all(legal, &container.join("licences"))?;
    let file = root().join("server").join("deploy").join("Containerfile");
    copy(&file, &container.join("Containerfile"))
}

/// Makes a Debian package with the program.
fn debian(each: &Target, tree: &Path, legal: &Path, help: &Path, out: &Path) -> Result<()> {
    let share = tree.join("usr/share");
    copy(&each.program("asasr"), &tree.join("usr/bin/asasr"))?;
    for page in files(&help.join("man"))? {
        let name = name(&page);
        let text = fs::read(&page).map_err(|e| at(&page, &e))?;
        let small = page::gzip(&text).map_err(|e| at(&page, &e))?;
        let folder = share.join("man/man1");
        make(&folder)?;
        write(&folder.join(name + ".gz"), &small)?;
    }
    for (shell, place) in [
        ("asasr.bash", "bash-completion/completions/asasr"),
        ("_asasr", "zsh/vendor-completions/_asasr"),
        ("asasr.fish", "fish/vendor_completions.d/asasr.fish"),
    ] {
        copy(&help.join("completions").join(shell), &share.join(place))?;
    }
    let doc = share.join("doc/asasr");
    copy_all(legal, &doc)?;
    let copyright = "Upstream-Name: asasr\n\nMIT or Apache-2.0: LICENSE-MIT, LICENSE-APACHE. Built-in models: NOTICE.\n\
                     Compiled-in crates: THIRD-PARTY-NOTICES. All lie beside this file.\n";
    write(&doc.join("copyright"), copyright.as_bytes())?;
    let size = fs::metadata(each.program("asasr")).map_or(0, |m| m.len()) / 1024;
    let processor = each.processor();
    let control = format!(
        "Package: asasr\nVersion: {VERSION}\nArchitecture: {processor}\nMaintainer: {}\nInstalled-Size: {size}\n\
         Depends: libc6 (>= {GLIBC})\nRecommends: libvulkan1\nSection: graphics\nPriority: optional\n\
         Description: enlarge photos faithfully\n ASASR restores what a small photo still says, and keeps apart what is only likely.\n",
        env::var("ASASR_MAINTAINER").unwrap_or_else(|_| "The ASASR authors <authors@asasr.invalid>".into()),
    );
    make(&tree.join("DEBIAN"))?;
    write(&tree.join("DEBIAN/control"), control.as_bytes())?;
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "-Zxz", "--build"]).arg(tree);
    build.arg(out.join(format!("asasr_{VERSION}_{processor}.deb")));
    run("Debian package", &mut build)
}

/// Writes `SHA256SUMS`, which `sha256sum --check` reads.
fn checksums(out: &Path) -> Result<()> {
    let mut lines = Vec::new();
    for path in files(out)? {
        let bytes = fs::read(&path).map_err(|e| at(&path, &e))?;
        lines.push(format!(
            "{}  {}\n",
            page::hex(&Sha256::digest(bytes)),
            name(&path)
        ));
    }
    write(&out.join("SHA256SUMS"), lines.concat().as_bytes())
}

/// The files in a folder, in the order of their names, without those in folders below.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|e| at(folder, &e))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn copy_all(from: &Path, to: &Path) -> Result<()> {
    files(from)?
        .iter()
        .try_for_each(|file| copy(file, &to.join(name(file))))
}

fn name(file: &Path) -> String {
    file.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(|e| at(folder, &e))
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|e| at(path, &e))
}

fn at(path: &Path, e: &std::io::Error) -> String {
    format!("{}: {e}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_tell_what_they_are_for() {
        let of = |name: &str| Target(name.into());
        let musl = of("x86_64-unknown-linux-musl");
        assert!(musl.is_static() && musl.is_linux() && musl.features().is_empty());
        let gnu = of("aarch64-unknown-linux-gnu");
        assert!(!gnu.is_static() && gnu.is_linux());
        assert_eq!((gnu.features(), gnu.processor()), ("wgpu", "arm64"));
        let windows = of("x86_64-pc-windows-msvc");
        assert!(
            windows
                .program("asasr")
                .ends_with("x86_64-pc-windows-msvc/release/asasr.exe")
        );
        assert!(targets_here().iter().all(Target::runs_here));
        assert!(!of("riscv64gc-unknown-linux-gnu").runs_here());
    }
}
