//! JPEG XL without loss, in its container (ISO/IEC 18181-2) where there is anything to carry.

use std::io::Write;

use zune_core::{bit_depth::BitDepth, colorspace::ColorSpace, options::EncoderOptions};
use zune_jpegxl::JxlSimpleEncoder;

use super::{Whole, failed};
use crate::{Error, Layout};

/// Signature and type of a file of boxes.
const HEAD: &[u8] = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ";
/// In what follows there is no more than one box: it reaches to the end of the file.
const TO_THE_END: [u8; 4] = [0; 4];

/// A box of a length and a type.
fn framed(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = (content.len() + 8) as u32;
    [&length.to_be_bytes(), &kind[..], content].concat()
}

pub(super) fn write<W: Write>(mut whole: Whole<W>) -> Result<(), Error> {
    let colours = match whole.layout {
        Layout::Grey => ColorSpace::Luma,
        Layout::GreyAlpha => ColorSpace::LumaA,
        Layout::Rgb => ColorSpace::RGB,
        Layout::Rgba => ColorSpace::RGBA,
    };
    let depth = if whole.bits == 16 {
        BitDepth::Sixteen
    } else {
        BitDepth::Eight
    };
    let options = EncoderOptions::new(whole.size.width, whole.size.height, colours, depth);
    let mut image = Vec::new();
    JxlSimpleEncoder::new(&whole.samples, options)
        .encode(&mut image)
        .map_err(|e| failed(format!("{e:?}")))?;
    let exif = whole.metadata.exif_or_resolution();
    if exif.is_none() && whole.metadata.xmp.is_none() {
        return whole.put(&[&image]);
    }
    let mut boxes = HEAD.to_vec();
    if let Some(exif) = exif {
        // Before the data: where in it the structure begins.
        boxes.extend(framed(*b"Exif", &[&[0; 4], &exif[..]].concat()));
    }
    if let Some(xmp) = &whole.metadata.xmp {
        boxes.extend(framed(*b"xml ", xmp.as_bytes()));
    }
    whole.put(&[&boxes, &TO_THE_END, b"jxlc", &image])
}
