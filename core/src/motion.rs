//! Motion from one frame of a video to the next: translations on a grid of points, by the method of Lucas and Kanade (1981) in its inverse
//! compositional form (Baker and Matthews 2004), from coarse to fine over a pyramid, as in dense inverse search (Kroeger et al. 2016).

use alloc::vec;
use alloc::vec::Vec;

use crate::exec::for_each;
use crate::metrics::luma;
use crate::resample::reflect;
use crate::{Error, Planes, Result, Size};

/// How closely it is looked.
#[derive(Debug, Clone, Copy)]
struct Search {
    /// Distance of the grid's points in pixels.
    step: usize,
    /// Side of the window that is matched around a point, at most [`WIDEST`].
    side: usize,
}

/// For measurements.
const THOROUGH: Search = Search { step: 4, side: 13 };
/// For videos while they play: an eighth of the work.
const QUICK: Search = Search { step: 8, side: 12 };
/// Most of a window's side.
const WIDEST: usize = 13;

/// Shortest side of the coarsest level.
const COARSEST: usize = 24;
/// Steps of refinement at each level.
const ROUNDS: usize = 4;
/// Largest step of one of them in pixels.
const STRIDE: f32 = 1.0;
/// Added to the matrix of gradients, in squared grey levels a pixel: holds points in place where there is nothing to follow.
const STIFFNESS: f32 = 4.0;

/// Side of the squares that [`Motion::carry`] moves as a whole, in pixels of the frame.
pub const CELL: usize = 4;

/// Where each pixel of a frame was in the frame before: `next(x) = previous(x + v(x))`, where nothing was covered.
#[derive(Debug, Clone)]
pub struct Motion {
    size: Size,
    grid: Grid,
}

/// Vectors at the points `(step i, step j)` of an image.
#[derive(Debug, Clone)]
struct Grid {
    step: usize,
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
        Self::of(previous, next, THOROUGH)
    }

    /// The same in an eighth of the time, for what moves smoothly over some eight pixels.
    ///
    /// # Errors
    /// As [`Self::estimate`].
    pub fn quick(previous: &Planes, next: &Planes) -> Result<Self> {
        Self::of(previous, next, QUICK)
    }

    fn of(previous: &Planes, next: &Planes, search: Search) -> Result<Self> {
        if previous.size() != next.size() || previous.channels() < 3 || next.channels() < 3 {
            return Err(Error::Size(
                "frames of one video have one size, and colours".into(),
            ));
        }
        let (before, after) = (pyramid(previous), pyramid(next));
        let mut grid: Option<Grid> = None;
        for (before, after) in before.iter().zip(&after).rev() {
            grid = Some(refined(before, after, grid.as_ref(), search));
        }
        let size = next.size();
        let grid = grid.unwrap_or_else(|| Grid::still(size, search.step));
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
            return Err(other_size());
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

    /// An image of the frame before, `scale` times its size, moved to the next one: squares of [`CELL`] pixels of the frame move as a whole,
    /// by cubic interpolation. In any channels; much faster than [`Self::warp`].
    ///
    /// # Errors
    /// [`Error::Size`] when the image is not of that size; [`Error::Scale`] for other scales than 1, 2 and 4.
    pub fn carry(&self, image: &Planes, scale: usize) -> Result<Planes> {
        if ![1, 2, 4].contains(&scale) {
            return Err(Error::Scale { scale, most: 4 });
        }
        let size = self.size.times(scale);
        if image.size() != size {
            return Err(other_size());
        }
        let side = CELL * scale;
        let mut out = Planes::zeros(image.channels(), size.height, size.width);
        let channels = out.data_mut().chunks_exact_mut(size.pixels());
        let bands = channels.enumerate().flat_map(|(c, plane)| {
            let bands = plane.chunks_mut(side * size.width);
            bands.enumerate().map(move |(row, band)| (c, row, band))
        });
        for_each(bands.collect(), |(c, row, band): (usize, usize, &mut [f32])| {
            let of = |i: usize| (i * CELL) as f32 + (CELL - 1) as f32 / 2.0;
            let vector = |column: usize| self.grid.at(of(column), of(row)).map(|v| v * scale as f32);
            let plane = (image.plane(c), size);
            match scale {
                1 => carry_band::<CELL>(plane, row, band, vector),
                2 => carry_band::<{ 2 * CELL }>(plane, row, band, vector),
                _ => carry_band::<{ 4 * CELL }>(plane, row, band, vector),
            }
        });
        Ok(out)
    }
}

