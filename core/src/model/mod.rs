//! Networks as data.
//!
//! An [`Architecture`] lists the layers of a restorer, a [`VelocityArchitecture`] describes a velocity field;
//! [`Weights`] holds the numbers, by name; a [`LoraAdapter`] changes them by low-rank products; a [`Manifest`] ties
//! description and numbers to a file and its sha256. Every executor reads these, so that the same file runs
//! everywhere.

mod architecture;
mod file;
pub mod format1;
mod layer;
mod lora;
mod manifest;
mod told;
mod velocity;
mod weights;

pub use architecture::{Architecture, Skip};
pub use file::{WeightsFile, sha256_hex};
pub use format1::FlowPart;
pub use layer::{Activation, Layer, ParameterShape};
pub use lora::{LoraAdapter, LoraConfig, LoraModule};
pub use manifest::{MANIFEST_FORMAT, Manifest, NetworkPart, Provenance, Role};
pub use told::{Measured, Mode, Training};
pub use velocity::{Condition, ConvVelocity, DitVelocity, GaussianSkip, VelocityArchitecture};
pub use weights::{Dtype, Tensor, Weights};
