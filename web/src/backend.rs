//! The executor this module was built for.

use asasr_core::Result;
use asasr_core::graph::TypedGraph;
use asasr_core::model::{NetworkPart, Weights};

#[cfg(feature = "gpu")]
mod device {
    use super::{NetworkPart, Result, TypedGraph, Weights};
    use asasr_shaders::{Gpu, GpuExecutor, GpuFlow};
    use wasm_bindgen::prelude::*;

    pub(crate) type Restorer = GpuExecutor;
    pub(crate) type Flow = GpuFlow;

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance)]
        fn now() -> f64;
    }

    /// The restorer on WebGPU, the adapter's name and its tuning, which is found where `tuning` is none of it. A software
    /// adapter is taken: the page has already decided.
    pub(super) async fn open(
        graph: &TypedGraph,
        weights: Weights,
        tuning: Option<&str>,
    ) -> Result<(Restorer, String, Option<String>)> {
        let mut gpu = Gpu::request(true).await?;
        let known = tuning.and_then(|t| t.parse().ok());
        if known.is_none_or(|t| gpu.set_tuning(t).is_err()) {
            gpu.tune(now).await?;
        }
        let (name, tuning) = (gpu.name().to_owned(), gpu.tuning().to_string());
        let restorer = GpuExecutor::new(gpu, graph, &weights)?;
        Ok((restorer, name, Some(tuning)))
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "the twin for the processor keeps them"
    )]
    pub(super) fn flow(restorer: &Restorer, part: &NetworkPart, weights: Weights) -> Result<Flow> {
        GpuFlow::new(restorer.clone(), &part.graph, &weights)
    }
}

#[cfg(not(feature = "gpu"))]
mod device {
    use super::{NetworkPart, Result, TypedGraph, Weights};
    use asasr_core::exec::{CpuExecutor, CpuFlow};

    pub(crate) type Restorer = CpuExecutor;
    pub(crate) type Flow = CpuFlow;

    /// The restorer on the processor.
    #[expect(
        clippy::unused_async,
        reason = "the twin for WebGPU has to wait for its adapter"
    )]
    pub(super) async fn open(
        graph: &TypedGraph,
        weights: Weights,
        _tuning: Option<&str>,
    ) -> Result<(Restorer, String, Option<String>)> {
        let restorer = CpuExecutor::new(graph, weights)?;
        Ok((restorer, "one thread".to_owned(), None))
    }

    pub(super) fn flow(restorer: &Restorer, part: &NetworkPart, weights: Weights) -> Result<Flow> {
        CpuFlow::new(restorer.clone(), &part.graph, weights)
    }
}

pub(crate) use device::{Flow, Restorer};

/// A model on the device.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) restorer: Restorer,
    /// The flow that was loaded last, by its file.
    flow: Option<(String, Flow)>,
    /// What it runs on.
    pub(crate) device: String,
    /// How its kernels run, where there is a choice.
    pub(crate) tuning: Option<String>,
}

impl Backend {
    pub(crate) async fn open(graph: &TypedGraph, weights: Weights, tuning: Option<&str>) -> Result<Self> {
        let (restorer, device, tuning) = device::open(graph, weights, tuning).await?;
        Ok(Self {
            restorer,
            flow: None,
            device,
            tuning,
        })
    }

    /// Puts what draws beside the restorer.
    pub(crate) fn add(&mut self, part: &NetworkPart, weights: Weights) -> Result<()> {
        let flow = device::flow(&self.restorer, part, weights)?;
        self.flow = Some((part.file.clone(), flow));
        Ok(())
    }

    /// The flow of that part, where it was loaded.
    pub(crate) fn flow(&self, part: &NetworkPart) -> Option<&Flow> {
        let (file, flow) = self.flow.as_ref()?;
        (*file == part.file).then_some(flow)
    }
}
