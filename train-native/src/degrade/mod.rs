//! Low-quality images made from sharp ones: the published Real-ESRGAN recipe (Wang et al. 2021), a milder one, and plain
//! antialiased bicubic reduction.
//!
//! A [`Recipe`] is drawn first, as data; [`apply`] then carries it out. Both are pure functions of a random stream, so
//! every pair can be made again from (seed, image, step).

pub(crate) mod artefact;
pub(crate) mod filter;
mod kernel;
mod noise;
mod recipe;

use std::path::Path;

use asasr_core::{Planes, Size, metrics, random::SplitMix64, resample};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use recipe::Recipe;

use crate::error::{Error, Result};
use recipe::{Noise, Round};

/// How truth becomes input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Protocol {
    /// Antialiased bicubic reduction, rounded to 8 bits
    #[default]
    Clean,
    /// Two mild rounds of blur, resizing, noise and JPEG
    RealMild,
    /// The Real-ESRGAN recipe
    RealFull,
    /// One of the other three by chance: for photographs of any condition
    Real,
}

impl Protocol {
    /// As on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::RealMild => "real-mild",
            Self::RealFull => "real-full",
            Self::Real => "real",
        }
    }
}

/// The random stream of an image: of its file's name, so that a folder's order and place do not matter.
pub(crate) fn stream(seed: u64, path: &Path, step: u64) -> SplitMix64 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // FNV-1a (Fowler, Noll and Vo).
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    SplitMix64::of([seed, hash, step])
}

/// The 8-bit input for a truth whose sides are multiples of `scale`, `[3, h / scale, w / scale]`.
pub(crate) fn degrade(
    hq: &Planes,
    scale: usize,
    protocol: Protocol,
    random: &mut SplitMix64,
) -> Result<Planes> {
    let recipe = Recipe::draw(protocol, random);
    carry_out(recipe.as_ref(), hq, scale, random)
}

/// How far a plain reduction sees, in pixels of the result.
const PLAIN_REACH: usize = 3;

/// How far, in pixels of the result, what a pixel is made of lies around it; without a recipe, under plain reduction.
pub(crate) fn reach(recipe: Option<&Recipe>, scale: usize) -> usize {
    recipe.map_or(PLAIN_REACH, |r| r.reach(scale))
}

/// The 8-bit input that a recipe makes, or plain reduction without one.
pub(crate) fn carry_out(
    recipe: Option<&Recipe>,
    hq: &Planes,
    scale: usize,
    random: &mut SplitMix64,
) -> Result<Planes> {
    if let Some(recipe) = recipe {
        return apply(recipe, hq, scale, random);
    }
    let mut lq = resample::shrink(hq, scale)?;
    metrics::quantise(&mut lq);
    Ok(lq)
}

/// Carries out a recipe; `random` supplies the noise.
pub(crate) fn apply(recipe: &Recipe, hq: &Planes, scale: usize, random: &mut SplitMix64) -> Result<Planes> {
    let reduced = Size::new(hq.width() / scale, hq.height() / scale);
    if reduced.pixels() == 0 {
        return Err(Error::new(format!(
            "an image of {} pixels cannot be reduced {scale} times",
            hq.size()
        )));
    }
    let sharp = filter::sharpen(hq);
    let [first, second] = &recipe.rounds;
    let once = round(first, &sharp, hq.size(), random);
    let once = filter::jpeg(&once, first.quality)?;
    // The second round's sizes are relative to the target's.
    let twice = round(second, &once, reduced, random);
    let to_size = |x: &Planes| {
        let mut x = filter::resize(x, reduced, recipe.last_mode);
        if let Some(kernel) = &recipe.last_sinc {
            x = filter::convolve(&x, &kernel.values());
        }
        x
    };
    let mut lq = if recipe.jpeg_last {
        filter::jpeg(&to_size(&twice), second.quality)?
    } else {
        to_size(&filter::jpeg(&twice, second.quality)?)
    };
    metrics::quantise(&mut lq);
    Ok(lq)
}

