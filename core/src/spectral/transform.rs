//! Orthonormal transforms along rows and columns, for any size.
//!
//! With the feature `std`, rustdct and rustfft do the work in `O(n log n)`; without it, or for a few pixels, a
//! product with the basis matrix does, in `O(n^2)` per line and without any dependency.

use alloc::{format, vec, vec::Vec};
use core::f64::consts::PI;

#[cfg(feature = "std")]
use alloc::sync::Arc;

use super::{Boundary, Sample};
use crate::{Error, Result, Size};

/// The longest line the plain transform takes: its basis matrix is 8 MB.
const LONGEST_PLAIN: usize = 1024;
/// Below this length a fast transform has nothing to win; it also keeps degenerate lengths out of its way.
#[cfg(feature = "std")]
const SHORTEST_FAST: usize = 8;

/// The orthonormal eigenvectors of a one-dimensional Laplacian of `n` pixels, `[n, n]`: row `k` is eigenvector `k`.
///
/// DCT-II `cos(pi k (i + 1/2) / n)`, Hartley `cos + sin` of `2 pi k i / n`, or DST-II
/// `sin(pi (k + 1) (i + 1/2) / n)`, each scaled to length 1.
pub(crate) fn basis(boundary: Boundary, n: usize) -> Vec<f64> {
    let size = n as f64;
    // Angles are reduced as integers first: cos and sin of large arguments lose digits.
    let turn = |numerator: usize, denominator: usize| {
        let reduced = numerator % denominator;
        2.0 * PI * reduced as f64 / denominator as f64
    };
    let mut rows = Vec::with_capacity(n * n);
    for k in 0..n {
        for i in 0..n {
            rows.push(match boundary {
                Boundary::Neumann => {
                    let scale = if k == 0 { 1.0 } else { 2.0 } / size;
                    libm::sqrt(scale) * libm::cos(turn(k * (2 * i + 1), 4 * n))
                }
                Boundary::Periodic => {
                    let angle = turn(k * i, n);
                    (libm::cos(angle) + libm::sin(angle)) / libm::sqrt(size)
                }
                Boundary::Dirichlet => {
                    let scale = if k + 1 == n { 1.0 } else { 2.0 } / size;
                    libm::sqrt(scale) * libm::sin(turn((k + 1) * (2 * i + 1), 4 * n))
                }
            });
        }
    }
    rows
}

/// One line's orthonormal transform into the eigenvectors of [`basis`], and back.
#[derive(Clone)]
struct Transform1 {
    n: usize,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Plain(Vec<f64>),
    #[cfg(feature = "std")]
    Cosine(Arc<dyn rustdct::TransformType2And3<f64>>),
    #[cfg(feature = "std")]
    Sine(Arc<dyn rustdct::TransformType2And3<f64>>),
    #[cfg(feature = "std")]
    Hartley(Arc<dyn rustdct::rustfft::Fft<f64>>),
}

impl core::fmt::Debug for Transform1 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Transform1")
            .field("n", &self.n)
            .finish_non_exhaustive()
    }
}

impl Transform1 {
    /// Plans a transform of `n` values.
    ///
    /// # Errors
    /// [`Error::Size`] when `n` is zero or, without `std`, above 1024.
    fn new(boundary: Boundary, n: usize) -> Result<Self> {
        #[cfg(feature = "std")]
        if n >= SHORTEST_FAST {
            let kind = match boundary {
                Boundary::Neumann => Kind::Cosine(rustdct::DctPlanner::new().plan_dct2(n)),
                Boundary::Dirichlet => Kind::Sine(rustdct::DctPlanner::new().plan_dst2(n)),
                Boundary::Periodic => Kind::Hartley(rustdct::rustfft::FftPlanner::new().plan_fft_forward(n)),
            };
            return Ok(Self { n, kind });
        }
        Self::plain(boundary, n)
    }

    /// The transform as a matrix product.
    ///
    /// # Errors
    /// [`Error::Size`] when `n` is zero or above 1024.
    fn plain(boundary: Boundary, n: usize) -> Result<Self> {
        if n == 0 || n > LONGEST_PLAIN {
            return Err(Error::Size(format!(
                "a line of {n} pixels has no plain transform: 1 to {LONGEST_PLAIN} are taken; the feature `std` \
                 takes any length"
            )));
        }
        Ok(Self {
            n,
            kind: Kind::Plain(basis(boundary, n)),
        })
    }

    /// Replaces values by their coefficients.
    ///
    /// # Panics
    /// When `line` has another length.
    fn forward(&self, line: &mut [f64], scratch: &mut Scratch) {
        self.run(line, scratch, false);
    }

    /// Replaces coefficients by their values.
    ///
    /// # Panics
    /// When `line` has another length.
    fn inverse(&self, line: &mut [f64], scratch: &mut Scratch) {
        self.run(line, scratch, true);
    }

