//! The real server, the real page, a real browser: an image goes in, an image four times larger comes out, and it is
//! the one that the native CPU executor makes.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use asasr_codec::decode;
use asasr_tests::{Browser, Server, Site, copy_folder, drawn, enlarged_natively};
use asasr_weights::DEFAULT;
use serde_json::Value;

/// Two tiles wide, so that planning, halo and blending take part.
const SIZE: (usize, usize) = (150, 24);

async fn end_to_end(device: &str, shown: &str) {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device={device}", server.url())).await;
    let where_it_runs = browser.text("device").await;
    assert!(
        where_it_runs.contains(shown),
        "{where_it_runs} {}",
        browser.text("error").await
    );

    let image = drawn(SIZE.0, SIZE.1);
    browser.drop_file("drawn.png", &image).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("600 × 96"));

    let got = decode(&browser.download("drawn-x4.png").await, 1 << 20).unwrap();
    let expected = enlarged_natively(DEFAULT, &image);
    assert_eq!(
        (got.width(), got.height(), got.layout()),
        (600, 96, expected.layout())
    );
    let (got, expected) = (got.all_planes(), expected.all_planes());
    let worst = got
        .data()
        .iter()
        .zip(expected.data())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    println!(
        "{device}: largest difference to the native CPU {:.2}/255",
        worst * 255.0
    );
    assert!(worst <= 2.0 / 255.0 + 1e-6, "differs by {:.2}/255", worst * 255.0);

    // Nothing can leave this origin: the policy that holds page and worker refuses it.
    let script = "const refused = new Promise((r) => addEventListener('securitypolicyviolation', (e) => r(e.effectiveDirective)));
                  fetch('http://127.0.0.2:9/').catch(() => {});
                  return refused;";
    assert_eq!(browser.run(script, vec![]).await, "connect-src");
    browser.close().await;
}

#[tokio::test]
async fn webgpu_makes_the_native_image() {
    end_to_end("webgpu", "WebGPU").await;
}

#[tokio::test]
async fn the_cpu_makes_the_native_image() {
    end_to_end("cpu", "CPU").await;
}

#[tokio::test]
async fn a_software_adapter_is_passed_over() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(server.url()).await;
    let where_it_runs = browser.text("device").await;
    assert!(
        where_it_runs.contains("CPU") && where_it_runs.contains("in software"),
        "{where_it_runs}"
    );
    browser.close().await;
}

/// The browser's own log of its network, of pages and workers alike, over a session that uses everything: one origin, and nothing
/// but reading.
#[tokio::test]
async fn no_request_leaves_the_origin() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("network.json");
    let browser = Browser::logged(&log).await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser.set("mode", "fast").await;
    browser.drop_file("photo.png", &drawn(20, 12)).await;
    browser.finished().await;
    browser.set("fidelity", "50").await;
    browser.blended().await;
    browser.set("format", "jpeg").await;
    browser.set("model", "asasr-x4-clean").await;
    browser.set("mode", "instant").await;
    browser.drop_file("photo.png", &drawn(20, 12)).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    browser.wait_for("document.body.dataset.offline === 'yes'").await;
    browser.close().await;

    let log: Value = serde_json::from_str(&fs::read_to_string(log).unwrap()).unwrap();
    let asked = log["events"].as_array().unwrap().iter().map(|e| &e["params"]);
    // What the browser asks for itself has no page for its origin.
    let by_pages = asked.filter(|p| p["initiator"].as_str().is_some_and(|i| i.starts_with("http")));
    let mut seen = Vec::new();
    for request in by_pages {
        let (url, method) = (&request["url"].as_str().unwrap(), &request["method"]);
        assert!(url.starts_with(server.url()) && method == "GET", "{method} {url}");
        seen.push(url.trim_start_matches(server.url()).to_owned());
    }
    for part in [
        "page.js",
        "worker.js",
        "asasr-cpu_bg.wasm",
        "v1/models/asasr-x4-real/one-step.safetensors",
        "v1/models/asasr-x4-clean/",
    ] {
        assert!(seen.iter().any(|r| r.starts_with(part)), "{part} is in {seen:?}");
    }
}

