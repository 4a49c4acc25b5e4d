use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Architecture, ParameterShape, VelocityArchitecture, Weights};
use crate::error::acts;
use crate::flow::{Sampling, Source};
use crate::{Error, Result};

/// The version of the manifest's own layout.
pub const MANIFEST_FORMAT: u32 = 1;

/// Steps of [`Mode::Fast`] where no flow was distilled for it.
const FAST_STEPS: usize = 4;

/// What a model is, where its weights are and how they came to be: `manifest.json` beside the weights file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowPart>,
    /// The same flow distilled to a few steps, where the model has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<FlowPart>,
}

/// The flow of a model: its velocity field and where that starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colour_anchor: Option<f64>,
    /// How it was trained.
    pub training: Training,
}

/// A weights file as its manifest describes it.
#[derive(Debug, Clone)]
pub struct WeightsFile<'a> {
    /// Its name in the manifest's folder.
    pub name: &'a str,
    /// Its size.
    pub bytes: usize,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: &'a str,
    parameters: Vec<ParameterShape>,
}

/// What a user asks of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// The restorer's answer: the mean of all likely images.
    #[default]
    Instant,
    /// One likely image, in the few steps of a distilled flow or in four of the flow.
    Fast,
    /// One likely image, in all the steps of the flow.
    Quality,
}

impl Mode {
    /// Every mode, the quickest first.
    pub const ALL: [Self; 3] = [Self::Instant, Self::Fast, Self::Quality];

    /// As users type it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Fast => "fast",
            Self::Quality => "quality",
        }
    }

    /// The mode of that [name](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

/// How the weights were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// The command line.
    pub command: String,
    /// Optimiser steps.
    pub steps: u64,
    /// Training images.
    pub images: usize,
}

/// A validation score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The degradation.
    pub protocol: String,
    /// Images averaged over.
    pub images: usize,
    /// Mean PSNR-Y of the network in dB.
    pub psnr_y: f64,
    /// Mean PSNR-Y of bicubic enlargement of the same inputs in dB.
    pub psnr_y_bicubic: f64,
}

/// The sha256 of `bytes` in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

impl Manifest {
    /// Reads and checks a `manifest.json`.
    ///
    /// # Errors
    /// [`Error::Manifest`] or [`Error::Architecture`], naming what is wrong.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(json).map_err(|e| Error::Manifest(e.to_string()))?;
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
        let restorer = WeightsFile {
            name: &self.file,
            bytes: self.bytes,
            sha256: &self.sha256,
            parameters: self.architecture.parameters(),
        };
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
        WeightsFile {
            name: &self.file,
            bytes: self.bytes,
            sha256: &self.sha256,
            parameters: self.architecture.parameters(),
        }
    }

    /// Reads the flow's weights file after checking that it is the one described.
    ///
    /// # Errors
    /// As [`Manifest::open_weights`].
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        self.weights_file().open(bytes)
    }
}

impl<'a> WeightsFile<'a> {
    pub(super) fn new(name: &'a str, bytes: usize, sha256: &'a str, parameters: Vec<ParameterShape>) -> Self {
        Self {
            name,
            bytes,
            sha256,
            parameters,
        }
    }

    /// Reads the file after checking that it is the one described.
    ///
    /// # Errors
    /// [`Error::Hash`] for other bytes, [`Error::Weights`] for a file that is damaged or does not fit.
    pub fn open(&self, bytes: &[u8]) -> Result<Weights> {
        let actual = sha256_hex(bytes);
        if actual != self.sha256 {
            return Err(Error::Hash {
                file: self.name.to_string(),
                expected: self.sha256.to_string(),
                actual,
            });
        }
        if bytes.len() != self.bytes {
            return Err(Error::Manifest(format!(
                "it says that {} has {} bytes, and it has {}",
                self.name,
                self.bytes,
                bytes.len()
            )));
        }
        let weights = Weights::from_safetensors(bytes)?;
        weights.check(&self.parameters)?;
        Ok(weights)
    }
}

/// Checks that a hash is one.
pub(super) fn sha256(of: &str, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Error::Manifest(format!(
        "the sha256 of {of} is not 64 lower-case hexadecimal digits"
    )))
}

/// Names are parts of addresses, on disks and in URLs: nothing in them may mean anything there.
pub(super) fn plain(what: &str, name: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty()
        || name.len() > 100
        || name.starts_with('.')
        || name.starts_with("manifest.json")
        || !name.bytes().all(fits)
    {
        return Err(Error::Manifest(format!(
            "the {what} {name:?} is not a plain name: letters, digits, dots, hyphens and underscores, and not manifest.json"
        )));
    }
    Ok(())
}

/// Texts are shown in terminals, logs and pages as they are: a control character would move the cursor, colour what follows or
/// begin a line of its own, and a turn of the writing direction would show another order than that of the bytes.
pub(super) fn line(field: &str, text: &str) -> Result<()> {
    match text.chars().find(|c| acts(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::Manifest(format!(
            "its {field} has the control character U+{:04X}: take that out, or take another model",
            u32::from(c)
        ))),
    }
}

pub(super) fn count(stated: usize, actual: usize) -> Result<()> {
    if stated == actual {
        return Ok(());
    }
    Err(Error::Manifest(format!(
        "it speaks of {stated} parameters, its architecture has {actual}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Dtype, Tensor};
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
    fn sha256_of_the_standard_example() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

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
