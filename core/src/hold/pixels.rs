//! Where a photo is made of pixels rather than of an image: dithering, halftones, patterns of single pixels, pixel art.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use super::rows::{Rows, along, largest_along, mirrored, ramp};
use crate::Size;
use crate::resample::reflect;

/// Columns and rows to where a pattern may come again.
const STEPS: [(isize, isize); 20] = [
    (2, 0),
    (3, 0),
    (4, 0),
    (-2, 0),
    (-3, 0),
    (-4, 0),
    (0, 2),
    (0, 3),
    (0, 4),
    (0, -2),
    (0, -3),
    (0, -4),
    (2, 2),
    (-2, 2),
    (2, -2),
    (-2, -2),
    (3, 3),
    (-3, 3),
    (3, -3),
    (-3, -3),
];
/// The longest of these, and half the side of the square over which is averaged.
const REACH: usize = 4;
/// Pixels are alike up to one level.
const ALIKE: f32 = 1.01 / 255.0;
/// Share of [`STEPS`] that lead to a pixel alike: up to the first it is chance, from the second on a pattern. Noise of two levels has 0.2.
const SHARE: [f32; 2] = [0.35, 0.45];
/// How much values rise and fall again along lines and columns: up to the first there is no pattern to lose. An edge only rises.
const BUSY: [f32; 2] = [60.0 / 255.0, 100.0 / 255.0];
/// From here on no photograph is as busy, alike or not.
const BUSIEST: [f32; 2] = [110.0 / 255.0, 150.0 / 255.0];
/// Input pixels by which what is found is widened.
const WIDEN: usize = 2;

/// Looks for pixels ahead of the row that is asked for.
#[derive(Debug)]
pub(super) struct Pixels {
    width: usize,
    height: usize,
    /// How much values rise and fall to the next pixel and to the next row, each a line, averaged along it.
    changes: Rows,
    /// Share of pixels alike, averaged along rows, of those rows where it matters: few photographs have any.
    shares: BTreeMap<usize, Vec<f32>>,
    /// How sure it is, 0 to 1.
    found: Rows,
}

impl Pixels {
    /// Rows of the photo that are needed from the one that is asked for on, and before it.
    pub(super) const AHEAD: usize = 2 * REACH + WIDEN + 1;
    pub(super) const BEFORE: usize = 2 * REACH;

    pub(super) fn new(size: Size) -> Self {
        let Size { width, height } = size;
        Self {
            width,
            height,
            changes: Rows::new(height),
            shares: BTreeMap::new(),
            found: Rows::new(height),
        }
    }

    /// How surely the photo is made of pixels about row `y`, 0 to 1; none where it is nowhere. Rows are asked for in turn.
    pub(super) fn at(&mut self, y: usize, photo: &Rows) -> Option<Vec<f32>> {
        while self.changes.come() < self.height.min(y + REACH + WIDEN + 1) {
            let row = self.changes_of(self.changes.come(), photo);
            self.changes.push(Some(row));
        }
        while self.found.come() < self.height.min(y + WIDEN + 1) {
            let y = self.found.come();
            let changes = self.changes.weighed(y, &MEAN, REACH).unwrap_or_default();
            let at = |line: usize, x: usize| changes[line * self.width + x];
            let busy: Vec<f32> = (0..self.width)
                .map(|x| 2.0 * (at(0, x).min(at(1, x)) + at(2, x).min(at(3, x))))
                .collect();
            self.changes.forget_before((y + 1).saturating_sub(REACH));
            let sure = busy.iter().any(|b| *b > BUSY[0]).then(|| {
                let share = self.share(y, photo);
                let sure = share.iter().zip(&busy).map(|(share, busy)| {
                    let pattern = ramp(*share, SHARE[0], SHARE[1]) * ramp(*busy, BUSY[0], BUSY[1]);
                    pattern.max(ramp(*busy, BUSIEST[0], BUSIEST[1]))
                });
                sure.collect()
            });
            self.found.push(sure);
            self.shares.retain(|row, _| row + REACH > y);
        }
        let found = self.found.largest(y, WIDEN);
        self.found.forget_before((y + 1).saturating_sub(WIDEN));
        found.map(|row| largest_along(&row, self.width, WIDEN))
    }

