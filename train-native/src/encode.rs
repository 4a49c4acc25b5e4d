//! Colour images as the bytes of a file.

use std::path::Path;

use asasr_codec::{Layout, PngRows, SharedBytes};
use asasr_core::{Planes, metrics};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use crate::error::{Error, Result};
use crate::files;

/// An 8-bit PNG of `[3, h, w]`.
pub(crate) fn png(image: &Planes) -> Result<Vec<u8>> {
    let fail = |e: asasr_codec::Error| Error::new(e.to_string());
    let bytes = SharedBytes::default();
    let mut png = PngRows::new(bytes.clone(), image.size(), Layout::Rgb, 8).map_err(fail)?;
    png.write(0, image).map_err(fail)?;
    png.finish().map_err(fail)?;
    Ok(bytes.take())
}

/// Writes an 8-bit PNG whole or not at all.
pub(crate) fn save(image: &Planes, path: &Path) -> Result<()> {
    let bytes = png(image).map_err(|e| Error::at(path, e))?;
    files::write(path, &bytes)
}

/// A JPEG of `[3, h, w]` at a quality of 1 to 100, its chroma sampled as `sampling` says.
pub(crate) fn jpeg(image: &Planes, quality: u8, sampling: SamplingFactor) -> Result<Vec<u8>> {
    let (w, h) = (image.width(), image.height());
    let mut pixels = Vec::with_capacity(3 * w * h);
    for i in 0..w * h {
        pixels.extend((0..3).map(|c| metrics::to_u8(image.plane(c)[i])));
    }
    let side = |n: usize| {
        u16::try_from(n).map_err(|_| Error::new(format!("{w}x{h} pixels as JPEG: a side is above 65535")))
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    encoder
        .encode(&pixels, side(w)?, side(h)?, ColorType::Rgb)
        .map_err(|e| Error::new(format!("{w}x{h} pixels as JPEG: {e}")))?;
    Ok(bytes)
}
