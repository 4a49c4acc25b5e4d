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
        (b"\x01\xDA\x01\x01", "SGI"),
        (b"SDPX\0\0\x20\0", "DPX"),
        (b"XPDS\0\x20\0\0", "DPX"),
        (b"/* XPM */\nstatic", "XPM"),
        (b"\x59\xA6\x6A\x95\0\0\0\x01", "Sun raster"),
        (b"PF\n2 2\n-1.0\n", "PFM"),
        (b"Pf\n2 2\n-1.0\n", "PFM"),
        (b"\x0A\x05\x01\x08\0\0\0\0", "PCX"),
        // 9 by 2 pixels.
        (b"\0\0\x09\x02\xFF\x80\xFF\x80", "WBMP"),
        (b"\xFF\xFE<\0s\0v\0g\0 \0a\0", "SVG"),
        (b"\xFE\xFF\0<\0s\0v\0g\0>", "SVG"),
        (&[&b"<!--"[..], &[b'-'; 9000], b"-->\n<svg\twidth='2'/>"].concat(), "SVG"),
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
        (b"\x1F\x8B\x08\0", phrase::ARCHIVE),
        (b"Rar!\x1A\x07\x01\0", phrase::ARCHIVE),
        (b"7z\xBC\xAF\x27\x1C\0\x04", phrase::ARCHIVE),
        (b"ID3\x04\0", phrase::SOUND),
        (b"\xFF\xFB\x90\x64", phrase::SOUND),
        (
            b"\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9",
            phrase::VIDEO_OR_SOUND,
        ),
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
        b"\0\0\x09\x02\xFF\x80\xFF",
        b"\xFF\xFE<\0h\0t\0m\0l\0>\0",
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

