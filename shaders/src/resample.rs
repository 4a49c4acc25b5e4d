//! Filters along rows and then columns: reductions, and the colour anchor.

use asasr_core::Result;
use asasr_core::flow::ColourAnchor;
use asasr_core::resample::Axis;
use wgpu::Buffer;

use crate::executor::GpuImage;
use crate::gpu::{Gpu, Kernel, STORAGE, UNIFORM, WRITTEN};
use crate::kernels;

/// `Sizes` of `resample.wgsl`.
fn sizes(input: (usize, usize), output: (usize, usize), axis: &Axis) -> [u32; 8] {
    [input.0, input.1, output.0, output.1, axis.taps(), 0, 0, 0].map(|v| v as u32)
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
    pub(crate) async fn reduce(&self, gpu: &Gpu, image: &GpuImage, size: (usize, usize)) -> Result<GpuImage> {
        let axes = (
            Axis::bicubic(image.size.0, size.0),
            Axis::bicubic(image.size.1, size.1),
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
        let axes = (anchor.axis(sample.size.0), anchor.axis(sample.size.1));
        let from = [&*mean.buffer, &*sample.buffer];
        self.run(gpu, (from, sample.size), &axes, sample).await
    }

    /// Both passes, from an image and what is taken from it.
    async fn run(
        &self,
        gpu: &Gpu,
        (from, size): ([&Buffer; 2], (usize, usize)),
        (across, down): &(Axis, Axis),
        output: &GpuImage,
    ) -> Result<()> {
        let between = (output.size.0, size.1);
        let [narrow, row_sizes, column_sizes] = gpu
            .take([
                ((3 * between.0 * between.1 * 4) as u64, STORAGE),
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
