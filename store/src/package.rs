//! A model that is ready to be published.

use std::{fs, path::Path};

use asasr_core::model::{Manifest, sha256_hex};
use bytes::Bytes;

use crate::{Error, PublicKey, Result, Signature};

/// The manifest's name in a model's folder.
pub const MANIFEST: &str = "manifest.json";
/// The name of its signature, where there is one.
pub const SIGNATURE: &str = "manifest.json.sig";
/// A weights file has at most so many bytes: servers hold them in memory.
pub const LARGEST_FILE: usize = 64 << 20;
/// A manifest has at most so many bytes.
pub const LARGEST_MANIFEST: usize = 1 << 20;

/// A whole model: its manifest and every file that this names, checked against it.
#[derive(Debug, Clone)]
pub struct Package {
    pub(crate) manifest: Manifest,
    pub(crate) json: Bytes,
    pub(crate) signature: Option<Signature>,
    /// The weights with their hash.
    pub(crate) files: Vec<(String, Bytes)>,
}

impl Package {
    /// Reads the files that the manifest `json` names and checks sizes, hashes, shapes and the licence.
    ///
    /// # Errors
    /// [`Error::Package`] under the name `place`, or that of `read`.
    pub fn new(
        place: &str,
        json: Bytes,
        signature: Option<Signature>,
        read: impl Fn(&str) -> Result<Bytes>,
    ) -> Result<Self> {
        let wrong = |place: &str, why: String| Error::Package {
            place: place.to_owned(),
            why,
        };
        if json.len() > LARGEST_MANIFEST {
            let why = format!(
                "a manifest has at most {LARGEST_MANIFEST} bytes, this one {}",
                json.len()
            );
            return Err(wrong(place, why));
        }
        let manifest = Manifest::from_json(&json).map_err(|e| wrong(place, e.to_string()))?;
        check_licence(&manifest.licence).map_err(|why| wrong(place, why))?;
        let mut files = Vec::new();
        for file in manifest.files() {
            if file.bytes > LARGEST_FILE {
                let why = format!(
                    "{} has {} bytes, and at most {LARGEST_FILE} can be served",
                    file.name, file.bytes
                );
                return Err(wrong(place, why));
            }
            let bytes = read(file.name)?;
            file.open(&bytes)
                .map_err(|e| wrong(place, format!("{}: {e}", file.name)))?;
            files.push((file.sha256.to_owned(), bytes));
        }
        Ok(Self {
            manifest,
            json,
            signature,
            files,
        })
    }

    /// The model of a folder with `manifest.json`, the weights that it names and, where it is signed, `manifest.json.sig`.
    ///
    /// # Errors
    /// [`Error::Package`], naming the file at fault.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let read = |name: &str| -> Result<Bytes> {
            let path = folder.join(name);
            let bytes = fs::read(&path).map_err(|e| Error::Package {
                place: path.display().to_string(),
                why: match e.kind() {
                    std::io::ErrorKind::NotFound => "this file of the model is missing".into(),
                    _ => e.to_string(),
                },
            })?;
            Ok(bytes.into())
        };
        let json = read(MANIFEST)?;
        let signature = match read(SIGNATURE) {
            Ok(text) => {
                let signature =
                    Signature::new(&String::from_utf8_lossy(&text)).map_err(|e| Error::Package {
                        place: folder.join(SIGNATURE).display().to_string(),
                        why: e.to_string(),
                    })?;
                Some(signature)
            }
            Err(_) if !folder.join(SIGNATURE).exists() => None,
            Err(why) => return Err(why),
        };
        Self::new(
            &folder.join(MANIFEST).display().to_string(),
            json,
            signature,
            read,
        )
    }

    /// Checks that `key` signed the manifest.
    ///
    /// # Errors
    /// [`Error::Unsigned`].
    pub fn check_signature(&self, key: &PublicKey) -> Result<()> {
        key.check(&self.manifest.id, &self.json, self.signature.as_ref())
    }

    /// The model's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Size of all weights in bytes.
    pub fn size(&self) -> usize {
        self.files.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    pub(crate) fn manifest_hash(&self) -> String {
        sha256_hex(&self.json)
    }
}

/// Whoever downloads a model has to know what they may do with it.
///
/// # Errors
/// A sentence for what cannot be an SPDX expression.
pub fn check_licence(text: &str) -> std::result::Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || " .-+()".contains(c);
    if !text.trim().is_empty() && text.len() <= 200 && text.chars().all(fits) {
        return Ok(());
    }
    Err(format!(
        "its licence {text:?} is not an SPDX expression such as \"MIT OR Apache-2.0\": --licence of `asasr train export` or \
         `asasr weights import` sets it"
    ))
}
