use alloc::{vec, vec::Vec};
use core::ops::Deref;

use super::{ColourAnchor, Sampling, Schedule, Source};
use crate::pipeline::{self, Invention};
use crate::spectral::{ColouredNoise, Laplacian, SobolevOperator, Spectrum};
use crate::{Beside, Error, Executor, OnStep, Part, Planes, Rect, Result, Size};

/// A restorer and a velocity field on some device.
#[expect(
    async_fn_in_trait,
    reason = "devices are used by static dispatch; browsers have no Send futures"
)]
pub trait FlowDevice {
    /// An image where the device has it.
    type Image;

    /// Enlargement factor.
    fn scale(&self) -> usize;

    /// Input pixels around a tile that a step of the flow depends on: the field's own, and before these the restorer's or, where they are
    /// more, [`Source::REACH`].
    fn halo(&self) -> usize;

    /// As [`Executor::grid`].
    fn grid(&self) -> usize;

    /// Whether its samples differ: where they do not, all are one.
    fn draws(&self) -> bool;

    /// The posterior mean `m(c)`, `[3, h * scale, w * scale]`, of `low`, `[3, h, w]`.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    async fn mean(&self, low: &Planes) -> Result<Self::Image>;

    /// The source sample `x0` of [`Source::sample`], given the low-quality image and its posterior mean, on the pixels of `place`.
    ///
    /// # Errors
    /// As [`Source::sample`]; [`Error::Device`] when the device fails.
    async fn source(
        &self,
        source: &Source,
        given: (&Planes, &Self::Image),
        noise: &ColouredNoise,
        place: Rect,
    ) -> Result<Self::Image>;

    /// Where the field, given the low-quality image and its posterior mean, leads `x0`, of the size of the latter, by Euler
    /// steps at the times of `schedule`; `on_step` is told of every step. At each of them the estimate of the end,
    /// `x + (1 - t) v`, is held to `[0, 1]`, as images are: on images unlike those it was trained on a field may otherwise
    /// lead away without bounds.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails; [`Error::Cancelled`] when `on_step` said so.
    async fn integrate(
        &self,
        given: (&Planes, &Self::Image),
        x0: Self::Image,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<Self::Image>;

    /// Anchors a sample to its posterior mean, as [`ColourAnchor::apply`] does.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    async fn anchor(
        &self,
        sample: Self::Image,
        mean: &Self::Image,
        anchor: ColourAnchor,
    ) -> Result<Self::Image>;

    /// Images that are worth drawing at a time, as [`Executor::lanes`].
    fn lanes(&self) -> usize {
        1
    }

    /// The values of an image, or what [`Part::cut`] makes of it.
    ///
    /// # Errors
    /// [`Error::Device`] when the device fails.
    async fn read(&self, image: Self::Image, part: Option<&Part>) -> Result<Planes>;
}

/// A device serves several images, one after the other or, where it can, at a time.
impl<P, D> FlowDevice for P
where
    P: Deref<Target = D>,
    D: FlowDevice,
{
    type Image = D::Image;

    fn scale(&self) -> usize {
        (**self).scale()
    }

    fn halo(&self) -> usize {
        (**self).halo()
    }

    fn grid(&self) -> usize {
        (**self).grid()
    }

    fn draws(&self) -> bool {
        (**self).draws()
    }

    async fn mean(&self, low: &Planes) -> Result<D::Image> {
        (**self).mean(low).await
    }

    async fn source(
        &self,
        source: &Source,
        given: (&Planes, &D::Image),
        noise: &ColouredNoise,
        place: Rect,
    ) -> Result<D::Image> {
        (**self).source(source, given, noise, place).await
    }

    async fn integrate(
        &self,
        given: (&Planes, &D::Image),
        x0: D::Image,
        schedule: &Schedule,
        on_step: OnStep<'_>,
    ) -> Result<D::Image> {
        (**self).integrate(given, x0, schedule, on_step).await
    }

    async fn anchor(&self, sample: D::Image, mean: &D::Image, anchor: ColourAnchor) -> Result<D::Image> {
        (**self).anchor(sample, mean, anchor).await
    }

    fn lanes(&self) -> usize {
        (**self).lanes()
    }

    async fn read(&self, image: D::Image, part: Option<&Part>) -> Result<Planes> {
        (**self).read(image, part).await
    }
}

