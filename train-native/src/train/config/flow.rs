//! Options of `asasr train flow`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::common::{Common, Perceptual, SourceOptions, excludes, needs};
use super::options::{Effect, Options};
use super::values::{ModelPlace, Rate, Rho, Share, Sigma, Whole};
use super::{Run, sealed_common};
use crate::error::Result;

/// The network that learns the velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Backbone {
    /// Convolutions modulated by the time
    Conv,
    /// A transformer with attention in windows
    Dit,
}

/// How training draws its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Times {
    /// Each on its own
    Uniform,
    /// One in each of as many equal intervals as there are crops
    Stratified,
    /// More in the middle
    LogitNormal,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Flow {
    /// Take the perceptual distance at states that a sample in so many steps passes through, in place of points between source and
    /// truth
    #[arg(long, value_name = "STEPS", help_heading = Effect::Told.heading())]
    pub(crate) rollout: Option<Whole<1, 1000>>,
    /// A folder with the restorer the flow starts from, or a built-in model; without it the default one
    #[arg(long, value_name = "DIR")]
    pub(crate) restorer: Option<ModelPlace>,
    /// Begin with the flow of the model in this folder or built in, its source and its restorer, instead of a fresh one
    #[arg(long, value_name = "DIR")]
    pub(crate) init: Option<ModelPlace>,
    /// The network that learns the velocity, conv for a fresh flow
    #[arg(long, value_enum, help_heading = Effect::Fixed.heading())]
    pub(crate) backbone: Option<Backbone>,
    /// Feature channels, 96 for a fresh flow
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) channels: Option<Whole<4, 512>>,
    /// Residual or transformer blocks, 8 in a fresh flow
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) blocks: Option<Whole<1, 64>>,
    /// Deviation of the truth around the posterior mean: what a skip past the network takes it for, 0.03 for a fresh flow. 0 leaves
    /// the skip out
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) rho: Option<Rho>,
    /// Sobolev order of noise and loss, 0 to 3; 1.5 for a fresh flow
    #[arg(long)]
    pub(crate) s: Option<f64>,
    /// Sobolev order of the noise where it is another than the loss's; 0 makes it white
    #[arg(long, value_name = "S")]
    pub(crate) source_s: Option<f64>,
    /// Share of the Sobolev term in the loss, 0 (plain L2) to 1
    #[arg(long, default_value = "0.5")]
    pub(crate) mix: Share,
    /// How times are drawn
    #[arg(long, value_enum, default_value = "stratified", help_heading = Effect::Told.heading())]
    pub(crate) times: Times,
    #[command(flatten, next_help_heading = Effect::Measure.heading())]
    #[serde(flatten)]
    pub(crate) source: SourceOptions,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) perceptual: Perceptual,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Flow {
    /// What a fresh flow has.
    pub(crate) const BACKBONE: Backbone = Backbone::Conv;
    pub(crate) const CHANNELS: Whole<4, 512> = Whole::of(96);
    pub(crate) const BLOCKS: Whole<1, 64> = Whole::of(8);
    pub(crate) const SIGMA: Sigma = Sigma::of(0.1);
    pub(crate) const RHO: Rho = Rho::of(0.03);
    pub(crate) const S: f64 = 1.5;
}

impl Options for Flow {
    const NAME: &'static str = "flow";

    fn consistent(&self) -> Result<()> {
        let begun = self.init.is_some();
        excludes("--restorer", self.restorer.is_some(), "--init", begun)?;
        excludes("--backbone", self.backbone.is_some(), "--init", begun)?;
        excludes("--channels", self.channels.is_some(), "--init", begun)?;
        excludes("--blocks", self.blocks.is_some(), "--init", begun)?;
        excludes("--rho", self.rho.is_some(), "--init", begun)?;
        excludes("--s", self.s.is_some(), "--init", begun)?;
        excludes("--source-s", self.source_s.is_some(), "--init", begun)?;
        let perceptual = self.perceptual.perceptual.is_some();
        needs("--rollout", self.rollout.is_some(), "--perceptual", perceptual)?;
        self.common.consistent()?;
        self.perceptual.consistent()
    }
}

impl Run for Flow {
    const PEAK: Rate = Rate::of(5e-4);

    sealed_common!();

    fn settle_own(&mut self) {
        self.perceptual.settle();
        if self.init.is_none() {
            self.backbone.get_or_insert(Self::BACKBONE);
            self.channels.get_or_insert(Self::CHANNELS);
            self.blocks.get_or_insert(Self::BLOCKS);
            self.source.sigma.get_or_insert(Self::SIGMA);
            self.rho.get_or_insert(Self::RHO);
            self.s.get_or_insert(Self::S);
        }
    }
}
