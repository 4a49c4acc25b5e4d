use std::{fs, path::Path, sync::Arc};

use asasr_core::model::Manifest;
use axum::{
    Json, Router,
    extract::{self, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::not_found;

/// One model, checked and held in memory.
#[derive(Debug, Clone)]
pub struct Model {
    manifest: Manifest,
    json: Vec<u8>,
    files: Vec<WeightsFile>,
}

/// A weights file: of the restorer, of the flow or of the fast flow.
#[derive(Debug, Clone)]
struct WeightsFile {
    name: String,
    sha256: String,
    bytes: Vec<u8>,
}

impl Model {
    /// Reads the files that the manifest `json` names and checks that they are what it describes.
    ///
    /// # Errors
    /// A sentence that names what does not fit, or that of `read`.
    pub fn new(json: Vec<u8>, read: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<Self, String> {
        let manifest = Manifest::from_json(&json).map_err(|e| e.to_string())?;
        let file = |name: &str, sha256: &str| -> Result<WeightsFile, String> {
            Ok(WeightsFile {
                name: name.to_owned(),
                sha256: sha256.to_owned(),
                bytes: read(name)?,
            })
        };
        let restorer = file(&manifest.file, &manifest.sha256)?;
        manifest
            .open_weights(&restorer.bytes)
            .map_err(|e| e.to_string())?;
        let mut files = vec![restorer];
        for part in manifest.flow.iter().chain(&manifest.fast) {
            let flow = file(&part.file, &part.sha256)?;
            part.open_weights(&flow.bytes).map_err(|e| e.to_string())?;
            files.push(flow);
        }
        Ok(Self {
            manifest,
            json,
            files,
        })
    }
}

/// The models offered.
#[derive(Debug, Clone)]
pub struct Models(Arc<Vec<Model>>);

/// A line of the list.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    manifest: String,
    file: &'a str,
    bytes: usize,
    sha256: &'a str,
}

/// The hash that a client already knows from the manifest.
#[derive(Debug, Deserialize)]
struct Known {
    sha256: Option<String>,
}

/// Weights with their hash in the address never change; a year is the longest that caches heed.
const FOREVER: &str = "public, max-age=31536000, immutable";
/// Everything else is asked for again and confirmed by its `ETag`.
const REVALIDATE: &str = "public, no-cache";

impl Models {
    /// The models built into the program.
    ///
    /// # Errors
    /// When a built-in model is damaged.
    pub fn embedded() -> Result<Self, String> {
        let open = |m: &asasr_weights::Model| {
            let bytes = |file: &str| Ok(m.flow(file).unwrap_or(m.weights).to_vec());
            Model::new(m.manifest.to_vec(), bytes)
        };
        Ok(Self(Arc::new(
            asasr_weights::ALL.iter().map(open).collect::<Result<_, _>>()?,
        )))
    }

    /// The models of a folder: each in a folder of its own with a `manifest.json` and the weights it names.
    ///
    /// # Errors
    /// A sentence that names the file at fault.
    pub fn from_folder(folder: &Path) -> Result<Self, String> {
        let at = |path: &Path, why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let mut models: Vec<Model> = Vec::new();
        for entry in fs::read_dir(folder).map_err(|e| at(folder, &e))? {
            let folder = entry.map_err(|e| at(folder, &e))?.path();
            let path = folder.join("manifest.json");
            if !path.is_file() {
                continue;
            }
            let json = fs::read(&path).map_err(|e| at(&path, &e))?;
            let manifest = Manifest::from_json(&json).map_err(|e| at(&path, &e))?;
            if models.iter().any(|m| m.manifest.id == manifest.id) {
                return Err(at(&path, &format!("the id {} is used twice", manifest.id)));
            }
            let read = |file: &str| {
                let file = folder.join(file);
                fs::read(&file).map_err(|e| at(&file, &e))
            };
            models.push(Model::new(json, read).map_err(|e| at(&path, &e))?);
        }
        if models.is_empty() {
            return Err(at(folder, &"no folder with a manifest.json is in here"));
        }
        models.sort_by(|a, b| a.manifest.id.cmp(&b.manifest.id));
        Ok(Self(Arc::new(models)))
    }

    /// Names of the models.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|m| m.manifest.id.as_str())
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/", get(list))
            .route("/{id}/{file}", get(file))
            .with_state(self)
            // Weights are public: pages of other origins may run them.
            .layer(SetResponseHeaderLayer::overriding(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            ))
    }
}

async fn list(State(models): State<Models>) -> Response {
    let entries: Vec<Entry<'_>> = models
        .0
        .iter()
        .map(|m| Entry {
            id: &m.manifest.id,
            manifest: format!("v1/models/{}/manifest.json", m.manifest.id),
            file: &m.manifest.file,
            bytes: m.manifest.bytes,
            sha256: &m.manifest.sha256,
        })
        .collect();
    ([(header::CACHE_CONTROL, REVALIDATE)], Json(entries)).into_response()
}

async fn file(
    State(models): State<Models>,
    extract::Path((id, file)): extract::Path<(String, String)>,
    Query(known): Query<Known>,
    headers: HeaderMap,
) -> Response {
    let Some(model) = models.0.iter().find(|m| m.manifest.id == id) else {
        return not_found();
    };
    if file == "manifest.json" {
        // The manifest names the weights' hash, so another manifest almost always has another hash; its own is exact.
        let tag = asasr_core::model::sha256_hex(&model.json);
        return bytes(&headers, &tag, "application/json", REVALIDATE, &model.json);
    }
    let Some(WeightsFile {
        sha256, bytes: body, ..
    }) = model.files.iter().find(|f| f.name == file)
    else {
        return not_found();
    };
    match known.sha256 {
        Some(known) if known != *sha256 => (
            StatusCode::NOT_FOUND,
            "the model has other weights now: read its manifest again\n",
        )
            .into_response(),
        Some(_) => bytes(&headers, sha256, "application/octet-stream", FOREVER, body),
        None => bytes(&headers, sha256, "application/octet-stream", REVALIDATE, body),
    }
}

fn bytes(
    headers: &HeaderMap,
    hash: &str,
    kind: &'static str,
    caching: &'static str,
    body: &[u8],
) -> Response {
    let tag = format!("\"{hash}\"");
    let fresh = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let fixed = [
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::ETAG, tag.clone()),
    ];
    if fresh.is_some_and(|v| {
        v.split(',')
            .any(|t| t.trim().trim_start_matches("W/") == tag || t.trim() == "*")
    }) {
        return (StatusCode::NOT_MODIFIED, fixed).into_response();
    }
    (fixed, [(header::CONTENT_TYPE, kind)], body.to_vec()).into_response()
}
