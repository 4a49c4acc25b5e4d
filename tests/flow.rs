//! What the page draws from a flow, and how it says what of that is invented.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_codec::{Layout, PngRows, SharedBytes, decode};
use asasr_core::model::Mode;
use asasr_core::{Planes, Size};
use asasr_tests::{
    Asked, Browser, Server, drawn, drawn_natively, enlarged_natively, of_one_step, of_one_step_natively,
};
use asasr_weights::{DEFAULT, X4_CLEAN};
use serde_json::Value;

const PHOTO: (usize, usize) = (40, 24);
const LEVEL: f32 = 1.0 / 255.0;

async fn opened(server: &Server, device: &str) -> Browser {
    let browser = Browser::start().await;
    browser
        .open(&format!("{}?device={device}&model=asasr-x4-clean", server.url()))
        .await;
    browser
}

fn planes(png: &[u8]) -> Planes {
    decode(png, 1 << 20).unwrap().all_planes().split_channels(3).0
}

fn farthest(a: &Planes, b: &Planes) -> f32 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let pairs = a.data().iter().zip(b.data());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// The file that the list offers for its last photo.
async fn saved(browser: &Browser) -> Vec<u8> {
    // The page's policy keeps scripts from reading the file itself, an image may show it.
    let script = "const image = new Image();
                  image.src = [...document.querySelectorAll('#list a')].at(-1).href;
                  await image.decode();
                  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
                  canvas.getContext('2d').drawImage(image, 0, 0);
                  return new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer()).toBase64();";
    let text = browser.run(script, vec![]).await;
    let text = text.as_str().unwrap();
    base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
}

/// The same noise, the same field, the same steps, whatever they run on.
async fn makes_the_native_image(device: &str) {
    let server = Server::start();
    let browser = opened(&server, device).await;
    let photo = drawn(PHOTO.0, PHOTO.1);
    browser.set("mode", "fast").await;
    browser.set("seed", "5").await;
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let got = planes(&browser.download("drawn-x4-clean-fast-5.png").await);
    let expected = drawn_natively(X4_CLEAN, &photo, Mode::Fast, 5).all_planes();
    let worst = farthest(&got, &expected) / LEVEL;
    println!("{device}: largest difference to the native CPU {worst:.2}/255");
    assert!(worst <= 2.01, "differs by {worst:.2}/255");
    // Not the restorer's, nor another seed's.
    for other in [
        enlarged_natively(X4_CLEAN, &photo),
        drawn_natively(X4_CLEAN, &photo, Mode::Fast, 6),
    ] {
        assert!(farthest(&got, &other.all_planes()) / LEVEL > 5.0);
    }
    browser.close().await;
}

#[tokio::test]
async fn a_flow_on_the_cpu_makes_the_native_image() {
    makes_the_native_image("cpu").await;
}

#[tokio::test]
async fn a_flow_on_webgpu_makes_the_native_image() {
    makes_the_native_image("webgpu").await;
}

/// A model of format 2: its restorer's image, and the one that its other network draws in one step.
async fn draws_in_one_step(device: &str) {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("small");
    std::fs::create_dir(&model).unwrap();
    let files = of_one_step("small");
    for (name, bytes) in &files {
        std::fs::write(model.join(name), bytes).unwrap();
    }
    let server = Server::with_models(folder.path()).await;
    let browser = Browser::start().await;
    browser
        .open(&format!("{}?device={device}&model=small", server.url()))
        .await;
    let photo = drawn(PHOTO.0, PHOTO.1);
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let instant = planes(&browser.download("drawn-x4-small.png").await);
    browser.set("mode", "fast").await;
    browser.set("seed", "5").await;
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let fast = planes(&browser.download("drawn-x4-small-fast-5.png").await);
    let asked = |seed| Asked {
        seed,
        ..Asked::default()
    };
    for (got, seed) in [(&instant, None), (&fast, Some(5))] {
        let expected = of_one_step_natively(&files, &photo, asked(seed)).all_planes();
        let worst = farthest(got, &expected) / LEVEL;
        assert!(worst <= 2.01, "{seed:?} differs by {worst:.2}/255");
    }
    let other = of_one_step_natively(&files, &photo, asked(Some(6))).all_planes();
    assert!(farthest(&fast, &other) / LEVEL > 5.0);
    let modes = "return [...document.querySelectorAll('#mode option')].filter((o) => !o.disabled).map((o) => o.value);";
    let offered = browser.run(modes, vec![]).await;
    assert!(!offered.to_string().contains("quality"), "{offered}");
    browser.close().await;
}

