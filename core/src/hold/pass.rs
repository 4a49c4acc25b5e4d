//! Low frequencies are the photo's, and where a model is out of its depth its own pixels show.

use alloc::{collections::VecDeque, vec, vec::Vec};

use super::gate::amount;
use super::rows::{Rows, along, gaussian, interpolate, largest_along, mean_along, ramp};
use crate::alpha::COLOURS;

/// Deviation in input pixels of the Gaussian below which frequencies are the photo's.
const LOW: f32 = 2.0;
/// Up to the first a model's low frequencies are taken for its own, from the second on it has lost the photo.
const ASTRAY: [f32; 2] = [4.0 / 255.0, 10.0 / 255.0];
/// By how much the mean of a block of the photo may be off before the photo's pixels show.
const TOLERANCE: f32 = 0.75 / 255.0;
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
    scale: usize,
    gaussian: Vec<f32>,
    /// The result's rows and the photo's, from the first that was not given on.
    cells: VecDeque<(Vec<f32>, Vec<f32>)>,
    given: usize,
    /// `r = c - D y` and `D y`, and both under the Gaussian along lines.
    residual: Rows,
    reduced: Rows,
    residual_along: Rows,
    reduced_along: Rows,
    /// `G D y`, `k = G r`, and what mixing for `k` leaves of `r` under the Gaussian along lines.
    light: Rows,
    first: Rows,
    left_along: Rows,
    /// How much white, or black where negative, is mixed in for `k` and for what that leaves.
    mix: Rows,
    /// The mean over blocks along lines of what is left at the end.
    left: Rows,
    astray: Places,
    blocks: Places,
}

impl Pass {
    pub(super) fn new((width, height): (usize, usize), scale: usize) -> Self {
        let rows = || Rows::new(height);
        // All of a block, and as far as softening takes away.
        let softened = 2.0;
        let widen = BLOCK / 2 + gaussian(softened).len() / 2;
        Self {
            width,
            scale,
            gaussian: gaussian(LOW),
            cells: VecDeque::new(),
            given: 0,
            residual: rows(),
            reduced: rows(),
            residual_along: rows(),
            reduced_along: rows(),
            light: rows(),
            first: rows(),
            left_along: rows(),
            mix: rows(),
            left: rows(),
            astray: Places::new(height, 2, 1.0),
            blocks: Places::new(height, widen, softened),
        }
    }

    /// Takes the next rows, `[3, scale, width * scale]` in `[0, 1]`, and the photo's, `[3, width]`; gives on what is finished.
    pub(super) fn push(&mut self, cells: Vec<f32>, photo: Vec<f32>, mut give: impl FnMut(Vec<f32>)) {
        let reduced = reduce(&cells, self.width, self.scale);
        let residual: Vec<f32> = photo.iter().zip(&reduced).map(|(c, y)| c - y).collect();
        self.residual_along
            .push(Some(along(&residual, self.width, &self.gaussian)));
        self.reduced_along
            .push(Some(along(&reduced, self.width, &self.gaussian)));
        self.residual.push(Some(residual));
        self.reduced.push(Some(reduced));
        self.cells.push_back((cells, photo));
        let reach = self.gaussian.len() / 2;
        while self.first.come() < self.residual_along.enough_for(reach) {
            self.measure();
        }
        while self.mix.come() < self.left_along.enough_for(reach).min(self.astray.soft.come()) {
            self.measure_again();
        }
        while self.blocks.found.come() < self.left.enough_for(BLOCK / 2) {
            let y = self.blocks.found.come();
            let sums = self.left.weighed(y, &[1.0 / BLOCK as f32; BLOCK], BLOCK / 2);
            let off =
                sums.and_then(|sums| found(&sums, self.width, |off| 1.0 - TOLERANCE / off.max(TOLERANCE)));
            self.blocks.push(off, self.width);
            self.left.forget_before((y + 1).saturating_sub(BLOCK / 2));
        }
        while self.given < self.blocks.soft.enough_for(1) {
            let Some((mut cells, photo)) = self.cells.pop_front() else {
                break;
            };
            self.apply(&mut cells, &photo);
            give(cells);
            let seen = self.given;
            self.given += 1;
            for rows in [&mut self.mix, &mut self.astray.soft, &mut self.blocks.soft] {
                rows.forget_before(seen);
            }
        }
    }

