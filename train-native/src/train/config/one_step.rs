//! Options of `asasr train one-step`.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::common::{Common, Perceptual};
use super::options::{Effect, Options};
use super::values::{Anchor, ModelPlace, Rate, Weight, Whole};
use super::{Run, sealed_common};
use crate::error::Result;

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct OneStep {
    /// A folder with the network to begin with: a manifest of format 2 with one network, or with one named `one_step`
    #[arg(long, value_name = "DIR")]
    pub(crate) init: ModelPlace,
    /// A folder with the restorer whose low frequencies results get, or a built-in model; without it the default one
    #[arg(long, value_name = "DIR")]
    pub(crate) restorer: Option<ModelPlace>,
    /// Width of the Gaussian, in output pixels, below which a result is the restorer's: 0.8 to 16
    #[arg(long, value_name = "PIXELS", default_value = "3")]
    pub(crate) colour_anchor: Anchor,
    /// Sobolev order of the noise that draws one of the likely images, 0 to 3
    #[arg(long, default_value_t = 1.5)]
    pub(crate) s: f64,
    /// Weight of the mean absolute error
    #[arg(long, value_name = "WEIGHT", default_value = "1")]
    pub(crate) pixel_weight: Weight,
    /// Weight of what the discriminator says
    #[arg(long, value_name = "WEIGHT", default_value = "0.1")]
    pub(crate) adversarial_weight: Weight,
    /// Weight of the mean absolute difference of the discriminator's features
    #[arg(long, value_name = "WEIGHT", default_value = "0.1")]
    pub(crate) feature_weight: Weight,
    /// Take the perceptual distance of every so-manieth batch only, so many times as heavy: it costs more than all else
    #[arg(long, value_name = "BATCHES", default_value = "1")]
    pub(crate) perceptual_every: Whole<1, 64>,
    /// Channels of the discriminator at full size
    #[arg(long, default_value = "32", help_heading = Effect::Fixed.heading())]
    pub(crate) features: Whole<4, 128>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) perceptual: Perceptual,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Options for OneStep {
    const NAME: &'static str = "one-step";

    fn consistent(&self) -> Result<()> {
        self.common.consistent()?;
        self.perceptual.consistent()
    }
}

impl Run for OneStep {
    const PEAK: Rate = Rate::of(1e-4);

    sealed_common!();

    fn settle_own(&mut self) {
        self.perceptual.settle();
    }
}
