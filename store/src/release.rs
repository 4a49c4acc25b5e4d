use std::fmt;

use asasr_core::model::Manifest;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::{Error, PublicKey, Result, Signature};

/// The version of a release record's layout.
const FORMAT: u32 = 1;
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

/// What a release record holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    format: u32,
    /// The manifest's sha256.
    pub(crate) manifest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<Signature>,
    pub(crate) published: DateTime<Utc>,
}

impl Record {
    pub(crate) fn new(manifest: String, signature: Option<Signature>, published: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            manifest,
            signature,
            published,
        }
    }

    pub(crate) fn read(id: &ReleaseId, json: &[u8]) -> Result<Self> {
        let damaged = |why: String| Error::Damaged {
            object: id.path().to_string(),
            why,
        };
        let record: Self = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        if record.format != FORMAT {
            let why = format!(
                "it has format {}, this program reads format {FORMAT}: update the program",
                record.format
            );
            return Err(damaged(why));
        }
        if record.manifest.len() != 64 || !record.manifest.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(damaged("its manifest's hash is none".into()));
        }
        Ok(record)
    }
}

/// A release as it was published, its manifest checked against its hash.
#[derive(Debug, Clone)]
pub struct Release {
    /// Which one it is.
    pub id: ReleaseId,
    /// The manifest as it was read.
    pub manifest: Manifest,
    /// The manifest's own bytes.
    pub json: Bytes,
    /// Their sha256, lower-case hexadecimal.
    pub sha256: String,
    /// Their signature, where the publisher gave one. Not checked.
    pub signature: Option<Signature>,
    /// When it was published.
    pub published: DateTime<Utc>,
}

impl Release {
    /// Checks that `key` signed the manifest.
    ///
    /// # Errors
    /// [`Error::Unsigned`].
    pub fn check_signature(&self, key: &PublicKey) -> Result<()> {
        key.check(&self.id, &self.json, self.signature.as_ref())
    }
}
