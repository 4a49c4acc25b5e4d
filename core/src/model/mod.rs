//! Networks as data.
//!
//! An [`Architecture`] lists layers; [`Weights`] holds the numbers, by name; a [`Manifest`] ties both to a file
//! and its sha256. Every executor reads these three, so that the same file runs everywhere.

mod architecture;
mod manifest;
mod weights;

pub use architecture::{Activation, Architecture, Layer, ParameterShape, Skip};
pub use manifest::{MANIFEST_FORMAT, Manifest, Measured, Training, sha256_hex};
pub use weights::{Dtype, Tensor, Weights};
