//! Motion from one frame of a video to the next: translations on a grid of points, by the method of Lucas and Kanade (1981) in its inverse
//! compositional form (Baker and Matthews 2004), from coarse to fine over a pyramid.

use alloc::vec;
use alloc::vec::Vec;

use crate::metrics::luma;
use crate::resample::reflect;
use crate::{Error, Planes, Result, Size};

/// Distance of the grid's points in pixels.
const STEP: usize = 4;
/// Half the side of the window that is matched around a point.
const REACH: isize = 6;
/// Shortest side of the coarsest level.
const COARSEST: usize = 24;
/// Steps of refinement at each level.
const ROUNDS: usize = 4;
/// Largest step of one of them in pixels.
const STRIDE: f32 = 1.0;
/// Added to the matrix of gradients, in squared grey levels a pixel: holds points in place where there is nothing to follow.
const STIFFNESS: f32 = 4.0;

/// Where each pixel of a frame was in the frame before: `next(x) = previous(x + v(x))`, where nothing was covered.
#[derive(Debug, Clone)]
pub struct Motion {
    size: Size,
    grid: Grid,
}

/// Vectors at the points `(STEP i, STEP j)` of an image.
#[derive(Debug, Clone)]
struct Grid {
    columns: usize,
    rows: usize,
    vectors: Vec<[f32; 2]>,
}

/// A grey image.
struct Grey {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Motion {
    /// Estimates the motion between two frames of RGB in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`] when the frames differ in size or have fewer than three channels.
    pub fn estimate(previous: &Planes, next: &Planes) -> Result<Self> {
        if previous.size() != next.size() || previous.channels() < 3 || next.channels() < 3 {
            return Err(Error::Size(
                "frames of one video have one size, and colours".into(),
            ));
        }
        let (before, after) = (pyramid(previous), pyramid(next));
        let mut grid: Option<Grid> = None;
        for (before, after) in before.iter().zip(&after).rev() {
            grid = Some(refined(before, after, grid.as_ref()));
        }
        let size = next.size();
        let grid = grid.unwrap_or_else(|| Grid::still(size.width, size.height));
        Ok(Self { size, grid })
    }

    /// The vector at a pixel of the next frame, in pixels to the right and down, between the grid's points by straight lines.
    pub fn at(&self, x: usize, y: usize) -> [f32; 2] {
        self.grid.at(x as f32, y as f32)
    }

    /// The next frame as far as the one before tells it: each pixel taken from where it was, by cubic interpolation (Keys 1981), in any
    /// channels.
    ///
    /// # Errors
    /// [`Error::Size`] when the frame has another size.
    pub fn warp(&self, previous: &Planes) -> Result<Planes> {
        if previous.size() != self.size {
            return Err(Error::Size("motion between frames of another size".into()));
        }
        let Size { width, height } = self.size;
        let mut out = Planes::zeros(previous.channels(), height, width);
        for y in 0..height {
            for x in 0..width {
                let [dx, dy] = self.at(x, y);
                let (columns, across) = taps(x as f32 + dx, width);
                let (rows, down) = taps(y as f32 + dy, height);
                for c in 0..previous.channels() {
                    let mut sum = 0.0;
                    for (row, share) in rows.iter().zip(down) {
                        let line = previous.row(c, *row);
                        let along: f32 = columns.iter().zip(across).map(|(i, w)| line[*i] * w).sum();
                        sum += share * along;
                    }
                    out.row_mut(c, y)[x] = sum;
                }
            }
        }
        Ok(out)
    }
}

impl Grid {
    fn still(width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(STEP), height.div_ceil(STEP));
        Self {
            columns,
            rows,
            vectors: vec![[0.0; 2]; columns * rows],
        }
    }

    fn get(&self, column: usize, row: usize) -> [f32; 2] {
        self.vectors[row.min(self.rows - 1) * self.columns + column.min(self.columns - 1)]
    }

    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (u, v) = ((x / STEP as f32).max(0.0), (y / STEP as f32).max(0.0));
        let (column, row) = (u as usize, v as usize);
        let (a, b) = (u - column as f32, v - row as f32);
        let of = |i: usize, j: usize| self.get(column + i, row + j);
        let (tl, tr, bl, br) = (of(0, 0), of(1, 0), of(0, 1), of(1, 1));
        [0, 1].map(|k| (1.0 - b) * ((1.0 - a) * tl[k] + a * tr[k]) + b * ((1.0 - a) * bl[k] + a * br[k]))
    }

    /// The same with each coordinate the median of its neighbourhood: what a few points alone say is not believed.
    fn smoothed(&self) -> Self {
        let mut out = self.clone();
        for row in 0..self.rows {
            for column in 0..self.columns {
                let near =
                    |n: usize, d: isize, most: usize| (n as isize + d).clamp(0, most as isize - 1) as usize;
                let around: [[f32; 2]; 9] = core::array::from_fn(|i| {
                    let (dx, dy) = (i as isize % 3 - 1, i as isize / 3 - 1);
                    self.get(near(column, dx, self.columns), near(row, dy, self.rows))
                });
                out.vectors[row * self.columns + column] = [0, 1].map(|k| {
                    let mut values = around.map(|vector| vector[k]);
                    values.sort_by(f32::total_cmp);
                    values[4]
                });
            }
        }
        out
    }
}

