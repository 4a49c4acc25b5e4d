//! What scenes draw on: shapes with edges one pixel soft, or hard as on old screens.

use asasr_core::Planes;

/// A colour, `[0, 1]` each.
pub(super) type Colour = [f32; 3];

/// A point in pixels; that of the first pixel's centre is `(0.5, 0.5)`.
pub(super) type Point = (f32, f32);

/// A square picture.
pub(super) struct Canvas {
    planes: Planes,
    /// Whether a pixel belongs to a shape or does not, with nothing between.
    hard: bool,
}

/// What a shape is filled with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ink {
    Flat(Colour),
    /// From one colour to another between two columns or, `down`, two rows.
    Ramp {
        colours: [Colour; 2],
        ends: (f32, f32),
        down: bool,
    },
}

impl Ink {
    fn at(&self, x: f32, y: f32) -> Colour {
        match self {
            Self::Flat(colour) => *colour,
            Self::Ramp { colours, ends, down } => {
                let along = if *down { y } else { x };
                let share = ((along - ends.0) / (ends.1 - ends.0)).clamp(0.0, 1.0);
                mixed(colours[0], colours[1], share)
            }
        }
    }
}

/// Between two colours: `share` of the second.
pub(super) fn mixed(a: Colour, b: Colour, share: f32) -> Colour {
    [0, 1, 2].map(|i| a[i] + share * (b[i] - a[i]))
}

/// The smallest box around points, grown by `by` on all sides: least and largest corner.
fn around(points: &[Point], by: f32) -> (Point, Point) {
    let mut corners = ((f32::MAX, f32::MAX), (f32::MIN, f32::MIN));
    for (x, y) in points {
        corners.0 = (corners.0.0.min(x - by), corners.0.1.min(y - by));
        corners.1 = (corners.1.0.max(x + by), corners.1.1.max(y + by));
    }
    corners
}

impl Canvas {
    /// A picture of `side` pixels in one colour.
    pub(super) fn new(side: usize, paper: Colour, hard: bool) -> Self {
        let mut planes = Planes::zeros(3, side, side);
        for (c, value) in paper.iter().enumerate() {
            for y in 0..side {
                planes.row_mut(c, y).fill(*value);
            }
        }
        Self { planes, hard }
    }

    pub(super) fn side(&self) -> usize {
        self.planes.width()
    }

    pub(super) fn into_planes(self) -> Planes {
        self.planes
    }

    /// Covers a share of a pixel.
    pub(super) fn cover(&mut self, x: usize, y: usize, share: f32, colour: Colour) {
        let share = if self.hard { share.round() } else { share };
        for (c, value) in colour.iter().enumerate() {
            let pixel = &mut self.planes.row_mut(c, y)[x];
            *pixel += share * (value - *pixel);
        }
    }

    /// A letter: `outline` says of pixels, counted from a corner, which share of them it covers.
    pub(super) fn stamp(
        &mut self,
        (left, top): Point,
        ink: &Ink,
        outline: impl FnOnce(&mut dyn FnMut(u32, u32, f32)),
    ) {
        let inside = 0.0..self.side() as f32;
        outline(&mut |i, j, share| {
            let (x, y) = (left + i as f32, top + j as f32);
            if inside.contains(&x) && inside.contains(&y) {
                // Where outlines cross, the rasteriser counts more than all.
                let colour = ink.at(x + 0.5, y + 0.5);
                self.cover(x as usize, y as usize, share.clamp(0.0, 1.0), colour);
            }
        });
    }

    /// Every pixel by its place.
    pub(super) fn each(&mut self, colour: impl Fn(usize, usize) -> Colour) {
        for y in 0..self.side() {
            for x in 0..self.side() {
                let colour = colour(x, y);
                for (c, value) in colour.iter().enumerate() {
                    self.planes.row_mut(c, y)[x] = *value;
                }
            }
        }
    }

