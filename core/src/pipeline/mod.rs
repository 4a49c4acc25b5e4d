//! The one way from pixels to pixels: the page, the component, the program and the measurements call [`enlarge`], and nothing else
//! enlarges.
//!
//! | file | what |
//! |---|---|
//! | `options` | what is asked for: the size of the result, tiles, measurements |
//! | `tiles` | an [`Executor`] on every tile, put together and held to the photo (`hold`) |
//! | `output` | finished rows: to the size asked for, past the meters |
//! | `blend` | two outputs that are there already, at another fidelity |
//!
//! A [`Photo`] and [`Options`] go in. What happens is told as [`Event`]s: rows of the [`Output`]s, and progress. What is
//! known at the end is a [`Report`].

mod blend;
mod options;
mod output;
mod tiles;

use alloc::vec::Vec;
use core::cell::RefCell;

use self::output::Rows;
use self::tiles::Asked;
pub use blend::{Blend, fidelity};
pub use options::{Limits, Options, OutputScale, Target, Tiles};
pub use tiles::{Beside, Executor, Invention, OnStep, Progress};

use crate::metrics::SpreadMeter;
use crate::{Error, Planes, Rect, Result, Size, TilePlan};

/// An image to be enlarged, read where it lies.
pub trait Photo {
    /// Columns and rows.
    fn size(&self) -> Size;

    /// Whether a fourth plane, alpha, follows the colours.
    fn has_alpha(&self) -> bool;

    /// The pixels of `rect`: red, green and blue (grey three times) and, where there is one, alpha; in `[0, 1]`.
    ///
    /// # Panics
    /// When `rect` reaches outside the image.
    fn planes(&self, rect: Rect) -> Planes;
}

/// Three colours, and alpha as a fourth plane.
impl Photo for Planes {
    fn size(&self) -> Size {
        Size::new(self.width(), self.height())
    }

    fn has_alpha(&self) -> bool {
        self.channels() > 3
    }

    fn planes(&self, rect: Rect) -> Planes {
        self.crop(rect)
    }
}

/// An image that is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// The result.
    Image,
    /// The posterior mean, where the executor tells it ([`Beside::mean`]), with the alpha of the result.
    Mean,
}

/// What happens while an image is enlarged.
#[derive(Debug)]
pub enum Event<'a> {
    /// The work begins.
    Begun {
        /// Tiles in all.
        tiles: usize,
    },
    /// The next finished rows of an output, from the top: three colours and, where the photo has one, alpha, in `[0, 1]`.
    Rows {
        /// Of which output.
        output: Output,
        /// The index of the first of them.
        first: usize,
        /// `[3 or 4, rows, width]`.
        rows: &'a Planes,
    },
    /// A tile, or a step of one, is done.
    Progress(Progress),
}

/// How far a result, reduced again, is from the photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Consistency {
    /// PSNR in dB; infinite where nothing differs.
    pub psnr: f64,
    /// For each input pixel, row by row, the largest difference over the channels, in grey levels.
    pub differences: Vec<u8>,
}

/// How much of an image is invented, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct Invented {
    /// How it was measured.
    pub by: Invention,
    /// The deviation over the whole image, in grey levels.
    pub deviation: f64,
    /// For each input pixel, row by row, the deviation of the samples, or of the only one from the mean, weighed in the `H^s` norm, in
    /// grey levels.
    pub map: Vec<f32>,
}

/// What is known of a finished result.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Columns and rows of every output.
    pub size: Size,
    /// Where [`Options::consistency`] asked for it.
    pub consistency: Option<Consistency>,
    /// Where the executor tells it ([`Beside::invention`]).
    pub invented: Option<Invented>,
}

