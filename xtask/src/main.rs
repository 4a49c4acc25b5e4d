//! `cargo xtask`: the project's chores, on a machine that has rustup and a shell.

mod audit;
mod build;
mod dist;
mod links;
mod load;
mod models;
mod notices;
mod page;
mod shell;
mod tools;
mod words;

use std::process::ExitCode;
use std::time::Instant;

use shell::{Result, cargo, say};

const USAGE: &str = "\
cargo xtask serve [--listen ADDR]  install what is missing, build the page and the server, and serve both
cargo xtask test                   install what is missing and run every test
cargo xtask test --quick           run the tests inside the crates: no browser, no services
cargo xtask audit                  check the dependencies: licences, sources, versions, known faults
cargo xtask doctor                 list what is here, what is missing and the command that mends it
cargo xtask page                   install what is missing and build the page into dist/
cargo xtask npm                    put the component's npm package together
cargo xtask dist [TARGET...]       make a release's archives, wheels, packages and checksums, for this machine or for TARGET;
                                   with --check run what was made
cargo xtask speed [NAME]           measure the page: its size, its speed on the CPU, and beside UpscalerJS and onnxruntime-web
cargo xtask models                 install published models of others, for cargo xtask serve to offer
cargo xtask load                   measure the server beside nginx
cargo xtask pictures               draw the page's states into docs/images
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let done = match args.first().map(String::as_str) {
        Some("serve") => serve(rest),
        Some("test") if rest.first().is_some_and(|arg| arg == "--quick") => quick(&rest[1..]),
        Some("test") => test(rest),
        Some("npm") => build::npm().map(drop),
        Some("dist") => dist(rest),
        Some("speed") => speed(rest),
        Some("models") => models::install(),
        Some("load") => build::server().and_then(|server| load::load(&server)),
        Some("pictures") => test(&["--test", "page", "--", "--ignored"].map(String::from)),
        Some("audit") => audit::audit(),
        Some("doctor") => tools::doctor(),
        Some("page") => page::page().map(drop),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(format!("this is not a chore:\n{USAGE}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &[String]) -> Result<()> {
    let start = Instant::now();
    let page = page::page()?;
    let server = build::server()?;
    say(&format!(
        "ready after {:.1} s; Ctrl-C stops the server",
        start.elapsed().as_secs_f64()
    ));
    let mut command = std::process::Command::new(&server);
    // One person at one machine: a line for every file of the page is noise.
    if std::env::var_os("ASASR_LOG").is_none() {
        command.env("ASASR_LOG", "warn");
    }
    // Published models stand beside the built-in ones.
    let store = models::store();
    if store.is_dir() && !args.iter().any(|a| a.starts_with("--store")) {
        command.arg("--store").arg(store);
    }
    let status = command.arg("--page").arg(&page).args(args).status();
    match status {
        Ok(s) if s.success() => Ok(()),
        Ok(s) => Err(format!("the server ended with {s}")),
        Err(e) => Err(format!("{}: {e}", server.display())),
    }
}

fn dist(args: &[String]) -> Result<()> {
    let (check, targets): (Vec<String>, Vec<String>) = args.iter().cloned().partition(|a| a == "--check");
    let made = dist::dist(&targets)?;
    if check.is_empty() {
        return Ok(());
    }
    let features = format!("{FEATURES},asasr-tests/release");
    let mut tests = cargo(&[
        "test",
        "--workspace",
        "--features",
        &features,
        "--test",
        "release",
    ]);
    shell::run("what a release is made of", tests.env("ASASR_DIST", made))
}

fn speed(only: &[String]) -> Result<()> {
    for need in tools::peer_needs() {
        tools::ensure(&need)?;
    }
    let fixed = [
        "--test",
        "speed",
        "--",
        "--ignored",
        "--nocapture",
        "--test-threads=1",
    ];
    let args: Vec<String> = fixed
        .into_iter()
        .map(String::from)
        .chain(only.iter().cloned())
        .collect();
    test(&args)
}

/// With these all tests are compiled alike, the quick ones and the others.
const FEATURES: &str =
    "asasr-core/burn,asasr/wgpu,asasr/video-tests,asasr-tests/browser,asasr-tests/bare,asasr-tests/services";

fn quick(args: &[String]) -> Result<()> {
    let mut tests = cargo(&["test", "--workspace", "--lib", "--bins", "--features", FEATURES]);
    shell::run("the crates' own tests", tests.args(args))
}

fn test(args: &[String]) -> Result<()> {
    let start = Instant::now();
    // The page may be up to date while tests need one of its tools.
    for need in tools::test_needs().iter().chain(&tools::page_needs()) {
        tools::ensure(need)?;
    }
    let page = page::page()?;
    let package = build::npm()?;
    let server = build::server()?;
    let bare = build::bare()?;
    let mut tests = cargo(&["test", "--workspace", "--features", FEATURES]);
    tests
        .args(args)
        .env("ASASR_PAGE", page)
        .env("ASASR_SERVER", server)
        .env("ASASR_BARE", bare)
        .env("ASASR_AXE", tools::axe())
        .env("ASASR_PACKAGE", package)
        .env("ASASR_PEERS", tools::packages())
        .env("ASASR_VITE", tools::vite())
        .env("ASASR_CLI", build::command_line())
        .env("ASASR_LPIPS", tools::perceptual_weights()?)
        .env("ASASR_S3", tools::s3_server())
        .env("ASASR_SCHEMATHESIS", tools::schemathesis())
        .env("ASASR_CHROMIUM", tools::chromium()?);
    shell::run("tests", &mut tests)?;
    say(&format!(
        "all tests passed after {:.0} s",
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}
