//! Coloured noise on the device: white noise is made where it is needed, transformed, weighed and transformed back.
//!
//! `n = C^T (w^{-1/2} * (C eps))` with the orthonormal cosine basis `C` in both directions, block by block as
//! [`ColouredNoise`] cuts them: four products of matrices for a block.

use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

use asasr_core::flow::Source;
use asasr_core::spectral::{ColouredNoise, NoiseBlock, Spectrum};
use asasr_core::{Planes, Rect, Result, Size};
use wgpu::Buffer;

use crate::gpu::{Gpu, Kernel, STORAGE, UNIFORM, WRITTEN};
use crate::image::GpuImage;
use crate::kernels;

/// Sizes of blocks that are remembered: an image has up to nine, inner ones and those at its edges.
const SIZES: usize = 9;
/// Planes of a block: one for each colour.
const PLANES: usize = 3;

/// An operand of a product: steps from row to row and from column to column, and from plane to plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand {
    pub(crate) step: (usize, usize),
    pub(crate) plane: usize,
}

/// `Shape` of `transform.wgsl`.
pub(crate) fn shape(
    (rows, columns, inner): (usize, usize, usize),
    left: Operand,
    right: Operand,
) -> [u32; 10] {
    [
        rows,
        columns,
        inner,
        left.plane,
        right.plane,
        0,
        left.step.0,
        left.step.1,
        right.step.0,
        right.step.1,
    ]
    .map(|v| v as u32)
}

/// The orthonormal cosine basis of `n` values, a row for each frequency.
pub(crate) fn basis(n: usize) -> Vec<f32> {
    let row = |k: usize| {
        let share: f64 = if k == 0 { 1.0 } else { 2.0 };
        let norm = (share / n as f64).sqrt();
        // The angle's multiples of a whole turn are taken off first: large ones would lose digits.
        (0..n)
            .map(move |x| (norm * (PI * ((k * (2 * x + 1)) % (4 * n)) as f64 / (2 * n) as f64).cos()) as f32)
    };
    (0..n).flat_map(row).collect()
}

/// Blocks of a size.
#[derive(Debug)]
struct Blocks {
    size: Size,
    columns: Buffer,
    rows: Buffer,
    weights: Buffer,
    /// Of the four products.
    shapes: [Buffer; 4],
}

impl Blocks {
    fn new(gpu: &Gpu, noise: &ColouredNoise, of: Size) -> Result<Self> {
        let operator = noise.operator(of)?;
        let Size { width, height } = of;
        let weights: Vec<f32> = (0..height)
            .flat_map(|k| (0..width).map(move |l| (k, l)))
            .map(|(k, l)| operator.weight(k, l).powf(-0.5) as f32)
            .collect();
        let plane = |stride| Operand {
            step: (stride, 1),
            plane: height * width,
        };
        let shared = |step| Operand { step, plane: 0 };
        let size = |inner| (height, width, inner);
        let shapes = [
            shape(size(width), plane(width), shared((1, width))),
            shape(size(height), shared((height, 1)), plane(width)),
            shape(size(height), shared((1, height)), plane(width)),
            shape(size(width), plane(width), shared((width, 1))),
        ];
        Ok(Self {
            size: of,
            columns: gpu.upload("columns", &basis(height)),
            rows: gpu.upload("rows", &basis(width)),
            weights: gpu.upload("spectral weights", &weights),
            shapes: shapes.map(|s| gpu.uniform("shape", &s)),
        })
    }
}

/// The kernels, and what they know of blocks of the sizes that came up.
#[derive(Debug)]
pub(crate) struct NoiseMaker {
    white: Kernel,
    transform: Kernel,
    weighted: Kernel,
    source: Kernel,
    known: Mutex<(Option<Spectrum>, Vec<Arc<Blocks>>)>,
}

impl NoiseMaker {
    pub(crate) fn new(gpu: &Gpu) -> Self {
        Self {
            white: kernels::white_noise(gpu),
            transform: kernels::transform(gpu, false),
            weighted: kernels::transform(gpu, true),
            source: kernels::source(gpu),
            known: Mutex::default(),
        }
    }

