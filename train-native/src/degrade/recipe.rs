use asasr_core::random::SplitMix64;
use std::f64::consts::PI;

use super::Protocol;
use super::filter::Mode;
use super::kernel::{Blur, Family, Shape};

/// Everything random about a degradation but the noise itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recipe {
    pub(crate) rounds: [Round; 2],
    /// Low-pass filter after the last resizing.
    pub(crate) last_sinc: Option<Blur>,
    pub(crate) last_mode: Mode,
    /// Resizing and filter before the last JPEG; else after it.
    pub(crate) jpeg_last: bool,
}

/// Blur, resizing, noise and JPEG.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Round {
    pub(crate) blur: Option<Blur>,
    /// Of the truth's size in the first round, of the target's in the second.
    pub(crate) factor: f64,
    pub(crate) mode: Mode,
    pub(crate) noise: Noise,
    /// JPEG quality, 1 to 100.
    pub(crate) quality: u8,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Noise {
    /// Deviation in `[0, 1]` units; `grey` noise is the same in all channels.
    Gaussian { sigma: f64, grey: bool },
    /// Shot noise times `scale`.
    Poisson { scale: f64, grey: bool },
}

/// The ranges a round is drawn from.
struct Ranges {
    blur: f64,
    sigma: (f64, f64),
    /// Probabilities of enlarging, reducing and keeping.
    resize: [f64; 3],
    smallest: f64,
    largest: f64,
    /// Of 255.
    gaussian: (f64, f64),
    poisson: (f64, f64),
    quality: (f64, f64),
}

/// Real-ESRGAN's first and second round.
const FULL: [Ranges; 2] = [
    Ranges {
        blur: 1.0,
        sigma: (0.2, 3.0),
        resize: [0.2, 0.7, 0.1],
        smallest: 0.15,
        largest: 1.5,
        gaussian: (1.0, 30.0),
        poisson: (0.05, 3.0),
        quality: (30.0, 95.0),
    },
    Ranges {
        blur: 0.8,
        sigma: (0.2, 1.5),
        resize: [0.3, 0.4, 0.3],
        smallest: 0.3,
        largest: 1.2,
        gaussian: (1.0, 25.0),
        poisson: (0.05, 2.5),
        quality: (30.0, 95.0),
    },
];

/// The same rounds with little of everything: what a good camera's photo goes through on the web.
const MILD: [Ranges; 2] = [
    Ranges {
        blur: 1.0,
        sigma: (0.2, 2.0),
        resize: [0.2, 0.7, 0.1],
        smallest: 0.5,
        largest: 1.2,
        gaussian: (0.5, 5.0),
        poisson: (0.02, 0.4),
        quality: (60.0, 95.0),
    },
    Ranges {
        blur: 0.5,
        sigma: (0.2, 1.0),
        resize: [0.3, 0.4, 0.3],
        smallest: 0.7,
        largest: 1.1,
        gaussian: (0.5, 4.0),
        poisson: (0.02, 0.3),
        quality: (60.0, 95.0),
    },
];

/// What [`Protocol::Real`] mixes.
const PARTS: [Protocol; 3] = [Protocol::Clean, Protocol::RealMild, Protocol::RealFull];

/// Shares of the kernel families, in the order of [`Family`]'s first six.
const FAMILIES: [f64; 6] = [0.45, 0.25, 0.12, 0.03, 0.12, 0.03];
const SINC: f64 = 0.1;
const GAUSSIAN: f64 = 0.5;
const GREY: f64 = 0.4;
const LAST_SINC: f64 = 0.8;

impl Recipe {
    /// Draws a recipe; plain reduction has none.
    pub(crate) fn draw(protocol: Protocol, random: &mut SplitMix64) -> Option<Self> {
        let ranges = match protocol {
            Protocol::Clean => return None,
            Protocol::RealMild => &MILD,
            Protocol::RealFull => &FULL,
            Protocol::Real => return Self::draw(PARTS[random.below(3)], random),
        };
        let rounds = [draw_round(&ranges[0], random), draw_round(&ranges[1], random)];
        let last_sinc = (random.unit() < LAST_SINC).then(|| {
            let size = odd_size(random);
            sinc(size, uniform((PI / 3.0, PI), random))
        });
        Some(Self {
            rounds,
            last_sinc,
            last_mode: mode(random),
            jpeg_last: random.unit() < 0.5,
        })
    }
}

impl Recipe {
    /// Draws a recipe of [`Protocol::Real`] with other shares of its parts than thirds: clean, mild and full.
    pub(crate) fn draw_mixed(shares: &[f64; 3], random: &mut SplitMix64) -> Option<Self> {
        Self::draw(PARTS[choose(shares, random)], random)
    }

