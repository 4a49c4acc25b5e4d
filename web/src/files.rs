//! Image files to samples and back.

use std::io;

use asasr_codec::{ColoursBy, Error, Metadata, Picture, PngLines, PngRows};
use asasr_core::look::{self, Looks, Piece};
use asasr_core::pipeline::Blend;
use asasr_core::{Layout, Raster, Samples, Size};
use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::said::{js, object, thrown};

/// Most input pixels: with what decoding takes beside them, half of the memory there is.
const MAX_PIXELS: u64 = 64_000_000;
/// A PNG leaves WebAssembly's memory in parts of about this size.
const PART: usize = 1 << 20;
/// Rows that are blended at a time.
const ROWS: usize = 64;

/// What a file is: its samples, and what it tells about them.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Photo {
    picture: Picture,
    size: Size,
    opaque: bool,
}

#[wasm_bindgen]
impl Photo {
    /// Reads a PNG, JPEG, WebP, GIF or BMP file; its image stands upright.
    ///
    /// # Errors
    /// With a code: not an image, too large, cut short. Where another decoder may read the file the error's name begins
    /// with `Unread`; it is `UnreadFormat` of a format that is known, whose name is then the error's cause.
    pub fn read(file: &[u8]) -> Result<Photo, js_sys::Error> {
        let picture = asasr_codec::decode(file, MAX_PIXELS).map_err(|e| refusal(&e))?;
        Ok(Self::of(picture))
    }

    /// Samples in sRGB as a canvas has them, four of 8 bits a pixel: grey where all pixels are, with alpha where one is not opaque.
    ///
    /// # Errors
    /// When these are not so many pixels, or more than are taken.
    pub fn drawn(width: usize, height: usize, rgba: Vec<u8>) -> Result<Photo, JsValue> {
        let raster = Raster {
            size: Size::new(width, height),
            layout: Layout::Rgba,
            samples: Samples::Eight(rgba),
        };
        if !raster.is_whole() || raster.size.pixels() as u64 > MAX_PIXELS {
            return Err(js(asasr_core::Error::Size(format!(
                "the browser's image is not one of {} pixels",
                raster.size
            ))));
        }
        Ok(Self::of(Picture::new(raster.reduced()).filled()))
    }

    /// With what another file tells about its image, but for its colours: this is the same one, converted to sRGB.
    pub fn tells_of(&mut self, other: &Photo) {
        self.picture
            .set_metadata(other.picture.metadata().without_colours());
    }

    fn of(picture: Picture) -> Self {
        Self {
            size: picture.size(),
            opaque: picture.is_opaque(),
            picture,
        }
    }

    /// Columns.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.size.width
    }

    /// Rows.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.size.height
    }

    /// Samples of a pixel, 1 to 4.
    #[wasm_bindgen(getter)]
    pub fn channels(&self) -> usize {
        self.picture.layout().samples()
    }

    /// Bits of a sample: 8 or 16.
    #[wasm_bindgen(getter)]
    pub fn bits(&self) -> u8 {
        self.picture.bits()
    }

    /// Whether it has an alpha channel.
    #[wasm_bindgen(getter)]
    pub fn alpha(&self) -> bool {
        self.picture.layout().has_alpha()
    }

    /// Whether nothing of it is transparent, with an alpha channel or without.
    #[wasm_bindgen(getter)]
    pub fn opaque(&self) -> bool {
        self.opaque
    }

    /// What decoding changed, as codes.
    #[wasm_bindgen(getter)]
    pub fn notes(&self) -> Vec<Object> {
        let notes = self.picture.notes().iter();
        notes.map(|note| object(&note.message())).collect()
    }

    /// By what it says which colours its samples mean, `profile` or `numbers`; nothing where they are sRGB.
    #[wasm_bindgen(getter)]
    pub fn colours(&self) -> Option<String> {
        let by = self.picture.metadata().colours_by()?;
        Some(
            match by {
                ColoursBy::Profile => "profile",
                ColoursBy::Numbers => "numbers",
            }
            .into(),
        )
    }

    /// Whether its samples are HDR.
    #[wasm_bindgen(getter)]
    pub fn hdr(&self) -> bool {
        self.picture.metadata().is_hdr()
    }

    /// Whether it has EXIF data.
    #[wasm_bindgen(getter, js_name = hasExif)]
    pub fn has_exif(&self) -> bool {
        self.picture.metadata().exif.is_some()
    }

    /// A PNG of the same samples, with all that the file tells; not compressed.
    ///
    /// # Errors
    /// With a code, when the samples were taken.
    pub fn png(&self) -> Result<Vec<u8>, JsValue> {
        self.picture.to_png().map_err(js)
    }

    /// Takes the samples out, row by row, those of 16 bits in two bytes with the low one first.
    #[wasm_bindgen(js_name = takeSamples)]
    pub fn take_samples(&mut self) -> Vec<u8> {
        match self.picture.take_samples() {
            Samples::Eight(samples) => samples,
            Samples::Sixteen(samples) => bytemuck::cast_slice(&samples).to_vec(),
        }
    }

    /// The chunks that carry what the file tells in a PNG of the same image at that size, to stand behind its header; all, or only what
    /// says which colours the samples mean.
    ///
    /// # Errors
    /// With a code, when the size is beyond PNG.
    pub fn chunks(&self, width: usize, height: usize, all: bool) -> Result<Vec<u8>, JsValue> {
        let metadata = self.picture.metadata();
        let (layout, bits) = (self.picture.layout(), self.picture.bits());
        let size = Size::new(width, height);
        let chunks = if all {
            metadata.png_chunks(size, layout, bits)
        } else {
            metadata.colours().png_chunks(size, layout, bits)
        };
        chunks.map_err(js)
    }

    /// What files of other formats are to carry of it at that size.
    pub fn carried(&self, width: usize, height: usize) -> Carried {
        let Metadata {
            icc,
            exif,
            xmp,
            resolution,
            texts,
            ..
        } = self.picture.metadata().sized(Size::new(width, height));
        Carried {
            icc,
            exif,
            xmp: xmp.map(String::into_bytes),
            resolution: resolution.map(|r| vec![r.x, r.y, u32::from(r.metre)]),
            texts: texts.len(),
        }
    }
}

