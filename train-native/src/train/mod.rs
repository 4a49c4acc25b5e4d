//! `asasr train`: each stage says what its loss is, how it is validated and what it exports; [`run`] does the rest.

mod checkpoint;
mod data;
mod flow;
mod optimise;
mod restorer;
mod run;

pub(crate) use flow::run as flow;
pub(crate) use restorer::run as restorer;
