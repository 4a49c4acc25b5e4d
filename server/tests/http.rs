//! The service as a client sees it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;

use asasr_core::flow::Source;
use asasr_core::model::{Dtype, FlowPart, Manifest, Tensor, VelocityArchitecture, Weights, sha256_hex};
use asasr_server::{Models, Page, router};
use axum::{Router, body::Body, http::Request, http::StatusCode, http::header, response::Response};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

fn app(folder: &tempfile::TempDir) -> Router {
    fs::write(folder.path().join("index.html"), "<title>page</title>").unwrap();
    fs::write(folder.path().join("a.wasm"), b"\0asm").unwrap();
    router(&Page::new(folder.path()).unwrap(), Models::embedded().unwrap())
}

async fn get(app: &Router, path: &str, tag: Option<&str>) -> Response {
    let mut request = Request::get(path);
    if let Some(tag) = tag {
        request = request.header(header::IF_NONE_MATCH, tag);
    }
    app.clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap()
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

fn head(response: &Response, name: header::HeaderName) -> String {
    response
        .headers()
        .get(name)
        .map(|v| v.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

/// Pages of other origins may read models, and nothing else.
#[tokio::test]
async fn models_are_open_to_other_origins() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    for (path, origin) in [
        ("/v1/models", "*"),
        ("/v1/models/asasr-x4-clean/manifest.json", "*"),
        ("/v1/models/none/manifest.json", "*"),
        ("/", ""),
        ("/healthz", ""),
    ] {
        let response = get(&app, path, None).await;
        assert_eq!(
            head(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN),
            origin,
            "{path}"
        );
    }
}

#[tokio::test]
async fn weights_are_what_their_manifest_says_and_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    let response = get(&app, "/v1/models/asasr-x4-clean/manifest.json", None).await;
    assert_eq!(head(&response, header::CONTENT_TYPE), "application/json");
    assert!(head(&response, header::CACHE_CONTROL).contains("no-cache"));
    let manifest = Manifest::from_json(&body(response).await).unwrap();

    let base = format!("/v1/models/{}/{}", manifest.id, manifest.file);
    let response = get(&app, &format!("{base}?sha256={}", manifest.sha256), None).await;
    assert!(head(&response, header::CACHE_CONTROL).contains("immutable"));
    let tag = head(&response, header::ETAG);
    assert_eq!(sha256_hex(&body(response).await), manifest.sha256);

    assert_eq!(
        get(&app, &base, Some(&tag)).await.status(),
        StatusCode::NOT_MODIFIED
    );
    assert!(!head(&get(&app, &base, None).await, header::CACHE_CONTROL).contains("immutable"));
    let other = get(&app, &format!("{base}?sha256={}", "0".repeat(64)), None).await;
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_list_names_every_model() {
    let folder = tempfile::tempdir().unwrap();
    let response = get(&app(&folder), "/v1/models", None).await;
    assert_eq!(response.status(), StatusCode::OK);
    let list: serde_json::Value = serde_json::from_slice(&body(response).await).unwrap();
    assert_eq!(list[0]["id"], "asasr-x4-clean");
}

#[tokio::test]
async fn the_page_is_served_with_its_headers() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    let response = get(&app, "/", None).await;
    assert!(head(&response, header::CONTENT_TYPE).starts_with("text/html"));
    assert!(head(&response, header::CONTENT_SECURITY_POLICY).contains("connect-src 'self'"));
    assert_eq!(head(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    let wasm = get(&app, "/a.wasm", None).await;
    assert_eq!(head(&wasm, header::CONTENT_TYPE), "application/wasm");
}

#[tokio::test]
async fn nothing_outside_is_reachable() {
    let folder = tempfile::tempdir().unwrap();
    let app = app(&folder);
    for path in [
        "/../Cargo.toml",
        "/..%2fCargo.toml",
        "/%2e%2e/Cargo.toml",
        "/v1/models/asasr-x4-clean/..%2f..%2fCargo.toml",
        "/v1/models/nothing/manifest.json",
        "/v1/else",
        "/missing.js",
    ] {
        assert_eq!(
            get(&app, path, None).await.status(),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[test]
fn a_damaged_model_stops_the_start_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m");
    fs::create_dir(&model).unwrap();
    let shipped = asasr_weights::DEFAULT;
    fs::write(model.join("manifest.json"), shipped.manifest).unwrap();
    let half = &shipped.weights[..shipped.weights.len() / 2];
    fs::write(model.join("restorer.safetensors"), half).unwrap();
    let why = Models::from_folder(folder.path()).unwrap_err();
    assert!(why.contains("manifest.json") && why.contains("sha256"), "{why}");
    let empty = tempfile::tempdir().unwrap();
    assert!(Models::from_folder(empty.path()).is_err());
    assert!(Page::new(empty.path()).unwrap_err().contains("cargo xtask serve"));
}

/// A model with a flow: every file its manifest names is served under its own hash, and none that it does not name.
#[tokio::test]
async fn the_files_of_a_flow_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("models/with-flow");
    fs::create_dir_all(&model).unwrap();
    let shipped = asasr_weights::DEFAULT;
    let mut manifest = Manifest::from_json(shipped.manifest).unwrap();
    let architecture = VelocityArchitecture::conv(4, 4, 1);
    let mut weights = Weights::default();
    for p in architecture.parameters() {
        let values = vec![0.5; p.len()];
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    let flow = weights.to_safetensors(Dtype::F16).unwrap();
    manifest.id = "with-flow".into();
    manifest.flow = Some(FlowPart {
        file: "flow.safetensors".into(),
        bytes: flow.len(),
        sha256: sha256_hex(&flow),
        parameters: architecture.parameter_count(),
        architecture,
        source: Source::default(),
        s: 1.5,
        steps: 28,
        training: manifest.training.clone(),
    });
    fs::write(model.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    fs::write(model.join(&manifest.file), shipped.weights).unwrap();
    fs::write(model.join("secret.txt"), b"not named").unwrap();
    // The flow is missing, then damaged, then there.
    let open = || Models::from_folder(&folder.path().join("models"));
    assert!(open().unwrap_err().contains("flow.safetensors"));
    fs::write(model.join("flow.safetensors"), &flow[1..]).unwrap();
    assert!(open().unwrap_err().contains("flow.safetensors"));
    fs::write(model.join("flow.safetensors"), &flow).unwrap();

    fs::write(folder.path().join("index.html"), "<title>page</title>").unwrap();
    let app = router(&Page::new(folder.path()).unwrap(), open().unwrap());
    let base = "/v1/models/with-flow";
    let hash = sha256_hex(&flow);
    let response = get(&app, &format!("{base}/flow.safetensors?sha256={hash}"), None).await;
    assert_eq!(head(&response, header::ETAG), format!("\"{hash}\""));
    assert_eq!(body(response).await, flow);
    let response = get(&app, &format!("{base}/{}", manifest.file), None).await;
    assert_eq!(body(response).await, shipped.weights);
    assert_eq!(
        get(&app, &format!("{base}/secret.txt"), None).await.status(),
        StatusCode::NOT_FOUND
    );
}
