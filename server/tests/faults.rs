//! A storage that fails: clients are told, never given a short file that passes, and served on as soon as it is back.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use asasr_store::{Store, sha256_hex};
use axum::http::{StatusCode, header};
use common::faulty::{Fault, Faulty};
use common::models::{files, package};
use common::{App, body, head};
use futures_util::TryStreamExt as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _};

const FAULTS: [Fault; 5] = [
    Fault::Down,
    Fault::Hanging,
    Fault::Short,
    Fault::Cut,
    Fault::Flipped,
];
const WEIGHTS: &str = "/v1/models/m/restorer.safetensors";

async fn over(objects: &Arc<Faulty>) -> (App, Store) {
    let store = Store::new(Arc::clone(objects) as _).with_patience(Duration::from_millis(100));
    store.publish(&package("m", 0.25)).await.unwrap();
    (App::over(store.clone(), None, &[]), store)
}

/// It starts without its storage, says that it is not ready, and serves as soon as it can.
#[tokio::test]
async fn a_storage_that_is_down_at_the_start() {
    for fault in [Fault::Down, Fault::Hanging] {
        let objects = Arc::new(Faulty::default());
        let (app, _) = over(&objects).await;
        objects.set(fault);
        app.service.catalogue().refresh().await.unwrap_err();
        let response = app.get("/readyz", &[]).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(app.get("/healthz", &[]).await.status(), StatusCode::OK);
        assert_eq!(app.get("/", &[]).await.status(), StatusCode::OK);
        objects.set(Fault::None);
        app.service.catalogue().refresh().await.unwrap();
        assert_eq!(app.get("/readyz", &[]).await.status(), StatusCode::OK);
        assert_eq!(app.get(WEIGHTS, &[]).await.status(), StatusCode::OK);
    }
}

/// What was read before is served on while the storage is away, and readiness says that it is.
#[tokio::test]
async fn a_storage_that_goes_away_later() {
    for fault in FAULTS {
        let objects = Arc::new(Faulty::default());
        let (app, store) = over(&objects).await;
        app.service.catalogue().refresh().await.unwrap();
        let before = app.bytes("/v1/models").await;
        store.publish(&package("m", 0.5)).await.unwrap();
        objects.set(fault);
        let refreshed = app.service.catalogue().refresh().await;
        let gone = matches!(fault, Fault::Down | Fault::Hanging);
        assert_eq!(refreshed.is_err(), gone, "{fault:?}");
        let ready = app.get("/readyz", &[]).await.status();
        assert_eq!(ready == StatusCode::OK, !gone, "{fault:?}");
        // A release that cannot be read whole is not shown.
        assert_eq!(app.bytes("/v1/models").await, before, "{fault:?}");
        assert_eq!(
            sha256_hex(&app.bytes(WEIGHTS).await),
            files("m", 0.25, 4).0.sha256
        );
        objects.set(Fault::None);
        app.service.catalogue().refresh().await.unwrap();
        assert_eq!(sha256_hex(&app.bytes(WEIGHTS).await), files("m", 0.5, 4).0.sha256);
    }
}

/// A file that is not in memory when the storage fails: an error that says to come again, and no byte of the file.
#[tokio::test]
async fn weights_that_cannot_be_read() {
    for fault in FAULTS {
        let objects = Arc::new(Faulty::default());
        let (app, store) = over(&objects).await;
        // The older release's file is read when it is asked for.
        store.publish(&package("m", 0.5)).await.unwrap();
        app.service.catalogue().refresh().await.unwrap();
        let (manifest, bytes) = files("m", 0.25, 4);
        let address = format!("{WEIGHTS}?sha256={}", manifest.sha256);
        objects.set(fault);
        let start = Instant::now();
        let response = app.get(&address, &[]).await;
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{fault:?}");
        assert_eq!(head(&response, header::CACHE_CONTROL), "no-store");
        assert!(!head(&response, header::RETRY_AFTER).is_empty());
        assert!(
            String::from_utf8(body(response).await)
                .unwrap()
                .contains("try again")
        );
        objects.set(Fault::None);
        assert_eq!(app.bytes(&address).await, bytes, "{fault:?}");
    }
}

