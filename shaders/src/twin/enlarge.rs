//! `enlarge.wgsl`: pixel shuffle and the bicubic skip.

use asasr_core::{Planes, resample};

/// `[3, h * r, w * r]` from features, `[3 * r * r, h, w]`, and the image.
pub(crate) fn enlarge(features: &[f32], image: &Planes, r: usize, bicubic: bool) -> Vec<f32> {
    let (w, h) = (image.width(), image.height());
    let skip = resample::enlarge(image, r);
    let mut out = Vec::new();
    for (c, y, x) in (0..3 * h * r * w * r).map(|i| (i / (h * r * w * r), i / (w * r) % (h * r), i % (w * r)))
    {
        let channel = c * r * r + (y % r) * r + x % r;
        let residual = features[(channel * h + y / r) * w + x / r];
        out.push(residual + if bicubic { skip.row(c, y)[x] } else { 0.0 });
    }
    out
}
