//! What a person does with the page.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::{env, fs};

use asasr_codec::{Layout, Metadata, PngRows, SharedBytes, decode};
use asasr_core::{Planes, Size};
use asasr_tests::{Browser, Server, copy_folder, drawn};
use serde_json::Value;

/// The codes that stand for keys (W3C's protocol for drivers).
const LEFT: &str = "\u{e012}";
const RIGHT: &str = "\u{e014}";
const HOME: &str = "\u{e011}";
const TAB: &str = "\u{e004}";
const ENTER: &str = "\u{e007}";

async fn opened(server: &Server) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser
}

/// Several at once, by every way in; each is saved under a name of its own, and all of them as one zip.
#[tokio::test]
async fn several_photos_in_and_a_zip_out() {
    let server = Server::start();
    let browser = opened(&server).await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    };
    let chosen = [write("a.png", &drawn(6, 4)), write("b.png", &drawn(5, 5))];
    browser.choose("file", &chosen).await;
    browser
        .drop_files(&[("a.png", &drawn(4, 6)), ("note.txt", b"text")])
        .await;
    browser.paste("image.png", &drawn(3, 3)).await;
    browser.finished().await;
    let states = "return [...document.querySelectorAll('#list li')].map((li) => [li.querySelector('.name').textContent, li.className]);";
    assert_eq!(
        browser.run(states, vec![]).await.to_string(),
        r#"[["a.png","done"],["b.png","done"],["a.png","done"],["note.txt","failed"],["image.png","done"]]"#
    );
    assert!(
        browser
            .text("error")
            .await
            .contains("note.txt: this is not an image")
    );

    browser.click("#download-all").await;
    let mut zip = zip::ZipArchive::new(Cursor::new(browser.arrived("asasr.zip").await)).unwrap();
    let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    assert_eq!(names, ["a-x4.png", "b-x4.png", "a-x4 (2).png", "image-x4.png"]);
    let mut sizes = Vec::new();
    for i in 0..zip.len() {
        // Reading checks the CRC.
        let mut bytes = Vec::new();
        zip.by_index(i).unwrap().read_to_end(&mut bytes).unwrap();
        let picture = decode(&bytes, 1 << 20).unwrap();
        sizes.push((picture.width(), picture.height()));
    }
    assert_eq!(sizes, [(24, 16), (20, 20), (16, 24), (12, 12)]);

    // A folder gives its images, those of folders in it too, and nothing else.
    browser.click("#clear").await;
    write("deep/er/c.png", &drawn(2, 2));
    write("deep/readme.txt", b"text");
    browser.choose("folder", &[folder.path().join("deep")]).await;
    browser.finished().await;
    assert_eq!(
        browser.run(states, vec![]).await.to_string(),
        r#"[["c.png","done"]]"#
    );
    // Their results keep the folders.
    browser.drop_files(&[("c.png", &drawn(3, 2))]).await;
    browser.finished().await;
    browser.click("#download-all").await;
    let second = browser.arrived("asasr (1).zip").await;
    let zip = zip::ZipArchive::new(Cursor::new(second)).unwrap();
    let names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    assert_eq!(names, ["deep/er/c-x4.png", "c-x4.png"]);
    browser.close().await;
}

#[tokio::test]
async fn every_size_and_format_is_saved() {
    let server = Server::start();
    let browser = opened(&server).await;
    let choose = "for (const [id, value] of [['scale', args[0]], ['format', args[1]]]) {
                    document.getElementById(id).value = value;
                    document.getElementById(id).dispatchEvent(new Event('change'));
                  }";
    for (scale, format, name) in [
        (2, "jpeg", "photo-x2.jpg"),
        (3, "webp", "photo-x3.webp"),
        (4, "png", "photo-x4.png"),
    ] {
        browser
            .run(choose, vec![scale.to_string().into(), format.into()])
            .await;
        browser.drop_file("photo.png", &drawn(20, 16)).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{format}");
        let bytes = browser.download(name).await;
        let magic: &[u8] = match format {
            "jpeg" => &[0xff, 0xd8],
            "webp" => b"RIFF",
            _ => b"\x89PNG",
        };
        assert!(bytes.starts_with(magic), "{format}");
        let picture = decode(&bytes, 1 << 20).unwrap();
        assert_eq!((picture.width(), picture.height()), (20 * scale, 16 * scale));
        // It is that image, whatever a lossy format did to it.
        let (got, given) = (
            picture.all_planes(),
            decode(&drawn(20, 16), 1 << 20).unwrap().all_planes(),
        );
        let mean = |p: &Planes, c: usize| p.plane(c).iter().sum::<f32>() / p.plane(c).len() as f32;
        for c in 0..3 {
            assert!(
                (mean(&got, c) - mean(&given, c)).abs() < 0.03,
                "{format}, channel {c}"
            );
        }
    }
    // AVIF, here a gradient, is read by the browser.
    let avif = include_bytes!("photo.avif");
    browser.drop_file("other.avif", avif).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("64 × 32"));
    assert!(browser.text("notes").await.contains("AVIF"));
    let saved = decode(&browser.download("other-x4.png").await, 1 << 20).unwrap();
    assert_eq!((saved.width(), saved.height()), (64, 32));
    assert!(matches!(saved.layout(), Layout::Rgb | Layout::Rgba));
    browser.close().await;
}

/// A photo that is given when nothing is at work shows itself; one that waits behind others does not.
#[tokio::test]
async fn the_photo_that_was_given_is_shown() {
    let server = Server::start();
    let browser = opened(&server).await;
    let shown = "return document.getElementById('download').download;";
    browser
        .drop_files(&[("a.png", &drawn(20, 16)), ("b.png", &drawn(12, 10))])
        .await;
    browser.finished().await;
    assert_eq!(browser.run(shown, vec![]).await, "a-x4.png");
    browser.drop_files(&[("c.png", &drawn(14, 10))]).await;
    browser.finished().await;
    assert_eq!(browser.run(shown, vec![]).await, "c-x4.png");
    // The same photo, chosen once more, is compared with what was made of it before.
    browser.set("mode", "fast").await;
    browser.drop_files(&[("c.png", &drawn(14, 10))]).await;
    browser.finished().await;
    let offered =
        "return [...document.getElementById('left').options].map(({ textContent }) => textContent).join();";
    assert_eq!(browser.run(offered, vec![]).await, "Original,Faithful");
    browser.set("fidelity", "70").await;
    browser.blended().await;
    assert!(browser.text("summary").await.ends_with("More detail, 30 % of it"));
    let row = "return document.querySelector('#list [aria-current] .state').textContent;";
    let row = browser.run(row, vec![]).await;
    assert!(
        row.as_str().unwrap().ends_with("More detail, 30 % of it"),
        "{row}"
    );
    browser.close().await;
}

/// How files are saved is chosen after they are made, and all of them follow: without the network.
#[tokio::test]
async fn results_are_saved_in_another_format() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.set("mode", "fast").await;
    browser
        .drop_files(&[("a.png", &drawn(20, 16)), ("b.png", &drawn(12, 10))])
        .await;
    browser.finished().await;
    browser.set("fidelity", "40").await;
    browser.blended().await;
    let png = decode(&browser.download("a-x4-fast-f40.png").await, 1 << 20).unwrap();
    let watch = "globalThis.ran = 0;
        new MutationObserver(() => { ran += document.querySelectorAll('#list .running').length; })
          .observe(document.getElementById('list'), { subtree: true, attributes: true });";
    browser.run(watch, vec![]).await;
    for (format, quality, ending) in [("jpeg", "100", "jpg"), ("webp", "100", "webp")] {
        browser.set("quality", quality).await;
        browser.set("format", format).await;
        let names = format!(
            "[...document.querySelectorAll('#list .actions a[href]')].map((a) => a.download).join() === 'a-x4-fast-f40.{ending},b-x4-fast.{ending}'"
        );
        browser.wait_for(&names).await;
        let saved = browser.download(&format!("a-x4-fast-f40.{ending}")).await;
        let (got, wanted) = (decode(&saved, 1 << 20).unwrap().all_planes(), png.all_planes());
        let far = got
            .data()
            .iter()
            .zip(wanted.data())
            .map(|(a, b)| (a - b).abs())
            .sum::<f32>();
        assert!(far / (wanted.data().len() as f32) < 0.03, "{format}: {far}");
    }
    // Back again, bit for bit; and the detail is changed in the format that is chosen now.
    browser.set("format", "png").await;
    browser
        .wait_for("document.getElementById('download').href && document.getElementById('download').download === 'a-x4-fast-f40.png'")
        .await;
    fs::remove_file(browser.downloaded("a-x4-fast-f40.png")).unwrap();
    let again = decode(&browser.download("a-x4-fast-f40.png").await, 1 << 20).unwrap();
    assert_eq!(again.all_planes().data(), png.all_planes().data());
    browser.set("format", "jpeg").await;
    browser.set("fidelity", "0").await;
    browser
        .wait_for("document.getElementById('download').href && document.getElementById('download').download === 'a-x4-fast.jpg'")
        .await;
    assert_eq!(browser.run("return ran;", vec![]).await, 0);
    assert_eq!(browser.text("error").await, "");
    browser.close().await;
}