/// A storage that lists and does not deliver is none: a balancer must not send clients here.
#[tokio::test]
async fn a_storage_that_only_lists() {
    for fault in [Fault::Short, Fault::Cut, Fault::Flipped] {
        let objects = Arc::new(Faulty::default());
        let (app, _) = over(&objects).await;
        objects.set(fault);
        app.service.catalogue().refresh().await.unwrap();
        assert_eq!(
            app.get("/readyz", &[]).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        let text = String::from_utf8(app.bytes("/metrics").await).unwrap();
        assert!(text.contains("asasr_releases_refused 1"), "{text}");
        objects.set(Fault::None);
        app.service.catalogue().refresh().await.unwrap();
        assert_eq!(app.get("/readyz", &[]).await.status(), StatusCode::OK);
        let text = String::from_utf8(app.bytes("/metrics").await).unwrap();
        assert!(text.contains("asasr_releases_refused 0"), "{text}");
    }
}

/// A store that was emptied and filled anew under the same numbers.
#[tokio::test]
async fn another_record_under_the_same_number() {
    let objects = Arc::new(Faulty::default());
    let (app, store) = over(&objects).await;
    app.service.catalogue().refresh().await.unwrap();
    let all: Vec<_> = objects
        .inner
        .list(None)
        .map_ok(|m| m.location)
        .try_collect()
        .await
        .unwrap();
    for path in all {
        objects.inner.delete(&path).await.unwrap();
    }
    store.publish(&package("m", 0.5)).await.unwrap();
    app.service.catalogue().refresh().await.unwrap();
    assert_eq!(sha256_hex(&app.bytes(WEIGHTS).await), files("m", 0.5, 4).0.sha256);
}

/// A folder that is moved away, or a bucket that is empty all at once, takes no model from the clients.
#[tokio::test]
async fn a_store_that_vanishes() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("store");
    let store = Store::create(place.to_str().unwrap()).unwrap();
    store.publish(&package("m", 0.25)).await.unwrap();
    let app = App::over(store, None, &[]);
    app.service.catalogue().refresh().await.unwrap();
    let away = folder.path().join("away");
    std::fs::rename(&place, &away).unwrap();
    for empty in [false, true] {
        if empty {
            std::fs::create_dir(&place).unwrap();
        }
        app.service.catalogue().refresh().await.unwrap_err();
        assert_eq!(
            app.get("/readyz", &[]).await.status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert_eq!(app.get(WEIGHTS, &[]).await.status(), StatusCode::OK);
    }
    std::fs::remove_dir(&place).unwrap();
    std::fs::rename(&away, &place).unwrap();
    app.service.catalogue().refresh().await.unwrap();
    assert_eq!(app.get("/readyz", &[]).await.status(), StatusCode::OK);
    // One that never had any is not ready either.
    let none = App::over(Store::in_memory(), None, &[]);
    none.service.catalogue().refresh().await.unwrap();
    assert_eq!(
        none.get("/readyz", &[]).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

/// A thousand who want one file at once cause one reading; when that fails, all are told, and the next one reads again.
#[tokio::test]
async fn one_reading_for_many() {
    let objects = Arc::new(Faulty::default());
    let store = Store::new(Arc::clone(&objects) as _).with_patience(Duration::from_millis(200));
    store.publish(&package("m", 0.25)).await.unwrap();
    store.publish(&package("m", 0.5)).await.unwrap();
    let app = Arc::new(App::over(store, None, &["--requests-per-second", "0"]));
    app.service.catalogue().refresh().await.unwrap();
    let address = format!("{WEIGHTS}?sha256={}", files("m", 0.25, 4).0.sha256);
    for (fault, expected) in [
        (Fault::Hanging, StatusCode::SERVICE_UNAVAILABLE),
        (Fault::Late, StatusCode::OK),
    ] {
        objects.set(fault);
        let before = objects.gets.load(Ordering::Relaxed);
        let tasks: Vec<_> = (0..1000)
            .map(|_| {
                let (app, address) = (Arc::clone(&app), address.clone());
                tokio::spawn(async move { app.get(&address, &[]).await.status() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), expected, "{fault:?}");
        }
        assert_eq!(objects.gets.load(Ordering::Relaxed) - before, 1, "{fault:?}");
    }
}
