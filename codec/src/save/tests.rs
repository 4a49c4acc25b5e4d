use asasr_core::Rect;

use super::*;
use crate::{Note, Picture, Raster, Samples, SharedBytes, decode, phrase};

/// A soft picture of a layout, and what its file told.
fn picture(layout: Layout, bits: u8, metadata: Metadata) -> Picture {
    let size = Size::new(37, 29);
    let n = layout.samples();
    let value = |i: usize| {
        let (x, y, c) = (i / n % size.width, i / n / size.width, i % n);
        let alpha = layout.has_alpha() && c == n - 1;
        if alpha {
            255 - 4 * x as u16
        } else {
            (60 + 2 * x + y + 20 * c) as u16
        }
    };
    let all = (0..size.width * size.height * n).map(value);
    let samples = if bits == 16 {
        Samples::Sixteen(all.map(|v| v * 256 + (255 - v)).collect())
    } else {
        Samples::Eight(all.map(|v| v as u8).collect())
    };
    let mut picture = Picture::new(Raster {
        size,
        layout,
        samples,
    });
    picture.set_metadata(metadata);
    picture
}

/// The file of a picture as it is, in two parts.
fn file(picture: &Picture, format: Format, quality: u8) -> Vec<u8> {
    let bytes = SharedBytes::default();
    let (size, given) = (picture.size(), (picture.layout(), picture.bits()));
    let saving = Saving { format, quality };
    let mut rows = ImageRows::new(bytes.clone(), size, given, picture.metadata(), saving).unwrap();
    let planes = picture.all_planes();
    let part = |y0, y1| {
        planes.crop(Rect {
            x0: 0,
            y0,
            x1: size.width,
            y1,
        })
    };
    rows.write(0, &part(0, 11)).unwrap();
    rows.write(11, &part(11, size.height)).unwrap();
    rows.finish().unwrap();
    bytes.take()
}

fn exif() -> Vec<u8> {
    // A description beyond its entry, and a directory of EXIF's own with the exposure, big end first.
    let mut exif = b"MM\0*\0\0\0\x08\0\x02".to_vec();
    exif.extend([1, 14, 0, 2, 0, 0, 0, 6, 0, 0, 0, 38]);
    exif.extend([0x87, 0x69, 0, 4, 0, 0, 0, 1, 0, 0, 0, 44]);
    exif.extend([0; 4]);
    exif.extend(b"a cat\0");
    exif.extend([0, 1, 0x88, 0x27, 0, 3, 0, 0, 0, 1, 0, 200, 0, 0, 0, 0, 0, 0]);
    exif
}

fn told() -> Metadata {
    // sRGB's numbers with another gamma, so that it is a profile.
    let profile = Metadata {
        gamma: Some(60_000),
        ..Metadata::default()
    };
    Metadata {
        icc: profile.profile(),
        exif: Some(exif()),
        xmp: Some("<x:xmpmeta>ü</x:xmpmeta>".to_owned()),
        ..Metadata::default()
    }
}

const LAYOUTS: [Layout; 4] = [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba];

#[test]
fn tiff_brings_everything_back() {
    for layout in LAYOUTS {
        for bits in [8, 16] {
            let given = picture(layout, bits, Metadata::default());
            let back = decode(&file(&given, Format::Tiff, 1), 2000).unwrap();
            assert_eq!(back.raster(), given.raster(), "{layout:?} {bits}");
        }
    }
    let given = picture(Layout::Rgb, 16, told());
    let back = decode(&file(&given, Format::Tiff, 1), 2000).unwrap();
    assert_eq!(back.raster(), given.raster());
    let (given, back) = (given.metadata(), back.metadata());
    assert_eq!((&back.icc, &back.xmp), (&given.icc, &given.xmp));
    // Its directories were put together anew.
    let exif = crate::ifd::Tiff::open(back.exif.as_deref().unwrap()).unwrap();
    let first = exif.first().unwrap();
    assert_eq!(exif.bytes(first.find(270).unwrap()), b"a cat\0");
    let own = exif.directory(exif.integer(first.find(0x8769).unwrap()).unwrap());
    assert_eq!(exif.integer(own.unwrap().find(0x8827).unwrap()), Some(200));
}

#[test]
fn a_resolution_goes_along() {
    let metadata = Metadata {
        resolution: Some(Resolution {
            x: 11811,
            y: 2835,
            metre: true,
        }),
        ..Metadata::default()
    };
    for format in [Format::Png, Format::Tiff, Format::Jpeg, Format::WebP] {
        let given = picture(Layout::Rgb, 8, metadata.clone());
        let back = decode(&file(&given, format, 90), 2000).unwrap();
        let back = back.metadata().resolution.unwrap();
        assert!(
            back.metre && back.x.abs_diff(11811) < 20 && back.y.abs_diff(2835) < 20,
            "{format:?} {back:?}"
        );
    }
}