/// A picture with a profile and EXIF data.
fn with_metadata(metadata: &Metadata) -> Vec<u8> {
    let picture = decode(&drawn(20, 16), 1 << 20).unwrap();
    let bytes = SharedBytes::default();
    let mut rows =
        PngRows::with_metadata(bytes.clone(), Size::new(20, 16), Layout::Rgb, 8, metadata).unwrap();
    rows.write(0, &picture.all_planes()).unwrap();
    rows.finish().unwrap();
    bytes.take()
}

#[tokio::test]
async fn colour_profile_and_exif_go_along_unless_stripped() {
    let server = Server::start();
    let browser = opened(&server).await;
    let exif = [
        b"II*\0\x08\0\0\0".as_slice(),
        &[1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    // Display P3 as its makers publish it would do as well: the bytes are carried, not read.
    let mut icc: Vec<u8> = (0..70_000u32).map(|i| (i * 7 % 251) as u8).collect();
    icc[16..20].copy_from_slice(b"RGB ");
    let metadata = Metadata {
        icc: Some(icc),
        exif: Some(exif),
        ..Metadata::default()
    };
    let choose = "document.getElementById('format').value = args[0];
                  document.getElementById('carry').checked = args[1];";
    for (format, ending) in [("png", "png"), ("jpeg", "jpg"), ("webp", "webp")] {
        for carry in [true, false] {
            browser.run(choose, vec![format.into(), carry.into()]).await;
            let name = format!("{format}-{carry}");
            browser
                .drop_file(&format!("{name}.png"), &with_metadata(&metadata))
                .await;
            browser.finished().await;
            assert_eq!(browser.text("error").await, "", "{name}");
            let saved = decode(&browser.download(&format!("{name}-x4.{ending}")).await, 1 << 20).unwrap();
            let expected = if carry {
                metadata.clone()
            } else {
                Metadata::default()
            };
            assert_eq!(saved.width(), 80, "{name}");
            // Browsers describe what they write themselves; it is then sRGB.
            let browsers_own = !carry && format != "png" && saved.metadata().exif.is_none();
            assert!(saved.metadata() == &expected || browsers_own, "{name}");
        }
    }
    browser.close().await;
}

#[tokio::test]
async fn transparent_edges_have_no_dark_fringe() {
    let server = Server::start();
    let browser = opened(&server).await;
    let mut planes = Planes::zeros(4, 24, 24);
    for y in 0..24 {
        for x in 0..24 {
            if (x as f32 - 11.5).hypot(y as f32 - 11.5) < 8.0 {
                (0..4).for_each(|c| planes.row_mut(c, y)[x] = 1.0);
            }
        }
    }
    let bytes = SharedBytes::default();
    let mut rows = PngRows::new(bytes.clone(), Size::new(24, 24), Layout::Rgba, 8).unwrap();
    rows.write(0, &planes).unwrap();
    rows.finish().unwrap();
    browser.drop_file("disc.png", &bytes.take()).await;
    browser.finished().await;
    let saved = decode(&browser.download("disc-x4.png").await, 1 << 20).unwrap();
    assert_eq!(saved.layout(), Layout::Rgba);
    let planes = saved.all_planes();
    for (i, alpha) in planes.plane(3).iter().enumerate() {
        let colour = (0..3).map(|c| planes.plane(c)[i]).fold(1.0, f32::min);
        assert!(*alpha < 0.02 || colour > 0.95, "white at alpha {alpha}: {colour}");
    }
    assert!(
        planes.plane(3).iter().any(|a| (0.3..0.7).contains(a)),
        "a soft edge"
    );
    browser.close().await;
}

/// The result is seen while it grows, and where it departs from the input afterwards.
#[tokio::test]
async fn rows_appear_and_departures_are_marked() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.drop_files(&[("large.png", &drawn(300, 700))]).await;
    let painted = "(() => {
        const canvas = document.getElementById('preview');
        if (canvas.width !== 1200 || canvas.hidden) return false;
        return canvas.getContext('2d').getImageData(8, 8, 1, 1).data[3] === 255
            && document.querySelector('#list .running') !== null;
    })()";
    browser.wait_for(painted).await;
    browser.finished().await;
    assert!(browser.content("figures").await.contains(" dB"));
    browser.click("#show-differences").await;
    let marked = "const canvas = document.getElementById('differences');
                  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                  return [canvas.width, canvas.height, data.some((v, i) => i % 4 === 3 && v > 0)].join();";
    assert_eq!(browser.run(marked, vec![]).await, "300,700,true");
    browser.close().await;
}

/// The script as another page would use it.
#[tokio::test]
async fn the_script_gives_rows_obeys_signals_and_ends() {
    let server = Server::start();
    let browser = opened(&server).await;
    let script = "const { Upscaler } = await import('./upscaler.js');
        const canvas = new OffscreenCanvas(200, 300);
        canvas.getContext('2d').fillRect(50, 50, 80, 80);
        const blob = await canvas.convertToBlob();
        const up = await Upscaler.load({ device: 'cpu' });
        let rows = 0;
        const sequence = up.run(blob, { scale: 2 });
        let step = await sequence.next();
        for (; !step.done; step = await sequence.next()) {
          if (step.value.first !== rows || step.value.width !== 400) return 'rows out of place';
          rows += step.value.height;
        }
        const { width, height, consistency } = step.value;
        if (rows !== 600 || width !== 400 || height !== 600 || !(consistency > 30)) return `${rows} ${width} ${height} ${consistency}`;

        const stop = new AbortController();
        const reason = await up.upscale(blob, { signal: stop.signal, onProgress: () => stop.abort() }).then(() => 'done', (e) => e.name);
        if (reason !== 'AbortError') return `after abort: ${reason}`;
        for await (const part of up.run(blob)) break;
        const again = await up.upscale(blob, { scale: 2 });
        if (again.width !== 400) return 'not ready again';
        up.dispose();
        return up.upscale(blob).then(() => 'still there', (e) => e.message);";
    assert_eq!(browser.run(script, vec![]).await, "this upscaler was disposed of");
    // Two on one page, and one whose model does not exist.
    let script = "const { Upscaler } = await import('./upscaler.js');
        const [a, b] = await Promise.all([Upscaler.load({ device: 'cpu' }), Upscaler.load({ device: 'cpu' })]);
        const canvas = new OffscreenCanvas(20, 20);
        canvas.getContext('2d').fillRect(5, 5, 8, 8);
        const blob = await canvas.convertToBlob();
        const sizes = (await Promise.all([a.upscale(blob), b.upscale(blob, { scale: 3 })])).map((r) => r.width);
        a.dispose(); b.dispose();
        // What could not be loaded is asked for again.
        const once = globalThis.Worker;
        globalThis.Worker = class extends once { constructor() { super('none.js', { type: 'module' }); } };
        const c = new Upscaler({ device: 'cpu' });
        const first = await c.upscale(blob).then(() => 'opened', () => 'failed');
        globalThis.Worker = once;
        const second = (await c.upscale(blob, { scale: 2 })).width;
        if (first !== 'failed' || second !== 40) return `${first} ${second}`;
        c.dispose();
        const missing = await Upscaler.load({ device: 'cpu', model: 'v1/models/none/' }).then(() => 'opened', (e) => e.message);
        return `${sizes} ${missing}`;";
    let told = browser.run(script, vec![]).await;
    let told = told.as_str().unwrap();
    assert!(told.starts_with("80,60 ") && told.contains("404"), "{told}");
    browser.close().await;
}

