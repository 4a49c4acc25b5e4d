//! Colours and metadata go along, of every kind of file.
//!
//! The rule: the pixels of a result, read by what the result tells, are the colours of the original, read by what that tells, to
//! 5 levels of 255 in every cell; with and without metadata. What a file means is computed here anew, in closed form, and not
//! by the library that converts; Chromium draws the same.
#![cfg(feature = "tiff")]
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_codec::{Layout, Metadata, Picture, PngRows, Resolution, SharedBytes, decode};
use asasr_core::Planes;
use proptest::prelude::*;

const MAX: u64 = 1 << 20;

/// The cells of `colour/make.py`, row by row, six in a row.
#[rustfmt::skip]
const CELLS: [[u8; 3]; 24] = [
    [10, 10, 10], [30, 60, 90], [128, 128, 128], [200, 60, 20], [20, 200, 40], [240, 240, 240],
    [60, 60, 60], [180, 30, 120], [90, 160, 200], [220, 220, 30], [0, 0, 0], [255, 255, 255],
    [100, 100, 100], [150, 90, 60], [60, 90, 150], [90, 150, 60], [200, 200, 200], [40, 40, 80],
    [120, 60, 60], [60, 120, 60], [60, 60, 120], [170, 170, 120], [170, 120, 170], [120, 170, 170],
];

type Matrix = [[f64; 3]; 3];

const SRGB: [f64; 8] = [0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];
const P3: [f64; 8] = [0.3127, 0.3290, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06];
const BT2020: [f64; 8] = [0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046];
/// sRGB's red, green and blue of a profile: adapted to D50 (IEC 61966-2-1, amendment 1).
const SRGB_D50: Matrix = [
    [0.43607, 0.38515, 0.14307],
    [0.22249, 0.71687, 0.06061],
    [0.01392, 0.09708, 0.71410],
];

/// From samples to light.
#[derive(Debug, Clone, Copy)]
enum Curve {
    Srgb,
    Gamma(f64),
    Bt709,
}

impl Curve {
    fn light(self, v: f64) -> f64 {
        match self {
            Self::Srgb if v <= 0.04045 => v / 12.92,
            Self::Srgb => ((v + 0.055) / 1.055).powf(2.4),
            Self::Gamma(g) => v.powf(g),
            Self::Bt709 if v < 0.081 => v / 4.5,
            Self::Bt709 => ((v + 0.099) / 1.099).powf(1.0 / 0.45),
        }
    }
}

/// What samples mean: their curve, and from their light to that of sRGB.
#[derive(Debug, Clone, Copy)]
struct Space(Curve, Matrix);

const IDENTITY: Matrix = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
}

fn inverse(m: &Matrix) -> Matrix {
    let minor = |i: usize, j: usize| {
        let [a, b] = [(i + 1) % 3, (i + 2) % 3];
        let [c, d] = [(j + 1) % 3, (j + 2) % 3];
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let det: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / det))
}

/// From light to XYZ, of white, red, green and blue in x and y.
fn to_xyz(c: &[f64; 8]) -> Matrix {
    let column = |i: usize| {
        [
            c[2 * i] / c[2 * i + 1],
            1.0,
            (1.0 - c[2 * i] - c[2 * i + 1]) / c[2 * i + 1],
        ]
    };
    let columns = [1, 2, 3].map(column);
    let m: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i]));
    let scale = apply(&inverse(&m), column(0));
    std::array::from_fn(|i| std::array::from_fn(|j| m[i][j] * scale[j]))
}

impl Space {
    /// All of them have the white of sRGB.
    fn new(curve: Curve, primaries: &[f64; 8]) -> Self {
        Self(curve, times(&inverse(&to_xyz(&SRGB)), &to_xyz(primaries)))
    }

