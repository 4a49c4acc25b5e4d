//! Options of `asasr train restorer`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::common::{Common, Perceptual, excludes};
use super::options::{Effect, Options};
use super::values::{ModelPlace, Rate, Whole};
use super::{Run, sealed_common};
use crate::error::Result;

/// The measure that training makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Loss {
    /// Mean absolute error
    L1,
    /// Mean squared error, whose minimiser is the posterior mean
    L2,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Restorer {
    /// What is minimised
    #[arg(long, value_enum, default_value = "l1")]
    pub(crate) loss: Loss,
    /// Begin with the weights of the model in this folder or built in, and its architecture, instead of fresh ones
    #[arg(long, value_name = "DIR")]
    pub(crate) init: Option<ModelPlace>,
    /// Feature channels, 48 for a fresh network
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) channels: Option<Whole<4, 256>>,
    /// Residual blocks, 6 in a fresh network
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) blocks: Option<Whole<1, 64>>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) perceptual: Perceptual,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Restorer {
    /// Sizes of a fresh network.
    pub(crate) const CHANNELS: Whole<4, 256> = Whole::of(48);
    pub(crate) const BLOCKS: Whole<1, 64> = Whole::of(6);
}

impl Options for Restorer {
    const NAME: &'static str = "restorer";

    fn consistent(&self) -> Result<()> {
        let begun = self.init.is_some();
        excludes("--channels", self.channels.is_some(), "--init", begun)?;
        excludes("--blocks", self.blocks.is_some(), "--init", begun)?;
        self.common.consistent()?;
        self.perceptual.consistent()
    }
}

impl Run for Restorer {
    const PEAK: Rate = Rate::of(5e-4);

    sealed_common!();

    fn settle_own(&mut self) {
        self.perceptual.settle();
        if self.init.is_none() {
            self.channels.get_or_insert(Self::CHANNELS);
            self.blocks.get_or_insert(Self::BLOCKS);
        }
    }
}