/// How an image is drawn from a flow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Names the image among all that are likely.
    pub seed: u64,
    /// Equal Euler steps, 1 to 1000.
    pub steps: usize,
    /// From the full sample, 0, to the posterior mean, 1: `(1 - fidelity) x1 + fidelity m`, of values within `[0, 1]` as files hold
    /// them.
    pub fidelity: f32,
    /// Whether the posterior mean is given beside the image.
    pub mean: bool,
    /// Samples whose [`spread`] is given beside the image; fewer than 2 give none. The first is the image's own. Of a device whose samples
    /// are one its [`departure`] is given.
    pub samples: usize,
}

impl Drawing {
    /// The full sample of `seed` in `steps` steps, and nothing beside it.
    pub fn new(seed: u64, steps: usize) -> Self {
        Self {
            seed,
            steps,
            fidelity: 0.0,
            mean: false,
            samples: 1,
        }
    }
}

/// Most samples whose spread can be asked for.
const MOST_SAMPLES: usize = 64;

/// Draws an image from a flow, tile by tile: the posterior mean and the image's coloured noise make the source, the
/// velocity field leads it to an image, to which the [`ColourAnchor`] of the flow, if any, gives the mean's colours.
///
/// The noise is the whole image's, so neighbouring tiles start alike; they differ only by what several steps could see
/// beyond the halo of one.
///
/// Beside the image, as further planes of a result: the posterior mean (3 planes) where it is asked for, then the
/// [`spread`] of the samples (1 plane), before they are anchored, where there are several, or the [`departure`] of the only one.
#[derive(Debug)]
pub struct Sampler<D> {
    device: D,
    source: Source,
    s: f64,
    anchor: Option<ColourAnchor>,
    drawing: Drawing,
    schedule: Schedule,
    /// One for each sample.
    noises: Vec<ColouredNoise>,
}

impl<D: FlowDevice> Sampler<D> {
    /// A sampler for one image, of a size in input pixels.
    ///
    /// # Errors
    /// [`Error::Size`] for an image without pixels, [`Error::Schedule`] for a number of steps or samples or a fidelity out of
    /// range, [`Error::Spectrum`] for the flow's order, source or anchor.
    pub fn new(device: D, flow: impl Into<Sampling>, drawing: Drawing, image: Size) -> Result<Self> {
        let flow = flow.into();
        if !(0.0..=1.0).contains(&drawing.fidelity) || drawing.samples > MOST_SAMPLES {
            return Err(Error::Schedule(alloc::format!(
                "a fidelity of {} is not within 0 to 1, or {} samples are more than {MOST_SAMPLES}",
                drawing.fidelity,
                drawing.samples
            )));
        }
        flow.source.validate()?;
        let r = device.scale();
        // Tiles at the edge may reach beyond the image, as far as the grid does.
        let seen = image.on_grid(device.grid());
        let noise = |i: u64| {
            // The golden ratio's multiples keep the samples' seeds apart from their neighbours'.
            let seed = drawing.seed ^ i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            ColouredNoise::new(seed, seen.times(r), Spectrum::sobolev(flow.s)?)
        };
        Ok(Self {
            schedule: Schedule::uniform(drawing.steps)?,
            noises: (0..if device.draws() { drawing.samples.max(1) } else { 1 } as u64)
                .map(noise)
                .collect::<Result<_>>()?,
            device,
            source: flow.source,
            s: flow.s,
            anchor: match flow.colour_anchor.map(ColourAnchor::new).transpose()? {
                Some(anchor) if drawing.steps < flow.steps => Some(anchor.of_fewer_steps()),
                anchor => anchor,
            },
            drawing,
        })
    }
}

impl<D: FlowDevice> Executor for Sampler<D> {
    fn scale(&self) -> usize {
        self.device.scale()
    }

    fn halo(&self) -> usize {
        let anchor = self.anchor.map_or(0, ColourAnchor::reach);
        self.device.halo() + anchor.div_ceil(self.device.scale())
    }

