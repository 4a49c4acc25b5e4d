use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use super::manifest::{count, line, plain, sha256};
use super::{Measured, Training, Weights, WeightsFile};
use crate::flow::Sampling;
use crate::graph::{Graph, TypedGraph};
use crate::{Error, Result};

/// The version of the layout that [`Package`] reads and writes.
pub const PACKAGE_FORMAT: u32 = 2;

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The posterior mean: `image` to `image`.
    Restorer,
    /// A sample in one step: `image`, and where it has one `noise`, to `image`.
    OneStep,
    /// Whatever its maker trained it for: `image` to `image`.
    Community,
}

/// Format 2 of `manifest.json`: networks by what they are for, each a graph with a file of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// The model's name in addresses and on the command line.
    pub id: String,
    /// SPDX expression, of all networks together.
    pub licence: String,
    /// The networks.
    pub networks: BTreeMap<Role, NetworkPart>,
    /// What was measured on images it was not trained on.
    pub measured: Option<Measured>,
}

/// A network of a [`Package`].
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkPart {
    /// The weights file, in the manifest's folder.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: String,
    /// What is computed.
    pub graph: TypedGraph,
    /// How its results are used, where it is a sampler.
    pub sampling: Option<Sampling>,
    /// How it was trained; none of weights that were published elsewhere.
    pub training: Option<Training>,
    /// Where its first weights are from; none of those that began at random.
    pub provenance: Option<Provenance>,
}

/// Published weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What it is called there, and where that is.
    pub source: String,
    /// Who made it.
    pub author: String,
    /// SPDX expression.
    pub licence: String,
    /// sha256 of the file it was read from.
    pub sha256: String,
}

/// A network as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPart {
    file: String,
    bytes: usize,
    sha256: String,
    parameters: usize,
    graph: Graph,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sampling: Option<Sampling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
}

/// A package as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPackage {
    format: u32,
    id: String,
    licence: String,
    networks: BTreeMap<Role, RawPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

impl Package {
    /// Reads and checks a `manifest.json` of format 2.
    ///
    /// # Errors
    /// [`Error::Manifest`] or [`Error::Graph`], naming what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let raw: RawPackage = serde_json::from_slice(json).map_err(|e| Error::Manifest(e.to_string()))?;
        if raw.format != PACKAGE_FORMAT {
            return Err(Error::Manifest(format!(
                "it has format {}, and format {PACKAGE_FORMAT} is read here: update the program or the model",
                raw.format
            )));
        }
        let networks = raw.networks.into_iter();
        let networks = networks.map(|(role, part)| Ok((role, part.checked()?)));
        let package = Self {
            id: raw.id,
            licence: raw.licence,
            networks: networks.collect::<Result<_>>()?,
            measured: raw.measured,
        };
        package.check()?;
        Ok(package)
    }

    /// The manifest as indented JSON with a final newline.
    ///
    /// # Errors
    /// [`Error::Manifest`] for what [`from_json`](Self::from_json) does not take.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        let raw = RawPackage {
            format: PACKAGE_FORMAT,
            id: self.id.clone(),
            licence: self.licence.clone(),
            networks: self
                .networks
                .iter()
                .map(|(role, part)| (*role, part.raw()))
                .collect(),
            measured: self.measured.clone(),
        };
        let json = serde_json::to_string_pretty(&raw).map_err(|e| Error::Manifest(e.to_string()))?;
        Ok(json + "\n")
    }

    /// The network of a role.
    ///
    /// # Errors
    /// [`Error::Manifest`] where there is none.
    pub fn network(&self, role: Role) -> Result<&NetworkPart> {
        self.networks
            .get(&role)
            .ok_or_else(|| Error::Manifest(format!("the model {} has no network {role:?}", self.id)))
    }

    fn check(&self) -> Result<()> {
        plain("id", &self.id)?;
        line("licence", &self.licence)?;
        if self.networks.is_empty() {
            return Err(Error::Manifest("it has no networks".into()));
        }
        if let Some(measured) = &self.measured {
            line("measured.protocol", &measured.protocol)?;
        }
        let mut files: Vec<&str> = Vec::new();
        for part in self.networks.values() {
            part.check()?;
            if files.contains(&part.file.as_str()) {
                return Err(Error::Manifest(format!(
                    "two of its networks share the file {:?}",
                    part.file
                )));
            }
            files.push(&part.file);
        }
        Ok(())
    }
}

impl NetworkPart {
    /// A network whose file is not written yet.
    pub fn new(file: &str, graph: TypedGraph) -> Self {
        Self {
            file: file.into(),
            bytes: 0,
            sha256: "0".repeat(64),
            graph,
            sampling: None,
            training: None,
            provenance: None,
        }
    }