#[tokio::test]
async fn the_result_is_compared_by_mouse_and_keyboard() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.drop_file("photo.png", &drawn(60, 40)).await;
    browser.finished().await;
    let place = "const of = (name) => getComputedStyle(document.querySelector(name)).transform;
                 return [of('#before'), of('#after')];";
    let zoom = |text: String| text.trim_end_matches(" %").parse::<f64>().unwrap();

    // Both images lie under one transformation, whatever moves them.
    browser.press("#viewer .stage", "1").await;
    assert_eq!(browser.text("zoom").await, "100 %");
    let mut seen = Vec::new();
    for keys in ["+", "+", "+", "+", "+", "+", LEFT, "-", "0"] {
        browser.press("#viewer .stage", keys).await;
        let both = browser.run(place, vec![]).await;
        assert_eq!(both[0], both[1], "{keys}");
        seen.push(both[0].as_str().unwrap().to_owned());
    }
    seen.dedup();
    assert!(seen.len() >= 8, "every key does something: {seen:?}");
    let fitted = zoom(browser.text("zoom").await);
    browser.click("#zoom-in").await;
    assert!(zoom(browser.text("zoom").await) > fitted);
    let wheel = "document.querySelector('#viewer .stage').dispatchEvent(
                   new WheelEvent('wheel', { deltaY: 400, clientX: 300, clientY: 600, bubbles: true, cancelable: true }));";
    let before = zoom(browser.text("zoom").await);
    browser.run(wheel, vec![]).await;
    assert!(zoom(browser.text("zoom").await) < before);

    // The divider.
    let split = "return document.querySelector('#viewer .divider').getAttribute('aria-valuenow');";
    browser.press("#viewer .divider", LEFT).await;
    assert_eq!(browser.run(split, vec![]).await, "45");
    browser.press("#viewer .divider", HOME).await;
    assert_eq!(browser.run(split, vec![]).await, "0");
    let drag = "const stage = document.querySelector('#viewer .stage'), divider = document.querySelector('#viewer .divider');
                const box = stage.getBoundingClientRect();
                stage.setPointerCapture = () => {};
                const send = (target, kind, x) => target.dispatchEvent(new PointerEvent(kind,
                  { pointerId: 7, button: 0, clientX: box.left + x * box.width, clientY: box.top + 50, bubbles: true }));
                send(divider, 'pointerdown', 0); send(stage, 'pointermove', 0.25); send(stage, 'pointerup', 0.25);
                return divider.getAttribute('aria-valuenow');";
    assert_eq!(browser.run(drag, vec![]).await, "25");

    // Two fingers apart bring it closer, one moves it.
    let touch = "const stage = document.querySelector('#viewer .stage');
                 const box = stage.getBoundingClientRect();
                 const send = (kind, pointerId, x, y) => stage.dispatchEvent(new PointerEvent(kind,
                   { pointerId, pointerType: 'touch', button: 0, clientX: box.left + x, clientY: box.top + y, bubbles: true }));
                 const view = () => getComputedStyle(document.getElementById('after')).transform;
                 const zoom = () => Number(/matrix\\(([^,]+)/.exec(view())[1]);
                 const before = zoom();
                 send('pointerdown', 1, 200, 150); send('pointerdown', 2, 300, 150);
                 send('pointermove', 2, 500, 150);
                 const closer = zoom() / before;
                 send('pointerup', 2, 500, 150);
                 const from = view();
                 send('pointermove', 1, 150, 120);
                 const moved = view() !== from;
                 send('pointerup', 1, 150, 120);
                 return `${closer.toFixed(2)} ${moved}`;";
    assert_eq!(browser.run(touch, vec![]).await, "3.00 true");

    // Held, only the original shows, in every way of comparing.
    let key = "document.querySelector('#viewer .stage').dispatchEvent(new KeyboardEvent(args[0], { key: 'h', bubbles: true }));";
    let visible = "const of = (name) => getComputedStyle(document.querySelector(name)).visibility;
                   return [of('#viewer .before'), of('#viewer .after')].join();";
    for mode in ["slider", "beside"] {
        browser.click(&format!("input[value={mode}]")).await;
        browser.run(key, vec!["keydown".into()]).await;
        assert_eq!(browser.run(visible, vec![]).await, "visible,hidden", "{mode}");
        browser.run(key, vec!["keyup".into()]).await;
        assert_eq!(browser.run(visible, vec![]).await, "visible,visible", "{mode}");
    }
    browser.click("input[value=hold]").await;
    assert_eq!(browser.run(visible, vec![]).await, "hidden,visible");
    browser.run(key, vec!["keydown".into()]).await;
    assert_eq!(browser.run(visible, vec![]).await, "visible,hidden");
    browser.run(key, vec!["keyup".into()]).await;
    assert_eq!(browser.run(visible, vec![]).await, "hidden,visible");
    browser.click("input[value=beside]").await;
    let both = browser.run(place, vec![]).await;
    assert_eq!(both[0], both[1]);
    browser.close().await;
}

/// The first thing to see is what the page does; then the result, whole and without scrolling; and more detail at a click.
#[tokio::test]
async fn the_result_is_in_view() {
    let server = Server::start();
    let browser = Browser::start().await;
    // What a finger cannot hit, and whether the page is wider than the screen.
    let hard_to_hit = "const all = [...document.querySelectorAll('button, a[href], select, input, summary, .divider')];
        const small = all.filter((each) => each.checkVisibility({ visibilityProperty: true })).map((each) =>
            (each.matches('[type=radio], [type=checkbox]') ? each.labels[0] : each)).filter((each) => {
              const { width, height } = each.getBoundingClientRect();
              return Math.min(width, height) < 44;
            });
        if (!matchMedia('(pointer: coarse)').matches) small.length = 0;
        return [document.documentElement.scrollWidth <= innerWidth, ...small.map((each) => each.id || each.textContent)].join();";
    let where_it_is = "const box = document.querySelector('#viewer .stage').getBoundingClientRect();
        const download = document.getElementById('download').getBoundingClientRect();
        return [box.top >= 0, box.bottom <= innerHeight, box.height > 150, download.bottom <= innerHeight,
                document.documentElement.scrollWidth <= innerWidth].join();";
    for (width, height) in [(1280, 900), (390, 844), (320, 568)] {
        browser
            .open(&format!("{}?device=cpu&lang=en", server.url()))
            .await;
        browser.screen(width, height).await;
        let example = "const { width, height, top, bottom } = document.querySelector('#example .stage').getBoundingClientRect();
            return width > 200 && height > 130 && top >= 0 && bottom <= innerHeight && document.getElementById('result').hidden;";
        for language in ["en", "de"] {
            browser.set("language", language).await;
            assert_eq!(browser.run(example, vec![]).await, true, "{width} {language}");
            for open in [true, false] {
                let settings = "document.getElementById('settings').open = args[0];";
                browser.run(settings, vec![open.into()]).await;
                assert_eq!(
                    browser.run(hard_to_hit, vec![]).await,
                    "true",
                    "{width} {language}"
                );
            }
        }
        browser.set("language", "en").await;
        browser.click("#try").await;
        browser
            .wait_for("document.querySelector('#list .done') !== null")
            .await;
        assert_eq!(
            browser.run(where_it_is, vec![]).await,
            "true,true,true,true,true",
            "{width}x{height}"
        );
        let focus = browser
            .run("return document.activeElement.className;", vec![])
            .await;
        assert_eq!(focus, "stage");
        assert!(browser.content("consistency").await.contains("noise"));
        for language in ["de", "en"] {
            browser.set("language", language).await;
            assert_eq!(
                browser.run(hard_to_hit, vec![]).await,
                "true",
                "{width} {language}"
            );
        }
        // Whoever scrolls the page with a finger or a wheel gets past the picture, until it is closer than whole.
        let scrolls = "const stage = document.querySelector('#viewer .stage');
            const scroll = () => stage.dispatchEvent(new WheelEvent('wheel', { deltaY: 100, bubbles: true, cancelable: true }));
            const whole = [getComputedStyle(stage).touchAction, scroll()];
            document.getElementById('zoom-in').click();
            return [...whole, getComputedStyle(stage).touchAction, scroll()].join();";
        assert_eq!(browser.run(scrolls, vec![]).await, "pan-y,true,none,false");
    }
    // Both versions are kept: from the second on nothing runs.
    browser.click("#detailed").await;
    browser
        .wait_for("document.querySelectorAll('#list .done').length === 2")
        .await;
    assert!(browser.text("summary").await.ends_with("More detail"));
    // What the slider of detail does is seen while it moves.
    let both = "document.getElementById('fidelity').focus();
        await new Promise((resolve) => setTimeout(resolve, 100));
        const [stage, slider] = ['#viewer .stage', '#fidelity'].map((each) => document.querySelector(each).getBoundingClientRect());
        return [stage.top >= 0, stage.bottom <= slider.top, slider.bottom <= innerHeight].join();";
    for (width, height) in [(320, 568), (390, 844), (1280, 900)] {
        browser.screen(width, height).await;
        browser
            .run("document.activeElement.blur(); scrollTo(0, 0);", vec![])
            .await;
        assert_eq!(browser.run(both, vec![]).await, "true,true,true", "{width}");
    }
    browser.run("scrollTo(0, 0);", vec![]).await;
    let name = "return document.getElementById('download').download;";
    assert_eq!(browser.run(name, vec![]).await, "kitten-x4-fast.png");
    browser.click("#faithful").await;
    browser.blended().await;
    assert!(browser.text("summary").await.ends_with("Faithful"));
    assert_eq!(browser.run(name, vec![]).await, "kitten-x4.png");
    assert_eq!(browser.content("deviation").await, "Nothing is invented.");
    assert_eq!(browser.text("error").await, "");
    browser.close().await;
}

