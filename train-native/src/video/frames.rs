//! What enlarges frames.

use std::borrow::Cow;

use asasr_core::model::Role;
use asasr_core::pipeline::{self, Event, Options, Output, Photo as _};
use asasr_core::video::{self, Recurrence};
use asasr_core::{Error, Layout, Planes, Raster, Rect, Size, resample};

use super::decode::Lead;
use crate::cli::Mode;
use crate::error::Result;
use crate::executor::{AnyRecurrent, ExecutorMaker};
use crate::graphs::Graphs;
use crate::interrupt;

/// Frames by which the memory of a recurrent network is as good as it gets.
const LEAD: usize = 6;

/// How frames are enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Each by itself, in a mode for photos.
    Still(Mode),
    /// By a network that looks at its last result.
    Recurrent,
}

impl Way {
    /// The model's own for videos, unless a mode is asked for.
    pub(super) fn of(model: &Graphs, asked: Option<Mode>) -> Self {
        match asked {
            Some(mode) => Self::Still(mode),
            None if model.network(Role::Recurrent).is_some() => Self::Recurrent,
            None => Self::Still(model.default_mode()),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Still(mode) => mode.name(),
            Self::Recurrent => Role::Recurrent.name(),
        }
    }

    /// The hashes of the files that are used.
    pub(super) fn hash(self, model: &Graphs) -> Result<String> {
        match self {
            Self::Still(mode) => model.hash(mode),
            Self::Recurrent => Ok(model.manifest.network(Role::Recurrent)?.sha256.clone()),
        }
    }

    /// What stretches begin with, at so many frames, a fraction, a second.
    pub(super) fn lead(self, (frames, seconds): (i64, i64)) -> Lead {
        match self {
            Self::Still(_) => Lead::default(),
            Self::Recurrent => Lead {
                frames: LEAD,
                // Where the rate varies, frames may be twice as long.
                lasts: 2 * LEAD as i64 * 1_000_000 * seconds / frames.max(1),
            },
        }
    }
}

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
            Event::Progress(_) if interrupt::requested() => Err(Error::Cancelled),
            _ => Ok(()),
        });
        pollster::block_on(enlarged)?;
        Ok(packed(out, bits))
    }
}

/// Each with what the last one became.
pub(super) struct InOrder {
    pub(super) network: AnyRecurrent,
    pub(super) memory: Recurrence,
    /// Of results.
    pub(super) size: Size,
}

impl Enlarge for InOrder {
    fn begin(&mut self) {
        self.memory.forget();
    }

    fn enlarge(&mut self, frame: &Raster) -> Result<Vec<u8>> {
        if interrupt::requested() {
            return Err(Error::Cancelled.into());
        }
        let bits = frame.samples.bits();
        let planes = frame.planes(Rect::whole(frame.size.width, frame.size.height));
        let made = video::enlarge(&self.network, &mut self.memory, planes);
        let made = fitted(pollster::block_on(made)?, self.size);
        let mut out = Vec::with_capacity(self.size.pixels() * 3 * usize::from(bits / 8));
        (0..made.height()).for_each(|y| Layout::Rgb.interleave(&made, y, bits, &mut out));
        Ok(packed(out, bits))
    }
}

/// The result in another size.
fn fitted(made: &Planes, size: Size) -> Cow<'_, Planes> {
    if made.size() == size {
        return Cow::Borrowed(made);
    }
    let mut made = resample::bicubic(made, size);
    made.data_mut().iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    Cow::Owned(made)
}

/// Samples as encoders take them.
fn packed(mut samples: Vec<u8>, bits: u8) -> Vec<u8> {
    if bits == 16 {
        samples.chunks_exact_mut(2).for_each(|sample| sample.swap(0, 1));
    }
    samples
}
