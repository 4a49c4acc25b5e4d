//! The component as others embed it, from bare HTML.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;

use asasr_tests::{Browser, Server, Site, copy_folder, drawn, required};
use serde_json::Value;
use tempfile::TempDir;

/// Keeps what happens to elements, on its way down for not all of it comes up again, what failed there last, and how many workers there are.
const WATCH: &str = "
  globalThis.seen = [];
  globalThis.failed = {};
  globalThis.workers = 0;
  const Plain = Worker;
  globalThis.Worker = class extends Plain { constructor(...args) { super(...args); workers += 1; } };
  for (const kind of ['progress', 'result', 'error', 'cancel']) {
    addEventListener(kind, (e) => {
      if (!e.target.id) return;
      seen.push(`${e.target.id} ${kind}`);
      if (kind === 'error') failed[e.target.id] = e.detail;
    }, true);
  }";

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(name), content).unwrap();
}

/// A page that loads the component from the folder at `package`, under a policy.
fn page(package: &str, policy: &str, elements: &str) -> String {
    format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"{policy}\"><title>A page</title>\
         <script nonce=n src=watch.js></script><script nonce=n type=module src={package}element.js></script>{elements}"
    )
}

/// A folder with what pages here have.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "watch.js", WATCH);
    write(folder.path(), "small.png", drawn(12, 10));
    folder
}

/// An element `a` around a photo.
fn around(attributes: &str) -> String {
    format!("<asasr-upscaler id=a device=cpu {attributes}><b id=before>before</b></asasr-upscaler>")
}

/// What comes in the place of a source is text in the element `c`, beside what stands there.
async fn errors_are_told(browser: &Browser) {
    let fails = "const element = document.getElementById('c');
        const { fetch } = globalThis;
        if (args[1]) globalThis.fetch = async () => new Response('', { status: args[1] });
        const failed = new Promise((resolve) => { element.addEventListener('error', resolve, { once: true }); });
        element.setAttribute('src', args[0]);
        await failed;
        globalThis.fetch = fetch;
        const shown = document.getElementById('c-before').checkVisibility();
        return [element.shadowRoot.querySelector('[role=alert]').textContent.trim(), shown].join();";
    for (src, status, message) in [
        (
            "none.png",
            0,
            "none.png is not on the server (404): check the name, or tell whoever runs it",
        ),
        (
            "index.html",
            0,
            "index.html answers with a web page in place of the file: check the address",
        ),
        (
            "kept.png",
            403,
            "kept.png is kept from this page (403): sign in where it lies, or tell whoever runs that server",
        ),
        (
            "busy.png",
            503,
            "busy.png could not be loaded (503): its server has a fault or too much to do; try again later",
        ),
    ] {
        let told = browser.run(fails, vec![src.into(), status.into()]).await;
        assert_eq!(told, format!("{message},true"));
    }
}

