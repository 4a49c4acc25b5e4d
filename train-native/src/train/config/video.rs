//! Options of `asasr train video`.

use clap::Args;
use serde::{Deserialize, Serialize};

use super::common::{Common, excludes};
use super::options::{Effect, Options};
use super::restorer::Loss;
use super::values::{ModelPlace, Rate, Share, Whole};
use super::{Run, sealed_common};
use crate::error::{Error, Result};
use crate::train::clips::Clips;

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[command(next_help_heading = Effect::Measure.heading())]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Video {
    /// What is minimised
    #[arg(long, value_enum, default_value = "l1")]
    pub(crate) loss: Loss,
    /// Frames of a clip
    #[arg(long, default_value = "8")]
    pub(crate) frames: Whole<2, 64>,
    /// Share of the clips that a video encoder has been through, which takes ffmpeg
    #[arg(long, value_name = "SHARE", default_value = "0.5")]
    pub(crate) coded: Share,
    /// Begin with the weights of the model in this folder, and its sizes, instead of fresh ones
    #[arg(long, value_name = "DIR")]
    pub(crate) init: Option<ModelPlace>,
    /// How many times the network enlarges: 2 or 4, 2 for a fresh one
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) scale: Option<Whole<2, 4>>,
    /// Feature channels, 16 for a fresh network
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) channels: Option<Whole<4, 64>>,
    /// Gated blocks, 2 in a fresh network
    #[arg(long, help_heading = Effect::Fixed.heading())]
    pub(crate) blocks: Option<Whole<1, 16>>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) common: Common,
}

impl Video {
    /// Sizes of a fresh network.
    pub(crate) const SCALE: Whole<2, 4> = Whole::of(2);
    pub(crate) const CHANNELS: Whole<4, 64> = Whole::of(16);
    pub(crate) const BLOCKS: Whole<1, 16> = Whole::of(2);
}

impl Options for Video {
    const NAME: &'static str = "video";

    fn consistent(&self) -> Result<()> {
        let begun = self.init.is_some();
        excludes("--channels", self.channels.is_some(), "--init", begun)?;
        excludes("--blocks", self.blocks.is_some(), "--init", begun)?;
        let common = &self.common;
        for (option, given) in [
            ("--inputs", common.files.inputs.is_some()),
            ("--drawn", common.drawn.is_some()),
            ("--blurred", common.blurred.get() > 0.0),
        ] {
            excludes(option, given, "clips", true)?;
        }
        if self.scale.is_some_and(|scale| usize::from(scale) == 3) {
            return Err(Error::new(
                "networks for video enlarge 2 or 4 times: give --scale 2 or --scale 4",
            ));
        }
        if usize::from(common.patch) % 2 != 0 {
            return Err(Error::new("clips have even sides: give an even --patch"));
        }
        common.consistent()
    }
}

impl Run for Video {
    const PEAK: Rate = Rate::of(1e-3);

    sealed_common!();

    fn scale(&self) -> usize {
        self.scale.unwrap_or(Self::SCALE).into()
    }

    fn clips(&self) -> Result<Option<Clips>> {
        Clips::new(self.frames.into(), self.coded.get()).map(Some)
    }

    fn settle_own(&mut self) {
        self.scale.get_or_insert(Self::SCALE);
        if self.init.is_none() {
            self.channels.get_or_insert(Self::CHANNELS);
            self.blocks.get_or_insert(Self::BLOCKS);
        }
    }
}
