//! Bytes in memory and the answers that HTTP wants of them: conditional, in parts, compressed.

use std::io::Write as _;
use std::num::NonZeroUsize;

use asasr_store::sha256_hex;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_range_header::{SyntacticallyCorrectRange, parse_range_header_with_max_ranges};

/// A file with what is to be said about it.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    kind: HeaderValue,
    /// As it is, then compressed: the best first.
    variants: Vec<Variant>,
}

/// One representation; each has an entity tag of its own.
#[derive(Debug, Clone)]
struct Variant {
    coding: Option<&'static str>,
    tag: HeaderValue,
    bytes: Bytes,
}

/// Content codings and their file endings, the best first.
pub(crate) const CODINGS: [(&str, &str); 3] = [("br", "br"), ("zstd", "zst"), ("gzip", "gz")];

impl Asset {
    /// `sha256` is that of `bytes`.
    pub(crate) fn new(bytes: Bytes, sha256: &str, kind: &str) -> Self {
        let kind =
            HeaderValue::from_str(kind).unwrap_or(HeaderValue::from_static("application/octet-stream"));
        let identity = Variant {
            coding: None,
            tag: tag(sha256, None),
            bytes,
        };
        Self {
            kind,
            variants: vec![identity],
        }
    }

    /// Hashes `bytes`.
    pub(crate) fn hashed(bytes: Bytes, kind: &str) -> Self {
        let sha256 = sha256_hex(&bytes);
        Self::new(bytes, &sha256, kind)
    }

    /// Adds a compressed representation, where it is shorter.
    pub(crate) fn with(mut self, coding: &'static str, bytes: Bytes) -> Self {
        if bytes.len() < self.bytes().len() {
            // Another encoder's output has another tag, as it has other bytes.
            let tag = tag(&sha256_hex(&bytes), Some(coding));
            self.variants.push(Variant {
                coding: Some(coding),
                tag,
                bytes,
            });
        }
        self
    }

    /// Compresses it here, for what is small.
    pub(crate) fn compressed(self) -> Self {
        let bytes = self.bytes().clone();
        let mut out = self;
        for (coding, _) in CODINGS {
            if let Ok(shorter) = compress(coding, &bytes) {
                out = out.with(coding, shorter.into());
            }
        }
        out
    }

