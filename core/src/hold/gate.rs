//! What is flat or neutral in the photo stays so.

use alloc::{vec, vec::Vec};

use super::pixels::Pixels;
use super::rows::{Rows, along, interpolate, largest_along, ramp};
use crate::Size;
use crate::alpha::COLOURS;
use crate::resample::Axis;

/// Input pixels to either side within which the photo must not change, or have no colour.
const REACH: usize = 3;
/// Up to the first a difference of channels is none, from the second on it is colour.
const COLOUR: [f32; 2] = [0.0, 2.0 / 255.0];
/// Up to the first a difference of neighbours is none, from the second on it is detail.
const DETAIL: [f32; 2] = [0.5 / 255.0, 2.5 / 255.0];

/// Input pixels to either side within which all must be opaque for the photo to be held to as one without alpha: as far as what is
/// found in its pixels spreads, and a block.
const OPAQUE: usize = 16;

/// Input pixels to either side that bicubic enlargement and reduction reach.
const SOFT: usize = 2;

/// The weights of the pixels within [`SOFT`] of one that is enlarged `scale` times and reduced again.
fn there_and_back(scale: usize) -> Vec<f32> {
    let n = 4 * SOFT + 1;
    let axis = Axis::bicubic(n, n * scale);
    let mut weights = vec![0.0; n];
    for i in 2 * SOFT * scale..(2 * SOFT + 1) * scale {
        axis.taps_of(i).for_each(|(j, w)| weights[j] += w / scale as f32);
    }
    weights[SOFT..=3 * SOFT].to_vec()
}

/// Looks at the photo as the result's rows come.
#[derive(Debug)]
pub(super) struct Gate {
    width: usize,
    height: usize,
    /// Colours.
    photo: Rows,
    /// Along lines the largest of colours, of negative colours and of differences of the channels: what changes, and what has colour.
    extremes: Rows,
    /// How flat, 0 to 1.
    flat: Rows,
    /// How neutral, 0 to 1.
    neutral: Rows,
    pixels: Pixels,
    /// Where the photo has alpha.
    softened: Option<Softened>,
    /// Rows that were asked for.
    next: usize,
}

/// What of a photo with alpha is held to its colours as alpha is enlarged.
#[derive(Debug)]
struct Softened {
    /// What bicubic enlargement and reduction make of a line.
    weights: Vec<f32>,
    /// How far from opaque, the most within [`OPAQUE`] along lines.
    unseen: Rows,
}

/// A row of the photo.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// Its colours, `[3, width]`.
    pub(super) colours: Vec<f32>,
    /// How surely it is made of pixels, 0 to 1, `[width]`; none where it is nowhere.
    pub(super) pixels: Option<Vec<f32>>,
}

impl Gate {
    /// For a photo of a size. One with alpha is not held to its own weighed colours but to those enlarged by bicubic
    /// interpolation, as alpha is, but where all around is opaque: otherwise what is half seen would change its colour.
    pub(super) fn new(size: Size, scale: usize, alpha: bool) -> Self {
        let Size { width, height } = size;
        Self {
            width,
            height,
            photo: Rows::new(height),
            extremes: Rows::new(height),
            flat: Rows::new(height),
            neutral: Rows::new(height),
            pixels: Pixels::new(size),
            softened: alpha.then(|| Softened {
                weights: there_and_back(scale),
                unseen: Rows::new(height),
            }),
            next: 0,
        }
    }

    /// The photo's next row; `read` gives the colours of any, weighed by alpha, and alpha where there is one.
    pub(super) fn next(&mut self, read: impl Fn(usize) -> (Vec<f32>, Option<Vec<f32>>)) -> Given {
        let y = self.next;
        self.next += 1;
        let ahead = if self.softened.is_some() {
            Pixels::AHEAD.max(OPAQUE + 1)
        } else {
            Pixels::AHEAD
        };
        while self.photo.come() < self.height.min(y + ahead) {
            let (row, alpha) = read(self.photo.come());
            if let Some(softened) = &mut self.softened {
                let unseen: Vec<f32> = alpha.unwrap_or_default().iter().map(|a| 1.0 - a).collect();
                let any = unseen.iter().any(|v| *v > 0.0);
                softened
                    .unseen
                    .push(any.then(|| largest_along(&unseen, self.width, OPAQUE)));
            }
            self.extremes.push(Some(self.extremes_of(&row)));
            self.photo.push(Some(row));
        }
        while self.flat.come() < self.height.min(y + 2) {
            let y = self.flat.come();
            let most = self.extremes.largest(y, REACH).unwrap_or_default();
            let amount = |range: &dyn Fn(usize) -> f32, [from, to]: [f32; 2]| {
                let row: Vec<f32> = (0..self.width).map(|x| 1.0 - ramp(range(x), from, to)).collect();
                row.iter().any(|v| *v > 0.0).then_some(row)
            };
            let w = self.width;
            let detail = |x: usize| {
                let range = |c: usize| most[c * w + x] + most[(COLOURS + c) * w + x];
                (0..COLOURS).map(range).fold(0.0, f32::max)
            };
            let (flat, neutral) = (
                amount(&detail, DETAIL),
                amount(&|x| most[2 * COLOURS * w + x], COLOUR),
            );
            self.flat.push(flat);
            self.neutral.push(neutral);
        }
        for (rows, reach) in [
            (&mut self.photo, Pixels::BEFORE),
            (&mut self.extremes, REACH + 1),
            (&mut self.flat, 1),
            (&mut self.neutral, 1),
        ] {
            rows.forget_before(y.saturating_sub(reach));
        }
        let pixels = self.pixels.at(y, &self.photo);
        let colours = self.photo.get(y as isize).unwrap_or_default().to_vec();
        match &mut self.softened {
            None => Given { colours, pixels },
            Some(softened) => softened.given(y, &self.photo, Given { colours, pixels }),
        }
    }

