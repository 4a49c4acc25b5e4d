use std::io::Cursor;

use image::{
    AnimationDecoder as _, DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat,
    ImageReader, Limits,
    codecs::{gif::GifDecoder, webp::WebPDecoder},
};

use crate::metadata::Told;
use crate::picture::Samples;
#[cfg(feature = "tiff")]
use crate::tiff_tags;
use crate::{ANIMATION, Error, Layout, Metadata, Picture, bmp, check_size, jpeg, riff, segments};

const CMYK: &str = "the file is CMYK: its colours were converted to RGB without a profile";

/// Decodes a file that is no PNG, upright.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Error> {
    let masked = bmp::with_masks(bytes);
    let bytes = masked.as_deref().unwrap_or(bytes);
    let reader = || {
        ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(|e| Error::Damaged(e.to_string()))
    };
    let format = reader()?.format().ok_or(Error::NotAnImage)?;
    if !format.reading_enabled() {
        return Err(Error::UnsupportedFormat(format!("{format:?}").to_uppercase()));
    }
    let mut told = told(bytes, format);
    let mut notes = Vec::new();
    if format == ImageFormat::Jpeg {
        let markers = jpeg::markers(bytes);
        if !markers.complete {
            return Err(Error::Truncated);
        }
        if markers.components == 4 {
            notes.push(CMYK);
        }
    }
    let mut probe = reader()?;
    probe.no_limits();
    check_size(probe.into_dimensions().map_err(damaged)?, max_pixels)?;
    if is_animated(bytes, format) {
        notes.push(ANIMATION);
    }
    let mut reader = reader()?;
    // 16-bit RGBA twice over: the decoder's buffer and its result.
    let mut limits = Limits::default();
    limits.max_alloc = Some(max_pixels * 16 + (64 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(damaged)?;
    let cmyk = [ExtendedColorType::Cmyk8, ExtendedColorType::Cmyk16].contains(&decoder.original_color_type());
    if cmyk && notes.is_empty() {
        notes.push(CMYK);
    }
    if notes.contains(&CMYK) {
        told.metadata.icc = None;
    }
    notes.extend(told.notes);
    let orientation = told.metadata.take_orientation(told.orientation);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    let mut picture = picture(image, notes, told.metadata);
    if told.associated {
        picture = picture.unassociated();
    }
    if format == ImageFormat::Bmp {
        picture = bmp::seen(picture);
    }
    #[cfg(feature = "colour")]
    let picture = picture.with_fitting_profile();
    Ok(picture.turned(orientation))
}

/// What a file tells about its image.
fn told(bytes: &[u8], format: ImageFormat) -> Told {
    match format {
        ImageFormat::Jpeg => segments::read(bytes).into(),
        ImageFormat::WebP => riff::read(bytes).into(),
        ImageFormat::Bmp => bmp::read(bytes).into(),
        #[cfg(feature = "tiff")]
        ImageFormat::Tiff => tiff_tags::read(bytes),
        _ => Told::default(),
    }
}

fn damaged(error: ImageError) -> Error {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Error::Truncated,
        // Decoders speak of chunks and coefficients here; a user needs to know that the file is at fault.
        ImageError::Decoding(_) => Error::Damaged("its data is damaged".into()),
        other => Error::Damaged(other.to_string()),
    }
}

fn is_animated(bytes: &[u8], format: ImageFormat) -> bool {
    let cursor = Cursor::new(bytes);
    match format {
        ImageFormat::Gif => GifDecoder::new(cursor).is_ok_and(|d| d.into_frames().take(2).count() > 1),
        ImageFormat::WebP => WebPDecoder::new(cursor).is_ok_and(|d| d.has_animation()),
        _ => false,
    }
}

/// An image as the image crate holds it.
pub(crate) fn picture(image: DynamicImage, notes: Vec<&'static str>, metadata: Metadata) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (layout, samples) = match image {
        DynamicImage::ImageLuma8(i) => (Layout::Grey, Samples::Eight(i.into_raw())),
        DynamicImage::ImageLumaA8(i) => (Layout::GreyAlpha, Samples::Eight(i.into_raw())),
        DynamicImage::ImageRgb8(i) => (Layout::Rgb, Samples::Eight(i.into_raw())),
        DynamicImage::ImageRgba8(i) => (Layout::Rgba, Samples::Eight(i.into_raw())),
        DynamicImage::ImageLuma16(i) => (Layout::Grey, Samples::Sixteen(i.into_raw())),
        DynamicImage::ImageLumaA16(i) => (Layout::GreyAlpha, Samples::Sixteen(i.into_raw())),
        DynamicImage::ImageRgb16(i) => (Layout::Rgb, Samples::Sixteen(i.into_raw())),
        other if other.color().has_alpha() => {
            (Layout::Rgba, Samples::Sixteen(other.into_rgba16().into_raw()))
        }
        other => (Layout::Rgb, Samples::Sixteen(other.into_rgb16().into_raw())),
    };
    Picture {
        width,
        height,
        layout,
        samples,
        notes,
        metadata,
    }
}
