//! Filters along rows and then columns: reductions, and the colour anchor.

use asasr_core::flow::ColourAnchor;
use asasr_core::resample::Axis;
use asasr_core::{Result, Size};
use wgpu::Buffer;

use crate::gpu::{Gpu, Kernel, STORAGE, UNIFORM, WRITTEN};
use crate::image::GpuImage;
use crate::kernels;

/// `Sizes` of `resample.wgsl`.
fn sizes(input: Size, output: Size, axis: &Axis) -> [u32; 8] {
    let sides = [input.width, input.height, output.width, output.height];
    let [a, b, c, d] = sides.map(|n| n as u32);
    [a, b, c, d, axis.taps() as u32, 0, 0, 0]
}

/// An axis as `resample.wgsl` reads it.
fn axis_words(axis: &Axis) -> Vec<u32> {
    let (indices, weights) = (axis.indices(), axis.weights());
    let lines = indices.chunks(axis.taps()).zip(weights.chunks(axis.taps()));
    lines
        .flat_map(|(places, weights)| {
            let places = places.iter().map(|j| *j as u32);
            places.chain(weights.iter().map(|w| w.to_bits()))
        })
        .collect()
}

/// The kernels of both passes.
#[derive(Debug)]
pub(crate) struct Resampler {
    rows: Kernel,
    columns: Kernel,
}

impl Resampler {
    /// For [`Self::reduce`].
    pub(crate) fn reducing(gpu: &Gpu) -> Self {
        Self {
            rows: kernels::resample(gpu, false, false, false),
            columns: kernels::resample(gpu, true, false, false),
        }
    }

    /// For [`Self::anchor`].
    pub(crate) fn anchoring(gpu: &Gpu) -> Self {
        Self {
            rows: kernels::resample(gpu, false, true, false),
            columns: kernels::resample(gpu, true, false, true),
        }
    }

    /// What [`asasr_core::resample::bicubic`] makes of an image.
    ///
    /// # Errors
    /// [`asasr_core::Error::Exhausted`] when the device has no room.
    pub(crate) async fn reduce(&self, gpu: &Gpu, image: &GpuImage, size: Size) -> Result<GpuImage> {
        let axes = (
            Axis::bicubic(image.size.width, size.width),
            Axis::bicubic(image.size.height, size.height),
        );
        let output = GpuImage::new(gpu, size).await?;
        let from = [&*image.buffer, &*image.buffer];
        self.run(gpu, (from, image.size), &axes, &output).await?;
        Ok(output)
    }

    /// What [`ColourAnchor::apply`] does to a sample.
    ///
    /// # Errors
    /// [`asasr_core::Error::Exhausted`] when the device has no room.
    pub(crate) async fn anchor(
        &self,
        gpu: &Gpu,
        sample: &GpuImage,
        mean: &GpuImage,
        anchor: ColourAnchor,
    ) -> Result<()> {
        let axes = (anchor.axis(sample.size.width), anchor.axis(sample.size.height));
        let from = [&*mean.buffer, &*sample.buffer];
        self.run(gpu, (from, sample.size), &axes, sample).await
    }

    /// Both passes, from an image and what is taken from it.
    async fn run(
        &self,
        gpu: &Gpu,
        (from, size): ([&Buffer; 2], Size),
        (across, down): &(Axis, Axis),
        output: &GpuImage,
    ) -> Result<()> {
        let between = Size::new(output.size.width, size.height);
        let [narrow, row_sizes, column_sizes] = gpu
            .take([
                ((3 * between.pixels() * 4) as u64, STORAGE),
                (32, UNIFORM),
                (32, UNIFORM),
            ])
            .await?;
        let (row_axis, column_axis) = (axis_words(across), axis_words(down));
        let [rows, columns] = gpu
            .take([&row_axis, &column_axis].map(|words| ((words.len() * 4) as u64, WRITTEN)))
            .await?;
        gpu.write(&row_sizes, &sizes(size, between, across));
        gpu.write(&column_sizes, &sizes(between, output.size, down));
        gpu.write(&rows, &row_axis);
        gpu.write(&columns, &column_axis);
        gpu.submit(
            |pass| {
                let bound = [&*row_sizes, from[0], from[1], &*rows, &*narrow];
                pass.dispatch(&self.rows, &bound, between);
                let bound = [&column_sizes, &narrow, &narrow, &columns, &output.buffer];
                pass.dispatch(&self.columns, &bound.map(|b| &**b), output.size);
            },
            |_| {},
        );
        Ok(())
    }
}
