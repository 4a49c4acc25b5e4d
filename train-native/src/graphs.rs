//! Models as graphs: to be run, to begin a training with, and written as format 2.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use asasr_core::flow::Source;
use asasr_core::graph::TypedGraph;
use asasr_core::model::{Dtype, Manifest, NetworkPart, Role, Tensor, Weights, sha256_hex};
use asasr_core::random::SplitMix64;

use asasr_interchange::{Imported, Stated};
use asasr_store::{Package, PublicKey};

use crate::cli::Mode;
use crate::error::{Error, Result};
use crate::model::{self, Reader};
use crate::{community, files};

/// A model of any format with the weights of all its networks.
#[derive(Clone)]
pub(crate) struct Graphs {
    pub(crate) manifest: Manifest,
    weights: BTreeMap<Role, Weights>,
}

/// A network with its weights.
pub(crate) type Loaded<'a> = (&'a NetworkPart, &'a Weights);
/// The same, of its holder's own.
pub(crate) type Network = (NetworkPart, Weights);
/// What answers in the mode `instant`, and what draws, in how many steps.
pub(crate) type OfMode = (Network, Option<(Network, usize)>);

impl Graphs {
    /// The model in `folder`, or the built-in one of that name, or the default one.
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self> {
        if let Some(file) = folder.filter(|path| path.is_file()) {
            return Self::of_community(file);
        }
        let (manifest, _, read) = manifest(folder)?;
        Self::read(manifest, &read)
    }

    /// A built-in model, whatever folders there are.
    pub(crate) fn built_in(model: asasr_weights::Model) -> Result<Self> {
        let manifest = Manifest::from_json(model.manifest)?;
        Self::read(manifest, &model::reader(model))
    }

    fn read(manifest: Manifest, read: &Reader) -> Result<Self> {
        let loaded = |(role, part): (&Role, &NetworkPart)| Ok((*role, weights_of(part, read)?));
        let weights = manifest.networks.iter().map(loaded).collect::<Result<_>>()?;
        Ok(Self { manifest, weights })
    }

    /// The same, if `key`, a PEM file or the base64 inside it, signed its manifest; without a key, any.
    pub(crate) fn signed(folder: Option<&Path>, key: Option<&str>) -> Result<Self> {
        if let (Some(key), Some(folder)) = (key, folder) {
            let key = PublicKey::read(key)?;
            Package::from_folder(folder)?.check_signature(&key)?;
        }
        Self::open(folder)
    }

    /// A community's file beside the default model's restorer.
    fn of_community(file: &Path) -> Result<Self> {
        let Imported { manifest, weights } = community::import(file, &Stated::default())?;
        let of = |(role, part): (&Role, &NetworkPart)| -> Result<(Role, Weights)> {
            let bytes = match *role {
                Role::Community => weights.as_slice(),
                _ => asasr_weights::DEFAULT.weights,
            };
            let opened = part.open_weights(bytes);
            Ok((*role, opened.map_err(|e| Error::at(file, e))?))
        };
        let weights = manifest.networks.iter().map(of).collect::<Result<_>>()?;
        Ok(Self { manifest, weights })
    }

    /// The mode that it is asked for when nobody says another.
    pub(crate) fn default_mode(&self) -> Mode {
        Mode::of(self.manifest.default_mode())
    }

    /// One without networks.
    pub(crate) fn named(id: String, licence: String) -> Self {
        Self {
            manifest: Manifest {
                id,
                licence,
                networks: BTreeMap::new(),
                measured: None,
            },
            weights: BTreeMap::new(),
        }
    }

