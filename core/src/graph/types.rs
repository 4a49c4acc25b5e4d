use alloc::{format, string::String};

use serde::Serialize;
use serde_json::Value;

use super::{Fault, limits};
use crate::Size;
use crate::fields::{Field, Misfit};

/// How many pixels along a side a value has for each of the image at scale 1: a reduced fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(into = "[usize; 2]")]
pub struct Scale {
    num: usize,
    den: usize,
}

impl Scale {
    /// As large as the image.
    pub const ONE: Self = Self { num: 1, den: 1 };

    /// `num / den`; none where the reduced fraction has a term that is zero or above [`limits::SCALE`].
    pub fn new(num: usize, den: usize) -> Option<Self> {
        let divisor = gcd(num as u64, den as u64) as usize;
        if num == 0 || den == 0 {
            return None;
        }
        let (num, den) = (num / divisor, den / divisor);
        (num <= limits::SCALE && den <= limits::SCALE).then_some(Self { num, den })
    }

    /// Above and below the line.
    pub fn terms(self) -> (usize, usize) {
        (self.num, self.den)
    }

    /// `factor` times as many pixels.
    pub(super) fn times(self, factor: usize) -> Result<Self, Fault> {
        let num = self.num.checked_mul(factor);
        num.and_then(|num| Self::new(num, self.den))
            .ok_or_else(|| beyond(&format!("{self} times {factor}")))
    }

    /// `factor` times fewer pixels.
    pub(super) fn over(self, factor: usize) -> Result<Self, Fault> {
        let den = self.den.checked_mul(factor);
        den.and_then(|den| Self::new(self.num, den))
            .ok_or_else(|| beyond(&format!("{self} divided by {factor}")))
    }

    /// Whether it is a whole number or one divided by one, so that pixels lie within pixels.
    pub(super) fn is_nested(self) -> bool {
        self.num == 1 || self.den == 1
    }
}

fn beyond(scale: &str) -> Fault {
    Fault::Inputs(format!(
        "a scale of {scale} is beyond what can be run, at most {0} and at least 1/{0}",
        limits::SCALE
    ))
}

impl TryFrom<[usize; 2]> for Scale {
    type Error = String;

    fn try_from([num, den]: [usize; 2]) -> Result<Self, String> {
        Self::new(num, den).ok_or_else(|| {
            format!(
                "a scale of {num}/{den} is not made of numbers within 1 to {}",
                limits::SCALE
            )
        })
    }
}

impl Field for Scale {
    fn read(value: Value, name: &str) -> Result<Self, Misfit> {
        let scale = Self::try_from(<[usize; 2]>::read(value, name)?);
        scale.map_err(|why| Misfit(format!("`{name}` is {why}")))
    }
}

impl From<Scale> for [usize; 2] {
    fn from(scale: Scale) -> Self {
        [scale.num, scale.den]
    }
}

impl core::fmt::Display for Scale {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.den {
            1 => write!(f, "{}", self.num),
            _ => write!(f, "{}/{}", self.num, self.den),
        }
    }
}

