//! Format 1 of `manifest.json`: a restorer and flows as lists of layers. It is read for ever.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::file::{count, line, plain, sha256};
use super::{
    Architecture, Measured, Mode, NetworkPart, Role, Training, VelocityArchitecture, Weights, WeightsFile,
};
use crate::fields::{self, Fields, Misfit, Object, fields};
use crate::flow::{Sampling, Source};
use crate::graph::nets;
use crate::{Error, Result};

/// The version of the manifest's own layout.
pub const MANIFEST_FORMAT: u32 = 1;

/// Steps of [`Mode::Fast`] where no flow was distilled for it.
const FAST_STEPS: usize = 4;

/// What a model is, where its weights are and how they came to be: `manifest.json` beside the weights file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`].
    pub format: u32,
    /// The model's name in addresses and on the command line.
    pub id: String,
    /// SPDX expression.
    pub licence: String,
    /// The weights file, in the manifest's folder.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: String,
    /// Number of learned values.
    pub parameters: usize,
    /// The network.
    pub architecture: Architecture,
    /// How it was trained.
    pub training: Training,
    /// What was measured on images it was not trained on.
    pub measured: Option<Measured>,
    /// The flow that starts from the network's estimate, where the model has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowPart>,
    /// The same flow distilled to a few steps, where the model has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<FlowPart>,
}

fields!(Manifest {
    format, id, licence, file, bytes, sha256, parameters, architecture, training, measured, flow, fast; skip
});

/// The flow of a model: its velocity field and where that starts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlowPart {
    /// The weights file, in the manifest's folder.
    pub file: String,
    /// Its size.
    pub bytes: usize,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: String,
    /// Number of learned values.
    pub parameters: usize,
    /// The velocity field.
    pub architecture: VelocityArchitecture,
    /// The source sample.
    pub source: Source,
    /// Sobolev order of the source's noise.
    pub s: f64,
    /// Equal steps it is meant to be sampled in.
    pub steps: usize,
    /// Deviation in output pixels of the [`ColourAnchor`](crate::flow::ColourAnchor) of samples of `steps` steps or more; those of fewer
    /// have the one [`of_fewer_steps`](crate::flow::ColourAnchor::of_fewer_steps).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_anchor: Option<f64>,
    /// How it was trained.
    pub training: Training,
}

fields!(FlowPart {
    file, bytes, sha256, parameters, architecture, source, s, steps, colour_anchor, training; skip
});

impl Manifest {
    /// Reads and checks a `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Manifest`] or [`Error::Architecture`], naming what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let bad = |Misfit(why)| Error::Manifest(why);
        Self::read(fields::object(json).map_err(bad)?)
    }

    /// Reads and checks what [`from_json`](Self::from_json) takes.
    pub(super) fn read(object: Map<String, Value>) -> Result<Self> {
        let manifest = Fields::of(object, Self::take).map_err(|Misfit(why)| Error::Manifest(why))?;
        if manifest.format != MANIFEST_FORMAT {
            return Err(Error::Manifest(format!(
                "it has format {}, this program reads format {MANIFEST_FORMAT}: update the program or the model",
                manifest.format
            )));
        }
        plain("id", &manifest.id)?;
        manifest.check_texts()?;
        for flow in manifest.flow.iter().chain(&manifest.fast) {
            flow.architecture.validate()?;
            Sampling::from(flow).validate()?;
            if flow.architecture.scale() != manifest.architecture.scale {
                return Err(Error::Manifest(format!(
                    "its flow enlarges {} times, its network {} times",
                    flow.architecture.scale(),
                    manifest.architecture.scale
                )));
            }
            count(flow.parameters, flow.architecture.parameter_count())?;
        }
        manifest.architecture.validate()?;
        count(manifest.parameters, manifest.architecture.parameter_count())?;
        let files = manifest.files();
        for (i, file) in files.iter().enumerate() {
            plain("file", file.name)?;
            sha256(file.name, file.sha256)?;
            if files[..i].iter().any(|f| f.name == file.name) {
                return Err(Error::Manifest(format!(
                    "two of its parts share the file {:?}",
                    file.name
                )));
            }
        }
        Ok(manifest)
    }

    /// The weights files: that of the restorer, then those of the flows.
    pub fn files(&self) -> Vec<WeightsFile<'_>> {
        let restorer = WeightsFile::new(
            &self.file,
            self.bytes,
            &self.sha256,
            self.architecture.parameters(),
        );
        let flows = self.flow.iter().chain(&self.fast).map(FlowPart::weights_file);
        core::iter::once(restorer).chain(flows).collect()
    }

    /// The flow that `mode` draws from and its number of steps; none where the restorer answers, or where the model has no
    /// flow.
    pub fn flow_of(&self, mode: Mode) -> Option<(&FlowPart, usize)> {
        let whole = self.flow.as_ref();
        match mode {
            Mode::Instant => None,
            Mode::Fast => {
                let distilled = self.fast.as_ref().map(|f| (f, f.steps));
                distilled.or(whole.map(|f| (f, FAST_STEPS.min(f.steps))))
            }
            Mode::Quality => whole.map(|f| (f, f.steps)),
        }
    }

    /// The modes that the model has, the quickest first.
    pub fn modes(&self) -> impl Iterator<Item = Mode> {
        let has = |m: &Mode| *m == Mode::Instant || self.flow_of(*m).is_some();
        Mode::ALL.into_iter().filter(has)
    }

    /// Checks the texts that people are shown: each is one line, and nothing in it draws elsewhere.
    fn check_texts(&self) -> Result<()> {
        line("licence", &self.licence)?;
        line("training.command", &self.training.command)?;
        if let Some(measured) = &self.measured {
            line("measured.protocol", &measured.protocol)?;
        }
        for (field, part) in [("flow", &self.flow), ("fast", &self.fast)] {
            if let Some(part) = part {
                line(&format!("{field}.training.command"), &part.training.command)?;
            }
        }
        Ok(())
    }

    /// The manifest as indented JSON with a final newline.
    ///
    /// # Errors
    /// [`Error::Manifest`] when a number is not finite, or a text is none that [`from_json`](Self::from_json) takes.
    pub fn to_json(&self) -> Result<String> {
        self.check_texts()?;
        serde_json::to_string_pretty(self)
            .map(|s| s + "\n")
            .map_err(|e| Error::Manifest(e.to_string()))
    }

    /// Reads the weights file after checking that it is the one described.
    ///
    /// # Errors
    /// [`Error::Hash`] for other bytes, [`Error::Weights`] for a file that is damaged or does not fit.
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        self.files()[0].open(bytes)
    }
}

