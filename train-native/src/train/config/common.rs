//! What several stages take. A struct that is part of another stands at its end: to clap its heading goes on behind it.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::options::Effect;
use super::values::{Id, Licence, Place, Positive, Rate, Share, Shares, Sigma, Slope, Whole};
use crate::degrade::Protocol;
use crate::device::{DeviceChoice, Precision};
use crate::error::{Error, Result};

/// The learning rate after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schedule {
    /// A cosine down to nothing at --steps
    #[default]
    Cosine,
    /// As it is
    Constant,
}

/// How parameters follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OptimiserKind {
    /// Adam
    #[default]
    Adam,
    /// Muon for matrices and kernels, whose steps it makes orthogonal, and Adam for the rest
    Muon,
}

/// The files of a run.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Free.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Files {
    /// Folder of training images, searched recursively, or a file that `asasr pack` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Place,
    /// Folder with the low-quality image of each training image under the same name, as pairs of two cameras or a teacher's results
    /// have it; without it they are made by --protocol
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs: Option<Place>,
    /// The same as --data for validation; without it every 20th training image is set aside
    #[arg(long, value_name = "DIR")]
    pub(crate) val: Option<Place>,
    /// Where checkpoints, metrics and the best model go
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Place,
}

/// How a run goes, which changes nothing of where it ends.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Free.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Running {
    /// Go on from the newest checkpoint in OUT
    #[arg(long)]
    #[serde(skip)]
    pub(crate) resume: bool,
    /// With --resume: go back to this checkpoint of OUT/checkpoints and forget what came after it
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) from: Option<Place>,
    /// End this run early, after so many steps in all; the schedule still spans --steps
    #[arg(long, value_name = "STEPS")]
    pub(crate) stop_after: Option<Whole<1, { u64::MAX }>>,
    /// Steps between validations and checkpoints
    #[arg(long, value_name = "STEPS", default_value = "500")]
    pub(crate) val_every: Whole<1, { u64::MAX }>,
    /// Checkpoints kept in OUT/checkpoints beside the newest: so many of the last, and the one that validated best
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) keep: u16,
    /// Memory for decoded training images, in MB
    #[arg(long, value_name = "MB", default_value_t = 2048)]
    pub(crate) cache_mb: usize,
}

/// What every stage of training takes.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Told.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Common {
    /// Optimiser steps in all
    #[arg(long, default_value = "10000")]
    pub(crate) steps: Whole<1, 15_999_999>,
    /// Crops per step
    #[arg(long, default_value = "16")]
    pub(crate) batch: Whole<1, 1024>,
    /// Batches whose gradients are averaged for a step: more crops than memory holds at once
    #[arg(long, default_value = "1")]
    pub(crate) accumulate: Whole<1, 1024>,
    /// Side of a crop in low-quality pixels
    #[arg(long, default_value = "32")]
    pub(crate) patch: Whole<8, 512>,
    /// Peak learning rate, reached after --warm-up steps. Without it 5e-4 for restorer and flow,
    /// 2e-4 for the adversary, 1e-4 for distillation, 5e-5 for alignment
    #[arg(long, value_name = "RATE")]
    pub(crate) learning_rate: Option<Rate>,
    /// Steps over which the learning rate rises to its peak
    #[arg(long, value_name = "STEPS", default_value_t = 200)]
    pub(crate) warm_up: u32,
    /// How parameters follow their gradients
    #[arg(long, value_enum, default_value_t)]
    pub(crate) optimiser: OptimiserKind,
    /// Take the learning rate as a share of the root mean square of each tensor's first values: for weights to go on from whose
    /// layers differ in scale
    #[arg(long)]
    pub(crate) relative_rates: bool,
    /// Largest Euclidean norm of the whole gradient; a longer one is made that long
    #[arg(long, value_name = "NORM", default_value = "1")]
    #[serde(default = "Common::clip")]
    pub(crate) clip: Positive,
    /// How the learning rate goes on after its peak
    #[arg(long, value_enum, default_value_t)]
    pub(crate) schedule: Schedule,
    /// How low-quality crops are made
    #[arg(long, value_enum, default_value_t, help_heading = Effect::Measure.heading())]
    pub(crate) protocol: Protocol,
    /// Shares of clean, mildly and fully degraded crops under --protocol real, in place of a third each: such as 0.1,0.45,0.45
    #[arg(long, value_name = "CLEAN,MILD,FULL")]
    pub(crate) shares: Option<Shares>,
    /// Share of the crops that are drawn instead of photographed: text, lines, charts, flat shapes, patterns
    #[arg(long, value_name = "SHARE")]
    pub(crate) drawn: Option<Share>,
    /// Folder of fonts, .ttf or .otf, searched recursively, for the text in drawn crops; without it they have none
    #[arg(long, value_name = "DIR")]
    pub(crate) fonts: Option<Place>,
    /// Share of the crops that are blurred first, truth and all, as what is out of focus: by a Gaussian of 1 to 6 pixels
    #[arg(long, value_name = "SHARE", default_value = "0")]
    pub(crate) blurred: Share,
    /// Seed of weights, crops and order
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    /// GPUs that share the work, or workers that share the CPU: each takes --batch crops a step
    #[arg(long, value_name = "COUNT", default_value = "1")]
    pub(crate) devices: Whole<1, 64>,
    /// What networks compute in while they learn; parameters and losses are always 32 bits wide
    #[arg(long, value_enum, default_value_t)]
    pub(crate) precision: Precision,
    /// The model's name in its manifest
    #[arg(long, default_value = "asasr-x4-custom")]
    pub(crate) id: Id,
    /// SPDX licence of the trained weights in their manifest
    #[arg(long, default_value = "MIT OR Apache-2.0")]
    pub(crate) licence: Licence,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) files: Files,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) running: Running,
}

