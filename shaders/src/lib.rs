//! Our WGSL kernels, and the executor that runs [graphs](asasr_core::graph) with them on any wgpu device: the browser's WebGPU or a
//! native GPU.
//!
//! [`WgslNetwork`] runs a graph; its dense layers and what stands around a network are files in `shader/`, all else is with the
//! operations. What stands around a network has a twin in plain Rust, for tests, here in `twin/` or in asasr-core. [`GpuExecutor`]
//! runs a restorer, [`GpuFlow`] a restorer and a velocity field. `noise` makes a flow's source, `resample` reduces images and anchors
//! samples, `tuning` finds the fastest way on an adapter.

mod executor;
mod flow;
mod gpu;
mod graph;
mod image;
mod kernels;
pub mod measure;
mod noise;
mod pack;
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
