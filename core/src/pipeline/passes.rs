//! One pass of a network over an image, and what a first pass leaves for a second.

use alloc::vec::Vec;

use super::options::{Options, OutputScale, Tiles};
use super::tiles::{self, Asked, Beside, Executor, Progress};
use super::{Event, Invented, Output, Photo};
use crate::metrics::SpreadMeter;
use crate::{Error, Layout, Planes, Raster, Result, Samples, Size, TilePlan};

/// A network over an image.
pub(super) struct Pass<'a, E> {
    executor: &'a E,
    given: Size,
    /// Of the image: three colours, and alpha where there is one.
    planes: usize,
    scale: usize,
    side: usize,
    hold: bool,
    /// Tiles in all.
    pub(super) tiles: usize,
}

impl<'a, E: Executor> Pass<'a, E> {
    /// Over an image of that size and so many planes.
    pub(super) fn new(
        executor: &'a E,
        (given, planes): (Size, usize),
        scale: OutputScale,
        options: &Options,
    ) -> Result<Self> {
        let enlarged = planes + executor.beside().planes();
        let side = options.tiles.side(given, scale, enlarged, executor.halo())?;
        Ok(Self {
            executor,
            given,
            planes,
            scale: scale.get(),
            side,
            hold: options.hold,
            tiles: TilePlan::new(given, side, 0, 0)?.len(),
        })
    }

    /// Runs it; `put` is given the finished rows of each output, from the top, with the index of the first. Progress is told as the tiles
    /// after `before` of `all`.
    pub(super) async fn run(
        &self,
        photo: &impl Photo,
        tell: &impl Fn(Event<'_>) -> Result<()>,
        (before, all): (usize, usize),
        mut put: impl FnMut(Output, usize, &Planes) -> Result<()>,
    ) -> Result<Option<Invented>> {
        let (planes, beside) = (self.planes, self.executor.beside());
        let mut spread = beside
            .invention
            .map(|_| SpreadMeter::new(self.given, self.scale))
            .transpose()?;
        let write = |first: usize, strip: &Planes| -> Result<()> {
            if beside == Beside::default() {
                return put(Output::Image, first, strip);
            }
            let (sample, told) = strip.clone().split_channels(planes);
            put(Output::Image, first, &sample)?;
            let told = match told {
                Some(told) if beside.mean => {
                    let (colours, rest) = told.split_channels(3);
                    // The mean has the transparency of the sample.
                    let whole = match sample.split_channels(3).1 {
                        Some(alpha) => colours.with_channels(alpha),
                        None => colours,
                    };
                    put(Output::Mean, first, &whole)?;
                    rest
                }
                told => told,
            };
            match (&mut spread, told) {
                (Some(spread), Some(variance)) => spread.add(first, &seen(variance, strip, planes)),
                _ => Ok(()),
            }
        };
        // Progress is told from where no error can be returned: it is kept, and stops the work.
        let mut stopped = None;
        let progress = |p: Progress| {
            let told = tell(Event::Progress(Progress {
                done: before + p.done,
                total: all,
                fraction: (before as f64 + p.fraction * p.total as f64) / all as f64,
            }));
            told.map_err(|e| stopped = Some(e)).is_ok()
        };
        let asked = Asked {
            core: self.side,
            scale: self.scale,
            hold: self.hold,
        };
        let read = |rect| photo.planes(rect);
        let done = tiles::enlarge(self.executor, self.given, asked, read, write, progress).await;
        match (done, stopped) {
            (Err(Error::Cancelled), Some(why)) => return Err(why),
            (done, _) => done?,
        }
        Ok(match (beside.invention, spread) {
            (Some(by), Some(spread)) => {
                let (map, deviation) = spread.finish()?;
                Some(Invented { by, deviation, map })
            }
            _ => None,
        })
    }
}

/// Variances beside an image that has alpha as its fourth of `planes`: what is not seen is not invented.
fn seen(mut variance: Planes, strip: &Planes, planes: usize) -> Planes {
    if planes == 4 {
        let alpha = strip.plane(3).iter().map(|a| a.clamp(0.0, 1.0));
        let values = variance.data_mut().iter_mut();
        values.zip(alpha).for_each(|(v, a)| *v *= a * a);
    }
    variance
}

/// What a first pass made, for the second to read.
pub(super) struct Kept {
    size: Size,
    layout: Layout,
    samples: Vec<u16>,
}

impl Kept {
    /// Nothing yet of the second size, made of an image of the first.
    ///
    /// # Errors
    /// [`Error::TooWide`] where so many `images` take more memory than `options` leave.
    pub(super) fn new(
        (given, size): (Size, Size),
        alpha: bool,
        images: usize,
        options: &Options,
    ) -> Result<Self> {
        let layout = if alpha { Layout::Rgba } else { Layout::Rgb };
        let samples = size.pixels().saturating_mul(layout.samples());
        let memory = match options.tiles {
            Tiles::Side(_) => usize::MAX,
            Tiles::Quickest(limits) => limits.memory,
        };
        if samples.saturating_mul(images * size_of::<u16>()) > memory {
            return Err(Error::TooWide(given));
        }
        Ok(Self {
            size,
            layout,
            samples: Vec::with_capacity(samples),
        })
    }

    /// Takes the next rows.
    pub(super) fn add(&mut self, rows: &Planes) {
        for y in 0..rows.height() {
            for x in 0..rows.width() {
                let pixel = (0..rows.channels()).map(|c| rows.row(c, y)[x].clamp(0.0, 1.0));
                self.samples.extend(pixel.map(|v| (v * 65535.0 + 0.5) as u16));
            }
        }
    }

    /// The image.
    ///
    /// # Errors
    /// [`Error::Size`] when rows are missing.
    pub(super) fn image(self) -> Result<Raster> {
        let image = Raster {
            size: self.size,
            layout: self.layout,
            samples: Samples::Sixteen(self.samples),
        };
        if image.is_whole() {
            Ok(image)
        } else {
            Err(Error::Size("a first pass left rows out".into()))
        }
    }
}
