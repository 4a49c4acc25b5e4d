use alloc::vec::Vec;

use super::{comparable, luma, quantise};
use crate::spectral::{Boundary, Laplacian, SobolevOperator, Spectrum, Stencil};
use crate::{Planes, Result, resample};

/// Peak signal-to-noise ratio of the luma in dB, without a border of `border` pixels; infinite for equal images.
///
/// # Errors
/// [`Error::Size`](crate::Error::Size) when the images differ in size or the border leaves nothing.
pub fn psnr_y(a: &Planes, b: &Planes, border: usize) -> Result<f64> {
    comparable(a, b, border, 1)?;
    let (ya, yb) = (luma(a), luma(b));
    let width = a.width();
    let rows = (border..a.height() - border).map(|y| y * width + border..(y + 1) * width - border);
    let squares = rows.flatten().map(|i| (ya[i] - yb[i]) * (ya[i] - yb[i]));
    let count = (a.height() - 2 * border) * (width - 2 * border);
    Ok(decibel(squares.sum::<f64>() / count as f64, 255.0))
}

/// Peak signal-to-noise ratio over all channels in dB, of values in `[0, 1]`, without a border of `border` pixels;
/// infinite for equal images.
///
/// # Errors
/// [`Error::Size`](crate::Error::Size) when the images differ in size or the border leaves nothing.
pub fn psnr_rgb(a: &Planes, b: &Planes, border: usize) -> Result<f64> {
    comparable(a, b, border, 1)?;
    let inner = border..a.width() - border;
    let mut sum = 0.0;
    for c in 0..a.channels() {
        for y in border..a.height() - border {
            let (ra, rb) = (&a.row(c, y)[inner.clone()], &b.row(c, y)[inner.clone()]);
            sum += ra
                .iter()
                .zip(rb)
                .map(|(p, q)| f64::from(p - q) * f64::from(p - q))
                .sum::<f64>();
        }
    }
    let count = a.channels() * (a.height() - 2 * border) * inner.len();
    Ok(decibel(sum / count as f64, 1.0))
}

/// How much of the input a result keeps: the PSNR in dB, over all channels, between `input` and `result` put through the
/// antialiased bicubic reduction and rounding that made the input. Meaningful for inputs of the protocol `clean` only.
///
/// # Errors
/// [`Error::Size`](crate::Error::Size) when the result's size is no multiple of the input's.
pub fn consistency(result: &Planes, input: &Planes) -> Result<f64> {
    let scale = result.width() / input.width().max(1);
    let mut small = resample::shrink(result, scale.max(1))?;
    quantise(&mut small);
    psnr_rgb(&small, input, 0)
}

/// The luma's error in grey levels, weighed in `H^s`: the root of [`SobolevOperator::energy`] of the difference, under the
/// 5-point Neumann Laplacian. For `s = 0` the root mean square; `s > 0` weighs fine structure, `s < 0` coarse.
///
/// # Errors
/// [`Error::Size`](crate::Error::Size) when the images differ in size, [`Error::Spectrum`](crate::Error::Spectrum) when
/// `s` is outside `[-2, 3]`.
pub fn sobolev_error(a: &Planes, b: &Planes, s: f64) -> Result<f64> {
    comparable(a, b, 0, 1)?;
    let laplacian = Laplacian {
        boundary: Boundary::Neumann,
        stencil: Stencil::FivePoint,
    };
    let operator = SobolevOperator::new(a.size(), Spectrum::sobolev(s)?, laplacian)?;
    let difference: Vec<f64> = luma(a).iter().zip(luma(b)).map(|(p, q)| p - q).collect();
    Ok(libm::sqrt(operator.energy(&difference)?))
}

fn decibel(mean_square: f64, peak: f64) -> f64 {
    10.0 * libm::log10(peak * peak / mean_square)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::metrics::tests::noise;

    fn grey(v: f32) -> Planes {
        Planes::new(3, 6, 6, alloc::vec![v; 108]).expect("sizes agree")
    }

    #[test]
    fn a_known_difference() {
        // A grey step of d changes the luma by 219 d.
        let d: f64 = 0.1;
        let expected = 20.0 * libm::log10(255.0 / (219.0 * d));
        let got = psnr_y(&grey(0.5), &grey(0.6), 2).expect("comparable");
        assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        let rgb = psnr_rgb(&grey(0.5), &grey(0.6), 2).expect("comparable");
        assert!((rgb - 20.0).abs() < 1e-4, "{rgb}");
        assert!(
            psnr_y(&grey(0.5), &grey(0.5), 0)
                .expect("comparable")
                .is_infinite()
        );
        assert!(matches!(psnr_y(&grey(0.5), &grey(0.5), 3), Err(Error::Size(_))));
    }

    #[test]
    fn the_border_is_left_out() {
        let (a, mut b) = (grey(0.5), grey(0.5));
        b.row_mut(1, 0)[3] = 0.9;
        assert!(psnr_y(&a, &b, 1).expect("comparable").is_infinite());
        assert!(psnr_rgb(&a, &b, 1).expect("comparable").is_infinite());
        assert!(psnr_rgb(&a, &b, 0).expect("comparable").is_finite());
    }

    #[test]
    fn sobolev_errors_meet_the_closed_forms() {
        let (a, b) = (noise(1, 12, 9), noise(2, 12, 9));
        let (ya, yb) = (luma(&a), luma(&b));
        let square = |x: &f64| x * x;
        let r: Vec<f64> = ya.iter().zip(&yb).map(|(p, q)| p - q).collect();
        let plain = r.iter().map(square).sum::<f64>();
        let rms = libm::sqrt(plain / r.len() as f64);
        assert!((sobolev_error(&a, &b, 0.0).expect("comparable") - rms).abs() < 1e-9);
        // s = 1: the square norm and that of the forward differences; the mean eigenvalue of each axis is 2 - 2/n.
        let across: f64 = r
            .chunks(9)
            .flat_map(|row| row.windows(2))
            .map(|p| square(&(p[1] - p[0])))
            .sum();
        let down: f64 = r.iter().zip(&r[9..]).map(|(p, q)| square(&(q - p))).sum();
        let mean_weight = 1.0 + (2.0 - 2.0 / 12.0) + (2.0 - 2.0 / 9.0);
        let expected = libm::sqrt((plain + across + down) / (r.len() as f64 * mean_weight));
        assert!((sobolev_error(&a, &b, 1.0).expect("comparable") - expected).abs() < 1e-9);
        let orders = [-1.0, 0.0, 1.0].map(|s| sobolev_error(&grey(0.5), &grey(0.6), s).expect("comparable"));
        // A constant is all coarse.
        assert!(orders[0] > orders[1] && orders[1] > orders[2], "{orders:?}");
    }

    #[test]
    fn the_reduced_truth_is_consistent() {
        let truth = noise(3, 32, 24);
        let mut input = resample::shrink(&truth, 4).expect("fits");
        quantise(&mut input);
        assert!(consistency(&truth, &input).expect("fits").is_infinite());
        let other = resample::enlarge(&input, 4);
        let kept = consistency(&other, &input).expect("fits");
        assert!((15.0..45.0).contains(&kept), "{kept}");
        assert!(matches!(
            consistency(&noise(1, 30, 24), &input),
            Err(Error::Size(_))
        ));
    }
}
