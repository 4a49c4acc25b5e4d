//! The one way from pixels to pixels: the page, the component, the program and the measurements call [`enlarge`], and nothing else
//! enlarges.
//!
//! | file | what |
//! |---|---|
//! | `options` | what is asked for: the size of the result, tiles, measurements |
//! | `tiles` | an [`Executor`] on every tile, put together and held to the photo (`hold`) |
//! | `passes` | one pass of a network over an image, and what the first leaves for a second |
//! | `output` | finished rows: to the size asked for, past the meters |
//! | `blend` | two outputs that are there already, at another fidelity |
//!
//! A [`Photo`] and [`Options`] go in. What happens is told as [`Event`]s: rows of the [`Output`]s, and progress. What is
//! known at the end is a [`Report`].

mod blend;
mod options;
mod output;
mod passes;
mod tiles;

use alloc::vec::Vec;
use core::cell::RefCell;

use self::output::Rows;
use self::passes::{Kept, Pass};
pub use blend::{Blend, fidelity};
pub use options::{Limits, Options, OutputScale, Passes, Target, Tiles, reach};
pub use tiles::{Beside, Executor, Invention, OnStep, Progress};

use crate::{Error, Planes, Rect, Result, Size};

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
/// function's. Of one pass neither the photo's planes nor the result are ever held whole.
///
/// What is asked for beyond the executor's scale takes a second pass: `again` enlarges what the first made, and the mean beside it, for
/// itself. So that it invents nothing it is the restorer, whatever drew the first. What the first made is held in memory, 16 bits a sample.
///
/// # Errors
/// Those of [`Options::passes`]; [`Error::TooWide`]; those of the executors and of `on_event`.
pub async fn enlarge<E: Executor, A: Executor>(
    executor: &E,
    again: &A,
    photo: &impl Photo,
    options: &Options,
    on_event: impl FnMut(Event<'_>) -> Result<()>,
) -> Result<Report> {
    let given = photo.size();
    let way = options.passes(given, executor.scale())?;
    let mean = executor.beside().mean;
    let planes = 3 + usize::from(photo.has_alpha());
    let on_event = RefCell::new(on_event);
    let tell = |event: Event<'_>| on_event.borrow_mut()(event);
    let first = Pass::new(executor, (given, planes), way.first, options)?;
    let made = given.times(way.first.get());
    let (mut image, mut mean) = {
        let rows = |made, measured| Rows::new(photo, made, way.size, measured);
        let last = made.times(way.second.map_or(1, OutputScale::get));
        let mean = mean.then(|| rows(last, false)).transpose()?;
        (rows(last, options.consistency)?, mean)
    };
    let Some(second) = way.second else {
        let all = first.tiles;
        tell(Event::Begun { tiles: all })?;
        let invented = first
            .run(photo, &tell, (0, all), |output, row, rows| match output {
                Output::Image => image.add(output, row, rows, &tell),
                Output::Mean => mean
                    .as_mut()
                    .map_or(Ok(()), |mean| mean.add(output, row, rows, &tell)),
            })
            .await?;
        mean.map(Rows::finish).transpose()?;
        return Ok(Report {
            size: way.size,
            consistency: image.finish()?,
            invented,
        });
    };
    if again.beside() != Beside::default() {
        return Err(Error::Size("a second pass tells nothing beside its image".into()));
    }
    let second = Pass::new(again, (made, planes), second, options)?;
    let images = 1 + usize::from(mean.is_some());
    let all = first.tiles + second.tiles * images;
    tell(Event::Begun { tiles: all })?;
    let kept = || Kept::new((given, made), photo.has_alpha(), images, options);
    let (mut kept, mut kept_mean) = (kept()?, mean.as_ref().map(|_| kept()).transpose()?);
    let invented = first
        .run(photo, &tell, (0, all), |output, _, rows| {
            match (output, &mut kept_mean) {
                (Output::Image, _) => kept.add(rows),
                (Output::Mean, Some(kept)) => kept.add(rows),
                (Output::Mean, None) => {}
            }
            Ok(())
        })
        .await?;
    let mut done = first.tiles;
    let put = |_, row, rows: &Planes| image.add(Output::Image, row, rows, &tell);
    second.run(&kept.image()?, &tell, (done, all), put).await?;
    if let (Some(kept), Some(mut mean)) = (kept_mean, mean) {
        done += second.tiles;
        let put = |_, row, rows: &Planes| mean.add(Output::Mean, row, rows, &tell);
        second.run(&kept.image()?, &tell, (done, all), put).await?;
        mean.finish()?;
    }
    Ok(Report {
        size: way.size,
        consistency: image.finish()?,
        invented,
    })
}

/// The whole result of a photo at once, for measurements: three colours and, where the photo has one, alpha.
///
/// # Errors
/// As [`enlarge`], and [`Error::Scale`] for what takes more than one pass.
pub async fn whole(executor: &impl Executor, photo: &impl Photo, options: &Options) -> Result<Planes> {
    let way = options.passes(photo.size(), executor.scale())?;
    if let Some(second) = way.second {
        let (scale, most) = (way.first.get() * second.get(), executor.scale());
        return Err(Error::Scale { scale, most });
    }
    let mut out = Planes::zeros(
        3 + usize::from(photo.has_alpha()),
        way.size.height,
        way.size.width,
    );
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
    enlarge(executor, executor, photo, options, on_event).await?;
    Ok(out)
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
        let size = options(target).passes(photo.size(), 4).expect("offered").size;
        let mut outputs = [(); 2].map(|()| Planes::zeros(photo.channels(), size.height, size.width));
        let (mut tiles, mut done, mut rows_told) = (0, 0, [0; 2]);
        let report = pollster::block_on(enlarge(
            &Teller(beside),
            &Teller(Beside::default()),
            photo,
            &options(target),
            |event| {
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
            },
        ))
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

    /// The second pass makes of each output what it makes of that output alone, and adds to what was invented nothing.
    #[test]
    fn a_second_pass_enlarges_what_the_first_made() {
        let scale = |n| Target::Scale(OutputScale::new(n).expect("offered"));
        let beside = Beside {
            mean: true,
            invention: Some(Invention::Departure),
        };
        for channels in [3, 4] {
            let photo = photo(channels);
            let once = run(beside, &photo, scale(4));
            for target in [scale(8), scale(5), Target::Width(200)] {
                let twice = run(beside, &photo, target);
                assert_eq!(twice.2.invented, once.2.invented);
                let size = twice.2.size;
                for (kept, got) in [(&once.0, &twice.0), (&once.1, &twice.1)] {
                    let (alone, ..) = run(Beside::default(), kept, scale(2));
                    // Pixels of no alpha have any colour.
                    let seen = |image: &Planes| match channels {
                        4 => {
                            let (colours, alpha) = image.clone().split_channels(3);
                            let alpha = alpha.expect("is there");
                            let of = |(i, v): (usize, &f32)| v * alpha.data()[i % alpha.data().len()];
                            colours.data().iter().enumerate().map(of).collect()
                        }
                        _ => image.data().to_vec(),
                    };
                    let wanted = resample::bicubic(&alone, size);
                    let (wanted, got) = (seen(&wanted), seen(got));
                    let apart = wanted.iter().zip(&got).map(|(a, b)| (a - b).abs());
                    let mean = apart.clone().sum::<f32>() / got.len() as f32;
                    let most = apart.fold(0.0, f32::max);
                    // What is reduced with alpha is weighed by it.
                    let bound = if channels == 4 { 0.1 } else { 1e-3 };
                    assert!(
                        most < bound && mean < 1e-3,
                        "{channels} {target:?}: {most} {mean}"
                    );
                }
            }
        }
        let alone = Options::new(OutputScale::new(8).expect("offered"), 16);
        let refused = pollster::block_on(whole(&Teller(Beside::default()), &photo(3), &alone));
        assert_eq!(refused, Err(Error::Scale { scale: 8, most: 4 }));
    }

    #[test]
    fn an_error_of_the_caller_is_the_callers() {
        let photo = photo(3);
        let four = Options::new(OutputScale::new(4).expect("offered"), 16);
        let teller = Teller(Beside::default());
        for kind in 0..3 {
            let done = pollster::block_on(enlarge(&teller, &teller, &photo, &four, |event| {
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