/// As Chromium and Firefox show it: nothing of the first frame is lost where the screen is too small for it.
#[test]
fn a_gif_is_large_enough_for_its_first_frame() {
    let bytes = include_bytes!("cases/still.gif");
    let frame = bytes
        .windows(9)
        .position(|w| w == [0x2C, 0, 0, 0, 0, 96, 0, 64, 0])
        .unwrap();
    for (screen, at, size) in [
        ((76u16, 54u16), (0u16, 0u16), (96, 64)),
        ((50, 40), (60, 60), (156, 124)),
        ((50, 200), (7, 3), (103, 200)),
    ] {
        let mut file = bytes.to_vec();
        for (place, number) in [(6, screen.0), (8, screen.1), (frame + 1, at.0), (frame + 3, at.1)] {
            file[place..place + 2].copy_from_slice(&number.to_le_bytes());
        }
        let picture = decode(&file, MAX).unwrap();
        assert_eq!((picture.width(), picture.height()), size, "{screen:?}");
        let header = asasr_codec::header(std::io::Cursor::new(&file)).unwrap();
        assert_eq!(
            (header.width as usize, header.height as usize),
            size,
            "{screen:?}"
        );
        let (x, y) = (usize::from(at.0), usize::from(at.1));
        assert_near(pixel(&picture, x + 6, y + 5), [212.0, 34.0, 39.0]);
        assert_near(
            pixel(&picture, x + 90, y + 60),
            pixel(&decode(bytes, MAX).unwrap(), 90, 60),
        );
    }
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

/// Alpha that is full everywhere tells nothing, and what has alpha is not held to its pixels.
#[test]
fn what_is_opaque_has_no_alpha() {
    let gif = decode(include_bytes!("cases/still.gif"), MAX).unwrap();
    assert_eq!(gif.layout(), Layout::Rgb);
    let mut image = image::RgbaImage::from_fn(8, 4, |x, y| image::Rgba([x as u8 * 30, y as u8 * 60, 9, 255]));
    let png = |image: &image::RgbaImage| {
        let mut out = std::io::Cursor::new(Vec::new());
        image.write_to(&mut out, image::ImageFormat::Png).unwrap();
        decode(out.get_ref(), MAX).unwrap()
    };
    let opaque = png(&image);
    assert_eq!((opaque.layout(), opaque.notes()), (Layout::Rgb, &[][..]));
    assert_near(pixel(&opaque, 7, 3), [210.0, 180.0, 9.0]);
    image.put_pixel(7, 3, image::Rgba([1, 2, 3, 254]));
    assert_eq!(png(&image).layout(), Layout::Rgba);
}

#[test]
fn what_is_cut_short_is_called_so() {
    let gif = include_bytes!("cases/still.gif");
    for end in [gif.len() / 2, gif.len() - 200] {
        assert_eq!(decode(&gif[..end], MAX), Err(Error::Truncated), "{end}");
    }
    let webp = animated_webp(1);
    assert_eq!(decode(&webp[..webp.len() - 10], MAX), Err(Error::Truncated));
}

/// All of a PNG's image is there where no more is missing than the chunk behind it.
#[test]
fn a_png_may_lack_its_end() {
    let image = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    let mut png = std::io::Cursor::new(Vec::new());
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let whole = decode(&png, MAX).unwrap();
    for end in 8..png.len() {
        let found = decode(&png[..end], MAX);
        if end >= png.len() - 12 {
            assert_eq!(found.as_ref(), Ok(&whole), "{end} of {}", png.len());
        } else {
            assert!(found.is_err(), "{end} of {}", png.len());
        }
    }
}

/// A BMP of 32 bits whose masks, of alpha too, follow a header that has no room for them.
#[test]
fn masks_behind_a_short_header_are_read() {
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x46\0\0\0".to_vec();
    for number in [40u32, 2, 1, 32 << 16 | 1, 6, 8, 0, 0, 0, 0] {
        bmp.extend(number.to_le_bytes());
    }
    for mask in [0x00FF_0000u32, 0xFF00, 0xFF, 0xFF00_0000] {
        bmp.extend(mask.to_le_bytes());
    }
    bmp.extend([40, 100, 200, 128, 90, 230, 17, 255]);
    let picture = decode(&bmp, MAX).unwrap();
    assert_eq!((picture.layout(), picture.notes()), (Layout::Rgba, &[][..]));
    assert_near(pixel(&picture, 0, 0), [200.0, 100.0, 40.0]);
    assert_near(pixel(&picture, 1, 0), [17.0, 230.0, 90.0]);
    assert!((picture.all_planes().plane(3)[0] * 255.0 - 128.0).abs() < 0.1);
}

/// Further pictures of a JPEG are noted, and previews that cameras put beside it are not.
#[test]
fn more_pictures_of_a_jpeg_are_noted() {
    let jpeg = include_bytes!("rotated.jpg");
    let with = |kinds: &[u32]| {
        let mut list = b"MPF\0MM\0*\0\0\0\x08\0\x01\xB0\x02\0\x07".to_vec();
        list.extend((kinds.len() as u32 * 16).to_be_bytes());
        list.extend(26u32.to_be_bytes());
        list.extend([0; 4]);
        for kind in kinds {
            list.extend(kind.to_be_bytes());
            list.extend([0; 12]);
        }
        let length = (list.len() as u16 + 2).to_be_bytes();
        let file = [&jpeg[..2], &[0xFF, 0xE2], &length, &list, &jpeg[2..]].concat();
        decode(&file, MAX).unwrap().notes().to_vec()
    };
    let more = [Note::from(phrase::MORE_PICTURES)];
    assert_eq!(with(&[0x0003_0000]), []);
    assert_eq!(with(&[0x0003_0000, 0x0001_0002]), [], "a preview");
    assert_eq!(with(&[0x2003_0000, 0x0002_0002]), more, "two eyes");
    assert_eq!(with(&[0x2003_0000, 0x4001_0001, 0]), more);
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

/// Entries of a TIFF: the tag, the type (3: 16 bits, 4: 32 bits) and the numbers.
#[cfg(feature = "tiff")]
type Entries<'a> = &'a [(u16, u16, &'a [u32])];

/// A name, samples of a pixel and their bits, what they mean, the data, and further entries.
#[cfg(feature = "tiff")]
type Case<'a> = (&'a str, u32, u32, u32, &'a [u8], Entries<'a>);

/// A TIFF of one strip, low byte first.
#[cfg(feature = "tiff")]
fn tiff(size: (u32, u32), samples: u32, bits: u32, meaning: u32, data: &[u8], more: Entries) -> Vec<u8> {
    let bits = vec![bits; samples as usize];
    let mut entries: Vec<(u16, u16, Vec<u32>)> = vec![
        (256, 4, vec![size.0]),
        (257, 4, vec![size.1]),
        (258, 3, bits),
        (259, 3, vec![1]),
        (262, 3, vec![meaning]),
        (273, 4, vec![8]),
        (277, 3, vec![samples]),
        (278, 4, vec![size.1]),
        (279, 4, vec![data.len() as u32]),
    ];
    for (tag, kind, numbers) in more {
        entries.retain(|(t, ..)| t != tag);
        entries.push((*tag, *kind, numbers.to_vec()));
    }
    entries.sort_by_key(|(tag, ..)| *tag);
    let mut file = b"II*\0\0\0\0\0".to_vec();
    file.extend_from_slice(data);
    file.resize(file.len().next_multiple_of(2), 0);
    let mut directory = (entries.len() as u16).to_le_bytes().to_vec();
    for (tag, kind, numbers) in entries {
        let mut values: Vec<u8> = if kind == 3 {
            numbers.iter().flat_map(|n| (*n as u16).to_le_bytes()).collect()
        } else {
            numbers.iter().flat_map(|n| n.to_le_bytes()).collect()
        };
        directory.extend(tag.to_le_bytes());
        directory.extend(kind.to_le_bytes());
        directory.extend((numbers.len() as u32).to_le_bytes());
        if values.len() > 4 {
            directory.extend((file.len() as u32).to_le_bytes());
            file.extend_from_slice(&values);
        } else {
            values.resize(4, 0);
            directory.extend(values);
        }
    }
    let at = (file.len() as u32).to_le_bytes();
    file[4..8].copy_from_slice(&at);
    file.extend(directory);
    file.extend([0; 4]);
    file
}

/// Two pixels, stored in every way that is read, are the same two pixels.
#[cfg(feature = "tiff")]
#[test]
fn tiffs_of_every_kind_of_sample_are_read() {
    let (a, b) = ([200u8, 100, 40], [17u8, 230, 90]);
    let all = [a, b].concat();
    let wide = |bytes: usize| -> Vec<u8> { all.iter().flat_map(|v| vec![*v; bytes]).collect() };
    let fractions = || all.iter().map(|v| f64::from(*v) / 255.0);
    let float: Vec<u8> = fractions().flat_map(|v| (v as f32).to_le_bytes()).collect();
    let double: Vec<u8> = fractions().flat_map(f64::to_le_bytes).collect();
    let half: Vec<u8> = fractions()
        .flat_map(|v| {
            // Rounded to 10 bits behind the first.
            let e = v.log2().floor();
            let fraction = ((v / e.exp2() - 1.0) * 1024.0).round() as u16;
            (((e as i32 + 15) as u16) << 10 | fraction).to_le_bytes()
        })
        .collect();
    let floats: Entries = &[(339, 3, &[3, 3, 3])];
    let apart = [a[0], b[0], a[1], b[1], a[2], b[2]];
    let planes: Entries = &[(284, 3, &[2]), (273, 4, &[8, 10, 12]), (279, 4, &[2, 2, 2])];
    let [mut table, mut short] = [vec![0; 3 << 8], vec![0; 3 << 2]];
    for (index, colour) in [(7, a), (250, b)] {
        (0..3).for_each(|c| table[(c << 8) + index] = u32::from(colour[c]) * 257);
    }
    for (index, colour) in [(2, a), (1, b)] {
        (0..3).for_each(|c| short[(c << 2) + index] = u32::from(colour[c]) << 8);
    }
    let (table, short): ([_; 1], [_; 1]) = ([(320, 3, &table[..])], [(320, 3, &short[..])]);
    let inks: Vec<u8> = [a, b]
        .iter()
        .flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0])
        .collect();
    let inks_seen: Vec<u8> = inks.chunks(4).flat_map(|p| [p, &[128]].concat()).collect();
    let yes: Vec<u8> = [a, b]
        .iter()
        .flat_map(|p| {
            let [r, g, b] = p.map(f64::from);
            let y = 0.299 * r + 0.587 * g + 0.114 * b;
            [y, 128.0 + (b - y) / 1.772, 128.0 + (r - y) / 1.402].map(|v| v.round() as u8)
        })
        .collect();
    let full: Entries = &[(530, 3, &[1, 1])];
    let cases: [Case; 12] = [
        ("8 bits", 3, 8, 2, &all, &[]),
        ("16 bits", 3, 16, 2, &wide(2), &[]),
        ("32 bits", 3, 32, 2, &wide(4), &[]),
        ("64 bits", 3, 64, 2, &wide(8), &[]),
        ("halves", 3, 16, 2, &half, floats),
        ("floats", 3, 32, 2, &float, floats),
        ("doubles", 3, 64, 2, &double, floats),
        ("planes", 3, 8, 2, &apart, planes),
        ("palette", 1, 8, 3, &[7, 250], &table),
        ("palette of two bits", 1, 2, 3, &[0b1001_0000], &short),
        ("inks", 4, 8, 5, &inks, &[]),
        ("brightness and colour", 3, 8, 6, &yes, full),
    ];
    for (name, samples, bits, meaning, data, more) in cases {
        let file = tiff((2, 1), samples, bits, meaning, data, more);
        let picture = decode(&file, MAX).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!((picture.layout(), picture.width()), (Layout::Rgb, 2), "{name}");
        assert_near(pixel(&picture, 0, 0), a.map(f32::from));
        assert_near(pixel(&picture, 1, 0), b.map(f32::from));
        let notes = if name == "inks" { vec![Note::Cmyk] } else { vec![] };
        assert_eq!(picture.notes(), notes, "{name}");
        let header = asasr_codec::header(std::io::Cursor::new(&file)).unwrap();
        assert_eq!((header.width, header.height), (2, 1), "{name}");
        assert!(header.bits >= picture.bits() && header.samples >= 3, "{name}");
    }
    let seen = decode(&tiff((2, 1), 5, 8, 5, &inks_seen, &[(338, 3, &[2])]), MAX).unwrap();
    assert_eq!(seen.layout(), Layout::Rgba);
    assert_near(pixel(&seen, 1, 0), b.map(f32::from));

    // Grey, of few bits and many, white that is 0, alpha of both kinds.
    let grey = |samples, bits, meaning, data: &[u8], more: Entries| {
        let picture = decode(&tiff((2, 1), samples, bits, meaning, data, more), MAX).unwrap();
        assert!(matches!(picture.layout(), Layout::Grey | Layout::GreyAlpha));
        [pixel(&picture, 0, 0)[0], pixel(&picture, 1, 0)[0]].map(|v| v.round() as u8)
    };
    assert_eq!(grey(1, 1, 1, &[0b1000_0000], &[]), [255, 0]);
    assert_eq!(grey(1, 1, 0, &[0b1000_0000], &[]), [0, 255]);
    assert_eq!(grey(1, 2, 1, &[0b0110_0000], &[]), [85, 170]);
    assert_eq!(grey(1, 4, 1, &[0x2F], &[]), [34, 255]);
    assert_eq!(grey(1, 8, 0, &[200, 17], &[]), [55, 238]);
    assert_eq!(grey(1, 16, 0, &[200, 200, 17, 17], &[]), [55, 238]);
    assert_eq!(
        grey(1, 32, 1, &[200, 200, 200, 200, 17, 17, 17, 17], &[]),
        [200, 17]
    );
    assert_eq!(grey(1, 32, 1, &float[..8], &[(339, 3, &[3])]), [200, 100]);
    assert_eq!(grey(2, 8, 1, &[200, 128, 17, 255], &[(338, 3, &[2])]), [200, 17]);
    assert_eq!(grey(2, 8, 1, &[100, 128, 17, 255], &[(338, 3, &[1])]), [199, 17]);
    assert_eq!(grey(2, 8, 0, &[100, 128, 17, 255], &[(338, 3, &[0])]), [155, 238]);
}

/// What of a TIFF is clipped or left out is said.
#[cfg(feature = "tiff")]
#[test]
fn what_a_tiff_loses_is_noted() {
    let notes = |samples, bits, data: &[u8], more: Entries| {
        let picture = decode(&tiff((1, 1), samples, bits, 2, data, more), MAX).unwrap();
        picture.notes().to_vec()
    };
    let float = |v: [f32; 3]| -> Vec<u8> { v.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let floats: Entries = &[(339, 3, &[3, 3, 3])];
    for beyond in [[0.5, 6.0, 0.2], [-0.4, 0.5, 0.2], [0.5, f32::NAN, 0.2]] {
        assert_eq!(
            notes(3, 32, &float(beyond), floats),
            [phrase::BEYOND_WHITE.into()]
        );
    }
    assert_eq!(notes(3, 32, &float([0.0, 1.0, 0.2]), floats), []);
    let left_out = [Note::from(phrase::CHANNELS_LEFT_OUT)];
    assert_eq!(notes(4, 8, &[1, 2, 3, 4], &[(338, 3, &[0])]), left_out);
    assert_eq!(notes(5, 8, &[1, 2, 3, 4, 5], &[(338, 3, &[1, 0])]), left_out);
    assert_eq!(notes(4, 8, &[1, 2, 3, 4], &[(338, 3, &[2])]), []);
    for tag in [301, 318, 319] {
        assert_eq!(
            notes(3, 8, &[1, 2, 3], &[(tag, 3, &[1])]),
            [phrase::TIFF_COLOURS.into()]
        );
    }
}

/// What of TIFF is not read is called by its name, and the file is not blamed.
#[cfg(feature = "tiff")]
#[test]
fn kinds_of_tiff_that_are_not_read_are_named() {
    let of = |samples, bits, meaning, more: Entries| {
        let data = [0; 64];
        decode(&tiff((2, 1), samples, bits, meaning, &data, more), MAX).unwrap_err()
    };
    let signed: Entries = &[(339, 3, &[2, 2, 2])];
    for (error, kind) in [
        (of(3, 8, 2, signed), phrase::TIFF_SIGNED),
        (of(3, 16, 2, signed), phrase::TIFF_SIGNED),
        (of(3, 8, 8, &[]), phrase::TIFF_LAB),
        (of(3, 8, 9, &[]), phrase::TIFF_LAB),
        // LZMA, zstd, CCITT T.4, JPEG as it was first.
        (of(3, 8, 2, &[(259, 3, &[34925])]), phrase::TIFF_COMPRESSION),
        (of(3, 8, 2, &[(259, 3, &[50000])]), phrase::TIFF_COMPRESSION),
        (of(1, 1, 0, &[(259, 3, &[3])]), phrase::TIFF_COMPRESSION),
        (
            of(3, 8, 6, &[(259, 3, &[6]), (530, 3, &[1, 1])]),
            phrase::TIFF_COMPRESSION,
        ),
        (of(5, 8, 2, &[]), phrase::TIFF_RARE),
        (of(3, 8, 6, &[(530, 3, &[2, 2])]), phrase::TIFF_RARE),
        (of(3, 12, 2, &[]), phrase::TIFF_RARE),
    ] {
        assert_eq!(error, Error::UnreadKind(kind));
    }
}

#[test]
fn a_bmp_with_another_image_inside_is_named() {
    let mut bmp = b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\0\0\x04\0\0\0".to_vec();
    bmp.resize(80, 0);
    assert_eq!(decode(&bmp, MAX), Err(Error::UnreadKind(phrase::BMP_INSIDE)));
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
