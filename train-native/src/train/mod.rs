//! `asasr train`.

mod checkpoint;
mod data;
mod restorer;

pub(crate) use restorer::run as restorer;
