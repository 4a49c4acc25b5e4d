//! How fast the page is, alone and beside `UpscalerJS`, how large, and what memory it takes: `cargo xtask speed` prints what docs/PERFORMANCE.md
//! shows.
#![allow(clippy::unwrap_used, reason = "a failed step fails the measurement")]

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use asasr_codec::{Layout, PngRows, SharedBytes};
use asasr_core::random::SplitMix64;
use asasr_core::{Planes, Size};
use asasr_tests::{Browser, Server, Site, copy_folder, drawn};
use base64::Engine as _;
use serde_json::json;

#[test]
#[ignore = "measures"]
fn payload() {
    let page = env::var("ASASR_PAGE").expect("run `cargo xtask speed`");
    let (mut shared, mut gpu, mut cpu, mut files, mut models) = (0, 0, 0, 0, 0);
    for entry in fs::read_dir(&page).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.path().extension().is_some_and(|e| e == "br") {
            let part = if name.starts_with("asasr-gpu") {
                &mut gpu
            } else if name.starts_with("asasr-cpu") {
                &mut cpu
            } else if name.starts_with("asasr-files") {
                &mut files
            } else if name.starts_with("asasr-models") {
                &mut models
            } else {
                &mut shared
            };
            *part += entry.metadata().unwrap().len();
        }
    }
    println!("| part | brotli |\n|---|---:|");
    for (part, bytes) in [
        ("page, styles, scripts", shared),
        ("module for WebGPU", gpu),
        ("module for the CPU", cpu),
        ("module for image files", files),
        ("module for models that a person brings", models),
    ] {
        println!("| {part} | {:.0} kB |", bytes as f64 / 1e3);
    }
}

/// From an empty profile to a result, and then at leisure.
#[tokio::test]
#[ignore = "measures"]
async fn on_the_cpu() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.visit(&format!("{}healthz", server.url())).await;
    let photo = |w, h| base64::engine::general_purpose::STANDARD.encode(drawn(w, h));
    browser.visit(&format!("{}?device=cpu", server.url())).await;
    let first = "const bytes = Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0));
                 const dataTransfer = new DataTransfer();
                 dataTransfer.items.add(new File([bytes], 'photo.png'));
                 document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
                 while (!document.querySelector('#list .done')) await new Promise((r) => setTimeout(r, 5));
                 return performance.now() / 1000;";
    let opened = browser.run(first, vec![json!(photo(128, 128))]).await;
    println!(
        "\n128x128 pixels enlarged {:.2} s after the page was opened",
        opened.as_f64().unwrap()
    );
    let run = "const bytes = Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0));
               const { Upscaler } = await import('./upscaler.js');
               globalThis.up ??= await Upscaler.load({ device: 'cpu' });
               const start = performance.now();
               const { width, height } = await up.upscale(new Blob([bytes]), { mode: args[1] });
               return width * height / 1e3 / (performance.now() - start);";
    let threads = browser.run("return navigator.hardwareConcurrency;", vec![]).await;
    println!("\n| on the CPU, {threads} threads | output MP/s |\n|---|---:|");
    for (mode, repeats) in [("instant", 3), ("fast", 1)] {
        let mut best = 0.0f64;
        for _ in 0..repeats {
            let speed = browser.run(run, vec![json!(photo(640, 427)), json!(mode)]).await;
            best = best.max(speed.as_f64().unwrap());
        }
        println!("| {mode}, 640x427 pixels, best of {repeats} | {best:.2} |");
    }
    browser.close().await;
}

/// A PNG of noise, which no compression makes smaller.
fn noise(side: usize) -> Vec<u8> {
    let mut random = SplitMix64::new(1);
    let values = (0..3 * side * side).map(|_| random.unit() as f32).collect();
    let bytes = SharedBytes::default();
    let mut rows = PngRows::new(bytes.clone(), Size::new(side, side), Layout::Rgb, 8).unwrap();
    rows.write(0, &Planes::new(3, side, side, values).unwrap())
        .unwrap();
    rows.finish().unwrap();
    bytes.take()
}

