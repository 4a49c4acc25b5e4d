use std::path::{Path, PathBuf};

use axum::{
    Router,
    http::{HeaderValue, header},
    routing::get_service,
};
use tower_http::{
    services::{ServeDir, ServeFile},
    set_header::SetResponseHeaderLayer,
};

/// The folder of the built page.
#[derive(Debug, Clone)]
pub struct Page(PathBuf);

impl Page {
    /// # Errors
    /// When `folder` holds no `index.html`.
    pub fn new(folder: &Path) -> Result<Self, String> {
        let index = folder.join("index.html");
        if !index.is_file() {
            return Err(format!(
                "{}: the page is not built: run `cargo xtask serve`",
                index.display()
            ));
        }
        Ok(Self(folder.to_path_buf()))
    }

    /// Files by name; file names carry no hash, so browsers ask again each time and get `304` where nothing changed.
    pub(crate) fn service(&self) -> Router {
        let caching = HeaderValue::from_static("no-cache");
        Router::new()
            .route_service("/", get_service(ServeFile::new(self.0.join("index.html"))))
            .fallback_service(ServeDir::new(&self.0))
            .layer(SetResponseHeaderLayer::if_not_present(
                header::CACHE_CONTROL,
                caching,
            ))
    }
}