    /// How many times larger the result is than the image.
    pub fn scale(&self) -> (usize, usize) {
        self.graph.output_scale(0).terms()
    }

    /// The weights file.
    pub fn weights_file(&self) -> WeightsFile<'_> {
        WeightsFile::new(
            &self.file,
            self.bytes,
            &self.sha256,
            self.graph.parameters().to_vec(),
        )
    }

    /// Reads the weights file after checking that it is the one described.
    ///
    /// # Errors
    /// [`Error::Hash`] for other bytes, [`Error::Weights`] for a file that is damaged or does not fit.
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        self.weights_file().open(bytes)
    }

    fn check(&self) -> Result<()> {
        plain("file", &self.file)?;
        sha256(&self.file, &self.sha256)?;
        if let Some(training) = &self.training {
            line("training.command", &training.command)?;
        }
        if let Some(from) = &self.provenance {
            line("provenance.source", &from.source)?;
            line("provenance.author", &from.author)?;
            line("provenance.licence", &from.licence)?;
            sha256("the provenance", &from.sha256)?;
        }
        if let Some(sampling) = &self.sampling {
            sampling.validate()?;
        }
        Ok(())
    }

    fn raw(&self) -> RawPart {
        RawPart {
            file: self.file.clone(),
            bytes: self.bytes,
            sha256: self.sha256.clone(),
            parameters: self.graph.parameter_count() as usize,
            graph: self.graph.graph().clone(),
            sampling: self.sampling,
            training: self.training.clone(),
            provenance: self.provenance.clone(),
        }
    }
}

impl RawPart {
    fn checked(self) -> Result<NetworkPart> {
        let graph = self.graph.check()?;
        count(self.parameters, graph.parameter_count() as usize)?;
        Ok(NetworkPart {
            file: self.file,
            bytes: self.bytes,
            sha256: self.sha256,
            graph,
            sampling: self.sampling,
            training: self.training,
            provenance: self.provenance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{conformance, nets};
    use crate::model::{Dtype, sha256_hex};

    fn package() -> (Package, Vec<u8>) {
        let compact = nets::Compact {
            colours: 3,
            features: 4,
            convs: 1,
            scale: 4,
        };
        let graph = nets::with_noise(&compact.graph().check().expect("fits"), 3, 4).expect("fits");
        let bytes = conformance::weights(&graph, 1)
            .to_safetensors(Dtype::F16)
            .expect("writes");
        let part = NetworkPart {
            bytes: bytes.len(),
            sha256: sha256_hex(&bytes),
            sampling: Some(Sampling::in_one_step(1.5, 3.0)),
            provenance: Some(Provenance {
                source: "a test".into(),
                author: "nobody".into(),
                licence: "CC0-1.0".into(),
                sha256: "a".repeat(64),
            }),
            ..NetworkPart::new("one-step.safetensors", graph)
        };
        let package = Package {
            id: "test".into(),
            licence: "CC0-1.0".into(),
            networks: [(Role::OneStep, part)].into(),
            measured: None,
        };
        (package, bytes)
    }

    #[test]
    fn a_package_is_read_as_it_was_written() {
        let (package, mut bytes) = package();
        let json = package.to_json().expect("writes");
        let again = Package::from_json(json.as_bytes()).expect("reads");
        assert_eq!(again, package);
        let part = again.network(Role::OneStep).expect("is there");
        assert_eq!(part.scale(), (4, 1));
        part.open_weights(&bytes).expect("the described bytes");
        bytes[20] ^= 1;
        assert!(matches!(part.open_weights(&bytes), Err(Error::Hash { .. })));
        assert!(again.network(Role::Restorer).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (package, _) = package();
        let json = package.to_json().expect("writes");
        for (from, to) in [
            ("\"format\": 2", "\"format\": 3"),
            ("\"format\": 2", "\"format\": 1"),
            ("\"test\"", "\"../test\""),
            ("\"one-step.safetensors\"", "\"a/b\""),
            ("\"one_step\"", "\"two_step\""),
            ("\"parameters\": ", "\"parameters\": 1"),
            ("\"colour_anchor\": 3.0", "\"colour_anchor\": 99.0"),
            ("\"s\": 1.5", "\"s\": 99.0"),
            ("aaaaaaaa", "AAAAAAAA"),
            ("nobody", "no\\u001bbody"),
        ] {
            let wrong = json.replacen(from, to, 1);
            assert_ne!(wrong, json, "{from}");
            assert!(Package::from_json(wrong.as_bytes()).is_err(), "{to}");
        }
    }
}