    /// The network of a role, where it has one.
    pub(crate) fn network(&self, role: Role) -> Option<Loaded<'_>> {
        self.manifest.networks.get(&role).zip(self.weights.get(&role))
    }

    /// The part of the manifest for a role, where it has one.
    pub(crate) fn part_mut(&mut self, role: Role) -> Option<&mut NetworkPart> {
        self.manifest.networks.get_mut(&role)
    }

    /// Takes a network out.
    pub(crate) fn take(&mut self, role: Role) -> Option<(NetworkPart, Weights)> {
        self.manifest
            .networks
            .remove(&role)
            .zip(self.weights.remove(&role))
    }

    /// Puts a network in, in place of what has that role.
    pub(crate) fn put(&mut self, role: Role, (part, weights): (NetworkPart, Weights)) {
        self.manifest.networks.insert(role, part);
        self.weights.insert(role, weights);
    }

    /// Writes it into `folder`, the manifest last; sizes and hashes in the manifest become those of the files.
    pub(crate) fn write(mut self, folder: &Path, dtype: Dtype) -> Result<()> {
        files::make_folder(folder)?;
        for (role, weights) in &self.weights {
            if let Some(part) = self.manifest.networks.get_mut(role) {
                let bytes = weights.to_safetensors(dtype)?;
                files::write(&folder.join(&part.file), &bytes)?;
                (part.bytes, part.sha256) = (bytes.len(), sha256_hex(&bytes));
            }
        }
        let json = self.manifest.to_json()?;
        files::write(&folder.join("manifest.json"), json.as_bytes())
    }

    pub(crate) fn id(&self) -> &str {
        &self.manifest.id
    }

    /// How many times it enlarges.
    pub(crate) fn scale(&self) -> Result<usize> {
        Ok(self.manifest.scale()?)
    }

    /// The modes that it has, the quickest first.
    pub(crate) fn modes(&self) -> Vec<Mode> {
        let all = [Mode::Instant, Mode::Fast, Mode::Quality];
        all.into_iter()
            .filter(|mode| self.check_mode(*mode).is_ok())
            .collect()
    }

    /// Refuses a mode that the model does not have.
    pub(crate) fn check_mode(&self, mode: Mode) -> Result<()> {
        if self.manifest.restorer().is_err() && self.network(Role::Recurrent).is_some() {
            let why = format!(
                "the model {} is for videos alone: use it with asasr video, without --mode",
                self.id()
            );
            return Err(Error::new(why));
        }
        self.sampler(mode).map(drop)
    }

    /// A part of the manifest with its weights.
    fn loaded<'a>(&'a self, part: &'a NetworkPart) -> Result<Loaded<'a>> {
        let role = self
            .manifest
            .networks
            .iter()
            .find(|(_, own)| own.file == part.file);
        let weights = role.and_then(|(role, _)| self.weights.get(role));
        Ok((
            part,
            weights.ok_or_else(|| Error::new(format!("{} is not loaded", part.file)))?,
        ))
    }

    /// What answers in the mode `instant`.
    pub(crate) fn restorer(&self) -> Result<Loaded<'_>> {
        self.loaded(self.manifest.restorer()?)
    }

    /// What a mode draws from, and its number of steps; none in the mode `instant`.
    pub(crate) fn sampler(&self, mode: Mode) -> Result<Option<(Loaded<'_>, usize)>> {
        match self.manifest.sampler(mode.of_model()) {
            Some((part, steps)) => Ok(Some((self.loaded(part)?, steps))),
            None if mode == Mode::Instant => Ok(None),
            None if self.manifest.modes().count() > 1 => Err(Error::new(format!(
                "the model {} draws in one step: choose --mode fast or --mode instant",
                self.id()
            ))),
            None => Err(model::no_flow(self.id())),
        }
    }

    /// The networks of a mode, taken out with their weights: what answers in the mode `instant`, and what draws in this one.
    pub(crate) fn of_mode(mut self, mode: Mode) -> Result<OfMode> {
        let restorer = self.manifest.restorer()?.file.clone();
        let sampler = self.sampler(mode)?;
        let drawn = sampler.map(|((part, _), steps)| (part.file.clone(), steps));
        let drawn = drawn.map(|(file, steps)| Ok::<_, Error>((self.take_file(&file)?, steps)));
        let drawn = drawn.transpose()?;
        Ok((self.take_file(&restorer)?, drawn))
    }

    /// Takes out the network of that file.
    fn take_file(&mut self, file: &str) -> Result<Network> {
        let mut networks = self.manifest.networks.iter();
        let role = networks.find(|(_, own)| own.file == file).map(|(role, _)| *role);
        let taken = role.and_then(|role| self.take(role));
        taken.ok_or_else(|| Error::new(format!("{file} is not loaded")))
    }

    /// The hashes of the files that a mode uses.
    pub(crate) fn hash(&self, mode: Mode) -> Result<String> {
        let restorer = self.manifest.restorer()?.sha256.clone();
        Ok(match self.sampler(mode)? {
            Some(((part, _), _)) => format!("{restorer} {}", part.sha256),
            None => restorer,
        })
    }

    /// Where the mode's flow begins; the weights do not tell.
    pub(crate) fn source(&self, mode: Mode) -> Result<Option<Source>> {
        let sampling = self.sampler(mode)?.and_then(|((part, _), _)| part.sampling);
        Ok(sampling.map(|sampling| sampling.source))
    }
}

/// The manifest of the model in `folder`, or of a built-in one, or of the default one, its place, and its files.
fn manifest(folder: Option<&Path>) -> Result<(Manifest, PathBuf, Reader)> {
    let (json, place, read) = model::files_of(folder)?;
    let manifest = Manifest::from_json(&json).map_err(|e| Error::at(&place, e))?;
    Ok((manifest, place, read))
}

/// The weights of a network.
fn weights_of(part: &NetworkPart, read: &Reader) -> Result<Weights> {
    let (bytes, path) = read(&part.file)?;
    part.open_weights(&bytes).map_err(|e| Error::at(&path, e))
}

/// The network of that role in the model in `folder`, or else the only one that it has.
pub(crate) fn only(folder: &Path, role: Role) -> Result<(NetworkPart, Weights)> {
    let (manifest, _, read) = manifest(Some(folder))?;
    let mut all = manifest.networks.values();
    let ((Some(part), ..) | (None, Some(part), None)) =
        (manifest.networks.get(&role), all.next(), all.next())
    else {
        let why = format!("has several networks, and none of them is its {}", role.name());
        return Err(Error::at(folder, why));
    };
    Ok((part.clone(), weights_of(part, &read)?))
}

/// The restorer of the model in `folder`, or of a built-in one, or of the default one.
pub(crate) fn restorer(folder: Option<&Path>) -> Result<(NetworkPart, Weights)> {
    let (manifest, place, read) = manifest(folder)?;
    let part = manifest
        .network(Role::Restorer)
        .map_err(|e| Error::at(&place, e))?;
    Ok((part.clone(), weights_of(part, &read)?))
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
