//! Halving a plane by a maximum and a binomial low-pass (Zhang 2019), and its gradient, on slices.
//!
//! `M` is the maximum over all windows of `window x window` pixels; the result is `1 2 1` in both directions over `M`, whose sum
//! is 1, at every other pixel of `M` reflected by two.

use alloc::{vec, vec::Vec};
use core::array::from_fn;

use crate::exec::for_each;

/// The sides of a plane and of the window, which are shorter: two maxima a side can be reflected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halving {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) window: usize,
}

impl Halving {
    fn maxima(&self) -> (usize, usize) {
        debug_assert!(
            self.height.min(self.width) > self.window,
            "a plane longer than the window"
        );
        (self.height + 1 - self.window, self.width + 1 - self.window)
    }

    /// Height and width of the result.
    pub(crate) fn halved(&self) -> (usize, usize) {
        let (h, w) = self.maxima();
        (h.div_ceil(2) + 1, w.div_ceil(2) + 1)
    }

    /// The halved planes.
    pub(crate) fn forward(&self, x: &[f32]) -> Vec<f32> {
        let ((height, width), (h, w)) = (self.maxima(), self.halved());
        let planes = x.len() / (self.height * self.width);
        let mut out = vec![0.0; planes * h * w];
        let each = out
            .chunks_exact_mut(h * w)
            .zip(x.chunks_exact(self.height * self.width));
        for_each(each.collect(), |(out, x)| {
            let maxima = self.maximum(x);
            let mut row = vec![0.0; width];
            for (i, out) in out.chunks_exact_mut(w).enumerate() {
                let [a, b, c] = taps(i, height).map(|y| &maxima[y * width..][..width]);
                for (row, ((a, b), c)) in row.iter_mut().zip(a.iter().zip(b).zip(c)) {
                    *row = 0.25 * (a + 2.0 * b + c);
                }
                for (j, out) in out.iter_mut().enumerate() {
                    let [a, b, c] = taps(j, width).map(|x| row[x]);
                    *out = 0.25 * (a + 2.0 * b + c);
                }
            }
        });
        out
    }

    /// The gradient with respect to the planes; that of a maximum goes to the first place that has it.
    #[cfg(feature = "autodiff")]
    pub(crate) fn backward(&self, x: &[f32], gradient: &[f32]) -> Vec<f32> {
        let ((height, width), (h, w)) = (self.maxima(), self.halved());
        let mut dx = vec![0.0; x.len()];
        let area = self.height * self.width;
        let each = dx.chunks_exact_mut(area).zip(x.chunks_exact(area));
        let each = each.zip(gradient.chunks_exact(h * w));
        for_each(each.collect(), |((dx, x), gradient)| {
            let mut maxima = vec![0.0; height * width];
            let mut row = vec![0.0; width];
            for (i, gradient) in gradient.chunks_exact(w).enumerate() {
                row.fill(0.0);
                for (j, g) in gradient.iter().enumerate() {
                    for (x, factor) in taps(j, width).into_iter().zip([0.25, 0.5, 0.25]) {
                        row[x] += factor * g;
                    }
                }
                for (y, factor) in taps(i, height).into_iter().zip([0.25, 0.5, 0.25]) {
                    let out = &mut maxima[y * width..][..width];
                    out.iter_mut().zip(&row).for_each(|(out, g)| *out += factor * g);
                }
            }
            for (y, maxima) in maxima.chunks_exact(width).enumerate() {
                for (left, g) in maxima.iter().enumerate() {
                    let mut at = y * self.width + left;
                    let first = at;
                    for dy in 0..self.window {
                        for place in (first + dy * self.width..).take(self.window) {
                            if x[place] > x[at] || x[place].is_nan() {
                                at = place;
                            }
                        }
                    }
                    dx[at] += g;
                }
            }
        });
        dx
    }

    /// The maxima of a plane: along rows, then down columns.
    fn maximum(&self, x: &[f32]) -> Vec<f32> {
        let (height, width) = self.maxima();
        let mut along = vec![0.0; self.height * width];
        for (out, row) in along.chunks_exact_mut(width).zip(x.chunks_exact(self.width)) {
            out.copy_from_slice(&row[..width]);
            for d in 1..self.window {
                larger(out, &row[d..]);
            }
        }
        let mut out = along[..height * width].to_vec();
        for d in 1..self.window {
            larger(&mut out, &along[d * width..]);
        }
        out
    }
}

fn larger(a: &mut [f32], b: &[f32]) {
    a.iter_mut()
        .zip(b)
        .for_each(|(a, b)| *a = if *b > *a || b.is_nan() { *b } else { *a });
}

/// The places that result `i` reads of a line of `n`, which is reflected without its ends.
fn taps(i: usize, n: usize) -> [usize; 3] {
    from_fn(|tap| {
        let at = (2 * i + tap).abs_diff(2);
        if at < n { at } else { 2 * n - 2 - at }
    })
}
