use crate::formats;
use crate::phrase::CGBI;
use crate::{Error, Options, Picture, Samples, decode_png, extend::extend};

/// Decodes an image file, applies its EXIF orientation and keeps its layout and depth: grey stays grey, 16 bits
/// stay 16. Palettes become RGB, CMYK becomes RGB, an animation gives its first frame, and alpha that is full everywhere, as that of
/// every GIF without a transparent pixel, is left out: it tells nothing. What is wholly transparent takes the colour of what is visible near it. What the file tells about the image is kept as [`Metadata`](crate::Metadata), but for the
/// profile of CMYK.
///
/// # Errors
/// One of [`Error`]'s decoding kinds. The header's size is checked against `max_pixels` before any pixel is stored.
pub fn decode(bytes: &[u8], max_pixels: u64) -> Result<Picture, Error> {
    let options = Options {
        max_pixels,
        shortened: false,
    };
    decode_with(bytes, options)
}

/// [`decode`] with options.
///
/// # Errors
/// As [`decode`]; with [`Options::shortened`] a JPEG is [`Error::CutShort`] only when none of its rows is there.
pub fn decode_with(bytes: &[u8], options: Options) -> Result<Picture, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if decode_png::is_png(bytes) {
        // Its pixels are packed and ordered in a way of their own.
        if bytes.get(12..16) == Some(b"CgBI") {
            return Err(Error::UnreadKind(CGBI));
        }
        return decode_png::decode(bytes, options.max_pixels).map(seen);
    }
    formats::decode(bytes, options).map(seen)
}

/// Without alpha where nothing is transparent, otherwise [filled](Picture::filled).
fn seen(mut picture: Picture) -> Picture {
    if picture.is_opaque() {
        picture.raster = picture.raster.without_alpha();
        return picture;
    }
    picture.filled()
}

impl Picture {
    /// With what is wholly transparent in the colour of what is visible near it, as [`decode`] gives it: enlarging would mix another into
    /// its neighbours.
    #[must_use]
    pub fn filled(mut self) -> Self {
        if self.layout().has_alpha() {
            let size = (self.width(), self.height(), self.layout().samples());
            match &mut self.raster.samples {
                Samples::Eight(s) => extend(s, size, |v| v.round() as u8),
                Samples::Sixteen(s) => extend(s, size, |v| v.round() as u16),
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Note};
    use std::io::Cursor;

    use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
    use proptest::prelude::*;

    const MAX: u64 = 1_000_000;

    fn encode(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn gradient() -> RgbImage {
        RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 10, y as u8 * 15, 90]))
    }

    #[test]
    fn layouts_and_depths_are_kept() {
        let cases: [(DynamicImage, Layout, u8); 4] = [
            (GrayImage::from_pixel(3, 2, Luma([128])).into(), Layout::Grey, 8),
            (
                RgbaImage::from_pixel(3, 2, Rgba([255, 0, 0, 51])).into(),
                Layout::Rgba,
                8,
            ),
            (gradient().into(), Layout::Rgb, 8),
            (
                ImageBuffer::from_pixel(3, 2, Rgb([257u16, 65535, 0])).into(),
                Layout::Rgb,
                16,
            ),
        ];
        for (image, layout, bits) in cases {
            let picture = decode(&encode(&image, ImageFormat::Png), MAX).unwrap();
            assert_eq!((picture.layout(), picture.bits()), (layout, bits));
            assert_eq!(picture.is_opaque(), layout != Layout::Rgba);
            assert!(picture.notes().is_empty());
        }
    }

    #[test]
    fn planes_hold_the_samples() {
        let image = RgbaImage::from_fn(4, 3, |x, y| Rgba([x as u8, y as u8, 255, 51]));
        let picture = decode(&encode(&image.into(), ImageFormat::Png), MAX).unwrap();
        let planes = picture.planes(asasr_core::Rect {
            x0: 1,
            y0: 1,
            x1: 3,
            y1: 3,
        });
        assert_eq!((planes.channels(), planes.height(), planes.width()), (4, 2, 2));
        assert_eq!(
            planes.plane(0),
            [1.0 / 255.0, 2.0 / 255.0, 1.0 / 255.0, 2.0 / 255.0]
        );
        assert_eq!(
            planes.plane(1),
            [1.0 / 255.0, 1.0 / 255.0, 2.0 / 255.0, 2.0 / 255.0]
        );
        assert_eq!(planes.plane(3), [0.2; 4]);
    }