    /// Of a profile with a matrix, or with a curve alone.
    fn of_profile(icc: &[u8]) -> Self {
        let number = |at: usize| u32::from_be_bytes(icc[at..at + 4].try_into().unwrap());
        let tag = |name: &[u8]| {
            let entry = (0..number(128) as usize)
                .map(|i| 132 + 12 * i)
                .find(|at| icc[*at..].starts_with(name))?;
            Some(number(entry + 4) as usize)
        };
        let curve = |at: usize| {
            let fixed = |i: usize| f64::from(number(at + 12 + 4 * i) as i32) / 65536.0;
            match (&icc[at..at + 4], icc[at + 9]) {
                (b"para", 0) => return Curve::Gamma(fixed(0)),
                (b"para", 3) if (fixed(0) - 2.4).abs() < 1e-4 => return Curve::Srgb,
                (b"para", 3) => return Curve::Bt709,
                _ => {}
            }
            assert_eq!((&icc[at..at + 4], number(at + 8)), (b"curv".as_slice(), 1));
            Curve::Gamma(f64::from(u16::from_be_bytes([icc[at + 12], icc[at + 13]])) / 256.0)
        };
        if let Some(at) = tag(b"kTRC") {
            return Self(curve(at), IDENTITY);
        }
        let columns = [b"rXYZ", b"gXYZ", b"bXYZ"].map(|name| {
            let at = tag(name).unwrap() + 8;
            [0, 4, 8].map(|o| f64::from(number(at + o) as i32) / 65536.0)
        });
        let m: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i]));
        Self(curve(tag(b"rTRC").unwrap()), times(&inverse(&SRGB_D50), &m))
    }

    /// By the precedence of PNG 3, section 4.3.
    fn of(metadata: &Metadata) -> Self {
        if let Some([primaries, transfer, ..]) = metadata.cicp {
            let primaries = match primaries {
                1 => SRGB,
                9 => BT2020,
                12 => P3,
                n => panic!("{n}"),
            };
            let curve = match transfer {
                1 | 14 => Curve::Bt709,
                4 => Curve::Gamma(2.2),
                8 => Curve::Gamma(1.0),
                13 => Curve::Srgb,
                n => panic!("{n}"),
            };
            return Self::new(curve, &primaries);
        }
        if let Some(icc) = &metadata.icc {
            return Self::of_profile(icc);
        }
        let gamma = metadata
            .gamma
            .map(|g| 100_000.0 / f64::from(g))
            .filter(|_| metadata.srgb.is_none());
        match (gamma, metadata.chromaticities) {
            (Some(g), Some(c)) => Self::new(Curve::Gamma(g), &c.map(|n| f64::from(n) / 100_000.0)),
            (Some(g), None) if (g / 2.2 - 1.0).abs() > 0.06 => Self::new(Curve::Gamma(g), &SRGB),
            _ => Self(Curve::Srgb, IDENTITY),
        }
    }

    /// What a screen of sRGB shows.
    fn shown(&self, colour: [f64; 3]) -> [f64; 3] {
        if let Self(Curve::Srgb, IDENTITY) = self {
            return colour.map(|v| v * 255.0);
        }
        apply(&self.1, colour.map(|v| self.0.light(v))).map(|l| {
            let l = l.clamp(0.0, 1.0);
            255.0
                * if l <= 0.003_130_8 {
                    12.92 * l
                } else {
                    1.055 * l.powf(1.0 / 2.4) - 0.055
                }
        })
    }
}

/// A result of twice the size, every pixel four times, written as results are.
fn enlarged(picture: &Picture) -> Vec<u8> {
    let planes = picture.all_planes();
    let (width, height) = (2 * picture.width(), 2 * picture.height());
    let mut large = Planes::zeros(planes.channels(), height, width);
    for c in 0..planes.channels() {
        for y in 0..height {
            for x in 0..width {
                large.row_mut(c, y)[x] = planes.row(c, y / 2)[x / 2];
            }
        }
    }
    let bytes = SharedBytes::default();
    let format = (picture.layout(), picture.bits());
    let mut rows = PngRows::with_metadata(
        bytes.clone(),
        large.size(),
        format.0,
        format.1,
        picture.metadata(),
    )
    .unwrap();
    rows.write(0, &large).unwrap();
    rows.finish().unwrap();
    bytes.take()
}

/// The middle of every cell, as the picture's file says it is shown; `turned` as by orientation 6.
fn cells(picture: &Picture, turned: bool) -> Vec<[f64; 3]> {
    let planes = picture.all_planes();
    let side = picture.width().max(picture.height()) / 6;
    let space = Space::of(picture.metadata());
    (0..24)
        .map(|i| {
            let (mut x, mut y) = (i % 6 * side + side / 2, i / 6 * side + side / 2);
            if turned {
                (x, y) = (picture.width() - 1 - y, x);
            }
            space.shown([0, 1, 2].map(|c| f64::from(planes.row(c, y)[x])))
        })
        .collect()
}

fn assert_near(name: &str, found: &[[f64; 3]], expected: &[[f64; 3]]) {
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        let far = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(far <= 5.0, "{name}, cell {i}: {a:.1?} for {b:.1?}");
    }
}

/// What the cells look like in a space.
fn meant(space: Space, grey: bool) -> Vec<[f64; 3]> {
    let colour = |c: [u8; 3]| (if grey { [c[0]; 3] } else { c }).map(|v| f64::from(v) / 255.0);
    CELLS.iter().map(|c| space.shown(colour(*c))).collect()
}

/// The rule. `stripped` where there is the library that converts.
fn rule(name: &str, file: &[u8], expected: &[[f64; 3]]) -> Picture {
    let picture = decode(file, MAX).unwrap();
    let turned = picture.width() < picture.height();
    assert_near(name, &cells(&picture, turned), expected);
    let result = decode(&enlarged(&picture), MAX).unwrap();
    assert_near(&format!("{name}, result"), &cells(&result, turned), expected);
    let bare = picture.clone().stripped();
    let result = decode(&enlarged(&bare), MAX).unwrap();
    if cfg!(feature = "colour") {
        assert_eq!(result.metadata(), &Metadata::default(), "{name}");
    }
    assert_near(
        &format!("{name}, without metadata"),
        &cells(&result, turned),
        expected,
    );
    picture
}