impl TryFrom<Manifest> for super::Manifest {
    type Error = Error;

    /// The same model with its lists of layers as graphs.
    fn try_from(old: Manifest) -> Result<Self> {
        let restorer = NetworkPart {
            bytes: old.bytes,
            sha256: old.sha256,
            training: Some(old.training),
            ..NetworkPart::new(&old.file, nets::restorer(&old.architecture)?.check()?)
        };
        let mut networks = BTreeMap::from([(Role::Restorer, restorer)]);
        for (role, flow) in [(Role::Field, old.flow), (Role::FewSteps, old.fast)] {
            let Some(flow) = flow else { continue };
            let part = NetworkPart {
                bytes: flow.bytes,
                sampling: Some(Sampling::from(&flow)),
                sha256: flow.sha256,
                training: Some(flow.training),
                ..NetworkPart::new(&flow.file, nets::velocity(&flow.architecture)?.check()?)
            };
            networks.insert(role, part);
        }
        Ok(Self {
            id: old.id,
            licence: old.licence,
            networks,
            measured: old.measured,
        })
    }
}

impl From<&FlowPart> for Sampling {
    fn from(part: &FlowPart) -> Self {
        Self {
            source: part.source,
            s: part.s,
            steps: part.steps,
            colour_anchor: part.colour_anchor,
        }
    }
}

