//! The service as a client sees it.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use asasr_core::model::{Manifest, format1};
use asasr_server::{Config, Invocation, PageSource};
use asasr_store::{SigningKey, Store, sha256_hex};
use axum::body::Body;
use axum::http::{HeaderName, Method, Request, StatusCode, Version, header};
use common::models::{files, pack, package};
use common::{App, body, config, head};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use tower::ServiceExt as _;

const MANIFEST: &str = "/v1/models/asasr-x4-clean/manifest.json";

async fn manifest(app: &App) -> Manifest {
    Manifest::from_json(&app.bytes(MANIFEST).await).unwrap()
}

async fn weights_address(app: &App) -> (String, String) {
    let manifest = manifest(app).await;
    let part = manifest.restorer().unwrap();
    (
        format!("/v1/models/{}/{}", manifest.id, part.file),
        part.sha256.clone(),
    )
}

#[tokio::test]
async fn weights_are_what_their_manifest_says_and_are_kept() {
    let app = App::shipped(&[]).await;
    let response = app.get(MANIFEST, &[]).await;
    assert_eq!(head(&response, header::CONTENT_TYPE), "application/json");
    assert!(head(&response, header::CACHE_CONTROL).contains("no-cache"));
    let manifest = manifest(&app).await;
    for file in manifest.files() {
        let base = format!("/v1/models/{}/{}", manifest.id, file.name);
        let kept = app.get(&format!("{base}?sha256={}", file.sha256), &[]).await;
        assert!(head(&kept, header::CACHE_CONTROL).contains("immutable"));
        assert_eq!(head(&kept, header::CONTENT_LENGTH), file.bytes.to_string());
        assert_eq!(sha256_hex(&body(kept).await), file.sha256);
        let plain = app.get(&base, &[]).await;
        assert!(!head(&plain, header::CACHE_CONTROL).contains("immutable"));
        let other = app.get(&format!("{base}?sha256={}", "0".repeat(64)), &[]).await;
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
        assert_eq!(head(&other, header::CACHE_CONTROL), "no-store");
    }
}

#[tokio::test]
async fn the_list_names_every_model_and_its_addresses_work() {
    let app = App::shipped(&[]).await;
    let list: serde_json::Value = serde_json::from_slice(&app.bytes("/v1/models").await).unwrap();
    assert_eq!(list[0]["id"], "asasr-x4-clean");
    assert_eq!(list[0]["modes"].as_array().unwrap().len(), 3);
    for model in list.as_array().unwrap() {
        let json = app
            .bytes(&format!("/{}", model["manifest"].as_str().unwrap()))
            .await;
        assert_eq!(model["manifest_sha256"], sha256_hex(&json));
        for file in model["files"].as_array().unwrap() {
            let bytes = app
                .bytes(&format!("/{}", file["address"].as_str().unwrap()))
                .await;
            assert_eq!(file["sha256"], sha256_hex(&bytes));
            assert_eq!(file["bytes"], bytes.len());
        }
    }
}

#[tokio::test]
async fn unchanged_is_said_in_a_word() {
    let app = App::shipped(&[]).await;
    for path in [
        "/",
        "/a.wasm",
        MANIFEST,
        "/v1/models",
        "/v1/openapi.json",
        &weights_address(&app).await.0,
    ] {
        let tag = head(&app.get(path, &[]).await, header::ETAG);
        assert!(tag.starts_with('"') && tag.ends_with('"'), "{path}");
        for (value, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".into(), 304),
            ("\"other\"".into(), 200),
            (tag.trim_matches('"').into(), 200),
        ] {
            let response = app.get(path, &[(header::IF_NONE_MATCH, &value)]).await;
            assert_eq!(response.status(), status, "{path} {value}");
            assert_eq!(head(&response, header::ETAG), tag);
            assert_eq!(body(response).await.is_empty(), status == 304);
        }
        let response = app.get(path, &[(header::IF_MATCH, "\"other\"")]).await;
        assert_eq!(response.status(), StatusCode::PRECONDITION_FAILED, "{path}");
        assert_eq!(
            app.get(path, &[(header::IF_MATCH, &tag)]).await.status(),
            StatusCode::OK
        );
    }
}

