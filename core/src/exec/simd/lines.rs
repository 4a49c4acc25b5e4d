//! What a convolution reads: rows of an image combined by a [`Transform`], with zeros between them.
//!
//! A plane holds one part of the transform of one channel, for one image or several, a line for every `m` rows:
//!
//! ```text
//! r zeros | line 0, r zeros | line 1, r zeros | … | TAIL
//! ```
//!
//! Lines lie `pitch = width + r` apart: the zeros after a line are those before the next. The result at line `l`, column
//! `x` sits at `q = l * pitch + x`, and its tap `kx` at `q + kx`. So a run of consecutive `q` is a run of consecutive
//! taps, across the ends of lines too; what falls on the zeros between lines is thrown away.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::{vec, vec::Vec};
use core::ops::Range;

use super::transform::MOST;

/// Values after a plane that whole vectors may read: the longest vector, and the kernel's side.
const TAIL: usize = 32;

/// How rows become lines: part `p` of a line is `sum_j factors[p][j]` times row `j` of those read for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Combination<'a> {
    pub(crate) factors: &'a [[f32; MOST]],
    /// Rows from one line to the next.
    pub(crate) advance: usize,
    /// Rows read for a line, and how many of them lie before its own.
    pub(crate) read: usize,
    pub(crate) before: usize,
}

/// Writes the sum of rows times their factors.
#[inline(always)]
fn combine(factors: &[f32; MOST], rows: &[&[f32]], out: &mut [f32]) {
    let mut terms = [(0.0, &[][..]); MOST];
    let mut n = 0;
    for (factor, row) in factors.iter().zip(rows).filter(|(f, _)| **f != 0.0) {
        terms[n] = (*factor, *row);
        n += 1;
    }
    match n {
        0 => out.fill(0.0),
        1 => sum::<1>(&terms, out),
        2 => sum::<2>(&terms, out),
        3 => sum::<3>(&terms, out),
        4 => sum::<4>(&terms, out),
        5 => sum::<5>(&terms, out),
        _ => sum::<MOST>(&terms, out),
    }
}

/// Writes the sum of the first `N` rows, each times its factor; the others are zeros.
#[inline(always)]
fn sum<const N: usize>(terms: &[(f32, &[f32]); MOST], out: &mut [f32]) {
    let n = out.len();
    let rows: [&[f32]; N] = core::array::from_fn(|k| &terms[k].1[..n]);
    for (i, out) in out.iter_mut().enumerate() {
        let mut sum = terms[0].0 * rows[0][i];
        for k in 1..N {
            sum += terms[k].0 * rows[k][i];
        }
        *out = sum;
    }
}

/// The layout of a plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    pub(crate) width: usize,
    pub(crate) count: usize,
    pub(crate) radius: usize,
}

impl Lines {
    /// Distance between lines.
    pub(crate) fn pitch(&self) -> usize {
        self.width + self.radius
    }

    /// Results from the first to the last, those between lines included.
    pub(crate) fn span(&self) -> usize {
        self.count * self.pitch()
    }

    /// Length of a plane.
    pub(crate) fn plane(&self) -> usize {
        self.radius + self.span() + TAIL
    }

    /// Writes `count` lines, from line `line` on, into the zeros of a plane per part: lines of rows from `first` on of plane
    /// number `plane`, `height` rows high, beyond which all is zero.
    #[inline(always)]
    pub(crate) fn fill(
        &self,
        how: Combination,
        (from, plane, height): (&[f32], usize, usize),
        first: usize,
        (line, count): (usize, usize),
        out: &mut [f32],
    ) {
        let none = vec![0.0; self.width];
        let mut planes: Vec<&mut [f32]> = out.chunks_exact_mut(self.plane()).collect();
        for l in 0..count {
            let mut rows = [&[][..]; MOST];
            for (j, row) in rows[..how.read].iter_mut().enumerate() {
                let y = (first + l * how.advance + j).checked_sub(how.before);
                *row = y.filter(|y| *y < height).map_or(&none[..], |y| {
                    &from[(plane * height + y) * self.width..][..self.width]
                });
            }
            let start = self.radius + (line + l) * self.pitch();
            for (factors, plane) in how.factors.iter().zip(&mut planes) {
                combine(factors, &rows[..how.read], &mut plane[start..start + self.width]);
            }
        }
    }

    /// The parts of `q..q + n` that are results: their places, line and first column.
    pub(crate) fn runs(
        &self,
        q: usize,
        n: usize,
    ) -> impl Iterator<Item = (Range<usize>, usize, usize)> + use<> {
        let Self { width, count, .. } = *self;
        let pitch = self.pitch();
        (q / pitch..count)
            .map(move |line| (line, line * pitch))
            .take_while(move |(_, start)| *start < q + n)
            .filter_map(move |(line, start)| {
                let (from, to) = (start.max(q), (start + width).min(q + n));
                (from < to).then(|| (from - q..to - q, line, from - start))
            })
    }
}
