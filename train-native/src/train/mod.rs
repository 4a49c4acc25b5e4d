//! `asasr train`: each stage says what its loss is, how it is validated and what it exports; [`run`] does the rest.

mod adversary;
mod align;
mod all;
mod checkpoint;
mod data;
mod distill;
mod export;
mod flow;
mod optimise;
mod optimiser;
mod perceptual;
mod report;
mod restorer;
mod results;
mod run;
mod sampler;
mod source;
mod stage;
mod sweep;

pub(crate) use adversary::run as adversary;
pub(crate) use align::run as align;
pub(crate) use all::run as all;
pub(crate) use data::{Batch, Dataset};
pub(crate) use distill::run as distill;
pub(crate) use export::run as export;
pub(crate) use flow::run as flow;
pub(crate) use optimise::scalar;
pub(crate) use restorer::run as restorer;
pub(crate) use sweep::run as sweep;
