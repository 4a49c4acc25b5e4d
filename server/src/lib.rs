//! The page and the models' weights over HTTP.
//!
//! | address | what |
//! |---|---|
//! | `/` and below | the built page |
//! | `/v1/models` | the models, with the size and sha256 of their weights |
//! | `/v1/models/{id}/manifest.json` | a model's manifest |
//! | `/v1/models/{id}/{file}` | its weights; with `?sha256=` of the right hash they never change |
//! | `/healthz` | `ok` |
//!
//! There is no write path.

mod models;
mod page;

use axum::{Router, http::HeaderValue, http::header, response::IntoResponse as _, routing::get};
use tower_http::set_header::SetResponseHeaderLayer;

pub use models::{Model, Models};
pub use page::Page;

/// Scripts and connections of this origin only; WebAssembly may compile; results are shown from blobs.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
                      img-src 'self' blob: data:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The whole service.
pub fn router(page: &Page, models: Models) -> Router {
    let fixed = |name, value| SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .nest("/v1/models", models.router())
        .route("/v1/{*rest}", get(|| async { not_found() }))
        .fallback_service(page.service())
        .layer(fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(fixed(header::CONTENT_SECURITY_POLICY, POLICY))
        .layer(fixed(header::REFERRER_POLICY, "no-referrer"))
}

fn not_found() -> axum::response::Response {
    (
        axum::http::StatusCode::NOT_FOUND,
        "there is nothing at this address\n",
    )
        .into_response()
}