#[tokio::test]
async fn one_step_on_the_cpu_makes_the_native_image() {
    draws_in_one_step("cpu").await;
}

#[tokio::test]
async fn one_step_on_webgpu_makes_the_native_image() {
    draws_in_one_step("webgpu").await;
}

/// In one step, by a network that reads no noise: no variation is offered, and what it adds to the mean is measured at once.
#[tokio::test]
async fn the_first_models_only_sample_is_measured_by_its_departure() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser.wait_for("document.getElementById('mode').length > 1 && !document.getElementById('device').textContent.includes('Looking')").await;
    let photo = drawn(PHOTO.0, PHOTO.1);
    browser.set("mode", "fast").await;
    assert_eq!(
        browser
            .run("return document.getElementById('seed-choice').hidden;", vec![])
            .await,
        true
    );
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let got = planes(&browser.download("drawn-x4-fast.png").await);
    let expected = drawn_natively(DEFAULT, &photo, Mode::Fast, 5).all_planes();
    let worst = farthest(&got, &expected) / LEVEL;
    assert!(worst <= 2.01, "differs by {worst:.2}/255");
    assert!(farthest(&got, &enlarged_natively(DEFAULT, &photo).all_planes()) / LEVEL > 5.0);
    let told = browser.text("deviation").await;
    assert!(told.contains("differs from the faithful result"), "{told}");
    assert_eq!(
        browser
            .run("return document.getElementById('measure').hidden;", vec![])
            .await,
        true
    );
    browser.close().await;
}

/// The detailed mode is another image, and every photo says how long it will take once one was made.
#[tokio::test]
async fn modes_differ_and_their_time_is_told() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    let photo = drawn(10, 8);
    browser.drop_file("p.png", &photo).await;
    browser.finished().await;
    let about = browser.content("about-mode").await;
    assert!(!about.contains("megapixel"), "too small to tell: {about}");
    browser.drop_file("large.png", &drawn(110, 100)).await;
    browser.finished().await;
    let mut results = Vec::new();
    for mode in ["instant", "fast"] {
        browser.set("mode", mode).await;
        browser.set("seed", "5").await;
        browser.drop_file("p.png", &photo).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{mode}");
        results.push(saved(&browser).await);
        browser.set("mode", mode).await;
        let about = browser.content("about-mode").await;
        let time = about.rsplit("About ").next().unwrap();
        let number: f64 = time.split(' ').next().unwrap().parse().unwrap();
        assert!(
            time.ends_with("for a photo of a megapixel.") && number > 0.0,
            "{mode}: {about}"
        );
    }
    assert!(results[0] != results[1]);
    // It is anchored to the first.
    let native = drawn_natively(X4_CLEAN, &photo, Mode::Fast, 5).all_planes();
    let worst = farthest(&planes(&results[1]), &native) / LEVEL;
    assert!(worst < 2.5, "differs by {worst:.2} of 255");
    browser.close().await;
}

