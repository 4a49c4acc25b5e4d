//! What `cargo xtask dist` makes is whole, runs where nothing of ours is, and says what it is made of.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use asasr_tests::required;
use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What a program prints.
#[track_caller]
fn told(command: &mut Command) -> String {
    let out = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        out.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&out.stderr)
    );
    text
}

/// The files of the release, of whose names one part is `part`.
fn release(part: &str) -> Vec<PathBuf> {
    let folder = required("ASASR_DIST");
    let entries = fs::read_dir(&folder).expect("cargo xtask dist made it");
    let mut found: Vec<PathBuf> = entries
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_file() && name(p).contains(part))
        .collect();
    found.sort();
    found
}

/// Those of them that this machine can run.
fn runnable(part: &str) -> Vec<PathBuf> {
    let debian = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let ours = [std::env::consts::ARCH, debian];
    let found: Vec<PathBuf> = release(part)
        .into_iter()
        .filter(|p| ours.iter().any(|o| name(p).contains(o)))
        .collect();
    assert!(!found.is_empty(), "no {part} for this machine");
    found
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Unpacks an archive; returns the one folder in it.
#[track_caller]
fn unpacked(archive: &Path, into: &Path) -> PathBuf {
    told(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into));
    let folder = into.join(name(archive).trim_end_matches(".tar.gz"));
    assert!(folder.is_dir(), "{}", folder.display());
    folder
}

/// The program tells its version and enlarges a photo, without anything of the environment.
#[track_caller]
fn works(program: &Path, folder: &Path) {
    let run = || {
        let mut command = Command::new(program);
        command.env_clear().current_dir(folder);
        command
    };
    assert_eq!(told(run().arg("--version")).trim(), format!("asasr {VERSION}"));
    let photo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images/cat-small.png");
    fs::copy(photo, folder.join("photo.png")).unwrap();
    told(run().args([
        "upscale",
        "photo.png",
        "-o",
        "larger.jpg",
        "--scale",
        "2",
        "--device",
        "cpu",
    ]));
    assert!(
        fs::read(folder.join("larger.jpg"))
            .unwrap()
            .starts_with(&[0xff, 0xd8, 0xff])
    );
}

/// What is handed on does not tell where it was compiled.
#[track_caller]
fn tells_no_folder(file: &Path) {
    let bytes = fs::read(file).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let crates = std::env::home_dir().expect("there is one").join(".cargo");
    for folder in [root, &crates] {
        let folder = folder.display().to_string();
        let found = bytes.windows(folder.len()).any(|w| w == folder.as_bytes());
        assert!(!found, "{} has {folder} inside", file.display());
    }
}

/// Whether a program of 64 bits for Linux asks for a loader of libraries, as every one does that is not static.
fn asks_for_loader(program: &Path) -> bool {
    let bytes = fs::read(program).unwrap();
    assert!(bytes.starts_with(b"\x7fELF\x02\x01"), "{}", program.display());
    let number = |at: usize, length: usize| {
        let part = &bytes[at..at + length];
        part.iter()
            .rev()
            .fold(0_usize, |all, b| all << 8 | usize::from(*b))
    };
    let (table, size, count) = (number(0x20, 8), number(0x36, 2), number(0x38, 2));
    // PT_INTERP
    (0..count).any(|i| number(table + i * size, 4) == 3)
}

#[test]
fn the_checksums_are_of_every_file() {
    let folder = required("ASASR_DIST");
    told(
        Command::new("sha256sum")
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&folder),
    );
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let files = release("");
    for file in files.iter().filter(|f| name(f) != "SHA256SUMS") {
        assert!(
            sums.contains(&format!("  {}\n", name(file))),
            "{}",
            file.display()
        );
    }
    for ending in [".tar.gz", ".whl", ".cdx.json"] {
        assert!(files.iter().any(|f| name(f).ends_with(ending)), "no {ending}");
    }
}

#[test]
fn the_archives_hold_programs_that_run() {
    for archive in runnable(&format!("asasr-{VERSION}-")) {
        if !name(&archive).ends_with(".tar.gz") {
            continue;
        }
        let place = tempfile::tempdir().unwrap();
        let folder = unpacked(&archive, place.path());
        works(&folder.join("asasr"), place.path());
        tells_no_folder(&folder.join("asasr"));
        let is_static = name(&archive).contains("musl");
        assert_eq!(
            asks_for_loader(&folder.join("asasr")),
            !is_static,
            "{}",
            archive.display()
        );
        for file in ["README.md", "LICENSE-MIT", "LICENSE-APACHE", "NOTICE"] {
            assert!(folder.join(file).is_file(), "{file}");
        }
        let notices = fs::read_to_string(folder.join("THIRD-PARTY-NOTICES")).unwrap();
        for part in [
            "\nburn 0.",
            "\nclap 4.",
            "\nmimalloc ",
            "Permission is hereby granted",
        ] {
            assert!(notices.contains(part), "{part}");
        }
        for (page, says) in [
            ("asasr.1", "upscale"),
            ("asasr-upscale.1", "\\-\\-scale"),
            ("asasr-train-flow.1", ".TH"),
        ] {
            let text = fs::read_to_string(folder.join("man").join(page)).unwrap();
            assert!(text.starts_with(".ie") && text.contains(says), "{page}");
        }
        let completions = folder.join("completions");
        told(Command::new("bash").arg("-n").arg(completions.join("asasr.bash")));
        for file in ["_asasr", "asasr.fish", "_asasr.ps1"] {
            let script = fs::read_to_string(completions.join(file)).unwrap();
            assert!(
                script.contains("upscale") && script.contains("fidelity"),
                "{file}"
            );
        }
    }
}