    #[test]
    fn a_palette_becomes_rgb() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(vec![255, 0, 0, 0, 0, 255]);
        encoder.write_header().unwrap().write_image_data(&[1, 0]).unwrap();
        let picture = decode(&bytes, MAX).unwrap();
        assert_eq!(picture.layout(), Layout::Rgb);
        assert_eq!(picture.all_planes().data(), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn cmyk_is_converted_and_said() {
        let picture = decode(include_bytes!("../tests/cmyk.jpg"), MAX).unwrap();
        assert_eq!(picture.layout(), Layout::Rgb);
        assert_eq!(picture.notes(), [Note::Cmyk]);
        // The fixture is red: no cyan, all magenta and yellow.
        let planes = picture.all_planes();
        assert!(planes.plane(0)[0] > 0.8 && planes.plane(1)[0] < 0.2 && planes.plane(2)[0] < 0.2);
    }

    #[test]
    fn an_animation_gives_its_first_frame_and_says_so() {
        let picture = decode(include_bytes!("../tests/animated.gif"), MAX).unwrap();
        assert_eq!(picture.notes(), [Note::Animation]);
        // The first frame is red, the second blue.
        let planes = picture.all_planes();
        assert!(planes.plane(0)[0] > 0.9 && planes.plane(2)[0] < 0.1);
    }

    #[test]
    fn a_rotated_photo_is_turned_upright() {
        // 6x4 pixels stored, EXIF orientation 6: a quarter turn clockwise.
        let picture = decode(include_bytes!("../tests/rotated.jpg"), MAX).unwrap();
        assert_eq!((picture.width(), picture.height()), (4, 6));
    }

    #[test]
    fn what_is_no_image_is_named() {
        assert_eq!(decode(b"", MAX), Err(Error::Empty));
        assert_eq!(decode(b"hello, this is text", MAX), Err(Error::NotAnImage));
        assert_eq!(
            decode(b"#?RADIANCE\n", MAX),
            Err(Error::UnsupportedFormat("Radiance HDR"))
        );
    }

    #[test]
    fn a_header_that_claims_too_much_is_refused_before_memory_is_taken() {
        let mut bmp = encode(&gradient().into(), ImageFormat::Bmp);
        bmp[18..22].copy_from_slice(&60_000u32.to_le_bytes());
        bmp[22..26].copy_from_slice(&60_000u32.to_le_bytes());
        assert_eq!(
            decode(&bmp, MAX),
            Err(Error::TooLarge {
                width: 60_000,
                height: 60_000,
                max_pixels: MAX
            })
        );
        let png = include_bytes!("../tests/claims-60000.png");
        assert!(matches!(
            decode(png, MAX),
            Err(Error::TooLarge { width: 60_000, .. })
        ));
    }

    #[test]
    fn a_truncated_jpeg_is_an_error_at_every_length() {
        let jpeg = encode(&gradient().into(), ImageFormat::Jpeg);
        assert!(decode(&jpeg, MAX).is_ok());
        // The marker of the end may be missing; the last bits may not.
        for end in 3..jpeg.len() - 2 {
            assert!(
                decode(&jpeg[..end], MAX).is_err(),
                "{end} of {} bytes were taken",
                jpeg.len()
            );
        }
    }

    #[test]
    fn bytes_after_the_image_do_no_harm() {
        let mut jpeg = encode(&gradient().into(), ImageFormat::Jpeg);
        jpeg.extend_from_slice(&[0x12, 0xFF, 0xDA, 0x00, 0x34]);
        assert!(decode(&jpeg, MAX).is_ok());
    }

    #[test]
    fn other_truncated_files_are_errors() {
        for format in [
            ImageFormat::Png,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Gif,
        ] {
            let bytes = encode(&gradient().into(), format);
            assert!(decode(&bytes, MAX).is_ok(), "{format:?}");
            assert!(decode(&bytes[..bytes.len() * 2 / 3], MAX).is_err(), "{format:?}");
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(position in 0usize..10_000, value: u8, which in 0usize..5) {
            let format = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Gif][which];
            let mut bytes = encode(&gradient().into(), format);
            let at = position % bytes.len();
            bytes[at] = value;
            let _ = decode(&bytes, MAX);
        }
    }
}
