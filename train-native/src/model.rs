//! Opening a model: the built-in one, or a folder with a manifest.

use std::{fs, path::Path};

use asasr_core::model::{Manifest, Weights};

use crate::error::{Error, Result};

/// The model in `folder`, or the built-in one.
pub(crate) fn open(folder: Option<&Path>) -> Result<(Manifest, Weights)> {
    let Some(folder) = folder else {
        let shipped = asasr_weights::DEFAULT;
        let manifest = Manifest::from_json(shipped.manifest)?;
        let weights = manifest.open_weights(shipped.weights)?;
        return Ok((manifest, weights));
    };
    let path = folder.join("manifest.json");
    let json = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    let manifest = Manifest::from_json(&json).map_err(|e| Error::at(&path, e))?;
    let path = folder.join(&manifest.file);
    let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    let weights = manifest.open_weights(&bytes).map_err(|e| Error::at(&path, e))?;
    Ok((manifest, weights))
}
