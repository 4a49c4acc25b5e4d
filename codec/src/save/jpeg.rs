//! JPEG (ITU-T T.81) with JFIF, EXIF, XMP and a profile.

use std::io::Write;

use jpeg_encoder::{ColorType, Encoder, PixelDensity, PixelDensityUnit, SamplingFactor};

use super::{Whole, failed};
use crate::{Error, Layout, Resolution};

pub(super) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Most bytes of a segment's content: its length, which counts itself, has 16 bits.
pub(super) const SEGMENT: usize = 65_533;
/// What stands before EXIF data.
pub(super) const EXIF: usize = 6;
/// From that quality on colours are kept at full size, as other programs do.
const FULL_COLOUR: u8 = 90;

/// A resolution in dots per inch, or a ratio, where its numbers of 16 bits hold it.
fn density(resolution: Resolution) -> Option<PixelDensity> {
    let Resolution { x, y, metre } = resolution;
    let side = |n: u32| {
        let n = if metre {
            (f64::from(n) * 0.0254).round()
        } else {
            f64::from(n)
        };
        (1.0..=65_535.0).contains(&n).then_some(n as u16)
    };
    Some(PixelDensity {
        density: (side(x)?, side(y)?),
        unit: if metre {
            PixelDensityUnit::Inches
        } else {
            PixelDensityUnit::PixelAspectRatio
        },
    })
}

pub(super) fn write<W: Write>(mut whole: Whole<W>) -> Result<(), Error> {
    let [width, height] = whole.sides()?;
    let quality = whole.saving.quality;
    let mut encoder = Encoder::new(&mut whole.out, quality);
    encoder.set_sampling_factor(if quality >= FULL_COLOUR {
        SamplingFactor::F_1_1
    } else {
        SamplingFactor::F_2_2
    });
    let metadata = &whole.metadata;
    if let Some(density) = metadata.resolution.and_then(density) {
        encoder.set_density(density);
    }
    if let Some(exif) = &metadata.exif {
        encoder.add_exif_metadata(exif).map_err(failed)?;
    }
    if let Some(xmp) = &metadata.xmp {
        let segment = [XMP, xmp.as_bytes()].concat();
        encoder.add_app_segment(1, segment).map_err(failed)?;
    }
    if let Some(icc) = &metadata.icc {
        encoder.add_icc_profile(icc).map_err(failed)?;
    }
    let colours = if whole.layout == Layout::Grey {
        ColorType::Luma
    } else {
        ColorType::Rgb
    };
    encoder
        .encode(&whole.samples, width, height, colours)
        .map_err(failed)?;
    whole.put(&[])
}
