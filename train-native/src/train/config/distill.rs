//! Options of `asasr train distill`.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::common::{Common, Perceptual};
use super::options::{Effect, Options};
use super::values::{ModelPlace, Rate, Share, Whole};
use super::{Run, sealed_common};
use crate::error::Result;

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Distill {
    /// A folder with the flow to distil, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: ModelPlace,
    /// Steps of the distilled flow
    #[arg(long, default_value = "4")]
    pub(crate) to: Whole<1, 4>,
    /// Steps of the teacher for each of them
    #[arg(long, default_value = "4")]
    pub(crate) teacher_steps: Whole<1, 28>,
    /// Share of the Sobolev term in the loss
    #[arg(long, default_value = "0.5")]
    pub(crate) mix: Share,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) perceptual: Perceptual,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Options for Distill {
    const NAME: &'static str = "distill";

    fn consistent(&self) -> Result<()> {
        self.common.consistent()?;
        self.perceptual.consistent()
    }
}

impl Run for Distill {
    const PEAK: Rate = Rate::of(1e-4);

    sealed_common!();

    fn settle_own(&mut self) {
        self.perceptual.settle();
    }
}
