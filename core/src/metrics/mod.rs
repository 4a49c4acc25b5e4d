//! Image metrics on 8-bit values, as the field reports them.

mod consistency;
mod distortion;
mod spread;
mod structure;
mod warping;

use alloc::vec::Vec;

use crate::{Error, Planes, Result};

pub use consistency::ConsistencyMeter;
pub use distortion::{consistency, psnr_rgb, psnr_y, sobolev_error};
pub use spread::SpreadMeter;
pub use structure::ssim_y;
pub use warping::Passage;

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

/// Refuses images of different sizes, and a border that leaves fewer than `least` pixels a side.
fn comparable(a: &Planes, b: &Planes, border: usize, least: usize) -> Result<()> {
    let (w, h) = (a.width(), a.height());
    if (a.channels(), w, h) != (b.channels(), b.width(), b.height()) {
        return Err(Error::Size(alloc::format!(
            "images of {w}x{h} and {}x{} pixels, {} and {} channels, cannot be compared",
            b.width(),
            b.height(),
            a.channels(),
            b.channels()
        )));
    }
    if w < 2 * border + least || h < 2 * border + least {
        return Err(Error::Size(alloc::format!(
            "an image of {w}x{h} pixels has fewer than {least} a side inside a border of {border}"
        )));
    }
    Ok(())
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
pub(crate) mod tests {
    use super::*;
    use crate::random::SplitMix64;

    /// Random colours.
    pub(crate) fn noise(seed: u64, h: usize, w: usize) -> Planes {
        let mut random = SplitMix64::new(seed);
        let values = (0..3 * h * w).map(|_| random.unit() as f32).collect();
        Planes::new(3, h, w, values).expect("sizes agree")
    }

    #[test]
    fn rounding_is_half_up_and_clamped() {
        assert_eq!(
            [-1.0, 0.0, 0.5, 1.0, 2.0, 100.4 / 255.0].map(to_u8),
            [0, 0, 128, 255, 255, 100]
        );
    }

    #[test]
    fn images_that_cannot_be_compared_are_refused() {
        let of = |c, h, w| Planes::zeros(c, h, w);
        assert!(comparable(&of(3, 6, 6), &of(3, 6, 6), 2, 2).is_ok());
        for (a, b) in [(of(3, 6, 6), of(3, 6, 7)), (of(3, 6, 6), of(1, 6, 6))] {
            assert!(matches!(comparable(&a, &b, 0, 1), Err(Error::Size(_))));
        }
        assert!(matches!(
            comparable(&of(3, 6, 6), &of(3, 6, 6), 3, 1),
            Err(Error::Size(_))
        ));
    }
}
