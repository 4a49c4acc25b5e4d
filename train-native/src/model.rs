//! Opening a model: the built-in one, or a folder with a manifest.

use std::{fs, path::Path};

use asasr_core::model::{FlowPart, Manifest, Weights};

use crate::error::{Error, Result};

/// A model as its folder holds it.
pub(crate) struct Model {
    pub(crate) manifest: Manifest,
    pub(crate) restorer: Weights,
    /// Where the manifest has a flow.
    pub(crate) flow: Option<Weights>,
    /// Where it has a fast one.
    pub(crate) fast: Option<Weights>,
}

/// The model in `folder`, or the built-in one.
pub(crate) fn open(folder: Option<&Path>) -> Result<Model> {
    let Some(folder) = folder else {
        let shipped = asasr_weights::DEFAULT;
        let manifest = Manifest::from_json(shipped.manifest)?;
        let restorer = manifest.open_weights(shipped.weights)?;
        return Ok(Model {
            manifest,
            restorer,
            flow: None,
            fast: None,
        });
    };
    let path = folder.join("manifest.json");
    let json = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    let manifest = Manifest::from_json(&json).map_err(|e| Error::at(&path, e))?;
    let read = |file: &str| {
        let path = folder.join(file);
        fs::read(&path)
            .map(|bytes| (bytes, path.clone()))
            .map_err(|e| Error::at(&path, e))
    };
    let (bytes, path) = read(&manifest.file)?;
    let restorer = manifest.open_weights(&bytes).map_err(|e| Error::at(&path, e))?;
    let part = |part: &Option<FlowPart>| -> Result<Option<Weights>> {
        let Some(part) = part else { return Ok(None) };
        let (bytes, path) = read(&part.file)?;
        Ok(Some(part.open_weights(&bytes).map_err(|e| Error::at(&path, e))?))
    };
    let (flow, fast) = (part(&manifest.flow)?, part(&manifest.fast)?);
    Ok(Model {
        manifest,
        restorer,
        flow,
        fast,
    })
}
