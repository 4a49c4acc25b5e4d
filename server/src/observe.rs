//! What happens to every request: a number, a limit, a count, a line in the log.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::HttpBody as _;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tracing::{info, warn};

use crate::Service;
use crate::metrics::Labels;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The connection's other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// What kind of address was asked for, as the metrics count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Route {
    Page,
    Models,
    Manifest,
    Weights,
    Operations,
    /// Turned away before it was looked at.
    Limited,
}

impl Route {
    pub(crate) fn marks(self, mut answer: Response) -> Response {
        answer.extensions_mut().insert(self);
        answer
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Models => "models",
            Self::Manifest => "manifest",
            Self::Weights => "weights",
            Self::Operations => "operations",
            Self::Limited => "limited",
        }
    }
}

pub(crate) async fn observe(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let client = service.limits.client(peer(&request), request.headers());
    let id = request_id(request.headers());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut answer = next.run(request).await;
    let route = answer.extensions().get::<Route>().copied().unwrap_or(Route::Page);
    let status = answer.status();
    let bytes = answer.body().size_hint().exact().unwrap_or(0);
    let seconds = start.elapsed().as_secs_f64();
    service.metrics.count(
        &Labels {
            route: route.name(),
            status: status.as_u16(),
        },
        seconds,
        bytes,
    );
    if status.is_server_error() {
        warn!(target: "access", id, %client, %method, path, status = status.as_u16(), bytes, seconds);
    } else {
        info!(target: "access", id, %client, %method, path, status = status.as_u16(), bytes, seconds);
    }
    if let Ok(id) = HeaderValue::try_from(id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    answer
}

/// Turns away who asks too much.
pub(crate) async fn limit(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let client = service.limits.client(peer(&request), request.headers());
    match service.limits.admit(client) {
        Ok(()) => next.run(request).await,
        Err(wait) => {
            service.metrics.limited.inc();
            Route::Limited.marks(too_many(wait))
        }
    }
}

fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<Peer>();
    peer.map_or(Ipv4Addr::LOCALHOST.into(), |p| p.0.ip())
}

fn too_many(wait: std::time::Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let head = [
        (header::RETRY_AFTER, seconds.to_string()),
        (header::CACHE_CONTROL, "no-store".into()),
    ];
    let why = format!("too many requests from this address: go on in {seconds} s\n");
    (StatusCode::TOO_MANY_REQUESTS, head, why).into_response()
}

/// The one that a proxy gave, where it is harmless in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static BEGIN: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let given = headers.get(REQUEST_ID).and_then(|v| v.to_str().ok());
    let harmless = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    if let Some(id) = given.filter(|id| (1..=64).contains(&id.len()) && id.bytes().all(harmless)) {
        return id.to_owned();
    }
    // Two starts of the server, and two copies of it, differ in the first part.
    let begin = BEGIN.get_or_init(|| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        now.as_nanos() as u64 ^ u64::from(std::process::id()).rotate_left(40)
    });
    format!("{begin:016x}-{:x}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// IPv6 hands whole networks to one customer.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6([a, b, c, d, 0, 0, 0, 0].into())
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}