    fn extremes_of(&self, row: &[f32]) -> Vec<f32> {
        let mut all = row.to_vec();
        all.extend(row.iter().map(|v| -v));
        let (r, rest) = row.split_at(self.width);
        let (g, b) = rest.split_at(self.width);
        all.extend(
            r.iter()
                .zip(g)
                .zip(b)
                .map(|((r, g), b)| r.max(*g).max(*b) - r.min(*g).min(*b)),
        );
        largest_along(&all, self.width, REACH)
    }

    /// The result's rows of the row of the photo that was given last, `[3, scale, width * scale]`, within `[0, 1]`.
    pub(super) fn apply(&self, mut cells: Vec<f32>, scale: usize) -> Vec<f32> {
        let y = self.next as isize - 1;
        // What is no number would spread from here.
        cells
            .iter_mut()
            .for_each(|v| *v = if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) });
        let wide = self.width * scale;
        let plane = scale * wide;
        for part in 0..scale {
            let place = (self.width, part, scale);
            if let Some(neutral) = amount(&self.neutral, y, place) {
                let row = part * wide;
                for (x, n) in neutral.iter().enumerate().filter(|(_, n)| **n > 0.0) {
                    let at = [row + x, plane + row + x, 2 * plane + row + x];
                    let mean = (cells[at[0]] + cells[at[1]] + cells[at[2]]) / 3.0;
                    for i in at {
                        cells[i] = mean + (1.0 - n) * (cells[i] - mean);
                    }
                }
            }
            if let Some(flat) = amount(&self.flat, y, place) {
                let rows = [y - 1, y, y + 1].map(|y| self.photo.get(y).unwrap_or_default());
                let mut smooth = vec![0.0; COLOURS * wide];
                interpolate(rows, place, &mut smooth);
                for (c, smooth) in smooth.chunks_exact(wide).enumerate() {
                    let row = &mut cells[c * plane + part * wide..][..wide];
                    for ((v, s), f) in row.iter_mut().zip(smooth).zip(&flat) {
                        *v = s + (1.0 - f) * (*v - s);
                    }
                }
            }
        }
        cells
    }
}

impl Softened {
    /// Row `y` as it is where all around is opaque, elsewhere its colours softened and no pixels.
    fn given(&mut self, y: usize, photo: &Rows, as_it_is: Given) -> Given {
        let unseen = self.unseen.largest(y, OPAQUE);
        self.unseen.forget_before((y + 1).saturating_sub(OPAQUE));
        let Some(unseen) = unseen else { return as_it_is };
        let Given {
            mut colours,
            mut pixels,
        } = as_it_is;
        let width = unseen.len();
        let rows = photo.weighed(y, &self.weights, SOFT).unwrap_or_default();
        let soft = along(&rows, width, &self.weights);
        for (i, (colour, soft)) in colours.iter_mut().zip(soft).enumerate() {
            if unseen[i % width] > 0.0 {
                *colour = soft;
            }
        }
        for (sure, unseen) in pixels.iter_mut().flatten().zip(&unseen) {
            *sure = if *unseen > 0.0 { 0.0 } else { *sure };
        }
        Given { colours, pixels }
    }
}

/// One of the `scale` output rows of row `y` of amounts, 0 to 1; none where it is all 0.
pub(super) fn amount(rows: &Rows, y: isize, (width, part, scale): (usize, usize, usize)) -> Option<Vec<f32>> {
    let near = [y - 1, y, y + 1].map(|y| rows.get(y));
    near.iter().any(Option::is_some).then(|| {
        let zero = vec![0.0; width];
        let mut out = vec![0.0; width * scale];
        interpolate(
            near.map(|row| row.unwrap_or(&zero)),
            (width, part, scale),
            &mut out,
        );
        // What is wholly so stays so, to the bit.
        for v in &mut out {
            *v = if *v > 0.9999 { 1.0 } else { *v };
        }
        out
    })
}