type Chunk<'a> = (&'a [u8; 4], Vec<u8>);

/// A PNG of the cells, with chunks before and behind its image.
fn png(colours: png::ColorType, bits: u8, early: &[Chunk], late: &[Chunk]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 24, 16);
    encoder.set_color(colours);
    encoder.set_depth(if bits == 16 {
        png::BitDepth::Sixteen
    } else {
        png::BitDepth::Eight
    });
    let mut writer = encoder.write_header().unwrap();
    let put = |writer: &mut png::Writer<_>, chunks: &[Chunk]| {
        for (kind, content) in chunks {
            writer
                .write_chunk(png::chunk::ChunkType(**kind), content)
                .unwrap();
        }
    };
    put(&mut writer, early);
    let mut data = Vec::new();
    for i in 0..24 * 16 {
        let cell = CELLS[i / 24 / 4 * 6 + i % 24 / 4];
        for v in &cell[..if colours == png::ColorType::Grayscale {
            1
        } else {
            3
        }] {
            data.extend(std::iter::repeat_n(*v, usize::from(bits / 8)));
        }
    }
    writer.write_image_data(&data).unwrap();
    put(&mut writer, late);
    writer.finish().unwrap();
    bytes
}

fn big(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn gama(n: u32) -> Chunk<'static> {
    (b"gAMA", big(&[n]))
}

fn chrm(c: &[f64; 8]) -> Chunk<'static> {
    (b"cHRM", big(&c.map(|n| (n * 100_000.0).round() as u32)))
}

/// The chunks of a PNG.
fn chunks(file: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut at = 8;
    let mut found = Vec::new();
    while at < file.len() {
        let length = u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        found.push((
            file[at + 4..at + 8].try_into().unwrap(),
            file[at + 8..at + 8 + length].to_vec(),
        ));
        at += 12 + length;
    }
    found
}

fn chunk(file: &[u8], kind: &[u8]) -> Option<Vec<u8>> {
    chunks(file)
        .into_iter()
        .find(|(k, _)| k == kind)
        .map(|(_, content)| content)
}

#[test]
fn png_colours_are_kept_or_converted() {
    use Curve::{Bt709, Gamma, Srgb};
    let srgb = || Space::new(Srgb, &SRGB);
    let cicp = |n: [u8; 4]| -> Chunk { (b"cICP", n.to_vec()) };
    let cases: [(&str, Vec<Chunk>, Space); 12] = [
        ("plain", vec![], srgb()),
        ("gAMA 1", vec![gama(100_000)], Space::new(Gamma(1.0), &SRGB)),
        ("gAMA 1/1.8", vec![gama(55_556)], Space::new(Gamma(1.8), &SRGB)),
        ("gAMA 1/2.2 alone is sRGB", vec![gama(45_455)], srgb()),
        (
            "gAMA cHRM",
            vec![gama(45_455), chrm(&P3)],
            Space::new(Gamma(2.2), &P3),
        ),
        ("cHRM alone", vec![chrm(&P3)], srgb()),
        (
            "sRGB goes before",
            vec![(b"sRGB", vec![0]), gama(100_000), chrm(&P3)],
            srgb(),
        ),
        (
            "cICP P3",
            vec![cicp([12, 13, 0, 1]), gama(100_000)],
            Space::new(Srgb, &P3),
        ),
        ("cICP BT.709", vec![cicp([1, 1, 0, 1])], Space::new(Bt709, &SRGB)),
        (
            "cICP BT.2020",
            vec![cicp([9, 14, 0, 1])],
            Space::new(Bt709, &BT2020),
        ),
        (
            "cICP linear",
            vec![cicp([1, 8, 0, 1])],
            Space::new(Gamma(1.0), &SRGB),
        ),
        (
            "cICP gamma",
            vec![cicp([1, 4, 0, 1])],
            Space::new(Gamma(2.2), &SRGB),
        ),
    ];
    for (name, early, space) in cases {
        for bits in [8, 16] {
            for colours in [png::ColorType::Rgb, png::ColorType::Grayscale] {
                let grey = colours == png::ColorType::Grayscale;
                let name = format!("{name}, {bits} bits, grey {grey}");
                let file = png(colours, bits, &early, &[]);
                let picture = rule(&name, &file, &meant(space, grey));
                assert!(picture.notes().is_empty(), "{name}");
                // And as a profile, for files that know no chunks; where nothing is told there is none.
                let profile = picture.metadata().profile();
                let described = Metadata {
                    icc: profile.clone(),
                    ..Metadata::default()
                };
                let of_profile = meant(Space::of(&described), grey);
                assert_near(&format!("{name}, profile"), &of_profile, &meant(space, grey));
                if let (Some(profile), false) = (profile, bits == 16) {
                    let file = include_bytes!("colour/p3.jpg");
                    let at = file.windows(11).position(|w| w == b"ICC_PROFILE").unwrap() - 4;
                    let end = at + 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
                    let bare = [&file[..at], &file[end..]].concat();
                    let part = headed(b"ICC_PROFILE\0\x01\x01", &profile);
                    rule(
                        &format!("{name}, JPEG"),
                        &jpeg(&bare, &[(0xE2, part)]),
                        &meant(space, false),
                    );
                }
                // Chunk by chunk, as they were.
                let result = enlarged(&picture);
                for (kind, content) in &early {
                    assert_eq!(chunk(&result, *kind).as_ref(), Some(content), "{name}");
                }
            }
        }
    }
}

