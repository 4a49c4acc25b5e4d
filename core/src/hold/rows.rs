use alloc::{collections::VecDeque, vec, vec::Vec};

use crate::resample::reflect;

/// Rows of `channels` lines of `width` values each that come one after the other; an absent row is all zero. Only those that are still
/// asked for are held.
#[derive(Debug)]
pub(super) struct Rows {
    height: usize,
    first: usize,
    held: VecDeque<Option<Vec<f32>>>,
}

impl Rows {
    pub(super) fn new(height: usize) -> Self {
        Self {
            height,
            first: 0,
            held: VecDeque::new(),
        }
    }

    /// How many have come.
    pub(super) fn come(&self) -> usize {
        self.first + self.held.len()
    }

    /// How many rows of a filter that reaches `reach` rows to either side these are enough for.
    pub(super) fn enough_for(&self, reach: usize) -> usize {
        if self.come() == self.height {
            self.height
        } else {
            self.come().saturating_sub(reach)
        }
    }

    pub(super) fn push(&mut self, row: Option<Vec<f32>>) {
        self.held.push_back(row);
    }

    /// Row `y`, mirrored at the borders as [`crate::resample`] does.
    pub(super) fn get(&self, y: isize) -> Option<&[f32]> {
        let row = reflect(y, self.height).checked_sub(self.first);
        debug_assert!(row.is_some(), "row {y} was let go of");
        self.held.get(row?)?.as_deref()
    }

    /// Lets go of the rows before `y`.
    pub(super) fn forget_before(&mut self, y: usize) {
        while self.first < y && self.held.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// The sum of the rows about `y`, each times its weight; the middle one has `weights[before]`. Absent where all are.
    pub(super) fn weighed(&self, y: usize, weights: &[f32], before: usize) -> Option<Vec<f32>> {
        let mut sum: Option<Vec<f32>> = None;
        for (i, weight) in weights.iter().enumerate() {
            let Some(row) = self.get((y + i) as isize - before as isize) else {
                continue;
            };
            let sum = sum.get_or_insert_with(|| vec![0.0; row.len()]);
            sum.iter_mut().zip(row).for_each(|(s, v)| *s += weight * v);
        }
        sum
    }

    /// What is largest of the rows within `reach` of `y`, value by value.
    pub(super) fn largest(&self, y: usize, reach: usize) -> Option<Vec<f32>> {
        let mut most: Option<Vec<f32>> = None;
        for i in 0..=2 * reach {
            let Some(row) = self.get((y + i) as isize - reach as isize) else {
                continue;
            };
            match &mut most {
                None => most = Some(row.to_vec()),
                Some(most) => most.iter_mut().zip(row).for_each(|(m, v)| *m = m.max(*v)),
            }
        }
        most
    }
}

/// A line with `before` and `after` values more, mirrored.
pub(super) fn mirrored(line: &[f32], before: usize, after: usize) -> Vec<f32> {
    let at = |i: isize| line[reflect(i, line.len())];
    let mut out = Vec::with_capacity(line.len() + before + after);
    out.extend((0..before).map(|i| at(i as isize - before as isize)));
    out.extend_from_slice(line);
    out.extend((0..after).map(|i| at((line.len() + i) as isize)));
    out
}

/// Each line of `width` values under a filter of an odd number of weights about its middle.
pub(super) fn along(row: &[f32], width: usize, weights: &[f32]) -> Vec<f32> {
    let reach = weights.len() / 2;
    let mut out = vec![0.0; row.len()];
    for (line, out) in row.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
        let line = mirrored(line, reach, reach);
        for (i, weight) in weights.iter().enumerate() {
            let values = line[i..i + width].iter();
            out.iter_mut().zip(values).for_each(|(o, v)| *o += weight * v);
        }
    }
    out
}

/// The mean of `N` values, a power of two, of each line: half of them before each value.
pub(super) fn mean_along<const N: usize>(row: &[f32], width: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(row.len());
    for line in row.chunks_exact(width) {
        let mut sums = mirrored(line, N / 2, N / 2);
        // Sums of two, of four, and so on.
        let mut count = 1;
        while count < N {
            for x in 0..sums.len() - count {
                sums[x] += sums[x + count];
            }
            sums.truncate(sums.len() - count);
            count *= 2;
        }
        out.extend(sums[..width].iter().map(|s| s / N as f32));
    }
    out
}