/// What an image looks like.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Looked(Looks);

#[wasm_bindgen]
impl Looked {
    /// Of a piece of an image, RGBA of 8 bits, whose first pixel begins one of JPEG's blocks, and the image's size; nothing of other than
    /// so many pixels.
    pub fn at(rgba: &[u8], width: usize, height: usize, columns: usize, rows: usize) -> Option<Looked> {
        let piece = Piece::new(Size::new(width, height), rgba)?;
        Some(Self(Looks::of(piece, Size::new(columns, rows))))
    }

    /// Whether it is sharp to the pixel and without noise and compression.
    #[wasm_bindgen(getter)]
    pub fn clean(&self) -> bool {
        self.0.is_clean()
    }

    /// Whether it is a drawing, a screenshot or text.
    #[wasm_bindgen(getter)]
    pub fn drawn(&self) -> bool {
        self.0.is_drawn()
    }

    /// Whether it is pixel art.
    #[wasm_bindgen(getter)]
    pub fn pixels(&self) -> bool {
        self.0.is_pixel_art()
    }
}

/// The places of pieces of an image, of at most that side: the first column and row, and those past the last, of each.
#[wasm_bindgen(js_name = placesOfPieces)]
pub fn places_of_pieces(width: usize, height: usize, side: usize) -> Vec<u32> {
    let places = look::pieces(Size::new(width, height), side);
    let all = places.iter().flat_map(|r| [r.x0, r.y0, r.x1, r.y1]);
    all.map(|n| n as u32).collect()
}

/// How much detail a piece has, RGBA of 8 bits: the mean absolute difference of neighbours, in grey levels; nothing of other than so many
/// pixels.
#[wasm_bindgen(js_name = detailOf)]
pub fn detail_of(rgba: &[u8], width: usize, height: usize) -> Option<f64> {
    Some(Piece::new(Size::new(width, height), rgba)?.slope())
}

/// What a JPEG or WebP file carries of what another one tells.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Carried {
    /// The ICC profile.
    pub icc: Option<Vec<u8>>,
    /// The EXIF data, a TIFF structure.
    pub exif: Option<Vec<u8>>,
    /// XMP data in UTF-8.
    pub xmp: Option<Vec<u8>>,
    /// Pixels along a row and along a column, and 1 where these are for a metre or 0 where only their ratio means something.
    pub resolution: Option<Vec<u32>>,
    /// Texts that only a PNG holds.
    pub texts: usize,
}

mod blob {
    use js_sys::Array;
    use wasm_bindgen::prelude::*;

    #[wasm_bindgen]
    extern "C" {
        pub(super) type Blob;

        #[wasm_bindgen(constructor)]
        pub(super) fn new(parts: &Array) -> Blob;
    }
}

/// A file that grows as blobs, which a browser may keep on disk.
struct Parts {
    parts: Array,
    next: Vec<u8>,
}

