//! Images as files hold them: interleaved samples of 8 or 16 bits.

use alloc::vec::Vec;

use crate::pipeline::Photo;
use crate::{Planes, Rect, Size, metrics};

/// Which samples a pixel has, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Luminance.
    Grey,
    /// Luminance and alpha.
    GreyAlpha,
    /// Red, green and blue.
    Rgb,
    /// Red, green, blue and alpha.
    Rgba,
}

impl Layout {
    /// The layout of so many samples a pixel, 1 to 4.
    pub fn of_samples(samples: usize) -> Option<Self> {
        [Self::Grey, Self::GreyAlpha, Self::Rgb, Self::Rgba]
            .into_iter()
            .find(|layout| layout.samples() == samples)
    }

    /// Samples of a pixel.
    pub fn samples(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Whether the last sample is alpha.
    pub fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }

    /// Planes of an image of this layout: three colours, and alpha where there is one.
    pub fn planes(self) -> usize {
        3 + usize::from(self.has_alpha())
    }

    /// Appends a row of planes, of values within `[0, 1]` or clamped to it, as samples of 8 or 16 `bits`, the latter with the high byte
    /// first. Grey is the mean of the colours.
    ///
    /// # Panics
    /// When `rows` has no such row, or other planes.
    pub fn interleave(self, rows: &Planes, y: usize, bits: u8, out: &mut Vec<u8>) {
        assert_eq!(rows.channels(), self.planes(), "an image of another layout");
        let mut push = |value: f32| {
            if bits == 16 {
                out.extend_from_slice(&((value.clamp(0.0, 1.0) * 65535.0 + 0.5) as u16).to_be_bytes());
            } else {
                out.push(metrics::to_u8(value));
            }
        };
        let row = |c: usize| rows.row(c, y);
        for x in 0..rows.width() {
            match self {
                Self::Grey | Self::GreyAlpha => push((row(0)[x] + row(1)[x] + row(2)[x]) / 3.0),
                Self::Rgb | Self::Rgba => (0..3).for_each(|c| push(row(c)[x])),
            }
            if self.has_alpha() {
                push(row(3)[x]);
            }
        }
    }
}

/// Interleaved samples, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// Of 8 bits.
    Eight(Vec<u8>),
    /// Of 16 bits.
    Sixteen(Vec<u16>),
}

