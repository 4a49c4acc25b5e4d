//! Minimal filtering along columns (Winograd 1980; Lavin and Gray 2016).
//!
//! `F(m, r)` makes `m` rows of a convolution with `r` kernel rows from `m + r - 1` products of rows instead of `m r`:
//! with input rows `d`, kernel rows `g` and matrices `B`, `G`, `A`, it is `A^T [(G g) * (B^T d)]`. Only rows are
//! combined, so the transforms are sums of whole rows; along rows a convolution stays a convolution.
//!
//! | | products of rows for 4 rows |
//! |---|---|
//! | `F(1, 3)`, the definition | 12 |
//! | `F(2, 3)` | 8 |
//! | `F(4, 3)` | 6 |

/// Most rows that a transform combines or makes.
pub(crate) const MOST: usize = 6;
type Matrix = [[f32; MOST]; MOST];

/// A minimal filtering algorithm; unused entries of the matrices are zero.
#[derive(Debug)]
pub(crate) struct Transform {
    /// Output rows at a time, `m`.
    pub(crate) rows: usize,
    /// Products at a time.
    pub(crate) parts: usize,
    /// `B^T`, of a row for each part and a column for each input row.
    pub(crate) input: Matrix,
    /// `G`, of a row for each part and a column for each kernel row.
    pub(crate) kernel: Matrix,
    /// `A`, of a row for each part and a column for each output row.
    pub(crate) output: Matrix,
    /// How many times each part of the transposed output transform goes into the sum of its rows.
    #[cfg_attr(not(feature = "autodiff"), expect(dead_code, reason = "for gradients"))]
    pub(crate) total: [f32; MOST],
}

/// Widens the written part of a matrix.
const fn matrix<const R: usize, const C: usize>(written: [[f32; C]; R]) -> Matrix {
    let mut all = [[0.0; MOST]; MOST];
    let mut r = 0;
    while r < R {
        let mut c = 0;
        while c < C {
            all[r][c] = written[r][c];
            c += 1;
        }
        r += 1;
    }
    all
}

static POINTWISE: Transform = Transform {
    rows: 1,
    parts: 1,
    input: matrix([[1.0]]),
    kernel: matrix([[1.0]]),
    output: matrix([[1.0]]),
    total: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
};

