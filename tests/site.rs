//! A plain site of files, as anybody might embed the component in: no headers of ours.

use std::path::Path;

use axum::Router;
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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let files = Router::new().fallback_service(ServeDir::new(folder));
        tokio::spawn(async move { axum::serve(listener, files).await });
        Self { url }
    }

    /// Its address, with a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}