#[test]
fn profiles_of_every_kind_of_file_are_kept_or_converted() {
    let p3 = Space::new(Curve::Gamma(2.2), &P3);
    let linear = Space::new(Curve::Gamma(1.0), &P3);
    let grey = Space::new(Curve::Gamma(1.0), &SRGB);
    let cases: [(&str, &[u8], Space, bool); 6] = [
        ("p3.jpg", include_bytes!("colour/p3.jpg"), p3, false),
        ("grey.jpg", include_bytes!("colour/grey.jpg"), grey, true),
        (
            "grey-of-rgb.jpg",
            include_bytes!("colour/grey-of-rgb.jpg"),
            grey,
            true,
        ),
        ("linear.webp", include_bytes!("colour/linear.webp"), linear, false),
        ("linear.tif", include_bytes!("colour/linear.tif"), linear, false),
        ("profile.bmp", include_bytes!("colour/profile.bmp"), linear, false),
    ];
    for (name, file, space, grey) in cases {
        let picture = rule(name, file, &meant(space, grey));
        assert!(picture.notes().is_empty(), "{name}: {:?}", picture.notes());
        assert_eq!(
            picture.layout(),
            if grey { Layout::Grey } else { Layout::Rgb },
            "{name}"
        );
    }
    // Grey of three colours has no place in PNG, but where nothing converts it.
    let picture = decode(include_bytes!("colour/grey-of-rgb.jpg"), MAX).unwrap();
    assert_eq!(picture.metadata().icc.is_none(), cfg!(feature = "colour"));
}

/// A profile that is a table, as `LittleCMS` shows it: `colour/make.py` prints these.
#[cfg(feature = "colour")]
#[test]
fn a_profile_of_tables_is_converted() {
    #[rustfmt::skip]
    let expected = [
        [14, 14, 14], [17, 67, 101], [137, 137, 137], [223, 51, 0], [0, 209, 0], [242, 242, 242],
        [66, 66, 66], [204, 0, 132], [73, 171, 210], [224, 224, 0], [0, 0, 0], [255, 255, 255],
        [109, 109, 109], [169, 95, 59], [57, 100, 163], [77, 161, 49], [206, 206, 206], [44, 43, 91],
        [139, 62, 64], [37, 131, 58], [67, 66, 134], [178, 178, 123], [187, 127, 181], [115, 179, 178],
    ];
    let picture = decode(include_bytes!("colour/lut.webp"), MAX).unwrap();
    assert!(picture.metadata().icc.is_some());
    let result = decode(&enlarged(&picture.stripped()), MAX).unwrap();
    assert_eq!(result.metadata(), &Metadata::default());
    assert_near(
        "lut.webp",
        &cells(&result, false),
        &expected.map(|c| c.map(f64::from)),
    );
}

/// Numbers of 16 and 32 bits, low byte first.
fn tiff(parts: &[&[u32]], bytes: &[u8]) -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    for part in parts {
        // Entries of four numbers each: tag, type, count and value; or the place of the next directory.
        if let [next] = part {
            out.extend(next.to_le_bytes());
        } else {
            out.extend(((part.len() / 4) as u16).to_le_bytes());
            for entry in part.chunks(4) {
                out.extend((entry[0] as u16).to_le_bytes());
                out.extend((entry[1] as u16).to_le_bytes());
                out.extend(entry[2].to_le_bytes());
                out.extend(entry[3].to_le_bytes());
            }
        }
    }
    out.extend_from_slice(bytes);
    out
}

/// EXIF data of a photo of 24 x 16 that was held sideways: orientation 6, the size, 72 dots per inch, and a preview of 5 bytes.
fn sideways() -> Vec<u8> {
    let resolution = 8 + 2 + 4 * 12 + 4 + 2 + 2 * 12 + 4 + 2 + 2 * 12 + 4;
    let (own, preview) = (62, 92);
    tiff(
        &[
            &[
                274, 3, 1, 6, 282, 5, 1, resolution, 296, 3, 1, 2, 0x8769, 4, 1, own,
            ],
            &[preview],
            &[0xA002, 4, 1, 24, 0xA003, 3, 1, 16],
            &[0],
            &[513, 4, 1, resolution + 8, 514, 4, 1, 5],
            &[0],
        ],
        b"\x48\0\0\0\x01\0\0\0thumb",
    )
}

