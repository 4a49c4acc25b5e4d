use std::convert::Infallible;

use asasr_core::{Planes, random::SplitMix64};
use rand_distr::{Distribution as _, Poisson};

/// Adds normal noise of deviation `sigma`; `grey` noise is the same in all channels. Clamps to `[0, 1]`.
pub(crate) fn gaussian(image: &mut Planes, sigma: f64, grey: bool, random: &mut SplitMix64) {
    let n = image.width() * image.height();
    let shared: Vec<f32> = if grey {
        (0..n).map(|_| (sigma * random.normal()) as f32).collect()
    } else {
        Vec::new()
    };
    for (i, v) in image.data_mut().iter_mut().enumerate() {
        let noise = if grey {
            shared[i % n]
        } else {
            (sigma * random.normal()) as f32
        };
        *v = (*v + noise).clamp(0.0, 1.0);
    }
}

/// Adds `scale` times the shot noise of an image of as many photons per white as it has grey levels, rounded up to a
/// power of two (Real-ESRGAN); `grey` noise is that of the luma, the same in all channels. Clamps to `[0, 1]`.
pub(crate) fn poisson(image: &mut Planes, scale: f64, grey: bool, random: &mut SplitMix64) {
    let n = image.width() * image.height();
    if grey {
        let luma: Vec<f32> = (0..n)
            .map(|i| 0.2989 * image.plane(0)[i] + 0.587 * image.plane(1)[i] + 0.114 * image.plane(2)[i])
            .collect();
        let noise = shot_noise(&luma, random);
        for (i, v) in image.data_mut().iter_mut().enumerate() {
            *v = (*v + scale as f32 * noise[i % n]).clamp(0.0, 1.0);
        }
    } else {
        let noise = shot_noise(image.data(), random);
        for (v, noise) in image.data_mut().iter_mut().zip(noise) {
            *v = (*v + scale as f32 * noise).clamp(0.0, 1.0);
        }
    }
}

/// `Poisson(v * levels) / levels - v` for every value, at 8 bits.
fn shot_noise(values: &[f32], random: &mut SplitMix64) -> Vec<f32> {
    let rounded: Vec<u8> = values.iter().map(|v| asasr_core::metrics::to_u8(*v)).collect();
    let mut present = [false; 256];
    rounded.iter().for_each(|v| present[usize::from(*v)] = true);
    let different = present.iter().filter(|p| **p).count();
    let levels = different.next_power_of_two() as f64;
    let mut source = Stream(random);
    // One distribution per grey level: making one costs as much as drawing from it.
    let laws: Vec<Option<Poisson<f64>>> = (0..=255u8)
        .map(|v| Poisson::new(f64::from(v) / 255.0 * levels).ok())
        .collect();
    rounded
        .iter()
        .map(|v| {
            let expected = f64::from(*v) / 255.0;
            let count = laws[usize::from(*v)]
                .as_ref()
                .map_or(0.0, |law| law.sample(&mut source));
            (count / levels - expected) as f32
        })
        .collect()
}

/// Our stream as the distributions' library wants it.
struct Stream<'a>(&'a mut SplitMix64);

impl rand_core::TryRng for Stream<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.0.next_u64() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next_u64().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey_ramp() -> Planes {
        // 256 levels, all of them away from the ends where clamping bites.
        let row: Vec<f32> = (0..256).map(|i| 0.3 + 0.4 * (i as f32 / 255.0)).collect();
        Planes::new(
            3,
            64,
            256,
            row.iter().copied().cycle().take(3 * 64 * 256).collect(),
        )
        .expect("sizes agree")
    }

    fn deviation(a: &[f32], b: &[f32]) -> f64 {
        let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (sum / a.len() as f64).sqrt()
    }

    #[test]
    fn gaussian_noise_has_its_deviation_and_grey_noise_one_for_all_channels() {
        for grey in [false, true] {
            let (clean, mut noisy) = (grey_ramp(), grey_ramp());
            gaussian(&mut noisy, 0.05, grey, &mut SplitMix64::new(1));
            assert!((deviation(noisy.data(), clean.data()) - 0.05).abs() < 0.002);
            assert_eq!(noisy.plane(0) == noisy.plane(2), grey);
        }
    }

    #[test]
    fn shot_noise_has_the_variance_of_counts() {
        for grey in [false, true] {
            let (clean, mut noisy) = (grey_ramp(), grey_ramp());
            poisson(&mut noisy, 1.0, grey, &mut SplitMix64::new(1));
            // The ramp has 103 levels at 8 bits: 128 photons; the variance is the mean of v / 128.
            let expected = (0.5f64 / 128.0).sqrt();
            let got = deviation(noisy.data(), clean.data());
            assert!((got / expected - 1.0).abs() < 0.03, "{got} {expected}");
            assert_eq!(noisy.plane(0) == noisy.plane(2), grey);
        }
    }
}
