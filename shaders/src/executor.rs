use std::sync::{Arc, Mutex, OnceLock};

use asasr_core::video::RecurrentExecutor;
use asasr_core::{Executor, OnStep, Part, Planes, Rect, Result, Size, graph::TypedGraph, model::Weights};

use crate::gpu::{Gpu, Kernel, UNIFORM, WRITTEN, unknown};
use crate::graph::{Ends, WgslNetwork};
use crate::image::GpuImage;
use crate::kernels;
use crate::resample::Resampler;

/// `Part` of `part.wgsl`.
pub(crate) fn part_words(part: &Part, tile: Size) -> [u32; 8] {
    let Rect { x0, y0, .. } = part.inner;
    let (width, height) = (part.inner.width(), part.inner.height());
    [x0, y0, width, height, tile.width, tile.height, 0, 0].map(|v| v as u32)
}

/// Weights for a device that is opened again, as narrow as their file.
#[derive(Debug)]
pub(crate) struct Kept(Vec<u8>);

impl Kept {
    pub(crate) fn of(weights: &Weights) -> Result<Self> {
        weights.to_safetensors(weights.narrowest()).map(Self)
    }

    pub(crate) fn weights(&self) -> Result<Weights> {
        Weights::from_safetensors(&self.0)
    }
}

/// A restorer on one device.
#[derive(Debug)]
pub(crate) struct Restorer {
    pub(crate) gpu: Gpu,
    network: WgslNetwork,
    /// How many times it enlarges.
    scale: usize,
    part: Kernel,
    /// Made for the first image that is enlarged less than the network does.
    reducer: OnceLock<Resampler>,
}

impl Restorer {
    fn new(gpu: Gpu, graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        // What published graphs could fold is folded before: the page need not bring the means.
        let network = WgslNetwork::unfolded(&gpu, graph.clone(), weights, Ends::Planes)?;
        let part = kernels::part(&gpu);
        gpu.check()?;
        Ok(Self {
            gpu,
            network,
            scale: graph.output_scale(0).terms().0,
            part,
            reducer: OnceLock::new(),
        })
    }

    /// The values of an image, or what [`Part::cut`] makes of it.
    pub(crate) async fn read(&self, image: GpuImage, part: Option<&Part>) -> Result<Planes> {
        let gpu = &self.gpu;
        let Some(part) = part else {
            return image.read(gpu).await;
        };
        let image = if part.is_of_less(image.size) {
            let reducer = self.reducer.get_or_init(|| Resampler::reducing(gpu));
            reducer.reduce(gpu, &image, part.whole).await?
        } else {
            image
        };
        let size = part.inner.size();
        let output = GpuImage::new(gpu, size).await?;
        let weights = [part.columns.as_slice(), &part.rows].concat();
        let [words, known] = gpu
            .take([(32, UNIFORM), ((weights.len() * 4) as u64, WRITTEN)])
            .await?;
        gpu.write(&words, &part_words(part, image.size));
        gpu.write(&known, &weights);
        let bound = [&words, &image.buffer, &known, &output.buffer].map(|b| &**b);
        gpu.submit(|pass| pass.dispatch(&self.part, &bound, size), |_| {});
        output.read(gpu).await
    }

    /// Enlarges a tile; one command buffer.
    pub(crate) async fn enlarge(&self, tile: &Planes) -> Result<GpuImage> {
        self.enlarge_after(tile, None).await
    }

