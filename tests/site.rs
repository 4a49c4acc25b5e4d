//! A plain site of files, as anybody might embed the component in: no headers of ours.

use std::path::Path;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::map_response;
use axum::response::Response;
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

/// A folder over HTTP on a free port, until the test's runtime ends.
#[derive(Debug)]
pub struct Site {
    url: String,
}

impl Site {
    /// Serves a folder.
    pub async fn start(folder: &Path) -> Self {
        Self::of(Self::files(folder)).await
    }

    fn files(folder: &Path) -> Router {
        Router::new().fallback_service(ServeDir::new(folder))
    }

    async fn of(files: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self { url }
    }

    /// The same isolated from other origins, without which browsers give no memory that threads share.
    pub async fn isolated(folder: &Path) -> Self {
        const HEADERS: [(&str, &str); 2] = [
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-embedder-policy", "require-corp"),
        ];
        Self::with_headers(folder, &HEADERS).await
    }

    /// The same for pages of every origin.
    pub async fn shared(folder: &Path) -> Self {
        Self::with_headers(folder, &[("access-control-allow-origin", "*")]).await
    }

    async fn with_headers(folder: &Path, headers: &'static [(&str, &str)]) -> Self {
        let with = move |mut answer: Response| async move {
            for (name, value) in headers {
                answer
                    .headers_mut()
                    .insert(*name, HeaderValue::from_static(value));
            }
            answer
        };
        Self::of(Self::files(folder).layer(map_response(with))).await
    }

    /// Its origin: its address without the slash.
    pub fn origin(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Its address, with a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}
