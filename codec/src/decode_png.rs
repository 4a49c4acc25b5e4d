use std::io::{Cursor, ErrorKind};

use png::{BitDepth, Decoder, DecodingError, Limits, Transformations};

use asasr_core::Size;

use crate::phrase::{DATA, DISAGREE, MEMORY, PALETTE};
use crate::picture::layout_of;
use crate::{Error, Note, Picture, Raster, Samples, check_size, png_chunks};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The chunk that ends a PNG.
const END: &[u8] = b"\0\0\0\0IEND\xAE\x42\x60\x82";

/// Whether a file says that it is a PNG.
pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

/// The size in the header: where memory is 32 bits wide the decoder gives up on an absurd one without naming it.
fn size(bytes: &[u8]) -> Result<(u32, u32), Error> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    number(16).zip(number(20)).ok_or(Error::Truncated)
}

/// Decodes a PNG, upright; palettes become RGB, with alpha where they have transparency, a colour that stands for
/// transparent becomes alpha, and fewer than 8 bits become 8.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Error> {
    match decoded(bytes, max_pixels) {
        // All may be there but the end, which tells nothing.
        Err(Error::Truncated) => {
            let whole = &bytes[..png_chunks::whole(bytes)];
            decoded(&[whole, END].concat(), max_pixels).map_err(|_| Error::Truncated)
        }
        decoded => decoded,
    }
}

fn decoded(bytes: &[u8], max_pixels: u64) -> Result<Picture, Error> {
    check_size(size(bytes)?, max_pixels)?;
    // For what is not pixels, and for a row of them, which may be all there is.
    let limit = usize::try_from(max_pixels * 8 + (64 << 20)).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit });
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(|e| damaged(&e))?;
    let info = reader.info();
    let (mut metadata, told) = png_chunks::read(bytes);
    let mut notes: Vec<Note> = told.into_iter().map(Note::from).collect();
    // One frame is no animation, unless the image is none of its frames.
    if let Some(animation) = info.animation_control
        && (animation.num_frames > 1 || info.frame_control.is_none())
    {
        notes.push(Note::Animation);
    }
    let length = reader.output_buffer_size().ok_or(Error::Truncated)?;
    let (colours, depth) = reader.output_color_type();
    let layout = layout_of(colours).ok_or_else(|| Error::Damaged(PALETTE.into()))?;
    let (frame, samples) = if depth == BitDepth::Sixteen {
        let mut samples = vec![0u16; length / 2];
        let frame = reader.next_frame(bytemuck::cast_slice_mut(&mut samples));
        samples.iter_mut().for_each(|s| *s = u16::from_be(*s));
        (frame, Samples::Sixteen(samples))
    } else {
        let mut samples = vec![0; length];
        (reader.next_frame(&mut samples), Samples::Eight(samples))
    };
    let frame = frame.map_err(|e| damaged(&e))?;
    let orientation = metadata.take_orientation(None);
    let picture = Picture {
        raster: Raster {
            size: Size::new(frame.width as usize, frame.height as usize),
            layout,
            samples,
        },
        notes,
        metadata,
    };
    Ok(picture.turned(orientation))
}

fn damaged(error: &DecodingError) -> Error {
    match error {
        DecodingError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => Error::Truncated,
        // The decoder speaks of chunks here; a user needs to know that the file is at fault.
        DecodingError::IoError(_) | DecodingError::Format(_) => Error::Damaged(DATA.into()),
        DecodingError::Parameter(_) => Error::Damaged(DISAGREE.into()),
        DecodingError::LimitsExceeded => Error::Damaged(MEMORY.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, decode, formats};
    use png::{ColorType, Encoder};

    const MAX: u64 = 1000;

    /// A PNG of 5 by 3 pixels.
    fn file(colours: ColorType, depth: BitDepth, prepare: impl Fn(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, 5, 3);
        encoder.set_color(colours);
        encoder.set_depth(depth);
        if colours == ColorType::Indexed {
            encoder.set_palette(vec![10, 20, 30, 40, 50, 60, 70, 80, 90, 200, 210, 220]);
        }
        prepare(&mut encoder);
        let row = (5 * colours.samples() * depth as usize).div_ceil(8);
        // A palette has four colours.
        let mask = match (colours, depth) {
            (ColorType::Indexed, BitDepth::Eight) => 0b11,
            (ColorType::Indexed, BitDepth::Four) => 0b11_0011,
            _ => 0xFF,
        };
        let data: Vec<u8> = (0..3 * row).map(|i| (i * 37) as u8 & mask).collect();
        encoder.write_header().unwrap().write_image_data(&data).unwrap();
        bytes
    }

    #[test]
    fn every_kind_is_read_as_the_image_crate_reads_it() {
        use BitDepth::{Eight, Four, One, Sixteen, Two};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        let kinds: [(ColorType, &[BitDepth], &[u8]); 5] = [
            (Grayscale, &[One, Two, Four, Eight, Sixteen], &[0, 1]),
            (GrayscaleAlpha, &[Eight, Sixteen], &[]),
            (Rgb, &[Eight, Sixteen], &[0, 111, 0, 148, 0, 185]),
            (Rgba, &[Eight, Sixteen], &[]),
            (Indexed, &[One, Two, Four, Eight], &[255, 100, 0]),
        ];
        for (colours, depths, transparent) in kinds {
            for depth in depths {
                for with in [&[], transparent] {
                    let bytes = file(colours, *depth, |encoder| {
                        if !with.is_empty() {
                            encoder.set_trns(with.to_vec());
                        }
                    });
                    let picture = super::decode(&bytes, MAX).unwrap();
                    let image = image::load_from_memory(&bytes).unwrap();
                    let expected = formats::picture(image, Vec::new(), Metadata::default());
                    assert_eq!((picture.width(), picture.height()), (5, 3));
                    assert_eq!(picture, expected, "{colours:?} {depth:?} {with:?}");
                }
            }
        }
    }

    #[test]
    fn an_animation_says_so_and_exif_turns() {
        let rgb =
            |prepare: &dyn Fn(&mut Encoder<&mut Vec<u8>>)| file(ColorType::Rgb, BitDepth::Eight, prepare);
        let animated = rgb(&|encoder| encoder.set_animated(2, 0).unwrap());
        assert_eq!(decode(&animated, MAX).unwrap().notes(), [Note::Animation]);
        let still = rgb(&|encoder| encoder.set_animated(1, 0).unwrap());
        assert_eq!(decode(&still, MAX).unwrap().notes(), []);

        let mut plain = rgb(&|_| ());
        let mut picture = decode(&plain, MAX).unwrap();
        // A quarter turn.
        let exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        picture.metadata.exif = Some(exif.to_vec());
        let turned = decode(&picture.to_png().unwrap(), MAX).unwrap();
        assert_eq!((turned.width(), turned.height()), (3, 5));
        assert_eq!(turned.metadata().exif.as_ref().unwrap()[18..20], [0, 1]);

        let last = plain.len() - 20;
        plain[last] ^= 1;
        assert!(matches!(decode(&plain, MAX), Err(Error::Damaged(_))));
        assert_eq!(decode(&plain[..20], MAX), Err(Error::Truncated));
        assert_eq!(decode(&plain[..33], MAX), Err(Error::Truncated));
    }
}
