//! Whom a request is for: one host, well written. Proxies disagree about requests that name none or two, so nothing is answered
//! to those.

use std::net::Ipv6Addr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Names have at most so many bytes (RFC 1035).
const LONGEST: usize = 255;

/// Refuses a request that does not say in one way whom it is for (RFC 9112, section 3.2; RFC 9113, section 8.3.1).
pub(crate) async fn check(request: Request, next: Next) -> Response {
    let version = request.version();
    let Some(why) = fault(version, request.uri().authority(), request.headers()) else {
        return next.run(request).await;
    };
    let head = [(header::CACHE_CONTROL, "no-store")];
    let mut answer = (StatusCode::BAD_REQUEST, head, format!("{why}\n")).into_response();
    // What follows on the line may belong to somebody else; HTTP/2 keeps requests apart itself.
    if version < Version::HTTP_2 {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// What is wrong with a request's host; nothing where it is fine.
fn fault(version: Version, authority: Option<&Authority>, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Some("the request has two Host headers: send one");
    }
    if host.is_some_and(|h| !well_written(h.as_bytes())) {
        return Some("the Host header is no host, such as example.org or example.org:8080");
    }
    if authority.is_some_and(|a| !well_written(a.as_str().as_bytes())) {
        return Some("the address names no host, such as example.org or example.org:8080");
    }
    match (version, authority, host) {
        (Version::HTTP_11, _, None) => Some("the request has no Host header, which HTTP/1.1 needs"),
        // Before HTTP/1.1 there was none; since then the address in the first line counts where it is whole.
        (Version::HTTP_09 | Version::HTTP_10 | Version::HTTP_11, ..) => None,
        (_, None, None) => Some("the request does not say for which host it is: send :authority"),
        (_, Some(authority), Some(host))
            if !host
                .as_bytes()
                .eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            Some("the Host header and :authority differ: send one of them")
        }
        _ => None,
    }
}

/// Whether this is a host's name or address, with a port or without.
fn well_written(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    let (host, rest) = if let Some(literal) = text.strip_prefix('[') {
        let Some((inside, rest)) = literal.split_once(']') else {
            return false;
        };
        (inside.parse::<Ipv6Addr>().is_ok(), rest)
    } else {
        let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
        (named(name), rest)
    };
    let digits = |port: &str| port.bytes().all(|b| b.is_ascii_digit());
    let fits = |port: &str| port.is_empty() || digits(port) && port.parse::<u16>().is_ok();
    host && (rest.is_empty() || rest.strip_prefix(':').is_some_and(fits))
}

/// Labels of letters, digits, hyphens and underscores, with dots between them and at most one after them.
fn named(name: &str) -> bool {
    let label = |label: &str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !label.is_empty() && label.bytes().all(fits)
    };
    let name_of = name.strip_suffix('.').unwrap_or(name);
    name.len() <= LONGEST && name_of.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_is_none() {
        let long = format!("{}a", "a.".repeat(127));
        for host in [
            "a",
            "a.b",
            "a.b.",
            "a:80",
            "a:",
            "xn--bcher-kva.example:65535",
            "my_host",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]:",
            &long,
        ] {
            assert!(well_written(host.as_bytes()), "{host}");
        }
        let longer = format!("{long}.b");
        for host in [
            "",
            " ",
            ":80",
            ".",
            ".a",
            "a..b",
            "a b",
            "a,b",
            "a, b",
            "a/b",
            "a\\b",
            "a@b",
            "user:pass@a",
            "http://a",
            "a?b",
            "a#b",
            "a%2f",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+80",
            "a:99999999999999999999",
            "::1",
            "[::1",
            "[::1]a",
            "[::1]:b",
            "[]",
            "[a]",
            "[[::1]]",
            "\u{e4}",
            "a\t",
            "a\0",
            "<a>",
            &longer,
        ] {
            assert!(!well_written(host.as_bytes()), "{host:?}");
        }
        assert!(!well_written(b"\xff"));
    }
}
