//! What upscalers get wrong, made of a restorer's answer: the adversary's teachers.

use std::f64::consts::PI;

use asasr_core::{Planes, random::SplitMix64};

use super::filter::convolve;
use super::kernel::{Blur, Family, Shape};

/// One of four artefacts, of random strength: halos of over-sharpening, ringing, invented grain, or plain blur. `mean` is
/// the restorer's answer, `skip` the bicubic one, `noise` coloured noise of their size and variance 1.
pub(crate) fn draw(mean: &Planes, skip: &Planes, noise: &Planes, random: &mut SplitMix64) -> Planes {
    let between = |low: f64, high: f64, u: f64| low + (high - low) * u;
    let u = random.unit();
    match random.below(4) {
        0 => {
            let soft = convolve(mean, &gaussian(between(0.6, 2.0, random.unit())));
            combine(mean, &soft, between(0.8, 2.5, u))
        }
        1 => {
            let cutoff = between(PI / 4.0, PI / 2.0, random.unit());
            let ringing = Blur {
                size: 21,
                family: Family::Sinc,
                sigma: (0.0, 0.0),
                angle: 0.0,
                shape: Shape::LowPass(cutoff),
            };
            let low = convolve(mean, &ringing.values());
            combine(&low, &convolve(&low, &gaussian(1.5)), between(0.5, 1.5, u))
        }
        2 => {
            let mut out = mean.clone();
            let strength = between(0.015, 0.06, u) as f32;
            for (o, n) in out.data_mut().iter_mut().zip(noise.data()) {
                *o += strength * n;
            }
            out
        }
        _ => convolve(skip, &gaussian(between(0.4, 1.6, u))),
    }
}

/// `image + amount * (image - soft)`.
fn combine(image: &Planes, soft: &Planes, amount: f64) -> Planes {
    let mut out = image.clone();
    for (o, s) in out.data_mut().iter_mut().zip(soft.data()) {
        *o += amount as f32 * (*o - s);
    }
    out
}

fn gaussian(sigma: f64) -> super::kernel::Kernel {
    Blur {
        size: 13,
        family: Family::Iso,
        sigma: (sigma, sigma),
        angle: 0.0,
        shape: Shape::Generalised(1.0),
    }
    .values()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artefacts_differ_from_the_answer_and_from_each_other() {
        let wave = |i: usize| 0.5 + 0.3 * ((i % 40) as f32 / 3.0).sin();
        let image = Planes::new(3, 30, 40, (0..3600).map(wave).collect()).expect("sizes agree");
        let mut noise = Planes::zeros(3, 30, 40);
        let mut random = SplitMix64::new(1);
        noise
            .data_mut()
            .iter_mut()
            .for_each(|v| *v = random.normal() as f32);
        let mut seen = Vec::new();
        for i in 0..40 {
            let made = draw(&image, &image, &noise, &mut SplitMix64::of([1, 2, i]));
            let far: f32 = made
                .data()
                .iter()
                .zip(image.data())
                .map(|(a, b)| (a - b).abs())
                .sum::<f32>()
                / 3600.0;
            assert!(far > 1e-3 && far < 0.6, "{far}");
            assert!(!seen.contains(&made));
            seen.push(made);
        }
    }
}
