use alloc::format;

use crate::resample::{Axis, separable};
use crate::{Error, Planes, Result};

/// Deviations that are taken, in output pixels.
const DEVIATIONS: core::ops::RangeInclusive<f64> = 0.8..=16.0;

/// How many times as wide the anchor of fewer steps is, of 2.5, 2, 1.5 and 1, measured in four steps on validation images: the widest
/// that keeps `asasr-x4-real` at 45 dB of consistency.
const FEWER_STEPS: f64 = 1.5;

/// Gives a sample the low frequencies of the posterior mean, and so its colours: `x + G (m - x)` with a Gaussian filter `G`.
///
/// A sample is further from the truth than the mean: of an exact sampler the expected squared error is twice the mean's. That is
/// the price of detail at high frequencies, and hardly buys any at low ones. `G` mirrors what is beyond the borders, as the Neumann
/// boundary does, and is diagonal in the basis of cosines: a frequency of `f` cycles in a pixel is the mean's to about
/// `exp(-2 (pi f deviation)^2)`, to a half at `0.187 / deviation`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourAnchor {
    deviation: f64,
}

impl ColourAnchor {
    /// The anchor whose Gaussian has that deviation in output pixels, 0.8 to 16. The smaller it is, the more is the mean's.
    ///
    /// # Errors
    /// [`Error::Spectrum`] for a deviation out of range.
    pub fn new(deviation: f64) -> Result<Self> {
        if DEVIATIONS.contains(&deviation) {
            return Ok(Self { deviation });
        }
        Err(Error::Spectrum(format!(
            "a colour anchor of {deviation} pixels is not within {} to {}",
            DEVIATIONS.start(),
            DEVIATIONS.end()
        )))
    }

    /// The anchor of samples in fewer steps than the flow asks for, half as wide again and at most 16 pixels: in their middle bands
    /// there is little detail, and the mean has none to give.
    #[must_use]
    pub fn of_fewer_steps(self) -> Self {
        Self {
            deviation: (FEWER_STEPS * self.deviation).min(*DEVIATIONS.end()),
        }
    }

    /// Output pixels to either side that a pixel's result depends on: three deviations.
    pub fn reach(self) -> usize {
        libm::ceil(3.0 * self.deviation) as usize
    }

    /// The filter along a line of `n` pixels.
    pub fn axis(self, n: usize) -> Axis {
        Axis::gaussian(n, self.reach(), self.deviation)
    }

    /// Anchors `sample` to `mean`; both `[channels, h, w]`.
    ///
    /// # Panics
    /// When the sizes differ.
    pub fn apply(self, sample: &mut Planes, mean: &Planes) {
        let size = |p: &Planes| (p.channels(), p.height(), p.width());
        assert_eq!(size(sample), size(mean), "a sample and its mean are of one size");
        let mut difference = mean.clone();
        let pairs = difference.data_mut().iter_mut().zip(sample.data());
        pairs.for_each(|(d, x)| *d -= x);
        let low = separable(
            &difference,
            &self.axis(sample.width()),
            &self.axis(sample.height()),
        );
        let pairs = sample.data_mut().iter_mut().zip(low.data());
        pairs.for_each(|(x, l)| *x += l);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;
    use proptest::prelude::*;

    /// `cos(pi k (x + 1/2) / w) cos(pi l (y + 1/2) / h)`.
    fn wave((w, h): (usize, usize), (k, l): (usize, usize)) -> Planes {
        let along = |n: usize, k: usize, i: usize| libm::cos(PI * k as f64 * (i as f64 + 0.5) / n as f64);
        let value = |i: usize| (along(w, k, i % w) * along(h, l, i / w)) as f32;
        Planes::new(1, h, w, (0..w * h).map(value).collect()).expect("sizes agree")
    }

    proptest! {
        /// Waves of the basis are multiplied by the filter's transform, borders included.
        #[test]
        fn a_wave_is_the_means_to_the_filters_response(
            w in 1usize..40, h in 1usize..30, k: prop::sample::Index, l: prop::sample::Index, deviation in 0.8f64..4.0,
        ) {
            let (size, wave_) = ((w, h), (k.index(w), l.index(h)));
            let anchor = ColourAnchor::new(deviation).expect("in range");
            let mut sample = Planes::zeros(1, h, w);
            anchor.apply(&mut sample, &wave(size, wave_));
            let response = |n: usize, k: usize| {
                let value = |i: usize| (-0.5 * (i as f64 / deviation).powi(2)).exp();
                let reach = anchor.reach();
                let cosine = |i: usize| 2.0 * value(i) * (PI * (k * i) as f64 / n as f64).cos();
                (1.0 + (1..=reach).map(cosine).sum::<f64>()) / (1.0 + 2.0 * (1..=reach).map(value).sum::<f64>())
            };
            let gain = response(w, wave_.0) * response(h, wave_.1);
            for (got, one) in sample.data().iter().zip(wave(size, wave_).data()) {
                prop_assert!((f64::from(*got) - gain * f64::from(*one)).abs() < 1e-5);
            }
            // The Gaussian's own transform, but for what its samples alias and its ends cut off.
            let ideal = |n: usize, k: usize| (-0.5 * (PI * k as f64 * deviation / n as f64).powi(2)).exp();
            prop_assert!((gain - ideal(w, wave_.0) * ideal(h, wave_.1)).abs() < 0.05);
        }
    }

    #[test]
    fn a_colour_cast_goes_and_grain_stays() {
        let anchor = ColourAnchor::new(2.0).expect("in range");
        let grain = wave((32, 32), (31, 31));
        let mut sample = grain.clone();
        sample.data_mut().iter_mut().for_each(|v| *v += 0.3);
        anchor.apply(&mut sample, &Planes::zeros(1, 32, 32));
        for (got, want) in sample.data().iter().zip(grain.data()) {
            assert!((got - want).abs() < 1e-3);
        }
        for refused in [0.0, -1.0, 17.0, f64::NAN] {
            assert!(matches!(ColourAnchor::new(refused), Err(Error::Spectrum(_))));
        }
    }

    #[test]
    fn fewer_steps_have_a_wider_anchor_within_the_range() {
        let of = |deviation| ColourAnchor::new(deviation).expect("in range");
        assert_eq!(of(1.0).of_fewer_steps(), of(1.5));
        assert_eq!(of(11.0).of_fewer_steps(), of(16.0));
    }
}