/// Moves a row of squares of `SIDE` pixels at most, which lie `SIDE` apart, each by the vector of its column.
fn carry_band<const SIDE: usize>(
    (plane, size): (&[f32], Size),
    row: usize,
    band: &mut [f32],
    vector: impl Fn(usize) -> [f32; 2],
) {
    let rows = band.len() / size.width;
    let mut patch = vec![0.0; (SIDE + 3) * (SIDE + 3)];
    for (column, left) in (0..size.width).step_by(SIDE).enumerate() {
        let vector = vector(column);
        let first = vector.map(libm::floorf);
        let [across, down] = [0, 1].map(|i| cubic(vector[i] - first[i]));
        let (x, y) = (
            left as isize + first[0] as isize - 1,
            (row * SIDE) as isize + first[1] as isize - 1,
        );
        let (from, stride) = around((plane, size), (x, y), SIDE + 3, &mut patch);
        let mut along = [[0.0; SIDE]; 4];
        let columns = SIDE.min(size.width - left);
        for j in 0..rows + 3 {
            let line = &from[j * stride..][..SIDE + 3];
            let made = &mut along[j % 4];
            for i in 0..SIDE {
                made[i] = across[0] * line[i]
                    + across[1] * line[i + 1]
                    + across[2] * line[i + 2]
                    + across[3] * line[i + 3];
            }
            let Some(y) = j.checked_sub(3) else { continue };
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| &along[(y + k) % 4]);
            let mut sums = [0.0; SIDE];
            for i in 0..SIDE {
                sums[i] = down[0] * a[i] + down[1] * b[i] + down[2] * c[i] + down[3] * d[i];
            }
            band[y * size.width + left..][..columns].copy_from_slice(&sums[..columns]);
        }
    }
}

/// A square of a plane, and the distance of its rows: where it lies, or where it is not all inside a copy that is reflected at the edges.
fn around<'a>(
    (plane, size): (&'a [f32], Size),
    (x, y): (isize, isize),
    side: usize,
    copy: &'a mut [f32],
) -> (&'a [f32], usize) {
    let inside = |at: isize, n: usize| at >= 0 && at as usize + side <= n;
    if inside(x, size.width) && inside(y, size.height) {
        return (&plane[y as usize * size.width + x as usize..], size.width);
    }
    for (j, out) in copy.chunks_exact_mut(side).take(side).enumerate() {
        let line = &plane[reflect(y + j as isize, size.height) * size.width..][..size.width];
        for (i, o) in out.iter_mut().enumerate() {
            *o = line[reflect(x + i as isize, size.width)];
        }
    }
    (copy, side)
}

fn other_size() -> Error {
    Error::Size("motion between frames of another size".into())
}

impl Grid {
    fn still(size: Size, step: usize) -> Self {
        let (columns, rows) = (size.width.div_ceil(step), size.height.div_ceil(step));
        Self {
            step,
            columns,
            rows,
            vectors: vec![[0.0; 2]; columns * rows],
        }
    }

    fn get(&self, column: usize, row: usize) -> [f32; 2] {
        self.vectors[row.min(self.rows - 1) * self.columns + column.min(self.columns - 1)]
    }