/// The slider leads from the sample to the restorer's answer. Nothing runs for it but a blend of two files.
#[tokio::test]
async fn fidelity_leads_to_what_is_certain_without_the_network() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    let photo = drawn(PHOTO.0, PHOTO.1);
    browser.set("mode", "fast").await;
    browser.drop_file("drawn.png", &photo).await;
    browser.finished().await;
    let sample = planes(&saved(&browser).await);
    let certain = enlarged_natively(X4_CLEAN, &photo).all_planes();
    let watch = "globalThis.ran = 0;
                 new MutationObserver(() => { ran += document.querySelectorAll('#list .running').length; })
                   .observe(document.getElementById('list'), { subtree: true, attributes: true });";
    browser.run(watch, vec![]).await;
    let consistency = browser.content("figures").await;
    for (percent, share) in [("40", 0.4), ("100", 1.0)] {
        browser.set("fidelity", percent).await;
        // At once on the page: the shares of both images.
        let seen = "const of = (id) => Number(getComputedStyle(document.getElementById(id)).opacity);
                    return [of('after') + of('mean'), of('mean')].map((v) => v.toFixed(3)).join(' ');";
        assert_eq!(browser.run(seen, vec![]).await, format!("1.000 {share:.3}"));
        browser.blended().await;
        assert_eq!(browser.text("error").await, "");
        let got = planes(&saved(&browser).await);
        let mut blend = sample.clone();
        for (x, m) in blend.data_mut().iter_mut().zip(certain.data()) {
            *x = (1.0 - share) * *x + share * m;
        }
        let worst = farthest(&got, &blend) / LEVEL;
        assert!(worst <= 1.6, "at {percent}: {worst}");
    }
    assert_ne!(browser.content("figures").await, consistency);
    // Of several wishes in a row the last one counts, be it what was there before.
    let hasty = "const slider = document.getElementById('fidelity');
                 for (const value of args[0]) { slider.value = value; for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind)); }";
    for (wishes, last) in [([20, 70, 100], 1.0), ([30, 60, 10], 0.1)] {
        browser.run(hasty, vec![wishes.to_vec().into()]).await;
        browser.blended().await;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        assert_eq!(
            browser.text("fidelity-value").await,
            format!("{} %", 100 - wishes[2])
        );
        let mut blend = sample.clone();
        for (x, m) in blend.data_mut().iter_mut().zip(certain.data()) {
            *x = (1.0 - last) * *x + last * m;
        }
        let worst = farthest(&planes(&saved(&browser).await), &blend) / LEVEL;
        assert!(worst <= 1.6, "{wishes:?}: {worst}");
    }
    assert_eq!(browser.run("return ran;", vec![]).await, 0);
    browser.close().await;
}

/// Several samples tell what is invented; the image stays what it was, and what was measured once is kept.
#[tokio::test]
async fn what_is_invented_is_measured() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    browser.set("mode", "fast").await;
    browser.drop_file("drawn.png", &drawn(PHOTO.0, PHOTO.1)).await;
    browser.finished().await;
    browser.set("fidelity", "30").await;
    browser.blended().await;
    let before = saved(&browser).await;

    // A measurement that is cancelled costs nothing.
    browser.click("#measure").await;
    browser
        .wait_for("document.querySelector('#list .running') !== null")
        .await;
    let cancel = "[...document.querySelectorAll('#list button')].find((b) => b.textContent === 'Cancel' && !b.hidden).click();";
    browser.run(cancel, vec![]).await;
    browser
        .wait_for("document.querySelector('#list .done') !== null")
        .await;
    assert!(saved(&browser).await == before);

    // What is done with the image meanwhile stays.
    browser.click("#measure").await;
    browser.set("fidelity", "70").await;
    browser.blended().await;
    let before = saved(&browser).await;
    browser.measured().await;
    assert_eq!(browser.text("error").await, "");
    assert!(saved(&browser).await == before, "the image at its fidelity");
    assert_eq!(browser.text("fidelity-value").await, "30 %");
    let told = browser.content("figures").await;
    let told = told.rsplit(" dB.").next().expect("a sentence");
    let levels: f64 = told
        .split_whitespace()
        .find_map(|w| w.parse().ok())
        .expect("a number");
    assert!((0.2..40.0).contains(&levels), "{told}");
    let map = "const canvas = document.getElementById('spread');
               const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
               const values = new Set(data.filter((_, i) => i % 4 === 3));
               return [canvas.width, canvas.height, canvas.hidden, values.size > 20].join();";
    assert_eq!(browser.run(map, vec![]).await, "40,24,false,true");
    browser.close().await;
}

