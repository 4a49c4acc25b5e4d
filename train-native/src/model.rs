//! Opening a model: the built-in one, or a folder with a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use asasr_core::flow::Source;
use asasr_core::model::format1::{FlowPart, Manifest};
use asasr_core::model::{Dtype, Weights, sha256_hex};

use crate::cli::Mode;
use crate::error::{Error, Result};
use crate::package::Graphs;
use crate::{files, package};

/// A model as its folder holds it.
pub(crate) struct Model {
    pub(crate) manifest: Manifest,
    pub(crate) restorer: Weights,
    /// Where the manifest has a flow.
    pub(crate) flow: Option<Weights>,
    /// Where it has a fast one.
    pub(crate) fast: Option<Weights>,
}

/// A model of either format, to be run.
pub(crate) enum Opened {
    /// Format 1.
    Layers(Box<Model>),
    /// Format 2.
    Graphs(Box<Graphs>),
}

impl Opened {
    /// The model in `folder`, or the built-in one of that name, or the default one.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self> {
        Ok(match folder.filter(|f| package::is_package(f)) {
            Some(folder) => Self::Graphs(Box::new(Graphs::open(folder)?)),
            None => Self::Layers(Box::new(open(folder)?)),
        })
    }

    pub(crate) fn id(&self) -> &str {
        match self {
            Self::Layers(model) => &model.manifest.id,
            Self::Graphs(graphs) => &graphs.manifest.id,
        }
    }

    /// How many times it enlarges.
    pub(crate) fn scale(&self) -> Result<usize> {
        match self {
            Self::Layers(model) => Ok(model.manifest.architecture.scale),
            Self::Graphs(graphs) => Ok(graphs.manifest.scale()?),
        }
    }

    /// The modes that it has, the quickest first.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        let has = |mode: &Mode| self.check_mode(*mode).is_ok();
        [Mode::Instant, Mode::Fast, Mode::Quality]
            .into_iter()
            .filter(has)
            .collect()
    }

    /// Refuses a mode that the model does not have.
    pub(crate) fn check_mode(&self, mode: Mode) -> Result<()> {
        let graphs = match self {
            Self::Layers(model) => return model.check_mode(mode),
            Self::Graphs(graphs) => graphs,
        };
        match (mode, graphs.sampler()) {
            (Mode::Instant, _) | (Mode::Fast, Some(_)) => Ok(()),
            (Mode::Quality, Some(_)) => Err(Error::new(format!(
                "the model {} draws in one step: choose --mode fast or --mode instant",
                self.id()
            ))),
            (Mode::Fast | Mode::Quality, None) => Err(no_flow(self.id())),
        }
    }

    /// The hashes of the files that a mode uses.
    pub(crate) fn hash(&self, mode: Mode) -> Result<String> {
        let (restorer, sampler) = match self {
            Self::Layers(model) => {
                let flow = model
                    .manifest
                    .flow_of(mode.of_model())
                    .map(|(flow, _)| &flow.sha256);
                (&model.manifest.sha256, flow)
            }
            Self::Graphs(graphs) => {
                let sampler = graphs.sampler().filter(|_| mode != Mode::Instant);
                (
                    &graphs.restorer()?.0.sha256,
                    sampler.map(|(part, _)| &part.sha256),
                )
            }
        };
        Ok(sampler.map_or(restorer.clone(), |own| format!("{restorer} {own}")))
    }

    /// Where the mode's flow begins; the weights do not tell.
    pub(crate) fn source(&self, mode: Mode) -> Option<Source> {
        match self {
            Self::Layers(model) => model
                .manifest
                .flow_of(mode.of_model())
                .map(|(flow, _)| flow.source),
            Self::Graphs(graphs) => {
                let sampler = graphs.sampler().filter(|_| mode != Mode::Instant)?;
                sampler.0.sampling.map(|sampling| sampling.source)
            }
        }
    }
}

impl Model {
    /// Refuses a mode that the model does not have.
    pub(crate) fn check_mode(&self, mode: Mode) -> Result<()> {
        if mode == Mode::Instant || self.manifest.flow_of(mode.of_model()).is_some() {
            return Ok(());
        }
        Err(no_flow(&self.manifest.id))
    }

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

fn built_in(shipped: asasr_weights::Model) -> Result<Model> {
    let read = |file: &str| {
        Ok((
            shipped.flow(file).unwrap_or(shipped.weights).to_vec(),
            file.into(),
        ))
    };
    put_together(Manifest::from_json(shipped.manifest)?, read)
}

/// The model in `folder`, or the built-in one of that name, or the default one.
pub(crate) fn open(folder: Option<&Path>) -> Result<Model> {
    let Some(folder) = folder else {
        return built_in(asasr_weights::DEFAULT);
    };
    let named = folder.to_str().filter(|_| !folder.exists());
    if let Some(shipped) = named.and_then(shipped) {
        return built_in(shipped);
    }
    let path = folder.join("manifest.json");
    let json = fs::read(&path).map_err(|e| Error::at(folder, absent(folder, &e)))?;
    let manifest = Manifest::from_json(&json).map_err(|e| Error::at(&path, e))?;
    put_together(manifest, |file| {
        let path = folder.join(file);
        let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
        Ok((bytes, path))
    })
}

/// Reads the weights that a manifest names; each file comes with its place, for errors.
fn put_together(manifest: Manifest, read: impl Fn(&str) -> Result<(Vec<u8>, PathBuf)>) -> Result<Model> {
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
