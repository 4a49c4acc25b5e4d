//! Low frequencies are the photo's, and where a model is out of its depth its own pixels show.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::gate::{Given, amount};
use super::rows::{Rows, along, gaussian, interpolate, largest_along, mean_along, ramp};
use crate::Size;
use crate::alpha::COLOURS;

/// Deviation in input pixels of the Gaussian below which frequencies are the photo's.
const LOW: f32 = 2.0;
/// Up to the first a model's low frequencies are taken for its own, from the second on it has lost the photo.
const ASTRAY: [f32; 2] = [6.0 / 255.0, 16.0 / 255.0];
/// By how much the mean of a block may be off before pixels show.
const TOLERANCE: f32 = 0.6 / 255.0;
/// By how much the mean of a block of the grid may be off before it is brought back.
const REST: f32 = 0.5 / 255.0;
/// Most white or black that is mixed in for that; more would be seen.
const MOST: f32 = 0.04;
/// Side of a block in input pixels.
const BLOCK: usize = 16;
/// No room towards white or black is taken for less than that.
const LEAST: f32 = 1e-3;

/// Rows of amounts, 0 to 1, that are found one after the other, then widened and softened.
#[derive(Debug)]
struct Places {
    /// Input pixels by which they are widened.
    widen: usize,
    softener: Vec<f32>,
    found: Rows,
    wide: Rows,
    soft: Rows,
}

impl Places {
    fn new(height: usize, widen: usize, deviation: f32) -> Self {
        Self {
            widen,
            softener: gaussian(deviation),
            found: Rows::new(height),
            wide: Rows::new(height),
            soft: Rows::new(height),
        }
    }

    /// Takes the next row that was found, of `width` amounts.
    fn push(&mut self, found: Option<Vec<f32>>, width: usize) {
        let reach = self.softener.len() / 2;
        self.found.push(found);
        while self.wide.come() < self.found.enough_for(self.widen) {
            let y = self.wide.come();
            let wide = self.found.largest(y, self.widen).map(|row| {
                let wide = largest_along(&row, width, self.widen);
                along(&wide, width, &self.softener)
            });
            self.wide.push(wide);
            self.found.forget_before((y + 1).saturating_sub(self.widen));
        }
        while self.soft.come() < self.wide.enough_for(reach) {
            let y = self.soft.come();
            self.soft.push(self.wide.weighed(y, &self.softener, reach));
            self.wide.forget_before((y + 1).saturating_sub(reach));
        }
    }
}

/// Takes an image's rows, by rows of input pixels, and gives them on some rows later.
#[derive(Debug)]
pub(super) struct Pass {
    width: usize,
    height: usize,
    scale: usize,
    gaussian: Vec<f32>,
    /// The result's rows from the first that was not given on, and where the photo is made of pixels.
    cells: VecDeque<(Vec<f32>, Option<Vec<f32>>)>,
    given: usize,
    /// The photo's colours.
    photo: Rows,
    /// `r = c - D y` and `D y`, and both under the Gaussian along lines.
    residual: Rows,
    reduced: Rows,
    residual_along: Rows,
    reduced_along: Rows,
    /// How much white, or black where negative, is mixed in for `k = G r`.
    mix: Rows,
    /// What is left of `r` at the end but for blocks, and its mean over blocks along lines.
    left: Rows,
    left_along: Rows,
    astray: Places,
    blocks: Places,
    /// How much white or black is mixed in for what blocks of the grid still lack, and how much of its pixels.
    rest: Rows,
    settled: Rows,
}

impl Pass {
    pub(super) fn new(size: Size, scale: usize) -> Self {
        let Size { width, height } = size;
        let rows = || Rows::new(height);
        // All of a block, and as far as softening takes away.
        let softened = 2.0;
        let widen = BLOCK / 2 + gaussian(softened).len() / 2;
        Self {
            width,
            height,
            scale,
            gaussian: gaussian(LOW),
            cells: VecDeque::new(),
            given: 0,
            residual: rows(),
            reduced: rows(),
            residual_along: rows(),
            reduced_along: rows(),
            mix: rows(),
            left: rows(),
            left_along: rows(),
            astray: Places::new(height, 2, 1.0),
            blocks: Places::new(height, widen, softened),
            rest: rows(),
            settled: rows(),
            photo: rows(),
        }
    }

