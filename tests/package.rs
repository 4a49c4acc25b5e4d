//! The component's npm package: what is in it, and apps that install it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use asasr_tests::{Browser, Site, copy_folder, drawn, required};
use tempfile::TempDir;

/// Runs a program, which has to succeed.
fn run(folder: &Path, program: impl AsRef<OsStr>, args: &[&str]) {
    let program = program.as_ref();
    let output = Command::new(program)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(
        output.status.success(),
        "{} {args:?}: {}",
        program.display(),
        told.concat()
    );
}

/// An npm package that `cargo xtask test` installed.
fn tool(name: &str) -> PathBuf {
    required("ASASR_PEERS").join(name)
}

/// The app `tests/apps/NAME`, with what `npm pack` made of the package installed in it.
fn app(name: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let app = folder.path().join("app");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps").join(name);
    copy_folder(&source, &app);
    let target = folder.path().to_str().unwrap();
    run(
        &required("ASASR_PACKAGE"),
        "npm",
        &["pack", "--pack-destination", target],
    );
    let description = r#"{ "name": "app", "private": true, "type": "module" }"#;
    fs::write(app.join("package.json"), description).unwrap();
    let tarball = format!("../asasr-upscaler-{}.tgz", env!("CARGO_PKG_VERSION"));
    run(
        &app,
        "npm",
        &["install", "--offline", "--no-fund", "--no-audit", &tarball],
    );
    (folder, app)
}

/// Whoever gets the modules gets the licences of what they are made of. Messages in a module tell which crates those are: a crate's
/// place among the sources is in each, and where these lay on the builder's disk is in none.
#[test]
fn the_package_and_the_page_carry_their_licences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (modules, licences) in [
        (required("ASASR_PACKAGE"), required("ASASR_PACKAGE")),
        (required("ASASR_PAGE"), required("ASASR_PAGE").join("licences")),
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

/// Vite builds an app of it, and finds worker, modules and model itself.
#[tokio::test]
async fn vite_takes_it() {
    let (_folder, app) = app("vite");
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "NOTICE", "THIRD-PARTY-NOTICES"] {
        let installed = app.join("node_modules/asasr-upscaler").join(name);
        assert!(installed.is_file(), "{name} is not in what npm installs");
    }
    fs::create_dir(app.join("public")).unwrap();
    fs::write(app.join("public/photo.png"), drawn(10, 10)).unwrap();
    run(&app, "node", &[required("ASASR_VITE").to_str().unwrap(), "build"]);
    let site = Site::start(&app.join("dist")).await;
    let browser = Browser::start().await;
    browser.visit(site.url()).await;
    browser.wait_for("document.body.dataset.rows === '30'").await;
    let unsigned = browser
        .run("return document.body.dataset.unsigned;", vec![])
        .await;
    assert_eq!(unsigned, "signature-missing");
    browser
        .wait_for("document.querySelector('asasr-upscaler').result?.width === 40")
        .await;
    browser.close().await;
}

/// TypeScript takes its types strictly, a server renders React around it, webpack bundles it, from another origin too, and the browser goes on
/// from what the server made.
#[tokio::test]
async fn react_and_webpack_take_it() {
    let (_folder, app) = app("react");
    fs::create_dir_all(app.join("node_modules/@types")).unwrap();
    for name in ["react", "react-dom", "@types/react", "@types/react-dom"] {
        symlink(tool(name), app.join("node_modules").join(name)).unwrap();
    }
    run(&app, "node", &[tool("typescript/bin/tsc").to_str().unwrap()]);
    let scripts = app.join("dist");
    fs::create_dir(&scripts).unwrap();
    let elsewhere = Site::shared(&scripts).await;
    let page = app.join("page");
    fs::create_dir(&page).unwrap();
    fs::write(page.join("photo.png"), drawn(10, 10)).unwrap();
    run(&app, "node", &["build.mjs", elsewhere.url()]);
    let rendered = fs::read_to_string(page.join("index.html")).unwrap();
    assert!(
        rendered.contains("<asasr-upscaler class=\"photo\" src=\"photo.png\""),
        "{rendered}"
    );
    let site = Site::start(&page).await;
    let browser = Browser::start().await;
    browser.visit(site.url()).await;
    let told = "(document.body.dataset.error ?? document.querySelector('output').textContent)";
    browser.wait_for(&format!("{told} !== ''")).await;
    assert_eq!(browser.run(&format!("return {told};"), vec![]).await, "20 by 20");
    browser.click("button").await;
    browser.wait_for(&format!("{told} !== '20 by 20'")).await;
    assert_eq!(browser.run(&format!("return {told};"), vec![]).await, "30 by 30");
    browser.close().await;
}

/// Whoever takes the call alone gets no element, and whoever takes the element for its effect gets it.
#[test]
fn bundlers_keep_what_has_effects() {
    let (_folder, app) = app("effects");
    let bundle = |entry: &str| {
        run(
            &app,
            tool(".bin/esbuild"),
            &["--bundle", "--format=esm", "--outfile=out.js", entry],
        );
        fs::read_to_string(app.join("out.js")).unwrap()
    };
    assert!(bundle("element.js").contains("customElements.define("));
    let call = bundle("call.js");
    assert!(call.contains("postMessage") && !call.contains("customElements"));
}

/// The model that bundlers find is whole: each of its files is named where they look.
#[test]
fn every_file_of_the_usual_model_is_named() {
    let package = required("ASASR_PACKAGE");
    let script = fs::read_to_string(package.join("models.js")).unwrap();
    for file in fs::read_dir(package.join("v1/models/asasr-x4-real")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let address = format!("new URL(\"v1/models/asasr-x4-real/{name}\",import.meta.url)");
        assert!(script.contains(&address), "models.js lacks {address}");
    }
}
