use alloc::{vec, vec::Vec};

use super::{comparable, luma};
use crate::{Planes, Result};

/// Side of the window.
const WINDOW: usize = 11;
/// Standard deviation of its Gaussian, in pixels.
const SIGMA: f64 = 1.5;
/// `(K L)^2` for K = 0.01 and 0.03 and the range L = 255.
const C1: f64 = 6.5025;
const C2: f64 = 58.5225;

/// Structural similarity of the luma (Wang et al. 2004), at most 1: Gaussian windows of 11 pixels that lie inside the image,
/// after a border of `border` pixels is cut away.
///
/// # Errors
/// [`Error::Size`](crate::Error::Size) when the images differ in size or no window lies inside.
pub fn ssim_y(a: &Planes, b: &Planes, border: usize) -> Result<f64> {
    comparable(a, b, border, WINDOW)?;
    let (w, h) = (a.width() - 2 * border, a.height() - 2 * border);
    let inner = |image: &Planes| -> Vec<f64> {
        let y = luma(image);
        let row = |i: usize| (i + border) * image.width() + border;
        (0..h).flat_map(|i| y[row(i)..row(i) + w].to_vec()).collect()
    };
    let (a, b) = (inner(a), inner(b));
    let product = |p: &[f64], q: &[f64]| -> Vec<f64> { p.iter().zip(q).map(|(p, q)| p * q).collect() };
    let kernel = kernel();
    let mean = |x: &[f64]| filtered(x, w, h, &kernel);
    let (ma, mb) = (mean(&a), mean(&b));
    let (aa, bb, ab) = (
        mean(&product(&a, &a)),
        mean(&product(&b, &b)),
        mean(&product(&a, &b)),
    );
    let mut sum = 0.0;
    for i in 0..ma.len() {
        let (p, q) = (ma[i], mb[i]);
        let (va, vb, covariance) = (aa[i] - p * p, bb[i] - q * q, ab[i] - p * q);
        sum += (2.0 * p * q + C1) * (2.0 * covariance + C2) / ((p * p + q * q + C1) * (va + vb + C2));
    }
    Ok(sum / ma.len() as f64)
}

fn kernel() -> [f64; WINDOW] {
    let mut kernel = core::array::from_fn(|i| {
        let x = i as f64 - (WINDOW / 2) as f64;
        libm::exp(-x * x / (2.0 * SIGMA * SIGMA))
    });
    let sum: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);
    kernel
}

/// A plane of `h` rows of `w` under the kernel along both axes, where it lies inside.
fn filtered(x: &[f64], w: usize, h: usize, kernel: &[f64; WINDOW]) -> Vec<f64> {
    let narrow = w + 1 - WINDOW;
    let across: Vec<f64> = x
        .chunks_exact(w)
        .flat_map(|row| {
            row.windows(WINDOW)
                .map(|part| part.iter().zip(kernel).map(|(v, k)| v * k).sum::<f64>())
        })
        .collect();
    let mut out = vec![0.0; (h + 1 - WINDOW) * narrow];
    for (y, row) in out.chunks_exact_mut(narrow).enumerate() {
        for (k, weight) in kernel.iter().enumerate() {
            let from = &across[(y + k) * narrow..(y + k + 1) * narrow];
            row.iter_mut().zip(from).for_each(|(sum, v)| *sum += weight * v);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::noise;

    /// The definition, window by window, with the kernel of two dimensions.
    #[test]
    fn it_is_the_mean_over_windows() {
        let (a, b) = (noise(1, 17, 21), noise(2, 17, 21));
        let (ya, yb) = (luma(&a), luma(&b));
        let border = 2;
        let weight = |dy: usize, dx: usize| {
            let square = |d: usize| (d as f64 - 5.0) * (d as f64 - 5.0);
            libm::exp(-(square(dy) + square(dx)) / 4.5)
        };
        let each = || (0..11).flat_map(|dy| (0..11).map(move |dx| (dy, dx)));
        let total: f64 = each().map(|(dy, dx)| weight(dy, dx)).sum();
        let (mut sum, mut count) = (0.0, 0.0);
        for y in border..=17 - border - 11 {
            for x in border..=21 - border - 11 {
                let mean = |f: &dyn Fn(usize) -> f64| -> f64 {
                    each()
                        .map(|(dy, dx)| weight(dy, dx) / total * f((y + dy) * 21 + x + dx))
                        .sum()
                };
                let (p, q) = (mean(&|i| ya[i]), mean(&|i| yb[i]));
                let va = mean(&|i| (ya[i] - p) * (ya[i] - p));
                let vb = mean(&|i| (yb[i] - q) * (yb[i] - q));
                let ab = mean(&|i| (ya[i] - p) * (yb[i] - q));
                sum += (2.0 * p * q + C1) / (p * p + q * q + C1) * (2.0 * ab + C2) / (va + vb + C2);
                count += 1.0;
            }
        }
        let got = ssim_y(&a, &b, border).expect("comparable");
        assert!((got - sum / count).abs() < 1e-9, "{got} {}", sum / count);
        assert!((ssim_y(&a, &a, border).expect("comparable") - 1.0).abs() < 1e-12);
        assert!(ssim_y(&a, &b, 4).is_err());
    }
}