/// One clear sentence for each; the page goes on working.
#[tokio::test]
async fn bad_files_are_named_and_do_no_harm() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    let image = drawn(40, 30);
    let jpeg = include_bytes!("../codec/tests/cmyk.jpg");
    let claims = include_bytes!("../codec/tests/claims-60000.png");
    let cases: [(&str, &[u8], &str); 5] = [
        ("note.txt", b"this is text", "not an image"),
        ("empty.png", b"", "empty"),
        ("cut.png", &image[..image.len() / 2], "cut short"),
        ("cut.jpg", &jpeg[..jpeg.len() - 8], "cut short"),
        ("huge.png", claims, "60000x60000"),
    ];
    for (name, bytes, expected) in cases {
        browser.drop_file(name, bytes).await;
        browser.finished().await;
        let error = browser.text("error").await;
        assert!(
            error.contains(name) && error.contains(expected),
            "{name}: {error}"
        );
    }
    // Small, grey, turned, converted and animated ones are images all the same.
    let cases: [(&str, &[u8], &str, &str); 4] = [
        ("dot.png", &drawn(1, 1), "4 × 4", ""),
        ("cmyk.jpg", jpeg, "32 × 32", "CMYK"),
        (
            "animated.gif",
            include_bytes!("../codec/tests/animated.gif"),
            "32 × 32",
            "first frame",
        ),
        (
            "rotated.jpg",
            include_bytes!("../codec/tests/rotated.jpg"),
            "16 × 24",
            "",
        ),
    ];
    for (name, bytes, size, note) in cases {
        browser.drop_file(name, bytes).await;
        browser.finished().await;
        assert_eq!(browser.text("error").await, "", "{name}");
        assert!(browser.text("summary").await.contains(size), "{name}");
        assert!(browser.text("notes").await.contains(note), "{name}");
    }
    browser.close().await;
}

/// The page checks what it received: other bytes under the same name are refused.
#[tokio::test]
async fn damaged_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(Path::new(&std::env::var_os("ASASR_PAGE").unwrap()), folder.path());
    let shipped = DEFAULT;
    let text = String::from_utf8(shipped.manifest.to_vec()).unwrap();
    let hash = asasr_core::model::sha256_hex(shipped.weights);
    let models: [(&str, String, &[u8], &str); 3] = [
        ("short", text.clone(), &shipped.weights[..1000], "sha256"),
        (
            "wrong",
            text.replace(&hash, &"0".repeat(64)),
            shipped.weights,
            "sha256",
        ),
        (
            "broken",
            text[..text.len() / 2].to_owned(),
            shipped.weights,
            "manifest",
        ),
    ];
    for (name, manifest, weights, _) in &models {
        let model = folder.path().join(name);
        fs::create_dir(&model).unwrap();
        fs::write(model.join("manifest.json"), manifest).unwrap();
        fs::write(model.join("restorer.safetensors"), weights).unwrap();
    }
    let server = Server::with_page(folder.path());
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    for (name, _, _, expected) in &models {
        let script = "const { Upscaler } = await import('./upscaler.js');
                      const upscaler = new Upscaler({ device: 'cpu', model: args[0] + '/' });
                      return upscaler.ready.then(() => 'opened', (e) => e.message);";
        let message = browser.run(script, vec![(*name).into()]).await;
        assert!(message.as_str().unwrap().contains(expected), "{name}: {message}");
    }
    // The flow's weights are checked too, when a mode asks for them.
    let models = folder.path().join("v1/models");
    let flow = models.join("asasr-x4-clean/flow.safetensors");
    let mut bytes = fs::read(&flow).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&flow, bytes).unwrap();
    // The server itself would refuse to serve it.
    let tampered = Site::start(folder.path()).await;
    browser
        .open(&format!("{}?device=cpu&model=asasr-x4-clean", tampered.url()))
        .await;
    let script = "const { Upscaler } = await import('./upscaler.js');
                  const upscaler = await Upscaler.load({ device: 'cpu', model: args[0] + 'v1/models/asasr-x4-clean/' });
                  const canvas = new OffscreenCanvas(4, 4);
                  canvas.getContext('2d').fillRect(0, 0, 4, 4);
                  const blob = await canvas.convertToBlob();
                  return upscaler.upscale(blob, { mode: 'fast' }).then(() => 'made', (e) => e.message);";
    let message = browser.run(script, vec![tampered.url().into()]).await;
    let message = message.as_str().unwrap();
    assert!(
        message.contains("flow.safetensors") && message.contains("sha256"),
        "{message}"
    );
    browser.close().await;
}