/// The value of a tag with one number, in the first directory or, `own`, in EXIF's.
fn tag(exif: &[u8], number: u16, own: bool) -> Option<u32> {
    let long = |at: usize| u32::from_le_bytes(exif[at..at + 4].try_into().unwrap());
    let short = |at: usize| u16::from_le_bytes([exif[at], exif[at + 1]]);
    let at = if own { tag(exif, 0x8769, false)? } else { long(4) } as usize;
    let entry = (0..usize::from(short(at)))
        .map(|i| at + 2 + 12 * i)
        .find(|e| short(*e) == number)?;
    Some(if short(entry + 2) == 3 {
        u32::from(short(entry + 8))
    } else {
        long(entry + 8)
    })
}

const XMP: &str = r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"
  exif:PixelXDimension="24" exif:PixelYDimension="16"/></rdf:RDF></x:xmpmeta>"#;

fn assert_upright(name: &str, picture: &Picture) {
    assert_eq!((picture.width(), picture.height()), (16, 24), "{name}");
    let result = enlarged(picture);
    let exif = chunk(&result, b"eXIf").unwrap();
    assert!(exif.starts_with(b"II*\0"), "{name}");
    assert!(tag(&exif, 274, false).is_none_or(|n| n == 1), "{name}");
    if let Some(xmp) = chunk(&result, b"iTXt") {
        assert!(
            String::from_utf8(xmp).unwrap().contains("tiff:Orientation=\"1\""),
            "{name}"
        );
    }
    let again = decode(&result, MAX).unwrap();
    assert_eq!(
        (again.width(), again.height()),
        (32, 48),
        "{name}: not turned twice"
    );
}

/// A JPEG with segments before all others.
fn jpeg(file: &[u8], segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = file[..2].to_vec();
    for (marker, content) in segments {
        out.extend([0xFF, *marker]);
        out.extend((content.len() as u16 + 2).to_be_bytes());
        out.extend(content);
    }
    out.extend_from_slice(&file[2..]);
    out
}

fn headed(head: &[u8], content: &[u8]) -> Vec<u8> {
    [head, content].concat()
}

#[test]
fn orientation_is_applied_once_wherever_it_is_told() {
    let rgb = |early: &[Chunk], late: &[Chunk]| png(png::ColorType::Rgb, 8, early, late);
    let prefixed = headed(b"Exif\0\0", &sideways());
    let xmp = headed(b"XML:com.adobe.xmp\0\0\0\0\0", XMP.as_bytes());
    let jpeg = jpeg(
        include_bytes!("colour/p3.jpg"),
        &[
            (0xE1, prefixed.clone()),
            (0xE1, headed(b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes())),
        ],
    );
    let files = [
        ("PNG", rgb(&[(b"eXIf", sideways())], &[(b"iTXt", xmp.clone())])),
        (
            "PNG, behind the image",
            rgb(&[], &[(b"iTXt", xmp), (b"eXIf", sideways())]),
        ),
        ("PNG, with a prefix", rgb(&[(b"eXIf", prefixed)], &[])),
        ("JPEG", jpeg),
        (
            "WebP, with a prefix",
            include_bytes!("colour/linear.webp").to_vec(),
        ),
        ("TIFF", include_bytes!("colour/linear.tif").to_vec()),
    ];
    for (name, file) in files {
        let picture = decode(&file, MAX).unwrap();
        assert_upright(name, &picture);
        assert!(picture.notes().is_empty(), "{name}: {:?}", picture.notes());
        let bare = decode(&enlarged(&picture.stripped()), MAX).unwrap();
        assert_eq!((bare.width(), bare.height()), (32, 48), "{name}");
        assert!(
            bare.metadata().exif.is_none() && bare.metadata().xmp.is_none(),
            "{name}"
        );
    }
}

#[test]
fn exif_and_xmp_data_tell_the_size_of_the_result_and_no_sideways_preview() {
    let exif = sideways();
    let file = jpeg(
        include_bytes!("colour/p3.jpg"),
        &[
            (0xE1, headed(b"Exif\0\0", &exif)),
            (0xE1, headed(b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes())),
        ],
    );
    let picture = decode(&file, MAX).unwrap();
    let result = enlarged(&picture);
    let carried = chunk(&result, b"eXIf").unwrap();
    assert!(!carried.windows(5).any(|w| w == b"thumb"));
    assert_eq!(&carried[58..62], [0; 4], "no second directory");
    assert_eq!(
        (tag(&carried, 0xA002, true), tag(&carried, 0xA003, true)),
        (Some(32), Some(48))
    );
    let xmp = String::from_utf8(chunk(&result, b"iTXt").unwrap()).unwrap();
    assert!(
        xmp.contains("exif:PixelXDimension=\"32\" exif:PixelYDimension=\"48\""),
        "{xmp}"
    );
    // More XMP data than a segment holds is not put together.
    let more = headed(b"http://ns.adobe.com/xmp/extension/\0", &[b'0'; 40]);
    let more = decode(&jpeg(include_bytes!("colour/p3.jpg"), &[(0xE1, more)]), MAX).unwrap();
    assert!(more.notes()[0].to_string().contains("XMP"));
    // Upright, the preview stays, and so does an orientation that only XMP data tells, as nothing was turned.
    let mut upright = exif.clone();
    upright[18] = 1;
    let file = jpeg(
        include_bytes!("colour/p3.jpg"),
        &[
            (0xE1, headed(b"Exif\0\0", &upright)),
            (0xE1, headed(b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes())),
        ],
    );
    let picture = decode(&file, MAX).unwrap();
    assert_eq!(picture.metadata().exif.as_ref(), Some(&upright));
    assert_eq!(picture.metadata().xmp.as_deref(), Some(XMP));
}

