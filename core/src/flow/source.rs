use alloc::{format, string::String};

use serde::Serialize;

use crate::fields::{Fields, Misfit, Object};
use crate::resample::{Axis, linear, separable};
use crate::spectral::ColouredNoise;
use crate::{Error, Planes, Rect, Result, Size};

/// Where the flow starts: `x0 = m + sigma * n` with `n` coloured noise of variance 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum Source {
    /// `m = 0`: pure noise; the paper's setting with `sigma = 1` (arXiv 2605.23264; its code leaves the noise white).
    Noise {
        /// Deviation of the noise.
        sigma: f32,
    },
    /// `m` is the restorer's estimate of the posterior mean (PMRF, Ohayon et al. 2024).
    PosteriorMean {
        /// Deviation of the noise; 0.05 to 0.3 is usual.
        sigma: f32,
    },
    /// As [`Self::PosteriorMean`], with a deviation that is a pixel's own: the posterior is wide where the input has detail and narrow
    /// where it is smooth, so that noise of one deviation is grain in a blurred background and too little in foliage.
    ///
    /// `sigma(x) = slope * a(x)`, held to `least..=sigma`. `a` is the root of the mean square gradient of the input about `x`: squared
    /// differences of neighbours, in both directions and averaged over the channels, under a Gaussian of deviation 1 input pixel,
    /// interpolated linearly between input pixels.
    LocalPosteriorMean {
        /// The largest deviation of the noise.
        sigma: f32,
        /// The smallest, more than 0.
        least: f32,
        /// Deviation of the noise over the gradient's, more than 0.
        slope: f32,
    },
}

impl Object for Source {
    fn take(fields: &mut Fields) -> core::result::Result<Self, Misfit> {
        let mode: String = fields.take("mode")?;
        let sigma = fields.take("sigma")?;
        match mode.as_str() {
            "noise" => Ok(Self::Noise { sigma }),
            "posterior_mean" => Ok(Self::PosteriorMean { sigma }),
            "local_posterior_mean" => Ok(Self::LocalPosteriorMean {
                sigma,
                least: fields.take("least")?,
                slope: fields.take("slope")?,
            }),
            _ => Err(Misfit::unknown(
                "mode",
                &mode,
                &["noise", "posterior_mean", "local_posterior_mean"],
            )),
        }
    }
}

/// Deviation of the Gaussian under which gradients are averaged, and pixels to either side that it reaches.
const WINDOW: f64 = 1.0;
const WINDOW_REACH: usize = 3;

impl Default for Source {
    fn default() -> Self {
        Self::PosteriorMean { sigma: 0.1 }
    }
}

impl Source {
    /// Input pixels around a pixel that its source depends on, beside those of the posterior mean: of the window, of a difference and
    /// of the interpolation.
    pub const REACH: usize = WINDOW_REACH + 2;

    /// The deviation of the noise, the largest where it is local.
    pub fn sigma(&self) -> f32 {
        match self {
            Self::Noise { sigma }
            | Self::PosteriorMean { sigma }
            | Self::LocalPosteriorMean { sigma, .. } => *sigma,
        }
    }

    /// Whether the noise is around the posterior mean, and not all there is.
    pub fn around_mean(&self) -> bool {
        !matches!(self, Self::Noise { .. })
    }

    /// Refuses deviations that are not positive, not finite or in the wrong order.
    ///
    /// # Errors
    /// [`Error::Spectrum`].
    pub fn validate(&self) -> Result<()> {
        let (sigma, least, slope) = match *self {
            Self::Noise { sigma } | Self::PosteriorMean { sigma } => (sigma, sigma, 1.0),
            Self::LocalPosteriorMean { sigma, least, slope } => (sigma, least, slope),
        };
        let positive = |v: f32| v > 0.0 && v.is_finite();
        if positive(sigma) && positive(least) && positive(slope) && least <= sigma {
            return Ok(());
        }
        Err(Error::Spectrum(format!(
            "a source's noise of deviation {sigma}, at least {least}, and slope {slope} is not positive and in order"
        )))
    }

