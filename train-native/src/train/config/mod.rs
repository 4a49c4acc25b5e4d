//! The configuration of training: a struct for each stage, from which everything else comes.
//!
//! A struct's fields are the stage's options on the command line (clap), its keys in a recipe and the record in its checkpoints (serde);
//! their comments are what `--help` says. [`options`] prints the command that a struct stands for and compares two of them, [`record`] is
//! what a checkpoint keeps. To add an option, add a field under the heading that says what another value means to a run that goes on.

mod adversary;
mod align;
mod common;
mod distill;
mod export;
mod flow;
mod one_step;
pub(crate) mod options;
pub(crate) mod record;
mod restorer;
#[cfg(test)]
mod tests;
mod values;
mod video;

use std::path::Path;

use clap::Subcommand;
use serde_json::{Map, Value};
use toml::Table;

pub(crate) use adversary::Adversary;
pub(crate) use align::{Align, Edge, Negatives};
pub(crate) use common::{Common, OptimiserKind, Perceptual, Schedule, SourceOptions};
pub(crate) use distill::Distill;
pub(crate) use export::{Export, Finish, Stored};
pub(crate) use flow::{Backbone, Flow, Times};
pub(crate) use one_step::OneStep;
pub(crate) use options::Options;
pub(crate) use restorer::{Loss, Restorer};
pub(crate) use values::{Anchor, ModelPlace, Place, Rate, Share, Shares, Strength};
#[cfg(test)]
pub(crate) use values::{Sigma, Slope};
pub(crate) use video::Video;

use super::clips::Clips;
use crate::error::{Error, Result};

/// How many times networks enlarge, but those of video.
pub(crate) const SCALE: usize = 4;

/// Options of a stage of training.
pub(crate) trait Run: Options {
    /// The peak learning rate without another.
    const PEAK: Rate;

    fn common(&self) -> &Common;

    fn common_mut(&mut self) -> &mut Common;

    /// How many times networks of this stage enlarge.
    fn scale(&self) -> usize {
        SCALE
    }

    /// How crops move, where they are frames of a video.
    fn clips(&self) -> Result<Option<Clips>> {
        Ok(None)
    }

    /// Writes out what options have that are not given and depend on others.
    fn settle_own(&mut self) {}

    /// The same options, with those written out that depend on others and are not given.
    fn settled(&self) -> Self {
        let mut settled = self.clone();
        settled.common_mut().learning_rate.get_or_insert(Self::PEAK);
        settled.settle_own();
        settled
    }
}

/// The field that all stages have.
macro_rules! sealed_common {
    () => {
        fn common(&self) -> &Common {
            &self.common
        }

        fn common_mut(&mut self) -> &mut Common {
            &mut self.common
        }
    };
}
use sealed_common;

/// A stage with its options; in the order in which one builds on the other.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Job {
    /// The posterior-mean restorer: the sharpest image that invents nothing
    Restorer(Restorer),
    /// The flow: detail on top of the restorer, one likely image at a time
    Flow(Flow),
    /// An adapter of the flow that makes realistic wrong answers
    Adversary(Adversary),
    /// Preference optimisation of the flow: prefer the truth to wrong answers (S-DPO, AS-DPO)
    Align(Align),
    /// The flow in one to four steps
    Distill(Distill),
    /// One likely image in one step, against a discriminator
    OneStep(OneStep),
    /// A small recurrent network for video, on crops that move
    Video(Video),
}

/// Does the same with the options of whichever stage it is.
macro_rules! each {
    ($job:expr, $options:ident => $do:expr) => {
        match $job {
            $crate::train::config::Job::Restorer($options) => $do,
            $crate::train::config::Job::Flow($options) => $do,
            $crate::train::config::Job::Adversary($options) => $do,
            $crate::train::config::Job::Align($options) => $do,
            $crate::train::config::Job::Distill($options) => $do,
            $crate::train::config::Job::OneStep($options) => $do,
            $crate::train::config::Job::Video($options) => $do,
        }
    };
}
pub(crate) use each;

/// Does the same with the options `$O` of the stage of a name; `None` where no stage has it.
macro_rules! named {
    ($name:expr, $O:ident => $do:expr) => {
        named!($name, $O => $do; Restorer, Flow, Adversary, Align, Distill, OneStep, Video)
    };
    ($name:expr, $O:ident => $do:expr; $($stage:ident),*) => {
        match $name {
            $(<$crate::train::config::$stage as $crate::train::config::Options>::NAME => {
                type $O = $crate::train::config::$stage;
                Some($do)
            })*
            _ => None,
        }
    };
}
use named;

macro_rules! into_job {
    ($($stage:ident),*) => {
        $(impl From<$stage> for Job {
            fn from(options: $stage) -> Self {
                Self::$stage(options)
            }
        })*
    };
}
into_job!(Restorer, Flow, Adversary, Align, Distill, OneStep, Video);

impl Job {
    /// The stages by name, in their order.
    pub(crate) const NAMES: [&str; 7] = [
        Restorer::NAME,
        Flow::NAME,
        Adversary::NAME,
        Align::NAME,
        Distill::NAME,
        OneStep::NAME,
        Video::NAME,
    ];

    pub(crate) fn common(&self) -> &Common {
        each!(self, options => options.common())
    }

    /// Refuses options that do not go together.
    pub(crate) fn consistent(&self) -> Result<()> {
        each!(self, options => options.consistent())
    }

    /// The same stage, going on where its folder has a checkpoint.
    pub(crate) fn resuming(mut self, resume: bool) -> Self {
        let common = each!(&mut self, options => options.common_mut());
        common.running.resume = resume && record::checkpoint_of(&common.files.out).exists();
        self
    }

    /// A section of a recipe: see [`options::from_recipe`].
    pub(crate) fn from_recipe(
        name: &str,
        program: (&Map<String, Value>, &Map<String, Value>),
        sections: (&Table, &Table),
    ) -> Result<Self> {
        let job = named!(name, O => options::from_recipe::<O>(program, sections).map(Self::from));
        job.unwrap_or_else(|| Err(no_stage(name)))
    }

    /// Whether the stage of that name has an option `key` that names a file, a folder or a model.
    pub(crate) fn names_a_place(name: &str, key: &str) -> bool {
        named!(name, O => options::names_a_place::<O>(key)) == Some(true)
    }

    /// The command that made the run in `out`, of which a record is: see [`record::Record::command`].
    pub(crate) fn command_of(record: &record::Record, out: &Path) -> Result<(String, String)> {
        let command = named!(record.stage.as_str(), O => record.command::<O>(out));
        command.unwrap_or_else(|| Err(no_stage(&record.stage)))
    }
}

fn no_stage(name: &str) -> Error {
    Error::new(format!("{name:?} is no stage of this program"))
}