/// Blur, resizing to a factor of `size`, noise.
fn round(round: &Round, image: &Planes, size: Size, random: &mut SplitMix64) -> Planes {
    let blurred = match &round.blur {
        Some(kernel) => filter::convolve(image, &kernel.values()),
        None => image.clone(),
    };
    let side = |n: usize| ((n as f64 * round.factor) as usize).max(1);
    let mut resized = filter::resize(
        &blurred,
        Size::new(side(size.width), side(size.height)),
        round.mode,
    );
    match round.noise {
        Noise::Gaussian { sigma, grey } => noise::gaussian(&mut resized, sigma, grey, random),
        Noise::Poisson { scale, grey } => noise::poisson(&mut resized, scale, grey, random),
    }
    resized
}

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::Rect;

    fn photo(w: usize, h: usize) -> Planes {
        let at = |i: usize| {
            let (c, y, x) = (i / (w * h), i / w % h, i % w);
            0.5 + 0.4 * ((x as f32 / 9.0).sin() * (y as f32 / 7.0 + c as f32).cos())
        };
        Planes::new(3, h, w, (0..3 * w * h).map(at).collect()).expect("sizes agree")
    }

    #[test]
    fn a_pair_is_a_function_of_seed_name_and_step() {
        let hq = photo(96, 64);
        let make = |seed, name: &str, step, protocol| {
            degrade(&hq, 4, protocol, &mut stream(seed, Path::new(name), step)).expect("degrades")
        };
        for protocol in [Protocol::RealMild, Protocol::RealFull] {
            let one = make(1, "a/cat.png", 5, protocol);
            assert_eq!((one.width(), one.height()), (24, 16));
            assert_eq!(one, make(1, "b/cat.png", 5, protocol));
            for (seed, name, step) in [(2, "cat.png", 5), (1, "dog.png", 5), (1, "cat.png", 6)] {
                assert_ne!(one, make(seed, name, step, protocol));
            }
        }
        let clean = make(1, "x", 0, Protocol::Clean);
        assert_eq!(clean, make(2, "y", 3, Protocol::Clean));
    }

    #[test]
    fn results_are_8_bit_images_that_resemble_the_truth() {
        let hq = photo(128, 128);
        let clean = degrade(&hq, 4, Protocol::Clean, &mut SplitMix64::new(0)).expect("degrades");
        for (protocol, worst) in [(Protocol::RealMild, 0.08), (Protocol::RealFull, 0.2)] {
            let mut total = 0.0;
            for step in 0..20 {
                let lq = degrade(&hq, 4, protocol, &mut stream(0, Path::new("x"), step)).expect("degrades");
                for (a, b) in lq.data().iter().zip(clean.data()) {
                    assert_eq!(*a, f32::from(metrics::to_u8(*a)) / 255.0);
                    total += f64::from((a - b).abs());
                }
            }
            let mean = total / (20 * clean.data().len()) as f64;
            assert!(mean > 0.005 && mean < worst, "{protocol:?}: {mean}");
        }
    }

    /// Without noise, which is drawn for each, and with little of JPEG, whose blocks lie elsewhere.
    #[test]
    fn a_region_cut_by_its_reach_is_what_the_whole_image_has_there() {
        use kernel::{Blur, Family, Shape};
        let round = |sigma: f64, factor| Round {
            blur: Some(Blur {
                size: 21,
                family: Family::Iso,
                sigma: (sigma, sigma),
                angle: 0.0,
                shape: Shape::Generalised(1.0),
            }),
            factor,
            mode: filter::Mode::Area,
            noise: Noise::Gaussian {
                sigma: 0.0,
                grey: true,
            },
            quality: 100,
        };
        let recipe = Recipe {
            rounds: [round(2.5, 0.5), round(1.5, 1.0)],
            last_sinc: round(1.5, 1.0).blur,
            last_mode: filter::Mode::Area,
            jpeg_last: true,
        };
        let (s, patch) = (4, 8);
        let whole = photo(320, 320);
        let random = &mut SplitMix64::new(0);
        let want = apply(&recipe, &whole, s, random).expect("degrades");
        let want = want.crop(Rect {
            x0: 40,
            y0: 36,
            x1: 40 + patch,
            y1: 36 + patch,
        });
        let mut worst = |margin: usize| {
            let square = |x: usize, y: usize, side: usize| Rect {
                x0: x,
                y0: y,
                x1: x + side,
                y1: y + side,
            };
            let side = patch + 2 * margin;
            let region = whole.crop(square((40 - margin) * s, (36 - margin) * s, side * s));
            let made = apply(&recipe, &region, s, random).expect("degrades");
            let made = made.crop(square(margin, margin, patch));
            let errors = made.data().iter().zip(want.data()).map(|(a, b)| (a - b).abs());
            errors.fold(0.0, f32::max)
        };
        let (cut, alone) = (worst(recipe.reach(s)), worst(0));
        assert!(cut < 0.02 && alone > 4.0 * cut, "{cut} {alone}");
    }

    #[test]
    fn the_smallest_images_survive() {
        for (w, h) in [(4, 4), (8, 64), (20, 12)] {
            for step in 0..30 {
                let lq = degrade(
                    &photo(w, h),
                    4,
                    Protocol::RealFull,
                    &mut stream(0, Path::new("x"), step),
                );
                assert_eq!(lq.expect("degrades").data().len(), 3 * w * h / 16);
            }
        }
    }
}
