//! Where a model is: built in, or a folder with a manifest; and models of format 1, which flows are trained on.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::model::format1::{FlowPart, Manifest};
use asasr_core::model::{Dtype, MANIFEST_FORMAT, Weights, sha256_hex};

use crate::error::{Error, Result};
use crate::{files, graphs};

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

/// Why a model has no other mode than `instant`.
pub(crate) fn no_flow(id: &str) -> Error {
    Error::new(format!(
        "the model {id} has no flow: choose --mode instant, or --weights with a model that has one"
    ))
}

/// Why there is no model in a folder.
fn absent(folder: &Path, error: &std::io::Error) -> String {
    if folder.is_file() {
        return "a file, and a model is the folder of its manifest.json".into();
    }
    if error.kind() != std::io::ErrorKind::NotFound {
        return error.to_string();
    }
    if !folder.exists() {
        return unknown();
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

/// Why a name is no model.
pub(crate) fn unknown() -> String {
    let ids: Vec<String> = asasr_weights::ALL
        .iter()
        .filter_map(|m| Some(Manifest::from_json(m.manifest).ok()?.id))
        .collect();
    format!(
        "neither a folder nor a built-in model; built in: {}",
        ids.join(", ")
    )
}

/// The built-in model of that id.
pub(crate) fn shipped(id: &str) -> Option<asasr_weights::Model> {
    let named = |m: &asasr_weights::Model| Manifest::from_json(m.manifest).is_ok_and(|m| m.id == id);
    asasr_weights::ALL.into_iter().find(named)
}

/// Reads a file of a model by its name; with its place, for errors.
pub(crate) type Reader = Box<dyn Fn(&str) -> Result<(Vec<u8>, PathBuf)>>;

/// The manifest of the model in `folder`, of the built-in one of that name, or of the default one, its place, and its files.
pub(crate) fn files_of(folder: Option<&Path>) -> Result<(Vec<u8>, PathBuf, Reader)> {
    let named = folder.filter(|f| !f.exists()).and_then(Path::to_str);
    let built_in = match folder {
        None => Some(asasr_weights::DEFAULT),
        Some(_) => named.and_then(shipped),
    };
    if let Some(built_in) = built_in {
        let read = move |file: &str| {
            let bytes = built_in.flow(file).unwrap_or(built_in.weights);
            Ok((bytes.to_vec(), file.into()))
        };
        let place = folder.unwrap_or(Path::new("the built-in model")).to_path_buf();
        return Ok((built_in.manifest.to_vec(), place, Box::new(read)));
    }
    let folder = folder.unwrap_or(Path::new("")).to_path_buf();
    let path = folder.join("manifest.json");
    let json = fs::read(&path).map_err(|e| Error::at(&folder, absent(&folder, &e)))?;
    let read = move |file: &str| {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
        Ok((bytes, path))
    };
    Ok((json, path, Box::new(read)))
}

/// The model of format 1 in `folder`, of the built-in one of that name, or of the default one.
pub(crate) fn open(folder: Option<&Path>) -> Result<Model> {
    let (json, place, read) = files_of(folder)?;
    if graphs::format_of(&json) == Some(MANIFEST_FORMAT) {
        let why = "its networks are graphs (format 2), and what goes on with a flow takes lists of layers (format 1)";
        return Err(Error::at(&place, why));
    }
    let manifest = Manifest::from_json(&json).map_err(|e| Error::at(&place, e))?;
    put_together(manifest, &read)
}

/// Reads the weights files that a manifest names.
fn put_together(manifest: Manifest, read: &Reader) -> Result<Model> {
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
