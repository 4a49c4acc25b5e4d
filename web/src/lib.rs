//! ASASR for the browser's worker: a file's bytes in, the bytes of an enlarged PNG out.
//!
//! The crate is built three times: the bin `asasr-gpu` runs the network with our WGSL kernels, `asasr-cpu` with burn's CPU
//! backend. Both export the same [`Upscaler`], so that the worker needs to know one interface, and read PNG alone;
//! `asasr-formats` makes PNG of other files. A page waits only for what it uses; for later visits without a network it keeps the
//! files' module too.

/// Most input pixels: 4096x4096, whose fourfold enlargement is the largest most programs open.
#[cfg(any(feature = "gpu", feature = "cpu", feature = "formats"))]
const MAX_PIXELS: u64 = 1 << 24;

#[cfg(any(feature = "gpu", feature = "cpu"))]
mod backend;
#[cfg(feature = "formats")]
mod formats;
#[cfg(any(feature = "gpu", feature = "cpu"))]
mod output;
#[cfg(any(feature = "gpu", feature = "cpu"))]
mod upscaler;

#[cfg(feature = "formats")]
pub use formats::{Readable, readable};
#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use upscaler::{Upscaled, Upscaler, Wish, blend};
