//! Holds a result to the photo that it was made of, whatever made it.
//!
//! With `c` the photo, `y` its enlargement by the factor `s`, `D` the mean over `s` by `s` output pixels and `U` linear interpolation
//! from input pixels to output pixels, a result passes three stations while its rows go by; nothing of it is held whole:
//!
//! 1. **What is flat or neutral stays so** ([`gate`]): where the photo does not change within three pixels, `y` is `U c`; where it has
//!    no colour there, `y` has none, to the bit.
//! 2. **Low frequencies are the photo's** ([`pass`]): with `k = G (c - D y)`, `G` a Gaussian of two input pixels, `y` is mixed
//!    with white by `a = k / G (1 - D y)` where `k > 0` and with black by `a = -k / G D y` where it is not. Unlike an addition this
//!    never leaves `[0, 1]`, so that nothing is lost by clipping. It is back-projection (Irani and Peleg 1991) under a low-pass. What
//!    the mean over a block of 16 by 16 input pixels still lacks is spread over it, but for half a level; beside edges of black or
//!    white, where that is not possible, the photo's pixels are mixed in.
//! 3. **Where the photo is made of pixels they show** ([`pixels`]): patterns of one to four pixels, as dithering has them, make networks
//!    fail by tens of levels. Where there are some and `k` is large, or the mean over 16 by 16 pixels anywhere would be off, `y` is mixed
//!    with the photo's pixels repeated, just enough for that.
//!
//! With alpha, `c` is the photo's weighed colours put through bicubic enlargement and `D`, as alpha is, and no pixels show; but where all
//! within 16 pixels is opaque it is as without.
//!
//! What it promises where that is so, or of a photo without alpha: the mean colour of every block of 16 by 16 pixels of the photo, counted from its top left corner, is that of the
//! same place in the result to one level of 255, once in 8 bits.

mod gate;
mod pass;
mod pixels;
mod rows;

use alloc::{collections::VecDeque, vec, vec::Vec};

use crate::alpha::{self, COLOURS};
use crate::{Planes, Rect, Result, Size};
use gate::Gate;
use pass::Pass;

/// Rows that are handed on at a time, at least, but at the end.
const BAND: usize = 64;

/// The planes of a result, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlaneOrder {
    /// Planes after the first image's colours that are enlarged beside them; the first of these is alpha, by which colours are weighed.
    pub(crate) extra: usize,
    /// Images of three colours: the first, and those after the further planes.
    pub(crate) images: usize,
    /// All planes.
    pub(crate) planes: usize,
}

impl PlaneOrder {
    /// The first plane of each image.
    fn images(self) -> impl Iterator<Item = usize> {
        (0..self.images).map(move |i| if i == 0 { 0 } else { COLOURS * i + self.extra })
    }

    fn alpha(self) -> Option<usize> {
        (self.extra > 0).then_some(COLOURS)
    }
}

/// Rows of a result on their way, from the top.
#[derive(Debug)]
pub(crate) struct Hold {
    /// Of the photo.
    size: Size,
    scale: usize,
    layout: PlaneOrder,
    /// Without, rows are only clamped, and alpha's weight taken off.
    held: bool,
    gate: Gate,
    /// One for each image.
    passes: Vec<Pass>,
    /// Rows that do not fill a row of input pixels yet.
    open: Vec<Vec<f32>>,
    /// Planes that are no image's colours, by rows of input pixels, until their images come.
    beside: VecDeque<Vec<Vec<f32>>>,
    /// What is done and not handed on.
    done: Vec<Vec<f32>>,
    /// Row of the first of these.
    first: usize,
}

impl Hold {
    /// For a photo of a size, enlarged `scale` times, and to be held to it or to go by as it is.
    pub(crate) fn new(size: Size, scale: usize, layout: PlaneOrder, held: bool) -> Self {
        Self {
            size,
            scale,
            layout,
            held,
            gate: Gate::new(size, scale, layout.extra > 0),
            passes: (0..layout.images).map(|_| Pass::new(size, scale)).collect(),
            open: vec![Vec::new(); layout.planes],
            beside: VecDeque::new(),
            done: vec![Vec::new(); layout.planes],
            first: 0,
        }
    }