    /// `k` of the next row, what mixing for it leaves, and whether the model is astray there.
    fn measure(&mut self) {
        let (y, reach) = (self.first.come(), self.gaussian.len() / 2);
        let low = self
            .residual_along
            .weighed(y, &self.gaussian, reach)
            .unwrap_or_default();
        let light = self
            .reduced_along
            .weighed(y, &self.gaussian, reach)
            .unwrap_or_default();
        let left = self.left_by(y, &mixed(&low, &light));
        self.left_along
            .push(Some(along(&left, self.width, &self.gaussian)));
        let lost = found(&low, self.width, |k| ramp(k, ASTRAY[0], ASTRAY[1]));
        self.astray.push(lost, self.width);
        self.light.push(Some(light));
        self.first.push(Some(low));
        self.residual_along.forget_before((y + 1).saturating_sub(reach));
        self.reduced_along.forget_before((y + 1).saturating_sub(reach));
    }

    /// How much is mixed in along the next row, and what that leaves.
    fn measure_again(&mut self) {
        let (y, reach) = (self.mix.come(), self.gaussian.len() / 2);
        let mut low = self
            .left_along
            .weighed(y, &self.gaussian, reach)
            .unwrap_or_default();
        low.iter_mut().zip(at(&self.first, y)).for_each(|(l, k)| *l += k);
        let mix = mixed(&low, at(&self.light, y));
        let mut left = self.left_by(y, &mix);
        if let Some(astray) = self.astray.soft.get(y as isize) {
            for channel in left.chunks_exact_mut(self.width) {
                channel.iter_mut().zip(astray).for_each(|(l, a)| *l *= 1.0 - a);
            }
        }
        self.left.push(Some(mean_along::<BLOCK>(&left, self.width)));
        self.mix.push(Some(mix));
        for rows in [
            &mut self.residual,
            &mut self.reduced,
            &mut self.first,
            &mut self.light,
        ] {
            rows.forget_before(y + 1);
        }
        self.left_along.forget_before((y + 1).saturating_sub(reach));
    }

    /// What mixing leaves of the residual of a row.
    fn left_by(&self, y: usize, mix: &[f32]) -> Vec<f32> {
        let given = at(&self.residual, y).iter().zip(at(&self.reduced, y));
        given.zip(mix).map(|((r, y), a)| r - a * room(*a, *y)).collect()
    }

    /// Mixes the rows of the next row of input pixels with white or black, and with the photo's pixels repeated.
    fn apply(&self, cells: &mut [f32], photo: &[f32]) {
        let (y, scale) = (self.given as isize, self.scale);
        let wide = self.width * scale;
        let near = [y - 1, y, y + 1].map(|y| self.mix.get(y).unwrap_or_default());
        let mut mix = vec![0.0; COLOURS * wide];
        for part in 0..scale {
            let place = (self.width, part, scale);
            interpolate(near, place, &mut mix);
            let shown = [&self.astray, &self.blocks].map(|places| amount(&places.soft, y, place));
            for (c, mix) in mix.chunks_exact(wide).enumerate() {
                let row = &mut cells[(c * scale + part) * wide..][..wide];
                for (v, a) in row.iter_mut().zip(mix) {
                    *v += a.max(0.0) * (1.0 - *v) + a.min(0.0) * *v;
                }
                let photo = &photo[c * self.width..][..self.width];
                for shown in shown.iter().flatten() {
                    let pixels = row.chunks_exact_mut(scale).zip(shown.chunks_exact(scale));
                    for ((row, shown), pixel) in pixels.zip(photo) {
                        for (v, s) in row.iter_mut().zip(shown) {
                            *v += s * (pixel - *v);
                        }
                    }
                }
            }
        }
    }
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

/// `amount` of the largest of the three channels' absolute values; none where it is all zero.
fn found(row: &[f32], width: usize, amount: impl Fn(f32) -> f32) -> Option<Vec<f32>> {
    let (r, rest) = row.split_at(width);
    let (g, b) = rest.split_at(width);
    let most = r
        .iter()
        .zip(g)
        .zip(b)
        .map(|((r, g), b)| r.abs().max(g.abs()).max(b.abs()));
    let amounts: Vec<f32> = most.map(amount).collect();
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