#[test]
fn lossy_formats_come_near_and_carry_what_was_told() {
    for format in [Format::Jpeg, Format::WebP] {
        for layout in LAYOUTS {
            let metadata = if matches!(layout, Layout::Rgb | Layout::Rgba) {
                told()
            } else {
                Metadata::default()
            };
            let given = picture(layout, 8, metadata).fitted(format).unwrap();
            let bytes = file(&given, format, 95);
            let back = decode(&bytes, 2000).unwrap();
            assert_eq!(back.metadata(), given.metadata(), "{format:?} {layout:?}");
            let (stored, _) = format.stored(layout, 8);
            assert!(back.layout().has_alpha() == stored.has_alpha() && back.size() == given.size());
            let (given, back) = (given.all_planes(), back.all_planes());
            let alpha = |i: usize| {
                if layout.has_alpha() {
                    given.plane(3)[i]
                } else {
                    1.0
                }
            };
            for c in 0..3 {
                let mean = (0..37 * 29).map(|i| {
                    let laid = if stored.has_alpha() { 1.0 } else { alpha(i) };
                    let expected = given.plane(c)[i] * laid + 1.0 - laid;
                    (back.plane(c)[i] - expected).abs()
                });
                let mean = 255.0 * mean.sum::<f32>() / (37.0 * 29.0);
                assert!(mean < 3.0, "{format:?} {layout:?}: {mean}");
            }
            let coarse = file(&picture(layout, 8, Metadata::default()), format, 10);
            assert!(coarse.len() < bytes.len());
        }
    }
}

#[test]
fn what_a_format_cannot_hold_is_noted() {
    let said = |layout, bits, metadata: &Metadata, format| -> Vec<Note> {
        let fitted = picture(layout, bits, metadata.clone()).fitted(format).unwrap();
        fitted.notes().to_vec()
    };
    let plain = Metadata::default();
    for format in Format::ALL {
        assert_eq!(said(Layout::Rgb, 8, &plain, format), [], "{format:?}");
    }
    let white: Note = phrase::JPEG_OPAQUE.into();
    assert_eq!(
        said(Layout::Rgba, 16, &plain, Format::Jpeg),
        [white, Note::BitsLost("JPEG")]
    );
    assert_eq!(
        said(Layout::Rgba, 16, &plain, Format::WebP),
        [Note::BitsLost("WebP")]
    );
    assert_eq!(said(Layout::Rgba, 16, &plain, Format::Tiff), []);
    // Their encoders write no profile.
    assert_eq!(
        said(Layout::Rgb, 8, &told(), Format::JpegXl),
        [phrase::TO_SRGB.into()]
    );
    assert_eq!(said(Layout::Rgb, 8, &told(), Format::Jpeg), []);
    let large = Metadata {
        exif: Some(vec![0; 70_000]),
        xmp: Some(" ".repeat(70_000)),
        texts: vec![(*b"tEXt", b"a\0b".to_vec())],
        ..Metadata::default()
    };
    assert_eq!(said(Layout::Rgb, 8, &large, Format::Jpeg).len(), 3);
    assert_eq!(
        said(Layout::Rgb, 8, &large, Format::WebP),
        [phrase::ONLY_PNG.into()]
    );
    let hdr = Metadata {
        cicp: Some([9, 16, 0, 1]),
        ..Metadata::default()
    };
    for format in Format::ALL {
        let fits = picture(Layout::Rgb, 16, hdr.clone()).fitted(format).is_some();
        assert_eq!(fits, format == Format::Png, "{format:?}");
    }
}

#[test]
fn jpeg_xl_has_its_boxes() {
    let plain = file(&picture(Layout::Rgb, 8, Metadata::default()), Format::JpegXl, 1);
    assert!(plain.starts_with(&[0xFF, 0x0A]), "an image alone");
    let given = picture(Layout::Rgb, 8, told()).fitted(Format::JpegXl).unwrap();
    let boxed = file(&given, Format::JpegXl, 1);
    let (mut rest, mut kinds) = (&boxed[..], Vec::new());
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        kinds.push(rest[4..8].to_vec());
        rest = if length == 0 { &[] } else { &rest[length..] };
    }
    assert_eq!(kinds, [b"JXL ", b"ftyp", b"Exif", b"xml ", b"jxlc"]);
    assert!(boxed.windows(5).any(|w| w == b"a cat"));
}

#[test]
fn sizes_and_rows_are_checked() {
    let metadata = Metadata::default();
    let begin = |size: Size, format| {
        let saving = Saving { format, quality: 90 };
        ImageRows::new(Vec::new(), size, (Layout::Rgb, 8), &metadata, saving)
    };
    for (format, longest) in [(Format::Jpeg, 65_535), (Format::WebP, 16_383)] {
        assert!(begin(Size::new(longest, 1), format).is_ok());
        assert!(begin(Size::new(1, longest + 1), format).is_err(), "{format:?}");
    }
    assert!(begin(Size::new(1, 9), Format::JpegXl).is_err());
    for format in Format::ALL.into_iter().filter(|f| f.is_written()) {
        let rows = Planes::zeros(3, 2, 4);
        let mut image = begin(Size::new(4, 3), format).unwrap();
        assert!(image.write(1, &rows).is_err());
        let mut image = begin(Size::new(4, 3), format).unwrap();
        image.write(0, &rows).unwrap();
        assert!(image.finish().is_err(), "{format:?} lacks a row");
    }
}

#[test]
fn endings_say_formats() {
    for format in Format::ALL {
        assert_eq!(Format::of_ending(format.ending()), Some(format));
    }
    assert_eq!(Format::of_ending("JPEG"), Some(Format::Jpeg));
    assert_eq!(Format::of_ending("gif"), None);
}