impl FlowPart {
    fn weights_file(&self) -> WeightsFile<'_> {
        WeightsFile::new(
            &self.file,
            self.bytes,
            &self.sha256,
            self.architecture.parameters(),
        )
    }

    /// Reads the flow's weights file after checking that it is the one described.
    ///
    /// # Errors
    /// As [`Manifest::open_weights`].
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        self.weights_file().open(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dtype, Tensor, sha256_hex};
    use alloc::vec::Vec;

    fn model() -> (Manifest, Vec<u8>) {
        let architecture = Architecture::restorer(4, 4, 1);
        let mut weights = Weights::default();
        for p in architecture.parameters() {
            let values = alloc::vec![0.5; p.len()];
            weights.insert(
                p.name,
                Tensor {
                    shape: p.shape,
                    values,
                },
            );
        }
        let bytes = weights.to_safetensors(Dtype::F16).expect("writes");
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            id: "test".into(),
            licence: "CC0-1.0".into(),
            file: "w.safetensors".into(),
            bytes: bytes.len(),
            sha256: sha256_hex(&bytes),
            parameters: architecture.parameter_count(),
            architecture,
            training: Training {
                command: "none".into(),
                steps: 0,
                images: 0,
            },
            measured: None,
            flow: None,
            fast: None,
        };
        (manifest, bytes)
    }

    /// A text of a manifest.
    type Field = fn(&mut Manifest) -> &mut String;

    #[test]
    fn the_right_bytes_open_and_any_other_do_not() {
        let (manifest, mut bytes) = model();
        let again = Manifest::from_json(manifest.to_json().expect("writes").as_bytes()).expect("reads");
        assert_eq!(again, manifest);
        manifest.open_weights(&bytes).expect("the described bytes");
        *bytes.last_mut().expect("not empty") ^= 1;
        assert!(matches!(manifest.open_weights(&bytes), Err(Error::Hash { .. })));
        bytes.truncate(bytes.len() / 2);
        assert!(matches!(manifest.open_weights(&bytes), Err(Error::Hash { .. })));
        let (mut manifest, bytes) = model();
        manifest.bytes += 1;
        assert!(matches!(manifest.open_weights(&bytes), Err(Error::Manifest(_))));
    }

    #[test]
    fn a_manifest_that_leaves_its_folder_is_refused() {
        let long = "a".repeat(101);
        for name in [
            "../w.safetensors",
            "a/b",
            "",
            ".hidden",
            "a\\b",
            "a b",
            "a?b",
            "manifest.json",
            "\u{e4}",
            &long,
        ] {
            let refused = |change: fn(&mut Manifest, &str)| {
                let (mut manifest, _) = model();
                change(&mut manifest, name);
                let json = manifest.to_json().expect("writes");
                assert!(
                    matches!(Manifest::from_json(json.as_bytes()), Err(Error::Manifest(_))),
                    "{name}"
                );
            };
            refused(|m, name| m.file = name.into());
            refused(|m, name| m.id = name.into());
            refused(|m, name| m.sha256 = name.into());
        }
    }

    #[test]
    fn texts_with_control_characters_are_refused_by_their_field() {
        use crate::flow::Source;

        let (mut plain, _) = model();
        let architecture = VelocityArchitecture::conv(4, 8, 1);
        let part = FlowPart {
            file: "flow.safetensors".into(),
            bytes: 1,
            sha256: "0".repeat(64),
            parameters: architecture.parameter_count(),
            architecture,
            source: Source::PosteriorMean { sigma: 0.1 },
            s: 1.5,
            steps: 28,
            colour_anchor: None,
            training: plain.training.clone(),
        };
        plain.fast = Some(FlowPart {
            file: "fast.safetensors".into(),
            ..part.clone()
        });
        plain.flow = Some(part);
        plain.measured = Some(Measured {
            protocol: "clean".into(),
            images: 1,
            psnr_y: 30.0,
            psnr_y_bicubic: 29.0,
        });
        plain.licence = "Lizenz \u{e4}\u{1f600} (c) \u{5d0}".into();
        let json = plain.to_json().expect("writes");
        Manifest::from_json(json.as_bytes()).expect("letters of any script are none");
        let fields: [(&str, Field); 5] = [
            ("licence", |m| &mut m.licence),
            ("training.command", |m| &mut m.training.command),
            ("measured.protocol", |m| {
                &mut m.measured.as_mut().expect("is there").protocol
            }),
            ("flow.training.command", |m| {
                &mut m.flow.as_mut().expect("is there").training.command
            }),
            ("fast.training.command", |m| {
                &mut m.fast.as_mut().expect("is there").training.command
            }),
        ];
        for (name, field) in fields {
            for c in [
                '\0', '\n', '\r', '\t', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}',
                '\u{2066}',
            ] {
                let mut wrong = plain.clone();
                field(&mut wrong).insert_str(4, &format!("{c}[31m"));
                // As it comes from elsewhere: no program of ours writes it.
                let json = serde_json::to_vec(&wrong).expect("serialises");
                let why = Manifest::from_json(&json).expect_err(name);
                assert!(matches!(why, Error::Manifest(_)), "{why:?}");
                let why = why.to_string();
                let code = format!("U+{:04X}", u32::from(c));
                assert!(
                    why.contains(&format!("its {name} ")) && why.contains(&code),
                    "{why}"
                );
                assert!(!why.contains(c), "it is not shown itself: {why:?}");
                assert!(wrong.to_json().is_err(), "{name}");
            }
        }
        // What is wrong otherwise is told in the file's words.
        let json = json.replace("\"bicubic\"", "\"\\u001b[2J\"");
        let why = Manifest::from_json(json.as_bytes())
            .expect_err("refused")
            .to_string();
        assert!(why.contains("\\u{1b}[2J") && !why.contains('\u{1b}'), "{why:?}");
    }

    #[test]
    fn another_format_says_what_to_do() {
        let (mut manifest, _) = model();
        manifest.format = 99;
        let message =
            Manifest::from_json(manifest.to_json().expect("writes").as_bytes()).expect_err("refused");
        assert!(message.to_string().contains("update"), "{message}");
    }
}