/// Of each value and those within `reach` of it on its line the largest.
pub(super) fn largest_along(row: &[f32], width: usize, reach: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(row.len());
    for line in row.chunks_exact(width) {
        let mut most = mirrored(line, reach, reach);
        // The largest of two, of four, and so on, and at last of two that overlap.
        let mut count = 1;
        while count <= reach {
            for x in 0..most.len() - count {
                most[x] = most[x].max(most[x + count]);
            }
            most.truncate(most.len() - count);
            count *= 2;
        }
        let rest = 2 * reach + 1 - count;
        out.extend((0..width).map(|x| most[x].max(most[x + rest])));
    }
    out
}

/// A Gaussian of that deviation, cut off at three of these; its sum is 1.
pub(super) fn gaussian(deviation: f32) -> Vec<f32> {
    let reach = (3.0 * deviation) as usize;
    let raw: Vec<f32> = (0..=2 * reach)
        .map(|i| {
            let distance = i.abs_diff(reach) as f32 / deviation;
            libm::expf(-0.5 * distance * distance)
        })
        .collect();
    let sum: f32 = raw.iter().sum();
    raw.iter().map(|v| v / sum).collect()
}

/// From 0 at `from` to 1 at `to`, linearly.
pub(super) fn ramp(value: f32, from: f32, to: f32) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Linear interpolation of input pixels for one of the `scale` output rows or columns of each: how much the one before counts, the
/// pixel itself, and the one after.
pub(super) fn interpolation(part: usize, scale: usize) -> [f32; 3] {
    let offset = (part as f32 + 0.5) / scale as f32 - 0.5;
    [(-offset).max(0.0), 1.0 - offset.abs(), offset.max(0.0)]
}

/// One of the `scale` output rows of a row of input pixels: `above`, `here` and `below` interpolated, `width` output values a line into
/// `out`. Lines go on beyond their ends as they are.
pub(super) fn interpolate(
    [above, here, below]: [&[f32]; 3],
    (width, part, scale): (usize, usize, usize),
    out: &mut [f32],
) {
    let [a, h, b] = interpolation(part, scale);
    let mut line = vec![0.0; width + 2];
    let lines = out.chunks_exact_mut(width * scale).enumerate();
    for (c, out) in lines {
        let range = c * width..(c + 1) * width;
        let rows = above[range.clone()]
            .iter()
            .zip(&here[range.clone()])
            .zip(&below[range]);
        for (v, ((above, here), below)) in line[1..].iter_mut().zip(rows) {
            *v = a * above + h * here + b * below;
        }
        line[0] = line[1];
        line[width + 1] = line[width];
        match scale {
            2 => spread::<2>(&line, out),
            3 => spread::<3>(&line, out),
            _ => spread::<4>(&line, out),
        }
    }
}

fn spread<const S: usize>(line: &[f32], out: &mut [f32]) {
    let weights: [[f32; 3]; S] = core::array::from_fn(|i| interpolation(i, S));
    let (out, _) = out.as_chunks_mut::<S>();
    for (out, near) in out.iter_mut().zip(line.array_windows::<3>()) {
        for (o, w) in out.iter_mut().zip(&weights) {
            *o = w[0] * near[0] + w[1] * near[1] + w[2] * near[2];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lines_are_filtered_as_defined(line in prop::collection::vec(-1f32..1.0, 1..40), reach in 0usize..9) {
            let n = line.len();
            let near = |x: usize, from: isize, to: isize| (from..to).map(move |d| reflect(x as isize + d, n));
            let (mean, most) = (mean_along::<16>(&line, n), largest_along(&line, n, reach));
            for x in 0..n {
                let sum: f32 = near(x, -8, 8).map(|i| line[i]).sum();
                prop_assert!((mean[x] - sum / 16.0).abs() < 1e-5);
                let largest = near(x, -(reach as isize), reach as isize + 1).map(|i| line[i]).fold(f32::MIN, f32::max);
                prop_assert_eq!(most[x], largest);
            }
        }
    }
}
