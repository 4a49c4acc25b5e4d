//! What a file is that is not read: its first bytes tell.

use crate::phrase::{ARCHIVE, PDF, POSTSCRIPT, SOUND, VIDEO, VIDEO_OR_SOUND, ZIP};
use crate::{Error, Phrase};

/// What stands at which byte of a file, and its name.
type Mark = (usize, &'static [u8], &'static str);

/// Images that are not read.
const IMAGES: &[Mark] = &[
    (0, b"\xFF\x0A", "JPEG XL"),
    (0, b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
    (0, b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
    (0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (0, b"II\xBC", "JPEG XR"),
    (0, b"8BPS", "Photoshop"),
    (0, b"gimp xcf", "GIMP"),
    (0, b"\0\0\x01\0", "icon (ICO)"),
    (0, b"icns", "icon (ICNS)"),
    (0, b"DDS ", "DDS"),
    (0, b"\xABKTX ", "KTX"),
    (0, b"#?RADIANCE", "Radiance HDR"),
    (0, b"#?RGBE", "Radiance HDR"),
    (0, b"\x76\x2F\x31\x01", "OpenEXR"),
    (0, b"qoif", "QOI"),
    (0, b"farbfeld", "farbfeld"),
    (0, b"FLIF", "FLIF"),
    (0, b"BPG\xFB", "BPG"),
    (0, b"SIMPLE  =", "FITS"),
    (128, b"DICM", "DICOM"),
    (0, b"AT&TFORM", "DjVu"),
    (0, b"\x8AMNG\r\n\x1A\n", "MNG"),
    (0, b"\x8BJNG\r\n\x1A\n", "JNG"),
    (0, b"\x01\xDA", "SGI"),
    (0, b"SDPX", "DPX"),
    (0, b"XPDS", "DPX"),
    (0, b"\x80\x2A\x5F\xD7", "Cineon"),
    (0, b"/* XPM", "XPM"),
    (0, b"\x59\xA6\x6A\x95", "Sun raster"),
    (0, b"PF\n", "PFM"),
    (0, b"Pf\n", "PFM"),
    (0, b"\xD7\xCD\xC6\x9A", "WMF"),
    (40, b" EMF", "EMF"),
    // What cameras write before it is developed.
    (0, b"FUJIFILMCCD-RAW", "camera raw (RAF)"),
    (0, b"IIRO", "camera raw (ORF)"),
    (0, b"IIRS", "camera raw (ORF)"),
    (0, b"MMOR", "camera raw (ORF)"),
    (0, b"IIU\0", "camera raw (RW2)"),
    (0, b"FOVb", "camera raw (X3F)"),
    (0, b"\0MRM", "camera raw (MRW)"),
    (6, b"HEAPCCDR", "camera raw (CRW)"),
];

/// What is no image but may hold some.
const THINGS: &[(usize, &[u8], Phrase)] = &[
    (0, b"%PDF-", PDF),
    (0, b"%!PS", POSTSCRIPT),
    (0, b"\x1A\x45\xDF\xA3", VIDEO),
    (0, b"FLV\x01", VIDEO),
    (0, b"\0\0\x01\xBA", VIDEO),
    (0, b"\0\0\x01\xB3", VIDEO),
    (0, b"OggS", VIDEO_OR_SOUND),
    (4, b"moov", VIDEO),
    (4, b"mdat", VIDEO),
    (0, b"PK\x03\x04", ZIP),
    (0, b"\x1F\x8B\x08", ARCHIVE),
    (0, b"Rar!\x1A\x07", ARCHIVE),
    (0, b"7z\xBC\xAF\x27\x1C", ARCHIVE),
    (0, b"\xFD7zXZ\0", ARCHIVE),
    (0, b"BZh", ARCHIVE),
    (0, b"\x30\x26\xB2\x75\x8E\x66\xCF\x11", VIDEO_OR_SOUND),
    (0, b"ID3", SOUND),
    (0, b"fLaC", SOUND),
];

/// Brands of the formats that share a container with MP4 videos.
const BRANDS: &[(&[u8; 4], &str)] = &[
    (b"avif", "AVIF"),
    (b"avis", "AVIF"),
    (b"heic", "HEIC"),
    (b"heix", "HEIC"),
    (b"heim", "HEIC"),
    (b"heis", "HEIC"),
    (b"hevc", "HEIC"),
    (b"hevx", "HEIC"),
    (b"hevm", "HEIC"),
    (b"hevs", "HEIC"),
    (b"vvic", "VVIC"),
    (b"crx ", "camera raw (CR3)"),
    (b"jxl ", "JPEG XL"),
    // Of all of them, which the others tell apart.
    (b"mif1", "HEIF"),
    (b"mif2", "HEIF"),
    (b"msf1", "HEIF"),
    (b"miaf", "HEIF"),
    (b"mif3", "HEIF"),
];

/// What a file in the container of MP4 is: its main brand or one of the others that it names tells.
fn boxed(bytes: &[u8]) -> Option<Error> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    let brands = bytes.strip_prefix(&bytes[..4])?.strip_prefix(b"ftyp")?;
    let brands = &brands[..length.saturating_sub(8).min(brands.len())];
    // Between the main brand and the others stands its version.
    let mut brands = brands
        .as_chunks::<4>()
        .0
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 1)
        .map(|(_, b)| b);
    let mut found: Vec<usize> = brands
        .by_ref()
        .filter_map(|b| BRANDS.iter().position(|(k, _)| *k == b))
        .collect();
    found.sort_unstable();
    Some(match found.first() {
        Some(first) => Error::UnsupportedFormat(BRANDS[*first].1),
        None => Error::NotAPhoto(VIDEO),
    })
}

/// What a RIFF file that is no WebP is.
fn riff(bytes: &[u8]) -> Option<Error> {
    Some(match bytes.strip_prefix(b"RIFF")?.get(4..8)? {
        b"AVI " => Error::NotAPhoto(VIDEO),
        b"WAVE" => Error::NotAPhoto(SOUND),
        _ => return None,
    })
}

/// Most bytes of a text in which SVG is looked for: remarks in front of it may be long.
const MOST_TEXT: usize = 1 << 20;

/// Whether a text begins as SVG does, perhaps after a declaration and remarks; in UTF-16 every other byte of that is 0.
fn is_svg(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(MOST_TEXT)];
    if start.starts_with(b"\xFF\xFE") || start.starts_with(b"\xFE\xFF") {
        let narrow: Vec<u8> = start[2..].iter().copied().filter(|b| *b != 0).collect();
        return begins_svg(&narrow);
    }
    begins_svg(start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start))
}