/// An interrupted download goes on, unless the file is another one meanwhile.
#[tokio::test]
async fn parts_make_the_whole() {
    let app = App::shipped(&[]).await;
    let (path, _) = weights_address(&app).await;
    let whole = app.bytes(&path).await;
    let tag = head(&app.get(&path, &[]).await, header::ETAG);
    let (len, half) = (whole.len(), whole.len() / 2);
    let rest = app
        .get(
            &path,
            &[
                (header::RANGE, &format!("bytes={half}-")),
                (header::IF_RANGE, &tag),
            ],
        )
        .await;
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(
        head(&rest, header::CONTENT_RANGE),
        format!("bytes {half}-{}/{len}", len - 1)
    );
    assert_eq!([&whole[..half], &body(rest).await].concat(), whole);
    for (range, expected) in [
        ("bytes=0-0", Some(&whole[..1])),
        ("bytes=-5", Some(&whole[len - 5..])),
        ("bytes=-99999999999", Some(&whole[..])),
        (&*format!("bytes=5-{}", u64::MAX), Some(&whole[5..])),
        // Beyond the end, or nothing.
        (&*format!("bytes={len}-"), None),
        ("bytes=99999999999-", None),
        ("bytes=-0", None),
    ] {
        let response = app.get(&path, &[(header::RANGE, range)]).await;
        if let Some(bytes) = expected {
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            assert_eq!(head(&response, header::CONTENT_LENGTH), bytes.len().to_string());
            assert!(body(response).await == bytes, "{range}");
        } else {
            assert_eq!(response.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
            assert_eq!(head(&response, header::CONTENT_RANGE), format!("bytes */{len}"));
        }
    }
    // What is no single range, or of another file, is answered with the whole.
    let thousand = format!("bytes={}", vec!["0-"; 1000].join(","));
    for range in [
        "bytes=0-1,2-3",
        "bytes=0-99,50-150",
        &thousand,
        "bytes=9-3",
        "bytes=a-b",
        "lines=1-2",
        "bytes=",
        "0-1",
    ] {
        let response = app.get(&path, &[(header::RANGE, range)]).await;
        assert_eq!(response.status(), StatusCode::OK, "{range}");
        assert_eq!(body(response).await.len(), len);
    }
    for other in [
        "\"other\"",
        "W/\"other\"",
        "Thu, 26 Nov 2026 03:00:00 GMT",
        &format!("W/{tag}"),
    ] {
        let response = app
            .get(&path, &[(header::RANGE, "bytes=5-"), (header::IF_RANGE, other)])
            .await;
        assert_eq!(response.status(), StatusCode::OK, "{other}");
    }
    for range in [
        &[][..],
        &[(header::RANGE, "bytes=5-9")],
        &[(header::RANGE, "bytes=99999999999-")],
    ] {
        let response = app.send(Method::HEAD, &path, range).await;
        assert_eq!(response.status(), StatusCode::OK, "ranges are for GET");
        assert_eq!(head(&response, header::CONTENT_LENGTH), len.to_string());
        assert!(body(response).await.is_empty());
    }
    // What is wrong with one request is not kept for the next, though the file itself is for ever.
    let (path, sha256) = weights_address(&app).await;
    for wrong in [
        (header::RANGE, "bytes=99999999999-"),
        (header::IF_MATCH, "\"other\""),
    ] {
        let response = app.get(&format!("{path}?sha256={sha256}"), &[wrong]).await;
        assert!(response.status().is_client_error());
        assert_eq!(head(&response, header::CACHE_CONTROL), "no-store");
    }
}

#[tokio::test]
async fn what_compresses_is_sent_compressed() {
    let app = App::shipped(&[]).await;
    let plain = app.bytes(MANIFEST).await;
    let coded = |accept: &'static str| {
        let app = &app;
        async move {
            let response = app.get(MANIFEST, &[(header::ACCEPT_ENCODING, accept)]).await;
            assert_eq!(head(&response, header::VARY), "accept-encoding");
            let (coding, tag) = (
                head(&response, header::CONTENT_ENCODING),
                head(&response, header::ETAG),
            );
            (coding, tag, body(response).await)
        }
    };
    let mut tags = std::collections::BTreeSet::new();
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", "br"),
        ("gzip", "gzip"),
        ("zstd;q=0.9, gzip;q=0.5", "zstd"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("*", "br"),
        ("", ""),
        ("identity", ""),
        ("br;q=nonsense", ""),
        ("deflate", ""),
    ] {
        let (actual, tag, bytes) = coded(accept).await;
        assert_eq!(actual, coding, "{accept}");
        tags.insert(tag);
        let mut out = Vec::new();
        match coding {
            "br" => drop(
                brotli::Decompressor::new(&bytes[..], 4096)
                    .read_to_end(&mut out)
                    .unwrap(),
            ),
            "gzip" => drop(
                flate2::read::GzDecoder::new(&bytes[..])
                    .read_to_end(&mut out)
                    .unwrap(),
            ),
            "zstd" => out = zstd::decode_all(&bytes[..]).unwrap(),
            _ => out.clone_from(&bytes),
        }
        assert_eq!(out, plain, "{accept}");
        assert!(
            coding.is_empty() || bytes.len() < plain.len() / 4,
            "{coding}: {}",
            bytes.len()
        );
    }
    assert_eq!(tags.len(), 4, "one tag for each representation");
    // A part is one of the file as it is, whatever is accepted.
    let part = app
        .get(
            MANIFEST,
            &[(header::ACCEPT_ENCODING, "br"), (header::RANGE, "bytes=0-9")],
        )
        .await;
    assert_eq!(head(&part, header::CONTENT_ENCODING), "");
    assert_eq!(body(part).await, plain[..10]);
    // The page's files were compressed before.
    let wasm = app.get("/a.wasm", &[(header::ACCEPT_ENCODING, "gzip, br")]).await;
    assert_eq!(head(&wasm, header::CONTENT_TYPE), "application/wasm");
    assert_eq!(body(wasm).await, b"brotli");
    assert_eq!(app.get("/a.wasm.br", &[]).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(app.bytes("/lone.gz").await, b"an archive of its own");
}

#[tokio::test]
async fn models_are_open_to_the_origins_that_may_read_them() {
    let origin = |value: &'static str| [(header::ORIGIN, value)];
    let allowed = header::ACCESS_CONTROL_ALLOW_ORIGIN;
    let app = App::shipped(&[]).await;
    for (path, expected) in [
        ("/v1/models", "*"),
        (MANIFEST, "*"),
        ("/v1/models/none/manifest.json", "*"),
        ("/", ""),
        ("/healthz", ""),
        ("/metrics", ""),
    ] {
        let response = app.get(path, &origin("https://a.example")).await;
        assert_eq!(head(&response, &allowed), expected, "{path}");
    }
    // A script of another origin may resume and revalidate, and see how.
    let asks = [
        (header::ORIGIN, "https://a.example"),
        (header::ACCESS_CONTROL_REQUEST_METHOD, "GET"),
        (header::ACCESS_CONTROL_REQUEST_HEADERS, "range,if-range"),
    ];
    let response = app.send(Method::OPTIONS, MANIFEST, &asks).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(head(&response, header::ACCESS_CONTROL_ALLOW_HEADERS).contains("if-range"));
    assert_eq!(head(&response, header::ACCESS_CONTROL_ALLOW_METHODS), "GET,HEAD");
    assert_eq!(head(&response, header::ACCESS_CONTROL_MAX_AGE), "86400");
    let response = app.get(MANIFEST, &origin("https://a.example")).await;
    assert!(head(&response, header::ACCESS_CONTROL_EXPOSE_HEADERS).contains("content-range"));

    let app = App::shipped(&["--allow-origin", "https://a.example,https://b.example"]).await;
    for (from, expected) in [
        ("https://a.example", "https://a.example"),
        ("https://b.example", "https://b.example"),
        ("https://c.example", ""),
        ("null", ""),
    ] {
        let response = app.get(MANIFEST, &origin(from)).await;
        assert_eq!(head(&response, &allowed), expected);
        let vary: Vec<_> = response.headers().get_all(header::VARY).iter().collect();
        assert!(
            vary.iter().any(|v| v.to_str().unwrap().contains("origin")),
            "{from}"
        );
    }
}

#[tokio::test]
async fn the_page_is_served_with_its_headers() {
    let app = App::shipped(&[]).await;
    let response = app.get("/", &[]).await;
    assert!(head(&response, header::CONTENT_TYPE).starts_with("text/html"));
    assert!(head(&response, header::CONTENT_SECURITY_POLICY).contains("connect-src 'self'"));
    assert_eq!(head(&response, "cross-origin-opener-policy"), "same-origin");
    assert_eq!(head(&response, "cross-origin-embedder-policy"), "require-corp");
    for path in ["/", "/a.wasm", MANIFEST, "/v1/none", "/none", "/healthz"] {
        let response = app.get(path, &[]).await;
        assert_eq!(
            head(&response, header::X_CONTENT_TYPE_OPTIONS),
            "nosniff",
            "{path}"
        );
        assert!(!head(&response, "x-request-id").is_empty(), "{path}");
    }
    assert_eq!(app.bytes("/index.html").await, b"<title>page</title>");
}

/// Whatever a browser may look at by itself, what is refused too, says what may run there and who may frame it.
#[tokio::test]
async fn every_answer_says_what_it_may_do() {
    let limits = ["--requests-per-second", "1", "--burst", "8"];
    let app = App::shipped(&limits).await;
    let page = [
        (Method::GET, "/", 200),
        (Method::GET, "/none", 404),
        (Method::POST, "/", 405),
        (Method::GET, "/v1x", 404),
    ];
    for (method, path, status) in page {
        let response = app.send(method, path, &[]).await;
        assert_eq!(response.status(), status, "{path}");
        let policy = head(&response, header::CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'"),
            "{policy}"
        );
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        let permissions = head(&response, "permissions-policy");
        for feature in ["camera", "microphone", "geolocation", "usb", "display-capture"] {
            assert!(
                permissions.split(", ").any(|p| p == format!("{feature}=()")),
                "{permissions}"
            );
        }
        // Threads in WebAssembly need it.
        assert!(!permissions.contains("cross-origin-isolated"), "{permissions}");
        assert_eq!(head(&response, "cross-origin-resource-policy"), "same-origin");
        assert_eq!(head(&response, header::REFERRER_POLICY), "no-referrer");
    }
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        MANIFEST,
        "/v1/none",
    ] {
        let response = app.get(path, &[]).await;
        let policy = head(&response, header::CONTENT_SECURITY_POLICY);
        assert_eq!(policy, "default-src 'none'; frame-ancestors 'none'", "{path}");
        let wanted = if path.starts_with("/v1") {
            "cross-origin"
        } else {
            "same-origin"
        };
        assert_eq!(head(&response, "cross-origin-resource-policy"), wanted, "{path}");
        // Without TLS nothing may be promised of it.
        assert_eq!(head(&response, header::STRICT_TRANSPORT_SECURITY), "", "{path}");
    }
    loop {
        let response = app.get("/", &[]).await;
        assert!(head(&response, header::CONTENT_SECURITY_POLICY).contains("frame-ancestors"));
        assert!(!head(&response, "permissions-policy").is_empty());
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
    }
}