    fn blocks(&self, gpu: &Gpu, noise: &ColouredNoise, size: Size) -> Result<Arc<Blocks>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0.as_ref() != Some(noise.spectrum()) {
            *known = (Some(*noise.spectrum()), Vec::new());
        }
        if let Some(found) = known.1.iter().find(|b| b.size == size) {
            return Ok(Arc::clone(found));
        }
        let made = Arc::new(Blocks::new(gpu, noise, size)?);
        if known.1.len() == SIZES {
            known.1.remove(0);
        }
        known.1.push(Arc::clone(&made));
        Ok(made)
    }

    /// The source sample on the pixels of `place`, as [`Source::sample`] makes it.
    ///
    /// # Errors
    /// [`asasr_core::Error::Exhausted`] when the device has no room.
    pub(crate) async fn source(
        &self,
        gpu: &Gpu,
        source: &Source,
        (low, mean): (&Planes, &GpuImage),
        noise: &ColouredNoise,
        place: Rect,
    ) -> Result<GpuImage> {
        let state = GpuImage::new(gpu, mean.size).await?;
        let deviation = source.deviation(low);
        let coarse = deviation.size();
        let [spread] = gpu.take([((coarse.pixels() * 4) as u64, WRITTEN)]).await?;
        gpu.write(&spread, deviation.data());
        for block in noise.blocks(place) {
            let NoiseBlock { seen, .. } = block;
            let blocks = self.blocks(gpu, noise, seen.size())?;
            let bytes = (PLANES * seen.size().pixels() * 4) as u64;
            let [a, b, area, part] = gpu
                .take([(bytes, STORAGE), (bytes, STORAGE), (32, UNIFORM), (56, UNIFORM)])
                .await?;
            gpu.write(&area, &white_area(noise.seed(), seen));
            gpu.write(
                &part,
                &source_part(source.around_mean(), noise.gain(), &block, (place, coarse)),
            );
            let size = seen.size();
            let quads = Size::new((seen.x1 - 1) / 4 - seen.x0 / 4 + 1, size.height);
            gpu.submit(
                |pass| {
                    pass.dispatch(&self.white, &[&area, &a], quads);
                    let Blocks {
                        columns,
                        rows,
                        weights,
                        shapes,
                        ..
                    } = &*blocks;
                    let [s0, s1, s2, s3] = shapes;
                    // The kernel that weighs nothing binds the weights all the same.
                    pass.dispatch(&self.transform, &[s0, &a, rows, weights, &b], size);
                    pass.dispatch(&self.weighted, &[s1, columns, &b, weights, &a], size);
                    pass.dispatch(&self.transform, &[s2, columns, &a, weights, &b], size);
                    pass.dispatch(&self.transform, &[s3, &b, rows, weights, &a], size);
                    pass.dispatch(
                        &self.source,
                        &[&part, &a, &mean.buffer, &spread, &state.buffer],
                        block.kept.size(),
                    );
                },
                |_| {},
            );
        }
        Ok(state)
    }
}

/// `Area` of `white_noise.wgsl`.
pub(crate) fn white_area(seed: u64, rect: Rect) -> [u32; 8] {
    [
        rect.x0 as u32,
        rect.y0 as u32,
        rect.width() as u32,
        rect.height() as u32,
        seed as u32,
        (seed >> 32) as u32,
        0,
        0,
    ]
}

/// `Part` of `source.wgsl`.
fn source_part(around_mean: bool, gain: f64, block: &NoiseBlock, (place, coarse): (Rect, Size)) -> [u32; 14] {
    let NoiseBlock { seen, kept } = block;
    let mean = f32::from(u8::from(around_mean));
    [
        (kept.x0 - place.x0) as u32,
        (kept.y0 - place.y0) as u32,
        kept.width() as u32,
        kept.height() as u32,
        (kept.x0 - seen.x0) as u32,
        (kept.y0 - seen.y0) as u32,
        seen.width() as u32,
        seen.height() as u32,
        place.width() as u32,
        place.height() as u32,
        (gain as f32).to_bits(),
        mean.to_bits(),
        coarse.width as u32,
        coarse.height as u32,
    ]
}
