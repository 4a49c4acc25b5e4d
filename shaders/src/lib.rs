//! Our WGSL kernels, and the executor that runs an [`Architecture`](asasr_core::model::Architecture) with them on
//! any wgpu device: the browser's WebGPU or a native GPU.
//!
//! Every kernel is one file in `shader/`. [`GpuExecutor`] runs a restorer, [`GpuFlow`] a restorer and a velocity field; for
//! both, `plan` decides what one kernel does and which buffers it needs, `network` runs it.

mod executor;
mod flow;
mod gpu;
mod network;
mod pack;
mod plan;

pub use executor::GpuExecutor;
pub use flow::GpuFlow;
pub use gpu::Gpu;