/// What the browser holds, all its processes together, while the page enlarges images of several sizes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures"]
async fn memory() {
    let server = Server::start();
    println!(
        "\n| on the CPU, instant | output | most that the browser holds | at rest before |\n|---|---|---:|---:|"
    );
    let folder = tempfile::tempdir().unwrap();
    for side in [512, 1024, 2048] {
        let file = folder.path().join(format!("{side}.png"));
        fs::write(&file, noise(side)).unwrap();
        let browser = Browser::start().await;
        browser.open(&format!("{}?device=cpu", server.url())).await;
        let rest = browser.held();
        browser.choose("file", &[file]).await;
        let mut most = 0;
        while browser
            .run(
                "return !document.querySelector('#list .done, #list .failed');",
                vec![],
            )
            .await
            == true
        {
            most = most.max(browser.held());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let told = browser.text("summary").await;
        assert!(told.starts_with(&format!("{0} × {0} ", 4 * side)), "{told}");
        println!(
            "| {side}x{side} | {0}x{0} | {1} MB | {2} MB |",
            4 * side,
            most / 1_000_000,
            rest / 1_000_000
        );
        browser.close().await;
    }
}

/// Where a file of `UpscalerJS`'s packages lies, and its place in the page.
const PEERS: [(&str, &str); 10] = [
    ("@tensorflow/tfjs/dist/tf.min.js", ""),
    ("@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js", ""),
    ("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm", ""),
    (
        "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
        "",
    ),
    (
        "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm",
        "",
    ),
    (
        "@tensorflow/tfjs-backend-webgpu/dist/tf-backend-webgpu.min.js",
        "",
    ),
    ("upscaler/dist/browser/umd/upscaler.min.js", ""),
    (
        "@upscalerjs/esrgan-slim/dist/umd/models/esrgan-slim/src/x4/index.min.js",
        "slim.js",
    ),
    (
        "@upscalerjs/esrgan-medium/dist/umd/models/esrgan-medium/src/x4/index.min.js",
        "medium.js",
    ),
    (
        "@upscalerjs/esrgan-thick/dist/umd/models/esrgan-thick/src/x4/index.min.js",
        "thick.js",
    ),
];

/// The built page with a page beside it that runs both.
fn with_peers(site: &Path) {
    let packages = PathBuf::from(env::var_os("ASASR_PEERS").expect("run `cargo xtask speed`"));
    copy_folder(&PathBuf::from(env::var_os("ASASR_PAGE").unwrap()), site);
    let peers = site.join("peers");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"), &peers);
    let npm = peers.join("npm");
    fs::create_dir(&npm).unwrap();
    for (file, name) in PEERS {
        let from = packages.join(file);
        let name = if name.is_empty() {
            from.file_name().unwrap().as_ref()
        } else {
            Path::new(name)
        };
        fs::copy(&from, npm.join(name)).unwrap();
    }
    for model in ["slim", "medium", "thick"] {
        copy_folder(
            &packages.join(format!("@upscalerjs/esrgan-{model}/models/x4")),
            &npm.join(model),
        );
    }
}

/// Runs of each, whose median counts.
const ROUNDS: usize = 5;

/// `UpscalerJS` evaluates strings, which our server's policy forbids: the site has none.
#[tokio::test]
#[ignore = "measures"]
async fn beside_upscalerjs() {
    let folder = tempfile::tempdir().unwrap();
    with_peers(folder.path());
    let site = Site::start(folder.path()).await;
    let prepare = "const { prepare } = await import('./beside.js');
                   return prepare(Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0)), args[1], args[2]);";
    let round = "const { round } = await import('./beside.js'); return round();";
    // Software adapters take seconds for what a chip does at once.
    for (backend, device, size) in [
        ("wasm", "cpu", 256),
        ("webgpu", "webgpu", 32),
        ("webgl", "webgpu", 32),
    ] {
        let browser = Browser::start().await;
        browser.visit(&format!("{}peers/", site.url())).await;
        let photo = base64::engine::general_purpose::STANDARD.encode(drawn(size, size));
        let missing = browser
            .run(prepare, vec![json!(photo), json!(backend), json!(device)])
            .await;
        if !missing.is_null() {
            println!("\nTensorFlow.js does not start {backend}: {missing}");
            browser.close().await;
            continue;
        }
        let mut rounds = Vec::new();
        // The first one warms up.
        for _ in 0..=ROUNDS {
            let times = browser.run(round, vec![]).await;
            assert!(times.is_array(), "{backend}: {times}");
            rounds.push(times);
        }
        browser.close().await;
        println!(
            "\n| theirs on {backend}, ours on {device}, {size}x{size} pixels | output MP/s | of slim | of thick |\n|---|---:|---:|---:|"
        );
        // The median of a contender's rounds, or why one failed.
        let speed = |row: usize| -> Result<f64, String> {
            let times = rounds[1..].iter().map(|r| &r[row][1]);
            let mut times: Vec<f64> = times
                .map(|t| t.as_f64().ok_or_else(|| t.to_string()))
                .collect::<Result<_, _>>()?;
            times.sort_by(f64::total_cmp);
            Ok((16 * size * size) as f64 / 1e3 / times[ROUNDS / 2])
        };
        let of = |own: f64, row: usize| speed(row).map(|s| format!("{:.2}", own / s)).unwrap_or_default();
        for (row, named) in rounds[0].as_array().unwrap().iter().enumerate() {
            let name = named[0].as_str().unwrap();
            match speed(row) {
                Ok(own) => println!("| {name} | {own:.4} | {} | {} |", of(own, 0), of(own, 2)),
                Err(why) => println!("| {name} | fails: {why} | | |"),
            }
        }
    }
}