/// Two share a worker and take their model from another origin; each tells what happens to it.
#[tokio::test]
async fn bare_html_embeds_it() {
    let folder = folder();
    copy_folder(&required("ASASR_PACKAGE"), &folder.path().join("asasr-upscaler"));
    let models = Server::start();
    let model = format!("{}v1/models/asasr-x4-clean/", models.url());
    // The same, as people write it.
    let slashless = model.trim_end_matches('/');
    let element = |id: &str, rest: &str| {
        let model = if id == "b" { slashless } else { &model };
        format!(
            "<asasr-upscaler id={id} device=cpu model={model} {rest}><b id={id}-before>before</b></asasr-upscaler>"
        )
    };
    let elements = element("a", "src=small.png alt=Photo")
        + &element("b", "src=small.png scale=2 format=webp")
        + &element("c", "")
        + &element("f", "src=small.png mode=fast seed=2 fidelity=0.5 width=30")
        + "<asasr-upscaler id=e device=cpu src=small.png></asasr-upscaler>";
    write(
        folder.path(),
        "index.html",
        page("asasr-upscaler/", "", &elements),
    );
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

    errors_are_told(&browser).await;

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

/// Properties are attributes, whenever they are set; each change is heard, and a value that means nothing is named.
#[tokio::test]
async fn properties_react() {
    let folder = folder();
    copy_folder(&required("ASASR_PACKAGE"), folder.path());
    write(
        folder.path(),
        "span.pth",
        include_bytes!("../interchange/tests/fixtures/span.pth"),
    );
    let early = "const early = document.getElementById('a');
        Object.assign(early, { src: 'small.png', scale: 2, hold: false, alt: 'Early' });";
    write(folder.path(), "early.js", early);
    let elements = around("") + "<script src=early.js></script>";
    write(folder.path(), "index.html", page("./", "", &elements));
    let site = Site::start(folder.path()).await;
    let browser = Browser::start().await;
    browser.visit(site.url()).await;
    browser
        .wait_for("document.getElementById('a').result?.width === 24")
        .await;
    let told = "const a = document.getElementById('a');
        const { alt } = a.shadowRoot.querySelector('img');
        return JSON.stringify([a.getAttributeNames().join(), a.getAttribute('hold'), alt, a.src, a.scale, a.hold, a.seed]);";
    assert_eq!(
        browser.run(told, vec![]).await,
        r#"["id,device,src,alt,hold,scale","off","Early","small.png",2,false,null]"#
    );
    browser
        .run("document.getElementById('a').scale = 3;", vec![])
        .await;
    browser
        .wait_for("document.getElementById('a').result.width === 36")
        .await;
    // A file is a model too.
    let file = "const a = document.getElementById('a');
        a.model = new File([await (await fetch('span.pth')).blob()], 'span.pth');
        a.scale = null;
        await new Promise((resolve) => a.addEventListener('result', resolve, { once: true }));
        return [a.result.width, a.model.name, a.hasAttribute('model'), a.hasAttribute('scale')].join();";
    assert_eq!(browser.run(file, vec![]).await, "48,span.pth,false,false");
    for (attribute, value, allowed) in [
        ("mode", "best", "instant | fast | quality"),
        ("mode", "quality", "instant | fast"),
        ("scale", "four", "1–8"),
        ("hold", "maybe", "on | off | 0.8–16"),
        ("device", "gpu", "auto | webgpu | cpu"),
        ("format", "tiff", "png | jpeg | webp"),
        ("fidelity", "2", "0–1"),
        ("src", "http://", "URL"),
    ] {
        let script = "const [name, value] = args;
            const a = document.getElementById('a');
            const before = a.getAttribute(name);
            a.setAttribute(name, value);
            const { detail } = await new Promise((resolve) => a.addEventListener('error', resolve, { once: true }));
            if (before === null) a.removeAttribute(name);
            else a.setAttribute(name, before);
            const kept = document.getElementById('before').checkVisibility();
            await new Promise((resolve) => a.addEventListener('result', resolve, { once: true }));
            return JSON.stringify([detail.code, detail.args, detail.message.includes(value), kept]);";
        let told = browser.run(script, vec![attribute.into(), value.into()]).await;
        let told: Value = serde_json::from_str(told.as_str().unwrap()).unwrap();
        let args =
            serde_json::json!({ "name": attribute, "value": format!("\"{value}\""), "allowed": allowed });
        assert_eq!(told, serde_json::json!(["not-offered", args, true, true]));
    }
    // Without a source nothing is shown but what stood there.
    let none = "const a = document.getElementById('a');
        a.src = null;
        await Promise.resolve();
        return [document.getElementById('before').checkVisibility(), a.result].join();";
    assert_eq!(browser.run(none, vec![]).await, "true,");
    browser.close().await;
}

/// What a policy has to allow where the package comes from the origin `CDN`.
const POLICY: &str =
    "script-src 'self' CDN 'wasm-unsafe-eval'; worker-src blob:; connect-src 'self' CDN; img-src blob:";

/// From another origin, with nothing but what a policy with Trusted Types has to allow: workers, modules and models are that origin's.
#[tokio::test]
async fn it_starts_from_another_origin() {
    let folder = folder();
    // Several tiles, for several workers.
    write(folder.path(), "large.png", drawn(300, 200));
    write(
        folder.path(),
        "span.pth",
        include_bytes!("../interchange/tests/fixtures/span.pth"),
    );
    let elsewhere = Site::shared(&required("ASASR_PACKAGE")).await;
    let site = Site::start(folder.path()).await;
    let browser = Browser::start().await;
    let typed = "; require-trusted-types-for 'script'; trusted-types asasr";
    let policy = POLICY.replace("CDN", elsewhere.origin()) + typed;
    let elements = around("src=large.png scale=2");
    write(
        folder.path(),
        "index.html",
        page(elsewhere.url(), &policy, &elements),
    );
    browser.visit(site.url()).await;
    browser
        .wait_for("seen.length > 0 && !seen.at(-1).endsWith('progress')")
        .await;
    assert_eq!(browser.run("return failed;", vec![]).await, serde_json::json!({}));
    let script = "const { blend, importModel, Upscaler } = await import(args[0] + 'upscaler.js');
        const none = await importModel([new File(['no model'], 'a.pth')]).catch((e) => e.code);
        const up = await Upscaler.load({ device: 'cpu', model: 'span.pth' });
        const blob = await (await fetch('small.png')).blob();
        const own = await up.upscale(blob);
        up.dispose();
        const likely = await Upscaler.load({ device: 'cpu' });
        const { layers } = await likely.upscale(blob, { mode: 'fast', layers: true });
        const blended = await blend(blob, layers, { fidelity: 0.5 });
        const places = await likely.loaded;
        return [none, own.width, blended.width, places.every((place) => place.startsWith(args[0]))].join();";
    let told = browser.run(script, vec![elsewhere.url().into()]).await;
    assert_eq!(told, "model-none,48,48,true");
    browser.close().await;
}

/// A photo's other attributes, where the package is, what is taken from the policy, what is put there, and what the error says. `CDN` is
/// an origin whose files every page may read, `SHUT` one whose files none but its own may, `HERE` the page's.
const MISSING: [[&str; 5]; 12] = [
    [
        "",
        "CDN/",
        "worker-src blob:",
        "worker-src 'self'",
        "blob: to its worker-src",
    ],
    ["", "asasr-upscaler/", "", "", "'self' to its worker-src"],
    // A page's nonce is not its workers'.
    [
        "",
        "CDN/",
        "'self' CDN 'wasm",
        "'nonce-n' 'wasm",
        "CDN to its script-src",
    ],
    [
        "",
        "CDN/",
        " 'wasm-unsafe-eval'",
        "",
        "'wasm-unsafe-eval' to its script-src",
    ],
    [
        "",
        "CDN/",
        "connect-src 'self' CDN",
        "connect-src 'self'",
        "CDN to its connect-src",
    ],
    [
        "",
        "CDN/",
        "connect-src 'self'",
        "connect-src",
        "forbids /small.png: add 'self' to its connect-src",
    ],
    [
        "model=SHUT/v1/models/asasr-x4-clean/",
        "CDN/",
        "",
        "",
        "SHUT to its connect-src",
    ],
    [
        "",
        "CDN/",
        "img-src blob:",
        "img-src 'self'",
        "blob: to its img-src",
    ],
    [
        "",
        "CDN/",
        "img-src blob:",
        "img-src blob:; require-trusted-types-for 'script'; trusted-types other",
        "asasr to its trusted-types",
    ],
    [
        "model=SHUT/v1/models/asasr-x4-clean/",
        "CDN/",
        "connect-src 'self' CDN",
        "connect-src *",
        "/v1/models/asasr-x4-clean/manifest.json from this page: it has to send the header Access-Control-Allow-Origin: HERE",
    ],
    [
        "src=SHUT/README.md",
        "CDN/",
        "connect-src 'self' CDN",
        "connect-src *",
        "/README.md from this page: it has to send the header Access-Control-Allow-Origin: HERE",
    ],
    // Nobody listens there.
    [
        "src=http://127.0.0.1:9/a.png",
        "CDN/",
        "connect-src 'self' CDN",
        "connect-src *",
        "127.0.0.1:9 does not answer",
    ],
];

/// Where something is missing, the error says what, and where; and what stood there stays.
#[tokio::test]
async fn errors_name_what_is_missing() {
    let folder = folder();
    copy_folder(&required("ASASR_PACKAGE"), &folder.path().join("asasr-upscaler"));
    let elsewhere = Site::shared(&required("ASASR_PACKAGE")).await;
    let shut = Site::start(&required("ASASR_PACKAGE")).await;
    let site = Site::start(folder.path()).await;
    let browser = Browser::start().await;
    let fill = |text: &str| {
        let text = text.replace("CDN", elsewhere.origin());
        text.replace("SHUT", shut.origin()).replace("HERE", site.origin())
    };
    for case in MISSING {
        let [attributes, package, from, to, expected] = case.map(fill);
        let policy = fill(POLICY).replace(&from, &to);
        // The first of two attributes of a name counts.
        let elements = around(&format!("{attributes} src=small.png"));
        write(folder.path(), "index.html", page(&package, &policy, &elements));
        browser.visit(site.url()).await;
        browser
            .wait_for("seen.includes('a error') || seen.includes('a result')")
            .await;
        let told = "return [failed.a?.message, document.getElementById('before').checkVisibility()].join();";
        let told = browser.run(told, vec![]).await;
        let told = told.as_str().unwrap();
        assert!(
            told.contains(&expected) && told.ends_with(",true"),
            "{case:?}: {told}"
        );
    }
    browser.close().await;
}
