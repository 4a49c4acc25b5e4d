//! Community models: a person's file to a manifest and weights as the page runs them.

use asasr_core::model::Manifest;
use asasr_interchange::{MOST_BYTES, OwnFile, Stated};
use wasm_bindgen::prelude::*;

use crate::said::js;

/// A file of a model on its way into this module, a part at a time.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ModelFile {
    name: String,
    bytes: Vec<u8>,
}

#[wasm_bindgen]
impl ModelFile {
    /// A file of that name, of which `size` bytes are to come.
    ///
    /// # Errors
    /// With a code, when it is larger than is taken.
    #[wasm_bindgen(constructor)]
    pub fn new(name: String, size: usize) -> Result<ModelFile, JsValue> {
        if size > MOST_BYTES {
            let why = format!("it has more than {} MB", MOST_BYTES >> 20);
            return Err(js(asasr_interchange::Error::TooLarge(why)));
        }
        let mut bytes = Vec::new();
        // What the memory has no room for is said, and ends nothing.
        let room = bytes.try_reserve_exact(size);
        room.map_err(|_| {
            js(asasr_interchange::Error::TooLarge(
                "it needs more memory than there is".into(),
            ))
        })?;
        Ok(Self { name, bytes })
    }

    /// Takes the next part.
    pub fn push(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }

    fn file(self) -> OwnFile {
        OwnFile {
            name: self.name,
            bytes: self.bytes,
        }
    }
}

/// A model as the page keeps and runs it.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct ImportedModel {
    /// Its `manifest.json`.
    pub manifest: String,
    /// Its id.
    pub id: String,
    /// The network's name in the field, with its sizes.
    pub architecture: String,
    /// How many times it enlarges.
    pub scale: usize,
    /// The name of its weights file.
    pub file: String,
    /// The name of the file of the restorer to whose mean it is held, which is that of `mean`.
    pub restorer: String,
    weights: Vec<u8>,
}

#[wasm_bindgen]
impl ImportedModel {
    /// The bytes of its weights file, once.
    #[wasm_bindgen(js_name = takeWeights)]
    pub fn take_weights(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.weights)
    }
}

/// Reads a model of one file, or of ncnn's two, and puts it beside the restorer of the model whose manifest is `mean`.
///
/// # Errors
/// With a code: what is wrong with the file.
#[wasm_bindgen(js_name = importModel)]
pub fn import_model(
    first: ModelFile,
    second: Option<ModelFile>,
    mean: &[u8],
) -> Result<ImportedModel, JsValue> {
    let mean = Manifest::from_json(mean).map_err(js)?;
    let files = [Some(first), second].into_iter().flatten();
    let files = files.map(ModelFile::file).collect();
    let imported = asasr_interchange::import(files, &Stated::default(), &mean).map_err(js)?;
    let manifest = &imported.manifest;
    let restorer = manifest.restorer().map_err(js)?.file.clone();
    let community = manifest.network(asasr_core::model::Role::Community).map_err(js)?;
    let from = community.provenance.as_ref();
    Ok(ImportedModel {
        manifest: manifest.to_json().map_err(js)?,
        id: manifest.id.clone(),
        architecture: from.and_then(|p| p.architecture.clone()).unwrap_or_default(),
        scale: manifest.scale().map_err(js)?,
        file: community.file.clone(),
        restorer,
        weights: imported.weights,
    })
}
