//! A service in this process.
#![allow(dead_code, reason = "shared by several tests, each of which uses a part")]

#[path = "../../../store/tests/faulty.rs"]
pub(crate) mod faulty;
#[path = "../../../store/tests/models.rs"]
pub(crate) mod models;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use asasr_server::{Catalogue, Config, Invocation, PageSource, Service, embedded, router};
use asasr_store::{PublicKey, Store};
use axum::Router;
use axum::body::Body;
use axum::http::header::HOST;
use axum::http::{HeaderName, Method, Request};
use axum::response::Response;
use http_body_util::BodyExt as _;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// What lies outside of the page.
pub(crate) const OUTSIDE: &[u8] = b"nobody may read this";

/// Settings as a command line gives them.
pub(crate) fn config(args: &[&str]) -> Config {
    match Config::read(["asasr-server"].iter().chain(args)).unwrap() {
        Invocation::Serve(config) => *config,
        Invocation::Print(text) => panic!("{text}"),
    }
}

/// The folder of a page.
pub(crate) struct Page(TempDir);

impl Page {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("page")
    }
}

/// A page of three files, one of them compressed beforehand; beside its folder lies what nobody may read.
pub(crate) fn page() -> Page {
    let page = Page(tempfile::tempdir().unwrap());
    fs::create_dir(page.path()).unwrap();
    fs::write(page.0.path().join("outside.txt"), OUTSIDE).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(page.path().join(name), bytes).unwrap();
    write("index.html", b"<title>page</title>");
    write("a.wasm", &b"\0asm".repeat(100));
    write("a.wasm.br", b"brotli");
    write("a.wasm.gz", b"gzipped");
    write("lone.gz", b"an archive of its own");
    write(".secret", b"hidden");
    fs::create_dir(page.path().join("v1")).unwrap();
    write("v1/index.html", b"not of the page");
    page
}

/// A service with its models read.
pub(crate) struct App {
    pub(crate) service: Arc<Service>,
    pub(crate) router: Router,
    _page: Page,
}

impl App {
    pub(crate) async fn shipped(args: &[&str]) -> Self {
        let app = Self::over(embedded().await.unwrap(), None, args);
        app.service.catalogue().refresh().await.unwrap();
        app
    }

    pub(crate) fn over(store: Store, key: Option<PublicKey>, args: &[&str]) -> Self {
        let page = page();
        let source = PageSource::Folder(page.path());
        let service = Service::new(source, Catalogue::new(store, key, 100 << 20), &config(args)).unwrap();
        Self {
            router: router(&service),
            service,
            _page: page,
        }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, head: &[(HeaderName, &str)]) -> Response {
        let mut request = Request::builder().method(method).uri(path);
        if head.iter().all(|(name, _)| name != HOST) {
            request = request.header(HOST, "localhost");
        }
        for (name, value) in head {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str, head: &[(HeaderName, &str)]) -> Response {
        self.send(Method::GET, path, head).await
    }

    pub(crate) async fn bytes(&self, path: &str) -> Vec<u8> {
        body(self.get(path, &[]).await).await
    }
}

pub(crate) async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

pub(crate) fn head(response: &Response, name: impl axum::http::header::AsHeaderName) -> String {
    let value = response.headers().get(name);
    value.map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default()
}
