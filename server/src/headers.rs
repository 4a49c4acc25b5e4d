//! What browsers are told to keep apart and to forbid.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

/// Scripts and connections of this origin only; WebAssembly may compile; results are shown from blobs. `cargo xtask page` puts
/// the same words into the page itself, for hosts that send no headers of ours.
const POLICY: &str = include_str!("policy.txt");

/// The page's policy, with what only a header can say: nobody frames it.
static PAGE_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let text = format!("{}; frame-ancestors 'none'", POLICY.trim());
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(NOTHING_RUNS))
});

/// The page runs by itself and in nothing else, and uses nothing of the device but its processors.
const PAGE: [(&str, &str); 5] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "accelerometer=(), autoplay=(), bluetooth=(), browsing-topics=(), camera=(), clipboard-read=(), clipboard-write=(), \
         display-capture=(), encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), \
         idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
         publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), \
         window-management=(), xr-spatial-tracking=()",
    ),
];

/// The policy of answers that are data: looked at by themselves they load nothing and are framed by nobody.
pub(crate) const NOTHING_RUNS: &str = "default-src 'none'; frame-ancestors 'none'";

/// Who came over TLS once comes over TLS for a year.
pub(crate) const TLS_ONLY: &str = "max-age=31536000";

/// Marks an answer as the page's.
pub(crate) async fn page(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in PAGE {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, PAGE_POLICY.clone());
    answer
}