    /// Takes the next rows of the result; colours are weighed by alpha where there is one. `read` gives the photo's pixels of a
    /// rectangle, as they are. Finished rows go to `write`, colours no longer weighed.
    ///
    /// # Errors
    /// Those of `write`.
    pub(crate) fn add(
        &mut self,
        rows: &Planes,
        read: &impl Fn(Rect) -> Planes,
        write: &mut impl FnMut(usize, &Planes) -> Result<()>,
    ) -> Result<()> {
        let width = rows.width();
        for y in 0..rows.height() {
            for (c, plane) in self.open.iter_mut().enumerate() {
                plane.extend_from_slice(rows.row(c, y));
            }
            if self.open[0].len() == self.scale * width {
                let full = self.open.iter_mut().map(core::mem::take).collect();
                self.advance(full, read);
                if self.done[0].len() >= BAND * width {
                    self.flush(write)?;
                }
            }
        }
        if self.first + self.done[0].len() / width.max(1) == self.size.height * self.scale {
            self.flush(write)?;
        }
        Ok(())
    }

    /// Takes the rows of the next row of input pixels.
    fn advance(&mut self, mut planes: Vec<Vec<f32>>, read: &impl Fn(Rect) -> Planes) {
        if !self.held {
            for image in self.layout.images() {
                let values = planes[image..image + COLOURS].iter_mut().flatten();
                values.for_each(|v| *v = v.clamp(0.0, 1.0));
            }
            return self.finish(planes, read);
        }
        let Self {
            gate, scale, layout, ..
        } = self;
        let weighed = |y: usize| {
            let (mut colours, extra) = read(row(self.size.width, y)).split_channels(COLOURS);
            let alpha = extra.map(|extra| extra.plane(0).to_vec());
            if let Some(alpha) = &alpha {
                alpha::weigh(&mut colours, alpha);
            }
            (colours.into_data(), alpha)
        };
        let photo = gate.next(weighed);
        let mut finished = Vec::new();
        for (image, pass) in layout.images().zip(&mut self.passes) {
            let cells = joined(&mut planes[image..image + COLOURS]);
            let cells = gate.apply(cells, *scale);
            let mut own = Vec::new();
            pass.push(cells, photo.clone(), |cells| own.push(cells));
            finished.push(own);
        }
        self.beside.push_back(planes);
        let count = finished.first().map_or(0, Vec::len);
        for i in 0..count {
            let Some(mut planes) = self.beside.pop_front() else {
                break;
            };
            for (image, cells) in self.layout.images().zip(&mut finished) {
                let cells = core::mem::take(&mut cells[i]);
                let length = cells.len() / COLOURS;
                for (c, plane) in cells.chunks_exact(length).enumerate() {
                    planes[image + c] = plane.to_vec();
                }
            }
            self.finish(planes, read);
        }
    }

    /// Takes alpha's weight off the rows of a row of input pixels, and keeps them to be handed on.
    fn finish(&mut self, mut planes: Vec<Vec<f32>>, read: &impl Fn(Rect) -> Planes) {
        if let Some(alpha) = self.layout.alpha() {
            let (width, rows) = (self.size.width * self.scale, self.scale);
            let y = self.first / self.scale + self.done[0].len() / (width * rows);
            let photo = read(row(self.size.width, y));
            let opacity = planes[alpha].clone();
            for image in self.layout.images() {
                for c in 0..COLOURS {
                    let unseen = |i: usize| photo.row(c, 0)[i % width / self.scale];
                    alpha::unweigh(&mut planes[image + c], &opacity, unseen);
                }
            }
        }
        for (done, plane) in self.done.iter_mut().zip(planes) {
            done.extend_from_slice(&plane);
        }
    }

    fn flush(&mut self, write: &mut impl FnMut(usize, &Planes) -> Result<()>) -> Result<()> {
        let width = self.size.width * self.scale;
        let height = self.done[0].len() / width;
        if height == 0 {
            return Ok(());
        }
        let data = joined(&mut self.done);
        let rows = Planes::new(self.layout.planes, height, width, data)?;
        write(self.first, &rows)?;
        self.first += height;
        Ok(())
    }
}

/// Planes one after the other; nothing is left of them. Copied as a whole, since an iterator over their values takes as long as a
/// pass.
fn joined(planes: &mut [Vec<f32>]) -> Vec<f32> {
    let mut all = Vec::with_capacity(planes.iter().map(Vec::len).sum());
    for plane in planes {
        all.append(plane);
    }
    all
}

