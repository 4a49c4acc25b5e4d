//! Files of every kind: what they hold beside their image is noted, and what is not read is called by its name.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_codec::{Error, Layout, Note, Phrase, Picture, decode, phrase};
use proptest::prelude::*;

const MAX: u64 = 1_000_000;

/// Red, green and blue at a place, from 0 to 255.
fn pixel(picture: &Picture, x: usize, y: usize) -> [f32; 3] {
    let planes = picture.all_planes();
    [0, 1, 2].map(|c| 255.0 * planes.plane(c)[y * picture.width() + x])
}

#[track_caller]
fn assert_near(found: [f32; 3], expected: [f32; 3]) {
    let near = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= 2.0);
    assert!(near, "{found:?} in place of {expected:?}");
}

/// What is refused, and a word of what is said.
#[test]
fn what_is_not_read_is_called_by_its_name() {
    let files: [(&[u8], Error, &str); 6] = [
        (
            include_bytes!("cases/photo.heic"),
            Error::UnsupportedFormat("HEIC"),
            "HEIC images are not read: convert it to PNG or JPEG first",
        ),
        (
            include_bytes!("cases/mif1.avif"),
            Error::UnsupportedFormat("AVIF"),
            "AVIF images",
        ),
        (
            include_bytes!("cases/animated.avif"),
            Error::UnsupportedFormat("AVIF"),
            "AVIF images",
        ),
        (
            include_bytes!("cases/photo.jxl"),
            Error::UnsupportedFormat("JPEG XL"),
            "JPEG XL images",
        ),
        (
            include_bytes!("cases/arithmetic.jpg"),
            Error::UnreadKind(phrase::ARITHMETIC),
            "JPEG with arithmetic coding is not read: open it in another program and save it as PNG",
        ),
        (
            include_bytes!("cases/twelve-bits.jpg"),
            Error::UnreadKind(phrase::JPEG_12),
            "12 bits",
        ),
    ];
    for (bytes, expected, words) in files {
        let error = decode(bytes, MAX).unwrap_err();
        assert_eq!(error, expected);
        assert!(error.to_string().contains(words), "{error}");
    }
    let apple = decode(include_bytes!("cases/apple.png"), MAX).unwrap_err();
    assert!(
        matches!(apple, Error::UnreadKind(kind) if kind == phrase::CGBI),
        "{apple}"
    );
}

/// A header of the container of MP4 with such brands.
fn boxed(main: &[u8], others: &[&[u8; 4]]) -> Vec<u8> {
    let length = 16 + 4 * others.len() as u32;
    let mut bytes = [&length.to_be_bytes()[..], b"ftyp", main, &[0; 4]].concat();
    others.iter().for_each(|o| bytes.extend_from_slice(*o));
    bytes.extend_from_slice(b"\0\0\0\x08meta");
    bytes
}

