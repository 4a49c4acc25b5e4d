//! `asasr train`: each stage says what its loss is, how it is validated and what it exports; [`run`] does the rest.

mod adversary;
mod align;
mod all;
mod checkpoint;
mod clips;
pub(crate) mod config;
mod data;
mod distill;
mod export;
mod feed;
mod flow;
mod one_step;
mod optimise;
mod optimiser;
mod perceptual;
mod report;
mod restorer;
mod results;
mod run;
mod source;
mod stage;
mod sweep;
mod trainee;
mod video;

pub(crate) use data::{Batch, Dataset};
pub(crate) use optimise::scalar;

use crate::cli::Train;
use crate::error::Result;

/// Runs a command of `asasr train`.
pub(crate) fn run(command: &Train) -> Result<()> {
    match command {
        Train::Stage(job) => {
            job.consistent()?;
            stage::train(job)
        }
        Train::Export(args) => export::run(args),
        Train::All(args) => all::run(args),
        Train::Sweep(args) => sweep::run(args),
        Train::Command(args) => stage::print_command(&args.run),
    }
}