impl Grey {
    fn get(&self, x: isize, y: isize) -> f32 {
        self.values[reflect(y, self.height) * self.width + reflect(x, self.width)]
    }

    /// Between pixels by straight lines.
    fn at(&self, x: f32, y: f32) -> f32 {
        let (left, top) = (libm::floorf(x), libm::floorf(y));
        let (a, b) = (x - left, y - top);
        let (i, j) = (left as isize, top as isize);
        (1.0 - b) * ((1.0 - a) * self.get(i, j) + a * self.get(i + 1, j))
            + b * ((1.0 - a) * self.get(i, j + 1) + a * self.get(i + 1, j + 1))
    }

    /// Half as large, each pixel the mean of four.
    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut values = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let of = |i: usize, j: usize| self.values[(2 * y + j) * self.width + 2 * x + i];
                values.push((of(0, 0) + of(1, 0) + of(0, 1) + of(1, 1)) / 4.0);
            }
        }
        Self {
            width,
            height,
            values,
        }
    }
}

/// A frame's luma in grey levels, the finest level first.
fn pyramid(frame: &Planes) -> Vec<Grey> {
    let finest = Grey {
        width: frame.width(),
        height: frame.height(),
        values: luma(frame).into_iter().map(|v| v as f32).collect(),
    };
    let mut levels = vec![finest];
    while let Some(last) = levels.last().filter(|l| l.width.min(l.height) >= 2 * COARSEST) {
        levels.push(last.halved());
    }
    levels
}

/// Cubic taps at a place of a line: where they are, and their weights.
fn taps(at: f32, length: usize) -> ([usize; 4], [f32; 4]) {
    let first = libm::floorf(at);
    let t = at - first;
    let index = [-1, 0, 1, 2].map(|k| reflect(first as isize + k, length));
    // Keys' kernel with a = -0.5, at 1 + t, t, 1 - t and 2 - t.
    let near = |x: f32| (1.5 * x - 2.5) * x * x + 1.0;
    let far = |x: f32| ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    (index, [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)])
}

/// The motion at a level from that at the coarser one.
fn refined(before: &Grey, after: &Grey, coarser: Option<&Grid>) -> Grid {
    let mut grid = Grid::still(after.width, after.height);
    for row in 0..grid.rows {
        for column in 0..grid.columns {
            let window = Window::new(after, column * STEP, row * STEP);
            // What the coarser level says here and around, and nothing at all: the best is refined.
            let mut starts = vec![[0.0; 2]];
            if let Some(coarser) = coarser {
                let (x, y) = ((column * STEP) as f32 / 2.0, (row * STEP) as f32 / 2.0);
                let reach = STEP as f32;
                for (dx, dy) in [
                    (0.0, 0.0),
                    (-reach, 0.0),
                    (reach, 0.0),
                    (0.0, -reach),
                    (0.0, reach),
                ] {
                    starts.push(coarser.at(x + dx, y + dy).map(|v| 2.0 * v));
                }
            }
            let cost = |vector: &[f32; 2]| window.error(before, *vector);
            let best = starts
                .into_iter()
                .map(|vector| (cost(&vector), vector))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let (error, vector) = best.unwrap_or_default();
            grid.vectors[row * grid.columns + column] = window.refine(before, vector, error);
        }
    }
    grid.smoothed()
}

/// What lies around a point of the next frame.
struct Window<'a> {
    after: &'a Grey,
    x: usize,
    y: usize,
    /// The inverse of the matrix of its gradients.
    inverse: [f32; 3],
}

impl<'a> Window<'a> {
    fn new(after: &'a Grey, x: usize, y: usize) -> Self {
        let mut window = Self {
            after,
            x,
            y,
            inverse: [0.0; 3],
        };
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        window.each(|i, j| {
            let [gx, gy] = window.gradient(i, j);
            xx += gx * gx;
            xy += gx * gy;
            yy += gy * gy;
        });
        let side = (2 * REACH + 1) as f32;
        let (xx, yy) = (xx + STIFFNESS * side * side, yy + STIFFNESS * side * side);
        let determinant = xx * yy - xy * xy;
        window.inverse = [yy / determinant, -xy / determinant, xx / determinant];
        window
    }

    /// Calls with each pixel.
    fn each(&self, mut call: impl FnMut(isize, isize)) {
        for j in -REACH..=REACH {
            for i in -REACH..=REACH {
                call(self.x as isize + i, self.y as isize + j);
            }
        }
    }

    fn gradient(&self, i: isize, j: isize) -> [f32; 2] {
        let of = |di, dj| self.after.get(i + di, j + dj);
        [(of(1, 0) - of(-1, 0)) / 2.0, (of(0, 1) - of(0, -1)) / 2.0]
    }