/// Enlarged to more paper, at the dots per inch that it had: so image editors do, and so EXIF data stays true.
#[test]
fn the_resolution_stays() {
    let metre = |x, y| Some(Resolution { x, y, metre: true });
    let of = |file: &[u8]| {
        let result = enlarged(&decode(file, MAX).unwrap());
        decode(&result, MAX).unwrap().metadata().resolution
    };
    // 300 dots per inch of JFIF, 300 and 150 of a TIFF, turned, 3780 per metre of a BMP, 72 per inch of EXIF alone.
    let p3 = include_bytes!("colour/p3.jpg");
    assert_eq!(of(p3), metre(11811, 11811));
    assert_eq!(of(include_bytes!("colour/linear.tif")), metre(5906, 11811));
    assert_eq!(of(include_bytes!("colour/profile.bmp")), metre(3780, 3780));
    let rgb = |chunks: &[Chunk]| png(png::ColorType::Rgb, 8, chunks, &[]);
    assert_eq!(of(&rgb(&[(b"eXIf", sideways())])), metre(2835, 2835));
    let mut shape = big(&[3, 2]);
    shape.push(0);
    let unit = Some(Resolution {
        x: 3,
        y: 2,
        metre: false,
    });
    assert_eq!(of(&rgb(&[(b"pHYs", shape)])), unit);
    // Behind a palette, which it may stand at either side of, but not behind the image.
    let mut size = big(&[5906, 11811]);
    size.push(1);
    let palette: Chunk = (b"PLTE", vec![9; 6]);
    assert_eq!(of(&rgb(&[palette, (b"pHYs", size.clone())])), metre(5906, 11811));
    assert_eq!(of(&png(png::ColorType::Rgb, 8, &[], &[(b"pHYs", size)])), None);
    let at = p3.windows(5).position(|w| w == b"JFIF\0").unwrap();
    let with = |unit: u8, x: u8| {
        let mut file = p3.to_vec();
        file[at + 7..at + 12].copy_from_slice(&[unit, 0, x, 0, 100]);
        of(&file)
    };
    assert_eq!(with(2, 50), metre(5000, 10_000));
    assert_eq!(
        with(0, 200),
        Some(Resolution {
            x: 200,
            y: 100,
            metre: false
        })
    );
    assert_eq!(with(0, 100), None);
}

#[test]
fn text_goes_along_and_significant_bits_are_named() {
    let rgb = |early: &[Chunk], late: &[Chunk]| png(png::ColorType::Rgb, 8, early, late);
    let texts: [Chunk; 3] = [
        (b"tEXt", b"Author\0A. Author".to_vec()),
        (b"zTXt", b"Comment\0\0any bytes".to_vec()),
        (b"iTXt", b"Title\0\0\0de\0Titel\0\xc3\xa4".to_vec()),
    ];
    let picture = decode(&rgb(&texts[..1], &texts[1..]), MAX).unwrap();
    let result = enlarged(&picture);
    for (kind, content) in &texts {
        assert_eq!(chunk(&result, *kind).as_ref(), Some(content));
    }
    assert!(chunk(&enlarged(&picture.stripped()), b"tEXt").is_none());

    let picture = decode(&rgb(&[(b"sBIT", vec![8, 8, 8])], &[]), MAX).unwrap();
    assert_eq!(chunk(&enlarged(&picture), b"sBIT"), Some(vec![8, 8, 8]));
    assert!(picture.notes().is_empty());
    let picture = decode(&rgb(&[(b"sBIT", vec![5, 6, 5])], &[]), MAX).unwrap();
    assert_eq!(chunk(&enlarged(&picture), b"sBIT"), None);
    assert!(picture.notes()[0].to_string().contains("sBIT"));
    // None, more than there are, and of other channels than it has.
    for nothing in [vec![0, 8, 8], vec![9, 8, 8], vec![5], vec![5, 6, 5, 8]] {
        let picture = decode(&rgb(&[(b"sBIT", nothing)], &[]), MAX).unwrap();
        assert_eq!((picture.notes(), picture.metadata().all_bits), (&[][..], false));
    }

    // What is damaged, or behind the image, counts for nothing.
    let mut damaged = rgb(&[gama(100_000)], &[]);
    damaged[48] ^= 1;
    assert_eq!(decode(&damaged, MAX).unwrap().metadata().gamma, None);
    let late = rgb(&[], &[gama(100_000)]);
    assert_eq!(decode(&late, MAX).unwrap().metadata().gamma, None);
}

