//! The component as others embed it: from bare HTML, and from its npm package in a bundler.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use asasr_tests::{Browser, Server, Site, copy_folder, drawn};

fn variable(name: &str) -> PathBuf {
    env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run `cargo xtask test`"))
        .into()
}

/// Keeps what happens to elements, on its way down for not all of it comes up again, and how many workers there are.
const WATCH: &str = "
  globalThis.seen = [];
  globalThis.workers = 0;
  const Plain = Worker;
  globalThis.Worker = class extends Plain { constructor(...args) { super(...args); workers += 1; } };
  for (const kind of ['progress', 'result', 'error', 'cancel']) {
    addEventListener(kind, (e) => { if (e.target.id) seen.push(`${e.target.id} ${kind}`); }, true);
  }";

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).unwrap();
}

fn page(elements: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><title>A page</title><script src=watch.js></script>\
         <script type=module src=asasr-upscaler/element.js></script>{elements}"
    )
}

/// Two share a worker and take their model from another origin; each tells what happens to it.
#[tokio::test]
async fn bare_html_embeds_it() {
    let folder = tempfile::tempdir().unwrap();
    copy_folder(&variable("ASASR_PACKAGE"), &folder.path().join("asasr-upscaler"));
    let models = Server::start();
    let model = format!("{}v1/models/asasr-x4-clean/", models.url());
    let element = |id: &str, rest: &str| {
        format!(
            "<asasr-upscaler id={id} device=cpu model={model} {rest}><b id={id}-before>before</b></asasr-upscaler>"
        )
    };
    let elements = element("a", "src=small.png alt=Photo")
        + &element("b", "src=small.png scale=2 format=webp")
        + &element("c", "")
        + &element("f", "src=small.png mode=fast seed=2 fidelity=0.5 width=30")
        + "<asasr-upscaler id=e device=cpu src=small.png></asasr-upscaler>";
    write(folder.path(), "index.html", page(&elements));
    write(folder.path(), "watch.js", WATCH);
    write(folder.path(), "small.png", drawn(12, 10));
    write(folder.path(), "large.png", drawn(500, 400));
    let site = Site::start(folder.path()).await;
    let browser = Browser::start().await;
    browser.visit(site.url()).await;
    browser
        .wait_for("['a', 'b', 'e', 'f'].every((id) => seen.includes(`${id} result`))")
        .await;
    let of = "const element = document.getElementById(args[0]);
              const image = element.shadowRoot.querySelector('img');
              await image.decode();
              return [image.naturalWidth, image.naturalHeight, image.alt, element.result.blob.type, image.checkVisibility()].join();";
    assert_eq!(
        browser.run(of, vec!["a".into()]).await,
        "48,40,Photo,image/png,true"
    );
    assert_eq!(browser.run(of, vec!["b".into()]).await, "24,20,,image/webp,true");
    assert_eq!(browser.run(of, vec!["f".into()]).await, "30,25,,image/png,true");
    // One for the model of another origin, and one for the package's own.
    assert_eq!(browser.run("return workers;", vec![]).await, 2);
    assert_eq!(
        browser.run("return seen.includes('a progress');", vec![]).await,
        true
    );

    // Cancelled by its method and by a signal: what stood there before stands there again.
    let cancel = "const element = document.getElementById('c');
        const blob = await (await fetch('large.png')).blob();
        const outcome = (promise) => promise.then(() => 'done', (e) => e.name);
        const first = outcome(element.upscale(blob));
        await new Promise((resolve) => element.addEventListener('progress', resolve, { once: true }));
        element.cancel();
        await first;
        const bar = element.shadowRoot.querySelector('progress').checkVisibility();
        if (bar || !document.getElementById('c-before').checkVisibility()) return 'the bar stayed';
        const stop = new AbortController();
        const second = outcome(element.upscale(blob, { signal: stop.signal }));
        stop.abort();
        const outcomes = [await first, await second];
        await new Promise((resolve) => setTimeout(resolve));
        return [...outcomes, document.getElementById('c-before').checkVisibility()].join();";
    assert_eq!(browser.run(cancel, vec![]).await, "AbortError,AbortError,true");

    // An error is text in the element.
    let missing = "document.getElementById('c').setAttribute('src', 'none.png');";
    browser.run(missing, vec![]).await;
    browser.wait_for("seen.includes('c error')").await;
    let message =
        "return document.getElementById('c').shadowRoot.querySelector('[role=alert]').textContent.trim();";
    assert_eq!(
        browser.run(message, vec![]).await,
        "none.png could not be loaded (404)"
    );

    // Away with all of them, and their worker; the next one begins anew.
    let replace = "for (const element of document.querySelectorAll('asasr-upscaler')) element.remove();
        const element = document.createElement('asasr-upscaler');
        Object.entries({ id: 'd', device: 'cpu', model: args[0], src: 'small.png' }).forEach((a) => element.setAttribute(...a));
        document.body.append(element);";
    let before = browser.run("return workers;", vec![]).await.as_u64().unwrap();
    browser.run(replace, vec![model.into()]).await;
    browser.wait_for("seen.includes('d result')").await;
    assert_eq!(browser.run("return workers;", vec![]).await, before + 1);
    browser.close().await;
}

