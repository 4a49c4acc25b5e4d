//! ASASR for the browser's worker: a file's bytes in, the bytes of an enlarged PNG out.
//!
//! The crate is built twice: the bin `asasr-gpu` runs the network with our WGSL kernels, `asasr-cpu` with burn's CPU
//! backend. Both export the same [`Upscaler`], so that the worker needs to know one interface, and a page downloads
//! only the module it uses.

#[cfg(any(feature = "gpu", feature = "cpu"))]
mod backend;
#[cfg(any(feature = "gpu", feature = "cpu"))]
mod output;
#[cfg(any(feature = "gpu", feature = "cpu"))]
mod upscaler;

#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use upscaler::{Upscaled, Upscaler, Wish, blend};