#[test]
fn first_bytes_tell_what_a_file_is() {
    let images: &[(&[u8], &str)] = &[
        (&boxed(b"heic", &[b"mif1"]), "HEIC"),
        (&boxed(b"mif1", &[b"mif1", b"heix"]), "HEIC"),
        (&boxed(b"msf1", &[b"hevc"]), "HEIC"),
        (&boxed(b"mif1", &[b"miaf"]), "HEIF"),
        (&boxed(b"avif", &[]), "AVIF"),
        (&boxed(b"avis", &[b"msf1", b"miaf"]), "AVIF"),
        (&boxed(b"crx ", &[b"isom"]), "camera raw (CR3)"),
        (b"\0\0\0\x0CJXL \r\n\x87\n\0\0\0\x14ftypjxl ", "JPEG XL"),
        (b"\xFF\x0A\xFA", "JPEG XL"),
        (b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xFF\x4F\xFF\x51\0\x2F", "JPEG 2000"),
        (b"II\xBC\x01\x08\0\0\0", "JPEG XR"),
        (b"8BPS\0\x01", "Photoshop"),
        (b"gimp xcf v011", "GIMP"),
        (b"\0\0\x01\0\x01\0\x10\x10", "icon (ICO)"),
        (b"\0\0\x02\0\x01\0\x10\x10", "cursor (CUR)"),
        (b"#?RADIANCE\n", "Radiance HDR"),
        (b"\x76\x2F\x31\x01\x02\0\0\0", "OpenEXR"),
        (b"qoif\0\0\0\x01", "QOI"),
        (b"P6\n2 2\n255\n", "PNM"),
        (b"P7\nWIDTH 2", "PNM"),
        (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x02\0\x02\0\x18\0", "TGA"),
        (b"\0\0\x0A\0\0\0\0\0\0\0\0\0\x02\0\x02\0\x20\0", "TGA"),
        (b"DDS \x7C\0\0\0", "DDS"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw (RAF)"),
        (b"II*\0\x10\0\0\0CR\x02\0", "camera raw (CR2)"),
        (b"IIU\0\x18\0\0\0", "camera raw (RW2)"),
        (b"IIRO\x08\0\0\0", "camera raw (ORF)"),
        // A directory of one entry that only raw files have.
        (b"II*\0\x08\0\0\0\x01\0\x12\xC6\x01\0\x04\0\0\0\x01\x04\0\0\0\0\0\0", "camera raw (DNG)"),
        (
            b"MM\0*\0\0\0\x08\0\x02\0\xFE\0\x04\0\0\0\x01\0\0\0\x01\x01\x4A\0\x04\0\0\0\x01\0\0\x40\0\0\0\0\0",
            "camera raw",
        ),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG"),
        (b"\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg width=\"9\">", "SVG"),
    ];
    for (bytes, name) in images {
        assert_eq!(decode(bytes, MAX), Err(Error::UnsupportedFormat(name)), "{name}");
    }
    let things: &[(&[u8], Phrase)] = &[
        (&boxed(b"isom", &[b"iso2", b"avc1", b"mp41"]), phrase::VIDEO),
        (&boxed(b"qt  ", &[b"qt  "]), phrase::VIDEO),
        (b"\x1A\x45\xDF\xA3\x9F\x42\x86", phrase::VIDEO),
        (b"RIFF\0\x10\0\0AVI LIST", phrase::VIDEO),
        (b"%PDF-1.7\n", phrase::PDF),
    ];
    for (bytes, name) in things {
        let error = decode(bytes, MAX).unwrap_err();
        assert_eq!(error, Error::NotAPhoto(*name));
        assert!(error.to_string().contains("save what it shows"), "{error}");
    }
    let none: &[&[u8]] = &[
        b"hello, this is text",
        b"BMW built cars from 1928 on, and motorcycles before that",
        b"Plain text",
        b"<html><body>",
        b"PK",
        b"\x7FELF\x02\x01\x01",
        b"\0",
    ];
    for bytes in none {
        assert_eq!(decode(bytes, MAX), Err(Error::NotAnImage), "{bytes:?}");
    }
    for kind in [0xC3, 0xC5, 0xCB, 0xF7] {
        let jpeg = [
            0xFF, 0xD8, 0xFF, kind, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0, 0xFF, 0xD9,
        ];
        let error = decode(&jpeg, MAX).unwrap_err();
        assert!(matches!(error, Error::UnreadKind(_)), "{kind:x}: {error}");
    }
}

#[test]
fn a_still_gif_without_its_end_is_no_animation() {
    let picture = decode(include_bytes!("cases/still.gif"), MAX).unwrap();
    assert_eq!(picture.notes(), []);
    assert_eq!((picture.width(), picture.height()), (96, 64));
    assert_near(pixel(&picture, 6, 5), [212.0, 34.0, 39.0]);
    let animated = include_bytes!("animated.gif");
    assert_eq!(decode(animated, MAX).unwrap().notes(), [Note::Animation]);
    // Its end is missing too.
    let cut = decode(&animated[..animated.len() - 1], MAX).unwrap();
    assert_eq!(cut.notes(), [Note::Animation]);
}

#[test]
fn a_gif_whose_screen_has_no_area_is_as_large_as_its_first_frame() {
    let bytes = include_bytes!("cases/no-screen.gif");
    let mut other = *bytes;
    other[6] = 96;
    for bytes in [bytes, &other] {
        let picture = decode(bytes, MAX).unwrap();
        assert_eq!((picture.width(), picture.height()), (96, 64));
        assert_eq!(picture.notes(), []);
        assert_near(pixel(&picture, 6, 58), [30.0, 40.0, 220.0]);
    }
}

/// A WebP that says it is an animation, of so many frames of one lossless image.
fn animated_webp(frames: usize) -> Vec<u8> {
    let mut still = std::io::Cursor::new(Vec::new());
    let red = image::RgbImage::from_pixel(4, 4, image::Rgb([255, 0, 0]));
    red.write_to(&mut still, image::ImageFormat::WebP).unwrap();
    let still = still.into_inner();
    // What follows the file's header is the chunk of the image.
    let image = &still[12..];
    let chunk = |name: &[u8; 4], data: &[u8]| [&name[..], &(data.len() as u32).to_le_bytes(), data].concat();
    let mut body = b"WEBP".to_vec();
    body.extend(chunk(b"VP8X", &[2, 0, 0, 0, 3, 0, 0, 3, 0, 0]));
    body.extend(chunk(b"ANIM", &[0; 6]));
    for _ in 0..frames {
        let header = [0u8, 0, 0, 0, 0, 0, 3, 0, 0, 3, 0, 0, 100, 0, 0, 0];
        body.extend(chunk(b"ANMF", &[&header[..], image].concat()));
    }
    [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat()
}

#[test]
fn an_animated_webp_is_noted_where_it_has_more_than_one_frame() {
    let notes = |frames| decode(&animated_webp(frames), MAX).unwrap().notes().to_vec();
    assert_eq!(notes(1), []);
    assert_eq!(notes(3), [Note::Animation]);
}

#[cfg(feature = "tiff")]
#[test]
fn pages_of_a_tiff_are_noted() {
    let bytes = include_bytes!("cases/two-pages.tif");
    let picture = decode(bytes, MAX).unwrap();
    assert_eq!(picture.notes(), [Note::Pages(2)]);
    assert_eq!(
        picture.notes()[0].to_string(),
        "the file has 2 pages: only the first is used"
    );
    assert_near(pixel(&picture, 6, 5), [220.0, 30.0, 30.0]);
}

#[cfg(feature = "tiff")]
#[test]
fn a_big_tiff_is_read() {
    let picture = decode(include_bytes!("cases/big.tif"), MAX).unwrap();
    assert_eq!((picture.width(), picture.height()), (96, 64));
    assert_eq!((picture.layout(), picture.notes()), (Layout::Rgb, &[][..]));
    assert_near(pixel(&picture, 90, 5), [30.0, 200.0, 40.0]);
}

#[cfg(not(feature = "tiff"))]
#[test]
fn a_tiff_is_named() {
    let big = include_bytes!("cases/big.tif");
    assert_eq!(decode(big, MAX), Err(Error::UnsupportedFormat("BigTIFF")));
    let small = include_bytes!("cases/two-pages.tif");
    assert_eq!(decode(small, MAX), Err(Error::UnsupportedFormat("TIFF")));
}

#[test]
fn every_error_says_what_to_do() {
    let errors = [
        Error::NotAnImage,
        Error::UnsupportedFormat("HEIC"),
        Error::UnreadKind(phrase::JPEG_12),
        Error::NotAPhoto(phrase::VIDEO),
        Error::Truncated,
        Error::CutShort { rows: 3, of: 9 },
        Error::Damaged(phrase::DATA.into()),
        Error::TooLarge {
            width: 9,
            height: 9,
            max_pixels: 1,
        },
    ];
    let remedies = ["choose", "convert", "save", "get it again", "make it smaller"];
    for error in errors {
        let said = error.to_string();
        assert!(remedies.iter().any(|r| said.contains(r)), "{said}");
    }
    assert!(
        Error::CutShort { rows: 3, of: 9 }
            .to_string()
            .contains("3 of its 9 rows are there")
    );
}

const CASES: [&[u8]; 10] = [
    include_bytes!("cases/separate-420.jpg"),
    include_bytes!("cases/separate-444.jpg"),
    include_bytes!("cases/no-end.jpg"),
    include_bytes!("cases/still.gif"),
    include_bytes!("cases/no-screen.gif"),
    include_bytes!("cases/two-pages.tif"),
    include_bytes!("cases/big.tif"),
    include_bytes!("cases/photo.heic"),
    include_bytes!("cmyk.jpg"),
    include_bytes!("rotated.jpg"),
];

proptest! {
    #[test]
    fn damage_never_panics(
        which in 0..CASES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = CASES[which].to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(bytes.len() / 2 + end.index(bytes.len()));
        let _ = decode(&bytes, MAX);
    }

    #[test]
    fn anything_after_known_first_bytes_never_panics(
        start in prop::sample::select(vec![
            &b"\xFF\xD8\xFF\xC0"[..], b"\xFF\xD8\xFF", b"GIF89a", b"II*\0", b"MM\0+", b"BM", b"RIFF\x10\0\0\0WEBP",
            b"\0\0\0\x20ftypmif1", b"\x89PNG\r\n\x1a\n", b"<", b"P6",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let _ = decode(&[start, &rest].concat(), MAX);
    }
}
