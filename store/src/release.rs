use asasr_core::model::Manifest;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Error, PublicKey, ReleaseId, Result, Signature};

/// The version of a release record's layout.
const FORMAT: u32 = 1;
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
