//! What enlarges frames.

use asasr_core::pipeline::{self, Event, Options, Output};
use asasr_core::{Layout, Raster};

use crate::error::Result;
use crate::executor::ExecutorMaker;
use crate::interrupt;

/// What enlarges the frames of stretches: in order, one at a time. One that looks back at earlier frames does so within a stretch, so
/// that stretches can be made apart.
pub(super) trait Enlarge {
    /// A stretch begins: what was remembered of another one is forgotten.
    fn begin(&mut self);

    /// A frame's result: RGB, of 16 bits the low byte first.
    ///
    /// # Errors
    /// Those of networks, and where the user wants to stop.
    fn enlarge(&mut self, frame: &Raster) -> Result<Vec<u8>>;
}

/// Every frame by itself, as photos are.
pub(super) struct Still {
    pub(super) maker: ExecutorMaker,
    pub(super) options: Options,
}

impl Enlarge for Still {
    fn begin(&mut self) {}

    fn enlarge(&mut self, frame: &Raster) -> Result<Vec<u8>> {
        let bits = frame.samples.bits();
        let [executor, again] = self.maker.for_image(frame.size)?;
        let mut out = Vec::new();
        let enlarged = pipeline::enlarge(executor, again, frame, &self.options, |event| match event {
            Event::Rows {
                output: Output::Image,
                rows,
                ..
            } => {
                (0..rows.height()).for_each(|y| Layout::Rgb.interleave(rows, y, bits, &mut out));
                Ok(())
            }
            Event::Progress(_) if interrupt::requested() => Err(asasr_core::Error::Cancelled),
            _ => Ok(()),
        });
        pollster::block_on(enlarged)?;
        if bits == 16 {
            out.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
        }
        Ok(out)
    }
}