    /// Takes the next rows, `[3, scale, width * scale]` in `[0, 1]`, and the photo's; gives on what is finished.
    pub(super) fn push(&mut self, cells: Vec<f32>, photo: Given, mut give: impl FnMut(Vec<f32>)) {
        let reduced = reduce(&cells, self.width, self.scale);
        let residual: Vec<f32> = photo.colours.iter().zip(&reduced).map(|(c, y)| c - y).collect();
        self.residual_along
            .push(Some(along(&residual, self.width, &self.gaussian)));
        self.reduced_along
            .push(Some(along(&reduced, self.width, &self.gaussian)));
        self.residual.push(Some(residual));
        self.reduced.push(Some(reduced));
        self.cells.push_back((cells, photo.pixels));
        self.photo.push(Some(photo.colours));
        let reach = self.gaussian.len() / 2;
        while self.mix.come() < self.residual_along.enough_for(reach) {
            self.measure();
        }
        while self.left.come() < self.astray.soft.come() {
            self.leave();
        }
        while self.blocks.found.come() < self.left_along.enough_for(BLOCK / 2) {
            self.find_blocks();
        }
        while self.rest.come() < self.height {
            let first = self.rest.come();
            if self.blocks.soft.come() < self.height.min(first + BLOCK) {
                break;
            }
            self.settle(first);
        }
        while self.given < self.rest.enough_for(1) {
            let Some((mut cells, _)) = self.cells.pop_front() else {
                break;
            };
            self.apply(&mut cells);
            give(cells);
            let seen = self.given;
            self.given += 1;
            for rows in [
                &mut self.mix,
                &mut self.rest,
                &mut self.settled,
                &mut self.astray.soft,
                &mut self.blocks.soft,
            ] {
                rows.forget_before(seen);
            }
            self.photo.forget_before(self.given);
        }
    }

    /// How surely the photo is made of pixels in a row that was not given on yet, and no other.
    fn pixels(&self, y: usize) -> Option<&[f32]> {
        self.cells.get(y - self.given)?.1.as_deref()
    }

    /// How much is mixed in along the next row for its `k`, and whether the model is astray there.
    fn measure(&mut self) {
        let (y, reach) = (self.mix.come(), self.gaussian.len() / 2);
        let low = self
            .residual_along
            .weighed(y, &self.gaussian, reach)
            .unwrap_or_default();
        let light = self
            .reduced_along
            .weighed(y, &self.gaussian, reach)
            .unwrap_or_default();
        let lost = self
            .pixels(y)
            .and_then(|pixels| found(&low, pixels, |k| ramp(k, ASTRAY[0], ASTRAY[1])));
        self.mix.push(Some(mixed(&low, &light)));
        self.astray.push(lost, self.width);
        self.residual_along.forget_before((y + 1).saturating_sub(reach));
        self.reduced_along.forget_before((y + 1).saturating_sub(reach));
    }

    /// What is left of the next row.
    fn leave(&mut self) {
        let y = self.left.come();
        let given = at(&self.residual, y).iter().zip(at(&self.reduced, y));
        let left = given
            .zip(at(&self.mix, y))
            .map(|((r, y), a)| r - a * room(*a, *y));
        let mut left: Vec<f32> = left.collect();
        take(&mut left, self.astray.soft.get(y as isize));
        self.left_along.push(Some(mean_along::<BLOCK>(&left, self.width)));
        self.left.push(Some(left));
        self.residual.forget_before(y + 1);
        self.reduced.forget_before(y + 1);
    }