    fn grid(&self) -> usize {
        self.device.grid()
    }

    fn lanes(&self) -> usize {
        self.device.lanes()
    }

    fn beside(&self) -> Beside {
        Beside {
            mean: self.drawing.mean,
            invention: (self.drawing.samples > 1).then(|| {
                if self.device.draws() {
                    Invention::Spread
                } else {
                    Invention::Departure
                }
            }),
        }
    }

    async fn run(&self, tile: &Planes, place: Rect, on_step: OnStep<'_>) -> Result<Planes> {
        let mean = self.device.mean(tile).await?;
        let mut samples = Vec::with_capacity(self.noises.len());
        for i in 0..self.noises.len() {
            let sample = self.sample(i, (tile, &mean), place, on_step).await?;
            samples.push(self.device.read(sample, None).await?);
        }
        // Anchored samples agree at low frequencies, which says nothing of how sure these are.
        let mut invention = (samples.len() > 1)
            .then(|| spread(&samples, self.s))
            .transpose()?;
        let mut image = samples.swap_remove(0);
        let alone = self.drawing.samples > 1 && invention.is_none();
        if self.anchor.is_some() || self.drawing.fidelity != 0.0 || self.drawing.mean || alone {
            let mean = self.device.read(mean, None).await?;
            if let Some(anchor) = self.anchor {
                anchor.apply(&mut image, &mean);
            }
            if alone {
                invention = Some(departure(&image, &mean, self.s)?);
            }
            if self.drawing.fidelity != 0.0 {
                pipeline::fidelity(&mut image, &mean, self.drawing.fidelity);
            }
            if self.drawing.mean {
                image = image.with_channels(mean);
            }
        }
        Ok(match invention {
            Some(invention) => image.with_channels(invention),
            None => image,
        })
    }

    async fn run_part(&self, tile: &Planes, place: Rect, part: &Part, on_step: OnStep<'_>) -> Result<Planes> {
        if self.drawing.fidelity != 0.0 || self.drawing.samples > 1 {
            return Ok(part.cut(&self.run(tile, place, on_step).await?));
        }
        let mean = self.device.mean(tile).await?;
        let mut sample = self.sample(0, (tile, &mean), place, on_step).await?;
        if let Some(anchor) = self.anchor {
            sample = self.device.anchor(sample, &mean, anchor).await?;
        }
        let image = self.device.read(sample, Some(part)).await?;
        if self.drawing.mean {
            return Ok(image.with_channels(self.device.read(mean, Some(part)).await?));
        }
        Ok(image)
    }
}

impl<D: FlowDevice> Sampler<D> {
    /// The `i`-th sample, not anchored, where the device has it.
    async fn sample(
        &self,
        i: usize,
        (tile, mean): (&Planes, &D::Image),
        place: Rect,
        on_step: OnStep<'_>,
    ) -> Result<D::Image> {
        let place = place.scaled(self.device.scale());
        let (before, total) = (
            i * self.schedule.steps(),
            self.noises.len() * self.schedule.steps(),
        );
        // What reads no source sample begins with zeros, to be the same for every seed.
        let source = if self.device.draws() {
            self.source
        } else {
            Source::Noise { sigma: 0.0 }
        };
        let x0 = self
            .device
            .source(&source, (tile, mean), &self.noises[i], place)
            .await?;
        let told = &|done, _| on_step(before + done, total);
        self.device
            .integrate((tile, mean), x0, &self.schedule, told)
            .await
    }
}

/// Where samples of one image differ, in the geometry of `H^s`: `[1, h, w]` of variances.
///
/// Each sample's departure `d` from their mean is weighed by the root of the precision operator, `r = Sigma_s^{-1/2} d`, so that
/// the sum of `r^2` over the image is `||d||^2_{H^s}`. A pixel's value is `r^2` over the mean weight, averaged over the
/// channels and, as variances are, over one sample less than there are. For `s = 0` it is the ordinary variance.
///
/// # Errors
/// [`Error::Size`] for fewer than two samples or samples of several sizes; [`Error::Spectrum`] for an order out of range.
pub fn spread(samples: &[Planes], s: f64) -> Result<Planes> {
    let [first, _, ..] = samples else {
        return Err(Error::Size("the spread of fewer than two samples".into()));
    };
    let size = |p: &Planes| (p.channels(), p.height(), p.width());
    if samples.iter().any(|p| size(p) != size(first)) {
        return Err(Error::Size("the spread of samples of several sizes".into()));
    }
    let n = samples.len() as f32;
    let mut mean = vec![0.0; first.data().len()];
    for sample in samples {
        mean.iter_mut().zip(sample.data()).for_each(|(m, v)| *m += v / n);
    }
    let departures = samples.iter().map(|sample| {
        let pairs = sample.data().iter().zip(&mean);
        pairs.map(|(v, m)| v - m).collect()
    });
    squares(departures, first, s, f64::from(n - 1.0))
}