    /// The pixels inside a box.
    fn pixels(&self, (least, most): (Point, Point)) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let within = |v: f32| (v.max(0.0) as usize).min(self.side());
        let end = |v: f32| within(v.ceil());
        (within(least.0)..end(most.0), within(least.1)..end(most.1))
    }

    /// A shape by its signed distance, negative inside, within a box.
    fn fill(&mut self, bounds: (Point, Point), ink: &Ink, distance: impl Fn(f32, f32) -> f32) {
        let (columns, rows) = self.pixels(bounds);
        for y in rows {
            for x in columns.clone() {
                let (px, py) = (x as f32 + 0.5, y as f32 + 0.5);
                let share = (0.5 - distance(px, py)).clamp(0.0, 1.0);
                if share > 0.0 {
                    self.cover(x, y, share, ink.at(px, py));
                }
            }
        }
    }

    /// A disc.
    pub(super) fn disc(&mut self, (cx, cy): Point, radius: f32, ink: &Ink) {
        let bounds = around(&[(cx, cy)], radius + 1.0);
        self.fill(bounds, ink, |x, y| (x - cx).hypot(y - cy) - radius);
    }

    /// A ring of that width around a radius.
    pub(super) fn ring(&mut self, (cx, cy): Point, (radius, width): (f32, f32), ink: &Ink) {
        let bounds = around(&[(cx, cy)], radius + width + 1.0);
        self.fill(bounds, ink, |x, y| {
            ((x - cx).hypot(y - cy) - radius).abs() - width / 2.0
        });
    }

    /// A slice of a disc between two angles, less than half a turn apart.
    pub(super) fn slice(&mut self, (cx, cy): Point, radius: f32, (from, to): (f32, f32), ink: &Ink) {
        let bounds = around(&[(cx, cy)], radius + 1.0);
        self.fill(bounds, ink, |x, y| {
            let (dx, dy) = (x - cx, y - cy);
            let side = |angle: f32| dx * angle.sin() - dy * angle.cos();
            (dx.hypot(dy) - radius).max(side(from)).max(-side(to))
        });
    }

    /// A box with corners rounded by a radius; at whole numbers its edges are sharp.
    pub(super) fn plate(&mut self, least: Point, most: Point, rounding: f32, ink: &Ink) {
        let middle = (f32::midpoint(least.0, most.0), f32::midpoint(least.1, most.1));
        let half = ((most.0 - least.0) / 2.0, (most.1 - least.1) / 2.0);
        let rounding = rounding.min(half.0).min(half.1).max(0.0);
        self.fill(around(&[least, most], 1.0), ink, |x, y| {
            let dx = (x - middle.0).abs() - half.0 + rounding;
            let dy = (y - middle.1).abs() - half.1 + rounding;
            dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0) - rounding
        });
    }

    /// The outline of such a box, inside it.
    pub(super) fn frame(&mut self, least: Point, most: Point, width: f32, ink: &Ink) {
        let (inner, outer) = (
            (
                (least.0 + width, least.1 + width),
                (most.0 - width, most.1 - width),
            ),
            (least, most),
        );
        let distance = |(least, most): (Point, Point), x: f32, y: f32| {
            (least.0 - x).max(x - most.0).max(least.1 - y).max(y - most.1)
        };
        self.fill(around(&[least, most], 1.0), ink, |x, y| {
            distance(outer, x, y).max(-distance(inner, x, y))
        });
    }

    /// A polygon, filled by the even-odd rule.
    pub(super) fn polygon(&mut self, corners: &[Point], ink: &Ink) {
        self.fill(around(corners, 1.0), ink, |x, y| {
            let (mut inside, mut nearest) = (false, f32::MAX);
            for (a, b) in corners.iter().zip(corners.iter().cycle().skip(1)) {
                nearest = nearest.min(to_segment((x, y), *a, *b));
                if (a.1 > y) != (b.1 > y) && x < (b.0 - a.0) * (y - a.1) / (b.1 - a.1) + a.0 {
                    inside = !inside;
                }
            }
            if inside { -nearest } else { nearest }
        });
    }

    /// A line through points, round at its ends and corners.
    pub(super) fn stroke(&mut self, points: &[Point], width: f32, ink: &Ink) {
        let (columns, rows) = self.pixels(around(points, width / 2.0 + 1.0));
        let (first, wide) = ((columns.start, rows.start), columns.len());
        // Joined first, so that pieces that overlap cover a pixel once.
        let mut shares = vec![0.0f32; wide * rows.len()];
        for pair in points.windows(2) {
            let (columns, rows) = self.pixels(around(pair, width / 2.0 + 1.0));
            for y in rows {
                for x in columns.clone() {
                    let distance = to_segment((x as f32 + 0.5, y as f32 + 0.5), pair[0], pair[1]);
                    // What is thinner than a pixel covers less of it.
                    let share = (0.5 + width / 2.0 - distance).clamp(0.0, width.min(1.0));
                    let held = &mut shares[(y - first.1) * wide + x - first.0];
                    *held = held.max(share);
                }
            }
        }
        for (i, share) in shares.iter().enumerate().filter(|(_, s)| **s > 0.0) {
            let (x, y) = (first.0 + i % wide, first.1 + i / wide);
            self.cover(x, y, *share, ink.at(x as f32 + 0.5, y as f32 + 0.5));
        }
    }
}