impl Samples {
    /// Bits of a sample: 8 or 16.
    pub fn bits(&self) -> u8 {
        match self {
            Self::Eight(_) => 8,
            Self::Sixteen(_) => 16,
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Eight(s) => s.len(),
            Self::Sixteen(s) => s.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An image of interleaved samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raster {
    /// Columns and rows.
    pub size: Size,
    /// Which samples a pixel has.
    pub layout: Layout,
    /// `size.pixels() * layout.samples()` of them.
    pub samples: Samples,
}

impl Raster {
    /// Whether there are as many samples as the size and the layout say, and at least one.
    pub fn is_whole(&self) -> bool {
        let wanted = self.size.pixels().checked_mul(self.layout.samples());
        wanted == Some(self.samples.len()) && !self.samples.is_empty()
    }

    /// Whether no pixel is transparent, with an alpha channel or without.
    pub fn is_opaque(&self) -> bool {
        let n = self.layout.samples();
        !self.layout.has_alpha()
            || match &self.samples {
                Samples::Eight(s) => s.iter().skip(n - 1).step_by(n).all(|a| *a == u8::MAX),
                Samples::Sixteen(s) => s.iter().skip(n - 1).step_by(n).all(|a| *a == u16::MAX),
            }
    }
}

/// Of samples `n` a pixel those that `kept` says.
fn thinned<T: Copy>(samples: &[T], n: usize, kept: &[usize]) -> Vec<T> {
    let mut out = Vec::with_capacity(samples.len() / n * kept.len());
    for pixel in samples.chunks_exact(n) {
        out.extend(kept.iter().map(|c| pixel[*c]));
    }
    out
}

/// Whether red, green and blue are one in all pixels of `n` samples.
fn all_grey<T: Copy + PartialEq>(samples: &[T], n: usize) -> bool {
    samples.chunks_exact(n).all(|p| p[0] == p[1] && p[0] == p[2])
}

/// Grey samples, `n` a pixel, each three times.
fn tripled<T: Copy>(samples: &[T], n: usize) -> Vec<T> {
    let pixel = |p: &[T]| [&[p[0]; 3][..], &p[1..]].concat();
    samples.chunks_exact(n).flat_map(pixel).collect()
}

impl Raster {
    /// The same image in as few samples as it takes: grey where all pixels are, without alpha where all are opaque.
    #[must_use]
    pub fn reduced(self) -> Self {
        let n = self.layout.samples();
        let grey = match (&self.samples, n < 3) {
            (_, true) => true,
            (Samples::Eight(s), _) => all_grey(s, n),
            (Samples::Sixteen(s), _) => all_grey(s, n),
        };
        let mut kept: Vec<usize> = (0..if grey { 1 } else { 3 }).collect();
        if !self.is_opaque() {
            kept.push(n - 1);
        }
        match Layout::of_samples(kept.len()) {
            Some(layout) if layout != self.layout => Self {
                layout,
                samples: match self.samples {
                    Samples::Eight(s) => Samples::Eight(thinned(&s, n, &kept)),
                    Samples::Sixteen(s) => Samples::Sixteen(thinned(&s, n, &kept)),
                },
                ..self
            },
            _ => self,
        }
    }

    /// The same without its alpha, whatever that says.
    #[must_use]
    pub fn without_alpha(self) -> Self {
        let (layout, n) = match self.layout {
            Layout::GreyAlpha => (Layout::Grey, 2),
            Layout::Rgba => (Layout::Rgb, 4),
            Layout::Grey | Layout::Rgb => return self,
        };
        let kept = &[0, 1, 2][..n - 1];
        Self {
            layout,
            samples: match self.samples {
                Samples::Eight(s) => Samples::Eight(thinned(&s, n, kept)),
                Samples::Sixteen(s) => Samples::Sixteen(thinned(&s, n, kept)),
            },
            ..self
        }
    }

    /// The same with red, green and blue where it is grey.
    #[must_use]
    pub fn coloured(self) -> Self {
        let (layout, n) = match self.layout {
            Layout::Grey => (Layout::Rgb, 1),
            Layout::GreyAlpha => (Layout::Rgba, 2),
            Layout::Rgb | Layout::Rgba => return self,
        };
        Self {
            layout,
            samples: match self.samples {
                Samples::Eight(s) => Samples::Eight(tripled(&s, n)),
                Samples::Sixteen(s) => Samples::Sixteen(tripled(&s, n)),
            },
            ..self
        }
    }
}

impl Photo for Raster {
    fn size(&self) -> Size {
        self.size
    }

    fn has_alpha(&self) -> bool {
        self.layout.has_alpha()
    }

    fn planes(&self, rect: Rect) -> Planes {
        let n = self.layout.samples();
        let sources: &[usize] = match self.layout {
            Layout::Grey => &[0, 0, 0],
            Layout::GreyAlpha => &[0, 0, 0, 1],
            Layout::Rgb => &[0, 1, 2],
            Layout::Rgba => &[0, 1, 2, 3],
        };
        let mut out = Planes::zeros(sources.len(), rect.height(), rect.width());
        for (c, sample) in sources.iter().enumerate() {
            for y in 0..rect.height() {
                let start = ((rect.y0 + y) * self.size.width + rect.x0) * n + sample;
                let end = start + (rect.width() - 1) * n + 1;
                let row = out.row_mut(c, y).iter_mut();
                match &self.samples {
                    Samples::Eight(s) => {
                        row.zip(s[start..end].iter().step_by(n))
                            .for_each(|(o, v)| *o = f32::from(*v) / 255.0);
                    }
                    Samples::Sixteen(s) => {
                        row.zip(s[start..end].iter().step_by(n))
                            .for_each(|(o, v)| *o = f32::from(*v) / 65535.0);
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn rows_are_interleaved_as_files_hold_them() {
        for samples in 1..=4 {
            let layout = Layout::of_samples(samples).expect("known");
            for bits in [8u8, 16] {
                let count = 5 * 3 * samples;
                let shade = |i: usize| (i * 37 % 251) as u8;
                let given = Raster {
                    size: Size::new(5, 3),
                    layout,
                    samples: if bits == 8 {
                        Samples::Eight((0..count).map(shade).collect())
                    } else {
                        Samples::Sixteen((0..count).map(|i| 257 * u16::from(shade(i)) + 3).collect())
                    },
                };
                assert!(given.is_whole());
                let planes = given.planes(Rect::whole(5, 3));
                let mut bytes = vec![];
                (0..3).for_each(|y| layout.interleave(&planes, y, bits, &mut bytes));
                let expected: Vec<u8> = match &given.samples {
                    Samples::Eight(s) => s.clone(),
                    Samples::Sixteen(s) => s.iter().flat_map(|v| v.to_be_bytes()).collect(),
                };
                assert_eq!(bytes, expected, "{layout:?} {bits}");
            }
        }
        assert_eq!(Layout::of_samples(5), None);
    }

    #[test]
    fn grey_in_colours_is_the_same_image() {
        let grey = Raster {
            size: Size::new(2, 1),
            layout: Layout::GreyAlpha,
            samples: Samples::Sixteen(vec![7, 8, 9, 10]),
        };
        let colours = grey.clone().coloured();
        assert_eq!(colours.samples, Samples::Sixteen(vec![7, 7, 7, 8, 9, 9, 9, 10]));
        assert_eq!(colours.planes(Rect::whole(2, 1)), grey.planes(Rect::whole(2, 1)));
    }

    #[test]
    fn an_image_takes_no_more_samples_than_it_needs() {
        let of = |samples: &[u8], layout: Layout| {
            let raster = Raster {
                size: Size::new(2, 1),
                layout,
                samples: Samples::Eight(samples.to_vec()),
            };
            let small = raster.clone().reduced();
            let planes = small.planes(Rect::whole(2, 1));
            let whole = raster.planes(Rect::whole(2, 1));
            assert_eq!(planes, whole.split_channels(planes.channels()).0);
            small.layout
        };
        assert_eq!(of(&[1, 1, 1, 255, 2, 2, 2, 255], Layout::Rgba), Layout::Grey);
        assert_eq!(of(&[1, 1, 1, 254, 2, 2, 2, 255], Layout::Rgba), Layout::GreyAlpha);
        assert_eq!(of(&[1, 1, 0, 255, 2, 2, 2, 255], Layout::Rgba), Layout::Rgb);
        assert_eq!(of(&[1, 1, 0, 0, 2, 2, 2, 255], Layout::Rgba), Layout::Rgba);
        assert_eq!(of(&[1, 255, 2, 255], Layout::GreyAlpha), Layout::Grey);
        assert_eq!(of(&[1, 2], Layout::Grey), Layout::Grey);
    }

    #[test]
    fn a_raster_of_too_few_samples_is_not_whole() {
        let raster = |n, width| Raster {
            size: Size::new(width, 2),
            layout: Layout::Rgb,
            samples: Samples::Eight(vec![0; n]),
        };
        assert!(raster(12, 2).is_whole());
        assert!(!raster(11, 2).is_whole() && !raster(0, 0).is_whole());
        assert!(!raster(12, usize::MAX / 2).is_whole());
    }
}
