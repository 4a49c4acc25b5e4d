//! Opening a model: the built-in one, or a folder with a manifest.

use std::{fs, path::Path};

use asasr_core::model::{Dtype, FlowPart, Manifest, Weights, sha256_hex};

use crate::error::{Error, Result};
use crate::files;

/// A model as its folder holds it.
pub(crate) struct Model {
    pub(crate) manifest: Manifest,
    pub(crate) restorer: Weights,
    /// Where the manifest has a flow.
    pub(crate) flow: Option<Weights>,
    /// Where it has a fast one.
    pub(crate) fast: Option<Weights>,
}

impl Model {
    /// Writes the model into `folder`, the manifest last; sizes and hashes in the manifest become those of the files.
    pub(crate) fn write(mut self, folder: &Path, dtype: Dtype) -> Result<()> {
        files::make_folder(folder)?;
        let store = |file: &str, weights: &Weights| -> Result<(usize, String)> {
            let bytes = weights.to_safetensors(dtype)?;
            files::write(&folder.join(file), &bytes)?;
            Ok((bytes.len(), sha256_hex(&bytes)))
        };
        let manifest = &mut self.manifest;
        (manifest.bytes, manifest.sha256) = store(&manifest.file, &self.restorer)?;
        for (part, weights) in [(&mut manifest.flow, &self.flow), (&mut manifest.fast, &self.fast)] {
            if let (Some(part), Some(weights)) = (part, weights) {
                (part.bytes, part.sha256) = store(&part.file, weights)?;
            }
        }
        files::write(&folder.join("manifest.json"), manifest.to_json()?.as_bytes())
    }
}

/// Why there is no model in a folder.
fn absent(folder: &Path, error: &std::io::Error) -> String {
    if error.kind() != std::io::ErrorKind::NotFound {
        return error.to_string();
    }
    let best = folder.join("best");
    if folder.join("adapter_config.json").exists() {
        "this is an adapter, and a model is needed".into()
    } else if best.join("manifest.json").exists() {
        format!("no model is here; is {} meant?", best.display())
    } else {
        "no model is here: a folder with manifest.json is needed".into()
    }
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
    let json = fs::read(&path).map_err(|e| Error::at(folder, absent(folder, &e)))?;
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