fn npm(folder: &Path, args: &[&str]) {
    let output = Command::new("npm")
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "npm {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Whoever gets the modules gets the licences of what they are made of. Messages in a module tell which crates those are: a crate's
/// place among the sources is in each, and where these lay on the builder's disk is in none.
#[test]
fn the_package_and_the_page_carry_their_licences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (modules, licences) in [
        (variable("ASASR_PACKAGE"), variable("ASASR_PACKAGE")),
        (variable("ASASR_PAGE"), variable("ASASR_PAGE").join("licences")),
    ] {
        for name in ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE"] {
            let [own, given] = [root, licences.as_path()].map(|folder| fs::read(folder.join(name)).unwrap());
            assert!(own == given, "{name} is another one");
        }
        let notices = fs::read_to_string(licences.join("THIRD-PARTY-NOTICES")).unwrap();
        let mut found = std::collections::BTreeSet::new();
        for module in ["asasr-gpu", "asasr-cpu", "asasr-files", "asasr-models"] {
            let bytes = fs::read(modules.join(format!("{module}_bg.wasm"))).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            assert!(
                !text.contains("/registry/src/"),
                "{module} tells where its sources lay"
            );
            for place in text.split("crates/").skip(1) {
                let folder = place.split('/').next().unwrap_or_default();
                found.insert(folder.to_owned());
            }
        }
        assert!(found.len() > 5, "the modules name no crates: {found:?}");
        for folder in found {
            let listed = notices.lines().any(|l| {
                let crate_of = l.split_once(": ").map_or("", |(name, _)| name);
                crate_of.replacen(' ', "-", 1) == folder
            });
            assert!(listed, "{folder} is not in the notices");
        }
        for text in ["Permission is hereby granted", "Apache License"] {
            assert!(notices.contains(text), "{text}");
        }
    }
}

/// `npm pack`, `npm install` of what it made, and a build with Vite.
#[tokio::test]
async fn a_bundler_takes_its_package() {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    fs::create_dir_all(app.join("public")).unwrap();
    npm(
        &variable("ASASR_PACKAGE"),
        &["pack", "--pack-destination", folder.path().to_str().unwrap()],
    );
    write(
        &app,
        "package.json",
        r#"{ "name": "app", "private": true, "type": "module" }"#,
    );
    npm(
        &app,
        &[
            "install",
            "--offline",
            "--no-fund",
            "--no-audit",
            "../asasr-upscaler-0.1.0.tgz",
        ],
    );
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "THIRD-PARTY-NOTICES"] {
        let installed = app.join("node_modules/asasr-upscaler").join(name);
        assert!(installed.is_file(), "{name} is not in what npm installs");
    }
    copy_folder(
        &app.join("node_modules/asasr-upscaler/v1/models"),
        &app.join("public/models"),
    );
    write(&app.join("public"), "photo.png", drawn(10, 10));
    write(
        &app,
        "vite.config.js",
        "export default { base: './', worker: { format: 'es' } };",
    );
    write(
        &app,
        "index.html",
        "<!doctype html><title>An app</title><body><script type=module src=/main.js></script>",
    );
    write(
        &app,
        "main.js",
        "import { Upscaler } from 'asasr-upscaler';
         const model = new URL('models/asasr-x4-clean/', location.href).href;
         document.body.innerHTML = `<asasr-upscaler src=photo.png device=cpu model=${model}></asasr-upscaler>`;
         const blob = await (await fetch('photo.png')).blob();
         const up = await Upscaler.load({ device: 'cpu', model });
         let rows = 0;
         for await (const part of up.run(blob, { scale: 3 })) rows += part.height;
         document.body.dataset.rows = rows;",
    );
    let vite = Command::new("node")
        .arg(variable("ASASR_VITE"))
        .arg("build")
        .current_dir(&app)
        .output()
        .unwrap();
    assert!(vite.status.success(), "{}", String::from_utf8_lossy(&vite.stderr));
    let site = Site::start(&app.join("dist")).await;
    let browser = Browser::start().await;
    browser.visit(site.url()).await;
    browser.wait_for("document.body.dataset.rows === '30'").await;
    browser
        .wait_for("document.querySelector('asasr-upscaler').result?.width === 40")
        .await;
    browser.close().await;
}
