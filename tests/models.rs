//! Models that a person brings to the page.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;

use asasr_codec::decode;
use asasr_core::Planes;
use asasr_tests::{Asked, Browser, Server, drawn, imported, of_one_step_natively};

/// Twice larger, and four times.
const COMPACT: (&str, &[u8]) = (
    "2x-Small.pth",
    include_bytes!("../interchange/tests/fixtures/zip.pth"),
);
const SPAN: (&str, &[u8]) = (
    "4x-Span.pth",
    include_bytes!("../interchange/tests/fixtures/span.pth"),
);
const LEVEL: f32 = 1.0 / 255.0;
/// What the page asks a brought model for.
const DRAWN: Asked = Asked {
    seed: Some(0),
    anchor: None,
    scale: None,
};

fn planes(png: &[u8]) -> Planes {
    decode(png, 1 << 20).unwrap().all_planes().split_channels(3).0
}

fn farthest(a: &Planes, b: &Planes) -> f32 {
    assert_eq!(a.size(), b.size());
    let pairs = a.data().iter().zip(b.data());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The values of the models that the page offers.
async fn offered(browser: &Browser) -> String {
    let script =
        "return [...document.getElementById('model').options].map((option) => option.value).join(' ');";
    let values = browser.run(script, vec![]).await;
    values.as_str().unwrap().to_owned()
}

/// Drops a model and waits until it is chosen; its name on the page.
async fn bring(browser: &Browser, (name, bytes): (&'static str, &[u8])) -> &'static str {
    browser.drop_files(&[(name, bytes)]).await;
    let id = name.trim_end_matches(".pth");
    browser
        .wait_for(&format!("document.getElementById('model').value === 'own:{id}'"))
        .await;
    id
}

/// Checks the page's last result against the program's.
async fn is_native(browser: &Browser, file: &str, (name, bytes): (&str, &[u8]), photo: &[u8], asked: Asked) {
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let got = planes(&browser.download(file).await);
    let expected = of_one_step_natively(&imported(name, bytes), photo, asked).all_planes();
    let worst = farthest(&got, &expected) / LEVEL;
    println!("{file}: largest difference to the native CPU {worst:.2}/255");
    assert!(worst <= 2.01, "{file} differs by {worst:.2}/255");
}

/// Drops a model and then a photo; the result is the program's.
async fn makes_the_native_image(device: &str) {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device={device}", server.url())).await;
    let photo = drawn(40, 24);
    for ((name, bytes), scale) in [(COMPACT, 2), (SPAN, 4)] {
        let id = bring(&browser, (name, bytes)).await;
        assert_eq!(browser.text("error").await, "");
        browser.drop_file("drawn.png", &photo).await;
        let file = format!("drawn-x{scale}-{id}.png");
        is_native(&browser, &file, (name, bytes), &photo, DRAWN).await;
        let summary = browser.text("summary").await;
        assert!(
            summary.starts_with(&format!("{} \u{d7} {}", 40 * scale, 24 * scale)),
            "{summary}"
        );
        assert!(summary.contains(id), "{summary}");
        // What departs from the mean is told without being asked for.
        let told = browser.text("deviation").await;
        assert!(told.contains("differs from the faithful result"), "{told}");
        // Held more strictly, and in a second pass.
        browser.set("strictness", "1").await;
        browser.set("scale", &format!("{}", 2 * scale)).await;
        let asked = Asked {
            anchor: Some((0.375 * scale as f64).max(0.8)),
            scale: Some(2 * scale),
            ..DRAWN
        };
        browser.drop_file("drawn.png", &photo).await;
        let file = format!("drawn-x{}-{id}.png", 2 * scale);
        is_native(&browser, &file, (name, bytes), &photo, asked).await;
        browser.set("strictness", "0").await;
    }
    browser.close().await;
}

#[tokio::test]
async fn a_model_on_the_cpu_makes_the_native_image() {
    makes_the_native_image("cpu").await;
}

#[tokio::test]
async fn a_model_on_webgpu_makes_the_native_image() {
    makes_the_native_image("webgpu").await;
}

/// Waits until the browser keeps so many models.
async fn stored(browser: &Browser, count: u64) {
    let kept = "const { keptModels } = await import('./models.js'); return (await keptModels()).length;";
    for _ in 0..100 {
        if browser.run(kept, vec![]).await == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the browser does not keep {count} models");
}

/// A model is there at the next visit, until it is forgotten; a file that is none says so where it was dropped.
#[tokio::test]
async fn models_are_kept_until_they_are_forgotten() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser.drop_files(&[("broken.pth", b"no model at all")]).await;
    browser.wait_for("!document.getElementById('error').hidden").await;
    let told = browser.text("error").await;
    assert!(told.starts_with("broken.pth: this is no model"), "{told}");
    let hostile = b"\x80\x02cposix\nsystem\nU\x02id\x85R.";
    browser.drop_files(&[("hostile.pth", hostile)]).await;
    browser
        .wait_for("document.getElementById('error').textContent.includes('posix.system')")
        .await;
    bring(&browser, COMPACT).await;
    assert_eq!(browser.text("error").await, "");
    // The next visit.
    stored(&browser, 1).await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser
        .wait_for("[...document.getElementById('model').options].some((o) => o.value === 'own:2x-Small')")
        .await;
    browser.set("model", "own:2x-Small").await;
    browser.click("#drop-model").await;
    stored(&browser, 0).await;
    assert_eq!(
        offered(&browser).await,
        "looked asasr-x4-real asasr-x4-clean asasr-x4-drawn"
    );
    // What it was asked for is forgotten with it.
    browser.open(&format!("{}?device=cpu", server.url())).await;
    let mode = "return document.getElementById('mode').value;";
    assert_eq!(browser.run(mode, vec![]).await, "instant");
    // A photo that comes with a model that cannot be read is not enlarged by another.
    let photo = drawn(12, 8);
    browser
        .drop_files(&[("broken.pth", b"no model at all"), ("drawn.png", &photo)])
        .await;
    browser.wait_for("!document.getElementById('error').hidden").await;
    assert!(browser.text("error").await.starts_with("broken.pth: "));
    let jobs = "return document.querySelectorAll('#list li').length;";
    assert_eq!(browser.run(jobs, vec![]).await, 0);
    // A result outlives its model; what would need the model is not offered, and others go on.
    bring(&browser, COMPACT).await;
    browser.set("mode", "instant").await;
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    let versions = "return document.getElementById('versions').hidden;";
    assert_eq!(browser.run(versions, vec![]).await, false);
    browser
        .run("document.getElementById('settings').open = true;", vec![])
        .await;
    browser.click("#drop-model").await;
    stored(&browser, 0).await;
    browser.click("#list .name").await;
    assert_eq!(browser.run(versions, vec![]).await, true);
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    browser.close().await;
}

/// A model that the server has beside ours is offered, with its author and its licence.
#[tokio::test]
async fn the_servers_models_are_offered() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("4x-Span");
    fs::create_dir(&model).unwrap();
    for (name, bytes) in imported(SPAN.0, SPAN.1) {
        fs::write(model.join(name), bytes).unwrap();
    }
    let server = Server::with_models(folder.path()).await;
    let browser = Browser::start().await;
    browser.visit(&format!("{}?device=cpu", server.url())).await;
    browser
        .wait_for("document.querySelector('#served-models option')?.value === '4x-Span'")
        .await;
    browser.set("model", "4x-Span").await;
    browser.wait_for("document.body.dataset.ready === 'yes'").await;
    let about = browser.content("about-mode").await;
    assert!(
        about.contains("by unknown (LicenseRef-unknown), SPAN 4nf, 4\u{d7}"),
        "{about}"
    );
    let photo = drawn(40, 24);
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let got = planes(&browser.download("drawn-x4-4x-Span-fast.png").await);
    let expected = of_one_step_natively(&imported(SPAN.0, SPAN.1), &photo, DRAWN).all_planes();
    assert!(farthest(&got, &expected) / LEVEL <= 2.01);
    browser.close().await;
}