impl io::Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.next.extend_from_slice(bytes);
        if self.next.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let part = Uint8Array::from(self.next.as_slice());
        self.parts.push(&blob::Blob::new(&Array::of1(&part)));
        self.next.clear();
        Ok(())
    }
}

/// A PNG without metadata that is written row by row.
#[wasm_bindgen]
#[derive(Debug)]
pub struct PngFile {
    rows: PngRows<Parts>,
    parts: Array,
}

#[wasm_bindgen]
impl PngFile {
    /// Begins a file of that size with pixels of so many samples of so many bits.
    ///
    /// # Errors
    /// With a code, when that is beyond PNG.
    #[wasm_bindgen(constructor)]
    pub fn new(width: usize, height: usize, channels: usize, bits: u8) -> Result<PngFile, JsValue> {
        let layout = Layout::of_samples(channels)
            .ok_or_else(|| js(Error::Encode(format!("{channels} samples make no pixel"))))?;
        let parts = Array::new();
        let out = Parts {
            parts: parts.clone(),
            next: Vec::with_capacity(PART),
        };
        Ok(Self {
            rows: PngRows::new(out, Size::new(width, height), layout, bits).map_err(js)?,
            parts,
        })
    }

    /// Appends rows of samples, those of 16 bits with the high byte first.
    ///
    /// # Errors
    /// With a code, when these are no whole rows or memory is full.
    pub fn add(&mut self, rows: &[u8]) -> Result<(), JsValue> {
        self.rows.write_samples(rows).map_err(js)
    }

    /// The file: blobs, to be put together in this order.
    ///
    /// # Errors
    /// With a code, when rows are missing.
    pub fn finish(self) -> Result<Array, JsValue> {
        self.rows.finish().map_err(js)?;
        Ok(self.parts)
    }
}

/// Two layers of an image at another fidelity.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Blended {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// A PNG without metadata: blobs, to be put together in this order.
    pub png: Array,
    /// PSNR in dB between the photo and the blend put through antialiased bicubic reduction; infinite where they agree.
    pub consistency: f64,
    /// For each pixel of the photo the largest difference of that over the channels, in grey levels.
    pub differences: Vec<u8>,
}

/// The result at another fidelity: `(1 - fidelity) sample + fidelity mean`, of two PNG files that were made of a photo. No network
/// runs.
///
/// # Errors
/// With a code, when the files do not belong together.
#[wasm_bindgen]
pub fn blend(photo: &Photo, sample: &[u8], mean: &[u8], fidelity: f32) -> Result<Blended, JsValue> {
    let other = || js(asasr_core::Error::Layers);
    let mut sample = PngLines::open(sample).map_err(js)?;
    let mut mean = PngLines::open(mean).map_err(js)?;
    let (size, picture) = (sample.size(), &photo.picture);
    let format = (picture.layout(), picture.bits());
    let of = |l: &PngLines<'_>| (l.layout(), l.bits());
    if mean.size() != size || of(&sample) != format || of(&mean) != format {
        return Err(other());
    }
    let mut file = PngFile::new(size.width, size.height, format.0.samples(), format.1)?;
    let mut blend = Blend::new(picture.raster(), size, fidelity).map_err(js)?;
    let mut bytes = Vec::new();
    while let Some((first, rows)) = sample.next(ROWS).map_err(js)? {
        let (_, certain) = mean.next(ROWS).map_err(js)?.ok_or_else(other)?;
        let rows = blend.add(first, rows, &certain).map_err(js)?;
        bytes.clear();
        (0..rows.height()).for_each(|y| format.0.interleave(&rows, y, format.1, &mut bytes));
        file.add(&bytes)?;
    }
    let told = blend.finish().map_err(js)?;
    Ok(Blended {
        width: size.width,
        height: size.height,
        png: file.finish()?,
        consistency: told.psnr,
        differences: told.differences,
    })
}

fn refusal(error: &Error) -> js_sys::Error {
    let told = thrown(error);
    match error {
        Error::UnsupportedFormat(name) => {
            told.set_name("UnreadFormat");
            told.set_cause(&(*name).into());
        }
        Error::UnreadKind(kind) => {
            told.set_name("Unread");
            told.set_cause(&object(&kind.message()));
        }
        Error::NotAnImage | Error::Damaged(_) => told.set_name("Unread"),
        // Whoever reads them all the same makes up what is missing, or takes too much memory.
        Error::Empty
        | Error::NotAPhoto(_)
        | Error::TooLarge { .. }
        | Error::Truncated
        | Error::CutShort { .. }
        | Error::Encode(_) => {}
    }
    told
}
