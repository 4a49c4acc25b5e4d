//! The images that the command line names: as they are, by patterns, and in folders.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use glob::MatchOptions;

use super::tell::Remark;
use crate::error::{Error, Result, code};
use crate::files;

/// As shells have it; names on Windows have no case.
const AS_SHELLS: MatchOptions = MatchOptions {
    case_sensitive: !cfg!(windows),
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The inputs with patterns, as in `*.jpg`, replaced by the names that they match: a shell may have left that to the program, as on
/// Windows. What names something that is there, or matches nothing, stays as it is.
pub(crate) fn expanded(inputs: &[PathBuf]) -> Vec<PathBuf> {
    let matches = |input: &PathBuf| {
        let pattern = input.to_str().filter(|text| text.contains(['*', '?', '[']))?;
        if fs::symlink_metadata(input).is_ok() {
            return None;
        }
        let matches: Vec<PathBuf> = glob::glob_with(pattern, AS_SHELLS).ok()?.flatten().collect();
        Some(matches).filter(|m| !m.is_empty())
    };
    let named = |input: &PathBuf| matches(input).unwrap_or_else(|| vec![input.clone()]);
    inputs.iter().flat_map(named).collect()
}

/// Leaves out of the inputs what an earlier run left beside them, and tells of each.
pub(crate) fn pass_over_results<T>(
    inputs: &mut Vec<T>,
    path: impl Fn(&T) -> &Path,
    mut told: impl FnMut(&Path, Remark),
) {
    let paths: Vec<&Path> = inputs.iter().map(&path).collect();
    let mut are_results = results_among(paths.into_iter()).into_iter();
    inputs.retain(|input| {
        let is_result = are_results.next() == Some(true);
        if is_result {
            let text = "is the result of another input by its name, and is passed over: name an output with -o to enlarge it";
            told(path(input), Remark::new("earlier-result", text));
        }
        !is_result
    });
}

/// Which of the inputs are the results of others by their names, as `photo-x4.png` beside `photo.jpg`.
fn results_among<'a>(inputs: impl Iterator<Item = &'a Path> + Clone) -> Vec<bool> {
    let folder = |path: &Path| path.parent().map(Path::to_path_buf).unwrap_or_default();
    let names = |path: &'a Path| [path.file_stem(), path.file_name()].into_iter().flatten();
    let given: HashSet<PathBuf> = inputs
        .clone()
        .flat_map(|path| names(path).map(move |name| folder(path).join(name)))
        .collect();
    let is_result = |path: &Path| {
        let (first, size) = path.file_stem()?.to_str()?.rsplit_once('-')?;
        let number = size.strip_prefix(['x', 'w', 'h'])?;
        let is_size = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        Some(is_size && given.contains(&folder(path).join(first)))
    };
    inputs.map(|path| is_result(path).unwrap_or(false)).collect()
}

/// An image, and the folder below that of all results in which its own lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) below: PathBuf,
}

impl Found {
    /// An image that is named by itself.
    pub(super) fn named(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            below: PathBuf::new(),
        }
    }
}

/// What a folder holds.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Images, by their names' endings, in the order of their paths.
    pub(super) images: Vec<Found>,
    /// What cannot be read.
    pub(super) refused: Vec<(PathBuf, Error)>,
    /// What the user may want to know.
    pub(super) notes: Vec<(PathBuf, Remark)>,
}

impl Folder {
    /// Looks through `root` and the folders in it, but not at those of `results`, whole paths. Results lie in folders of the same names in
    /// `below`.
    ///
    /// # Errors
    /// Where results would lie beside the images: the next run would enlarge them.
    pub(super) fn read(root: &Path, below: &Path, results: &[PathBuf]) -> Result<Self> {
        let whole = fs::canonicalize(root).map_err(|e| Error::of(root, &e))?;
        if results.contains(&whole) {
            let why = "results would lie among the photos, and another run would enlarge them: name another folder as output";
            return Err(Error::at(root, why).coded(code::PLACE));
        }
        let mut folder = Self::default();
        let mut others = Others::default();
        // Links may lead back to where they are.
        let mut seen = HashSet::new();
        let mut open = vec![Found {
            path: root.to_path_buf(),
            below: below.to_path_buf(),
        }];
        while let Some(at) = open.pop() {
            let whole = match fs::canonicalize(&at.path) {
                Ok(whole) => whole,
                Err(e) => {
                    let why = Error::of(&at.path, &e);
                    folder.refused.push((at.path, why));
                    continue;
                }
            };
            if results.contains(&whole) {
                folder.notes.push((at.path, results_folder()));
            } else if seen.insert(whole)
                && let Err(e) = folder.look(&at, &mut open, &mut others)
            {
                let why = Error::of(&at.path, &e);
                folder.refused.push((at.path, why));
            }
        }
        folder.images.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(told) = others.told() {
            folder.notes.push((root.to_path_buf(), told));
        }
        Ok(folder)
    }