    /// The deviation of the noise for an input `low`, `[channels, h, w]`: `[1, h, w]`, or `[1, 1, 1]` where it is the same everywhere.
    /// Between input pixels it is [linear].
    pub fn deviation(&self, low: &Planes) -> Planes {
        let Self::LocalPosteriorMean { sigma, least, slope } = *self else {
            let mut one = Planes::zeros(1, 1, 1);
            one.data_mut().fill(self.sigma());
            return one;
        };
        let (w, h) = (low.width(), low.height());
        let mut energy = Planes::zeros(1, h, w);
        let share = 0.5 / low.channels() as f32;
        for c in 0..low.channels() {
            for y in 0..h {
                let (row, above, below) = (
                    low.row(c, y),
                    low.row(c, y.saturating_sub(1)),
                    low.row(c, (y + 1).min(h - 1)),
                );
                for (x, e) in energy.row_mut(0, y).iter_mut().enumerate() {
                    let here = row[x];
                    let around = [
                        row[x.saturating_sub(1)],
                        row[(x + 1).min(w - 1)],
                        above[x],
                        below[x],
                    ];
                    *e += share * around.iter().map(|v| (v - here) * (v - here)).sum::<f32>();
                }
            }
        }
        let axis = |n: usize| Axis::gaussian(n, WINDOW_REACH, WINDOW);
        let mut deviation = separable(&energy, &axis(w), &axis(h));
        for d in deviation.data_mut() {
            *d = (slope * libm::sqrtf(*d)).max(least).min(sigma);
        }
        deviation
    }

    /// Refuses a posterior mean of a size that does not fill a tile.
    ///
    /// # Errors
    /// [`Error::Size`].
    pub fn check(mean: Size, rect: Rect) -> Result<()> {
        if mean == rect.size() {
            return Ok(());
        }
        Err(Error::Size(format!(
            "a posterior mean of {mean} pixels does not fill a tile of {}",
            rect.size()
        )))
    }

