//! Reading folders, and files that appear whole or not at all.
//!
//! A file is written under a name of its own beside its place and renamed when it is whole. The process that writes it holds a
//! lock on it: what bears such a name without a lock is of a run that was killed, and goes when the next one writes there.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{LazyLock, Mutex, PoisonError},
};

use tempfile::NamedTempFile;

use crate::error::{Error, Result, code, shown};

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
            } else if fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
                note!("left out: {}: a pipe or a device, not a file", shown(&path));
            } else if is_image(&path) {
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

/// Whether a file's name ends as those of images that are read.
pub(crate) fn is_image(path: &Path) -> bool {
    let known = |ending: &OsStr| IMAGES.iter().any(|i| ending.eq_ignore_ascii_case(i));
    path.extension().is_some_and(known)
}

/// What the names of unfinished files begin and end with, and how many letters and digits are between.
const BEGIN: &str = ".asasr-";
const END: &str = ".tmp";
const LETTERS: usize = 6;

/// The folder that `path` lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// A new file beside `path` that takes its place when [`persist`]ed, and goes away when it is not.
pub(crate) fn beside(path: &Path) -> Result<NamedTempFile> {
    let folder = folder_of(path);
    sweep_once(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(BEGIN).suffix(END).rand_bytes(LETTERS);
    // Temporary files are private by default; the result is an ordinary file under the user's umask.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        let file = builder.tempfile_in(folder).map_err(|e| match e.kind() {
            ErrorKind::NotFound if !folder.is_dir() => {
                Error::at(path, "cannot be written: its folder does not exist").coded(code::FILE)
            }
            kind => Error::at(path, format!("cannot be written: {kind}")).coded(code::FILE),
        })?;
        match file.as_file().try_lock() {
            // Between its making and its locking another run may have swept it.
            Ok(()) if fs::symlink_metadata(file.path()).is_err() => {}
            Err(TryLockError::WouldBlock) => {}
            // Some file systems have no locks; sweeping finds none there either, and leaves such files alone.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// [`sweep`]s a folder the first time that this process writes there.
fn sweep_once(folder: &Path) {
    static SWEPT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.insert(folder.to_path_buf()) {
        sweep(folder);
    }
}

/// Deletes what runs that were killed left unfinished in `folder`; what a living one writes is locked, and stays.
pub(crate) fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !is_unfinished(&entry.file_name()) || !entry.file_type().is_ok_and(|t| t.is_file()) {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|file| file.try_lock().is_ok() && fs::remove_file(&path).is_ok()) {
            note!("{}: left by a run that was ended, deleted", shown(&path));
        }
    }
}

/// Whether a file of that name is one of [`beside`]'s.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let middle = name
        .to_str()
        .and_then(|n| n.strip_prefix(BEGIN)?.strip_suffix(END));
    middle.is_some_and(|m| m.len() == LETTERS && m.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// Whether names that differ in nothing but case are one in the folder of `file`, which is of [`beside`].
pub(crate) fn folds_case(file: &NamedTempFile) -> bool {
    let name = file.path().file_name().map(OsStr::to_ascii_uppercase);
    name.is_some_and(|name| fs::symlink_metadata(file.path().with_file_name(name)).is_ok())
}

/// Refuses a place that no file can take, whatever is written: what is there is no file, or the name is too long.
/// Nothing is made.
pub(crate) fn check_place(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Err(Error::at(
            path,
            "a folder is in the way: rename it, or name another output",
        ));
    }
    match fs::symlink_metadata(path) {
        Ok(m) if m.is_file() || m.is_symlink() => Ok(()),
        Ok(_) => Err(Error::at(
            path,
            "a pipe or a device is in the way: name another output",
        )),
        Err(e) => match e.kind() {
            ErrorKind::NotFound => Ok(()),
            ErrorKind::InvalidFilename => Err(Error::at(
                path,
                "this name is too long for a file: give the input a shorter one, or name a .png file as output",
            )),
            _ => Err(Error::at(path, format!("cannot be written: {e}"))),
        },
    }
}

/// Refuses files to write that cannot be: each in vain, two in one, or one in the place of a file in `inputs`.
pub(crate) fn check_outputs<'a>(outputs: impl Iterator<Item = &'a Path>, inputs: &[PathBuf]) -> Result<()> {
    let mut outputs = outputs.peekable();
    if outputs.peek().is_none() {
        return Ok(());
    }
    let read = identities(inputs);
    let mut known: Vec<PathBuf> = Vec::new();
    for path in outputs {
        check_place(path)?;
        beside(path)?;
        check_not_read(path, &read)?;
        let whole = fs::canonicalize(folder_of(path)).map_err(|e| Error::at(path, e))?;
        let whole = whole.join(path.file_name().unwrap_or_default());
        if known.contains(&whole) {
            return Err(Error::at(
                path,
                "two outputs would go into this file: name another for one",
            ));
        }
        known.push(whole);
    }
    Ok(())
}

