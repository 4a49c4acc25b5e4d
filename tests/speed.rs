//! How fast the page is, and how large: `cargo xtask speed` prints what docs/PERFORMANCE.md shows.
#![allow(clippy::unwrap_used, reason = "a failed step fails the measurement")]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use asasr_tests::{Browser, Server, drawn};
use base64::Engine as _;
use serde_json::json;

/// Bytes of a file as a web server sends it, compressed once for all.
fn compressed(path: &Path) -> u64 {
    let script = "const z = require('zlib'); const b = require('fs').readFileSync(process.argv[1]);
                  console.log(z.brotliCompressSync(b, { params: { [z.constants.BROTLI_PARAM_SIZE_HINT]: b.length } }).length)";
    let output = Command::new("node")
        .args(["-e", script])
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[test]
#[ignore = "measures"]
fn payload() {
    let page = env::var("ASASR_PAGE").expect("run `cargo xtask speed`");
    let (mut shared, mut gpu, mut cpu) = (0, 0, 0);
    for entry in fs::read_dir(&page).unwrap().map(Result::unwrap) {
        if entry.path().is_file() {
            let name = entry.file_name().into_string().unwrap();
            let part = if name.starts_with("asasr-gpu") {
                &mut gpu
            } else if name.starts_with("asasr-cpu") {
                &mut cpu
            } else {
                &mut shared
            };
            *part += compressed(&entry.path());
        }
    }
    println!("| part | brotli |\n|---|---:|");
    for (part, bytes) in [
        ("page, styles, scripts", shared),
        ("module for WebGPU", gpu),
        ("module for the CPU", cpu),
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
