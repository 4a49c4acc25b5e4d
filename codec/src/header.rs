use std::io::{BufRead, Read as _, Seek, SeekFrom};

use crate::decode_png;
use crate::gif::with_screen;

/// Bytes before a GIF's first frame in which it is looked for.
const MOST_BEFORE_FRAME: u64 = 1 << 20;

/// What the header of a file says of its image, before any of it is decoded: what its pixels will take. A turn that the file asks
/// for is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Columns as they are stored.
    pub width: u32,
    /// Rows as they are stored.
    pub height: u32,
    /// Samples of a decoded pixel, 1 to 4; a palette counts as four, and alpha counts that decoding leaves out where all is opaque.
    pub samples: u8,
    /// Bits of a decoded sample: 8 or 16.
    pub bits: u8,
}

/// Reads no more of a file than its header, and says nothing about the rest. `None` where the header does not tell, or is damaged, or
/// of a format that is not read: [`decode`](crate::decode) then says what is wrong, if anything is.
pub fn header(mut file: impl BufRead + Seek) -> Option<Header> {
    let start = bytes::<8>(&mut file)?;
    file.rewind().ok()?;
    if decode_png::is_png(&start) {
        return png(&bytes(&mut file)?);
    }
    if start.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return jpeg(file);
    }
    #[cfg(feature = "tiff")]
    if crate::tiff::is_tiff(&start) {
        return crate::tiff_pixels::header(file);
    }
    if start.starts_with(b"GIF8") {
        return gif(file);
    }
    others(file)
}

/// Up to the header of the first frame, which may be larger than the screen.
fn gif(file: impl BufRead) -> Option<Header> {
    let mut start = Vec::new();
    file.take(MOST_BEFORE_FRAME).read_to_end(&mut start).ok()?;
    let start = with_screen(&start);
    let number = |at: usize| Some(u16::from_le_bytes(*start.get(at..)?.first_chunk()?).into());
    Some(Header {
        width: number(6)?,
        height: number(8)?,
        samples: 4,
        bits: 8,
    })
}

fn bytes<const N: usize>(file: &mut impl BufRead) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

fn png(start: &[u8; 26]) -> Option<Header> {
    // Apple's begins with a chunk of its own.
    if start.get(12..16)? != b"IHDR" {
        return None;
    }
    let number = |at: usize| Some(u32::from_be_bytes(start.get(at..at + 4)?.try_into().ok()?));
    Some(Header {
        width: number(16)?,
        height: number(20)?,
        samples: match start[25] {
            0 => 1,
            2 => 3,
            4 => 2,
            3 | 6 => 4,
            _ => return None,
        },
        bits: if start[24] == 16 { 16 } else { 8 },
    })
}

/// From marker to marker up to that of the frame.
fn jpeg(mut file: impl BufRead + Seek) -> Option<Header> {
    file.seek(SeekFrom::Start(2)).ok()?;
    loop {
        let [mut fill, mut marker] = bytes(&mut file)?;
        while (fill, marker) == (0xFF, 0xFF) {
            [fill, marker] = [marker, bytes::<1>(&mut file)?[0]];
        }
        if fill != 0xFF {
            return None;
        }
        match marker {
            // Those without a length.
            0x01 | 0xD0..=0xD8 => {}
            0xD9 | 0xDA => return None,
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let [_, _, bits, h1, h0, w1, w0, components] = bytes(&mut file)?;
                let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
                return (width > 0 && height > 0).then_some(Header {
                    width: width.into(),
                    height: height.into(),
                    samples: if components == 1 { 1 } else { 3 },
                    bits: if bits > 8 { 16 } else { 8 },
                });
            }
            _ => {
                let length = u16::from_be_bytes(bytes(&mut file)?);
                file.seek_relative(i64::from(length.checked_sub(2)?)).ok()?;
            }
        }
    }
}

fn others(file: impl BufRead + Seek) -> Option<Header> {
    use image::{ImageDecoder as _, ImageReader};

    let mut reader = ImageReader::new(file).with_guessed_format().ok()?;
    reader.no_limits();
    let decoder = reader.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let colours = decoder.color_type();
    let samples = colours.channel_count();
    Some(Header {
        width,
        height,
        samples,
        bits: if colours.bytes_per_pixel() > samples {
            16
        } else {
            8
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbImage};

    fn of(bytes: &[u8]) -> Option<Header> {
        header(Cursor::new(bytes))
    }

    #[test]
    fn headers_tell_what_decoding_gives() {
        let rgb: DynamicImage = RgbImage::from_fn(37, 21, |x, y| image::Rgb([x as u8, y as u8, 9])).into();
        let images = [
            rgb.clone(),
            rgb.to_luma8().into(),
            rgb.to_rgba8().into(),
            rgb.to_luma_alpha8().into(),
            rgb.to_rgb16().into(),
        ];
        let mut read = 0;
        for image in images {
            for format in [
                ImageFormat::Png,
                ImageFormat::Jpeg,
                ImageFormat::WebP,
                ImageFormat::Bmp,
                ImageFormat::Gif,
            ] {
                let mut bytes = Cursor::new(Vec::new());
                if image.write_to(&mut bytes, format).is_err() {
                    continue;
                }
                let bytes = bytes.into_inner();
                let picture = crate::decode(&bytes, 1000).unwrap();
                let found = of(&bytes).unwrap();
                let told = (found.width, found.height, found.bits);
                assert_eq!(told, (37, 21, picture.bits()), "{format:?}");
                // These are opaque.
                let alpha = u8::from(found.samples.is_multiple_of(2));
                assert_eq!(
                    usize::from(found.samples - alpha),
                    picture.layout().samples(),
                    "{format:?}"
                );
                read += 1;
            }
        }
        assert!(read > 12, "{read}");
        // Fill bytes before a marker; nothing but the header.
        let mut jpeg = Cursor::new(Vec::new());
        rgb.write_to(&mut jpeg, ImageFormat::Jpeg).unwrap();
        let jpeg = jpeg.into_inner();
        let filled = [&jpeg[..2], &[0xFF; 3], &jpeg[2..]].concat();
        assert_eq!(of(&filled), of(&jpeg));
        let claims = of(include_bytes!("../tests/claims-60000.png")).unwrap();
        assert_eq!((claims.width, claims.height), (60_000, 60_000));
    }

    #[test]
    fn what_does_not_tell_is_none() {
        for bytes in [
            &b""[..],
            b"text",
            b"text that is longer than a header",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff\xe0\0\x01",
            b"\xff\xd8\xff\xd9",
        ] {
            assert_eq!(of(bytes), None, "{bytes:?}");
        }
    }
}