    /// How far, in pixels of the result, what a pixel is made of lies around it: what is cut out of a larger result by so much
    /// is like the inside of a photograph, and what lies nearer to an edge knows of its reflection.
    pub(crate) fn reach(&self, scale: usize) -> usize {
        /// Of the sharpening, in pixels of the truth: a deviation of its blur, of which half is added.
        const SHARPENING: f64 = 8.0;
        /// Of the last resizing, in pixels of the result.
        const RESIZING: f64 = 2.0;
        let of = |blur: &Option<Blur>| blur.as_ref().map_or(0, |b| b.values().reach()) as f64;
        let [first, second] = &self.rounds;
        let before = SHARPENING + of(&first.blur) + of(&second.blur) / first.factor;
        (before / scale as f64 + RESIZING + of(&self.last_sinc)).ceil() as usize
    }
}

fn draw_round(ranges: &Ranges, random: &mut SplitMix64) -> Round {
    let blur = (random.unit() < ranges.blur).then(|| draw_blur(ranges.sigma, random));
    let factor = match choose(&ranges.resize, random) {
        0 => uniform((1.0, ranges.largest), random),
        1 => uniform((ranges.smallest, 1.0), random),
        _ => 1.0,
    };
    let mode = mode(random);
    let gaussian = random.unit() < GAUSSIAN;
    let grey = random.unit() < GREY;
    let noise = if gaussian {
        Noise::Gaussian {
            sigma: uniform(ranges.gaussian, random) / 255.0,
            grey,
        }
    } else {
        Noise::Poisson {
            scale: uniform(ranges.poisson, random),
            grey,
        }
    };
    Round {
        blur,
        factor,
        mode,
        noise,
        quality: uniform(ranges.quality, random).round() as u8,
    }
}

fn draw_blur(range: (f64, f64), random: &mut SplitMix64) -> Blur {
    let size = odd_size(random);
    if random.unit() < SINC {
        let lowest = if size < 13 { PI / 3.0 } else { PI / 5.0 };
        return sinc(size, uniform((lowest, PI), random));
    }
    let family = [
        Family::Iso,
        Family::Aniso,
        Family::GeneralisedIso,
        Family::GeneralisedAniso,
        Family::PlateauIso,
        Family::PlateauAniso,
    ][choose(&FAMILIES, random)];
    let across = uniform(range, random);
    let isotropic = matches!(family, Family::Iso | Family::GeneralisedIso | Family::PlateauIso);
    let (along, angle) = if isotropic {
        (across, 0.0)
    } else {
        (uniform(range, random), uniform((-PI, PI), random))
    };
    // Below one in half of the draws, above it in the others.
    let beta = |range: (f64, f64), random: &mut SplitMix64| {
        if random.unit() < 0.5 {
            uniform((range.0, 1.0), random)
        } else {
            uniform((1.0, range.1), random)
        }
    };
    let shape = match family {
        Family::GeneralisedIso | Family::GeneralisedAniso => Shape::Generalised(beta((0.5, 4.0), random)),
        Family::PlateauIso | Family::PlateauAniso => Shape::Plateau(beta((1.0, 2.0), random)),
        _ => Shape::Generalised(1.0),
    };
    Blur {
        size,
        family,
        sigma: (across, along),
        angle,
        shape,
    }
}

fn sinc(size: usize, cutoff: f64) -> Blur {
    Blur {
        size,
        family: Family::Sinc,
        sigma: (0.0, 0.0),
        angle: 0.0,
        shape: Shape::LowPass(cutoff),
    }
}

/// 7, 9, … 21.
fn odd_size(random: &mut SplitMix64) -> usize {
    7 + 2 * random.below(8)
}

fn mode(random: &mut SplitMix64) -> Mode {
    [Mode::Area, Mode::Bilinear, Mode::Bicubic][random.below(3)]
}

fn uniform((low, high): (f64, f64), random: &mut SplitMix64) -> f64 {
    low + (high - low) * random.unit()
}

