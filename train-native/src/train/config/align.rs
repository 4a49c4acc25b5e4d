//! Options of `asasr train align`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::common::{Common, Perceptual, excludes, needs};
use super::options::{Effect, Options};
use super::values::{ModelPlace, Place, Positive, Rate, Share, Weight, Whole};
use super::{Run, sealed_common};
use crate::error::{Error, Result};

/// What lies beyond an image's edge, for the energies of its residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Edge {
    /// Its even reflection (DCT-II)
    #[default]
    Neumann,
    /// The opposite edge, as under an FFT
    Periodic,
}

/// Who supplies wrong answers beside the enlarged input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Negatives {
    /// Nobody: S-DPO
    None,
    /// The Riesz step on the policy's own energy: AS-DPO without an adversary network
    Riesz,
    /// An adversary trained with `train adversary`, named by --adapter: AS-DPO
    Learned,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Align {
    /// Steps of the samples through whose states the policy passes where the perceptual distance is taken, 28 unless given
    #[arg(long, value_name = "STEPS", help_heading = Effect::Told.heading())]
    pub(crate) rollout: Option<Whole<1, 1000>>,
    /// A folder with the flow to align, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: ModelPlace,
    /// LoRA rank; alpha is the same
    #[arg(long, default_value = "16", help_heading = Effect::Fixed.heading())]
    pub(crate) rank: Whole<1, 256>,
    /// Inverse temperature of the preference, on mean-normalised energies; those of a flow around a restorer are some
    /// thousandths. 0 leaves the anchor alone: the same adapter under supervision
    #[arg(long, default_value = "30000")]
    pub(crate) beta: Weight,
    /// Weight of the winner's own energy; much below half of beta, the winner gets worse with the loser
    #[arg(long, default_value = "15000")]
    pub(crate) anchor: Weight,
    /// Sobolev order of the energies, 0 (Diffusion-DPO) to 3
    #[arg(long, default_value_t = 1.5)]
    pub(crate) s: f64,
    /// What lies beyond an image's edge, for the energies
    #[arg(long, value_enum, default_value_t)]
    pub(crate) boundary: Edge,
    /// Who supplies wrong answers beside the enlarged input
    #[arg(long, value_enum, default_value = "riesz")]
    pub(crate) negatives: Negatives,
    /// The adversary's folder, for --negatives learned
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<Place>,
    /// Radius of the Sobolev ball around the truth, as the deviation in grey levels of white noise as far away; 4 unless given
    #[arg(long)]
    pub(crate) eps: Option<Positive>,
    /// Instead of the ball: go this share of the way to the adversary's answer; the authors take 0.1
    #[arg(long)]
    pub(crate) lambda: Option<Share>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) perceptual: Perceptual,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Align {
    pub(crate) const ROLLOUT: Whole<1, 1000> = Whole::of(28);
    pub(crate) const EPS: Positive = Positive::of(4.0);
}

impl Options for Align {
    const NAME: &'static str = "align";

    fn consistent(&self) -> Result<()> {
        if (self.negatives == Negatives::Learned) != self.adapter.is_some() {
            return Err(Error::new(
                "--negatives learned and --adapter go together: give both, or neither",
            ));
        }
        if self.negatives == Negatives::None && self.lambda.is_some() {
            return Err(Error::new(
                "--lambda needs an adversary: --negatives riesz or learned",
            ));
        }
        excludes("--eps", self.eps.is_some(), "--lambda", self.lambda.is_some())?;
        let perceptual = self.perceptual.perceptual.is_some();
        needs("--rollout", self.rollout.is_some(), "--perceptual", perceptual)?;
        self.common.consistent()?;
        self.perceptual.consistent()
    }
}

impl Run for Align {
    const PEAK: Rate = Rate::of(5e-5);

    sealed_common!();

    fn settle_own(&mut self) {
        self.perceptual.settle();
        if self.perceptual.perceptual.is_some() {
            self.rollout.get_or_insert(Self::ROLLOUT);
        }
        if self.lambda.is_none() {
            self.eps.get_or_insert(Self::EPS);
        }
    }
}