/// While a large result grows it is painted smaller, without gaps between its strips.
#[tokio::test]
async fn a_large_result_is_previewed_smaller() {
    let server = Server::start();
    let browser = opened(&server).await;
    let script = "const { Viewer } = await import('./viewer.js');
        const viewer = new Viewer(document.getElementById('viewer'));
        const paint = (width, height, rows) => {
            viewer.show('', null, { width, height }, 'large');
            for (let first = 0; first < height; first += rows) {
                const count = Math.min(rows, height - first);
                const rgba = new Uint8ClampedArray(4 * width * count).fill(255);
                // Dark above, white below.
                if (first < height / 2) rgba.fill(90).forEach((_, i) => { if (i % 4 === 3) rgba[i] = 255; });
                viewer.paint(first, width, rgba);
            }
            const canvas = document.getElementById('preview');
            const { data } = canvas.getContext('2d').getImageData(5, 0, 1, canvas.height);
            const [shades, alphas] = [0, 3].map((c) => [...data].filter((_, i) => i % 4 === c));
            const turn = shades.findIndex((v) => v > 170) / canvas.height;
            return [alphas.every((v) => v === 255), shades[0], shades.at(-1), Math.abs(turn - 0.5) < 0.01, canvas.width].join();
        };
        const told = [paint(6000, 4000, 37), paint(400, 60000, 64)];
        viewer.clear();
        return [...told, document.getElementById('preview').width].join(' ');";
    let told = browser.run(script, vec![]).await;
    assert_eq!(told, "true,90,255,true,3547 true,90,255,true,218 1");
    browser.close().await;
}

/// The two models answer differently; changing between them, cancelling and trying again all lead to a result.
#[tokio::test]
async fn models_are_changed_and_photos_tried_again() {
    let server = Server::start();
    let browser = opened(&server).await;
    let choose = "document.getElementById('model').value = args[0];";
    let mut results = Vec::new();
    for (model, name, told) in [
        ("asasr-x4-real", "a", ""),
        ("asasr-x4-clean", "b", "-clean"),
        ("asasr-x4-real", "c", ""),
    ] {
        browser.run(choose, vec![model.into()]).await;
        browser.drop_file(&format!("{name}.png"), &drawn(24, 20)).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{model}");
        let row = "return document.querySelector('#list li:last-child').textContent;";
        let row = browser.run(row, vec![]).await.to_string();
        assert_eq!(
            row.contains("taken as sharp and clean"),
            !told.is_empty(),
            "{row}"
        );
        results.push(browser.download(&format!("{name}-x4{told}.png")).await);
    }
    assert!(results[0] == results[2] && results[0] != results[1]);

    browser.clear().await;
    browser
        .drop_files(&[("large.png", &drawn(700, 500)), ("small.png", &drawn(6, 6))])
        .await;
    browser
        .wait_for("document.querySelector('#list .running progress')?.value > 0")
        .await;
    let button = |name: &str| {
        format!(
            "[...document.querySelectorAll('#list li:first-child button')].find((b) => b.textContent === '{name}' && !b.hidden)"
        )
    };
    browser
        .run(&format!("{}.click();", button("Cancel")), vec![])
        .await;
    browser
        .wait_for("document.querySelector('#list li:first-child').className === 'cancelled'")
        .await;
    // The keyboard's focus stays in the row whose button went away.
    let focused = "return document.activeElement.closest('li') === document.querySelector('#list li');";
    assert_eq!(browser.run(focused, vec![]).await, true);
    browser.finished().await;
    browser
        .run(&format!("{}.click();", button("Try again")), vec![])
        .await;
    browser
        .wait_for("document.querySelectorAll('#list .done').length === 2")
        .await;
    browser.close().await;
}

/// Another language, at once and the next time.
#[tokio::test]
async fn it_speaks_german() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.drop_file("photo.png", &drawn(6, 4)).await;
    browser.finished().await;
    let choose = "const select = document.getElementById('language');
                  select.value = 'de';
                  select.dispatchEvent(new Event('change'));";
    browser.run(choose, vec![]).await;
    assert_eq!(browser.text("choose").await, "Fotos auswählen");
    assert!(browser.text("summary").await.starts_with("24 × 16 Pixel in"));
    assert!(browser.text("device").await.contains("Threads)"));
    assert_eq!(browser.text("download").await, "Herunterladen");
    assert!(
        browser.text("summary").await.contains(','),
        "with a decimal comma"
    );
    browser.reload().await;
    assert_eq!(browser.text("choose").await, "Fotos auswählen");
    // Both languages have all texts, with the same places to fill.
    let script = "const { languages: { en, de } } = await import('./texts.js');
                  const places = (text) => [...text.matchAll(/\\\\{\\\\w+\\\\}/g)].map(String).sort().join();
                  return Object.keys({ ...en, ...de }).filter((key) => !en[key] || !de[key] || places(en[key]) !== places(de[key]));";
    assert_eq!(browser.run(script, vec![]).await, Value::Array(vec![]));
    browser.close().await;
}

/// Each photo gets the model that it looks made for, and the other one is a button away; a drawing is warned of.
#[tokio::test]
async fn photos_are_looked_at() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.set("model", "looked").await;
    let sharp = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("published/lq/colosseum.png")).unwrap();
    browser.drop_file("sharp.png", &sharp).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("taken as sharp and clean"));
    let others = "return [...document.querySelectorAll('#treat > :not([hidden])')].map(({ textContent }) => textContent).join();";
    assert_eq!(
        browser.run(others, vec![]).await,
        "Remove noise and compression,Treat it as a drawing or text"
    );
    browser.click("#treat > [data-model=asasr-x4-real]").await;
    browser.finished().await;
    browser
        .wait_for("document.querySelector('#treat > :not([hidden])')?.textContent === 'Treat it as sharp and clean'")
        .await;
    assert!(!browser.text("summary").await.contains("taken as"));
    assert_eq!(browser.text("advice").await, "");
    // The two results are compared with each other.
    let compared = "const left = document.getElementById('left');
        left.value = left.options[1].value;
        left.dispatchEvent(new Event('change'));
        const image = document.getElementById('before');
        await image.decode();
        return `${document.querySelector('#viewer .tag-before').textContent}: ${image.naturalWidth}`;";
    assert_eq!(
        browser.run(compared, vec![]).await,
        "Faithful, taken as sharp and clean: 192"
    );

    // The same photo, compressed; and a drawing, with detail that may be wrong.
    let made = "const photo = await createImageBitmap(new Blob([new Uint8Array(args[0])]));
        const canvas = new OffscreenCanvas(photo.width, photo.height);
        const context = canvas.getContext('2d');
        context.filter = args[1];
        context.drawImage(photo, 0, 0);
        const jpeg = await canvas.convertToBlob({ type: 'image/jpeg', quality: args[2] });
        return [...new Uint8Array(await jpeg.arrayBuffer())];";
    // Grey and dark photos have few colours, and are no drawings.
    for filter in ["grayscale(1) contrast(0.4) blur(2px)", "brightness(0.12)"] {
        let given = vec![sharp.clone().into(), filter.into(), 0.9.into()];
        let grey: Vec<u8> = serde_json::from_value(browser.run(made, given).await).unwrap();
        browser.drop_file("grey.jpg", &grey).await;
        browser.finished().await;
        assert!(!browser.text("summary").await.contains("drawing"), "{filter}");
    }
    let compressed = browser
        .run(made, vec![sharp.into(), "none".into(), 0.3.into()])
        .await;
    let compressed: Vec<u8> = serde_json::from_value(compressed).unwrap();
    browser.clear().await;
    browser.drop_file("compressed.jpg", &compressed).await;
    browser.finished().await;
    assert!(!browser.text("summary").await.contains("taken as"));
    browser.set("mode", "fast").await;
    let lines = "const canvas = new OffscreenCanvas(300, 80);
        const context = canvas.getContext('2d');
        context.fillStyle = 'white';
        context.fillRect(0, 0, 300, 80);
        context.font = '16px serif';
        for (const [i, colour] of ['black', 'navy', 'maroon'].entries()) {
          context.fillStyle = colour;
          context.fillText('Letters have smooth edges.', 10, 20 + 22 * i);
        }
        const png = await canvas.convertToBlob();
        return [...new Uint8Array(await png.arrayBuffer())];";
    let drawing: Vec<u8> = serde_json::from_value(browser.run(lines, vec![]).await).unwrap();
    browser.clear().await;
    browser.drop_file("drawing.png", &drawing).await;
    browser.finished().await;
    assert!(browser.text("advice").await.contains("drawing"));
    assert!(
        browser
            .text("summary")
            .await
            .contains("taken as a drawing or text")
    );
    browser.close().await;
}