/// A width instead of a scale; numbers that make no sense are named before anything runs.
#[tokio::test]
async fn any_width_is_made() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    let photo = drawn(PHOTO.0, PHOTO.1);
    let whole = enlarged_natively(X4_CLEAN, &photo).all_planes();
    browser.set("scale", "width").await;
    for (width, height) in [(130, 78), (160, 96), (47, 28), (40, 24)] {
        browser.set("width", &width.to_string()).await;
        browser.drop_file("drawn.png", &photo).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{width}");
        let got = planes(&browser.download(&format!("drawn-{width}px-clean.png")).await);
        assert_eq!((got.width(), got.height()), (width, height));
        let expected = asasr_core::resample::bicubic(&whole, Size::new(width, height));
        let mean = got.data().iter().zip(expected.data()).map(|(a, b)| (a - b).abs());
        let mean = mean.sum::<f32>() / got.data().len() as f32;
        assert!(mean < 2.0 * LEVEL, "{width}: {}", mean / LEVEL);
    }
    for (width, expected) in [
        ("321", "40 to 320 wide, not 321"),
        ("39", "40 to 320 wide, not 39"),
    ] {
        browser.set("width", width).await;
        browser.drop_file("drawn.png", &photo).await;
        browser.finished().await;
        let error = browser.text("error").await;
        assert!(error.contains(expected), "{error}");
    }
    browser.clear().await;
    browser.set("width", "").await;
    browser.drop_files(&[("drawn.png", &photo)]).await;
    let error = browser.text("error").await;
    assert!(error.contains("Pixels wide is a whole number from 1"), "{error}");
    assert_eq!(
        browser
            .run("return document.querySelectorAll('#list li').length;", vec![])
            .await,
        0
    );
    browser.close().await;
}

/// Grey stays grey, transparency stays, 16 bits stay 16, in the drawn image and in its blend.
#[tokio::test]
async fn flows_keep_layout_and_depth() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    browser.set("mode", "fast").await;
    for (layout, bits) in [
        (Layout::Grey, 16),
        (Layout::GreyAlpha, 8),
        (Layout::Rgba, 8),
        (Layout::Rgb, 16),
    ] {
        let channels = 3 + usize::from(layout.has_alpha());
        let values = (0..channels * 12 * 14).map(|i| ((i * 37) % 101) as f32 / 100.0);
        let photo = Planes::new(channels, 12, 14, values.collect()).unwrap();
        let bytes = SharedBytes::default();
        let mut rows = PngRows::new(bytes.clone(), Size::new(14, 12), layout, bits).unwrap();
        rows.write(0, &photo).unwrap();
        rows.finish().unwrap();
        let name = format!("p{layout:?}{bits}");
        browser.drop_file(&format!("{name}.png"), &bytes.take()).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "");
        for (percent, file) in [
            ("0", format!("{name}-x4-clean-fast-0.png")),
            ("60", format!("{name}-x4-clean-fast-0-f60.png")),
        ] {
            browser.set("fidelity", percent).await;
            browser.blended().await;
            let saved = decode(&browser.download(&file).await, 1 << 20).unwrap();
            assert_eq!((saved.layout(), saved.bits()), (layout, bits), "at {percent}");
            assert_eq!((saved.width(), saved.height()), (56, 48));
        }
    }
    browser.close().await;
}

/// A wide photo's colours are seen as they are: sample and mean carry its profile, whatever the file's format.
#[tokio::test]
async fn layers_are_seen_in_the_photos_colours() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    browser.set("mode", "fast").await;
    // The browser's own writing of a canvas in Display P3.
    let give = "const canvas = new OffscreenCanvas(12, 12);
                const context = canvas.getContext('2d', { colorSpace: 'display-p3' });
                context.fillStyle = 'color(display-p3 0.1 0.9 0.2)';
                context.fillRect(0, 0, 12, 12);
                const file = new File([await canvas.convertToBlob()], 'wide.png');
                const dataTransfer = new DataTransfer();
                dataTransfer.items.add(file);
                document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));";
    for format in ["png", "jpeg"] {
        browser.clear().await;
        browser.set("format", format).await;
        browser.run(give, vec![]).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "");
        let colours = "const of = async (id) => {
                         const image = document.getElementById(id);
                         await image.decode();
                         const context = new OffscreenCanvas(1, 1).getContext('2d', { colorSpace: 'display-p3' });
                         context.drawImage(image, 0, 0, 1, 1);
                         return [...context.getImageData(0, 0, 1, 1).data];
                       };
                       return await Promise.all(['before', 'after', 'mean'].map(of));";
        let seen = browser.run(colours, vec![]).await;
        for c in 0..3 {
            let of = |i: usize| seen[i][c].as_i64().unwrap();
            for layer in [1, 2] {
                assert!((of(layer) - of(0)).abs() <= 6, "{format}: {seen}");
            }
        }
    }
    browser.close().await;
}

