//! Paths and headers of all kinds: answers are always one of the few that there are, and parts always fit the whole.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::sync::LazyLock;

use asasr_store::Store;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use common::models::{files, package};
use common::{App, body, head};
use proptest::prelude::*;
use tokio::runtime::Runtime;

const CASES: u32 = 2000;
const WEIGHTS: &str = "/v1/models/m/restorer.safetensors";

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
});

static APP: LazyLock<App> = LazyLock::new(|| {
    RUNTIME.block_on(async {
        let store = Store::in_memory();
        store.publish(&package("m", 0.25)).await.unwrap();
        let app = App::over(store, None, &["--requests-per-second", "0"]);
        app.service.catalogue().refresh().await.unwrap();
        app
    })
});

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| files("m", 0.25, 4).1);

fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("v1".to_owned()),
        Just("models".into()),
        Just("m".into()),
        Just("manifest.json".into()),
        Just("manifest.json.sig".into()),
        Just("restorer.safetensors".into()),
        Just("..".into()),
        Just("%2e%2e%2f".into()),
        Just("index.html".into()),
        "[!-~&&[^?# ]]{0,12}",
        "(%[0-9a-f]{2}){1,6}",
    ];
    let query = prop_oneof![
        3 => Just(String::new()),
        1 => Just(format!("?sha256={}", files("m", 0.25, 4).0.sha256)),
        1 => "\\?[!-~&&[^# ]]{0,30}",
        1 => "\\?sha256=[0-9a-f]{0,70}",
    ];
    (prop::collection::vec(piece, 0..7), query)
        .prop_map(|(pieces, query)| format!("/{}{query}", pieces.join("/")))
}

fn range() -> impl Strategy<Value = String> {
    let number = prop_oneof![0..2_000_u64, Just(u64::MAX), any::<u64>()];
    let one = prop_oneof![
        (number.clone(), number.clone()).prop_map(|(a, b)| format!("{a}-{b}")),
        number.clone().prop_map(|a| format!("{a}-")),
        number.prop_map(|a| format!("-{a}")),
        "[0-9-]{0,24}",
    ];
    prop_oneof![
        6 => one.clone().prop_map(|r| format!("bytes={r}")),
        1 => prop::collection::vec(one, 0..40).prop_map(|r| format!("bytes={}", r.join(","))),
        1 => "[ -~]{0,60}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_path_and_header(
        path in path(),
        method in prop_oneof![Just(Method::GET), Just(Method::HEAD), Just(Method::OPTIONS), Just(Method::POST)],
        name in prop_oneof![
            Just(header::RANGE), Just(header::IF_NONE_MATCH), Just(header::IF_MATCH), Just(header::IF_RANGE),
            Just(header::ACCEPT_ENCODING), Just(header::ORIGIN), Just(HeaderName::from_static("x-forwarded-for")),
            Just(HeaderName::from_static("x-request-id")), Just(header::ACCESS_CONTROL_REQUEST_METHOD),
        ],
        value in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        prop_assume!(path.parse::<Uri>().is_ok());
        let mut request = axum::http::Request::builder().method(method).uri(&path).header("host", "localhost").body(axum::body::Body::empty()).unwrap();
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            request.headers_mut().insert(name, value);
        }
        let response = RUNTIME.block_on(tower::ServiceExt::oneshot(APP.router.clone(), request)).unwrap();
        let known = [200, 206, 304, 400, 404, 405, 412, 416];
        prop_assert!(known.contains(&response.status().as_u16()), "{path}: {}", response.status());
        prop_assert_eq!(head(&response, header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        if response.status() == StatusCode::OK && head(&response, header::CONTENT_TYPE) == "application/octet-stream" {
            let bytes = RUNTIME.block_on(body(response));
            prop_assert!(bytes.is_empty() || bytes == *BYTES, "{path}");
        }
    }

    #[test]
    fn any_range_is_a_part_of_the_whole(range in range(), fresh in any::<bool>()) {
        let tag = format!("\"{}\"", asasr_store::sha256_hex(&BYTES));
        let sent = if fresh { tag } else { "\"other\"".into() };
        let response = RUNTIME.block_on(APP.get(WEIGHTS, &[(header::RANGE, &range), (header::IF_RANGE, &sent)]));
        let (status, content) = (response.status(), head(&response, header::CONTENT_RANGE));
        let bytes = RUNTIME.block_on(body(response));
        match status {
            StatusCode::OK => prop_assert_eq!(&bytes, &*BYTES),
            StatusCode::PARTIAL_CONTENT => {
                prop_assert!(fresh);
                let (part, len) = content.strip_prefix("bytes ").unwrap().split_once('/').unwrap();
                let (first, last) = part.split_once('-').unwrap();
                let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
                prop_assert_eq!(len.parse::<usize>().unwrap(), BYTES.len());
                prop_assert_eq!(&bytes, &BYTES[first..=last]);
            }
            StatusCode::RANGE_NOT_SATISFIABLE => prop_assert!(fresh && bytes.is_empty()),
            other => prop_assert!(false, "{range}: {other}"),
        }
    }
}