/// The wheels install where no index can be reached, and bring the program.
#[test]
fn the_wheels_install() {
    for wheel in runnable(".whl") {
        let place = tempfile::tempdir().unwrap();
        let venv = place.path().join("venv");
        told(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        let into = place.path().join("into");
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["install", "--no-index", "--disable-pip-version-check"]);
        // One for another C library installs beside the environment; its program is static and runs here.
        let program = if name(&wheel).contains("manylinux") {
            venv.join("bin/asasr")
        } else {
            let platform = format!("musllinux_1_2_{}", std::env::consts::ARCH);
            pip.args(["--only-binary=:all:", "--platform", &platform, "--target"]);
            pip.arg(&into);
            into.join("bin/asasr")
        };
        told(pip.arg(&wheel));
        works(&program, place.path());
        let mut ask = Command::new(venv.join("bin/pip"));
        ask.env("PYTHONPATH", &into);
        let shown = told(ask.args(["show", "--files", "asasr"]));
        assert!(shown.contains(&format!("Version: {VERSION}")), "{shown}");
        assert!(
            shown.contains("LICENSE-MIT") && shown.contains("NOTICE"),
            "{shown}"
        );
    }
}

/// One goes with every archive for Debian's C library.
#[test]
fn the_debian_package_is_one() {
    let packages = release(".deb");
    assert_eq!(packages.len(), release("linux-gnu.tar.gz").len());
    if packages.is_empty() {
        return;
    }
    for package in runnable(".deb") {
        let field = |name: &str| told(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name));
        assert_eq!(field("Package").trim(), "asasr");
        assert_eq!(field("Version").trim(), VERSION);
        assert!(field("Depends").contains("libc6"));
        let place = tempfile::tempdir().unwrap();
        told(
            Command::new("dpkg-deb")
                .arg("--extract")
                .arg(&package)
                .arg(place.path()),
        );
        works(&place.path().join("usr/bin/asasr"), place.path());
        for file in [
            "share/doc/asasr/copyright",
            "share/doc/asasr/THIRD-PARTY-NOTICES",
            "share/man/man1/asasr-upscale.1.gz",
            "share/bash-completion/completions/asasr",
        ] {
            assert!(place.path().join("usr").join(file).is_file(), "{file}");
        }
    }
}

/// The lists of parts are of the standard `CycloneDX`, with the versions that the lock file fixes.
#[test]
fn the_parts_are_listed() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock")).unwrap();
    for list in release(".cdx.json") {
        tells_no_folder(&list);
        let list: Value = serde_json::from_slice(&fs::read(list).unwrap()).unwrap();
        assert_eq!(list["bomFormat"], "CycloneDX");
        let parts = list["components"].as_array().unwrap();
        assert!(parts.len() > 50, "only {}", parts.len());
        for part in parts {
            let (name, version) = (part["name"].as_str().unwrap(), part["version"].as_str().unwrap());
            let locked = format!("name = \"{name}\"\nversion = \"{version}\"");
            assert!(lock.contains(&locked), "{name} {version}");
        }
    }
}

/// One goes with every static program: the server has the page inside; the container file finds all that it copies.
#[test]
fn the_server_comes_with_its_page_and_container() {
    let servers = release(&format!("asasr-server-{VERSION}-"));
    assert_eq!(servers.len(), release("linux-musl.tar.gz").len() - servers.len());
    if servers.is_empty() {
        return;
    }
    for archive in runnable(&format!("asasr-server-{VERSION}-")) {
        let place = tempfile::tempdir().unwrap();
        let folder = unpacked(&archive, place.path());
        let server = folder.join("asasr-server");
        assert!(!asks_for_loader(&server));
        tells_no_folder(&server);
        let told = told(Command::new(&server).arg("--version").env_clear());
        assert_eq!(told.trim(), format!("asasr-server {VERSION}"));
        let bytes = fs::read(&server).unwrap();
        // The page, and a script of it that finds its module.
        for inside in ["<title>ASASR", "new URL(\"asasr-cpu_bg.wasm\",import.meta.url)"] {
            let found = bytes.windows(inside.len()).any(|w| w == inside.as_bytes());
            assert!(found, "{inside} is not inside");
        }
    }
    let container = required("ASASR_DIST").join("container");
    let file = fs::read_to_string(container.join("Containerfile")).unwrap();
    let copied: Vec<&str> = file
        .lines()
        .filter_map(|l| l.strip_prefix("COPY ")?.split(' ').next())
        .collect();
    assert_eq!(copied.len(), 2);
    for processor in ["amd64", "arm64"] {
        if !container.join("linux").join(processor).is_dir() {
            continue;
        }
        for from in &copied {
            let from = container.join(from.replace("${TARGETARCH}", processor));
            assert!(
                fs::read_dir(&from).is_ok_and(|mut f| f.next().is_some()),
                "{}",
                from.display()
            );
        }
    }
    assert!(container.join("linux").is_dir());
}
