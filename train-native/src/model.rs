//! Where a model is: built in, or a folder with a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::look::Looks;
use asasr_core::model::Manifest;

use crate::error::{Error, Result};

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
    let ids: Vec<String> = built_in()
        .filter_map(|m| Some(Manifest::from_json(m.manifest).ok()?.id))
        .collect();
    format!(
        "neither a model's file, nor a folder, nor a built-in model; built in: {}",
        ids.join(", ")
    )
}

/// A built-in model, and what an image looks like that it suits better than the default one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Suited {
    pub(crate) model: asasr_weights::Model,
    pub(crate) looks: &'static str,
}

/// The one for an image of such looks.
pub(crate) fn suited(looks: &Looks) -> Option<Suited> {
    let of = |model, looks| Some(Suited { model, looks });
    if looks.is_drawn() {
        of(
            asasr_weights::X4_DRAWN,
            "looks like a drawing, a screenshot or text",
        )
    } else if looks.is_clean() {
        of(asasr_weights::X4_CLEAN, "looks sharp and undamaged")
    } else {
        None
    }
}

/// The built-in model of that id.
pub(crate) fn shipped(id: &str) -> Option<asasr_weights::Model> {
    let named = |m: &asasr_weights::Model| Manifest::from_json(m.manifest).is_ok_and(|m| m.id == id);
    built_in().find(named)
}

/// All built-in models.
fn built_in() -> impl Iterator<Item = asasr_weights::Model> {
    asasr_weights::ALL.into_iter().chain(asasr_weights::FOR_VIDEOS)
}

/// Reads a file of a model by its name; with its place, for errors.
pub(crate) type Reader = Box<dyn Fn(&str) -> Result<(Vec<u8>, PathBuf)>>;

/// Reads the files of a built-in model.
pub(crate) fn reader(model: asasr_weights::Model) -> Reader {
    Box::new(move |file| {
        let bytes = model.sampler(file).unwrap_or(model.weights);
        Ok((bytes.to_vec(), file.into()))
    })
}

/// The manifest of the model in `folder`, of the built-in one of that name, or of the default one, its place, and its files.
pub(crate) fn files_of(folder: Option<&Path>) -> Result<(Vec<u8>, PathBuf, Reader)> {
    let named = folder.filter(|f| !f.exists()).and_then(Path::to_str);
    let built_in = match folder {
        None => Some(asasr_weights::DEFAULT),
        Some(_) => named.and_then(shipped),
    };
    if let Some(model) = built_in {
        let place = folder.unwrap_or(Path::new("the built-in model")).to_path_buf();
        return Ok((model.manifest.to_vec(), place, reader(model)));
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