    fn run(&self, line: &mut [f64], scratch: &mut Scratch, inverse: bool) {
        let n = self.n;
        assert_eq!(line.len(), n, "a line of the transform's length");
        match &self.kind {
            Kind::Plain(matrix) => {
                scratch.real.clear();
                scratch.real.extend_from_slice(line);
                for (k, out) in line.iter_mut().enumerate() {
                    *out = if inverse {
                        (0..n).map(|i| matrix[i * n + k] * scratch.real[i]).sum()
                    } else {
                        let row = &matrix[k * n..(k + 1) * n];
                        row.iter().zip(&scratch.real).map(|(a, b)| a * b).sum()
                    };
                }
            }
            // rustdct's unscaled pair is DCT-II, and DCT-III with half of the first coefficient (for sines: of
            // the last); both become orthonormal by sqrt(2 / n), and that one coefficient by sqrt(1 / 2) more.
            #[cfg(feature = "std")]
            Kind::Cosine(plan) => {
                scratch.real.resize(plan.get_scratch_len(), 0.0);
                let scale = (2.0 / n as f64).sqrt();
                if inverse {
                    line[0] *= core::f64::consts::SQRT_2;
                    plan.process_dct3_with_scratch(line, &mut scratch.real);
                } else {
                    plan.process_dct2_with_scratch(line, &mut scratch.real);
                    line[0] *= core::f64::consts::FRAC_1_SQRT_2;
                }
                line.iter_mut().for_each(|v| *v *= scale);
            }
            #[cfg(feature = "std")]
            Kind::Sine(plan) => {
                scratch.real.resize(plan.get_scratch_len(), 0.0);
                let scale = (2.0 / n as f64).sqrt();
                if inverse {
                    line[n - 1] *= core::f64::consts::SQRT_2;
                    plan.process_dst3_with_scratch(line, &mut scratch.real);
                } else {
                    plan.process_dst2_with_scratch(line, &mut scratch.real);
                    line[n - 1] *= core::f64::consts::FRAC_1_SQRT_2;
                }
                line.iter_mut().for_each(|v| *v *= scale);
            }
            // The Hartley transform is its own inverse: re - im of the Fourier transform.
            #[cfg(feature = "std")]
            Kind::Hartley(plan) => {
                use rustdct::rustfft::num_complex::Complex64;
                scratch.complex.clear();
                scratch
                    .complex
                    .extend(line.iter().map(|v| Complex64::new(*v, 0.0)));
                let work = plan.get_inplace_scratch_len();
                scratch
                    .work
                    .resize(work.max(scratch.work.len()), Complex64::default());
                plan.process_with_scratch(&mut scratch.complex, &mut scratch.work[..work]);
                let scale = 1.0 / (n as f64).sqrt();
                for (v, c) in line.iter_mut().zip(&scratch.complex) {
                    *v = (c.re - c.im) * scale;
                }
            }
        }
    }
}

/// Working memory of a transform, kept between lines.
#[derive(Debug, Clone, Default)]
struct Scratch {
    real: Vec<f64>,
    #[cfg(feature = "std")]
    complex: Vec<rustdct::rustfft::num_complex::Complex64>,
    #[cfg(feature = "std")]
    work: Vec<rustdct::rustfft::num_complex::Complex64>,
}

/// Columns that are gathered and transformed together: one cache line of `f32`.
const COLUMNS_AT_ONCE: usize = 16;

/// The orthonormal transform of a plane, `[height, width]`, along both axes.
#[derive(Debug, Clone)]
pub struct Transform2 {
    columns: Transform1,
    rows: Transform1,
}

impl Transform2 {
    /// Plans a transform of planes of a size.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is zero or, without `std`, above 1024.
    pub fn new(boundary: Boundary, size: Size) -> Result<Self> {
        Ok(Self {
            columns: Transform1::new(boundary, size.height)?,
            rows: Transform1::new(boundary, size.width)?,
        })
    }

    /// Rows of a plane.
    pub fn height(&self) -> usize {
        self.columns.n
    }

    /// Columns of a plane.
    pub fn width(&self) -> usize {
        self.rows.n
    }

    /// Replaces pixels by coefficients, `[k, l]` with `k` the vertical frequency.
    ///
    /// # Panics
    /// When `plane` has another size.
    pub fn forward<S: Sample>(&self, plane: &mut [S]) {
        self.run(plane, Transform1::forward);
    }

    /// Replaces coefficients by pixels.
    ///
    /// # Panics
    /// When `plane` has another size.
    pub fn inverse<S: Sample>(&self, plane: &mut [S]) {
        self.run(plane, Transform1::inverse);
    }