    fn at(&self, x: f32, y: f32) -> [f32; 2] {
        let (u, v) = ((x / self.step as f32).max(0.0), (y / self.step as f32).max(0.0));
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
    fn size(&self) -> Size {
        Size::new(self.width, self.height)
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
    let index = [-1, 0, 1, 2].map(|k| reflect(first as isize + k, length));
    (index, cubic(at - first))
}

/// Keys' kernel with a = -0.5, at 1 + t, t, 1 - t and 2 - t.
fn cubic(t: f32) -> [f32; 4] {
    let near = |x: f32| (1.5 * x - 2.5) * x * x + 1.0;
    let far = |x: f32| ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0;
    [far(1.0 + t), near(t), near(1.0 - t), far(2.0 - t)]
}

/// The motion at a level from that at the coarser one.
fn refined(before: &Grey, after: &Grey, coarser: Option<&Grid>, search: Search) -> Grid {
    let step = search.step;
    let mut grid = Grid::still(after.size(), step);
    let rows = grid.vectors.chunks_mut(grid.columns).enumerate();
    for_each(rows.collect(), |(row, vectors): (usize, &mut [[f32; 2]])| {
        for (column, found) in vectors.iter_mut().enumerate() {
            let window = Window::new(after, (column * step, row * step), search.side);
            // What the coarser level says here and around, and nothing at all: the best is refined.
            let mut best = window.tried(before, [0.0; 2]);
            if let Some(coarser) = coarser {
                let (x, y) = ((column * step) as f32 / 2.0, (row * step) as f32 / 2.0);
                let reach = step as f32;
                for (dx, dy) in [
                    (0.0, 0.0),
                    (-reach, 0.0),
                    (reach, 0.0),
                    (0.0, -reach),
                    (0.0, reach),
                ] {
                    let vector = coarser.at(x + dx, y + dy).map(|v| 2.0 * v);
                    let tried = window.tried(before, vector);
                    if tried.error < best.error {
                        best = tried;
                    }
                }
            }
            *found = window.refine(before, best);
        }
    });
    grid.smoothed()
}

/// Numbers at the pixels of a window, line by line.
type Pixels = [f32; WIDEST * WIDEST];

/// What lies around a point of the next frame.
struct Window {
    side: usize,
    /// Its first pixel.
    corner: (isize, isize),
    values: Pixels,
    gradients: [Pixels; 2],
    /// The inverse of the matrix of its gradients.
    inverse: [f32; 3],
}

/// A vector, and how far the frame before is from the window there.
struct Tried {
    vector: [f32; 2],
    /// The sum of absolute differences.
    error: f32,
    /// The frame before, less the window.
    apart: Pixels,
}

impl Window {
    fn new(after: &Grey, (x, y): (usize, usize), side: usize) -> Self {
        const WIDER: usize = WIDEST + 2;
        let half = (side / 2) as isize;
        let corner = (x as isize - half, y as isize - half);
        let mut copy = [0.0; WIDER * WIDER];
        let plane = (after.values.as_slice(), after.size());
        let (around, wider) = around(plane, (corner.0 - 1, corner.1 - 1), side + 2, &mut copy);
        let mut window = Self {
            side,
            corner,
            values: [0.0; WIDEST * WIDEST],
            gradients: [[0.0; WIDEST * WIDEST]; 2],
            inverse: [0.0; 3],
        };
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for j in 0..side {
            for i in 0..side {
                let at = |i: usize, j: usize| around[j * wider + i];
                let (gx, gy) = (
                    (at(i + 2, j + 1) - at(i, j + 1)) / 2.0,
                    (at(i + 1, j + 2) - at(i + 1, j)) / 2.0,
                );
                let k = j * side + i;
                window.values[k] = at(i + 1, j + 1);
                (window.gradients[0][k], window.gradients[1][k]) = (gx, gy);
                xx += gx * gx;
                xy += gx * gy;
                yy += gy * gy;
            }
        }
        let stiff = STIFFNESS * (side * side) as f32;
        let (xx, yy) = (xx + stiff, yy + stiff);
        let determinant = xx * yy - xy * xy;
        window.inverse = [yy / determinant, -xy / determinant, xx / determinant];
        window
    }

    /// How the frame before fits, so far away, between its pixels by straight lines.
    fn tried(&self, before: &Grey, vector: [f32; 2]) -> Tried {
        let side = self.side;
        let [left, top] = vector.map(libm::floorf);
        let (a, b) = (vector[0] - left, vector[1] - top);
        let weights = [(1.0 - a) * (1.0 - b), a * (1.0 - b), (1.0 - a) * b, a * b];
        let (x, y) = (self.corner.0 + left as isize, self.corner.1 + top as isize);
        let mut copy = [0.0; (WIDEST + 1) * (WIDEST + 1)];
        let plane = (before.values.as_slice(), before.size());
        let (from, stride) = around(plane, (x, y), side + 1, &mut copy);
        let mut tried = Tried {
            vector,
            error: 0.0,
            apart: [0.0; WIDEST * WIDEST],
        };
        for j in 0..side {
            let [upper, lower] = [j, j + 1].map(|j| &from[j * stride..][..=side]);
            let own = j * side..(j + 1) * side;
            let pixels = tried.apart[own.clone()].iter_mut().zip(&self.values[own]);
            let near = upper.iter().zip(&upper[1..]).zip(lower.iter().zip(&lower[1..]));
            for ((apart, value), ((tl, tr), (bl, br))) in pixels.zip(near) {
                let there = weights[0] * tl + weights[1] * tr + weights[2] * bl + weights[3] * br;
                *apart = there - value;
            }
        }
        tried.error = tried.apart[..side * side].iter().map(|v| v.abs()).sum();
        tried
    }

    /// A vector that fits at least as well.
    fn refine(&self, before: &Grey, mut best: Tried) -> [f32; 2] {
        for _ in 0..ROUNDS {
            let along = |gradient: &Pixels| -> f32 {
                let pixels = best.apart[..self.side * self.side].iter().zip(gradient);
                pixels.map(|(d, g)| d * g).sum()
            };
            let [bx, by] = [along(&self.gradients[0]), along(&self.gradients[1])];
            let [a, b, c] = self.inverse;
            let step = [a * bx + b * by, b * bx + c * by].map(|v| v.clamp(-STRIDE, STRIDE));
            let next = [best.vector[0] - step[0], best.vector[1] - step[1]];
            let tried = self.tried(before, next);
            if tried.error >= best.error {
                break;
            }
            best = tried;
        }
        best.vector
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

    /// What is looked for quickly is found nearly as well, and what is carried is what is warped.
    #[test]
    fn a_quick_search_finds_it_too() {
        let size = Size::new(128, 96);
        for (dx, dy) in [(0.0, 0.0), (0.4, -0.3), (-7.3, 4.6)] {
            let before = texture(size, |x, y| (x, y));
            let after = texture(size, |x, y| (x + dx, y + dy));
            let motion = Motion::quick(&before, &after).expect("one size");
            let missed = missed(&motion, |_, _| (dx, dy));
            assert!(missed < 0.1, "{dx} {dy}: {missed}");
            let (warped, carried) = (motion.warp(&before), motion.carry(&before, 1));
            let (warped, carried) = (warped.expect("one size"), carried.expect("one size"));
            for y in 24..72 {
                for x in 24..104 {
                    let apart = (warped.row(1, y)[x] - carried.row(1, y)[x]).abs();
                    assert!(apart < 0.03, "{dx} {dy} at {x} {y}: {apart}");
                }
            }
        }
    }

    /// An image that is larger than the frames moves as they do, to its last pixel.
    #[test]
    fn larger_images_are_carried() {
        let (size, scale) = (Size::new(70, 58), 2);
        let place = |k: f64, dx: f64, dy: f64| move |x: f64, y: f64| ((x + 0.5) / k + dx, (y + 0.5) / k + dy);
        let frames = [(0.0, 0.0), (2.25, -1.5)].map(|(dx, dy)| texture(size, place(1.0, dx, dy)));
        let large = [(0.0, 0.0), (2.25, -1.5)].map(|(dx, dy)| texture(size.times(2), place(2.0, dx, dy)));
        let motion = Motion::quick(&frames[0], &frames[1]).expect("one size");
        let carried = motion.carry(&large[0], scale).expect("that size");
        for y in 24..92 {
            for x in 24..116 {
                let apart = (carried.row(2, y)[x] - large[1].row(2, y)[x]).abs();
                assert!(apart < 0.05, "{x} {y}: {apart}");
            }
        }
        assert!(carried.data().iter().all(|v| (-0.2..1.2).contains(v)));
        assert!(motion.carry(&frames[0], scale).is_err());
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
