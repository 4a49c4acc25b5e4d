//! AVIF, lossy, by rav1e, with EXIF data.

use std::io::Write;

use ravif::{AlphaColorMode, BitDepth, Encoder, Img, RGB8, RGBA8};

use super::{Whole, failed};
use crate::{Error, Layout};

/// Of 1 to 10: slower ones make files a little smaller.
const SPEED: u8 = 6;

pub(super) fn write<W: Write>(mut whole: Whole<W>) -> Result<(), Error> {
    let (width, height) = (whole.size.width, whole.size.height);
    let mut encoder = Encoder::new()
        .with_quality(f32::from(whole.saving.quality))
        .with_alpha_quality(f32::from(whole.saving.quality))
        .with_bit_depth(BitDepth::Ten)
        .with_alpha_color_mode(AlphaColorMode::UnassociatedDirty)
        .with_speed(SPEED);
    if let Some(exif) = whole.metadata.exif_or_resolution() {
        encoder = encoder.with_exif(exif);
    }
    let samples = std::mem::take(&mut whole.samples);
    let image = if whole.layout == Layout::Rgba {
        let pixels: Vec<RGBA8> = samples
            .chunks_exact(4)
            .map(|p| RGBA8::new(p[0], p[1], p[2], p[3]))
            .collect();
        drop(samples);
        encoder.encode_rgba(Img::new(&pixels, width, height))
    } else {
        let pixels: Vec<RGB8> = samples
            .chunks_exact(3)
            .map(|p| RGB8::new(p[0], p[1], p[2]))
            .collect();
        drop(samples);
        encoder.encode_rgb(Img::new(&pixels, width, height))
    };
    whole.put(&[&image.map_err(failed)?.avif_file])
}
