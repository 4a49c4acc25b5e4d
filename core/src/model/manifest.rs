use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Architecture, ParameterShape, VelocityArchitecture, Weights};
use crate::flow::{Schedule, Source};
use crate::spectral::Spectrum;
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
    /// How it was trained.
    pub training: Training,
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
        plain(&manifest.file)?;
        let mut files = alloc::vec![&manifest.file];
        for flow in manifest.flow.iter().chain(&manifest.fast) {
            plain(&flow.file)?;
            if files.contains(&&flow.file) {
                return Err(Error::Manifest(format!(
                    "two of its parts share the file {:?}",
                    flow.file
                )));
            }
            files.push(&flow.file);
            Schedule::uniform(flow.steps)?;
            flow.architecture.validate()?;
            Spectrum::sobolev(flow.s)?;
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
        Ok(manifest)
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

    /// The manifest as indented JSON with a final newline.
    ///
    /// # Errors
    /// [`Error::Manifest`] when a number is not finite.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|s| s + "\n")
            .map_err(|e| Error::Manifest(e.to_string()))
    }

    /// Reads the weights file after checking that it is the one described.
    ///
    /// # Errors
    /// [`Error::Hash`] for other bytes, [`Error::Weights`] for a file that is damaged or does not fit.
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        open(bytes, &self.file, &self.sha256, &self.architecture.parameters())
    }
}

impl FlowPart {
    /// Reads the flow's weights file after checking that it is the one described.
    ///
    /// # Errors
    /// As [`Manifest::open_weights`].
    pub fn open_weights(&self, bytes: &[u8]) -> Result<Weights> {
        open(bytes, &self.file, &self.sha256, &self.architecture.parameters())
    }
}

fn open(bytes: &[u8], file: &str, sha256: &str, parameters: &[ParameterShape]) -> Result<Weights> {
    let actual = sha256_hex(bytes);
    if actual != sha256 {
        return Err(Error::Hash {
            file: file.to_string(),
            expected: sha256.to_string(),
            actual,
        });
    }
    let weights = Weights::from_safetensors(bytes)?;
    weights.check(parameters)?;
    Ok(weights)
}

fn plain(file: &str) -> Result<()> {
    if file.is_empty() || file.contains(['/', '\\']) || file.starts_with('.') {
        return Err(Error::Manifest(format!("{file:?} is not a plain file name")));
    }
    Ok(())
}

fn count(stated: usize, actual: usize) -> Result<()> {
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
    }

    #[test]
    fn a_manifest_that_leaves_its_folder_is_refused() {
        for file in ["../w.safetensors", "a/b", "", ".hidden", "a\\b"] {
            let (mut manifest, _) = model();
            manifest.file = file.into();
            let json = manifest.to_json().expect("writes");
            assert!(
                matches!(Manifest::from_json(json.as_bytes()), Err(Error::Manifest(_))),
                "{file}"
            );
        }
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
