//! How fast the page is, alone and beside `UpscalerJS` and onnxruntime-web, how large, and what memory it takes: `cargo xtask speed` prints what docs/benchmarks.md
//! shows.
#![allow(clippy::unwrap_used, reason = "a failed step fails the measurement")]

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use asasr_codec::{Layout, PngRows, SharedBytes};
use asasr_core::model::{Manifest, Role};
use asasr_core::random::SplitMix64;
use asasr_core::{Planes, Size};
use asasr_interchange::{OwnFile, Stated, WEIGHTS, import};
use asasr_tests::{Browser, Server, Site, copy_folder, drawn};
use asasr_weights::DEFAULT;
use base64::Engine as _;
use serde_json::json;

#[test]
#[ignore = "measures"]
fn payload() {
    let page = env::var("ASASR_PAGE").expect("run `cargo xtask speed`");
    let (mut shared, mut gpu, mut cpu, mut files, mut models, mut videos) = (0, 0, 0, 0, 0, 0);
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
            } else if ["mediabunny.", "video-", "videos."]
                .iter()
                .any(|b| name.starts_with(b))
            {
                &mut videos
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
        ("scripts for videos", videos),
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

/// Where a file of onnxruntime-web's package lies.
const ONNXRUNTIME: [&str; 6] = [
    "ort.wasm.min.mjs",
    "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.mjs",
    "ort-wasm-simd-threaded.wasm",
    "ort-wasm-simd-threaded.asyncify.mjs",
    "ort-wasm-simd-threaded.asyncify.wasm",
];

/// A network of a community's file as a model of its own in `folder`, without our restorer.
fn alone(name: &str, bytes: &[u8], folder: &Path) {
    let mean = Manifest::from_json(DEFAULT.manifest).unwrap();
    let file = OwnFile {
        name: name.into(),
        bytes: bytes.into(),
    };
    let model = import(vec![file], &Stated::default(), &mean).unwrap();
    let part = model.manifest.networks[&Role::Community].clone();
    let manifest = Manifest {
        networks: [(Role::Restorer, part)].into(),
        ..model.manifest
    };
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    fs::write(folder.join(WEIGHTS), model.weights).unwrap();
}

/// Ours beside onnxruntime-web with the networks of the folder `ASASR_ONNX`.
#[tokio::test]
#[ignore = "measures"]
async fn beside_onnxruntime() {
    let Some(models) = env::var_os("ASASR_ONNX").map(PathBuf::from) else {
        println!("\nASASR_ONNX names no folder of .onnx files: nothing is measured beside onnxruntime-web");
        return;
    };
    let packages = PathBuf::from(env::var_os("ASASR_PEERS").expect("run `cargo xtask speed`"));
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&PathBuf::from(env::var_os("ASASR_PAGE").unwrap()), folder.path());
    let peers = folder.path().join("peers");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"), &peers);
    fs::create_dir(peers.join("npm")).unwrap();
    for file in ONNXRUNTIME {
        let from = packages.join("onnxruntime-web/dist").join(file);
        fs::copy(from, peers.join("npm").join(file)).unwrap();
    }
    let mut names = Vec::new();
    for file in fs::read_dir(models).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "onnx") {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            fs::copy(&file, peers.join(format!("{name}.onnx"))).unwrap();
            alone(
                &format!("{name}.onnx"),
                &fs::read(&file).unwrap(),
                &peers.join(&name),
            );
            names.push(name);
        }
    }
    names.sort();
    let site = Site::isolated(folder.path()).await;
    let prepare = "const { prepare } = await import('./onnx.js');
                   return prepare(Uint8Array.from(atob(args[0]), (c) => c.charCodeAt(0)), ...args.slice(1));";
    let round = "const { round } = await import('./onnx.js'); return round();";
    for (backend, device, size) in [("wasm", "cpu", 256), ("webgpu", "webgpu", 32)] {
        println!(
            "\n| theirs on {backend}, ours on {device}, {size}x{size} pixels | theirs, output MP/s | ours | times | differ by, of 255 |\n|---|---:|---:|---:|---:|"
        );
        for name in &names {
            let browser = Browser::start().await;
            browser.visit(&format!("{}peers/onnx.html", site.url())).await;
            let photo = base64::engine::general_purpose::STANDARD.encode(drawn(size, size));
            // Ours takes as many threads as the machine has, as theirs is told.
            let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
            let arguments = vec![
                json!(photo),
                json!(name),
                json!(backend),
                json!(device),
                json!(threads),
            ];
            let apart = browser.run(prepare, arguments).await;
            let Some(apart) = apart.as_f64() else {
                println!("| {name} | fails: {apart} | | | |");
                browser.close().await;
                continue;
            };
            let mut times = [Vec::new(), Vec::new()];
            for _ in 0..=ROUNDS {
                let rows = browser.run(round, vec![]).await;
                for (row, times) in times.iter_mut().enumerate() {
                    times.push(rows[row][1].as_f64().unwrap());
                }
            }
            browser.close().await;
            let [theirs, ours] = times.map(|times| {
                let mut counted = times[1..].to_vec();
                counted.sort_by(f64::total_cmp);
                (16 * size * size) as f64 / 1e3 / counted[ROUNDS / 2]
            });
            println!(
                "| {name} | {theirs:.4} | {ours:.4} | {:.2} | {apart:.2} |",
                ours / theirs
            );
        }
    }
}