/// A model of one's own, as training leaves it, with a flow beside the restorer: the page takes it by its name.
#[tokio::test]
async fn a_trained_model_with_a_flow_is_taken() {
    use asasr_core::flow::{Sampling, Source};
    use asasr_core::graph::nets;
    use asasr_core::model::{Dtype, Manifest, NetworkPart, Role, VelocityArchitecture, sha256_hex};

    let shipped = DEFAULT;
    let mut manifest = Manifest::from_json(shipped.manifest).unwrap();
    let architecture = VelocityArchitecture::conv(4, 8, 1);
    let flow = asasr_core::nn::init_velocity(&architecture, 1)
        .to_safetensors(Dtype::F16)
        .unwrap();
    manifest.id = "my-own".into();
    let graph = nets::velocity(&architecture).unwrap().check().unwrap();
    let field = NetworkPart {
        bytes: flow.len(),
        sha256: sha256_hex(&flow),
        sampling: Some(Sampling {
            source: Source::PosteriorMean { sigma: 0.1 },
            s: 1.5,
            steps: 28,
            colour_anchor: None,
        }),
        ..NetworkPart::new("flow.safetensors", graph)
    };
    manifest.networks.retain(|role, _| *role == Role::Restorer);
    manifest.networks.insert(Role::Field, field);
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("my-own");
    fs::create_dir(&model).unwrap();
    fs::write(model.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    let file = &manifest.restorer().unwrap().file;
    fs::write(model.join(file), shipped.weights).unwrap();
    fs::write(model.join("flow.safetensors"), flow).unwrap();
    let server = Server::with_models(folder.path()).await;
    let browser = Browser::start().await;
    browser
        .open(&format!("{}?device=cpu&model=my-own", server.url()))
        .await;
    browser.drop_file("dot.png", &drawn(3, 2)).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("12 × 8"));
    let none = "no model's name";
    for (name, expected) in [
        ("absent", "404"),
        ("../x", none),
        ("..", none),
        (".", none),
        ("...", none),
        ("%2e%2e", none),
        ("..%2f..", none),
        ("%2e%2e%2fasasr-x4-clean", none),
        (".hidden", none),
        ("manifest.json", none),
        ("a%0a", none),
        ("a%5cb", none),
        ("//other.example/m", none),
        ("", none),
    ] {
        let address = format!("{}?device=cpu&model={name}", server.url());
        browser.open(&address).await;
        let error = browser.text("error").await;
        assert!(error.contains(expected), "{name}: {error}");
    }
    browser.close().await;
}