    /// How much values rise and fall from row `y` on, averaged along it.
    fn changes_of(&self, y: usize, photo: &Rows) -> Vec<f32> {
        let width = self.width;
        let mut changes = vec![0.0; 4 * width];
        for (first, across, down) in [(0, 1, 0), (2, 0, 1)] {
            let lines = changes[first * width..(first + 2) * width].split_at_mut(width);
            let pairs = lines.0.iter_mut().zip(lines.1);
            for ((rise, fall), d) in pairs.zip(differences(photo, width, y, (across, down))) {
                (*rise, *fall) = (d.max(0.0), (-d).max(0.0));
            }
        }
        along(&changes, width, &MEAN)
    }

    /// The share of pixels alike about row `y`.
    fn share(&mut self, y: usize, photo: &Rows) -> Vec<f32> {
        let width = self.width;
        let mut sum = vec![0.0; width];
        for i in 0..=2 * REACH {
            let row = reflect((y + i) as isize - REACH as isize, self.height);
            let share = self.shares.entry(row).or_insert_with(|| {
                let mut share = vec![0.0; width];
                for step in STEPS {
                    let alike = differences(photo, width, row, step).map(|d| d.abs() <= ALIKE);
                    share
                        .iter_mut()
                        .zip(alike)
                        .for_each(|(s, alike)| *s += f32::from(u8::from(alike)));
                }
                share.iter_mut().for_each(|s| *s /= STEPS.len() as f32);
                along(&share, width, &MEAN)
            });
            sum.iter_mut()
                .zip(share)
                .for_each(|(s, v)| *s += *v / MEAN.len() as f32);
        }
        sum
    }
}

/// The mean over a square.
const MEAN: [f32; 2 * REACH + 1] = [1.0 / (2 * REACH + 1) as f32; 2 * REACH + 1];

/// For each pixel of row `y` the difference to the one so many columns and rows away, of the channel that differs most.
fn differences(
    photo: &Rows,
    width: usize,
    y: usize,
    (across, down): (isize, isize),
) -> impl Iterator<Item = f32> {
    let here = photo.get(y as isize).unwrap_or_default();
    let there = photo.get(y as isize + down).unwrap_or_default();
    let mut most: Vec<f32> = vec![0.0; width];
    for (here, there) in here.chunks_exact(width).zip(there.chunks_exact(width)) {
        let there = mirrored(there, REACH, REACH);
        let there = &there[(REACH as isize + across) as usize..];
        for ((m, a), b) in most.iter_mut().zip(here).zip(there) {
            let d = b - a;
            *m = if d.abs() > m.abs() { d } else { *m };
        }
    }
    most.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alpha::COLOURS;
    use crate::random::SplitMix64;

    /// How sure it is in the middle of a photo.
    fn sure(colour: impl Fn(usize, usize) -> f32) -> f32 {
        let (width, height) = (40, 36);
        let mut photo = Rows::new(height);
        for y in 0..height {
            let row: Vec<f32> = (0..width).map(|x| colour(x, y)).collect();
            photo.push(Some([&row[..]; COLOURS].concat()));
        }
        let mut pixels = Pixels::new(Size::new(width, height));
        let rows: Vec<_> = (0..height).map(|y| pixels.at(y, &photo)).collect();
        rows[18].as_ref().map_or(0.0, |row| row[20])
    }

    #[test]
    fn patterns_are_found_and_photographs_are_not() {
        let mut random = SplitMix64::new(3);
        let grain: Vec<f32> = (0..40 * 36)
            .map(|_| 25.0 / 255.0 * random.normal() as f32)
            .collect();
        let bits: Vec<f32> = (0..40 * 36).map(|_| (random.next_u64() % 2) as f32).collect();
        for period in 2..=4 {
            assert_eq!(
                sure(|x, y| f32::from(u8::from(x.is_multiple_of(period) == y.is_multiple_of(period)))),
                1.0
            );
        }
        assert!(sure(|x, y| bits[y * 40 + x]) > 0.9, "dithering");
        let soft = |x: usize, y: usize| 0.5 + 0.3 * libm::sinf(0.2 * x as f32 + 0.1 * y as f32);
        assert_eq!(sure(soft), 0.0, "a smooth photo");
        assert_eq!(sure(|x, y| soft(x, y) + grain[y * 40 + x]), 0.0, "a noisy photo");
        assert_eq!(sure(|x, _| if x < 20 { 0.1 } else { 0.9 }), 0.0, "an edge");
    }
}
