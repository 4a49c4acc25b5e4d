//! Options of `asasr train export`, and of the section `[export]`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::common::{SourceOptions, needs};
use super::options::Options;
use super::values::{Anchor, Id, Licence, ModelPlace, Place, Share, Strength};
use crate::error::Result;

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stored {
    /// Half precision
    #[default]
    F16,
    /// Single precision
    F32,
}

/// What a finished model is made of.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Export {
    /// A folder with the restorer, and with the flow unless --flow names another
    #[arg(long, value_name = "DIR")]
    pub(crate) model: ModelPlace,
    /// A folder with the flow for the mode quality
    #[arg(long, value_name = "DIR")]
    pub(crate) flow: Option<ModelPlace>,
    /// How much of that flow, where the model has one that it was trained from: 0 is the model's own, 1 (as without this) the other
    #[arg(long)]
    pub(crate) share: Option<Share>,
    /// An adapter to merge into the flow, as `train align` leaves it in best/adapter, or from PEFT
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<Place>,
    /// How much of the adapter: 0 is the flow alone, 1 (as without this) as it was trained
    #[arg(long)]
    pub(crate) strength: Option<Strength>,
    /// A folder with a distilled flow for the mode fast
    #[arg(long, value_name = "DIR")]
    pub(crate) fast: Option<ModelPlace>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) finish: Finish,
    /// Where the model goes
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Place,
}

/// What a finished model is, whatever it is made of.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Finish {
    /// Give samples the low frequencies of the restorer's answer: the deviation in output pixels of the Gaussian that parts them in the
    /// mode quality, 0.8 to 16, or 0 for none, instead of the flow's own; in the mode fast, where the flow is not distilled, it is half
    /// as wide again
    #[arg(long, value_name = "PIXELS")]
    pub(crate) colour_anchor: Option<Anchor>,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) source: SourceOptions,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: Stored,
    /// The model's name in its manifest, instead of the old one
    #[arg(long)]
    pub(crate) id: Option<Id>,
    /// SPDX licence of the weights in the manifest, instead of the old one
    #[arg(long)]
    pub(crate) licence: Option<Licence>,
}

impl Options for Export {
    const NAME: &'static str = "export";

    fn consistent(&self) -> Result<()> {
        needs("--share", self.share.is_some(), "--flow", self.flow.is_some())?;
        needs(
            "--strength",
            self.strength.is_some(),
            "--adapter",
            self.adapter.is_some(),
        )
    }
}

impl Options for Finish {
    const NAME: &'static str = "export";

    fn consistent(&self) -> Result<()> {
        Ok(())
    }
}

impl Finish {
    /// The first option given that is for a model with a flow.
    pub(crate) fn of_flows(&self) -> Option<String> {
        let anchor = self.colour_anchor.map(|_| "colour-anchor".to_owned());
        anchor.or_else(|| self.source.given())
    }
}