/// For scripts: layers, samples and a fidelity of one's own, in another format too. The image is of greys: at black and white both
/// layers are cut off, and a blend of what is cut off is another than a cut-off blend.
#[tokio::test]
async fn the_script_draws_and_blends() {
    let server = Server::start();
    let browser = opened(&server, "cpu").await;
    let script = "const { Upscaler } = await import('./upscaler.js');
        const canvas = new OffscreenCanvas(20, 16);
        const context = canvas.getContext('2d');
        for (const [colour, ...box] of [['#ccc', 0, 0, 20, 16], ['#555', 5, 5, 8, 8]]) { context.fillStyle = colour; context.fillRect(...box); }
        const blob = await canvas.convertToBlob();
        const up = await Upscaler.load({ device: 'cpu', model: 'v1/models/asasr-x4-clean/' });
        const modes = (await up.modes).map(({ mode, work, draws }) => `${mode} ${work >= 1} ${draws}`).join();
        if (modes !== 'instant true false,fast true true,quality true true') return modes;
        const fractions = [];
        const whole = await up.upscale(blob, { mode: 'fast', seed: 3, layers: true, samples: 2, format: 'jpeg', onProgress: (d, t, f) => fractions.push(f) });
        if (fractions.join() !== '0,0.125,0.25,0.375,0.5,0.625,0.75,0.875,0.99,1') return fractions.join();
        if (whole.blob.type !== 'image/jpeg' || whole.layers.sample.type !== 'image/png') return whole.blob.type;
        if (whole.mapWidth !== 20 || whole.invented.length !== 320 || !(whole.deviation > 0) || whole.departure) return 'no spread';
        const blended = await up.blend(blob, whole.layers, { fidelity: 0.5 });
        const direct = await up.upscale(blob, { mode: 'fast', seed: 3, fidelity: 0.5 });
        const both = await up.upscale(blob, { mode: 'fast', seed: 3, layers: true, fidelity: 0.5 });
        if (!both.layers?.mean || both.deviation !== 0) return 'no layers beside a blend';
        const bytes = async (b) => { const image = await createImageBitmap(b); const c = new OffscreenCanvas(80, 64).getContext('2d'); c.drawImage(image, 0, 0); return c.getImageData(0, 0, 80, 64).data; };
        const [a, b, c] = await Promise.all([blended, direct, both].map(({ blob }) => bytes(blob)));
        const worst = a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i]), Math.abs(c[i] - b[i])), 0);
        if (worst > 1) return `blend and fidelity differ by ${worst}`;
        const wrong = await up.blend(blob, { sample: whole.layers.sample, mean: blob }, { fidelity: 0.5 }).then(() => 'blended', (e) => e.message);
        const none = await up.upscale(blob, { mode: 'best' }).then(() => 'made', (e) => e.message);
        const nothing = await up.blend(blob, undefined, { fidelity: 0.5 }).then(() => 'blended', (e) => e.message);
        if (!nothing.startsWith('there are no layers')) return nothing;
        const far = await up.blend(blob, whole.layers, { fidelity: 5 }).then(() => 'blended', (e) => e.message);
        const tiff = await up.upscale(blob, { format: 'tiff' }).then(() => 'made', (e) => e.message);
        // Two blends, and one that is stopped.
        const stop = new AbortController();
        const three = [blob, blob, blob].map((b, i) => up.blend(b, whole.layers, { fidelity: i / 2, signal: i === 1 ? stop.signal : undefined }).then(() => 'blended', (e) => e.name));
        stop.abort();
        const ends = (await Promise.all(three)).join();
        if (ends !== 'blended,AbortError,blended') return ends;
        up.dispose();
        return `${wrong}; ${none}; ${far}; ${tiff}`;";
    assert_eq!(
        browser.run(script, vec![]).await,
        Value::from(
            "the layers are not those of this image; mode \"best\" is not offered: use instant | fast | quality; fidelity 5 is not offered: use 0–1; format \"tiff\" is not offered: use png | jpeg | webp"
        )
    );
    browser.close().await;
}