    /// The same by a network that also reads its last result.
    async fn enlarge_after(&self, tile: &Planes, previous: Option<&Planes>) -> Result<GpuImage> {
        let (gpu, network, scale) = (&self.gpu, &self.network, self.scale);
        let output = GpuImage::new(gpu, tile.size().times(scale)).await?;
        let plan = network.plan(tile.size())?;
        let [image] = gpu.take([((tile.data().len() * 4) as u64, WRITTEN)]).await?;
        let held = network.hold(&plan).await?;
        gpu.write(&image, tile.data());
        let before = match previous {
            Some(previous) => {
                let [before] = gpu.take([((previous.data().len() * 4) as u64, WRITTEN)]).await?;
                gpu.write(&before, previous.data());
                Some(before)
            }
            None => None,
        };
        let inputs: Vec<&wgpu::Buffer> = [&*image].into_iter().chain(before.as_deref()).collect();
        gpu.submit(
            |pass| network.encode(pass, &plan, &held, &inputs, &[&output.buffer]),
            |_| {},
        );
        Ok(output)
    }
}

/// Runs a restorer with our kernels. Copies share the device; when it is lost the next tile opens it again.
#[derive(Debug, Clone)]
pub struct GpuExecutor {
    graph: Arc<TypedGraph>,
    kept: Arc<Kept>,
    restorer: Arc<Mutex<Arc<Restorer>>>,
}

impl GpuExecutor {
    /// Uploads the `weights` of a graph from an image to one that is a whole number of times larger, and builds its pipelines.
    ///
    /// # Errors
    /// [`asasr_core::Error::Weights`] when the two do not fit; [`asasr_core::Error::NotTaken`] for a graph that the device does not run;
    /// [`asasr_core::Error::Device`] when the device refuses.
    pub fn new(gpu: Gpu, graph: &TypedGraph, weights: &Weights) -> Result<Self> {
        weights.check(graph.parameters())?;
        WgslNetwork::supports(&gpu, graph)?;
        Ok(Self {
            restorer: Arc::new(Mutex::new(Arc::new(Restorer::new(gpu, graph, weights)?))),
            graph: Arc::new(graph.clone()),
            kept: Arc::new(Kept::of(weights)?),
        })
    }

    /// The restorer on the device that was opened last, lost or not.
    pub(crate) fn current(&self) -> Result<Arc<Restorer>> {
        let current = self.restorer.lock().map(|r| Arc::clone(&r));
        current.map_err(|_| unknown())
    }

    /// The restorer on a device that works: opened again where it was lost, ran out of memory or failed.
    pub(crate) async fn ready(&self) -> Result<Arc<Restorer>> {
        let current = self.current()?;
        if !current.gpu.is_broken() {
            return Ok(current);
        }
        let gpu = current.gpu.reopen().await?;
        let again = Arc::new(Restorer::new(gpu, &self.graph, &self.kept.weights()?)?);
        let mut kept = self.restorer.lock().map_err(|_| unknown())?;
        // Another tile may have opened it meanwhile.
        if kept.gpu.is_broken() {
            *kept = again;
        }
        Ok(Arc::clone(&kept))
    }

    /// A tile enlarged, or the part of that which counts.
    async fn enlarged(&self, tile: &Planes, part: Option<&Part>) -> Result<Planes> {
        let restorer = self.ready().await?;
        let output = restorer.enlarge(tile).await?;
        restorer.read(output, part).await
    }
}

impl RecurrentExecutor for GpuExecutor {
    async fn run_after(&self, tile: &Planes, previous: &Planes) -> Result<Planes> {
        let restorer = self.ready().await?;
        let output = restorer.enlarge_after(tile, Some(previous)).await?;
        restorer.read(output, None).await
    }
}

impl Executor for GpuExecutor {
    fn scale(&self) -> usize {
        self.graph.output_scale(0).terms().0
    }

    fn halo(&self) -> usize {
        self.graph.reach().radius
    }

    fn grid(&self) -> usize {
        self.graph.alignment()
    }

    fn lanes(&self) -> usize {
        2
    }

    async fn run(&self, tile: &Planes, _place: Rect, _on_step: OnStep<'_>) -> Result<Planes> {
        self.enlarged(tile, None).await
    }

    async fn run_part(
        &self,
        tile: &Planes,
        _place: Rect,
        part: &Part,
        _on_step: OnStep<'_>,
    ) -> Result<Planes> {
        self.enlarged(tile, Some(part)).await
    }
}