    fn run<S: Sample>(&self, plane: &mut [S], step: impl Fn(&Transform1, &mut [f64], &mut Scratch)) {
        let (h, w) = (self.columns.n, self.rows.n);
        assert_eq!(plane.len(), h * w, "a plane of the transform's size");
        let mut scratch = Scratch::default();
        let mut line = vec![0.0; w];
        for row in plane.chunks_exact_mut(w) {
            for (to, from) in line.iter_mut().zip(row.iter()) {
                *to = from.to_f64();
            }
            step(&self.rows, &mut line, &mut scratch);
            for (to, from) in row.iter_mut().zip(&line) {
                *to = S::from_f64(*from);
            }
        }
        let mut lines = vec![0.0; h * COLUMNS_AT_ONCE.min(w)];
        for first in (0..w).step_by(COLUMNS_AT_ONCE) {
            let n = COLUMNS_AT_ONCE.min(w - first);
            for y in 0..h {
                for x in 0..n {
                    lines[x * h + y] = plane[y * w + first + x].to_f64();
                }
            }
            for line in lines.chunks_exact_mut(h).take(n) {
                step(&self.columns, line, &mut scratch);
            }
            for y in 0..h {
                for x in 0..n {
                    plane[y * w + first + x] = S::from_f64(lines[x * h + y]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use proptest::prelude::*;

    const ALL: [Boundary; 3] = [Boundary::Neumann, Boundary::Periodic, Boundary::Dirichlet];

    fn values(n: usize, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        (0..n).map(|_| random.normal()).collect()
    }

    #[test]
    fn the_dct_is_the_direct_sum_of_its_definition() {
        // Straight from Ahmed, Natarajan and Rao 1974, two sums per coefficient.
        let (h, w) = (5, 7);
        let x = values(h * w, 1);
        let mut got = x.clone();
        Transform2::new(Boundary::Neumann, Size::new(w, h))
            .expect("sizes")
            .forward(&mut got);
        for k in 0..h {
            for l in 0..w {
                let mut sum = 0.0;
                for i in 0..h {
                    for j in 0..w {
                        sum += x[i * w + j]
                            * (PI * k as f64 * (i as f64 + 0.5) / h as f64).cos()
                            * (PI * l as f64 * (j as f64 + 0.5) / w as f64).cos();
                    }
                }
                let a = |k: usize, n: usize| (if k == 0 { 1.0 } else { 2.0 } / n as f64).sqrt();
                let expected = sum * a(k, h) * a(l, w);
                assert!((got[k * w + l] - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_constant_has_only_its_mean() {
        let mut plane = vec![2.0f64; 12 * 9];
        Transform2::new(Boundary::Neumann, Size::new(9, 12))
            .expect("sizes")
            .forward(&mut plane);
        assert!((plane[0] - 2.0 * (108.0f64).sqrt()).abs() < 1e-12);
        assert!(plane[1..].iter().all(|v| v.abs() < 1e-12));
    }

    #[test]
    fn f32_planes_keep_f32_precision() {
        let x: Vec<f32> = values(300 * 200, 3).iter().map(|v| *v as f32).collect();
        let t = Transform2::new(Boundary::Neumann, Size::new(200, 300)).expect("sizes");
        let mut y = x.clone();
        t.forward(&mut y);
        t.inverse(&mut y);
        let worst = x.iter().zip(&y).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-6, "{worst}");
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        assert!(matches!(
            Transform2::new(Boundary::Neumann, Size::new(4, 0)),
            Err(Error::Size(_))
        ));
        assert!(matches!(
            Transform1::plain(Boundary::Neumann, 1025),
            Err(Error::Size(_))
        ));
    }

    proptest! {
        #[test]
        fn fast_and_plain_agree_and_invert(n in 1usize..200, seed: u64, which in 0usize..3) {
            let x = values(n, seed);
            let scratch = &mut Scratch::default();
            let (fast, plain) = (
                Transform1::new(ALL[which], n).expect("size"),
                Transform1::plain(ALL[which], n).expect("size"),
            );
            let (mut a, mut b) = (x.clone(), x.clone());
            fast.forward(&mut a, scratch);
            plain.forward(&mut b, scratch);
            for (a, b) in a.iter().zip(&b) {
                prop_assert!((a - b).abs() < 1e-11, "{a} {b}");
            }
            // Parseval.
            let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
            prop_assert!((norm(&x) - norm(&a)).abs() < 1e-10 * (1.0 + norm(&x)));
            fast.inverse(&mut a, scratch);
            plain.inverse(&mut b, scratch);
            for ((a, b), x) in a.iter().zip(&b).zip(&x) {
                prop_assert!((a - x).abs() < 1e-11 && (b - x).abs() < 1e-11);
            }
        }

        #[test]
        fn planes_of_any_shape_invert(h in 1usize..40, w in 1usize..40, seed: u64, which in 0usize..3) {
            let x = values(h * w, seed);
            let t = Transform2::new(ALL[which], Size::new(w, h)).expect("sizes");
            let mut y = x.clone();
            t.forward(&mut y);
            t.inverse(&mut y);
            for (a, b) in x.iter().zip(&y) {
                prop_assert!((a - b).abs() < 1e-11);
            }
        }
    }
}