    /// Where any block would be off.
    fn find_blocks(&mut self) {
        let y = self.blocks.found.come();
        let off = self.pixels(y).and_then(|pixels| {
            let sums = self
                .left_along
                .weighed(y, &[1.0 / BLOCK as f32; BLOCK], BLOCK / 2)?;
            found(&sums, pixels, |off| 1.0 - TOLERANCE / off.max(TOLERANCE))
        });
        self.blocks.push(off, self.width);
        self.left_along.forget_before((y + 1).saturating_sub(BLOCK / 2));
    }

    /// Brings the means of the blocks of the grid back, from row `first` on: with white or black, spread over a block and nothing at its
    /// borders, and where that is not enough with the photo's pixels.
    fn settle(&mut self, first: usize) {
        let rows = BLOCK.min(self.height - first);
        let across = self.width.div_ceil(BLOCK);
        let left: Vec<Vec<f32>> = (first..first + rows)
            .map(|y| {
                let mut left = at(&self.left, y).to_vec();
                take(&mut left, self.blocks.soft.get(y as isize));
                left
            })
            .collect();
        let mut mixes = vec![vec![0.0; COLOURS * self.width]; rows];
        let mut shown: Vec<f32> = vec![0.0; across];
        for c in 0..COLOURS {
            for (block, shown) in shown.iter_mut().enumerate() {
                let columns = block * BLOCK..self.width.min((block + 1) * BLOCK);
                let count = (rows * columns.len()) as f32;
                let inside = c * self.width + columns.start..c * self.width + columns.end;
                let lacks = (0..rows)
                    .map(|y| left[y][inside.clone()].iter().sum::<f32>())
                    .sum::<f32>()
                    / count;
                if lacks.abs() <= REST {
                    continue;
                }
                // How much the block's mean moves by all of the window.
                let mut moves = 0.0;
                for (y, down) in window(rows).enumerate() {
                    let photo = at(&self.photo, first + y)[inside.clone()].iter();
                    let pixels = photo.zip(&left[y][inside.clone()]).zip(window(columns.len()));
                    moves += pixels
                        .map(|((c, r), a)| a * down * room(lacks, c - r))
                        .sum::<f32>();
                }
                moves /= count;
                let wanted = (lacks.abs() - REST) / moves.max(LEAST);
                let amount = wanted.min(MOST);
                for (y, down) in window(rows).enumerate() {
                    let row = mixes[y][inside.clone()].iter_mut().zip(window(columns.len()));
                    row.for_each(|(v, a)| *v = amount.copysign(lacks) * a * down);
                }
                let lacking = lacks.abs() - amount * moves;
                *shown = shown.max(1.0 - REST / lacking.max(REST));
            }
        }
        for mix in mixes {
            let any = mix.iter().any(|v| *v != 0.0);
            self.rest.push(any.then_some(mix));
            let any = shown.iter().any(|v| *v != 0.0);
            self.settled
                .push(any.then(|| (0..self.width).map(|x| shown[x / BLOCK]).collect()));
        }
        self.left.forget_before(first + rows);
    }

