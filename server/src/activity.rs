//! Whether anything still happens on a connection.
//!
//! HTTP/1 connections are watched where their bytes are: a head has its time, and so has a write that goes nowhere. Two things
//! are seen from here only: a connection that never brings a request, and HTTP/2, where a client can answer pings for ever and
//! take nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::Version;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// HTTP/2 bodies go out in parts of this size, each when the client has room for it: so progress is seen.
const PART: usize = 64 << 10;

/// What a connection did last.
#[derive(Debug)]
pub(crate) struct Activity {
    begin: Instant,
    /// Milliseconds after `begin`.
    last: AtomicU64,
    requests: AtomicBool,
    http2: AtomicBool,
    under_way: AtomicUsize,
    /// Requests whose answer is still being made, which is not the client's fault.
    waiting: AtomicUsize,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self {
            begin: Instant::now(),
            last: 0.into(),
            requests: false.into(),
            http2: false.into(),
            under_way: 0.into(),
            waiting: 0.into(),
        }
    }

    fn touch(&self) {
        self.last
            .store(self.begin.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// A request came.
    pub(crate) fn begin(self: &Arc<Self>, version: Version) -> UnderWay {
        self.requests.store(true, Ordering::Relaxed);
        let http2 = version == Version::HTTP_2;
        self.http2.store(http2, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.touch();
        UnderWay {
            activity: Arc::clone(self),
            http2,
            waits: true,
        }
    }

    /// Ends when there was no request for `patience` since the connection began, or, over HTTP/2, when no answer was under way
    /// for the longer of both, or none of those under way went on for `stall`.
    pub(crate) async fn ceases(&self, patience: Duration, stall: Duration) {
        tokio::time::sleep(patience).await;
        while self.requests.load(Ordering::Relaxed) {
            if !self.http2.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            if self.waiting.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(stall).await;
                continue;
            }
            let limit = match self.under_way.load(Ordering::Relaxed) {
                // The last part of an answer may still be on its way.
                0 => stall.max(patience),
                _ => stall,
            };
            let quiet = self
                .begin
                .elapsed()
                .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)));
            match limit.checked_sub(quiet) {
                None | Some(Duration::ZERO) => return,
                Some(left) => tokio::time::sleep(left).await,
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct UnderWay {
    activity: Arc<Activity>,
    http2: bool,
    waits: bool,
}

impl UnderWay {
    /// Watches the answer's body where there is something to see.
    pub(crate) fn watch(mut self, answer: Response) -> Response {
        self.made();
        if !self.http2 {
            return answer;
        }
        answer.map(|body| {
            Body::new(Watched {
                body,
                rest: Bytes::new(),
                under_way: self,
            })
        })
    }
}

impl UnderWay {
    fn made(&mut self) {
        if std::mem::take(&mut self.waits) {
            self.activity.waiting.fetch_sub(1, Ordering::Relaxed);
            self.activity.touch();
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.made();
        self.activity.under_way.fetch_sub(1, Ordering::Relaxed);
        self.activity.touch();
    }
}

struct Watched {
    body: Body,
    rest: Bytes,
    under_way: UnderWay,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.under_way.activity.touch();
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => self.rest = bytes,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                other => return other,
            }
        }
        let part = PART.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