/// Refuses to write over a file that is read, by whatever name.
pub(crate) fn check_not_read(path: &Path, read: &HashSet<Identity>) -> Result<()> {
    if identity(path).is_some_and(|i| read.contains(&i)) {
        return Err(Error::at(
            path,
            "this is one of the images that are read: name another output",
        ));
    }
    Ok(())
}

/// Those of all files that are there.
pub(crate) fn identities(paths: &[PathBuf]) -> HashSet<Identity> {
    paths.iter().filter_map(|p| identity(p)).collect()
}

/// What is equal for names of one file, however they are spelt: by a link, hard or symbolic, or in another case where the
/// disk knows none.
#[cfg(unix)]
pub(crate) type Identity = (u64, u64);
#[cfg(not(unix))]
pub(crate) type Identity = PathBuf;

/// The identity of the file at `path`; none where there is none.
pub(crate) fn identity(path: &Path) -> Option<Identity> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(path).ok().map(|m| (m.dev(), m.ino()))
    }
    #[cfg(not(unix))]
    fs::canonicalize(path).ok()
}

/// Puts a finished file in its place.
pub(crate) fn persist(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|e| Error::of(path, &e))?;
    file.persist(path)
        .map(drop)
        .map_err(|e| Error::at(path, format!("cannot be written: {}", e.error)).coded(code::FILE))
}

/// Puts a finished file in its place, unless something is there by now.
pub(crate) fn persist_new(file: NamedTempFile, path: &Path) -> Result<()> {
    file.as_file().sync_all().map_err(|e| Error::of(path, &e))?;
    file.persist_noclobber(path).map(drop).map_err(|e| {
        if e.error.kind() == ErrorKind::AlreadyExists {
            let why = "another program has written this file meanwhile, and it is kept (--no-clobber)";
            return Error::at(path, why).coded(code::PLACE);
        }
        Error::at(path, format!("cannot be written: {}", e.error)).coded(code::FILE)
    })
}

/// Writes a whole file at once or leaves the old one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = beside(path)?;
    file.write_all(bytes)
        .map_err(|e| Error::at(path, format!("cannot be written: {e}")))?;
    persist(file, path)
}

/// Refuses a place for a folder where something else is.
pub(crate) fn check_folder(path: &Path) -> Result<()> {
    if fs::symlink_metadata(path).is_ok() && !path.is_dir() {
        return Err(Error::at(path, "a file is in the way of a folder: rename it"));
    }
    Ok(())
}

/// Makes a folder and those above it.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::at(path, format!("the folder cannot be made: {e}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn what_nobody_writes_any_more_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        // Of a killed run; the others are none of ours.
        let names = [
            ".asasr-aB3dE9.tmp",
            ".asasr-aB3dE9.tmp2",
            ".asasr-notes.tmp",
            ".asasr-aB3d-9.tmp",
            "asasr-aB3dE9.tmp",
        ];
        for name in names {
            fs::write(path(name), "half").unwrap();
        }
        fs::create_dir(path(".asasr-folder.tmp")).unwrap();
        let alive = beside(&path("other.png")).unwrap();
        assert!(!path(names[0]).exists());
        fs::write(path(names[0]), "half").unwrap();
        sweep(folder.path());
        assert!(!path(names[0]).exists());
        assert!(alive.path().exists(), "the lock tells that it is written");
        assert!(names[1..].iter().all(|n| path(n).exists()) && path(".asasr-folder.tmp").exists());
        let left = alive.path().to_path_buf();
        // As after `kill -9`: the file stays, and nobody holds its lock.
        drop(alive.into_temp_path().keep().unwrap());
        assert!(left.exists());
        sweep(folder.path());
        assert!(!left.exists());
    }

    #[test]
    fn places_that_no_file_can_take_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let why = |name: &str| check_place(&path(name)).err().map(|e| e.to_string());
        fs::create_dir(path("folder.png")).unwrap();
        fs::write(path("file.png"), "old").unwrap();
        assert_eq!((why("new.png"), why("file.png")), (None, None));
        assert!(why("folder.png").unwrap().contains("a folder is in the way"));
        assert!(why(&"x".repeat(300)).unwrap().contains("too long"));
        assert!(why("file.png/in.png").unwrap().contains("cannot be written"));
        assert!(!folds_case(&beside(&path("file.png")).unwrap()) || cfg!(not(target_os = "linux")));
    }

    #[test]
    fn outputs_are_no_inputs_and_no_two_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("in.png"), "photo").unwrap();
        fs::hard_link(path("in.png"), path("link.csv")).unwrap();
        let why = |outputs: &[PathBuf]| {
            let checked = check_outputs(outputs.iter().map(PathBuf::as_path), &[path("in.png")]);
            checked.err().map_or(String::new(), |e| e.to_string())
        };
        assert_eq!(why(&[path("a.csv"), path("a.json")]), "");
        assert!(why(&[path("a.csv"), folder.path().join("./a.csv")]).contains("two outputs"));
        assert!(why(&[path("link.csv")]).contains("that are read"));
        assert!(why(&[folder.path().to_path_buf()]).contains("a folder is in the way"));
        assert!(why(&[path("none/a.csv")]).contains("folder does not exist"));
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            2,
            "nothing was made"
        );
    }
}
