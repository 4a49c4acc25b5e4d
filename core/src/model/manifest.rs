use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Serialize;
use serde_json::Value;

use super::file::{count, line, plain, sha256};
use super::{Measured, Mode, Training, Weights, WeightsFile, format1};
use crate::fields::{self, Field, Fields, Misfit, Object, fields, names};
use crate::flow::{FieldInputs, Sampling};
use crate::graph::{Graph, Input, Scale, TypedGraph, ValueType, nets};
use crate::{Error, Result};

/// The version of the layout that [`Manifest`] reads and writes.
pub const MANIFEST_FORMAT: u32 = 2;

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The posterior mean: an image to an image.
    Restorer,
    /// A velocity field: the state, the low-quality image, where it reads it the posterior mean, and the time, to a velocity.
    Field,
    /// Such a field distilled to a few steps.
    FewSteps,
    /// A sample in one step: an image, and where it reads one a source sample, to an image.
    OneStep,
    /// Whatever its maker trained it for: an image to an image.
    Community,
    /// For video: a frame and the [last result moved to it](crate::video), to a result.
    Recurrent,
}

names!(Role {
    "restorer" = Restorer,
    "field" = Field,
    "few_steps" = FewSteps,
    "one_step" = OneStep,
    "community" = Community,
    "recurrent" = Recurrent
});

impl Role {
    /// As manifests write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Restorer => "restorer",
            Self::Field => "field",
            Self::FewSteps => "few_steps",
            Self::OneStep => "one_step",
            Self::Community => "community",
            Self::Recurrent => "recurrent",
        }
    }

    /// Whether its network draws from a source.
    fn samples(self) -> bool {
        match self {
            Self::Field | Self::FewSteps | Self::OneStep => true,
            Self::Restorer | Self::Community | Self::Recurrent => false,
        }
    }

    /// Whether values of these types are what its network reads, for an image `scale` times larger.
    fn reads(self, inputs: &[ValueType], scale: Scale) -> bool {
        let (image, larger) = (
            ValueType::map(COLOURS, Scale::ONE),
            ValueType::map(COLOURS, scale),
        );
        let time = ValueType::vector(1);
        match self {
            Self::Restorer | Self::Community => inputs == [image],
            Self::Recurrent => inputs == [image, larger],
            Self::OneStep => inputs == [image] || inputs == [image, larger],
            Self::Field | Self::FewSteps => {
                inputs == [larger, image, time] || inputs == [larger, image, larger, time]
            }
        }
    }
}

/// Channels of images.
const COLOURS: usize = 3;
/// Steps of [`Mode::Fast`] where no network was made for it.
const FAST_STEPS: usize = 4;
/// Most that a model enlarges.
const MOST_SCALE: usize = 8;
/// Deviation of the anchor of a community's network, in input pixels.
const ANCHOR: f64 = 0.75;
/// The least deviation of an anchor, in output pixels.
const LEAST_ANCHOR: f64 = 0.8;
/// Order of the norm in which such a network's departure from the mean is measured.
const DEPARTURE: f64 = 1.5;

/// What a model is, where its weights are and how they came to be: networks by what they are for, each a graph with a file of weights.
/// It is format 2 of `manifest.json`, and [format 1](format1) is read as one.
///
/// One of them answers in the mode `instant`, a [`Role::Restorer`] or else a [`Role::Community`], but in a model for videos alone, which has
/// a [`Role::Recurrent`] only. All are of colour images and enlarge the same whole number of times.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The model's name in addresses and on the command line.
    pub id: String,
    /// SPDX expression, of all networks together.
    pub licence: String,
    /// The networks.
    pub networks: BTreeMap<Role, NetworkPart>,
    /// What was measured on images it was not trained on.
    pub measured: Option<Measured>,
}

/// A network of a [`Manifest`].
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// What it is called there, and where that is.
    pub source: String,
    /// Who made it.
    pub author: String,
    /// SPDX expression.
    pub licence: String,
    /// sha256 of the file it was read from.
    pub sha256: String,
    /// That file's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The network's name in the field, with its sizes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
}

fields!(Provenance {
    source,
    author,
    licence,
    sha256,
    file,
    architecture
});

/// A network as it is written.
#[derive(Serialize)]
struct RawPart {
    file: String,
    bytes: usize,
    sha256: String,
    parameters: usize,
    graph: Graph,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampling: Option<Sampling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<Training>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provenance: Option<Provenance>,
}