/// A page with a public key uses what that key signed, and nothing else; so does a script's upscaler.
#[tokio::test]
async fn only_signed_models_are_used_where_a_key_is_trusted() {
    use asasr_store::{MANIFEST, SIGNATURE, SigningKey};

    let (key, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    let model = models.join("asasr-x4-real");
    let shipped = DEFAULT;
    fs::create_dir_all(&model).unwrap();
    fs::write(model.join(MANIFEST), shipped.manifest).unwrap();
    fs::write(model.join(SIGNATURE), key.sign(shipped.manifest).to_string()).unwrap();
    fs::write(model.join("restorer.safetensors"), shipped.weights).unwrap();
    for (name, bytes) in shipped.samplers {
        fs::write(model.join(name), bytes).unwrap();
    }
    let line = |key: &SigningKey| -> String {
        let pem = key.public().to_pem().unwrap();
        pem.lines().filter(|l| !l.starts_with('-')).collect()
    };
    let browser = Browser::start().await;
    for (trusted, error) in [(&key, None), (&stranger, Some("not signed by the one"))] {
        let page = folder.path().join(if error.is_none() { "own" } else { "other" });
        copy_folder(Path::new(&std::env::var_os("ASASR_PAGE").unwrap()), &page);
        let index = fs::read_to_string(page.join("index.html")).unwrap();
        let empty = "<meta name=\"asasr-public-key\" content=\"\">";
        assert!(index.contains(empty));
        let filled = empty.replace("content=\"\"", &format!("content=\"{}\"", line(trusted)));
        fs::write(page.join("index.html"), index.replace(empty, &filled)).unwrap();
        for copy in ["index.html.br", "index.html.zst", "index.html.gz"] {
            let _ = fs::remove_file(page.join(copy));
        }
        let server = Server::with_page_and_models(&page, &models).await;
        browser.open(&format!("{}?device=cpu", server.url())).await;
        if let Some(error) = error {
            let told = browser.text("error").await;
            assert!(told.contains(error), "{told}");
        } else {
            browser.drop_file("dot.png", &drawn(3, 2)).await;
            browser.finished().await;
            assert_eq!(browser.text("error").await, "");
        }
        let script = "const { Upscaler } = await import('./upscaler.js');
                      return Upscaler.load({ device: 'cpu', publicKey: args[0] }).then(() => 'opened', (e) => e.message);";
        for (given, expected) in [
            (line(&key), "opened"),
            (key.public().to_pem().unwrap(), "opened"),
            (line(&stranger), "not signed by the one"),
            ("nonsense".into(), "no ed25519 key"),
        ] {
            let told = browser.run(script, vec![given.into()]).await;
            assert!(told.as_str().unwrap().contains(expected), "{told}");
        }
        // Signed, and another model than its folder's name says: a plain host serves whatever lies there.
        for name in ["asasr-x4-real", "asasr-x4-clean", "asasr-x4-drawn"] {
            copy_folder(&model, &page.join("v1/models").join(name));
        }
        let site = Site::start(&page).await;
        let script = "const { Upscaler } = await import('./upscaler.js');
                      const model = args[1] + 'v1/models/' + args[2] + '/';
                      return Upscaler.load({ device: 'cpu', model, publicKey: args[0] }).then(() => 'opened', (e) => e.message);";
        browser.open(&format!("{}?device=cpu", site.url())).await;
        for (name, expected) in [
            ("asasr-x4-real", "opened"),
            ("asasr-x4-clean", "signed as asasr-x4-real"),
        ] {
            let given = vec![line(&key).into(), site.url().into(), name.into()];
            let told = browser.run(script, given).await;
            assert!(told.as_str().unwrap().contains(expected), "{name}: {told}");
        }
    }
    browser.close().await;
}

/// A host of files sends no headers of ours: the page forbids by itself what the server's header forbids, and works.
#[tokio::test]
async fn a_plain_host_serves_a_page_that_guards_itself() {
    let folder = PathBuf::from(std::env::var_os("ASASR_PAGE").unwrap());
    let site = Site::start(&folder).await;
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", site.url())).await;
    browser.drop_file("dot.png", &drawn(3, 2)).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("12 × 8"));
    let script = "const broken = [];
                  addEventListener('securitypolicyviolation', (event) => broken.push(event.effectiveDirective));
                  const inline = document.createElement('script');
                  inline.textContent = 'globalThis.ran = true;';
                  document.body.append(inline);
                  const elsewhere = await fetch(args[0] + 'v1/models').then(() => 'read', () => 'refused');
                  for (let i = 0; i < 100 && broken.length < 3; i++) await new Promise((next) => setTimeout(next, 20));
                  return [globalThis.ran ?? 'nothing ran', elsewhere, broken.includes('connect-src')].join();";
    let told = browser.run(script, vec![server.url().into()]).await;
    assert_eq!(told, "nothing ran,refused,true");
    // The header says the same, and who may frame the page on top.
    let index = fs::read_to_string(folder.join("index.html")).unwrap();
    let policy = index
        .split("http-equiv=\"Content-Security-Policy\" content=\"")
        .nth(1);
    let policy = policy.and_then(|p| p.split('"').next()).unwrap();
    let script = "return (await fetch('./')).headers.get('content-security-policy');";
    browser.open(&format!("{}?device=cpu", server.url())).await;
    let header = browser.run(script, vec![]).await;
    assert_eq!(header, format!("{policy}; frame-ancestors 'none'"));
    browser.close().await;
}

/// Cancel answers at once, whatever it interrupts, and the next image comes out right.
#[tokio::test]
async fn cancelled_work_leaves_a_working_page() {
    let server = Server::start();
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    let large = drawn(600, 400);
    for pause in [0, 30, 400] {
        browser.drop_file("large.png", &large).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let asked = Instant::now();
        browser
            .run(
                "[...document.querySelectorAll('#list li:last-child button')].find((b) => b.textContent === 'Cancel').click();",
                vec![],
            )
            .await;
        browser
            .wait_for("!document.querySelector('#list .running, #list .waiting')")
            .await;
        assert_eq!(browser.text("error").await, "", "after {pause} ms");
        // A tile takes longer on any machine that runs this in good time.
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    browser.drop_file("dot.png", &drawn(1, 1)).await;
    browser.finished().await;
    assert_eq!(browser.text("error").await, "");
    assert!(browser.text("summary").await.contains("4 × 4"));
    browser.close().await;
}