#[test]
fn hdr_is_kept_or_named() {
    let light = big(&[10_000_000, 4_000_000]);
    let chunks: [Chunk; 3] = [
        (b"cICP", vec![9, 16, 0, 1]),
        (b"mDCV", (0..24).collect()),
        (b"cLLI", light),
    ];
    for transfer in [16, 18] {
        let mut chunks = chunks.clone();
        chunks[0].1[1] = transfer;
        let picture = decode(&png(png::ColorType::Rgb, 16, &chunks, &[]), MAX).unwrap();
        let result = enlarged(&picture);
        for (kind, content) in &chunks {
            assert_eq!(chunk(&result, *kind).as_ref(), Some(content));
        }
        let bare = picture.stripped();
        assert_eq!(chunk(&enlarged(&bare), b"cICP"), Some(vec![9, transfer, 0, 1]));
        assert_eq!(
            bare.notes().len(),
            usize::from(cfg!(feature = "colour")),
            "{:?}",
            bare.notes()
        );
    }
    // A photo with a gain map: as ISO has it, as Adobe and Google, and as Apple, in a second picture.
    let p3 = include_bytes!("colour/p3.jpg");
    let urn = b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0".to_vec();
    let adobe =
        r#"<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>"#;
    let adobe = headed(b"http://ns.adobe.com/xap/1.0/\0", adobe.as_bytes());
    let mut apple = jpeg(p3, &[(0xE2, b"MPF\0II*\0".to_vec())]);
    apple.extend(jpeg(
        p3,
        &[(0xE1, b"urn:com:apple:photo:2020:aux:hdrgainmap".to_vec())],
    ));
    for (file, count) in [
        (jpeg(p3, &[(0xE2, urn)]), 1),
        (jpeg(p3, &[(0xE1, adobe)]), 1),
        (apple, 1),
        (jpeg(p3, &[(0xE2, b"MPF\0II*\0".to_vec())]), 0),
    ] {
        let picture = decode(&file, MAX).unwrap();
        assert_eq!(picture.notes().len(), count);
        assert!(picture.notes().iter().all(|n| n.to_string().contains("gain map")));
    }
}

/// A profile and XMP data of many megabytes in a file of a few kilobytes are never inflated whole.
#[test]
fn what_is_inflated_is_bounded() {
    use std::io::Write as _;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![0; 64 << 20]).unwrap();
    let packed = packed.finish().unwrap();
    let rgb = |chunk: Chunk| png(png::ColorType::Rgb, 8, &[chunk], &[]);
    let picture = decode(&rgb((b"iCCP", headed(b"p\0\0", &packed))), MAX).unwrap();
    assert!(picture.metadata().icc.is_none() && picture.notes()[0].to_string().contains("4 MB"));
    let xmp = headed(b"XML:com.adobe.xmp\0\x01\0\0\0", &packed);
    let picture = decode(&rgb((b"iTXt", xmp)), MAX).unwrap();
    assert!(picture.metadata().xmp.is_none() && picture.notes()[0].to_string().contains("XMP"));
    // Text is carried as it is.
    let text = headed(b"Comment\0\0", &packed);
    let picture = decode(&rgb((b"zTXt", text.clone())), MAX).unwrap();
    assert_eq!(chunk(&enlarged(&picture), b"zTXt"), Some(text));
    let text = headed(b"Comment\0", &vec![b'a'; 5 << 20]);
    let picture = decode(&rgb((b"tEXt", text)), MAX).unwrap();
    assert!(picture.metadata().texts.is_empty() && picture.notes()[0].to_string().contains("text"));
    let picture = decode(&rgb((b"iCCP", b"p\0\0broken".to_vec())), MAX).unwrap();
    assert!(picture.notes()[0].to_string().contains("damaged"));
}

#[test]
fn a_profile_in_several_segments_is_put_together() {
    let p3 = include_bytes!("colour/p3.jpg");
    let icc = decode(p3, MAX).unwrap().metadata().icc.clone().unwrap();
    // The file itself has it in one segment, which is left out.
    let at = p3.windows(11).position(|w| w == b"ICC_PROFILE").unwrap() - 4;
    let end = at + 2 + usize::from(u16::from_be_bytes([p3[at + 2], p3[at + 3]]));
    let bare = [&p3[..at], &p3[end..]].concat();
    let part =
        |i: u8, of: u8, content: &[u8]| (0xE2, [b"ICC_PROFILE\0".as_slice(), &[i, of], content].concat());
    // Not in their order.
    let file = jpeg(&bare, &[part(2, 2, &icc[300..]), part(1, 2, &icc[..300])]);
    assert_eq!(decode(&file, MAX).unwrap().metadata().icc.as_ref(), Some(&icc));
    let missing = decode(&jpeg(&bare, &[part(1, 2, &icc[..300])]), MAX).unwrap();
    assert!(missing.metadata().icc.is_none() && missing.notes()[0].to_string().contains("damaged"));
    let large: Vec<_> = (1..=65).map(|i| part(i, 65, &vec![0; 65_000])).collect();
    let large = decode(&jpeg(&bare, &large), MAX).unwrap();
    assert!(large.metadata().icc.is_none() && large.notes()[0].to_string().contains("4 MB"));
}