    /// The source sample `x0` on the pixels of `rect`, `[3, height, width]`.
    ///
    /// `mean` is the restorer's output on the same pixels, of the input `low`; a source of pure noise takes only its size.
    ///
    /// # Errors
    /// [`Error::Size`] when `mean` is not the size of `rect` or smaller than `low`, or `rect` is outside the noise's image.
    pub fn sample(
        &self,
        (low, mean): (&Planes, &Planes),
        noise: &ColouredNoise,
        rect: Rect,
    ) -> Result<Planes> {
        Self::check(mean.size(), rect)?;
        if low.width() > mean.width() || low.height() > mean.height() {
            return Err(Error::Size(format!(
                "an input of {}x{} pixels is larger than its posterior mean of {}x{}",
                low.width(),
                low.height(),
                mean.width(),
                mean.height()
            )));
        }
        if (Self::Noise { sigma: 0.0 }) == *self {
            return Ok(Planes::zeros(mean.channels(), mean.height(), mean.width()));
        }
        let mut x0 = noise.tile(mean.channels(), rect)?;
        let deviation = linear(&self.deviation(low), mean.size());
        let pixels = deviation.data().len();
        for (x, m) in x0
            .data_mut()
            .chunks_exact_mut(pixels)
            .zip(mean.data().chunks_exact(pixels))
        {
            for ((x, m), d) in x.iter_mut().zip(m).zip(deviation.data()) {
                *x *= d;
                if self.around_mean() {
                    *x += m;
                }
            }
        }
        Ok(x0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::Spectrum;

    #[test]
    fn both_modes_are_their_formula() {
        let rect = Rect {
            x0: 2,
            y0: 1,
            x1: 7,
            y1: 5,
        };
        let noise = ColouredNoise::new(1, Size::new(9, 8), Spectrum::default()).expect("plans");
        let n = noise.tile(3, rect).expect("inside");
        let mean = Planes::new(3, 4, 5, alloc::vec![0.25; 60]).expect("sizes agree");
        let low = Planes::zeros(3, 2, 3);
        let pure = Source::Noise { sigma: 1.0 }
            .sample((&low, &mean), &noise, rect)
            .expect("fits");
        assert_eq!(pure, n);
        let around = Source::PosteriorMean { sigma: 0.5 }
            .sample((&low, &mean), &noise, rect)
            .expect("fits");
        for (x, n) in around.data().iter().zip(n.data()) {
            assert!((x - (0.25 + 0.5 * n)).abs() < 1e-7);
        }
        let other = Planes::zeros(3, 5, 5);
        assert!(matches!(
            Source::default().sample((&low, &other), &noise, rect),
            Err(Error::Size(_))
        ));
    }

    const LOCAL: Source = Source::LocalPosteriorMean {
        sigma: 0.1,
        least: 0.01,
        slope: 0.5,
    };

    /// Columns of 0 and then of `height`, so that only the two columns at the edge have gradients.
    fn edge(height: f32) -> Planes {
        let data = (0..3 * 9 * 20).map(|i| if i % 20 < 10 { 0.0 } else { height });
        Planes::new(3, 9, 20, data.collect()).expect("sizes agree")
    }

    #[test]
    fn the_local_deviation_is_that_of_the_gradient_within_its_range() {
        let deviation = LOCAL.deviation(&edge(0.08));
        // The closed form of a step: half its square at the two columns beside it, under the Gaussian.
        let gaussian = |k: i32| libm::exp(-0.5 * f64::from(k * k));
        let sum: f64 = (-3..=3).map(gaussian).sum();
        for y in 0..9 {
            for (x, d) in deviation.row(0, y).iter().enumerate() {
                let at = |edge: i32| {
                    let k = x as i32 - edge;
                    if k.abs() <= 3 { gaussian(k) / sum } else { 0.0 }
                };
                let energy = 0.5 * 0.08 * 0.08 * (at(9) + at(10));
                let want = (0.5 * libm::sqrt(energy)).clamp(0.01, 0.1);
                assert!((f64::from(*d) - want).abs() < 1e-6, "{x},{y}: {d} {want}");
            }
        }
        let strong = LOCAL.deviation(&edge(1.0));
        assert_eq!((strong.row(0, 4)[0], strong.row(0, 4)[10]), (0.01, 0.1));
    }

    #[test]
    fn a_local_source_has_its_deviation_everywhere() {
        let low = edge(1.0);
        let mean = Planes::zeros(3, 36, 80);
        let noise = ColouredNoise::new(1, Size::new(80, 36), Spectrum::default()).expect("plans");
        let whole = Rect::whole(80, 36);
        let (x0, n) = (
            LOCAL.sample((&low, &mean), &noise, whole).expect("fits"),
            noise.tile(3, whole).expect("inside"),
        );
        for c in 0..3 {
            for y in 0..36 {
                assert!((x0.row(c, y)[0] - 0.01 * n.row(c, y)[0]).abs() < 1e-7);
                assert!((x0.row(c, y)[41] - 0.1 * n.row(c, y)[41]).abs() < 1e-7);
            }
        }
    }

    /// A tile cut out with the stated reach around it has the whole image's deviation.
    #[test]
    fn a_tile_sees_no_further_than_the_reach() {
        let data =
            (0..3 * 40 * 50).map(|i| ((i * 7919) % 257) as f32 / 256.0 * if i % 50 < 25 { 0.1 } else { 1.0 });
        let low = Planes::new(3, 40, 50, data.collect()).expect("sizes agree");
        let enlarged = |image: &Planes| linear(&LOCAL.deviation(image), image.size().times(4));
        let whole = enlarged(&low);
        let tile = Rect {
            x0: 12,
            y0: 9,
            x1: 33,
            y1: 30,
        };
        let cut = enlarged(&low.crop(tile));
        for y in 4 * Source::REACH..cut.height() - 4 * Source::REACH {
            for x in 4 * Source::REACH..cut.width() - 4 * Source::REACH {
                let (got, want) = (cut.row(0, y)[x], whole.row(0, 4 * tile.y0 + y)[4 * tile.x0 + x]);
                assert!((got - want).abs() < 1e-6, "{x},{y}");
            }
        }
    }

    #[test]
    fn deviations_out_of_order_are_refused() {
        assert_eq!(LOCAL.validate(), Ok(()));
        for refused in [
            Source::PosteriorMean { sigma: 0.0 },
            Source::Noise { sigma: f32::NAN },
            Source::LocalPosteriorMean {
                sigma: 0.1,
                least: 0.2,
                slope: 1.0,
            },
            Source::LocalPosteriorMean {
                sigma: 0.1,
                least: 0.0,
                slope: 1.0,
            },
            Source::LocalPosteriorMean {
                sigma: 0.1,
                least: 0.1,
                slope: -1.0,
            },
        ] {
            assert!(
                matches!(refused.validate(), Err(Error::Spectrum(_))),
                "{refused:?}"
            );
        }
    }
}
