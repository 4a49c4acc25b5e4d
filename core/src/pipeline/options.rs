use alloc::format;
use alloc::vec::Vec;

use crate::{Error, Result, Size, TilePlan};

/// Enlargement a user can ask for: 1, which restores without enlarging, to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputScale(usize);

impl OutputScale {
    /// # Errors
    /// [`Error::Scale`] for anything but 1 to 8.
    pub fn new(scale: usize) -> Result<Self> {
        if (1..=MOST).contains(&scale) {
            Ok(Self(scale))
        } else {
            Err(Error::Scale { scale, most: MOST })
        }
    }

    /// The factor.
    pub fn get(self) -> usize {
        self.0
    }
}

/// The largest enlargement.
const MOST: usize = 8;

/// How large a result is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// So many times wider and higher.
    Scale(OutputScale),
    /// So many columns, and rows in proportion: from the photo's own to the most that two passes reach.
    Width(usize),
    /// So many columns and rows, each from the photo's own to the most that two passes reach: where a format does not take every
    /// side, as videos of even sides do not, or where rows are given.
    Size(Size),
}

/// The way to a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// How much the first pass enlarges.
    pub first: OutputScale,
    /// How much the second enlarges what the first made, where one is not enough.
    pub second: Option<OutputScale>,
    /// Of the result, to which what was made is reduced.
    pub size: Size,
}

/// The most that a network of a scale reaches: by itself and once more, up to 8 times.
pub fn reach(scale: usize) -> usize {
    (scale * scale).min(MOST).max(scale)
}

/// How an image is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiles {
    /// Cores of at most so many input pixels a side.
    Side(usize),
    /// Cores with which the work is done first.
    Quickest(Limits),
}

/// What the choice of tiles heeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tiles that are computed at a time.
    pub workers: usize,
    /// Most bytes that a row of enlarged tiles may take.
    pub memory: usize,
}

/// Input rows that are kept back until they are held to the photo.
const KEPT: usize = 64;

impl Tiles {
    /// Small tiles' side in input pixels: they keep several workers busy.
    pub const SMALL: usize = 128;
    /// That of tiles between them, for who cannot tell.
    pub const MEDIUM: usize = 192;
    /// That of large ones, which compute less twice; beyond it a tile's features fill a browser worker's memory.
    pub const LARGE: usize = 256;

    /// Cores' side for an image that has `planes` planes when it is enlarged.
    pub(super) fn side(self, given: Size, scale: OutputScale, planes: usize, halo: usize) -> Result<usize> {
        let limits = match self {
            Self::Side(side) => return Ok(side),
            Self::Quickest(limits) => limits,
        };
        let fits = |side: &usize| {
            let rows = given.height.min(*side + KEPT) * scale.get();
            let bytes = (given.width * scale.get())
                .saturating_mul(rows)
                .saturating_mul(planes * size_of::<f32>());
            bytes <= limits.memory
        };
        let sides: Vec<usize> = [Self::SMALL, Self::MEDIUM, Self::LARGE]
            .into_iter()
            .filter(fits)
            .collect();
        TilePlan::quickest(given, halo, limits.workers, &sides).ok_or(Error::TooWide(given))
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The size of the result.
    pub target: Target,
    /// Longest side that the result's format takes.
    pub longest: usize,
    /// How the image is cut.
    pub tiles: Tiles,
    /// Whether the result's consistency with the photo is measured.
    pub consistency: bool,
    /// Whether the result is held to the photo, as every result should be: without, it is the network's own, clamped.
    pub hold: bool,
}

impl Options {
    /// A result so many times larger, in tiles of that side, without measurements.
    pub fn new(scale: OutputScale, side: usize) -> Self {
        Self {
            target: Target::Scale(scale),
            longest: usize::MAX,
            tiles: Tiles::Side(side),
            consistency: false,
            hold: true,
        }
    }