/// Enlarges a photo, tile by tile; `on_event` is told of all that happens, and stops the work by an error, which is then this
/// function's. Neither the photo's planes nor the result are ever held whole.
///
/// # Errors
/// Those of [`Options::sizes`]; [`Error::TooWide`]; those of the executor and of `on_event`.
pub async fn enlarge<E: Executor>(
    executor: &E,
    photo: &impl Photo,
    options: &Options,
    on_event: impl FnMut(Event<'_>) -> Result<()>,
) -> Result<Report> {
    let given = photo.size();
    let (scale, size) = options.sizes(given, executor.scale())?;
    let beside = executor.beside();
    let planes = 3 + usize::from(photo.has_alpha());
    let side = options
        .tiles
        .side(given, scale, planes + beside.planes(), executor.halo())?;
    let on_event = RefCell::new(on_event);
    let tell = |event: Event<'_>| on_event.borrow_mut()(event);
    tell(Event::Begun {
        tiles: TilePlan::new(given, side, 0, 0)?.len(),
    })?;
    let made = given.times(scale.get());
    let mut image = Rows::new(photo, made, size, options.consistency)?;
    let mut mean = beside
        .mean
        .then(|| Rows::new(photo, made, size, false))
        .transpose()?;
    let mut spread = beside
        .invention
        .map(|_| SpreadMeter::new(given, scale.get()))
        .transpose()?;
    let write = |first: usize, strip: &Planes| -> Result<()> {
        if beside == Beside::default() {
            return image.add(Output::Image, first, strip, &tell);
        }
        let (sample, told) = strip.clone().split_channels(planes);
        image.add(Output::Image, first, &sample, &tell)?;
        let told = match (&mut mean, told) {
            (Some(mean), Some(told)) => {
                let (colours, rest) = told.split_channels(3);
                // The mean has the transparency of the sample.
                let whole = match sample.split_channels(3).1 {
                    Some(alpha) => colours.with_channels(alpha),
                    None => colours,
                };
                mean.add(Output::Mean, first, &whole, &tell)?;
                rest
            }
            (_, told) => told,
        };
        match (&mut spread, told) {
            (Some(spread), Some(variance)) => spread.add(first, &seen(variance, strip, planes)),
            _ => Ok(()),
        }
    };
    // Progress is told from where no error can be returned: it is kept, and stops the work.
    let mut stopped = None;
    let progress = |p: Progress| {
        let told = tell(Event::Progress(p));
        told.map_err(|e| stopped = Some(e)).is_ok()
    };
    let done = tiles::enlarge(
        executor,
        given,
        Asked {
            core: side,
            scale: scale.get(),
            hold: options.hold,
        },
        |rect| photo.planes(rect),
        write,
        progress,
    )
    .await;
    match (done, stopped) {
        (Err(Error::Cancelled), Some(why)) => return Err(why),
        (done, _) => done?,
    }
    if let Some(mean) = mean {
        mean.finish()?;
    }
    Ok(Report {
        size,
        consistency: image.finish()?,
        invented: match (beside.invention, spread) {
            (Some(by), Some(spread)) => {
                let (map, deviation) = spread.finish()?;
                Some(Invented { by, deviation, map })
            }
            _ => None,
        },
    })
}

/// The whole result of a photo at once, for measurements: three colours and, where the photo has one, alpha.
///
/// # Errors
/// As [`enlarge`].
pub async fn whole(executor: &impl Executor, photo: &impl Photo, options: &Options) -> Result<Planes> {
    let (_, size) = options.sizes(photo.size(), executor.scale())?;
    let mut out = Planes::zeros(3 + usize::from(photo.has_alpha()), size.height, size.width);
    let on_event = |event: Event<'_>| {
        if let Event::Rows {
            output: Output::Image,
            first,
            rows,
        } = event
        {
            out.put_rows(first, rows);
        }
        Ok(())
    };
    enlarge(executor, photo, options, on_event).await?;
    Ok(out)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics, resample};
    use alloc::vec;

    /// Tells its input, enlarged, as the mean of an image that is brighter, and a spread of a level.
    struct Teller(Beside);

    impl Executor for Teller {
        fn scale(&self) -> usize {
            4
        }

        fn halo(&self) -> usize {
            2
        }

        fn beside(&self) -> Beside {
            self.0
        }

        async fn run(&self, tile: &Planes, _: Rect, _: OnStep<'_>) -> Result<Planes> {
            let mean = resample::enlarge(tile, 4);
            let (w, h) = (mean.width(), mean.height());
            let mut image = mean.clone();
            image.data_mut().iter_mut().for_each(|v| *v += 0.002);
            if self.0.mean {
                image = image.with_channels(mean);
            }
            if self.0.invention.is_some() {
                image = image.with_channels(Planes::new(1, h, w, vec![(1.0 / 255.0f32).powi(2); w * h])?);
            }
            Ok(image)
        }
    }

    fn photo(channels: usize) -> Planes {
        let data = (0..channels * 30 * 41).map(|i| ((i % 41 + i / 41 % 30) * 3 % 97 + 60) as f32 / 255.0);
        let mut photo = Planes::new(channels, 30, 41, data.collect()).expect("sizes agree");
        metrics::quantise(&mut photo);
        photo
    }

    fn options(target: Target) -> Options {
        Options {
            target,
            longest: usize::MAX,
            tiles: Tiles::Side(16),
            hold: true,
            consistency: true,
        }
    }

    /// The outputs, whole, and the report.
    fn run(beside: Beside, photo: &Planes, target: Target) -> (Planes, Planes, Report) {
        let (_, size) = options(target).sizes(photo.size(), 4).expect("offered");
        let mut outputs = [(); 2].map(|()| Planes::zeros(photo.channels(), size.height, size.width));
        let (mut tiles, mut done, mut rows_told) = (0, 0, [0; 2]);
        let report = pollster::block_on(enlarge(&Teller(beside), photo, &options(target), |event| {
            match event {
                Event::Begun { tiles: all } => tiles = all,
                Event::Rows { output, first, rows } => {
                    let i = usize::from(output == Output::Mean);
                    assert_eq!(first, rows_told[i], "no row twice, none left out");
                    rows_told[i] += rows.height();
                    outputs[i].put_rows(first, rows);
                }
                Event::Progress(p) => {
                    assert_eq!(p.total, tiles);
                    done = p.done;
                }
            }
            Ok(())
        }))
        .expect("runs");
        assert_eq!((report.size, done), (size, tiles));
        assert_eq!(rows_told, [size.height, usize::from(beside.mean) * size.height]);
        let [image, mean] = outputs;
        (image, mean, report)
    }

    #[test]
    fn every_output_is_told_by_its_name() {
        let scale = Target::Scale(OutputScale::new(4).expect("offered"));
        for channels in [3, 4] {
            let photo = photo(channels);
            let alone = run(Beside::default(), &photo, scale);
            assert_eq!(alone.2.invented, None);
            for (mean, invention) in [
                (true, None),
                (false, Some(Invention::Spread)),
                (true, Some(Invention::Departure)),
            ] {
                let told = run(Beside { mean, invention }, &photo, scale);
                assert_eq!(told.0, alone.0, "the image is what it is alone");
                if mean && channels == 4 {
                    assert_eq!(told.1.plane(3), told.0.plane(3), "one transparency");
                }
                let Some(measured) = told.2.invented else {
                    assert_eq!(invention, None);
                    continue;
                };
                assert_eq!(Some(measured.by), invention);
                let level = photo.plane(if channels == 4 { 3 } else { 0 }).iter();
                for (got, alpha) in measured.map.iter().zip(level) {
                    let wanted = if channels == 4 { *alpha } else { 1.0 };
                    assert!((got - wanted).abs() < 0.15, "{got} {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_report_measures_the_rows_that_were_told() {
        for target in [
            Target::Scale(OutputScale::new(2).expect("offered")),
            Target::Width(100),
        ] {
            let photo = photo(3);
            let (mut image, _, report) = run(Beside::default(), &photo, target);
            let told = report.consistency.expect("asked for");
            assert_eq!(told.differences.len(), 41 * 30);
            metrics::quantise(&mut image);
            let mut small = resample::bicubic(&image, Size::new(41, 30));
            metrics::quantise(&mut small);
            let error: f64 = small
                .data()
                .iter()
                .zip(photo.data())
                .map(|(a, b)| f64::from(a - b) * f64::from(a - b))
                .sum();
            let psnr = -10.0 * libm::log10(error / (3 * 41 * 30) as f64);
            assert!((told.psnr - psnr).abs() < 0.01, "{} {psnr}", told.psnr);
        }
    }

    #[test]
    fn an_error_of_the_caller_is_the_callers() {
        let photo = photo(3);
        let four = Options::new(OutputScale::new(4).expect("offered"), 16);
        for kind in 0..3 {
            let done = pollster::block_on(enlarge(&Teller(Beside::default()), &photo, &four, |event| {
                let stops = match event {
                    Event::Begun { .. } => kind == 0,
                    Event::Rows { .. } => kind == 1,
                    Event::Progress(p) => kind == 2 && p.done == 2,
                };
                if stops {
                    Err(Error::Output("full".into()))
                } else {
                    Ok(())
                }
            }));
            assert_eq!(done, Err(Error::Output("full".into())), "{kind}");
        }
    }

    #[test]
    fn layers_are_blended_as_files_hold_them() {
        let photo = photo(4);
        let size = Size::new(82, 60);
        let sample = resample::bicubic(&photo, Size::new(82, 60));
        let mean = resample::bicubic(&resample::bicubic(&photo, Size::new(20, 15)), Size::new(82, 60));
        let mut blend = Blend::new(&photo, size, 0.25).expect("has pixels");
        let part = |image: &Planes, y0, y1| {
            image.crop(Rect {
                x0: 0,
                y0,
                x1: 82,
                y1,
            })
        };
        for (y0, y1) in [(0, 31), (31, 60)] {
            let rows = blend
                .add(y0, part(&sample, y0, y1), &part(&mean, y0, y1))
                .expect("next");
            let (x, m) = (sample.row(1, y0)[7], mean.row(1, y0)[7]);
            assert!((rows.row(1, 0)[7] - (0.75 * x + 0.25 * m)).abs() < 1e-6);
        }
        assert!(blend.finish().expect("complete").psnr > 20.0);
        let mut short = Blend::new(&photo, size, 0.5).expect("has pixels");
        assert!(short.add(0, part(&sample, 0, 2), &part(&mean, 0, 1)).is_err());
        assert!(short.finish().is_err(), "rows are missing");
        assert!(Blend::new(&photo, size, 1.5).is_err());
    }
}
