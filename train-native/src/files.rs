//! Reading folders, and files that appear whole or not at all.

use std::{
    collections::HashSet,
    fs,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};

/// Endings of the image files that are read.
const IMAGES: [&str; 8] = ["png", "jpg", "jpeg", "webp", "tif", "tiff", "gif", "bmp"];

/// The image files below `folder`, by name, in sorted order.
pub(crate) fn images_below(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        let what = if folder.exists() {
            "not a folder"
        } else {
            "no such folder"
        };
        return Err(Error::at(folder, format!("{what}; one with images is needed")));
    }
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    // Links may lead back to where they are.
    let mut seen = HashSet::new();
    while let Some(dir) = open.pop() {
        if !seen.insert(fs::canonicalize(&dir).map_err(|e| Error::at(&dir, e))?) {
            continue;
        }
        for entry in fs::read_dir(&dir).map_err(|e| Error::at(&dir, e))? {
            let path = entry.map_err(|e| Error::at(&dir, e))?.path();
            if path.is_dir() {
                open.push(path);
            } else if path
                .extension()
                .is_some_and(|e| IMAGES.iter().any(|i| e.eq_ignore_ascii_case(i)))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Error::at(
            folder,
            format!("no images here; {} files are read", IMAGES.join(", ")),
        ));
    }
    Ok(found)
}

/// A new file beside `path` that takes its place when [`persist`]ed, and goes away when it is not.
pub(crate) fn beside(path: &Path) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".asasr-").suffix(".tmp");
    // Temporary files are private by default; the result is an ordinary file under the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|e| match e.kind() {
        ErrorKind::NotFound => Error::at(path, "cannot be written: its folder does not exist"),
        kind => Error::at(path, format!("cannot be written: {kind}")),
    })
}

/// Puts a finished file in its place.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|e| Error::at(path, e))?;
    file.persist(path)
        .map(drop)
        .map_err(|e| Error::at(path, format!("cannot be written: {}", e.error)))
}

/// Writes a whole file at once or leaves the old one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes)
        .map_err(|e| Error::at(path, format!("cannot be written: {e}")))?;
    persist(file, path)
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::at(path, format!("the folder cannot be made: {e}")))
}