/// How far a point is from a segment.
fn to_segment((x, y): Point, a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 {
        (((x - a.0) * dx + (y - a.1) * dy) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (x - a.0 - along * dx).hypot(y - a.1 - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INK: Ink = Ink::Flat([1.0, 1.0, 1.0]);

    /// The sum of what a drawing covers.
    fn area(draw: impl Fn(&mut Canvas)) -> f32 {
        let mut canvas = Canvas::new(64, [0.0; 3], false);
        draw(&mut canvas);
        canvas.into_planes().plane(1).iter().sum()
    }

    #[test]
    fn shapes_cover_their_areas() {
        use std::f32::consts::PI;
        let is = |got: f32, want: f32| assert!((got - want).abs() < 0.02 * want, "{got}, not {want}");
        is(area(|c| c.disc((30.3, 31.8), 12.0, &INK)), PI * 144.0);
        is(
            area(|c| c.ring((30.3, 31.8), (12.0, 3.0), &INK)),
            PI * (13.5 * 13.5 - 10.5 * 10.5),
        );
        is(area(|c| c.slice((32.0, 32.0), 20.0, (0.3, 1.3), &INK)), 200.0);
        is(area(|c| c.plate((3.0, 5.0), (20.0, 10.0), 0.0, &INK)), 85.0);
        is(
            area(|c| c.plate((3.0, 5.0), (43.0, 35.0), 8.0, &INK)),
            1200.0 - (4.0 - PI) * 64.0,
        );
        is(
            area(|c| c.frame((3.0, 5.0), (20.0, 10.0), 1.0, &INK)),
            85.0 - 45.0,
        );
        is(
            area(|c| c.polygon(&[(5.0, 5.0), (45.0, 9.0), (20.0, 50.0)], &INK)),
            870.0,
        );
        is(
            area(|c| c.stroke(&[(10.0, 32.0), (30.0, 32.0), (50.0, 32.0)], 4.0, &INK)),
            160.0 + PI * 4.0,
        );
        // Three tenths of forty pixels, and a little at its ends.
        is(area(|c| c.stroke(&[(10.0, 32.5), (50.0, 32.5)], 0.3, &INK)), 12.3);
    }

    #[test]
    fn hard_edges_leave_two_colours_only() {
        let mut canvas = Canvas::new(32, [0.25; 3], true);
        canvas.disc((15.0, 14.0), 9.3, &Ink::Flat([0.75; 3]));
        canvas.stroke(&[(2.0, 3.0), (30.0, 24.0)], 2.0, &Ink::Flat([0.75; 3]));
        let planes = canvas.into_planes();
        assert!(planes.data().iter().all(|v| *v == 0.25 || *v == 0.75));
    }

    #[test]
    fn what_lies_outside_is_left_out() {
        let mut canvas = Canvas::new(8, [0.0; 3], false);
        canvas.stroke(&[(-50.0, 4.0), (90.0, 4.0)], 2.0, &INK);
        canvas.disc((-20.0, -20.0), 5.0, &INK);
        canvas.polygon(&[(20.0, 20.0), (30.0, 20.0), (30.0, 30.0)], &INK);
        assert_eq!(canvas.into_planes().plane(0).iter().sum::<f32>(), 16.0);
    }
}