    /// As it is.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.variants[0].bytes
    }

    /// Memory it takes.
    pub(crate) fn size(&self) -> usize {
        self.variants.iter().map(|v| v.bytes.len()).sum()
    }

    /// The answer to a request. `caching` is the `Cache-Control` of a success.
    pub(crate) fn answer(&self, method: &Method, request: &HeaderMap, caching: &'static str) -> Response {
        // Ranges are defined for GET alone.
        let range = request
            .get(header::RANGE)
            .filter(|_| method == Method::GET)
            .and_then(|v| v.to_str().ok());
        // Parts are parts of the file as it is, so that they fit together whatever a later request accepts.
        let variant = match range {
            Some(_) => &self.variants[0],
            None => self.accepted(request),
        };
        let mut answer = Response::new(Body::empty());
        let head = answer.headers_mut();
        head.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        head.insert(header::ETAG, variant.tag.clone());
        head.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        if self.variants.len() > 1 {
            head.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        if listed(request, &header::IF_MATCH)
            .is_some_and(|mut tags| !tags.any(|t| t == "*" || variant.tag == t))
        {
            head.insert(header::CACHE_CONTROL, NO_STORE);
            *answer.status_mut() = StatusCode::PRECONDITION_FAILED;
            return answer;
        }
        let weakly = |t: &str| t == "*" || variant.tag == t.strip_prefix("W/").unwrap_or(t);
        if listed(request, &header::IF_NONE_MATCH).is_some_and(|mut tags| tags.any(weakly)) {
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            return answer;
        }
        head.insert(header::CONTENT_TYPE, self.kind.clone());
        if let Some(coding) = variant.coding {
            head.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        let len = variant.bytes.len() as u64;
        // A date says too little about what is replaced within a second: only a tag proves that the rest is of one file.
        let whole = request.get(header::IF_RANGE).is_some_and(|v| *v != variant.tag);
        let part = match range.filter(|_| !whole).map(|range| part(range, len)) {
            None | Some(Part::Whole) => variant.bytes.clone(),
            Some(Part::Beyond) => {
                head.remove(header::CONTENT_TYPE);
                head.insert(header::CACHE_CONTROL, NO_STORE);
                head.insert(header::CONTENT_RANGE, number(format!("bytes */{len}")));
                *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
                return answer;
            }
            Some(Part::From(first, last)) => {
                head.insert(
                    header::CONTENT_RANGE,
                    number(format!("bytes {first}-{last}/{len}")),
                );
                *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                variant.bytes.slice(first as usize..=last as usize)
            }
        };
        answer
            .headers_mut()
            .insert(header::CONTENT_LENGTH, HeaderValue::from(part.len()));
        *answer.body_mut() = Body::from(part);
        answer
    }

    /// The representation that the client likes best, and of those the shortest.
    fn accepted(&self, request: &HeaderMap) -> &Variant {
        let identity = &self.variants[0];
        let compressed = self.variants.iter().skip(1);
        let Some(wanted) = listed(request, &header::ACCEPT_ENCODING) else {
            return identity;
        };
        let wanted: Vec<(&str, f32)> = wanted.map(quality).collect();
        let weight = |coding: &str| {
            let named = wanted.iter().find(|(name, _)| name.eq_ignore_ascii_case(coding));
            named
                .or_else(|| wanted.iter().find(|(name, _)| *name == "*"))
                .map_or(0.0, |(_, q)| *q)
        };
        let best = compressed.fold((identity, 0.0, 0), |best, v| {
            let q = weight(v.coding.unwrap_or_default());
            let better = q > best.1 || (q == best.1 && q > 0.0 && v.bytes.len() < best.2);
            if better { (v, q, v.bytes.len()) } else { best }
        });
        best.0
    }
}

/// What one request got is not for the next one.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What a `Range` asks for.
enum Part {
    Whole,
    From(u64, u64),
    Beyond,
}

/// One range is honoured. Several, and what is none, are answered with the whole file, as the standard allows: nothing here
/// is read in several places at once, and a thousand overlapping ranges would only multiply the bytes.
fn part(range: &str, len: u64) -> Part {
    let Ok(ranges) = parse_range_header_with_max_ranges(range, NonZeroUsize::MIN) else {
        return Part::Whole;
    };
    let (first, last) = match ranges.into_ranges().first() {
        Some(SyntacticallyCorrectRange::FromStart(first)) => (*first, u64::MAX),
        Some(SyntacticallyCorrectRange::FromLast(count)) if *count > 0 => {
            (len.saturating_sub(*count), u64::MAX)
        }
        Some(SyntacticallyCorrectRange::FromLast(_)) => return Part::Beyond,
        Some(SyntacticallyCorrectRange::Indexed(first, last)) => (*first, *last),
        None => return Part::Whole,
    };
    if first >= len {
        return Part::Beyond;
    }
    Part::From(first, last.min(len - 1))
}

/// The elements of a list header's values; none without the header.
fn listed<'a>(
    request: &'a HeaderMap,
    name: &header::HeaderName,
) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
    let values = request.get_all(name);
    request.contains_key(name).then(|| {
        let texts = values.into_iter().filter_map(|v| v.to_str().ok());
        texts
            .flat_map(|v| v.split(','))
            .map(str::trim)
            .filter(|t| !t.is_empty())
    })
}

/// `gzip;q=0.5`: the name and the weight from 0 to 1.
fn quality(item: &str) -> (&str, f32) {
    let (name, rest) = item.split_once(';').unwrap_or((item, ""));
    let q = rest
        .trim()
        .strip_prefix("q=")
        .map_or(1.0, |q| q.trim().parse().unwrap_or(0.0));
    (name.trim(), q)
}

fn tag(sha256: &str, coding: Option<&str>) -> HeaderValue {
    let text = coding.map_or_else(|| format!("\"{sha256}\""), |c| format!("\"{sha256}-{c}\""));
    number(text)
}

/// Our own digits and letters make a header's value.
fn number(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

fn compress(coding: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    match coding {
        "br" => {
            let mut out = brotli::CompressorWriter::new(Vec::new(), 4096, 11, 22);
            out.write_all(bytes)?;
            out.flush()?;
            Ok(out.into_inner())
        }
        "zstd" => zstd::encode_all(bytes, 19),
        _ => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            out.write_all(bytes)?;
            out.finish()
        }
    }
}