/// A request is for one host; over HTTP/2 `:authority` says which.
#[tokio::test]
async fn a_request_says_once_for_which_host_it_is() {
    let app = App::shipped(&[]).await;
    let answer = async |version, address: &str, hosts: &[&str]| {
        let mut request = Request::builder().version(version).uri(address);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        let request = request.body(Body::empty()).unwrap();
        app.router.clone().oneshot(request).await.unwrap()
    };
    for (version, address, hosts, expected) in [
        (Version::HTTP_2, "http://a/v1/models", &[][..], 200),
        (Version::HTTP_2, "http://a:80/v1/models", &["A:80"], 200),
        (Version::HTTP_2, "/v1/models", &["a"], 200),
        (Version::HTTP_2, "/v1/models", &[], 400),
        (Version::HTTP_2, "http://a/v1/models", &["b"], 400),
        (Version::HTTP_2, "http://a/v1/models", &["a", "a"], 400),
        (Version::HTTP_2, "http://u@a/v1/models", &[], 400),
        (Version::HTTP_11, "http://a/v1/models", &["b"], 200),
        (Version::HTTP_11, "/v1/models", &[], 400),
        (Version::HTTP_11, "/", &["a", "b"], 400),
        (Version::HTTP_11, "/metrics", &["a b"], 400),
        (Version::HTTP_10, "/readyz", &[], 200),
    ] {
        let response = answer(version, address, hosts).await;
        assert_eq!(response.status(), expected, "{version:?} {address} {hosts:?}");
        if expected == 400 {
            let close = if version == Version::HTTP_2 { "" } else { "close" };
            assert_eq!(head(&response, header::CONNECTION), close);
            assert_eq!(head(&response, header::CACHE_CONTROL), "no-store");
            assert!(!head(&response, "x-request-id").is_empty());
            let why = String::from_utf8(body(response).await).unwrap();
            assert!(why.to_lowercase().contains("host"), "{why}");
        }
    }
}

