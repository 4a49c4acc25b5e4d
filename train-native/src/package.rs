//! Models of format 2: networks as graphs, in folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use asasr_core::graph::{TypedGraph, nets};
use asasr_core::model::{Dtype, MANIFEST_FORMAT, Manifest, NetworkPart, Role, Tensor, Weights, sha256_hex};
use asasr_core::nn::GraphValue;
use asasr_core::random::SplitMix64;
use serde::Deserialize;

use crate::error::{Error, Result};
use crate::files;
use crate::model::{self, Model};

/// The part of any manifest that says how to read the rest.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The format of the manifest in a folder; none where there is none.
fn format_of(folder: &Path) -> Option<u32> {
    let json = fs::read(folder.join("manifest.json")).ok()?;
    serde_json::from_slice::<Format>(&json).ok().map(|f| f.format)
}

/// The model in `folder`.
pub(crate) fn open(folder: &Path) -> Result<Manifest> {
    let path = folder.join("manifest.json");
    let json = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    Manifest::from_json(&json).map_err(|e| Error::at(&path, e))
}

/// A model with the weights of all its networks.
pub(crate) struct Graphs {
    pub(crate) manifest: Manifest,
    weights: BTreeMap<Role, Weights>,
}

impl Graphs {
    /// The model in `folder`.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let manifest = open(folder)?;
        let read = |(role, part): (&Role, &NetworkPart)| Ok((*role, network(folder, part)?.1));
        let weights = manifest.networks.iter().map(read).collect::<Result<_>>()?;
        Ok(Self { manifest, weights })
    }

    /// The first of these roles that is there.
    fn first(&self, roles: &[Role]) -> Option<(&NetworkPart, &Weights)> {
        let found = roles.iter().find(|role| self.weights.contains_key(role))?;
        Some((&self.manifest.networks[found], &self.weights[found]))
    }

    /// What answers in the mode `instant`.
    pub(crate) fn restorer(&self) -> Result<(&NetworkPart, &Weights)> {
        let found = self.first(&[Role::Restorer, Role::Community]);
        found.ok_or_else(|| {
            let id = &self.manifest.id;
            Error::new(format!("the model {id} has no restorer: take one that has"))
        })
    }

    /// What draws one likely image.
    pub(crate) fn sampler(&self) -> Option<(&NetworkPart, &Weights)> {
        self.first(&[Role::OneStep])
    }
}

/// A network of a model with its weights.
fn network(folder: &Path, part: &NetworkPart) -> Result<(NetworkPart, Weights)> {
    let path = folder.join(&part.file);
    let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
    let weights = part.open_weights(&bytes).map_err(|e| Error::at(&path, e))?;
    Ok((part.clone(), weights))
}

/// The network of that role in the model in `folder`, or else the only one that it has.
pub(crate) fn only(folder: &Path, role: Role) -> Result<(NetworkPart, Weights)> {
    let manifest = open(folder)?;
    let mut all = manifest.networks.values();
    let part = match (manifest.networks.get(&role), all.next(), all.next()) {
        (Some(part), ..) | (None, Some(part), None) => part,
        _ => {
            let why = format!("has several networks, and none of them is {role:?}");
            return Err(Error::at(folder, why));
        }
    };
    network(folder, part)
}

/// Whether a folder has a manifest of format 2.
pub(crate) fn is_package(folder: &Path) -> bool {
    format_of(folder) == Some(MANIFEST_FORMAT)
}

/// The restorer of the model in `folder`, of either format, of a built-in one, or of the default one.
pub(crate) fn restorer(folder: Option<&Path>) -> Result<(NetworkPart, Weights)> {
    if let Some(folder) = folder.filter(|f| is_package(f)) {
        let manifest = open(folder)?;
        let part = manifest
            .network(Role::Restorer)
            .map_err(|e| Error::at(folder, e))?;
        return network(folder, part);
    }
    let Model {
        manifest, restorer, ..
    } = model::open(folder)?;
    let part = NetworkPart {
        training: Some(manifest.training),
        sha256: manifest.sha256,
        bytes: manifest.bytes,
        ..NetworkPart::new(&manifest.file, nets::restorer(&manifest.architecture)?.check()?)
    };
    Ok((part, restorer))
}

/// What a restorer may begin with: a model's restorer, or the only network of a model.
pub(crate) fn begun(folder: &Path) -> Result<(NetworkPart, Weights)> {
    match is_package(folder) {
        true => only(folder, Role::Restorer),
        false => restorer(Some(folder)),
    }
}

/// The one image that a graph makes.
pub(crate) fn image(mut values: Vec<GraphValue>) -> Result<burn::tensor::Tensor<4>> {
    match values.pop() {
        Some(GraphValue::Map(x)) => Ok(x),
        _ => Err(Error::new("a network's result is no image")),
    }
}

/// Writes a model with these networks into `folder`, the manifest last.
pub(crate) fn write(
    folder: &Path,
    mut manifest: Manifest,
    networks: impl IntoIterator<Item = (Role, (NetworkPart, Weights))>,
) -> Result<()> {
    files::make_folder(folder)?;
    for (role, (mut part, weights)) in networks {
        let bytes = weights.to_safetensors(Dtype::F16)?;
        files::write(&folder.join(&part.file), &bytes)?;
        (part.bytes, part.sha256) = (bytes.len(), sha256_hex(&bytes));
        manifest.networks.insert(role, part);
    }
    files::write(&folder.join("manifest.json"), manifest.to_json()?.as_bytes())
}

/// Fresh weights: He-normal kernels (He et al. 2015) and zero biases, a pure function of `seed`.
pub(crate) fn he_normal(graph: &TypedGraph, seed: u64) -> Weights {
    let mut random = SplitMix64::new(seed);
    let mut weights = Weights::default();
    for p in graph.parameters() {
        let fan_in: usize = p.shape[1..].iter().product();
        let deviation = (2.0 / fan_in as f64).sqrt();
        let values = if p.shape.len() > 1 {
            (0..p.len())
                .map(|_| (deviation * random.normal()) as f32)
                .collect()
        } else {
            vec![0.0; p.len()]
        };
        let shape = p.shape.clone();
        weights.insert(p.name.clone(), Tensor { shape, values });
    }
    weights
}