/// Rings of four colours, and what the file tells: 8 bits a sample with a profile, or 16.
fn sprite(side: usize, bits: u8) -> (Vec<u8>, Metadata) {
    let colours = [
        [0u8, 0, 0, 0],
        [20, 20, 40, 255],
        [230, 60, 50, 255],
        [250, 220, 90, 128],
    ];
    let mut sprite = Planes::zeros(4, side, side);
    for y in 0..side {
        for x in 0..side {
            let ring = (x as f32 - side as f32 / 2.0).hypot(y as f32 - side as f32 / 2.0) as usize;
            let colour = colours[(ring * 12 / side).clamp(0, 6) % 4];
            (0..4).for_each(|c| sprite.row_mut(c, y)[x] = f32::from(colour[c]) / 255.0);
        }
    }
    let bytes = SharedBytes::default();
    let metadata = Metadata {
        icc: (bits == 8).then(|| [vec![0; 16], b"RGB ".to_vec(), vec![7; 180]].concat()),
        ..Metadata::default()
    };
    let size = Size::new(side, side);
    let mut rows = PngRows::with_metadata(bytes.clone(), size, Layout::Rgba, bits, &metadata).unwrap();
    rows.write(0, &sprite).unwrap();
    rows.finish().unwrap();
    (bytes.take(), metadata)
}

/// Pixel art, as small as it is, is told from small photos; its result can keep its pixels, exactly, with alpha and all that the file
/// tells.
#[tokio::test]
async fn pixel_art_keeps_its_pixels() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.set("model", "looked").await;
    for (side, bits, format) in [(16, 8, "png"), (24, 16, "jpeg")] {
        let (file, metadata) = sprite(side, bits);
        browser.set("format", format).await;
        browser.drop_file("sprite.png", &file).await;
        browser.finished().await;
        assert!(browser.text("advice").await.contains("pixel art"), "{side}");
        let offered = "return document.querySelectorAll('#treat > :not([hidden])').length;";
        assert_eq!(browser.run(offered, vec![]).await, 0);
        browser.click("#squares").await;
        browser
            .wait_for("document.querySelectorAll('#list .done').length === 2")
            .await;
        assert_eq!(browser.text("error").await, "");
        assert!(
            browser
                .text("summary")
                .await
                .ends_with("every pixel a square, as PNG")
        );
        assert_eq!(browser.text("advice").await + &browser.text("trust").await, "");
        // It is PNG, whatever was chosen for photos.
        let saved = decode(&browser.download("sprite-x4-pixels.png").await, 1 << 20).unwrap();
        assert_eq!(
            (saved.width(), saved.bits(), saved.layout()),
            (4 * side, bits, Layout::Rgba)
        );
        assert_eq!(saved.metadata(), &metadata);
        let (got, given) = (saved.all_planes(), decode(&file, 1 << 20).unwrap().all_planes());
        for c in 0..4 {
            for y in 0..4 * side {
                let wanted: Vec<f32> = (0..4 * side).map(|x| given.row(c, y / 4)[x / 4]).collect();
                assert_eq!(got.row(c, y), wanted, "{side}: channel {c}, row {y}");
            }
        }
        fs::remove_file(browser.downloaded("sprite-x4-pixels.png")).unwrap();
    }
    browser.set("format", "png").await;
    // Small photos, of few pixels and of few greys.
    let photo = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("published/lq/kitten.png")).unwrap();
    let smaller = "const photo = await createImageBitmap(new Blob([new Uint8Array(args[0])]));
        const canvas = new OffscreenCanvas(args[1], args[1]);
        const context = canvas.getContext('2d');
        Object.assign(context, { imageSmoothingQuality: 'high', filter: args[2] });
        context.drawImage(photo, 0, 0, args[1], args[1]);
        return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];";
    for (side, filter) in [
        (16, "none"),
        (32, "none"),
        (48, "none"),
        (48, "grayscale(1) contrast(0.2)"),
    ] {
        let given = vec![photo.clone().into(), side.into(), filter.into()];
        let small: Vec<u8> = serde_json::from_value(browser.run(smaller, given).await).unwrap();
        browser.drop_file("small.png", &small).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "");
        assert_eq!(browser.text("advice").await, "", "{side} {filter}");
    }
    browser.close().await;
}

/// Pixel art is made far larger than a network makes it: by the choice beside it and, where no model reaches the width that is wanted, at
/// the photo's own failure.
#[tokio::test]
async fn pixel_art_is_made_far_larger() {
    let server = Server::start();
    let browser = opened(&server).await;
    let (file, _) = sprite(24, 16);
    browser.drop_file("far.png", &file).await;
    browser.finished().await;
    browser.set("squares-times", "32").await;
    browser.click("#squares").await;
    browser.finished().await;
    let saved = decode(&browser.download("far-x32-pixels.png").await, 1 << 22).unwrap();
    assert_eq!((saved.width(), saved.height()), (24 * 32, 24 * 32));
    browser.set("scale", "width").await;
    browser.set("width", "1920").await;
    browser.drop_file("wide.png", &file).await;
    browser.finished().await;
    assert!(
        browser
            .text("error")
            .await
            .contains("wide.png: an image 24 pixels wide")
    );
    let squares = "const button = [...document.querySelectorAll('#list .failed .actions button')].find(({ hidden, textContent }) => !hidden && textContent === 'Keep its pixels');
        button.click();";
    browser.run(squares, vec![]).await;
    browser
        .wait_for("document.getElementById('summary').textContent.startsWith('1920 × 1920')")
        .await;
    assert_eq!(browser.text("error").await, "");

    // Or as large as the network makes it, in one click.
    browser.drop_file("most.png", &file).await;
    browser.finished().await;
    let largest = "const row = [...document.querySelectorAll('#list .failed')].find((each) => each.querySelector('.name').textContent === 'most.png');
        const button = [...row.querySelectorAll('.actions button')].find(({ hidden, textContent }) => !hidden && textContent === 'Enlarge to 192 pixels wide');
        button.click();";
    browser.run(largest, vec![]).await;
    browser.finished().await;
    browser
        .wait_for("document.getElementById('summary').textContent.startsWith('192 × 192')")
        .await;
    browser.close().await;
}

/// Controls of what a screen reader speaks that have no name.
fn unnamed(lines: &[String]) -> Vec<&String> {
    let controls = [
        "button",
        "link",
        "radio",
        "checkbox",
        "slider",
        "combobox",
        "spinbutton",
        "textbox",
        "listbox",
        "DisclosureTriangle",
        "region",
        "progressbar",
        "image",
    ];
    let is = |line: &&String| controls.iter().any(|role| line.trim_end() == format!("{role}:"));
    lines.iter().filter(is).collect()
}

