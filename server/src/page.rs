//! The page's files, all in memory: an address either is one of them or is nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;

use crate::asset::{Asset, CODINGS};
use crate::{REVALIDATE, not_found};

/// More than a page needs by far; a folder given by mistake has more.
const LARGEST: u64 = 64 << 20;

/// Where the page comes from.
#[derive(Debug, Clone)]
pub enum PageSource {
    /// A folder.
    Folder(PathBuf),
    /// The one built into the program.
    #[cfg(feature = "embed")]
    Embedded,
    /// There is none: say how to get one.
    Absent,
}

/// The page, read.
#[derive(Debug)]
pub(crate) struct Page(BTreeMap<String, Asset>);

impl PageSource {
    /// The folder that was asked for, else the built-in page, else `dist` where that is one.
    pub fn choose(asked: Option<&Path>) -> Self {
        if let Some(folder) = asked {
            return Self::Folder(folder.to_path_buf());
        }
        #[cfg(feature = "embed")]
        return Self::Embedded;
        #[cfg(not(feature = "embed"))]
        {
            let built = Path::new("dist");
            if built.join("index.html").is_file() {
                Self::Folder(built.to_path_buf())
            } else {
                Self::Absent
            }
        }
    }

    pub(crate) fn read(&self) -> Result<Page, String> {
        let mut files = BTreeMap::new();
        match self {
            Self::Folder(folder) => {
                let index = folder.join("index.html");
                if !index.is_file() {
                    return Err(format!(
                        "{}: the page is not built: run `cargo xtask page`",
                        index.display()
                    ));
                }
                let mut left = LARGEST;
                read_folder(folder, "", &mut files, &mut left)?;
            }
            #[cfg(feature = "embed")]
            Self::Embedded => {
                static DIST: include_dir::Dir<'_> = include_dir::include_dir!("$CARGO_MANIFEST_DIR/../dist");
                embedded(&DIST, &mut files);
            }
            Self::Absent => {
                files.insert("index.html".into(), Bytes::from_static(ABSENT.as_bytes()));
            }
        }
        Ok(Page::new(&files))
    }
}

const ABSENT: &str = "<!doctype html><meta charset=utf-8><title>ASASR</title>\
<h1>The page is not built</h1>\
<p>Run <code>cargo xtask page</code> where this server was started, or give the page's folder with <code>--page</code>; \
then start it again.\
<p>The models are here: <a href=v1/models>v1/models</a>.\n";

impl Page {
    fn new(files: &BTreeMap<String, Bytes>) -> Self {
        let mut assets = BTreeMap::new();
        for (name, bytes) in files {
            let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
            let stem = name.strip_suffix(&format!(".{ending}")).unwrap_or_default();
            // A compressed file goes with the file it is made of.
            if CODINGS.iter().any(|(_, e)| *e == ending) && files.contains_key(stem) {
                continue;
            }
            let guess = mime_guess::from_ext(ending).first_or_octet_stream();
            let kind = match guess.type_() {
                mime_guess::mime::TEXT => format!("{guess}; charset=utf-8"),
                _ => guess.to_string(),
            };
            let mut asset = Asset::hashed(bytes.clone(), &kind);
            for (coding, ending) in CODINGS {
                if let Some(copy) = files.get(&format!("{name}.{ending}")) {
                    asset = asset.with(coding, copy.clone());
                }
            }
            assets.insert(name.clone(), asset);
        }
        Self(assets)
    }

    /// File names carry no hash, so browsers ask again each time and get `304` where nothing changed.
    pub(crate) fn answer(&self, method: &Method, path: &str, request: &HeaderMap) -> Response {
        let name = path.strip_prefix('/').unwrap_or(path);
        let name = if name.is_empty() { "index.html" } else { name };
        match self.0.get(name) {
            Some(asset) => asset.answer(method, request, REVALIDATE),
            None => not_found(),
        }
    }
}

/// Models are served from the store; hidden files are not of the page.
fn left_out(name: &str) -> bool {
    name == "v1" || name.starts_with('.')
}

fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, Bytes>,
    left: &mut u64,
) -> Result<(), String> {
    let at = |path: &Path, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    for entry in fs::read_dir(folder).map_err(|e| at(folder, &e))? {
        let path = entry.map_err(|e| at(folder, &e))?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|n| !left_out(n)) else {
            continue;
        };
        let name = format!("{prefix}{name}");
        let meta = fs::metadata(&path).map_err(|e| at(&path, &e))?;
        if meta.is_dir() {
            read_folder(&path, &format!("{name}/"), files, left)?;
            continue;
        }
        *left = left.checked_sub(meta.len()).ok_or_else(|| {
            at(
                folder,
                &format!("more than {LARGEST} bytes are in here: is this the page's folder?"),
            )
        })?;
        files.insert(name, fs::read(&path).map_err(|e| at(&path, &e))?.into());
    }
    Ok(())
}

#[cfg(feature = "embed")]
fn embedded(folder: &include_dir::Dir<'static>, files: &mut BTreeMap<String, Bytes>) {
    for file in folder.files() {
        let name = file.path().to_string_lossy().replace('\\', "/");
        files.insert(name, Bytes::from_static(file.contents()));
    }
    for dir in folder.dirs() {
        if !dir.path().to_str().is_some_and(left_out) {
            embedded(dir, files);
        }
    }
}