impl Common {
    /// What gradients are clipped to without another.
    fn clip() -> Positive {
        Positive::of(1.0)
    }

    /// Refuses options that do not go together.
    pub(super) fn consistent(&self) -> Result<()> {
        needs(
            "--from",
            self.running.from.is_some(),
            "--resume",
            self.running.resume,
        )?;
        excludes(
            "--inputs",
            self.files.inputs.is_some(),
            "--blurred",
            self.blurred.get() > 0.0,
        )?;
        needs("--fonts", self.fonts.is_some(), "--drawn", self.drawn.is_some())?;
        if self.shares.is_some() && self.protocol != Protocol::Real {
            return Err(Error::new(
                "--shares mixes the parts of --protocol real: give that protocol too",
            ));
        }
        Ok(())
    }
}

/// A perceptual term of a loss.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Perceptual {
    /// Weights of the shift-tolerant LPIPS on VGG-16, .pth or .safetensors: adds its distance to the loss
    #[arg(long, value_name = "FILE")]
    pub(crate) perceptual: Option<Place>,
    /// Weight of the perceptual distance in the loss, 0.05 unless given
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) perceptual_weight: Option<Positive>,
}

impl Perceptual {
    /// The weight without one.
    pub(crate) const WEIGHT: Positive = Positive::of(0.05);

    pub(super) fn consistent(&self) -> Result<()> {
        let weighed = self.perceptual_weight.is_some();
        needs(
            "--perceptual-weight",
            weighed,
            "--perceptual",
            self.perceptual.is_some(),
        )
    }

    pub(super) fn settle(&mut self) {
        if self.perceptual.is_some() {
            self.perceptual_weight.get_or_insert(Self::WEIGHT);
        }
    }
}

/// How wide the source of a flow is.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct SourceOptions {
    /// Deviation of the source's noise around the posterior mean, 0.1 for a fresh flow; the largest where it is local
    #[arg(long)]
    pub(crate) sigma: Option<Sigma>,
    /// Make that deviation local: so many times the gradient of the input about a pixel, and at most the one it was
    #[arg(long, value_name = "SLOPE")]
    pub(crate) local_slope: Option<Slope>,
    /// The least local deviation, 0.005 unless the flow has another
    #[arg(long, value_name = "SIGMA")]
    pub(crate) least_sigma: Option<Sigma>,
}

impl SourceOptions {
    /// The first of these options that is given.
    pub(crate) fn given(&self) -> Option<String> {
        let all = serde_json::to_value(self).ok()?;
        let mut given = all.as_object()?.iter().filter(|(_, v)| !v.is_null());
        given.next().map(|(name, _)| name.clone())
    }
}

/// Refuses an option that means nothing without another.
pub(super) fn needs(option: &str, given: bool, other: &str, there: bool) -> Result<()> {
    if given && !there {
        return Err(Error::new(format!(
            "{option} means nothing without {other}: give both, or neither"
        )));
    }
    Ok(())
}

/// Refuses two options of which one makes the other mean nothing.
pub(super) fn excludes(option: &str, given: bool, other: &str, there: bool) -> Result<()> {
    if given && there {
        return Err(Error::new(format!(
            "{option} cannot be used with {other}: leave one of them out"
        )));
    }
    Ok(())
}