fn begins_svg(text: &[u8]) -> bool {
    let mut starts = text.windows(5).filter(|w| w.starts_with(b"<svg"));
    text.trim_ascii_start().starts_with(b"<") && starts.any(|w| w[4] == b'>' || w[4].is_ascii_whitespace())
}

/// Whether a file is a WBMP: it has no mark, but its size tells how long it is.
fn is_wbmp(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(&[0, 0]) else {
        return false;
    };
    // Seven bits a byte, the highest first; the last byte has none above them.
    let mut number = || {
        let mut number = 0;
        for _ in 0..4 {
            let (byte, after) = rest.split_first()?;
            rest = after;
            number = number << 7 | usize::from(byte & 127);
            if *byte < 128 {
                return Some(number);
            }
        }
        None
    };
    let size = number().zip(number());
    size.is_some_and(|(w, h)| w > 0 && h > 0 && w.div_ceil(8).checked_mul(h) == Some(rest.len()))
}

/// Numbers of a TIFF's entries.
const SUB_DIRECTORIES: u16 = 330;
const DNG_VERSION: u16 = 50706;
const NEW_SUBFILE_TYPE: u16 = 254;

/// The raw files of cameras that are TIFF with a small picture in front, which must not be taken for the photo.
fn tiff_raw(bytes: &[u8]) -> Option<Error> {
    let little = bytes.starts_with(b"II*\0");
    if !little && !bytes.starts_with(b"MM\0*") {
        return None;
    }
    if bytes.get(8..10) == Some(b"CR") {
        return Some(Error::UnsupportedFormat("camera raw (CR2)"));
    }
    let short = |at: usize| {
        let two = *bytes.get(at..)?.first_chunk()?;
        Some(if little {
            u16::from_le_bytes(two)
        } else {
            u16::from_be_bytes(two)
        })
    };
    let long = |at: usize| {
        let four = *bytes.get(at..)?.first_chunk()?;
        Some(if little {
            u32::from_le_bytes(four)
        } else {
            u32::from_be_bytes(four)
        })
    };
    let directory = long(4)? as usize;
    let entries = (0..usize::from(short(directory)?)).map_while(|i| directory.checked_add(2 + 12 * i));
    let (mut dng, mut small, mut others) = (false, false, false);
    for at in entries {
        match short(at) {
            Some(DNG_VERSION) => dng = true,
            Some(SUB_DIRECTORIES) => others = true,
            Some(NEW_SUBFILE_TYPE) => small = long(at + 8).is_some_and(|v| v & 1 == 1),
            _ => {}
        }
    }
    match (dng, small && others) {
        (true, _) => Some(Error::UnsupportedFormat("camera raw (DNG)")),
        (_, true) => Some(Error::UnsupportedFormat("camera raw")),
        _ => None,
    }
}

