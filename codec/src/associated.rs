//! Associated alpha: colours that a file holds multiplied by alpha.

use crate::{Picture, Samples};

impl Picture {
    /// With colours as they were before they were multiplied by alpha.
    pub(crate) fn unassociated(mut self) -> Self {
        let n = self.layout().samples();
        if self.layout().has_alpha() {
            match &mut self.raster.samples {
                Samples::Eight(s) => divide(s, n, 255),
                Samples::Sixteen(s) => divide(s, n, 65535),
            }
        }
        self
    }
}

fn divide<T: Copy + Into<u32> + TryFrom<u32>>(samples: &mut [T], n: usize, full: u32) {
    for pixel in samples.chunks_exact_mut(n) {
        let alpha = pixel[n - 1].into();
        if alpha > 0 && alpha < full {
            for sample in &mut pixel[..n - 1] {
                let value = ((*sample).into() * full + alpha / 2) / alpha;
                if let Ok(value) = T::try_from(value.min(full)) {
                    *sample = value;
                }
            }
        }
    }
}
