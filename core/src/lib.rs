//! The shared heart of ASASR, faithful image super-resolution by a flow that is trained in a Sobolev geometry
//! (arXiv 2605.23264). The method, in the order in which data meets it:
//!
//! 1. **Geometry**, [`spectral`]: images are expanded in cosines; a weight `w = (1 + kappa lambda)^s` says what an error
//!    at each frequency costs, and its inverse is the covariance `Sigma_s` of the noise.
//! 2. **Flow**, [`flow`]: from the source `x0 = m(c) + sigma n`, where `m(c)` is a restorer's posterior mean and `n`
//!    coloured noise, a velocity field leads along `x_t = (1 - t) x0 + t x1` to the image.
//! 3. **Networks**, [`model`]: restorers and two velocity fields as data, their weights, and low-rank adapters; `nn`
//!    (feature `burn`) runs and trains them on burn tensors. [`graph`] describes any network, theirs and the community's, operation
//!    by operation, and says what it computes.
//! 4. **Objectives**, `objective` (feature `burn`): flow matching in a mix of L2 and `H^s`; preference optimisation
//!    (S-DPO) against a reference that is the same backbone with an adapter off; an adversary that supplies realistic
//!    wrong answers, learned or by the closed-form Riesz step (AS-DPO).
//! 5. **Images**, [`pipeline`]: a [`Raster`] or [`Planes`] → [`TilePlan`] → an [`Executor`] → [`Mosaic`] → what holds the result to
//!    the photo → rows of the larger image; [`alpha`], [`look`], [`metrics`] and [`resample`].
//!
//! The crate knows no device, no browser and no file system, and data flows one way. Without features it builds for
//! targets without `std` (it needs `alloc`); `std` adds fast transforms of any length, `burn` the networks as tensors.
#![cfg_attr(not(any(test, feature = "std")), no_std)]

extern crate alloc;

pub mod alpha;
mod error;
pub mod exec;
mod fields;
pub mod flow;
pub mod graph;
mod hold;
pub mod look;
mod message;
pub mod metrics;
pub mod model;
pub mod motion;
#[cfg(feature = "burn")]
pub mod nn;
#[cfg(feature = "burn")]
pub mod objective;
pub mod pipeline;
mod planes;
pub mod random;
mod raster;
pub mod resample;
mod size;
pub mod spectral;
mod tile;
pub mod video;

pub use error::Error;
pub use message::{Arg, Message};
pub use pipeline::{Beside, Executor, OnStep};
pub use planes::{Planes, Rect};
pub use raster::{Layout, Raster, Samples};
pub use size::Size;
pub use tile::{Mosaic, Part, Tile, TilePlan};

/// Results of this crate.
pub type Result<T> = core::result::Result<T, Error>;