    /// Mixes the rows of the next row of input pixels with white or black, and with the photo's pixels repeated.
    fn apply(&self, cells: &mut [f32]) {
        let (y, scale) = (self.given as isize, self.scale);
        let photo = at(&self.photo, self.given);
        let wide = self.width * scale;
        let none = vec![0.0; COLOURS * self.width];
        let near = |rows: &Rows| {
            let near = [y - 1, y, y + 1].map(|y| rows.get(y).map(<[f32]>::to_vec));
            near.iter()
                .any(Option::is_some)
                .then(|| near.map(|row| row.unwrap_or_else(|| none.clone())))
        };
        let (mix, rest) = (near(&self.mix), near(&self.rest));
        let mut amounts = vec![0.0; COLOURS * wide];
        for part in 0..scale {
            let place = (self.width, part, scale);
            let lines = |c: usize| (c * scale + part) * wide..(c * scale + part + 1) * wide;
            let mut mixed_in = |rows: &Option<[Vec<f32>; 3]>, cells: &mut [f32]| {
                let Some(rows) = rows else { return };
                interpolate(rows.each_ref().map(Vec::as_slice), place, &mut amounts);
                for (c, amounts) in amounts.chunks_exact(wide).enumerate() {
                    for (v, a) in cells[lines(c)].iter_mut().zip(amounts) {
                        *v += a.max(0.0) * (1.0 - *v) + a.min(0.0) * *v;
                    }
                }
            };
            let show = |places: &Rows, cells: &mut [f32]| {
                let Some(shown) = amount(places, y, place) else {
                    return;
                };
                for (c, photo) in photo.chunks_exact(self.width).enumerate() {
                    let row = &mut cells[lines(c)];
                    let pixels = row.chunks_exact_mut(scale).zip(shown.chunks_exact(scale));
                    for ((row, shown), pixel) in pixels.zip(photo) {
                        for (v, s) in row.iter_mut().zip(shown) {
                            *v += s * (pixel - *v);
                        }
                    }
                }
            };
            mixed_in(&mix, cells);
            show(&self.astray.soft, cells);
            show(&self.blocks.soft, cells);
            mixed_in(&rest, cells);
            show(&self.settled, cells);
        }
    }
}

/// Takes away what pixels that show make up for.
fn take(left: &mut [f32], shown: Option<&[f32]>) {
    if let Some(shown) = shown {
        for channel in left.chunks_exact_mut(shown.len()) {
            channel.iter_mut().zip(shown).for_each(|(l, s)| *l *= 1.0 - s);
        }
    }
}

/// Weights of `n` pixels, next to nothing at the ends and 1 between.
fn window(n: usize) -> impl Iterator<Item = f32> {
    (0..n).map(move |i| ((i.min(n - 1 - i) as f32 + 0.5) / (BLOCK / 4) as f32).min(1.0))
}

/// A row that is there.
fn at(rows: &Rows, y: usize) -> &[f32] {
    rows.get(y as isize).unwrap_or_default()
}

/// How far it is from `light` to white, or to black where `towards` is negative.
fn room(towards: f32, light: f32) -> f32 {
    if towards > 0.0 { 1.0 - light } else { light }
}

/// How much white or black brings `light` up by `low`.
fn mixed(low: &[f32], light: &[f32]) -> Vec<f32> {
    let share = |(k, y): (&f32, &f32)| (k / room(*k, *y).max(LEAST)).clamp(-1.0, 1.0);
    low.iter().zip(light).map(share).collect()
}

/// `amount` of the largest of the three channels' absolute values, where there are pixels; none where it is all zero.
fn found(row: &[f32], pixels: &[f32], amount: impl Fn(f32) -> f32) -> Option<Vec<f32>> {
    let (r, rest) = row.split_at(pixels.len());
    let (g, b) = rest.split_at(pixels.len());
    let most = r
        .iter()
        .zip(g)
        .zip(b)
        .map(|((r, g), b)| r.abs().max(g.abs()).max(b.abs()));
    let amounts: Vec<f32> = most.zip(pixels).map(|(most, p)| p * amount(most)).collect();
    amounts.iter().any(|v| *v > 0.0).then_some(amounts)
}

/// The mean over each input pixel, `[3, width]`, of `[3, scale, width * scale]`.
fn reduce(cells: &[f32], width: usize, scale: usize) -> Vec<f32> {
    let share = 1.0 / (scale * scale) as f32;
    let wide = width * scale;
    let mut out = Vec::with_capacity(COLOURS * width);
    let mut sums = vec![0.0; wide];
    for rows in cells.chunks_exact(scale * wide) {
        sums.fill(0.0);
        for row in rows.chunks_exact(wide) {
            sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
        }
        out.extend(sums.chunks_exact(scale).map(|p| share * p.iter().sum::<f32>()));
    }
    out
}
