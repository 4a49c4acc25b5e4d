//! Pictures that are no photographs, drawn while training runs: text, lines, gratings, charts, flat shapes, windows of
//! programs, patterns a pixel wide. Photographs have few of these, and people enlarge many.
//!
//! | file | what |
//! |---|---|
//! | `canvas` | shapes on a square of pixels |
//! | `scene` | what is drawn, and how often |
//! | `text` | fonts from files, words, lines |

mod canvas;
mod scene;
mod text;

use std::path::Path;

use asasr_core::{Planes, random::SplitMix64};

use self::canvas::Colour;
use self::text::Fonts;
use crate::error::Result;

/// Draws pictures.
pub(crate) struct Artist {
    fonts: Fonts,
}

impl Artist {
    /// One who writes in the fonts of a folder, or does not write.
    pub(crate) fn new(fonts: Option<&Path>) -> Result<Self> {
        let fonts = fonts.map_or_else(|| Ok(Fonts::default()), Fonts::open)?;
        Ok(Self { fonts })
    }

    /// A picture of `side` by `side` pixels, `[3, side, side]` within `[0, 1]`; a function of what is drawn from `random`.
    pub(crate) fn picture(&self, side: usize, random: &mut SplitMix64) -> Planes {
        scene::draw(side, &self.fonts, &mut Chance(random))
    }
}

/// A random stream, asked in the ways that scenes need.
struct Chance<'a>(&'a mut SplitMix64);

impl Chance<'_> {
    /// Evenly between two numbers.
    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.unit() as f32
    }

    /// Evenly by the logarithm: as often between 1 and 2 as between 2 and 4.
    fn scaled(&mut self, low: f32, high: f32) -> f32 {
        self.between(low.ln(), high.ln()).exp()
    }

    /// A whole number, both ends included.
    fn count(&mut self, least: usize, most: usize) -> usize {
        least + self.0.below(most - least + 1)
    }

    fn happens(&mut self, share: f64) -> bool {
        self.0.unit() < share
    }

    fn one_of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.0.below(all.len())]
    }

    /// Any colour, the full ones more often than not.
    fn colour(&mut self) -> Colour {
        let mut one = || match self.count(0, 3) {
            0 => 0.0,
            1 => 1.0,
            _ => self.between(0.0, 1.0),
        };
        [one(), one(), one()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_functions_of_the_stream_and_differ() {
        let artist = Artist::new(None).expect("needs no fonts");
        let draw = |seed| artist.picture(96, &mut SplitMix64::new(seed));
        let mut flat = 0;
        for seed in 0..60 {
            let picture = draw(seed);
            assert_eq!(
                (picture.width(), picture.height(), picture.channels()),
                (96, 96, 3)
            );
            assert!(
                picture.data().iter().all(|v| (0.0..=1.0).contains(v)),
                "seed {seed}"
            );
            assert_eq!(picture, draw(seed));
            assert_ne!(picture, draw(seed + 1000));
            let first = picture.plane(1)[0];
            flat += usize::from(picture.plane(1).iter().all(|v| (v - first).abs() < 0.01));
        }
        assert!(flat < 6, "{flat} of 60 have nothing on them");
    }
}
