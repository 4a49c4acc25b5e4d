//! `/v1`: what a client reads.

use std::sync::{Arc, LazyLock};

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Router, middleware, routing::get};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::error;

use crate::asset::Asset;
use crate::headers::NOTHING_RUNS;
use crate::observe::{self, Route};
use crate::{Catalogue, FOREVER, RESOURCE_POLICY, REVALIDATE, Service, not_found, with_header};

/// The description of this API, in `OpenAPI` 3.1.
pub const OPENAPI: &str = include_str!("openapi.json");

pub(crate) fn router(service: &Arc<Service>) -> Router<Arc<Service>> {
    let origins = &service.origins;
    // Answers to requests that are none of these must not be readable from elsewhere either, so it is around all of /v1.
    let any = origins.iter().any(|o| o == "*");
    let named: Vec<HeaderValue> = origins.iter().filter_map(|o| o.parse().ok()).collect();
    let cors = CorsLayer::new()
        .allow_origin(if any {
            AllowOrigin::any()
        } else {
            AllowOrigin::list(named)
        })
        .allow_methods([Method::GET, Method::HEAD])
        .allow_headers([
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
        ])
        .expose_headers([
            header::ETAG,
            header::CONTENT_LENGTH,
            header::CONTENT_RANGE,
            header::ACCEPT_RANGES,
            header::RETRY_AFTER,
            HeaderName::from_static("x-request-id"),
        ])
        .max_age(std::time::Duration::from_hours(24));
    // A page that isolates itself may embed what is meant for every origin.
    let resource = if any { "cross-origin" } else { "same-site" };
    Router::new()
        .route("/openapi.json", get(openapi))
        .route("/models", get(list))
        .route("/models/", get(list))
        .route("/models/{id}/manifest.json", get(manifest))
        .route("/models/{id}/manifest.json.sig", get(signature))
        .route("/models/{id}/{file}", get(weights))
        .fallback(|| async { not_found() })
        // Who is turned away may still be told when to come again.
        .layer(middleware::from_fn_with_state(
            Arc::clone(service),
            observe::limit,
        ))
        .layer(cors)
        .layer(with_header(RESOURCE_POLICY, Some(resource)))
        .layer(with_header(header::CONTENT_SECURITY_POLICY, Some(NOTHING_RUNS)))
}

/// The hash that a client already knows; not a hash where it is something else.
fn known(query: Option<&str>) -> Option<&str> {
    query?.split('&').find_map(|pair| pair.strip_prefix("sha256="))
}

async fn openapi(method: Method, headers: HeaderMap) -> Response {
    static ASSET: LazyLock<Asset> =
        LazyLock::new(|| Asset::hashed(OPENAPI.as_bytes().into(), "application/json").compressed());
    Route::Models.marks(ASSET.answer(&method, &headers, REVALIDATE))
}

async fn list(State(service): State<Arc<Service>>, method: Method, headers: HeaderMap) -> Response {
    Route::Models.marks(
        service
            .catalogue
            .picture()
            .list
            .answer(&method, &headers, REVALIDATE),
    )
}

async fn manifest(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let picture = service.catalogue.picture();
    let wanted = known(query.as_deref());
    let caching = if wanted.is_some() { FOREVER } else { REVALIDATE };
    Route::Manifest.marks(match picture.offer(&id, wanted) {
        Some(offer) => offer.manifest.answer(&method, &headers, caching),
        None if wanted.is_some() && !picture.offers(&id).is_empty() => changed(),
        None => not_found(),
    })
}

async fn signature(
    State(service): State<Arc<Service>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let picture = service.catalogue.picture();
    // The signature of a manifest that was just read must not be that of the next one.
    let offer = picture.offer(&id, known(query.as_deref()));
    Route::Manifest.marks(match offer.and_then(|o| o.signature.as_ref()) {
        Some(asset) => asset.answer(&method, &headers, REVALIDATE),
        None => not_found(),
    })
}

async fn weights(
    State(service): State<Arc<Service>>,
    Path((id, file)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
) -> Response {
    Route::Weights.marks(
        find_weights(
            &service.catalogue,
            &id,
            &file,
            known(query.as_deref()),
            (&method, &headers),
        )
        .await,
    )
}

async fn find_weights(
    catalogue: &Catalogue,
    id: &str,
    file: &str,
    known: Option<&str>,
    (method, headers): (&Method, &HeaderMap),
) -> Response {
    let picture = catalogue.picture();
    let offers = picture.offers(id);
    let named = |offer: &crate::catalogue::Offer| {
        let files = offer.release.manifest.files();
        let found = files
            .iter()
            .find(|f| f.name == file && known.is_none_or(|k| k == f.sha256));
        found.map(|f| f.sha256.to_owned())
    };
    // Without a hash it is the current release's; with one it may be that of a release that was just replaced.
    let count = if known.is_some() { offers.len() } else { 1 };
    let Some(sha256) = offers.iter().take(count).find_map(|o| named(o)) else {
        let there = offers
            .first()
            .is_some_and(|o| o.release.manifest.files().iter().any(|f| f.name == file));
        return if there { changed() } else { not_found() };
    };
    match catalogue.weights(&sha256).await {
        Ok(asset) => asset.answer(
            method,
            headers,
            if known.is_some() { FOREVER } else { REVALIDATE },
        ),
        Err(why) => {
            error!(model = id, file, %why, "weights cannot be served");
            unavailable("the storage does not deliver this file now: try again in a moment\n")
        }
    }
}

fn changed() -> Response {
    let why = "the model has other files now: read its manifest again\n";
    (StatusCode::NOT_FOUND, [(header::CACHE_CONTROL, "no-store")], why).into_response()
}

pub(crate) fn unavailable(why: impl Into<String>) -> Response {
    let head = [(header::RETRY_AFTER, "5"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::SERVICE_UNAVAILABLE, head, why.into()).into_response()
}