    /// The way from a photo to what is asked for, by a network of a scale.
    ///
    /// # Errors
    /// [`Error::Width`] and [`Error::Scale`] for what is not offered, [`Error::TooLong`] for a size beyond the format's.
    pub fn passes(&self, given: Size, scale: usize) -> Result<Passes> {
        let most = reach(scale);
        let (wanted, size) = match self.target {
            Target::Scale(wanted) => (wanted.get(), given.times(wanted.get())),
            Target::Width(wanted) if wanted < given.width || wanted > given.width * most => {
                return Err(Error::Width {
                    wanted,
                    least: given.width,
                    most: given.width * most,
                });
            }
            Target::Width(wanted) => {
                let rows = libm::round(given.height as f64 * wanted as f64 / given.width as f64);
                let least = wanted.div_ceil(given.width).max(2).min(most);
                (least, Size::new(wanted, (rows as usize).max(1)))
            }
            Target::Size(wanted) => {
                let offered = |wanted: usize, given: usize| (given..=given * most).contains(&wanted);
                if !offered(wanted.width, given.width) {
                    return Err(Error::Width {
                        wanted: wanted.width,
                        least: given.width,
                        most: given.width * most,
                    });
                }
                if !offered(wanted.height, given.height) {
                    let (least, most) = (given.height, given.height * most);
                    return Err(Error::Size(format!(
                        "results of this image are {least} to {most} pixels high, not {}",
                        wanted.height
                    )));
                }
                let columns = wanted.width.div_ceil(given.width);
                let rows = wanted.height.div_ceil(given.height);
                (columns.max(rows).max(2).min(most), wanted)
            }
        };
        if wanted > most {
            return Err(Error::Scale { scale: wanted, most });
        }
        if size.longest() > self.longest {
            let longest = self.longest;
            return Err(Error::TooLong { size, longest });
        }
        let second = (wanted > scale).then(|| OutputScale::new(wanted.div_ceil(scale)));
        Ok(Passes {
            first: OutputScale::new(wanted.min(scale))?,
            second: second.transpose()?,
            size,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(target: Target) -> Options {
        Options {
            target,
            longest: 1000,
            tiles: Tiles::Side(64),
            consistency: false,
            hold: true,
        }
    }

    #[test]
    fn sizes_are_those_asked_for() {
        let given = Size::new(100, 51);
        let of = |target, scale| {
            options(target)
                .passes(given, scale)
                .map(|way| (way.first.get() * way.second.map_or(1, OutputScale::get), way.size))
        };
        let scale = |n| Target::Scale(OutputScale::new(n).expect("offered"));
        assert_eq!(of(scale(3), 4), Ok((3, Size::new(300, 153))));
        assert_eq!(of(Target::Width(100), 4), Ok((2, Size::new(100, 51))));
        assert_eq!(of(Target::Width(250), 4), Ok((3, Size::new(250, 128))));
        assert_eq!(of(Target::Width(400), 4), Ok((4, Size::new(400, 204))));
        // A second pass, of which what is too much is reduced.
        assert_eq!(of(scale(4), 2), Ok((4, Size::new(400, 204))));
        assert_eq!(of(scale(6), 4), Ok((8, Size::new(600, 306))));
        assert_eq!(of(Target::Width(450), 4), Ok((8, Size::new(450, 230))));
        assert_eq!(of(Target::Width(280), 2), Ok((4, Size::new(280, 143))));
        // Sides that are given, whatever the proportion.
        let exact = |width, height| Target::Size(Size::new(width, height));
        assert_eq!(of(exact(300, 152), 4), Ok((3, Size::new(300, 152))));
        assert_eq!(of(exact(300, 154), 4), Ok((4, Size::new(300, 154))));
        assert_eq!(of(exact(100, 52), 4), Ok((2, Size::new(100, 52))));
        for refused in [
            of(Target::Width(99), 4),
            of(Target::Width(801), 4),
            of(exact(99, 51), 4),
            of(scale(5), 2),
            of(scale(2), 1),
        ] {
            assert!(
                matches!(refused, Err(Error::Width { .. } | Error::Scale { .. })),
                "{refused:?}"
            );
        }
        for (width, height) in [(200, 50), (200, 409)] {
            let refused = of(exact(width, height), 4);
            assert!(matches!(refused, Err(Error::Size(_))), "{refused:?}");
        }
        let mut long = options(scale(4));
        long.longest = 399;
        assert!(matches!(long.passes(given, 4), Err(Error::TooLong { .. })));
    }

    #[test]
    fn other_scales_are_refused() {
        assert!(OutputScale::new(9).is_err() && OutputScale::new(0).is_err());
    }

    #[test]
    fn tiles_fit_the_memory_there_is() {
        let four = OutputScale::new(4).expect("offered");
        let side = |memory, width| {
            let limits = Limits { workers: 1, memory };
            Tiles::Quickest(limits).side(Size::new(width, 1000), four, 3, 10)
        };
        assert_eq!(side(usize::MAX, 1000), Ok(256));
        // A row of tiles of 128, and the rows kept back: 4 x 192 x 4000 pixels of 12 bytes.
        assert_eq!(side(12 * 4 * 192 * 4000, 1000), Ok(128));
        assert!(matches!(
            side(12 * 4 * 192 * 4000 - 1, 1000),
            Err(Error::TooWide(_))
        ));
    }
}