/// How far a sample departs from the posterior mean, in the geometry of [`spread`]: `[1, h, w]` of squares.
///
/// # Errors
/// [`Error::Size`] for images of two sizes; [`Error::Spectrum`] for an order out of range.
pub fn departure(sample: &Planes, mean: &Planes, s: f64) -> Result<Planes> {
    if sample.size() != mean.size() || sample.channels() != mean.channels() {
        return Err(Error::Size("a sample and a mean of two sizes".into()));
    }
    let pairs = sample.data().iter().zip(mean.data());
    let departure = pairs.map(|(v, m)| v - m).collect();
    squares([departure].into_iter(), sample, s, 1.0)
}

/// The sum of the squares of departures, each weighed by the root of the precision operator, over `n`, the mean weight and the channels.
fn squares(departures: impl Iterator<Item = Vec<f32>>, like: &Planes, s: f64, n: f64) -> Result<Planes> {
    let size = like.size();
    let operator = SobolevOperator::new(size, Spectrum::sobolev(s)?, Laplacian::default())?;
    let mut out = Planes::zeros(1, size.height, size.width);
    let share = 1.0 / (operator.mean_weight() * n * like.channels() as f64);
    for mut departure in departures {
        operator.apply(&mut departure, 0.5)?;
        for plane in departure.chunks_exact(size.pixels()) {
            for (o, r) in out.data_mut().iter_mut().zip(plane) {
                *o += (f64::from(*r) * f64::from(*r) * share) as f32;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Field, integrate};
    use crate::resample;
    use core::cell::{Cell, RefCell};
    use proptest::prelude::*;

    /// The mean is the bicubic image, the field a constant, so that `x1 = x0 + 0.5`.
    struct Lift {
        draws: bool,
    }

    const LIFT: Lift = Lift { draws: true };

    impl Field<Planes> for Lift {
        async fn velocity(&mut self, x: &Planes, _t: f64) -> Result<Planes> {
            let mut v = x.clone();
            v.data_mut().fill(0.5);
            Ok(v)
        }
    }

    impl FlowDevice for Lift {
        type Image = Planes;
        fn draws(&self) -> bool {
            self.draws
        }
        fn scale(&self) -> usize {
            2
        }
        fn halo(&self) -> usize {
            2
        }
        fn grid(&self) -> usize {
            1
        }
        async fn mean(&self, low: &Planes) -> Result<Planes> {
            Ok(resample::enlarge(low, 2))
        }
        async fn source(
            &self,
            source: &Source,
            given: (&Planes, &Planes),
            noise: &ColouredNoise,
            place: Rect,
        ) -> Result<Planes> {
            source.sample(given, noise, place)
        }
        async fn anchor(&self, mut x: Planes, mean: &Planes, anchor: ColourAnchor) -> Result<Planes> {
            anchor.apply(&mut x, mean);
            Ok(x)
        }
        async fn read(&self, image: Planes, part: Option<&Part>) -> Result<Planes> {
            Ok(part.map_or_else(|| image.clone(), |p| p.cut(&image)))
        }
        async fn integrate(
            &self,
            _given: (&Planes, &Planes),
            x0: Planes,
            schedule: &Schedule,
            on_step: OnStep<'_>,
        ) -> Result<Planes> {
            integrate(&mut Lift { draws: true }, x0, schedule, |s| {
                on_step(s.done, s.total)
            })
            .await
        }
    }

    fn flow(s: f64) -> Sampling {
        Sampling {
            source: Source::PosteriorMean { sigma: 0.1 },
            s,
            steps: 4,
            colour_anchor: None,
        }
    }

    fn run(drawing: Drawing, on_step: OnStep<'_>) -> Result<Planes> {
        let low = Planes::new(3, 5, 6, (0..90).map(|i| (i % 7) as f32 / 7.0).collect())?;
        let place = Rect::whole(6, 5);
        let sampler = Sampler::new(LIFT, flow(1.5), drawing, Size::new(6, 5))?;
        pollster::block_on(sampler.run(&low, place, on_step))
    }

    #[test]
    fn fidelity_leads_from_the_sample_to_the_mean() {
        let at = |fidelity| {
            let drawing = Drawing {
                fidelity,
                mean: true,
                ..Drawing::new(3, 4)
            };
            run(drawing, &|_, _| true).expect("runs")
        };
        let full = at(0.0);
        assert_eq!(full.channels(), 6);
        let (sample, mean) = full.split_channels(3);
        let mean = mean.expect("asked for");
        // The mean moved by 0.5, and noise of deviation 0.1 on it.
        let off: Vec<f32> = sample
            .data()
            .iter()
            .zip(mean.data())
            .map(|(x, m)| x - m - 0.5)
            .collect();
        assert!(off.iter().all(|v| v.abs() < 0.7) && off.iter().any(|v| v.abs() > 0.01));
        let half = at(0.25).split_channels(3).0;
        for ((h, x), m) in half.data().iter().zip(sample.data()).zip(mean.data()) {
            assert!((h - (0.75 * x.clamp(0.0, 1.0) + 0.25 * m.clamp(0.0, 1.0))).abs() < 1e-6);
        }
        let certain = at(1.0).split_channels(3).0;
        assert!(
            certain
                .data()
                .iter()
                .zip(mean.data())
                .all(|(a, m)| *a == m.clamp(0.0, 1.0))
        );
    }

    #[test]
    fn of_a_device_with_one_sample_the_departure_is_told() {
        let drawing = Drawing {
            samples: 4,
            ..Drawing::new(3, 1)
        };
        let sampling = Sampling::in_one_step(1.5, 2.0);
        let values = (0..90).map(|i| (i % 7) as f32 / 7.0).collect();
        let tile = Planes::new(3, 5, 6, values).expect("sizes agree");
        let sampler = Sampler::new(Lift { draws: false }, sampling, drawing, tile.size()).expect("fits");
        assert_eq!(sampler.beside().invention, Some(Invention::Departure));
        let place = Rect::whole(tile.width(), tile.height());
        let all = pollster::block_on(sampler.run(&tile, place, &|_, _| true)).expect("runs");
        let (image, told) = all.split_channels(3);
        let mean = resample::enlarge(&tile, 2);
        let expected = departure(&image, &mean, 1.5).expect("of one size");
        assert_eq!(told.expect("asked for").data(), expected.data());
        // Two samples spread by half the square of what is between them.
        let twice = spread(&[image, mean], 1.5).expect("of one size");
        for (one, half) in expected.data().iter().zip(twice.data()) {
            assert!((one - 2.0 * half).abs() < 1e-5 * one.max(1e-3), "{one} {half}");
        }
    }

    #[test]
    fn more_samples_change_the_image_in_nothing_and_tell_their_spread() {
        let one = run(Drawing::new(3, 2), &|_, _| true).expect("runs");
        let several = Drawing {
            samples: 3,
            ..Drawing::new(3, 2)
        };
        let steps = RefCell::new(Vec::new());
        let all = run(several, &|done, total| {
            steps.borrow_mut().push((done, total));
            true
        })
        .expect("runs");
        assert_eq!(steps.into_inner(), (1..=6).map(|i| (i, 6)).collect::<Vec<_>>());
        let (image, spread) = all.split_channels(3);
        assert_eq!(image, one);
        assert!(spread.expect("asked for").data().iter().all(|v| *v > 0.0));
    }

    #[test]
    fn samples_are_anchored_and_those_of_fewer_steps_more_widely() {
        let low = Planes::new(3, 5, 6, (0..90).map(|i| (i % 7) as f32 / 7.0).collect()).expect("sizes agree");
        let draw = |steps, anchor| {
            let flow = Sampling {
                colour_anchor: anchor,
                ..flow(1.5)
            };
            let sampler =
                Sampler::new(LIFT, flow, Drawing::new(3, steps), Size::new(6, 5)).expect("in range");
            let image = pollster::block_on(sampler.run(&low, Rect::whole(6, 5), &|_, _| true)).expect("runs");
            (image, sampler.halo())
        };
        // Three deviations of 1.5 are five output pixels and so three of the input; of 2.25, seven and four.
        for (steps, deviation, reach) in [(4, 1.5, 3), (3, 2.25, 4)] {
            let (mut plain, halo) = draw(steps, None);
            let (anchored, wider) = draw(steps, Some(1.5));
            assert_eq!(wider, halo + reach);
            ColourAnchor::new(deviation)
                .expect("in range")
                .apply(&mut plain, &resample::enlarge(&low, 2));
            assert_eq!(anchored, plain, "{steps} steps");
        }
        let flow = Sampling {
            colour_anchor: Some(0.1),
            ..flow(1.5)
        };
        let refused = Sampler::new(LIFT, flow, Drawing::new(0, 4), Size::new(6, 5));
        assert!(matches!(refused, Err(Error::Spectrum(_))));
    }

    #[test]
    fn a_step_can_be_the_last() {
        let left = Cell::new(3);
        let stopped = run(Drawing::new(0, 8), &|_, _| {
            left.set(left.get() - 1);
            left.get() > 0
        });
        assert_eq!(stopped, Err(Error::Cancelled));
        assert_eq!(left.get(), 0);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        for (fidelity, samples, steps) in [(1.5, 1, 4), (f32::NAN, 1, 4), (0.0, 65, 4), (0.0, 1, 0)] {
            let drawing = Drawing {
                fidelity,
                samples,
                ..Drawing::new(0, steps)
            };
            assert!(matches!(run(drawing, &|_, _| true), Err(Error::Schedule(_))));
        }
        assert!(departure(&Planes::zeros(1, 2, 2), &Planes::zeros(1, 2, 3), 0.0).is_err());
        assert!(spread(&[Planes::zeros(1, 2, 2)], 0.0).is_err());
        assert!(spread(&[Planes::zeros(1, 2, 2), Planes::zeros(1, 2, 3)], 0.0).is_err());
    }

    proptest! {
        /// The spread adds up to the norm, and is the plain variance for `s = 0`.
        #[test]
        fn the_spread_is_the_norm_of_the_departures(
            values in proptest::collection::vec(-1.0f32..1.0, 3 * 2 * 20),
            s in 0.0f64..2.0,
        ) {
            let samples: Vec<Planes> = values
                .chunks_exact(40)
                .map(|v| Planes::new(2, 4, 5, v.to_vec()).expect("sizes agree"))
                .collect();
            let map = spread(&samples, s).expect("of one size");
            let operator = SobolevOperator::new(Size::new(5, 4), Spectrum::sobolev(s).expect("in range"), Laplacian::default())
                .expect("plans");
            let mean: Vec<f32> = (0..40).map(|i| samples.iter().map(|p| p.data()[i]).sum::<f32>() / 3.0).collect();
            let mut expected = 0.0;
            for sample in &samples {
                let d: Vec<f64> = sample.data().iter().zip(&mean).map(|(v, m)| f64::from(v - m)).collect();
                expected += operator.norm_squared(&d).expect("fits") / (operator.mean_weight() * 2.0 * 2.0);
            }
            let sum: f64 = map.data().iter().map(|v| f64::from(*v)).sum();
            prop_assert!((sum - expected).abs() < 1e-4 * (1.0 + expected), "{sum} {expected}");

            let plain = spread(&samples, 0.0).expect("of one size");
            for i in 0..20 {
                let variance = |o: usize| samples.iter().map(|p| (p.data()[i + o] - mean[i + o]).powi(2)).sum::<f32>() / 2.0;
                prop_assert!((plain.data()[i] - f32::midpoint(variance(0), variance(20))).abs() < 1e-4);
            }
        }
    }
}
