use std::fmt;

use object_store::path::Path;

/// The folder of all release records.
pub(crate) const RELEASES: &str = "releases";

/// A model and the number of one of its releases, the first of which is 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId {
    /// The model's name.
    pub model: String,
    /// Counts up.
    pub number: u32,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {} of {}", self.number, self.model)
    }
}

impl ReleaseId {
    pub(crate) fn path(&self) -> Path {
        Path::from_iter([RELEASES, &self.model, &format!("{:08}.json", self.number)])
    }

    /// None for what is not a release record, such as a file that a person left there.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        let parts: Vec<_> = path.parts().collect();
        let [folder, model, file] = parts.as_slice() else {
            return None;
        };
        let digits = file.as_ref().strip_suffix(".json")?;
        let id = Self {
            model: model.as_ref().to_owned(),
            number: digits.parse().ok()?,
        };
        (folder.as_ref() == RELEASES && digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_digit()))
            .then_some(id)
    }
}
