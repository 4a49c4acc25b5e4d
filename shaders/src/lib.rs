//! Our WGSL kernels, and the executor that runs an [`Architecture`](asasr_core::model::Architecture) with them on
//! any wgpu device: the browser's WebGPU or a native GPU.
//!
//! Every kernel is one file in `shader/`; [`plan`](mod@plan) decides which buffers a network needs,
//! [`GpuExecutor`] owns them.

mod executor;
mod gpu;
mod pack;
mod plan;

pub use executor::GpuExecutor;
pub use gpu::Gpu;