    /// Takes the images of a folder and leaves those in it to be looked at.
    fn look(&mut self, at: &Found, open: &mut Vec<Found>, others: &mut Others) -> std::io::Result<()> {
        for entry in fs::read_dir(&at.path)? {
            let entry = entry?;
            let path = entry.path();
            if path.is_dir() {
                open.push(Found {
                    below: at.below.join(entry.file_name()),
                    path,
                });
            } else if path.is_file() && files::is_image(&path) {
                self.images.push(Found {
                    path,
                    below: at.below.clone(),
                });
            } else if !files::is_unfinished(&entry.file_name()) {
                others.count(&path);
            }
        }
        Ok(())
    }
}

/// Files that are no images by their names' endings.
#[derive(Debug, Default)]
struct Others(BTreeMap<String, usize>);

impl Others {
    fn count(&mut self, path: &Path) {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        *self.0.entry(ending.to_lowercase()).or_default() += 1;
    }

    fn told(&self) -> Option<Remark> {
        /// Endings that are named.
        const NAMED: usize = 4;
        let all: usize = self.0.values().sum();
        let endings: Vec<String> = self.0.keys().filter(|e| !e.is_empty()).cloned().collect();
        let named = match endings.as_slice() {
            [] => String::new(),
            some if some.len() <= NAMED => format!(" ({})", some.join(", ")),
            many => format!(" ({} and others)", many[..NAMED].join(", ")),
        };
        let text =
            format!("passed over, for their names are not those of images that are read: {all}{named}");
        (all > 0).then(|| Remark::new("others-passed-over", text))
    }
}

/// Said of the folder that results go to.
pub(super) fn results_folder() -> Remark {
    Remark::new("results-folder", "this is where results go, and is passed over")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn patterns_are_expanded_and_names_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.jpg", "b.jpg", ".c.jpg", "[1].jpg", "1.jpg", "d.png"] {
            fs::write(path(name), "").unwrap();
        }
        fs::create_dir_all(path("in/side")).unwrap();
        fs::write(path("in/side/e.jpg"), "").unwrap();
        let of = |pattern: &str| {
            let found = expanded(&[path(pattern)]);
            let name = |p: &PathBuf| {
                p.strip_prefix(folder.path())
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned()
            };
            found.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(of("[ab].jpg"), ["a.jpg", "b.jpg"]);
        assert_eq!(of("?.png"), ["d.png"]);
        assert_eq!(of("[1].jpg"), ["[1].jpg"], "a file of that name");
        assert_eq!(of("*.gif"), ["*.gif"], "told as it was written");
        assert_eq!(
            of("*.jpg"),
            ["1.jpg", "[1].jpg", "a.jpg", "b.jpg"],
            "hidden ones apart"
        );
        assert_eq!(of("**/e.jpg").len(), 1);
        assert_eq!(of("a[.jpg"), ["a[.jpg"], "no pattern");
        assert_eq!(expanded(&["-".into()]), [PathBuf::from("-")]);
    }

    #[test]
    fn results_are_told_from_what_they_were_made_of() {
        let told = |names: &[&'static str]| results_among(names.iter().map(|name| Path::new(*name)));
        assert_eq!(
            told(&["a.png", "a-x4.png", "a-x4-x4.png", "a-w800.jpg", "a.png-x4.png"]),
            [false, true, true, true, true]
        );
        // Made of what is not there, in another folder, or of another name.
        assert_eq!(told(&["b-x4.png", "s/a.png", "a-x4.png"]), [false; 3]);
        assert_eq!(told(&["a.png", "a-x.png", "a-large.png", "a-4.png"]), [false; 4]);
    }

    #[test]
    fn folders_are_read_with_what_lies_below() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("sub/deep")).unwrap();
        fs::create_dir_all(path("out/sub")).unwrap();
        for name in [
            "b.PNG",
            "sub/a.jpg",
            "sub/deep/c.webp",
            "sub/x.heic",
            "noext",
            "out/sub/b.png",
        ] {
            fs::write(path(name), "").unwrap();
        }
        let results = [fs::canonicalize(path("out")).unwrap()];
        let read = Folder::read(folder.path(), Path::new("p"), &results).unwrap();
        let found = |name: &str, below: &str| Found {
            path: path(name),
            below: below.into(),
        };
        let expected = [
            found("b.PNG", "p"),
            found("sub/a.jpg", "p/sub"),
            found("sub/deep/c.webp", "p/sub/deep"),
        ];
        assert_eq!(read.images, expected);
        assert!(read.refused.is_empty() && read.notes.len() == 2);
        assert!(read.notes[1].1.text().ends_with("2 (heic)"), "{:?}", read.notes);
        let among = Folder::read(&path("out"), Path::new(""), &results).unwrap_err();
        assert!(among.to_string().contains("another folder"), "{among}");
    }
}