#[tokio::test]
async fn nothing_outside_is_reachable() {
    let app = App::shipped(&[]).await;
    let outside = "../outside.txt ..%2foutside.txt %2e%2e/outside.txt %2e%2e%2foutside.txt ..%5coutside.txt ..\\outside.txt \
                   ..;/outside.txt %252e%252e%252foutside.txt %c0%ae%c0%ae/outside.txt ..%00/outside.txt ....//outside.txt \
                   .secret %2esecret v1/index.html //etc/passwd /etc/passwd index.html/ missing.js ..";
    let mut tried = 0;
    for name in outside.split_whitespace() {
        for base in [
            "/",
            "/v1/models/asasr-x4-clean/",
            "/v1/models/",
            "/v1/",
            "/v1/models/../../",
        ] {
            let path = format!("{base}{name}");
            if path.parse::<axum::http::Uri>().is_err() {
                continue;
            }
            tried += 1;
            let response = app.get(&path, &[]).await;
            let status = response.status();
            assert!(
                status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST,
                "{path}: {status}"
            );
            assert_ne!(body(response).await, common::OUTSIDE);
        }
    }
    assert!(tried > 60, "{tried}");
}

/// The API has no write path, and says what it has.
#[tokio::test]
async fn nothing_can_be_written() {
    let app = App::shipped(&[]).await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/", "/a.wasm", "/v1/models", MANIFEST, "/healthz", "/none"] {
            let response = app.send(method.clone(), path, &[]).await;
            assert_eq!(
                response.status(),
                StatusCode::METHOD_NOT_ALLOWED,
                "{method} {path}"
            );
            assert!(head(&response, header::ALLOW).contains("GET"), "{method} {path}");
        }
    }
}