fn assert_in_order(lines: &[String], wanted: &[&str]) {
    let mut rest = lines.iter();
    for each in wanted {
        assert!(
            rest.any(|line| line.starts_with(each)),
            "{each} is not behind the others in {lines:#?}"
        );
    }
}

/// What a screen reader speaks of the page is in the order of what is done with it, and every control has a name.
#[tokio::test]
async fn it_is_spoken_in_order() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.screen(1280, 900).await;
    browser.set("language", "en").await;
    let empty = browser.spoken().await;
    assert!(unnamed(&empty).is_empty(), "{empty:#?}");
    assert_in_order(
        &empty,
        &[
            "heading: ASASR",
            "StaticText: Enlarge photos",
            "combobox: Language = English",
            "main:",
            "region: Choose photos",
            "button: Choose photos",
            "button: Choose a folder",
            "button: Try it with a kitten",
            "group: Comparison of kitten.webp",
            "slider: Divider between the original and the result = 50",
            "StaticText: A photo of",
            "StaticText: PNG, JPEG",
            "DisclosureTriangle: Settings",
            "contentinfo:",
            "StaticText: Runs on: CPU",
        ],
    );
    browser.set("mode", "fast").await;
    browser
        .drop_files(&[("photo.png", &drawn(40, 30)), ("note.txt", b"text")])
        .await;
    browser.finished().await;
    let done = browser.spoken().await;
    assert!(unnamed(&done).is_empty(), "{done:#?}");
    assert_in_order(
        &done,
        &[
            "button: Choose photos",
            "DisclosureTriangle: Settings",
            "alert:",
            "StaticText: note.txt: this is not an image",
            "region: Result",
            "heading: Result",
            "group: Comparison of photo.png",
            "slider: Divider",
            "radio: Faithful",
            "radio: More detail",
            "combobox: Save as = PNG",
            "link: Download",
            "radio: Slider",
            "radio: Side by side",
            "combobox: with = Original",
            "button: Zoom out",
            "button: Zoom in",
            "StaticText: 160 × 120 pixels in",
            "slider: Detail",
            "checkbox: Where it departs from the photo",
            "checkbox: What is invented",
            "DisclosureTriangle: Numbers",
            "region: Photos",
            "heading: Photos",
            "button: photo.png",
            "link: Download photo.png",
            "button: Enlarge photo.png again",
            "button: Remove photo.png",
            "StaticText: failed: this is not an image",
            "button: Try note.txt again",
            "button: Remove note.txt",
            "contentinfo:",
        ],
    );
    // Pictures of letters are for eyes.
    assert!(
        !done.iter().any(|line| line.contains(['⇔', '▾', '▴'])),
        "{done:#?}"
    );

    browser.close().await;
}

/// What happens is said by itself: beginnings, ends and failures, and each quarter of what takes long.
#[tokio::test]
async fn what_happens_is_spoken() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.set("language", "en").await;
    let listen = "globalThis.said = [];
        for (const line of document.querySelectorAll('[role=status], [role=alert]')) {
          new MutationObserver(() => { if (!line.hidden && line.textContent) said.push(`${line.role}: ${line.textContent}`); })
            .observe(line, { childList: true, characterData: true, subtree: true, attributes: true });
        }";
    browser.run(listen, vec![]).await;
    browser
        .drop_files(&[
            ("a.png", &drawn(8, 6)),
            ("b.txt", b"text"),
            ("long.png", &drawn(1200, 900)),
        ])
        .await;
    browser
        .wait_for("said.some((line) => line.includes('left'))")
        .await;
    let said = browser.run("return [...new Set(said)];", vec![]).await;
    let said: Vec<String> = serde_json::from_value(said).unwrap();
    let all = said.join(" ");
    let mut rest = all.as_str();
    for each in [
        "Enlarging a.png",
        "a.png is done",
        "Enlarging b.txt",
        "b.txt failed: this is not an image",
        "Enlarging long.png",
        "status: long.png: 25 %, about",
    ] {
        let found = rest.split_once(each);
        rest = found
            .unwrap_or_else(|| panic!("{each} is not behind the others in {said:#?}"))
            .1;
    }
    assert!(
        said.iter()
            .any(|line| line.starts_with("alert: b.txt: this is not")),
        "{said:?}"
    );
    browser.clear().await;
    browser.close().await;
}

/// The whole way by the keyboard alone: a photo is chosen, its result compared, drawn with more detail, and saved.
#[tokio::test]
async fn all_is_done_by_the_keyboard() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.set("language", "en").await;
    let focused = "const at = document.activeElement;
        return at === document.body ? 'body' : at.id || at.className || at.tagName.toLowerCase();";
    // On by the tabulator until `wanted` has the focus.
    let reach = async |wanted: &str| {
        let mut passed = Vec::new();
        while passed.len() < 40 {
            browser.keys(TAB).await;
            let at = browser.run(focused, vec![]).await;
            if at == wanted {
                return;
            }
            passed.push(at);
        }
        panic!("{wanted} is not reached: {passed:?}");
    };
    let asked = "document.getElementById('file').addEventListener('click', (event) => {
          document.body.dataset.asked = 'yes';
          event.preventDefault();
        });";
    browser.run(asked, vec![]).await;
    reach("choose").await;
    browser.keys(ENTER).await;
    browser.wait_for("document.body.dataset.asked === 'yes'").await;
    // The system's own dialog.
    let folder = tempfile::tempdir().unwrap();
    let photo = folder.path().join("photo.png");
    fs::write(&photo, drawn(40, 30)).unwrap();
    browser.choose("file", &[photo]).await;
    browser.finished().await;
    assert_eq!(browser.run(focused, vec![]).await, "stage");
    let view = "return getComputedStyle(document.getElementById('after')).transform;";
    let whole = browser.run(view, vec![]).await;
    browser.keys("++").await;
    browser.keys(RIGHT).await;
    assert_ne!(browser.run(view, vec![]).await, whole);
    browser.keys("0").await;
    assert_eq!(browser.run(view, vec![]).await, whole);
    reach("divider").await;
    browser.keys(&format!("{LEFT}{LEFT}")).await;
    let split = "return document.querySelector('#viewer .divider').getAttribute('aria-valuenow');";
    assert_eq!(browser.run(split, vec![]).await, "40");
    reach("faithful").await;
    browser.keys(RIGHT).await;
    browser
        .wait_for("document.querySelectorAll('#list .done').length === 2")
        .await;
    assert!(browser.text("summary").await.ends_with("More detail"));
    reach("fidelity").await;
    browser.keys(HOME).await;
    browser.keys(RIGHT).await;
    browser.blended().await;
    let spoken = "return document.getElementById('fidelity').getAttribute('aria-valuetext');";
    assert_eq!(browser.run(spoken, vec![]).await, "99 %");
    browser
        .run("document.querySelector('#viewer .stage').focus();", vec![])
        .await;
    reach("download").await;
    browser.keys(ENTER).await;
    let saved = decode(&browser.arrived("photo-x4-fast-f1.png").await, 1 << 20).unwrap();
    assert_eq!((saved.width(), saved.height()), (160, 120));
    // Nothing holds the focus: from there on it comes to the end of the page.
    reach("body").await;
    assert_eq!(browser.text("error").await, "");
    browser.close().await;
}

