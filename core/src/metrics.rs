//! Image metrics on 8-bit values, as the field reports them.

use alloc::vec::Vec;

use crate::{Error, Planes, Result};

/// BT.601 studio-range luma, 16 to 235, of sRGB-encoded values in `[0, 1]`; layout `[height, width]`.
///
/// # Panics
/// When `rgb` has fewer than three channels.
pub fn luma(rgb: &Planes) -> Vec<f64> {
    let (r, g, b) = (rgb.plane(0), rgb.plane(1), rgb.plane(2));
    r.iter()
        .zip(g)
        .zip(b)
        .map(|((r, g), b)| 65.481 * f64::from(*r) + 128.553 * f64::from(*g) + 24.966 * f64::from(*b) + 16.0)
        .collect()
}

/// Peak signal-to-noise ratio of the luma in dB, without a border of `border` pixels; infinite for equal images.
///
/// # Errors
/// [`Error::Size`] when the images differ in size or the border leaves nothing.
pub fn psnr_y(a: &Planes, b: &Planes, border: usize) -> Result<f64> {
    let (w, h) = (a.width(), a.height());
    if (w, h) != (b.width(), b.height()) {
        return Err(Error::Size(alloc::format!(
            "images of {w}x{h} and {}x{} pixels cannot be compared",
            b.width(),
            b.height()
        )));
    }
    if w <= 2 * border || h <= 2 * border {
        return Err(Error::Size(alloc::format!(
            "an image of {w}x{h} pixels has nothing inside a border of {border}"
        )));
    }
    let (ya, yb) = (luma(a), luma(b));
    let mut sum = 0.0;
    for y in border..h - border {
        for x in border..w - border {
            let d = ya[y * w + x] - yb[y * w + x];
            sum += d * d;
        }
    }
    let mse = sum / ((w - 2 * border) * (h - 2 * border)) as f64;
    Ok(10.0 * libm::log10(255.0 * 255.0 / mse))
}

/// Rounds values to the 8-bit grid and back, clamped to `[0, 1]`: what a saved file would hold.
pub fn quantise(image: &mut Planes) {
    for v in image.data_mut() {
        *v = f32::from(to_u8(*v)) / 255.0;
    }
}

/// A value in `[0, 1]` as 8 bits, rounded half up and clamped.
pub fn to_u8(v: f32) -> u8 {
    (v.clamp(0.0, 1.0) * 255.0 + 0.5) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference() {
        let grey = |v: f32| Planes::new(3, 6, 6, alloc::vec![v; 108]).expect("sizes agree");
        // A grey step of d changes the luma by 219 d.
        let d: f64 = 0.1;
        let expected = 20.0 * libm::log10(255.0 / (219.0 * d));
        let got = psnr_y(&grey(0.5), &grey(0.6), 2).expect("comparable");
        assert!((got - expected).abs() < 1e-4, "{got} {expected}");
        assert!(
            psnr_y(&grey(0.5), &grey(0.5), 0)
                .expect("comparable")
                .is_infinite()
        );
        assert!(matches!(psnr_y(&grey(0.5), &grey(0.5), 3), Err(Error::Size(_))));
    }

    #[test]
    fn rounding_is_half_up_and_clamped() {
        assert_eq!(
            [-1.0, 0.0, 0.5, 1.0, 2.0, 100.4 / 255.0].map(to_u8),
            [0, 0, 128, 255, 255, 100]
        );
    }
}