/// Row `y` of `width` pixels.
fn row(width: usize, y: usize) -> Rect {
    Rect {
        x0: 0,
        y0: y,
        x1: width,
        y1: y + 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use crate::resample;
    use proptest::prelude::*;

    /// A photo's result goes through, in strips of so many rows.
    fn held(photo: &Planes, result: &Planes, scale: usize, strip: usize) -> Planes {
        let layout = PlaneOrder {
            extra: photo.channels() - COLOURS,
            images: 1,
            planes: result.channels(),
        };
        let mut hold = Hold::new(photo.size(), scale, layout, true);
        let mut out = Planes::zeros(result.channels(), result.height(), result.width());
        let mut next = 0;
        for y0 in (0..result.height()).step_by(strip) {
            let rect = Rect {
                x0: 0,
                y0,
                x1: result.width(),
                y1: result.height().min(y0 + strip),
            };
            let mut write = |first: usize, rows: &Planes| {
                assert_eq!(first, next, "no row twice, none left out");
                next += rows.height();
                out.put_rows(first, rows);
                Ok(())
            };
            hold.add(&result.crop(rect), &|r| photo.crop(r), &mut write)
                .expect("writes");
        }
        assert_eq!(next, result.height(), "every row came out");
        out
    }

    /// The largest error of the mean over 16 by 16 pixels of the photo, counted from the top left, in levels, of the result in 8 bits.
    fn worst_block(photo: &Planes, result: &Planes, scale: usize) -> f64 {
        let (w, h) = (photo.width(), photo.height());
        let mut worst: f64 = 0.0;
        for c in 0..COLOURS {
            let error = |x: usize, y: usize| {
                let mut sum = 0.0;
                for j in 0..scale {
                    let row = &result.row(c, y * scale + j)[x * scale..(x + 1) * scale];
                    sum += row.iter().map(|v| (255.0 * f64::from(*v)).round()).sum::<f64>();
                }
                sum / (scale * scale) as f64 - 255.0 * f64::from(photo.row(c, y)[x])
            };
            let errors: Vec<Vec<f64>> = (0..h).map(|y| (0..w).map(|x| error(x, y)).collect()).collect();
            for y in (0..=h - 16).step_by(16) {
                for x in (0..=w - 16).step_by(16) {
                    let block = errors[y..y + 16]
                        .iter()
                        .map(|row| row[x..x + 16].iter().sum::<f64>());
                    worst = worst.max((block.sum::<f64>() / 256.0).abs());
                }
            }
        }
        worst
    }

    fn photo(size: (usize, usize), colour: impl Fn(usize, usize, usize) -> f32) -> Planes {
        let (w, h) = size;
        let data = (0..COLOURS * w * h).map(|i| colour(i / (w * h), i % w, i / w % h));
        Planes::new(COLOURS, h, w, data.collect()).expect("sizes agree")
    }

    /// Results of a network that has lost the photo: another mean, other colours, grain, and values out of range.
    fn lost(photo: &Planes, scale: usize, seed: u64) -> Planes {
        let mut random = SplitMix64::new(seed);
        let mut result = resample::enlarge(photo, scale);
        for (c, cast) in [0.4, -0.2, -0.3].into_iter().enumerate() {
            for v in result.plane_mut(c) {
                *v = 0.6 * *v + cast + 0.2 * random.normal() as f32;
            }
        }
        result
    }

    /// Patterns of black and white of a period, its rows as bits, each in one of its translations.
    fn patterns(period: usize) -> Vec<u32> {
        let count = period * period;
        let turned = |pattern: u32, x: usize, y: usize| {
            let from = |i: usize| (i / period + y) % period * period + (i + x) % period;
            (0..count).fold(0, |out, i| out | (pattern >> from(i) & 1) << i)
        };
        let first = |pattern: u32| {
            let mut others = (0..count).map(|i| turned(pattern, i % period, i / period));
            others.all(|other| pattern <= other)
        };
        (0..1 << count).filter(|pattern| first(*pattern)).collect()
    }

    #[test]
    fn every_period_of_two_to_four_pixels_keeps_its_colour() {
        let mut random = SplitMix64::new(4);
        for (period, classes) in [(2, 7), (3, 64), (4, 4156)] {
            let mut patterns = patterns(period);
            assert_eq!(patterns.len(), classes);
            if period == 4 {
                // A fixed sample of the many.
                patterns = (0..80)
                    .map(|_| patterns[random.next_u64() as usize % classes])
                    .collect();
            }
            for (i, pattern) in patterns.into_iter().enumerate() {
                for contrast in [1.0f32, 0.4, 0.1] {
                    let on = |x: usize, y: usize| pattern >> (y % period * period + x % period) & 1 == 1;
                    let photo = photo((33, 32), |_, x, y| {
                        0.5 + contrast * if on(x, y) { 0.5 } else { -0.5 }
                    });
                    let scale = 2 + i % 3;
                    let result = held(&photo, &lost(&photo, scale, i as u64), scale, 16);
                    let worst = worst_block(&photo, &result, scale);
                    assert!(
                        worst <= 1.0,
                        "period {period}, pattern {pattern:b}, contrast {contrast}: {worst}"
                    );
                    for (i, r) in result.plane(0).iter().enumerate() {
                        assert!(
                            *r == result.plane(1)[i] && *r == result.plane(2)[i],
                            "neutral to the bit"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn flat_colours_are_flat_to_the_last_pixel() {
        for colour in [[0.0, 1.0, 0.0], [1.0, 0.0, 0.5], [0.2, 0.2, 0.2]] {
            let photo = photo((20, 17), |c, _, _| colour[c]);
            for v in held(&photo, &lost(&photo, 4, 1), 4, 64)
                .data()
                .chunks_exact(80 * 68)
                .zip(colour)
            {
                assert!(v.0.iter().all(|x| (x - v.1).abs() < 1e-3));
            }
        }
    }

    #[test]
    fn what_is_opaque_is_held_though_something_else_is_not() {
        // Specks of black and white, whose mean over a block softening would change.
        let mut random = SplitMix64::new(9);
        let specks: Vec<f32> = (0..64 * 64).map(|_| (random.next_u64() % 2) as f32).collect();
        let specks = photo((64, 64), |_, x, y| specks[y * 64 + x]);
        let mut alpha = Planes::zeros(1, 64, 64);
        alpha.plane_mut(0).fill(1.0);
        alpha.row_mut(0, 1)[2] = 0.0;
        for scale in [2, 4] {
            let result = lost(&specks, scale, 5).with_channels(resample::enlarge(&alpha, scale));
            let given = specks.clone().with_channels(alpha.clone());
            let out = held(&given, &result, scale, 16);
            let wanted = held(&specks, &result.clone().split_channels(COLOURS).0, scale, 16);
            // Away from the transparent pixel it is as without any: its pixels show.
            let (from, to) = (40 * scale, 64 * scale);
            for c in 0..COLOURS {
                for y in from..to {
                    let pairs = out.row(c, y)[from..to].iter().zip(&wanted.row(c, y)[from..to]);
                    for (a, b) in pairs {
                        assert!((a - b).abs() < 4e-3, "{scale} times: {a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_faithful_result_is_left_alone() {
        let photo = photo((48, 48), |c, x, y| {
            let wave = libm::cosf(0.1 * (x as f32 + 0.5 * y as f32) + c as f32);
            0.5 + 0.3 * wave
        });
        let mut result = resample::enlarge(&photo, 4);
        // Detail that the photo cannot show.
        for (i, v) in result.data_mut().iter_mut().enumerate() {
            *v += if (i + i / 192).is_multiple_of(2) {
                0.05
            } else {
                -0.05
            };
        }
        let out = held(&photo, &result, 4, 64);
        for (a, b) in out.data().iter().zip(result.data()) {
            assert!((a - b).abs() < 2.0 / 255.0, "{a} {b}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_photo_is_held_in_strips_as_whole(
            w in 1usize..40, h in 1usize..40, scale in 2usize..=4, strip in 1usize..40, seed: u64, dither: bool,
        ) {
            let mut random = SplitMix64::new(seed);
            let grain: Vec<f32> = (0..w * h).map(|_| (random.next_u64() % 256) as f32 / 255.0).collect();
            let photo = photo((w, h), |c, x, y| {
                let v = (grain[y * w + x] + 0.2 * c as f32).min(1.0);
                if dither { v.round() } else { 0.4 + 0.2 * v }
            });
            let result = lost(&photo, scale, seed);
            let whole = held(&photo, &result, scale, scale * h);
            prop_assert_eq!(&held(&photo, &result, scale, strip), &whole);
            prop_assert!(whole.data().iter().all(|v| (0.0..=1.0).contains(v)));
            if w >= 16 && h >= 16 {
                let worst = worst_block(&photo, &whole, scale);
                prop_assert!(worst <= 1.0, "{}", worst);
            }
        }
    }
}
