//! Options of `asasr train adversary`.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::common::Common;
use super::options::{Effect, Options};
use super::values::{ModelPlace, Place, Rate, Whole};
use super::{Run, sealed_common};
use crate::error::Result;

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Told.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Adversary {
    /// Results of real upscalers to learn from: a folder as `asasr degrade` writes it, with a folder of results beside `lq`
    /// for each upscaler, named as the inputs. Every other batch is then taken from there; they have a cache of --cache-mb of
    /// their own
    #[arg(long, value_name = "PAIRS")]
    pub(crate) artefacts: Option<Place>,
    /// A folder with the flow the adversary is an adapter of, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: ModelPlace,
    /// LoRA rank; alpha is the same
    #[arg(long, default_value = "16", help_heading = Effect::Fixed.heading())]
    pub(crate) rank: Whole<1, 256>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Options for Adversary {
    const NAME: &'static str = "adversary";

    fn consistent(&self) -> Result<()> {
        self.common.consistent()
    }
}

impl Run for Adversary {
    const PEAK: Rate = Rate::of(2e-4);

    sealed_common!();
}