/// A new release is served without a restart; whoever read the old manifest still gets its files.
#[tokio::test]
async fn releases_flip_at_once_and_old_files_stay_for_a_while() {
    let store = Store::in_memory();
    store.publish(&package("m", 0.25)).await.unwrap();
    let app = App::over(store.clone(), None, &[]);
    assert_eq!(
        app.get("/v1/models/m/manifest.json", &[]).await.status(),
        StatusCode::NOT_FOUND
    );
    let catalogue = app.service.catalogue();
    catalogue.refresh().await.unwrap();
    let old = format1::Manifest::from_json(&app.bytes("/v1/models/m/manifest.json").await).unwrap();
    store.publish(&package("m", 0.5)).await.unwrap();
    store.publish(&package("n", 0.5)).await.unwrap();
    assert_eq!(catalogue.ids(), ["m"]);
    catalogue.refresh().await.unwrap();
    assert_eq!(catalogue.ids(), ["m", "n"]);
    let new = format1::Manifest::from_json(&app.bytes("/v1/models/m/manifest.json").await).unwrap();
    assert_ne!(old.sha256, new.sha256);
    for sha256 in [&old.sha256, &new.sha256] {
        let bytes = app
            .bytes(&format!("/v1/models/m/restorer.safetensors?sha256={sha256}"))
            .await;
        assert_eq!(sha256_hex(&bytes), *sha256);
    }
    let bytes = app.bytes("/v1/models/m/restorer.safetensors").await;
    assert_eq!(sha256_hex(&bytes), new.sha256);
    store.roll_back("m", None, None).await.unwrap();
    catalogue.refresh().await.unwrap();
    let again = format1::Manifest::from_json(&app.bytes("/v1/models/m/manifest.json").await).unwrap();
    assert_eq!(again, old);
    // Long after, the file is of no model.
    for value in 1..8_u8 {
        store.publish(&package("m", f32::from(value))).await.unwrap();
    }
    catalogue.refresh().await.unwrap();
    let gone = app
        .get(
            &format!("/v1/models/m/restorer.safetensors?sha256={}", old.sha256),
            &[],
        )
        .await;
    assert_eq!(gone.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn with_a_key_only_what_it_signed_is_served() {
    let key = SigningKey::generate().unwrap();
    let store = Store::in_memory();
    store.publish(&package("m", 0.25)).await.unwrap();
    let app = App::over(store.clone(), Some(key.public()), &[]);
    let catalogue = app.service.catalogue();
    catalogue.refresh().await.unwrap();
    assert!(catalogue.ids().is_empty());
    let (manifest, bytes) = files("m", 0.5, 4);
    let json = manifest.to_json().unwrap();
    let signed = pack(&manifest, &bytes, Some(key.sign(json.as_bytes()))).unwrap();
    store.publish(&signed).await.unwrap();
    // An unsigned one that comes later changes nothing.
    store.publish(&package("m", 0.75)).await.unwrap();
    catalogue.refresh().await.unwrap();
    assert_eq!(app.bytes("/v1/models/m/manifest.json").await, json.as_bytes());
    let address = format!(
        "/v1/models/m/manifest.json.sig?sha256={}",
        sha256_hex(json.as_bytes())
    );
    let signature = String::from_utf8(app.bytes(&address).await).unwrap();
    assert_eq!(signature.trim(), key.sign(json.as_bytes()).to_string());
    let wrong = app.get(&address.replace("sha256=", "sha256=0"), &[]).await;
    assert_eq!(wrong.status(), StatusCode::NOT_FOUND);
    let kept = app
        .get(
            &format!(
                "/v1/models/m/manifest.json?sha256={}",
                sha256_hex(json.as_bytes())
            ),
            &[],
        )
        .await;
    assert!(head(&kept, header::CACHE_CONTROL).contains("immutable"));
}

/// A sound signature says who made a model, and its manifest which model it is: it is not served as another one.
#[tokio::test]
async fn a_signed_model_under_another_name_is_refused() {
    let key = SigningKey::generate().unwrap();
    let storage = Arc::new(InMemory::new());
    let store = Store::new(storage.clone());
    let (manifest, bytes) = files("weak", 0.5, 4);
    let signature = key.sign(manifest.to_json().unwrap().as_bytes());
    store
        .publish(&pack(&manifest, &bytes, Some(signature)).unwrap())
        .await
        .unwrap();
    // Whoever can write to the storage has no key, but can put a signed release in another's place.
    let from = object_store::path::Path::from("releases/weak/00000001.json");
    let to = object_store::path::Path::from("releases/strong/00000001.json");
    storage.copy(&from, &to).await.unwrap();
    for key in [Some(key.public()), None] {
        let app = App::over(store.clone(), key, &[]);
        app.service.catalogue().refresh().await.unwrap();
        assert_eq!(app.service.catalogue().ids(), ["weak"]);
        let response = app.get("/v1/models/strong/manifest.json", &[]).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        let metrics = String::from_utf8(app.bytes("/metrics").await).unwrap();
        assert!(metrics.contains("asasr_releases_refused 1"), "{metrics}");
    }
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_go_on() {
    let app = App::shipped(&[
        "--requests-per-second",
        "1",
        "--burst",
        "3",
        "--trusted-proxy",
        "127.0.0.0/8",
    ])
    .await;
    let by = |address: &'static str| [(HeaderName::from_static("x-forwarded-for"), address)];
    for _ in 0..3 {
        assert_eq!(
            app.get("/v1/models", &by("192.0.2.1")).await.status(),
            StatusCode::OK
        );
    }
    let response = app.get("/v1/models", &by("192.0.2.1")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!((1..=2).contains(&head(&response, header::RETRY_AFTER).parse::<u32>().unwrap()));
    // A page of another origin may read that, and ask again.
    let asked = [
        (header::ORIGIN, "https://a.example"),
        (HeaderName::from_static("x-forwarded-for"), "192.0.2.1"),
    ];
    let response = app.get("/v1/models", &asked).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(head(&response, header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert_eq!(head(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    // Whatever the client itself writes in front of what the proxy adds is not believed.
    for address in [
        "198.51.100.9, 192.0.2.1",
        "nonsense, 192.0.2.1",
        "192.0.2.1:50123",
        "192.0.2.1, 127.0.0.9",
    ] {
        let status = app.get("/v1/models", &by(address)).await.status();
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{address}");
    }
    assert_eq!(
        app.get("/v1/models", &by("192.0.2.2")).await.status(),
        StatusCode::OK
    );
    // One customer's network counts as one; the watchers are let in.
    for i in 0..3 {
        let address = format!("2001:db8::{i}");
        let head = [(HeaderName::from_static("x-forwarded-for"), &*address)];
        assert_eq!(app.get("/v1/models", &head).await.status(), StatusCode::OK);
    }
    assert_eq!(
        app.get("/v1/models", &by("2001:db8::9")).await.status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(
        app.get("/healthz", &by("2001:db8::9")).await.status(),
        StatusCode::OK
    );
    let text = String::from_utf8(app.bytes("/metrics").await).unwrap();
    assert!(text.contains("asasr_requests_limited_total 7"), "{text}");
}

#[tokio::test]
async fn the_numbers_are_counted() {
    let app = App::shipped(&[]).await;
    app.get("/v1/models", &[]).await;
    app.get("/none", &[]).await;
    let (path, _) = weights_address(&app).await;
    let len = app.bytes(&path).await.len();
    let text = String::from_utf8(app.bytes("/metrics").await).unwrap();
    for line in [
        "asasr_requests_total{route=\"models\",status=\"200\"} 1".to_owned(),
        "asasr_requests_total{route=\"page\",status=\"404\"} 1".into(),
        "asasr_requests_total{route=\"weights\",status=\"200\"} 1".into(),
        format!("asasr_models {}", asasr_weights::ALL.len()),
        "asasr_releases_refused 0".into(),
    ] {
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let bytes = text
        .lines()
        .find_map(|l| l.strip_prefix("asasr_response_body_bytes_total "));
    assert!(bytes.unwrap().parse::<usize>().unwrap() > len);
    assert!(text.ends_with("# EOF\n"));
    let apart = App::shipped(&["--admin-listen", "127.0.0.1:0"]).await;
    assert_eq!(apart.get("/metrics", &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn requests_have_names() {
    let app = App::shipped(&[]).await;
    let id = HeaderName::from_static("x-request-id");
    let given = app.get("/healthz", &[(id.clone(), "proxy-7_a.b")]).await;
    assert_eq!(head(&given, &id), "proxy-7_a.b");
    let long = "a".repeat(65);
    let mut made = std::collections::BTreeSet::new();
    for wrong in ["", "two words", "line\u{9}feed", "<script>", &long] {
        let response = app.get("/healthz", &[(id.clone(), wrong)]).await;
        assert_ne!(head(&response, &id), wrong);
        made.insert(head(&response, &id));
    }
    assert_eq!(made.len(), 5);
}

#[test]
fn a_wrong_page_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let source = PageSource::Folder(folder.path().into());
        let catalogue = asasr_server::Catalogue::new(Store::in_memory(), None, 1 << 20);
        asasr_server::Service::new(source, catalogue, &config(&[])).map(drop)
    };
    assert!(open().unwrap_err().contains("cargo xtask page"));
    fs::write(folder.path().join("index.html"), "page").unwrap();
    open().unwrap();
    // A folder given by mistake is not read into memory.
    fs::File::create(folder.path().join("film"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(open().unwrap_err().contains("is this the page's folder?"));
}

#[test]
fn settings_come_from_flags_then_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    fs::write(
        &file,
        "listen = \"127.0.0.1:1\"\ncache-mb = 99\nburst = \"7\"\nallow_origin = [\"https://a.example\", \"https://b.example\"]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let config = config(&["--config", file, "--listen", "127.0.0.1:2"]);
    assert_eq!(config.listen.port(), 2);
    assert_eq!((config.cache_mb, config.burst), (99, 7));
    assert_eq!(config.allow_origin, ["https://a.example", "https://b.example"]);
    let Invocation::Print(text) = Config::read([
        "asasr-server",
        "--config",
        file,
        "--refresh",
        "2m",
        "--print-config",
    ])
    .unwrap() else {
        panic!("nothing to print");
    };
    for line in [
        "listen = \"127.0.0.1:1\" # file",
        "refresh = \"2m\" # flag",
        "burst = \"7\" # file",
        "header-bytes = \"16384\" # built in",
        "# store is not set",
        "allow-origin = [\"https://a.example\", \"https://b.example\"] # file",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    // What it prints is a settings file that means the same.
    let again = folder.path().join("again.toml");
    fs::write(&again, &text).unwrap();
    let Invocation::Serve(again) =
        Config::read(["asasr-server", "--config", again.to_str().unwrap()]).unwrap()
    else {
        panic!("nothing to serve");
    };
    assert_eq!((again.burst, again.refresh.to_string()), (7, "2m".to_owned()));
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let path = file.to_str().unwrap();
    let why = |args: &[&str]| {
        Config::read(["asasr-server"].iter().chain(args))
            .unwrap_err()
            .to_string()
    };
    for (text, words) in [
        ("lisen = \"127.0.0.1:1\"", vec!["lisen", "listen", "cache-mb"]),
        ("config = \"other.toml\"", vec!["no setting config"]),
        ("listen = 1.5", vec!["listen", "text"]),
        ("listen = \"nowhere\"", vec!["nowhere", "--listen"]),
        ("cache-mb = 1", vec!["68"]),
        ("not toml", vec!["server.toml"]),
    ] {
        fs::write(&file, text).unwrap();
        let told = why(&["--config", path]);
        for word in words {
            assert!(told.contains(word), "{text}: {told}");
        }
    }
    assert!(why(&["--config", "/nowhere.toml"]).contains("/nowhere.toml"));
    assert!(why(&["--tls-cert", "a.pem"]).contains("--tls-key"));
    assert!(why(&["--allow-origin", "example.org/path"]).contains("https://example.org"));
    assert!(why(&["--refresh", "soon"]).contains("30s"));
    assert!(why(&["--refresh", "0s"]).contains("longer"));
    assert!(why(&["--trusted-proxy", "10.0.0.0/99"]).contains("10.0.0.0/99"));
}