/// What bytes at their places tell.
fn marked<T: Copy>(bytes: &[u8], marks: &[(usize, &[u8], T)]) -> Option<T> {
    let found = marks
        .iter()
        .find(|(at, mark, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(mark)));
    found.map(|(.., name)| *name)
}

/// What to say of a file that is not read; none where it may be read, or is nothing that is known.
pub(crate) fn named(bytes: &[u8]) -> Option<Error> {
    let image = marked(bytes, IMAGES).map(Error::UnsupportedFormat);
    let kind = image.or_else(|| marked(bytes, THINGS).map(Error::NotAPhoto));
    kind.or_else(|| boxed(bytes))
        .or_else(|| riff(bytes))
        .or_else(|| tiff_raw(bytes))
        .or_else(|| {
            if cfg!(feature = "tiff") {
                return None;
            }
            match bytes.first_chunk()? {
                b"II*\0" | b"MM\0*" => Some(Error::UnsupportedFormat("TIFF")),
                b"II+\0" | b"MM\0+" => Some(Error::UnsupportedFormat("BigTIFF")),
                _ => None,
            }
        })
}

/// What to say of a file whose first bytes are those of no format of images: some are told only by what follows.
pub(crate) fn otherwise(bytes: &[u8]) -> Error {
    let portable = bytes.first() == Some(&b'P')
        && bytes.get(1).is_some_and(|b| (b'1'..=b'7').contains(b))
        && bytes.get(2).is_some_and(u8::is_ascii_whitespace);
    if portable {
        Error::UnsupportedFormat("PNM")
    } else if is_targa(bytes) {
        Error::UnsupportedFormat("TGA")
    } else if bytes.starts_with(b"\0\0\x02\0") {
        Error::UnsupportedFormat("cursor (CUR)")
    } else if is_svg(bytes) {
        Error::UnsupportedFormat("SVG")
    } else if matches!(bytes, [0x0A, 0 | 2..=5, 0 | 1, 1 | 2 | 4 | 8, ..]) {
        Error::UnsupportedFormat("PCX")
    } else if matches!(bytes, [0xFF, 0xFA | 0xFB | 0xF2 | 0xF3, ..]) {
        Error::NotAPhoto(SOUND)
    } else if is_wbmp(bytes) {
        Error::UnsupportedFormat("WBMP")
    } else {
        Error::NotAnImage
    }
}

/// Whether a file is a TGA: its end says so, or its header is one of pixels without a palette.
fn is_targa(bytes: &[u8]) -> bool {
    let header = bytes.first_chunk::<18>().is_some_and(|h| {
        h[0..2] == [0, 0]
            && matches!(h[2], 2 | 3 | 10 | 11)
            && h[3..8] == [0; 5]
            && matches!(h[16], 8 | 16 | 24 | 32)
    });
    header || bytes.ends_with(b"TRUEVISION-XFILE.\0")
}