static ONE_ROW: Transform = Transform {
    rows: 1,
    parts: 3,
    input: matrix([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    kernel: matrix([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
    output: matrix([[1.0], [1.0], [1.0]]),
    total: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
};

static TWO_ROWS: Transform = Transform {
    rows: 2,
    parts: 4,
    input: matrix([
        [1.0, 0.0, -1.0, 0.0],
        [0.0, 1.0, 1.0, 0.0],
        [0.0, -1.0, 1.0, 0.0],
        [0.0, 1.0, 0.0, -1.0],
    ]),
    kernel: matrix([
        [1.0, 0.0, 0.0],
        [0.5, 0.5, 0.5],
        [0.5, -0.5, 0.5],
        [0.0, 0.0, 1.0],
    ]),
    output: matrix([[1.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, -1.0]]),
    total: [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
};

/// Interpolation at 0, ±3/4, ±3/2 and infinity. The usual 0, ±1, ±2 have rounder factors and twice the rounding error.
pub(crate) static FOUR_ROWS: Transform = Transform {
    rows: 4,
    parts: 6,
    input: matrix([
        [1.0, 0.0, -20.0 / 9.0, 0.0, 64.0 / 81.0, 0.0],
        [0.0, 8.0 / 9.0, 32.0 / 27.0, -32.0 / 81.0, -128.0 / 243.0, 0.0],
        [0.0, -8.0 / 9.0, 32.0 / 27.0, 32.0 / 81.0, -128.0 / 243.0, 0.0],
        [0.0, -4.0 / 9.0, -8.0 / 27.0, 64.0 / 81.0, 128.0 / 243.0, 0.0],
        [0.0, 4.0 / 9.0, -8.0 / 27.0, -64.0 / 81.0, 128.0 / 243.0, 0.0],
        [0.0, 81.0 / 64.0, 0.0, -45.0 / 16.0, 0.0, 1.0],
    ]),
    kernel: matrix([
        [1.0, 0.0, 0.0],
        [1.0, 0.75, 0.5625],
        [1.0, -0.75, 0.5625],
        [0.25, 0.375, 0.5625],
        [0.25, -0.375, 0.5625],
        [0.0, 0.0, 1.0],
    ]),
    output: matrix([
        [1.0, 0.0, 0.0, 0.0],
        [1.0, 0.75, 0.5625, 0.421_875],
        [1.0, -0.75, 0.5625, -0.421_875],
        [1.0, 1.5, 2.25, 3.375],
        [1.0, -1.5, 2.25, -3.375],
        [0.0, 0.0, 0.0, 1.0],
    ]),
    total: [-7.0 / 9.0, 14.0 / 9.0, 2.0 / 9.0, 0.0, 0.0, 0.4375],
};

impl Transform {
    /// The one with the fewest products for so many rows, for a kernel of 1 or 3 rows.
    pub(crate) fn choose(kernel: usize, height: usize) -> &'static Self {
        if kernel == 1 {
            return &POINTWISE;
        }
        let cost = |t: &Self| t.parts * height.div_ceil(t.rows);
        // Of equals the one with the smaller factors.
        [&ONE_ROW, &TWO_ROWS, &FOUR_ROWS]
            .into_iter()
            .min_by_key(|t| cost(t))
            .unwrap_or(&ONE_ROW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use core::array::from_fn;

    /// `sum_p A[p][m] G[p][k] B[p][d]` is one where `d = m + k` and zero elsewhere.
    #[test]
    fn every_transform_is_a_convolution() {
        for (t, kernel) in [(&POINTWISE, 1), (&ONE_ROW, 3), (&TWO_ROWS, 3), (&FOUR_ROWS, 3)] {
            for m in 0..t.rows {
                for k in 0..kernel {
                    for d in 0..t.rows + kernel - 1 {
                        let sum: f32 = (0..t.parts)
                            .map(|p| t.output[p][m] * t.kernel[p][k] * t.input[p][d])
                            .sum();
                        let want = if d == m + k { 1.0 } else { 0.0 };
                        assert!((sum - want).abs() < 1e-6, "{t:?} {m} {k} {d}: {sum}");
                    }
                }
            }
        }
    }

    #[test]
    fn totals_are_sums_of_rows() {
        for t in [&POINTWISE, &ONE_ROW, &TWO_ROWS, &FOUR_ROWS] {
            for m in 0..t.rows {
                let sum: f32 = (0..t.parts).map(|p| t.total[p] * t.output[p][m]).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{t:?} {m}: {sum}");
            }
        }
    }

    /// Sums over 96 channels in `f32`, against the same in `f64`: the root mean square of the difference.
    fn rounding(t: &Transform) -> f64 {
        let mut random = SplitMix64::new(1);
        let (mut squares, runs) = (0.0, 400);
        for _ in 0..runs {
            let (mut parts, mut exact) = ([0.0f32; MOST], [0.0f64; MOST]);
            for _ in 0..96 {
                let d: [f32; MOST] = from_fn(|_| random.normal() as f32);
                let g: [f32; 3] = from_fn(|_| random.normal() as f32);
                for (p, part) in parts[..t.parts].iter_mut().enumerate() {
                    let rows: f32 = (0..MOST).map(|j| t.input[p][j] * d[j]).sum();
                    let kernel: f32 = (0..3).map(|k| t.kernel[p][k] * g[k]).sum();
                    *part += rows * kernel;
                }
                for (m, exact) in exact[..t.rows].iter_mut().enumerate() {
                    *exact += (0..3).map(|k| f64::from(d[m + k]) * f64::from(g[k])).sum::<f64>();
                }
            }
            for (m, exact) in exact[..t.rows].iter().enumerate() {
                let y: f32 = (0..t.parts).map(|p| t.output[p][m] * parts[p]).sum();
                squares += (f64::from(y) - exact).powi(2) / t.rows as f64;
            }
        }
        (squares / f64::from(runs)).sqrt()
    }

    #[test]
    fn rounding_is_near_that_of_the_definition() {
        let definition = rounding(&ONE_ROW);
        assert!(rounding(&TWO_ROWS) < 1.5 * definition);
        assert!(rounding(&FOUR_ROWS) < 3.0 * definition);
    }
}
