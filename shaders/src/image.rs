use asasr_core::{Planes, Result, Size};

#[cfg(test)]
use crate::gpu::WRITTEN;
use crate::gpu::{COPIED, Gpu, READ};
use crate::pool::Pooled;

/// Planes on the device, `[3, height, width]` of single precision.
#[derive(Debug)]
pub(crate) struct GpuImage {
    pub(crate) buffer: Pooled,
    pub(crate) size: Size,
}

impl GpuImage {
    /// Room for an image.
    ///
    /// # Errors
    /// [`asasr_core::Error::Exhausted`] when the device has none.
    pub(crate) async fn new(gpu: &Gpu, size: Size) -> Result<Self> {
        let [buffer] = gpu.take([((3 * size.pixels() * 4) as u64, COPIED)]).await?;
        Ok(Self { buffer, size })
    }

    /// Bytes of its values.
    pub(crate) fn bytes(&self) -> u64 {
        (3 * self.size.pixels() * 4) as u64
    }

    /// An image from here.
    ///
    /// # Errors
    /// [`asasr_core::Error::Exhausted`] when the device has no room.
    #[cfg(test)]
    pub(crate) async fn upload(gpu: &Gpu, planes: &Planes) -> Result<Self> {
        let size = planes.size();
        let usage = WRITTEN | COPIED;
        let [buffer] = gpu.take([((planes.data().len() * 4) as u64, usage)]).await?;
        gpu.write(&buffer, planes.data());
        Ok(Self { buffer, size })
    }

    /// Its values.
    ///
    /// # Errors
    /// [`asasr_core::Error::Device`] when the device fails.
    pub(crate) async fn read(self, gpu: &Gpu) -> Result<Planes> {
        let (count, size) = (3 * self.size.pixels(), self.size);
        let bytes = (count * 4) as u64;
        let [readback] = gpu.take([(bytes, READ)]).await?;
        let copied = gpu.submit(
            |_| {},
            |encoder| encoder.copy_buffer_to_buffer(&self.buffer, 0, &readback, 0, bytes),
        );
        let values = gpu.read(readback, count, copied).await?;
        Planes::new(3, size.height, size.width, values)
    }
}