fields!(RawPart {
    file,
    bytes,
    sha256,
    parameters,
    graph,
    sampling,
    training,
    provenance
});

/// A manifest as it is written.
#[derive(Serialize)]
struct RawManifest {
    format: u32,
    id: String,
    licence: String,
    networks: BTreeMap<Role, RawPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

fields!(RawManifest {
    format,
    id,
    licence,
    networks,
    measured
});

impl Field for BTreeMap<Role, RawPart> {
    fn read(value: Value, name: &str) -> core::result::Result<Self, Misfit> {
        let Value::Object(networks) = value else {
            return Err(Misfit::wrong(name, "an object"));
        };
        let network = |(role, part): (String, Value)| {
            let part = RawPart::read(part, &role)?;
            Ok((Role::read(role.into(), name)?, part))
        };
        networks.into_iter().map(network).collect()
    }
}

impl Manifest {
    /// Reads and checks a `manifest.json`, of this format or of the one before.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::Architecture`] or [`Error::Graph`], naming what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let bad = |Misfit(why)| Error::Manifest(why);
        let object = fields::object(json).map_err(bad)?;
        let format = object.get("format").cloned().unwrap_or_default();
        let format = u32::read(format, "format").map_err(bad)?;
        if format == format1::MANIFEST_FORMAT {
            return format1::Manifest::read(object)?.try_into();
        }
        if format != MANIFEST_FORMAT {
            return Err(Error::Manifest(format!(
                "it has format {format}, this program reads formats 1 and {MANIFEST_FORMAT}: update the program or the model"
            )));
        }
        let raw = Fields::of(object, RawManifest::take).map_err(bad)?;
        let networks = raw.networks.into_iter();
        let networks = networks.map(|(role, part)| Ok((role, part.checked()?)));
        let manifest = Self {
            id: raw.id,
            licence: raw.licence,
            networks: networks.collect::<Result<_>>()?,
            measured: raw.measured,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as indented JSON with a final newline.
    ///
    /// # Errors
    /// [`Error::Manifest`] for what [`from_json`](Self::from_json) does not take.
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        let raw = RawManifest {
            format: MANIFEST_FORMAT,
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
            .ok_or_else(|| Error::Manifest(format!("the model {} has no {}", self.id, role.name())))
    }

    /// The network that answers in [`Mode::Instant`].
    ///
    /// # Errors
    /// [`Error::Manifest`] where there is none, as in models for videos alone.
    pub fn restorer(&self) -> Result<&NetworkPart> {
        let own = [Role::Restorer, Role::Community];
        let own = own.iter().find_map(|role| self.networks.get(role));
        own.ok_or_else(|| {
            Error::Manifest(if self.networks.contains_key(&Role::Recurrent) {
                format!("the model {} is for videos alone", self.id)
            } else {
                format!("the model {} has no {}", self.id, Role::Restorer.name())
            })
        })
    }

    /// How many times it enlarges.
    ///
    /// # Errors
    /// As [`Self::restorer`].
    pub fn scale(&self) -> Result<usize> {
        Ok(self.first()?.scale().0)
    }

    /// A network, whose scale is that of all.
    fn first(&self) -> Result<&NetworkPart> {
        self.networks
            .get(&Role::Recurrent)
            .map_or_else(|| self.restorer(), Ok)
    }

    /// The network that `mode` draws from and its number of steps; none where the restorer answers, or where the model has none.
    pub fn sampler(&self, mode: Mode) -> Option<(&NetworkPart, usize)> {
        let of = |role: Role| {
            let part = self.networks.get(&role)?;
            Some((part, part.sampling?.steps))
        };
        match mode {
            Mode::Instant => None,
            Mode::Fast => {
                let fewer = |(part, steps): (_, usize)| (part, FAST_STEPS.min(steps));
                let few = of(Role::OneStep).or_else(|| of(Role::FewSteps));
                let few = few.or_else(|| of(Role::Community).filter(|_| self.is_held()));
                few.or_else(|| of(Role::Field).map(fewer))
            }
            Mode::Quality => of(Role::Field),
        }
    }

    /// Whether it is a community's network beside a restorer, to whose mean its answers are held.
    fn is_held(&self) -> bool {
        let has = |role| self.networks.contains_key(&role);
        has(Role::Restorer) && has(Role::Community)
    }

    /// The mode that it is asked for when nobody says another.
    pub fn default_mode(&self) -> Mode {
        if self.is_held() { Mode::Fast } else { Mode::Instant }
    }

    /// A community's model beside a restorer of any scale, whose mean, made as large as the model's results, gives these their low
    /// frequencies: those beyond three quarters of an input pixel, which costs no detail and takes colour casts away.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the two do not fit together, [`Error::Graph`] where the mean cannot be made.
    pub fn held_to(mut self, mean: &NetworkPart) -> Result<Self> {
        let scale = self.scale()?;
        let graph = nets::resampled(&mean.graph, scale)?;
        let anchor = (ANCHOR * scale as f64).max(LEAST_ANCHOR);
        let Some(community) = self.networks.get_mut(&Role::Community) else {
            return Err(Error::Manifest("it has no community's network".into()));
        };
        community.sampling = Some(Sampling::in_one_step(DEPARTURE, anchor));
        let mean = NetworkPart {
            graph,
            ..mean.clone()
        };
        self.networks.insert(Role::Restorer, mean);
        self.check()?;
        Ok(self)
    }

    /// The modes that the model has, the quickest first.
    pub fn modes(&self) -> impl Iterator<Item = Mode> {
        let has = |m: &Mode| match m {
            Mode::Instant => self.restorer().is_ok(),
            Mode::Fast | Mode::Quality => self.sampler(*m).is_some(),
        };
        Mode::ALL.into_iter().filter(has)
    }

    /// The weights files, in the order of the roles.
    pub fn files(&self) -> Vec<WeightsFile<'_>> {
        self.networks.values().map(NetworkPart::weights_file).collect()
    }

