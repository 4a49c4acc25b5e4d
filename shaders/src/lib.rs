//! Our WGSL kernels, and the executor that runs an [`Architecture`](asasr_core::model::Architecture) with them on
//! any wgpu device: the browser's WebGPU or a native GPU.
//!
//! Every kernel is one file in `shader/`, and its twin in plain Rust one of the same name in `twin/`, for tests. [`GpuExecutor`]
//! runs a restorer, [`GpuFlow`] a restorer and a velocity field; for both, `plan` decides what one kernel does and which
//! buffers it needs, `network` runs it. `noise` makes a flow's source, `resample` reduces images and anchors samples,
//! `tuning` finds the fastest way on an adapter.

mod executor;
mod flow;
mod gpu;
mod graph;
mod kernels;
pub mod measure;
mod network;
mod noise;
mod pack;
mod plan;
mod pool;
mod resample;
mod trial;
mod tuning;
#[cfg(test)]
mod twin;

pub use executor::GpuExecutor;
pub use flow::{FlowImage, GpuFlow};
pub use gpu::Gpu;
pub use graph::{DeviceValue, WgslNetwork};
pub use tuning::{Convolution, Precision, Tuning};
