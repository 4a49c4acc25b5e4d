//! The page and the models' weights over HTTP.
//!
//! | address | what |
//! |---|---|
//! | `/` and below | the built page |
//! | `/v1/models` | the models, with size and sha256 of their files |
//! | `/v1/models/{id}/manifest.json` | a model's manifest; its signature at `manifest.json.sig` |
//! | `/v1/models/{id}/{file}` | its weights; with `?sha256=` of the right hash they never change |
//! | `/v1/openapi.json` | the description of the above for machines |
//! | `/healthz`, `/readyz`, `/metrics` | for whoever runs it |
//!
//! There is no write path. Everything is answered from memory: manifests and page as a whole, weights from a bounded
//! cache over the [store](asasr_store), each file checked against its hash before its first byte goes out.

mod activity;
mod api;
mod asset;
mod catalogue;
mod config;
mod headers;
mod host;
mod limits;
mod listen;
mod log;
mod metrics;
mod observe;
mod page;
mod run;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware, routing::get};
use tower_http::set_header::SetResponseHeaderLayer;

pub use api::OPENAPI;
pub use catalogue::Catalogue;
pub use config::{Config, Invocation, LogFormat, Span};
pub use listen::Listening;
pub use observe::Peer;
pub use page::PageSource;
pub use run::{embedded, run};

use limits::Limits;
use metrics::Metrics;
use observe::Route;

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// What is named by its hash never changes; a year is the longest that caches heed.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Everything else is asked for again and confirmed by its `ETag`.
const REVALIDATE: &str = "public, no-cache";

/// Everything that requests share.
#[derive(Debug)]
pub struct Service {
    catalogue: Arc<Catalogue>,
    source: PageSource,
    page: ArcSwap<page::Page>,
    limits: Arc<Limits>,
    metrics: Metrics,
    origins: Vec<String>,
    metrics_elsewhere: bool,
    /// Whether it answers over TLS itself.
    encrypted: bool,
}

impl Service {
    /// Reads the page.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn new(source: PageSource, catalogue: Catalogue, config: &Config) -> Result<Arc<Self>, String> {
        let page = source.read()?;
        Ok(Arc::new(Self {
            catalogue: Arc::new(catalogue),
            source,
            page: ArcSwap::from_pointee(page),
            limits: Arc::new(Limits::new(config)),
            metrics: Metrics::new(),
            origins: config.allow_origin.clone(),
            metrics_elsewhere: config.admin_listen.is_some(),
            encrypted: config.tls_cert.is_some(),
        }))
    }

    /// Reads the page again; the old one stays where that fails.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn reload_page(&self) -> Result<(), String> {
        self.page.store(Arc::new(self.source.read()?));
        Ok(())
    }

    /// The models.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }
}

/// The whole service.
pub fn router(service: &Arc<Service>) -> Router {
    let mut operations = Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready));
    if !service.metrics_elsewhere {
        operations = operations.route("/metrics", get(metrics));
    }
    let operations = operations
        .layer(with_header(
            header::CONTENT_SECURITY_POLICY,
            Some(headers::NOTHING_RUNS),
        ))
        .layer(with_header(RESOURCE_POLICY, Some("same-origin")));
    let pages = Router::new()
        .fallback(page)
        .layer(middleware::from_fn_with_state(
            Arc::clone(service),
            observe::limit,
        ))
        // Around whatever is answered here, what is refused too: each may be looked at in a browser.
        .layer(middleware::map_response(headers::page))
        .with_state(Arc::clone(service));
    // Whoever watches over the server is not turned away by it.
    Router::new()
        .merge(operations)
        .nest("/v1", api::router(service))
        .fallback_service(pages)
        .layer(middleware::from_fn(host::check))
        .layer(with_header(header::X_CONTENT_TYPE_OPTIONS, Some("nosniff")))
        .layer(with_header(
            header::STRICT_TRANSPORT_SECURITY,
            service.encrypted.then_some(headers::TLS_ONLY),
        ))
        .layer(middleware::from_fn_with_state(
            Arc::clone(service),
            observe::observe,
        ))
        .with_state(Arc::clone(service))
}

/// What is not for everyone, where it has an address of its own.
pub(crate) fn admin_router(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .layer(middleware::from_fn(host::check))
        .layer(with_header(
            header::CONTENT_SECURITY_POLICY,
            Some(headers::NOTHING_RUNS),
        ))
        .layer(with_header(header::X_CONTENT_TYPE_OPTIONS, Some("nosniff")))
        .with_state(Arc::clone(service))
}

/// Puts a header on every answer, where there is something to say.
fn with_header(name: HeaderName, value: Option<&'static str>) -> SetResponseHeaderLayer<Option<HeaderValue>> {
    SetResponseHeaderLayer::overriding(name, value.map(HeaderValue::from_static))
}

async fn page(State(service): State<Arc<Service>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    service
        .page
        .load()
        .answer(request.method(), request.uri().path(), request.headers())
}

async fn healthy() -> Response {
    operations(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into())
}

async fn ready(State(service): State<Arc<Service>>) -> Response {
    match service.catalogue.ready().await {
        Ok(()) => operations(StatusCode::OK, "text/plain; charset=utf-8", "ready\n".into()),
        // The storage's own words may name what is not for everyone: they are in the log.
        Err(why) => {
            tracing::warn!(why, "not ready");
            let text = "not ready: models or storage cannot be read; the log says why\n";
            operations(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                text.into(),
            )
        }
    }
}

async fn metrics(State(service): State<Arc<Service>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    operations(StatusCode::OK, kind, service.metrics.text(&service.catalogue))
}

fn operations(status: StatusCode, kind: &'static str, text: String) -> Response {
    let head = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")];
    Route::Operations.marks((status, head, text).into_response())
}

fn not_found() -> Response {
    let why = "there is nothing at this address\n";
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-cache")], why).into_response()
}
