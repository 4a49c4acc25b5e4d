//! The shared heart of ASASR: what a network is, how an image is cut into tiles for it and put together
//! again, and how the result is measured.
//!
//! Data flows one way: image → [`Planes`] → [`TilePlan`] → an [`Executor`] → [`Mosaic`] → rows of the larger
//! image. The crate knows no device, no browser and no file system. Without features it builds for targets
//! without `std` (it needs `alloc`); the feature `burn` adds the same networks on burn tensors.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

mod error;
pub mod flow;
pub mod metrics;
pub mod model;
#[cfg(feature = "burn")]
pub mod nn;
#[cfg(feature = "burn")]
pub mod objective;
mod planes;
pub mod random;
pub mod resample;
pub mod spectral;
mod tile;
mod upscale;

pub use error::Error;
pub use planes::{Planes, Rect};
pub use tile::{Mosaic, Tile, TilePlan};
pub use upscale::{Executor, OutputScale, Progress, upscale};

/// Results of this crate.
pub type Result<T> = core::result::Result<T, Error>;
