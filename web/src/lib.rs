//! ASASR in the browser's worker: a file's bytes in, the parts of an enlarged PNG out.
//!
//! The crate is built four times. `asasr-files` reads and writes image files; it knows no network. `asasr-models` reads models that a
//! person brings, and runs none. `asasr-gpu` runs networks with our
//! WGSL kernels, `asasr-cpu` on the processor; they take samples and give rows of samples, and know no file. Both export the
//! same [`Upscaler`], so that the worker needs to know one interface. A page waits only for what it uses.

#[cfg(any(feature = "gpu", feature = "cpu"))]
mod backend;
#[cfg(feature = "files")]
mod files;
#[cfg(any(feature = "gpu", feature = "cpu", test))]
mod frame;
#[cfg(feature = "models")]
mod models;
#[cfg(any(feature = "gpu", feature = "cpu"))]
mod upscaler;

#[cfg(feature = "files")]
pub use files::{Blended, Carried, Looked, Photo, PngFile, blend, detail_of, places_of_pieces};
#[cfg(feature = "models")]
pub use models::{ImportedModel, ModelFile, import_model};
#[cfg(any(feature = "gpu", feature = "cpu"))]
pub use upscaler::{Pixels, Report, Upscaler, Wish};

#[cfg(any(feature = "gpu", feature = "cpu", feature = "files", feature = "models"))]
mod said;