/// Greatest common divisor; the other one where one is zero.
pub(super) fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A grid of windows on a map, `[rows, columns]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Windows {
    /// Pixels of a window.
    pub window: [usize; 2],
    /// How far before the map's first pixel the grid begins, less than a window.
    pub shift: [usize; 2],
}

/// How a value's channels are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// At every pixel.
    Map,
    /// At every pixel of every window of a map; those beyond the map's edge are tokens too, which nothing attends to.
    Tokens(Windows),
    /// Once.
    Vector,
}

/// What is known of a value before there is an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// Numbers at every place.
    pub channels: usize,
    /// Pixels of its map for each pixel of the image; 1 for a vector.
    pub scale: Scale,
    /// Pixels that its map has beyond each of the four sides, negative where it has fewer.
    pub margin: i64,
    /// How the channels are arranged.
    pub kind: Kind,
}

impl ValueType {
    /// A map of `channels` at `scale`.
    pub const fn map(channels: usize, scale: Scale) -> Self {
        Self {
            channels,
            scale,
            margin: 0,
            kind: Kind::Map,
        }
    }

    /// A vector of `channels`.
    pub const fn vector(channels: usize) -> Self {
        Self {
            channels,
            scale: Scale::ONE,
            margin: 0,
            kind: Kind::Vector,
        }
    }

    /// The same with another number of channels.
    #[must_use]
    pub const fn with_channels(self, channels: usize) -> Self {
        Self { channels, ..self }
    }

    /// Whether the two differ in their channels at most.
    pub fn lies_as(&self, other: &Self) -> bool {
        self.with_channels(1) == other.with_channels(1)
    }

    /// Its shape for an image of `size` at scale 1.
    ///
    /// # Errors
    /// [`Fault::Size`] where a side is not a whole number of pixels, or is none, and [`Fault::TooMany`] for more than
    /// [`limits::VALUES`] numbers.
    pub fn shape(&self, size: Size) -> Result<Shape, Fault> {
        let (num, den) = self.scale.terms();
        let side = |n: usize| -> Result<usize, Fault> {
            if n == 0 || n > limits::SIDE || !n.is_multiple_of(den) {
                return Err(Fault::Size(format!(
                    "an image side of {n} pixels is not a multiple of {den} within {den} to {}",
                    limits::SIDE
                )));
            }
            let n = (n / den * num) as i64 + 2 * self.margin;
            usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(|| {
                Fault::Size(format!(
                    "an image of {}x{} pixels is too small for this network: take a larger one",
                    size.width, size.height
                ))
            })
        };
        let map = || Ok(Size::new(side(size.width)?, side(size.height)?));
        let places = match self.kind {
            Kind::Map => Places::Map(map()?),
            Kind::Tokens(windows) => Places::Tokens(Grid::new(map()?, windows)),
            Kind::Vector => Places::Vector,
        };
        let shape = Shape {
            channels: self.channels,
            places,
        };
        let count = shape.counted();
        if count > limits::VALUES {
            return Err(Fault::TooMany {
                what: "numbers in one value",
                count,
                most: limits::VALUES,
            });
        }
        Ok(shape)
    }
}

impl core::fmt::Display for ValueType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.kind {
            Kind::Vector => return write!(f, "a vector of {} channels", self.channels),
            Kind::Map => write!(f, "a map of {} channels", self.channels)?,
            Kind::Tokens(Windows {
                window: [h, w],
                shift: [y, x],
            }) => {
                write!(
                    f,
                    "tokens of {} channels in windows of {w}x{h} from -{x},-{y}",
                    self.channels
                )?;
            }
        }
        write!(f, " at scale {}", self.scale)?;
        match self.margin {
            0 => Ok(()),
            m => write!(f, " with {m} pixels more on each side"),
        }
    }
}

/// Windows on a map of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// The map.
    pub map: Size,
    /// The windows.
    pub windows: Windows,
}

impl Grid {
    /// `windows` on `map`.
    pub const fn new(map: Size, windows: Windows) -> Self {
        Self { map, windows }
    }

    /// How many windows cover the map, `[down, across]`.
    pub fn count(&self) -> [usize; 2] {
        let Windows { window, shift } = self.windows;
        [
            (self.map.height + shift[0]).div_ceil(window[0]),
            (self.map.width + shift[1]).div_ceil(window[1]),
        ]
    }

    /// Tokens of a window.
    pub fn tokens(&self) -> usize {
        self.windows.window[0] * self.windows.window[1]
    }

    /// The pixel `(x, y)` under a token, windows and tokens counted row by row; none beyond the map's edge.
    pub fn pixel(&self, window: usize, token: usize) -> Option<(usize, usize)> {
        let ([_, across], [_, columns]) = (self.count(), self.windows.window);
        let at = |window: usize, token: usize, axis: usize, n: usize| {
            let at = window * self.windows.window[axis] + token;
            at.checked_sub(self.windows.shift[axis]).filter(|at| *at < n)
        };
        Some((
            at(window % across, token % columns, 1, self.map.width)?,
            at(window / across, token / columns, 0, self.map.height)?,
        ))
    }
}

/// The dimensions of a value at one image size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Numbers at every place.
    pub channels: usize,
    /// The places.
    pub places: Places,
}

/// Where a value has its channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Places {
    /// At every pixel.
    Map(Size),
    /// At every token.
    Tokens(Grid),
    /// Once.
    Vector,
}

impl Places {
    /// How many there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Map(size) => size.pixels(),
            Self::Tokens(grid) => {
                let [down, across] = grid.count();
                down * across * grid.tokens()
            }
            Self::Vector => 1,
        }
    }
}

impl Shape {
    /// Numbers in all.
    pub fn numbers(&self) -> usize {
        self.channels * self.places.count()
    }

    /// The same where nothing is known to fit: sides within [`limits::SIDE`] and windows within [`limits::WINDOW`] do not
    /// overflow it before the last product.
    fn counted(&self) -> u64 {
        let places = match &self.places {
            Places::Map(size) => size.width as u64 * size.height as u64,
            Places::Tokens(grid) => {
                let [down, across] = grid.count();
                (down as u64 * across as u64).saturating_mul(grid.tokens() as u64)
            }
            Places::Vector => 1,
        };
        places.saturating_mul(self.channels as u64)
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.places {
            Places::Map(size) => write!(
                f,
                "a map of {} channels, {}x{} pixels",
                self.channels, size.width, size.height
            ),
            Places::Tokens(_) => write!(f, "{} tokens of {} channels", self.places.count(), self.channels),
            Places::Vector => write!(f, "a vector of {} channels", self.channels),
        }
    }
}