/// What is too large fails before its turn, and what is too large to be shown is told before it is made; its file is whole.
#[tokio::test]
async fn limits_are_told_before() {
    let server = Server::start();
    let browser = Browser::start().await;
    // So little memory that the browser shows 16,384 pixels.
    browser
        .before("Object.defineProperty(navigator, 'deviceMemory', { value: 2 ** -11 });")
        .await;
    browser
        .open(&format!("{}?device=cpu&lang=en", server.url()))
        .await;
    let state = async |n: usize| {
        let script = "const row = document.querySelectorAll('#list li')[args[0]];
            return `${row.className}: ${row.querySelector('.state').textContent}`;";
        let told = browser.run(script, vec![n.into()]).await;
        told.as_str().unwrap().to_owned()
    };
    let settled = "const rows = [...document.querySelectorAll('#list li')];
        return rows[0].textContent.includes('left; the result') && rows.slice(1).every((row) => row.querySelector('img').naturalWidth > 0);";
    browser
        .drop_files(&[
            ("first.png", &drawn(1200, 900)),
            ("large.avif", include_bytes!("files/large.avif")),
            ("seen.png", &drawn(60, 40)),
            ("small.png", &drawn(20, 16)),
        ])
        .await;
    browser.wait_for(&format!("(() => {{ {settled} }})()")).await;
    assert!(
        state(0)
            .await
            .ends_with("17 megapixels: it is saved whole, and seen here reduced")
    );
    let told = state(1).await;
    assert!(
        told.starts_with("failed:") && told.contains("9000x8000") && told.contains("at most 64"),
        "{told}"
    );
    let told = state(2).await;
    assert!(
        told.starts_with("waiting: ") && told.ends_with("seen here reduced"),
        "{told}"
    );
    let told = state(3).await;
    assert!(
        told.starts_with("waiting: ") && !told.contains("reduced"),
        "{told}"
    );
    // What two passes would hold is more than there is.
    browser.set("scale", "8").await;
    browser.drop_files(&[("twice.png", &drawn(2400, 2400))]).await;
    browser
        .wait_for("document.querySelector('#list li:last-child').className === 'failed'")
        .await;
    assert!(state(4).await.contains("choose a smaller size"));
    assert!(state(0).await.starts_with("running"));

    browser.clear().await;
    browser.set("scale", "4").await;
    browser.set("mode", "fast").await;
    browser.set("format", "jpeg").await;
    browser.drop_files(&[("seen.png", &drawn(60, 40))]).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    let notes = browser.text("notes").await;
    assert!(
        notes.contains("the file is whole") && notes.contains("saved as PNG"),
        "{notes}"
    );
    let (shown, saved) = (
        "document.getElementById('after')",
        "document.getElementById('download')",
    );
    let script = format!(
        "await {shown}.decode(); return [{shown}.naturalWidth, {shown}.src === {saved}.href].join();"
    );
    assert_eq!(browser.run(&script, vec![]).await, "240,false");
    let saved = decode(&browser.download("seen-x4-fast.png").await, 1 << 20).unwrap();
    assert_eq!((saved.width(), saved.height()), (240, 160));
    // Of two such versions there is one at a time.
    let checked = "return document.getElementById('detailed').checked;";
    assert_eq!(browser.run(checked, vec![]).await, true);
    browser.click("#faithful").await;
    browser
        .wait_for("document.querySelectorAll('#list .done').length === 2")
        .await;
    assert_eq!(browser.run(checked, vec![]).await, false);
    browser.close().await;
}

/// Where the browser can install the page, it says what for, and does it when it is asked to.
#[tokio::test]
async fn the_page_offers_to_be_installed() {
    let server = Server::start();
    let browser = opened(&server).await;
    // The browser may offer it at any time: only this offer counts.
    let offered =
        "addEventListener('beforeinstallprompt', (e) => e.isTrusted && e.stopImmediatePropagation(), true);
        const event = new Event('beforeinstallprompt', { cancelable: true });
        event.prompt = () => { document.body.dataset.prompted = 'yes'; };
        dispatchEvent(event);
        return event.defaultPrevented;";
    assert_eq!(browser.run(offered, vec![]).await, true);
    assert!(browser.text("install").await.starts_with("Install as an app"));
    browser.click("#install button").await;
    browser
        .wait_for("document.body.dataset.prompted === 'yes' && document.getElementById('install').hidden")
        .await;
    browser.close().await;
}

/// A piece of a large photo comes first when it is asked for, and then the whole.
#[tokio::test]
async fn a_piece_is_tried_before_the_whole() {
    let server = Server::start();
    let browser = opened(&server).await;
    browser.drop_file("large.png", &drawn(800, 700)).await;
    let part = "[...document.querySelectorAll('#list .actions button')].find((b) => b.textContent === 'Try a part' && !b.hidden)";
    browser.wait_for(&format!("Boolean({part})")).await;
    browser.run(&format!("{part}.click();"), vec![]).await;
    browser
        .wait_for("document.querySelectorAll('#list .done, #list .failed').length === 1")
        .await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("1024 × 1024"));
    assert!(
        browser
            .text("whole")
            .await
            .contains("Enlarge the whole photo, about")
    );
    let states = "return [...document.querySelectorAll('#list li')].map((row) => `${row.querySelector('.name').title} ${row.className}`).join();";
    assert_eq!(
        browser.run(states, vec![]).await,
        "large (part).png done,large.png cancelled"
    );
    browser.click("#whole").await;
    browser
        .wait_for("document.querySelectorAll('#list .done, #list .failed').length === 2")
        .await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("3200 × 2800"));
    assert_eq!(browser.text("whole").await, "");
    browser.close().await;
}

/// What was chosen is chosen the next time, as far as it is on offer.
#[tokio::test]
async fn choices_are_remembered() {
    let server = Server::start();
    let browser = opened(&server).await;
    for (id, value) in [
        ("model", "asasr-x4-clean"),
        ("format", "webp"),
        ("scale", "2"),
        ("mode", "fast"),
    ] {
        browser.set(id, value).await;
    }
    browser
        .run("document.getElementById('carry').click();", vec![])
        .await;
    browser.reload().await;
    let chosen = "const of = (id) => document.getElementById(id);
        return [...['model', 'format', 'scale', 'mode'].map((id) => of(id).value), of('carry').checked, of('quality-choice').hidden].join();";
    assert_eq!(
        browser.run(chosen, vec![]).await,
        "asasr-x4-clean,webp,2,fast,false,false"
    );
    // What is kept may be of another version.
    let other = "localStorage.setItem('asasr-choices', JSON.stringify({ model: 'gone', scale: '5', format: 7, mode: null }));";
    browser.run(other, vec![]).await;
    browser.reload().await;
    assert_eq!(
        browser.run(chosen, vec![]).await,
        "asasr-x4-real,png,4,instant,true,true"
    );
    browser.close().await;
}

/// Whatever modules and scripts may say, an error or a note, has a text in each language, with the same places; and nothing else has.
#[tokio::test]
async fn every_code_has_its_texts_and_every_text_its_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let scripts = fs::read_dir(root.join("www")).unwrap().map(|e| e.unwrap().path());
    let sources: Vec<String> = scripts
        .filter(|p| p.extension().is_some_and(|e| e == "js"))
        .map(|p| fs::read_to_string(p).unwrap())
        .collect();
    let server = Server::start();
    let browser = opened(&server).await;
    let told = browser.run(include_str!("said.js"), vec![sources.into()]).await;
    let of_scripts = told["codes"].as_array().unwrap().iter().filter_map(Value::as_str);
    assert!(of_scripts.clone().count() > 30, "{}", told["codes"]);
    let of_modules = asasr_core::Error::CODES
        .into_iter()
        .chain(asasr_codec::codes())
        .chain(asasr_interchange::Error::CODES);
    let mut codes: BTreeSet<String> = of_modules.map(String::from).collect();
    codes.extend(of_scripts.map(String::from));
    let places = |text: &Value| -> BTreeSet<String> {
        let parts = text.as_str().unwrap().split('{').skip(1);
        parts.map(|p| p.split('}').next().unwrap().to_owned()).collect()
    };
    for language in ["english", "german"] {
        let texts = told[language].as_object().unwrap();
        let known: BTreeSet<String> = texts.keys().cloned().collect();
        let lacking: Vec<_> = codes.difference(&known).collect();
        let idle: Vec<_> = known.difference(&codes).collect();
        assert!(
            lacking.is_empty() && idle.is_empty(),
            "{language} lacks {lacking:?} and has {idle:?} in vain"
        );
        for (code, text) in texts {
            assert_eq!(places(text), places(&told["english"][code]), "{language}: {code}");
        }
    }
    browser.close().await;
}

