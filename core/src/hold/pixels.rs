//! Where a photo is made of pixels rather than of an image: dithering, halftones, patterns of single pixels, pixel art.

use alloc::{vec, vec::Vec};

use super::rows::{Rows, along, largest_along, mirrored, ramp};

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
    /// Share of pixels alike, and how much values rise and fall to the next pixel and to the next row, each a line, averaged along it.
    seen: Rows,
    /// How sure it is, 0 to 1.
    found: Rows,
}

impl Pixels {
    /// Rows of the photo that are needed from the one that is asked for on.
    pub(super) const AHEAD: usize = 2 * REACH + WIDEN + 1;

    pub(super) fn new((width, height): (usize, usize)) -> Self {
        Self {
            width,
            height,
            seen: Rows::new(height),
            found: Rows::new(height),
        }
    }

    /// How surely the photo is made of pixels about row `y`, 0 to 1; none where it is nowhere. Rows are asked for in turn.
    pub(super) fn at(&mut self, y: usize, photo: &Rows) -> Option<Vec<f32>> {
        while self.seen.come() < self.height.min(y + REACH + WIDEN + 1) {
            let row = self.look(self.seen.come(), photo);
            self.seen.push(Some(row));
        }
        while self.found.come() < self.height.min(y + WIDEN + 1) {
            let y = self.found.come();
            let mean = [1.0 / (2 * REACH + 1) as f32; 2 * REACH + 1];
            let seen = self.seen.weighed(y, &mean, REACH).unwrap_or_default();
            let at = |line: usize, x: usize| seen[line * self.width + x];
            let sure = (0..self.width).map(|x| {
                let busy = 2.0 * (at(1, x).min(at(2, x)) + at(3, x).min(at(4, x)));
                let pattern = ramp(at(0, x), SHARE[0], SHARE[1]) * ramp(busy, BUSY[0], BUSY[1]);
                pattern.max(ramp(busy, BUSIEST[0], BUSIEST[1]))
            });
            let sure: Vec<f32> = sure.collect();
            self.found.push(sure.iter().any(|s| *s > 0.0).then_some(sure));
            self.seen.forget_before((y + 1).saturating_sub(REACH));
        }
        let found = self.found.largest(y, WIDEN);
        self.found.forget_before((y + 1).saturating_sub(WIDEN));
        found.map(|row| largest_along(&row, self.width, WIDEN))
    }

    /// What there is to see in row `y`.
    fn look(&self, y: usize, photo: &Rows) -> Vec<f32> {
        let width = self.width;
        let line = |y: isize| photo.get(y).unwrap_or_default();
        let here = line(y as isize);
        let mut seen = vec![0.0; 5 * width];
        // Of the pixels so many columns and rows away the difference of the channel that differs most.
        let mut most: Vec<f32> = vec![0.0; width];
        let mut differ = |across: isize, down: isize, tell: &mut dyn FnMut(usize, f32)| {
            most.fill(0.0);
            for (c, other) in line(y as isize + down).chunks_exact(width).enumerate() {
                let other = mirrored(other, REACH, REACH);
                let other = &other[(REACH as isize + across) as usize..];
                let pairs = here[c * width..].iter().zip(other);
                for (m, (a, b)) in most.iter_mut().zip(pairs) {
                    let d = b - a;
                    *m = if d.abs() > m.abs() { d } else { *m };
                }
            }
            most.iter().enumerate().for_each(|(x, d)| tell(x, *d));
        };
        for (across, down) in STEPS {
            differ(across, down, &mut |x, d| {
                seen[x] += if d.abs() <= ALIKE {
                    1.0 / STEPS.len() as f32
                } else {
                    0.0
                };
            });
        }
        for (first, across, down) in [(1, 1, 0), (3, 0, 1)] {
            differ(across, down, &mut |x, d| {
                seen[first * width + x] = d.max(0.0);
                seen[(first + 1) * width + x] = (-d).max(0.0);
            });
        }
        let mean = [1.0 / (2 * REACH + 1) as f32; 2 * REACH + 1];
        along(&seen, width, &mean)
    }
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
        let mut pixels = Pixels::new((width, height));
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