#[test]
fn tags_of_a_tiff_become_exif_data() {
    let picture = decode(include_bytes!("colour/linear.tif"), MAX).unwrap();
    let exif = picture.metadata().exif.as_ref().unwrap();
    for text in [b"A. Author\0".as_slice(), b"2026:11:29 12:00:00\0"] {
        assert!(exif.windows(text.len()).any(|w| w == text));
    }
    // 300 and 150 dots per inch, turned along.
    let resolution = |n: u16| {
        let at = tag(exif, n, false).unwrap() as usize;
        u32::from_le_bytes(exif[at..at + 4].try_into().unwrap())
    };
    assert_eq!((resolution(282), resolution(283)), (150, 300));
    assert!(tag(exif, 36867, true).is_some() && tag(exif, 315, false).is_some());
    assert_eq!(tag(exif, 34675, false), None, "the profile goes elsewhere");
}

/// Colours that are multiplied by alpha are divided by it again; alpha that only the header of a BMP tells is taken.
#[test]
fn alpha_is_read_as_it_is_meant() {
    let alpha = |file: &[u8], expected: &dyn Fn(usize) -> f32| {
        let picture = decode(file, MAX).unwrap();
        assert_eq!(picture.layout(), Layout::Rgba);
        let planes = picture.all_planes();
        for y in 0..16 {
            for x in 0..24 {
                let a = planes.row(3, y)[x];
                assert_eq!((a * 255.0).round(), expected(x), "{x} {y}");
                for (c, given) in CELLS[y / 4 * 6 + x / 4].iter().enumerate() {
                    let given = f32::from(*given);
                    assert!(
                        a == 0.0 || (planes.row(c, y)[x] * 255.0 - given).abs() <= 1.01,
                        "{x} {y}"
                    );
                }
            }
        }
    };
    let half = |x: usize| if x < 12 { 128.0 } else { 255.0 };
    alpha(include_bytes!("colour/associated.tif"), &|x| {
        if x == 23 { 0.0 } else { half(x) }
    });
    let bmp = include_bytes!("colour/alpha.bmp");
    alpha(bmp, &half);
    // With the mask of alpha alone, as compression 0 asks for none.
    let mut bare = bmp.to_vec();
    bare[54..66].fill(0);
    alpha(&bare, &half);
    // 0 everywhere is no alpha.
    let picture = decode(include_bytes!("colour/no-alpha.bmp"), MAX).unwrap();
    assert_eq!((picture.layout(), picture.notes().len()), (Layout::Rgb, 1));
    assert_near(
        "no-alpha.bmp",
        &cells(&picture, false),
        &meant(Space::new(Curve::Srgb, &SRGB), false),
    );
}

/// Primaries without a brightness are none: a damaged file's are left out.
#[test]
fn colours_of_nothing_are_left_out() {
    let mut early = [gama(45_455), chrm(&[0.0; 8])];
    let file = |early: &[Chunk]| png(png::ColorType::Rgb, 8, early, &[]);
    let picture = decode(&file(&early), MAX).unwrap();
    assert_eq!(picture.metadata().chromaticities, None);
    early[1] = chrm(&P3);
    assert!(
        decode(&file(&early), MAX)
            .unwrap()
            .metadata()
            .chromaticities
            .is_some()
    );
}

/// Primaries and gamma in the header of a BMP: Chromium does not know them, Firefox does, so a note names them.
#[test]
fn a_calibrated_bmp_says_so() {
    let file = include_bytes!("colour/calibrated.bmp");
    let picture = rule(
        "calibrated.bmp",
        file,
        &meant(Space::new(Curve::Gamma(2.2), &P3), false),
    );
    assert!(picture.notes()[0].to_string().contains("primaries"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Damage anywhere in what tells about the image, and in profiles that are then applied.
    #[test]
    fn damage_never_panics(which in 0usize..8, position in 0usize..8000, value: u8, wide: bool) {
        let files: [&[u8]; 7] = [
            include_bytes!("colour/p3.jpg"),
            include_bytes!("colour/lut.webp"),
            include_bytes!("colour/linear.webp"),
            include_bytes!("colour/linear.tif"),
            include_bytes!("colour/alpha.bmp"),
            include_bytes!("colour/profile.bmp"),
            include_bytes!("colour/calibrated.bmp"),
        ];
        let photo = || jpeg(files[0], &[
            (0xE1, headed(b"Exif\0\0", &sideways())),
            (0xE1, headed(b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes())),
        ]);
        let mut file = files.get(which).map_or_else(photo, |f| f.to_vec());
        // Most of it is at the beginning.
        let end = if wide { file.len() } else { file.len().min(600) };
        file[position % end] = value;
        if let Ok(picture) = decode(&file, MAX) {
            let _ = enlarged(&picture);
            let _ = picture.stripped();
        }
    }
}