/// An index with the given probabilities.
fn choose(shares: &[f64], random: &mut SplitMix64) -> usize {
    let mut left = random.unit() * shares.iter().sum::<f64>();
    for (i, share) in shares.iter().enumerate() {
        left -= share;
        if left < 0.0 {
            return i;
        }
    }
    shares.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: usize = 10_000;

    fn draws(protocol: Protocol) -> Vec<Recipe> {
        (0..DRAWS as u64)
            .map(|i| Recipe::draw(protocol, &mut SplitMix64::of([3, 7, i])).expect("has one"))
            .collect()
    }

    /// Asserts that `hits` of `n` is the probability `p` within five standard errors.
    fn is(p: f64, hits: usize, n: usize, what: &str) {
        let error = 5.0 * (p * (1.0 - p) / n as f64).sqrt() + 1e-12;
        let share = hits as f64 / n as f64;
        assert!((share - p).abs() < error, "{what}: {share} of {n}, not {p}");
    }

    fn count<T>(of: &[T], f: impl Fn(&T) -> bool) -> usize {
        of.iter().filter(|x| f(x)).count()
    }

    /// Asserts that values are uniform in a range: its ends are nearly reached, its mean is the middle.
    fn spread(values: &[f64], (low, high): (f64, f64), what: &str) {
        let (least, most) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
        assert!(least >= low && most <= high, "{what}: {least} to {most}");
        let width = high - low;
        assert!(
            least < low + 0.02 * width && most > high - 0.02 * width,
            "{what}: {least} to {most}"
        );
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let error = 5.0 * width / (12.0 * values.len() as f64).sqrt();
        assert!(
            (mean - f64::midpoint(low, high)).abs() < error,
            "{what}: mean {mean}"
        );
    }

    #[test]
    fn ten_thousand_draws_have_the_tables_probabilities() {
        let all = draws(Protocol::RealFull);
        for (r, ranges) in FROM_THE_TABLE.iter().enumerate() {
            let rounds: Vec<&Round> = all.iter().map(|a| &a.rounds[r]).collect();
            check_blurs(&rounds, ranges);
            check_rest(&rounds, ranges);
        }
        is(0.8, count(&all, |a| a.last_sinc.is_some()), DRAWS, "last sinc");
        is(0.5, count(&all, |a| a.jpeg_last), DRAWS, "order of the last step");
    }

    /// The published table once more, so that a slip in the constants above is seen.
    const FROM_THE_TABLE: [Ranges; 2] = [
        Ranges {
            blur: 1.0,
            sigma: (0.2, 3.0),
            resize: [0.2, 0.7, 0.1],
            smallest: 0.15,
            largest: 1.5,
            gaussian: (1.0, 30.0),
            poisson: (0.05, 3.0),
            quality: (30.0, 95.0),
        },
        Ranges {
            blur: 0.8,
            sigma: (0.2, 1.5),
            resize: [0.3, 0.4, 0.3],
            smallest: 0.3,
            largest: 1.2,
            gaussian: (1.0, 25.0),
            poisson: (0.05, 2.5),
            quality: (30.0, 95.0),
        },
    ];

    fn check_blurs(rounds: &[&Round], ranges: &Ranges) {
        let blurs: Vec<&Blur> = rounds.iter().filter_map(|x| x.blur.as_ref()).collect();
        is(ranges.blur, blurs.len(), DRAWS, "blur");
        is(
            0.1,
            count(&blurs, |b| b.family == Family::Sinc),
            blurs.len(),
            "sinc",
        );
        let shaped: Vec<&&Blur> = blurs.iter().filter(|b| b.family != Family::Sinc).collect();
        for (family, p) in [
            (Family::Iso, 0.45),
            (Family::Aniso, 0.25),
            (Family::GeneralisedIso, 0.12),
            (Family::GeneralisedAniso, 0.03),
            (Family::PlateauIso, 0.12),
            (Family::PlateauAniso, 0.03),
        ] {
            is(p, count(&shaped, |b| b.family == family), shaped.len(), "family");
        }
        for size in (7..=21).step_by(2) {
            is(
                1.0 / 8.0,
                count(&blurs, |b| b.size == size),
                blurs.len(),
                "kernel size",
            );
        }
        let cutoffs = |small: bool| -> Vec<f64> {
            blurs
                .iter()
                .filter(|b| (b.size < 13) == small)
                .filter_map(|b| match b.shape {
                    Shape::LowPass(cutoff) => Some(cutoff),
                    _ => None,
                })
                .collect()
        };
        spread(&cutoffs(true), (PI / 3.0, PI), "cut-off of small kernels");
        spread(&cutoffs(false), (PI / 5.0, PI), "cut-off of large kernels");
        let sigmas: Vec<f64> = shaped.iter().map(|b| b.sigma.0).collect();
        spread(&sigmas, ranges.sigma, "sigma");
        let betas: Vec<f64> = shaped
            .iter()
            .filter_map(|b| match b.shape {
                Shape::Generalised(beta) if b.family != Family::Iso && b.family != Family::Aniso => {
                    Some(beta)
                }
                _ => None,
            })
            .collect();
        is(
            0.5,
            count(&betas, |b| *b < 1.0),
            betas.len(),
            "generalised beta below one",
        );
        assert!(betas.iter().all(|b| (0.5..=4.0).contains(b)));
    }

    fn check_rest(rounds: &[&Round], ranges: &Ranges) {
        is(
            ranges.resize[0],
            count(rounds, |x| x.factor > 1.0),
            DRAWS,
            "enlarged",
        );
        is(
            ranges.resize[1],
            count(rounds, |x| x.factor < 1.0),
            DRAWS,
            "reduced",
        );
        is(
            ranges.resize[2],
            count(rounds, |x| x.factor == 1.0),
            DRAWS,
            "kept",
        );
        let factors = |up: bool| -> Vec<f64> {
            let all = rounds.iter().map(|x| x.factor);
            all.filter(|f| if up { *f > 1.0 } else { *f < 1.0 }).collect()
        };
        spread(&factors(true), (1.0, ranges.largest), "enlarging factor");
        spread(&factors(false), (ranges.smallest, 1.0), "reducing factor");
        for m in [Mode::Area, Mode::Bilinear, Mode::Bicubic] {
            is(1.0 / 3.0, count(rounds, |x| x.mode == m), DRAWS, "mode");
        }
        let mut sigmas = Vec::new();
        let mut scales = Vec::new();
        let mut greys = 0;
        for x in rounds {
            let (list, value, grey) = match x.noise {
                Noise::Gaussian { sigma, grey } => (&mut sigmas, sigma * 255.0, grey),
                Noise::Poisson { scale, grey } => (&mut scales, scale, grey),
            };
            list.push(value);
            greys += usize::from(grey);
        }
        is(0.5, sigmas.len(), DRAWS, "Gaussian noise");
        is(0.4, greys, DRAWS, "grey noise");
        spread(&sigmas, ranges.gaussian, "Gaussian deviation");
        spread(&scales, ranges.poisson, "Poisson scale");
        let qualities: Vec<f64> = rounds.iter().map(|x| f64::from(x.quality)).collect();
        spread(&qualities, ranges.quality, "JPEG quality");
    }

    #[test]
    fn photographs_of_any_condition_are_thirds_of_the_others() {
        const DRAWS: usize = 3000;
        let draw = |seed| Recipe::draw(Protocol::Real, &mut SplitMix64::new(seed as u64));
        let drawn: Vec<Option<Recipe>> = (0..DRAWS).map(draw).collect();
        let clean = drawn.iter().filter(|r| r.is_none()).count();
        // Only the full recipe goes below a quality of 60, in one of two rounds: in 1 - (35 / 65)^2 of its draws.
        let worse = |r: &&Recipe| r.rounds.iter().any(|round| round.quality < 60);
        let full = drawn.iter().flatten().filter(worse).count();
        let near = |count: usize, share: f64| (count as f64 / DRAWS as f64 - share).abs() < 0.035;
        assert!(near(clean, 1.0 / 3.0), "{clean}");
        assert!(near(full, 0.710 / 3.0), "{full}");
    }

    #[test]
    fn a_recipe_reaches_as_far_as_its_parts() {
        let none = Round {
            blur: None,
            factor: 0.5,
            mode: Mode::Area,
            noise: Noise::Poisson {
                scale: 1.0,
                grey: false,
            },
            quality: 90,
        };
        let wide = |sigma: f64| Blur {
            size: 21,
            family: Family::Iso,
            sigma: (sigma, sigma),
            angle: 0.0,
            shape: Shape::Generalised(1.0),
        };
        let mut recipe = Recipe {
            rounds: [none.clone(), none],
            last_sinc: None,
            last_mode: Mode::Area,
            jpeg_last: true,
        };
        assert_eq!(recipe.reach(4), 4);
        // Two pixels of the truth, then two of an image of half its size, then six of the result.
        recipe.rounds[0].blur = Some(wide(1.0));
        assert_eq!(recipe.reach(4), 5);
        recipe.rounds[1].blur = Some(wide(1.0));
        assert_eq!(recipe.reach(4), 6);
        recipe.last_sinc = Some(wide(3.0));
        assert_eq!(recipe.reach(4), 12);
    }

    #[test]
    fn the_mild_recipe_stays_within_its_bounds() {
        for recipe in draws(Protocol::RealMild) {
            for round in &recipe.rounds {
                assert!((60..=95).contains(&round.quality));
                if let Some(blur) = &round.blur {
                    assert!(blur.sigma.0 <= 2.0 && blur.sigma.1 <= 2.0);
                }
                if let Noise::Gaussian { sigma, .. } = round.noise {
                    assert!(sigma <= 5.0 / 255.0);
                }
            }
        }
        assert!(Recipe::draw(Protocol::Clean, &mut SplitMix64::new(1)).is_none());
    }
}
