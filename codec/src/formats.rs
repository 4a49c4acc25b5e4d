use std::borrow::Cow;
use std::io::Cursor;

use asasr_core::Size;
use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits};

use crate::jpeg::Lack;
use crate::metadata::Told;
use crate::phrase::{BMP_INSIDE, DATA, MEMORY, NO_COLOUR, RARE};
use crate::{
    Error, Layout, Metadata, Note, Options, Picture, Raster, Samples, bmp, check_size, foreign, gif, jpeg,
    riff, segments,
};

/// Decodes a file that is no PNG, upright.
pub(crate) fn decode(bytes: &[u8], options: Options) -> Result<Picture, Error> {
    if let Some(named) = foreign::named(bytes) {
        return Err(named);
    }
    if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return decode_jpeg(bytes, options);
    }
    #[cfg(feature = "tiff")]
    if crate::tiff::is_tiff(bytes) {
        return crate::tiff_pixels::decode(bytes, options);
    }
    let Some(format) = format_of(bytes) else {
        return Err(foreign::otherwise(bytes));
    };
    if format == ImageFormat::Bmp && bmp::holds_another(bytes) {
        return Err(Error::UnreadKind(BMP_INSIDE));
    }
    let mended = match format {
        ImageFormat::Gif => gif::with_screen(bytes),
        ImageFormat::Bmp => bmp::with_masks(bytes)
            .or_else(|| bmp::with_long_header(bytes))
            .map_or(Cow::Borrowed(bytes), Cow::Owned),
        _ => Cow::Borrowed(bytes),
    };
    let mut told = told(&mended, format);
    let reader = || ImageReader::with_format(Cursor::new(&*mended), format);
    let mut probe = reader();
    probe.no_limits();
    let refused = |error| match damaged(error) {
        Error::Damaged(_) if is_cut(bytes, format) => Error::Truncated,
        error => error,
    };
    check_size(probe.into_dimensions().map_err(refused)?, options.max_pixels)?;
    let mut reader = reader();
    // 16-bit RGBA twice over: the decoder's buffer and its result.
    let mut limits = Limits::default();
    limits.max_alloc = Some(options.max_pixels * 16 + (64 << 20));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refused)?;
    let mut notes: Vec<Note> = others(bytes, format).into_iter().collect();
    notes.extend(told.notes.into_iter().map(Note::from));
    let orientation = told.metadata.take_orientation(told.orientation);
    let image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    let mut picture = picture(image, notes, told.metadata);
    if format == ImageFormat::Bmp {
        picture = bmp::seen(picture);
    }
    Ok(picture.with_fitting_profile().turned(orientation))
}

/// What a file tells about its image.
fn told(bytes: &[u8], format: ImageFormat) -> Told {
    match format {
        ImageFormat::WebP => riff::read(bytes).into(),
        ImageFormat::Bmp => bmp::read(bytes).into(),
        _ => Told::default(),
    }
}

/// The format of a file other than PNG, JPEG and TIFF, where it is one that is read.
fn format_of(bytes: &[u8]) -> Option<ImageFormat> {
    let format = image::guess_format(bytes)
        .ok()
        .filter(ImageFormat::reading_enabled)?;
    // Two letters are no proof: the length of the second header is.
    let is_text = format == ImageFormat::Bmp
        && bytes
            .get(14..18)
            .is_some_and(|l| !matches!(l, [12..=124, 0, 0, 0]));
    (!is_text).then_some(format)
}

fn decode_jpeg(bytes: &[u8], options: Options) -> Result<Picture, Error> {
    let jpeg = jpeg::decode(bytes, options.max_pixels)?;
    let height = jpeg.size.height;
    let mut notes = Vec::new();
    if jpeg.cmyk {
        notes.push(Note::Cmyk);
    }
    if jpeg.lacks == Lack::Colour {
        if !options.shortened {
            return Err(Error::Truncated);
        }
        notes.push(NO_COLOUR.into());
    }
    if jpeg.rows < height {
        let (rows, of) = (jpeg.rows, height);
        if rows == 0 || !options.shortened {
            return Err(Error::CutShort { rows, of });
        }
        notes.push(Note::CutShort { rows, of });
    } else {
        match jpeg.lacks {
            Lack::Nothing | Lack::Colour => {}
            Lack::CutDetail if !options.shortened => return Err(Error::Truncated),
            Lack::Detail | Lack::CutDetail => notes.push(Note::Coarse),
        }
    }
    let (mut metadata, told): (Metadata, _) = segments::read(bytes);
    notes.extend(told.into_iter().map(Note::from));
    if jpeg.cmyk {
        // That of the inks fits no longer.
        metadata.icc = None;
    }
    let orientation = metadata.take_orientation(None);
    let picture = Picture {
        raster: Raster {
            size: jpeg.size,
            layout: if jpeg.grey { Layout::Grey } else { Layout::Rgb },
            samples: Samples::Eight(jpeg.samples),
        },
        notes,
        metadata,
    };
    Ok(picture.with_fitting_profile().turned(orientation))
}

/// What the file holds besides its first image.
fn others(bytes: &[u8], format: ImageFormat) -> Option<Note> {
    match format {
        ImageFormat::Gif => gif::is_animated(bytes).then_some(Note::Animation),
        ImageFormat::WebP => (webp_frames(bytes) > 1).then_some(Note::Animation),
        _ => None,
    }
}

/// Frames of an animated WebP.
fn webp_frames(bytes: &[u8]) -> usize {
    let (mut at, mut frames) = (12, 0);
    while let Some([a, b, c, d, length @ ..]) = bytes.get(at..).and_then(|b| b.first_chunk::<8>()) {
        frames += usize::from(&[*a, *b, *c, *d] == b"ANMF");
        let length = u64::from(u32::from_le_bytes(*length)).next_multiple_of(2);
        let Some(next) = usize::try_from(length)
            .ok()
            .and_then(|l| at.checked_add(8)?.checked_add(l))
        else {
            break;
        };
        at = next;
    }
    frames
}

/// Whether the file ends before its image does, which decoders call damage.
fn is_cut(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => gif::is_cut(bytes),
        // The length of what follows its eight bytes.
        ImageFormat::WebP => bytes
            .get(4..8)
            .and_then(|length| length.first_chunk())
            .is_none_or(|length| u64::from(u32::from_le_bytes(*length)) + 8 > bytes.len() as u64),
        _ => false,
    }
}

/// In our words: decoders speak of chunks and coefficients, and a user needs to know whether the file is at fault.
fn damaged(error: ImageError) -> Error {
    match error {
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Error::Truncated,
        ImageError::Unsupported(_) => Error::UnreadKind(RARE),
        ImageError::Limits(_) => Error::Damaged(MEMORY.into()),
        _ => Error::Damaged(DATA.into()),
    }
}

/// An image as the image crate holds it.
pub(crate) fn picture(image: DynamicImage, notes: Vec<Note>, metadata: Metadata) -> Picture {
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
        raster: Raster {
            size: Size::new(width, height),
            layout,
            samples,
        },
        notes,
        metadata,
    }
}