/// No fault that axe finds, empty, busy with results, in both colour schemes and on a phone; and nothing wider than the phone.
#[tokio::test]
async fn it_is_accessible() {
    let axe = fs::read_to_string(env::var("ASASR_AXE").expect("run `cargo xtask test`")).unwrap();
    let server = Server::start();
    let browser = Browser::start().await;
    // The page's policy refuses scripts from elsewhere, so the check itself comes by the driver.
    let check = format!(
        "{axe}; const {{ violations }} = await axe.run(document, {{ resultTypes: ['violations'] }});
         return violations.flatMap((v) => v.nodes.map((n) => v.id + ': ' + n.target + ' ' + n.failureSummary));"
    );
    for scheme in ["light", "dark"] {
        browser
            .open(&format!("{}?device=cpu&lang=en", server.url()))
            .await;
        let colours = format!("document.documentElement.style.colorScheme = '{scheme}';");
        browser.run(&colours, vec![]).await;
        browser.resize(1200, 1000).await;
        assert_eq!(
            browser.run(&check, vec![]).await,
            Value::Array(vec![]),
            "{scheme}, empty"
        );
        browser
            .drop_files(&[
                ("a.png", &drawn(60, 40)),
                ("b.png", &drawn(8, 8)),
                ("c.txt", b"text"),
            ])
            .await;
        browser.finished().await;
        assert_eq!(
            browser.run(&check, vec![]).await,
            Value::Array(vec![]),
            "{scheme}, done"
        );
        browser.clear().await;
        browser.set("mode", "fast").await;
        browser.drop_files(&[("a.png", &drawn(20, 16))]).await;
        browser.finished().await;
        browser.measured().await;
        browser.click("#show-spread").await;
        browser.set("language", "de").await;
        assert_eq!(
            browser.run(&check, vec![]).await,
            Value::Array(vec![]),
            "{scheme}, drawn, in German"
        );
        browser.resize(500, 900).await;
        let narrow = "document.body.style.width = '360px'; document.body.style.padding = '0 16px';
                      return document.body.scrollWidth;";
        assert_eq!(browser.run(narrow, vec![]).await, 360, "{scheme}");
        assert_eq!(
            browser.run(&check, vec![]).await,
            Value::Array(vec![]),
            "{scheme}, phone"
        );
    }
    browser.close().await;
}

/// Without a network the page opens and works; with a newer build on the server it stays itself until it is asked.
#[tokio::test]
async fn it_works_offline_and_builds_never_mix() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(Path::new(&env::var_os("ASASR_PAGE").unwrap()), folder.path());
    let server = Server::with_page(folder.path());
    let browser = opened(&server).await;
    browser.wait_for("document.body.dataset.offline === 'yes'").await;

    // Another program shares a photo: the system sends it to the page, which takes it once.
    let share = "const form = new FormData();
                 const photo = await new Promise((done) => {
                   const canvas = Object.assign(document.createElement('canvas'), { width: 6, height: 4 });
                   canvas.getContext('2d');
                   canvas.toBlob(done);
                 });
                 form.append('photos', new File([photo], 'aus dem Zug.png', { type: 'image/png' }));
                 const { redirected, url } = await fetch('share', { method: 'POST', body: form });
                 return redirected && new URL(url).pathname;";
    assert_eq!(browser.run(share, vec![]).await, "/");
    browser.reload().await;
    browser.finished().await;
    let name = "return [...document.querySelectorAll('#list .name')].map((each) => each.textContent).join();";
    assert_eq!(browser.run(name, vec![]).await, "aus dem Zug.png");
    browser.reload().await;
    assert_eq!(browser.run(name, vec![]).await, "");

    // A newer build: another text and style, and the list of files that belong together.
    let change = |name: &str, from: &str, to: &str| {
        let path = folder.path().join(name);
        let old = fs::read_to_string(&path).unwrap();
        assert!(old.contains(from), "{name} has {from}");
        let new = old.replace(from, to);
        fs::write(&path, &new).unwrap();
        for ending in ["br", "zst", "gz"] {
            let _ = fs::remove_file(folder.path().join(format!("{name}.{ending}")));
        }
        server.read_again(name, new.as_bytes());
        let hash = |text: &str| asasr_core::model::sha256_hex(text.as_bytes());
        (hash(&old), hash(&old.replace(from, to)))
    };
    let texts = change("texts.js", "\"Choose photos\"", "\"Pick photos\"");
    browser.reload().await;
    assert_eq!(
        browser.text("choose").await,
        "Choose photos",
        "the build that is there"
    );
    let style = change("style.css", "68rem", "69rem");
    for (old, new) in [texts, style] {
        change("service-worker.js", &old, &new);
    }
    let script = fs::read_to_string(folder.path().join("service-worker.js")).unwrap();
    let version = script.split("\"version\":\"").nth(1).unwrap()[..16].to_owned();
    change("service-worker.js", &version, "0123456789abcdef");
    browser.reload().await;
    assert_eq!(
        browser.text("choose").await,
        "Choose photos",
        "not before it is asked for"
    );
    browser.wait_for("document.body.dataset.update === 'yes'").await;
    browser.click("#offline button").await;
    browser
        .wait_for("document.getElementById('choose')?.textContent === 'Pick photos'")
        .await;
    browser.wait_for("document.body.dataset.offline === 'yes'").await;
    let kept = "return (await caches.keys()).filter((name) => name.startsWith('asasr-page')).join();";
    assert_eq!(browser.run(kept, vec![]).await, "asasr-page-0123456789abcdef");

    let url = server.url().to_owned();
    drop(server);
    let gone = "return fetch(args[0] + 'healthz').then(() => 'there', () => 'gone');";
    assert_eq!(browser.run(gone, vec![url.into()]).await, "gone");
    browser.reload().await;
    browser.drop_file("photo.png", &drawn(6, 4)).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("24 × 16"));
    // Flows and the other model are there too.
    for (model, mode) in [("asasr-x4-real", "fast"), ("asasr-x4-clean", "instant")] {
        browser.set("model", model).await;
        browser.set("mode", mode).await;
        browser.drop_file("photo.png", &drawn(6, 4)).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{model} {mode}");
    }
    browser.close().await;
}

/// Draws the page's main states into docs/images: `cargo xtask pictures`; with `ASASR_MODEL`, a community's file, its result too.
#[tokio::test]
#[ignore = "draws pictures, to be looked at"]
async fn pictures_of_the_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let cat = fs::read(root.join("docs/images/cat-small.png")).unwrap();
    let server = Server::start();
    let browser = Browser::start().await;
    let schemes = [
        ("light", "light", 1200, 1330),
        ("dark", "dark", 1200, 1330),
        ("phone", "light", 500, 1250),
    ];
    for (name, scheme, width, height) in schemes {
        let save = |state: &str, picture: Vec<u8>| {
            fs::write(
                root.join(format!("docs/images/page-{name}-{state}.webp")),
                picture,
            )
            .unwrap();
        };
        browser.open(&format!("{}?device=cpu", server.url())).await;
        let colours = format!("document.documentElement.style.colorScheme = '{scheme}';");
        browser.run(&colours, vec![]).await;
        browser.resize(width, height).await;
        save("empty", browser.photograph().await);
        browser
            .drop_files(&[
                ("cat.png", &cat),
                ("flower.png", &drawn(60, 60)),
                ("notes.txt", b"text"),
            ])
            .await;
        browser.finished().await;
        browser.press("#viewer .stage", "0").await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        save("error", browser.photograph().await);
        browser
            .click("#list li:last-child .actions button:last-child")
            .await;
        browser
            .run("document.getElementById('error').hidden = true;", vec![])
            .await;
        save("done", browser.photograph().await);
        browser.clear().await;
        browser.set("mode", "fast").await;
        browser.drop_files(&[("cat.png", &cat)]).await;
        browser.finished().await;
        browser.measured().await;
        browser.click("#show-spread").await;
        browser.set("fidelity", "30").await;
        browser.blended().await;
        save("trust", browser.photograph().await);
        browser.set("mode", "instant").await;
        browser.drop_files(&[("large.png", &drawn(1200, 900))]).await;
        browser
            .wait_for("document.querySelector('#list .running progress')?.value > 0.2")
            .await;
        save("running", browser.photograph().await);
        browser.clear().await;
        // A model of others, where one is given: none is part of the repository.
        if let Some(model) = env::var_os("ASASR_MODEL") {
            browser.choose("model-file", &[model.into()]).await;
            browser
                .wait_for("document.getElementById('model').value.startsWith('own:')")
                .await;
            browser.drop_files(&[("cat.png", &cat)]).await;
            browser.finished().await;
            browser.press("#viewer .stage", "0").await;
            let shown = "const box = document.getElementById('show-spread'); if (!box.checked) box.click();";
            browser.run(shown, vec![]).await;
            save("model", browser.photograph().await);
            let open = "document.getElementById('settings').open = true;";
            browser.run(open, vec![]).await;
            browser.click("#drop-model").await;
            browser.clear().await;
        }
    }
    browser.close().await;
}