    fn check(&self) -> Result<()> {
        plain("id", &self.id)?;
        line("licence", &self.licence)?;
        let (scale, divisor) = self.first()?.scale();
        if !(1..=MOST_SCALE).contains(&scale) || divisor != 1 {
            return Err(Error::Manifest(format!(
                "its networks enlarge {scale}/{divisor} times, which is no whole number from 1 to {MOST_SCALE}"
            )));
        }
        if let Some(measured) = &self.measured {
            line("measured.protocol", &measured.protocol)?;
        }
        let mut files: Vec<&str> = Vec::new();
        for (role, part) in &self.networks {
            part.check(*role, self.first()?.graph.output_scale(0))?;
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

    /// Whether its samples differ: a network that reads nothing but the image makes one.
    pub fn draws(&self) -> bool {
        FieldInputs::read_by(&self.graph).draws()
    }

    /// How it is sampled, which every network that draws says.
    ///
    /// # Errors
    /// [`Error::Manifest`] where it does not.
    pub fn require_sampling(&self) -> Result<Sampling> {
        let why = || {
            Error::Manifest(format!(
                "the network of {} does not say how it is sampled",
                self.file
            ))
        };
        self.sampling.ok_or_else(why)
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

    /// Checks it as the network of a role in a model that enlarges `scale` times.
    fn check(&self, role: Role, scale: Scale) -> Result<()> {
        let made = ValueType::map(COLOURS, scale);
        let inputs: Vec<ValueType> = self.graph.graph().inputs.iter().map(Input::value_type).collect();
        let outputs = self.graph.outputs().iter().map(|v| self.graph.types()[*v]);
        if !role.reads(&inputs, scale) || !outputs.eq([made]) {
            return Err(Error::Manifest(format!(
                "its {} reads or makes other values than such a network of a model that enlarges {scale} times",
                role.name()
            )));
        }
        if role.samples() && self.sampling.is_none() {
            return Err(Error::Manifest(format!(
                "its {} does not say how it is sampled",
                role.name()
            )));
        }
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
            for (field, text) in [("file", &from.file), ("architecture", &from.architecture)] {
                line(field, text.as_deref().unwrap_or_default())?;
            }
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

    fn manifest() -> (Manifest, Vec<u8>) {
        let compact = nets::Compact {
            colours: 3,
            features: 4,
            convs: 1,
            scale: 4,
        };
        let plain = compact.graph().check().expect("fits");
        let graph = nets::with_noise(&plain, 3, 4).expect("fits");
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
                file: Some("test.pth".into()),
                architecture: None,
            }),
            ..NetworkPart::new("one-step.safetensors", graph)
        };
        let manifest = Manifest {
            id: "test".into(),
            licence: "CC0-1.0".into(),
            networks: [
                (Role::Restorer, NetworkPart::new("restorer.safetensors", plain)),
                (Role::OneStep, part),
            ]
            .into(),
            measured: None,
        };
        (manifest, bytes)
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let (manifest, mut bytes) = manifest();
        let json = manifest.to_json().expect("writes");
        let again = Manifest::from_json(json.as_bytes()).expect("reads");
        assert_eq!(again, manifest);
        let part = again.network(Role::OneStep).expect("is there");
        assert_eq!(part.scale(), (4, 1));
        part.open_weights(&bytes).expect("the described bytes");
        bytes[20] ^= 1;
        assert!(matches!(part.open_weights(&bytes), Err(Error::Hash { .. })));
        assert!(again.network(Role::Field).is_err());
        assert_eq!(again.modes().collect::<Vec<_>>(), [Mode::Instant, Mode::Fast]);
        let (own, steps) = again.sampler(Mode::Fast).expect("is there");
        assert_eq!((own, steps), (part, 1));
        let files: Vec<&str> = again.files().iter().map(|f| f.name).collect();
        assert_eq!(files, ["restorer.safetensors", "one-step.safetensors"]);
    }

    #[test]
    fn a_community_model_is_held_to_the_mean_at_its_scale() {
        let compact = |scale| {
            let net = nets::Compact {
                colours: 3,
                features: 4,
                convs: 1,
                scale,
            };
            NetworkPart::new("own.safetensors", net.graph().check().expect("fits"))
        };
        let alone = |scale| Manifest {
            id: "own".into(),
            licence: "MIT".into(),
            networks: [(Role::Community, compact(scale))].into(),
            measured: None,
        };
        let mean = NetworkPart {
            file: "mean.safetensors".into(),
            ..compact(4)
        };
        for scale in [1, 2, 3, 4, 8] {
            assert_eq!(alone(scale).default_mode(), Mode::Instant);
            let held = alone(scale).held_to(&mean).expect("they fit");
            let json = held.to_json().expect("writes");
            assert_eq!(Manifest::from_json(json.as_bytes()).expect("reads"), held);
            let restorer = held.restorer().expect("is there");
            assert_eq!(
                (restorer.file.as_str(), restorer.scale()),
                ("mean.safetensors", (scale, 1))
            );
            assert_eq!(restorer.graph.parameters(), mean.graph.parameters());
            assert_eq!(held.default_mode(), Mode::Fast);
            let (own, steps) = held.sampler(Mode::Fast).expect("is there");
            assert_eq!((own.file.as_str(), steps), ("own.safetensors", 1));
            let anchor = own.require_sampling().expect("says how").colour_anchor;
            assert_eq!(anchor, Some((0.75 * scale as f64).max(0.8)));
        }
        // Two files of one name.
        assert!(alone(2).held_to(&compact(4)).is_err());
    }

    /// A model for videos alone has no mode for photos; beside a restorer its network has the same scale.
    #[test]
    fn networks_for_video_stand_alone_or_beside_others() {
        let recurrent = |scale| {
            let net = nets::Recurrent {
                features: 4,
                blocks: 1,
                scale,
            };
            NetworkPart::new("recurrent.safetensors", net.graph().check().expect("fits"))
        };
        let alone = Manifest {
            id: "own".into(),
            licence: "MIT".into(),
            networks: [(Role::Recurrent, recurrent(2))].into(),
            measured: None,
        };
        let json = alone.to_json().expect("writes");
        let read = Manifest::from_json(json.as_bytes()).expect("reads");
        assert_eq!((read.scale().expect("has one"), read.modes().count()), (2, 0));
        assert!(read.restorer().is_err());
        for (scale, fits) in [(4, true), (2, false)] {
            let (mut both, _) = manifest();
            both.networks.insert(Role::Recurrent, recurrent(scale));
            assert_eq!(both.to_json().is_ok(), fits);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (manifest, _) = manifest();
        let json = manifest.to_json().expect("writes");
        for (from, to) in [
            ("\"format\": 2", "\"format\": 3"),
            ("\"format\": 2", "\"format\": 1"),
            ("\"restorer\"", "\"field\""),
            ("\"restorer.s", "\"one-step.s"),
            ("\"one_step\"", "\"community\""),
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
            assert!(Manifest::from_json(wrong.as_bytes()).is_err(), "{to}");
        }
    }
}