    /// The sum of absolute differences from the frame before, so far away.
    fn error(&self, before: &Grey, [dx, dy]: [f32; 2]) -> f32 {
        let mut sum = 0.0;
        self.each(|i, j| sum += (before.at(i as f32 + dx, j as f32 + dy) - self.after.get(i, j)).abs());
        sum
    }

    /// A vector that fits at least as well as the given one of that error.
    fn refine(&self, before: &Grey, mut vector: [f32; 2], mut error: f32) -> [f32; 2] {
        for _ in 0..ROUNDS {
            let (mut bx, mut by) = (0.0, 0.0);
            self.each(|i, j| {
                let difference = before.at(i as f32 + vector[0], j as f32 + vector[1]) - self.after.get(i, j);
                let [gx, gy] = self.gradient(i, j);
                bx += gx * difference;
                by += gy * difference;
            });
            let [a, b, c] = self.inverse;
            let step = [a * bx + b * by, b * bx + c * by].map(|v| v.clamp(-STRIDE, STRIDE));
            let next = [vector[0] - step[0], vector[1] - step[1]];
            let its = self.error(before, next);
            if its >= error {
                break;
            }
            (vector, error) = (next, its);
        }
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A texture of waves that is known between pixels too, seen from `(dx, dy)` on.
    fn texture(size: Size, place: impl Fn(f64, f64) -> (f64, f64)) -> Planes {
        let Size { width, height } = size;
        let mut image = Planes::zeros(3, height, width);
        for y in 0..height {
            for x in 0..width {
                let (u, v) = place(x as f64, y as f64);
                let wave = |a: f64, b: f64, c: f64| libm::sin(a * u + b * v + c);
                let value = 0.5
                    + 0.12 * wave(0.21, 0.05, 0.0)
                    + 0.12 * wave(-0.07, 0.19, 1.0)
                    + 0.1 * wave(0.43, 0.31, 2.0)
                    + 0.08 * wave(0.55, -0.62, 3.0);
                (0..3).for_each(|c| image.row_mut(c, y)[x] = value as f32);
            }
        }
        image
    }

    /// The mean distance of estimated vectors from those that are known, away from the border.
    fn missed(motion: &Motion, known: impl Fn(f64, f64) -> (f64, f64)) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for y in (16..motion.size.height - 16).step_by(3) {
            for x in (16..motion.size.width - 16).step_by(3) {
                let [dx, dy] = motion.at(x, y);
                let (u, v) = known(x as f64, y as f64);
                sum += libm::hypot(f64::from(dx) - u, f64::from(dy) - v);
                count += 1;
            }
        }
        sum / f64::from(count)
    }

    #[test]
    fn translations_are_found_to_a_fraction_of_a_pixel() {
        let size = Size::new(120, 96);
        for (dx, dy) in [(0.0, 0.0), (0.4, -0.3), (3.0, 1.5), (-7.3, 4.6), (12.0, -9.0)] {
            let before = texture(size, |x, y| (x, y));
            let after = texture(size, |x, y| (x + dx, y + dy));
            let motion = Motion::estimate(&before, &after).expect("one size");
            let missed = missed(&motion, |_, _| (dx, dy));
            assert!(missed < 0.08, "{dx} {dy}: {missed}");
            // What is warped is the next frame, but for what came in from outside.
            let warped = motion.warp(&before).expect("one size");
            let mut worst = 0.0_f32;
            for y in 24..72 {
                for x in 24..96 {
                    worst = worst.max((warped.row(0, y)[x] - after.row(0, y)[x]).abs());
                }
            }
            assert!(worst < 0.05, "{dx} {dy}: {worst}");
        }
    }

    #[test]
    fn turning_and_zooming_are_found() {
        let size = Size::new(128, 128);
        let (turn, zoom) = (0.04_f64, 1.03);
        let place = |x: f64, y: f64| {
            let (u, v) = (x - 64.0, y - 64.0);
            let (sin, cos) = (libm::sin(turn), libm::cos(turn));
            (
                64.0 + zoom * (cos * u - sin * v),
                64.0 + zoom * (sin * u + cos * v),
            )
        };
        let (before, after) = (texture(size, |x, y| (x, y)), texture(size, place));
        let motion = Motion::estimate(&before, &after).expect("one size");
        let known = |x: f64, y: f64| {
            let (u, v) = place(x, y);
            (u - x, v - y)
        };
        let missed = missed(&motion, known);
        assert!(missed < 0.15, "{missed}");
    }

    #[test]
    fn what_has_no_texture_stays_in_place() {
        let flat = Planes::new(3, 40, 40, vec![0.5; 4800]).expect("sizes agree");
        let motion = Motion::estimate(&flat, &flat).expect("one size");
        assert_eq!(motion.at(20, 20), [0.0, 0.0]);
        let warped = motion.warp(&flat).expect("one size");
        assert!(warped.data().iter().all(|v| (v - 0.5).abs() < 1e-6));
        let other = Planes::zeros(3, 40, 41);
        assert!(matches!(Motion::estimate(&flat, &other), Err(Error::Size(_))));
        assert!(matches!(motion.warp(&other), Err(Error::Size(_))));
    }
}
