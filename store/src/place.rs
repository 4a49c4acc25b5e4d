//! From an address to a storage.

use std::path::{Path as Folder, PathBuf};
use std::sync::Arc;

use object_store::{ObjectStore, local::LocalFileSystem, parse_url_opts, prefix::PrefixStore};
use url::Url;

use crate::{Error, Result};

/// An address without a password that someone wrote into it.
pub fn redacted(place: &str) -> String {
    match place
        .split_once("://")
        .and_then(|(scheme, rest)| Some((scheme, rest.rsplit_once('@')?.1)))
    {
        Some((scheme, host)) => format!("{scheme}://...@{host}"),
        None => place.to_owned(),
    }
}

/// A storage, and its folder where it is one.
pub(crate) struct Place {
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) folder: Option<PathBuf>,
}

/// The storage at `place`: a folder, or a URL that begins with `file`, `s3`, `gs`, `az` or `https` and is read as
/// [`object_store::parse_url_opts`] does, with the environment's `AWS_…`, `GOOGLE_…` and `AZURE_…` for the rest.
pub(crate) fn open(place: &str, create: bool) -> Result<Place> {
    let wrong = |why: String| Error::Place {
        place: redacted(place),
        why,
    };
    let remote = match place.split_once("://") {
        Some(("file", _)) => {
            let url = Url::parse(place).map_err(|e| wrong(e.to_string()))?;
            let folder = url
                .to_file_path()
                .map_err(|()| wrong("a file URL has three slashes and an absolute path".into()))?;
            return local(&folder, create).map_err(wrong);
        }
        Some(_) => true,
        None => false,
    };
    if !remote {
        return local(Folder::new(place), create).map_err(wrong);
    }
    let url = Url::parse(place).map_err(|e| wrong(e.to_string()))?;
    if url.password().is_some() {
        return Err(wrong(
            "a password does not belong in an address: set the storage's environment variables".into(),
        ));
    }
    // A second call finds the first one's choice, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let environment = std::env::vars_os().filter_map(|(key, value)| {
        Some((
            key.into_string().ok()?.to_ascii_lowercase(),
            value.into_string().ok()?,
        ))
    });
    let (objects, prefix) = parse_url_opts(&url, environment).map_err(|e| {
        wrong(format!(
            "{e}: it has to be a folder or a URL such as s3://BUCKET/PREFIX, gs://BUCKET or az://CONTAINER"
        ))
    })?;
    let objects: Arc<dyn ObjectStore> = Arc::from(objects);
    let objects = if prefix.as_ref().is_empty() {
        objects
    } else {
        Arc::new(PrefixStore::new(objects, prefix))
    };
    Ok(Place {
        objects,
        folder: None,
    })
}

fn local(folder: &Folder, create: bool) -> std::result::Result<Place, String> {
    if create {
        std::fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    }
    if !folder.is_dir() {
        return Err("this is not a folder: `asasr weights publish DIR --to` makes a store of it".into());
    }
    let files = LocalFileSystem::new_with_prefix(folder).map_err(|e| e.to_string())?;
    Ok(Place {
        objects: Arc::new(files.with_fsync(true)),
        folder: Some(folder.to_path_buf()),
    })
}
