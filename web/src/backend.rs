//! The executor this module was built for.

use asasr_core::Result;
use asasr_core::model::{Manifest, Weights};

#[cfg(feature = "gpu")]
pub(crate) type Backend = asasr_shaders::GpuExecutor;

/// The network on WebGPU and the adapter's name. A software adapter is taken: the page has already decided.
#[cfg(feature = "gpu")]
pub(crate) async fn open(manifest: &Manifest, weights: &Weights) -> Result<(Backend, String)> {
    let gpu = asasr_shaders::Gpu::request(true).await?;
    let name = gpu.name().to_owned();
    Ok((
        asasr_shaders::GpuExecutor::new(gpu, &manifest.architecture, weights)?,
        name,
    ))
}

#[cfg(not(feature = "gpu"))]
pub(crate) type Backend = asasr_core::nn::BurnExecutor;

/// The network on burn's CPU backend.
#[cfg(not(feature = "gpu"))]
#[expect(
    clippy::unused_async,
    reason = "the twin for WebGPU has to wait for its adapter"
)]
pub(crate) async fn open(manifest: &Manifest, weights: &Weights) -> Result<(Backend, String)> {
    let device = burn::tensor::Device::flex();
    let network = asasr_core::nn::Network::new(&manifest.architecture, weights, &device)?;
    Ok((
        asasr_core::nn::BurnExecutor::new(network),
        "one thread".to_owned(),
    ))
}
