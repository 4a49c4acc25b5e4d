//! The pixels of a TIFF (TIFF 6.0, and its supplements for alpha, deflate and floating point). The reader below gives samples as they are
//! stored; here they become grey or red, green and blue, of 8 bits where they have no more and of 16 where they do.

use std::borrow::Cow;
use std::io::{BufRead, Cursor, ErrorKind, Seek};

use ::tiff::decoder::{Decoder, Limits};
use ::tiff::tags::{SampleFormat, Tag};
use ::tiff::{ColorType, TiffError, TiffUnsupportedError};

use asasr_core::Size;

use crate::ifd::Tiff;
use crate::phrase::{
    BEYOND_WHITE, CHANNELS_LEFT_OUT, DATA, MEMORY, PALETTE, TIFF_COMPRESSION, TIFF_LAB, TIFF_RARE,
    TIFF_SIGNED,
};
use crate::{Error, Header, Layout, Note, Options, Picture, Raster, Samples, check_size, tiff, tiff_tags};

/// The tag that tells what samples mean, and its values.
const MEANING: u16 = 262;
const WHITE_IS_ZERO: usize = 0;
const BLACK_IS_ZERO: u8 = 1;
const PALETTE_COLOURS: usize = 3;
const LAB: [usize; 3] = [8, 9, 10];
/// The tags of [`YCbCr`].
const SHARES: u16 = 529;
const LEVELS: u16 = 532;

/// Values of the tag of further samples: alpha that colours are multiplied by, and alpha that they are not.
const ALPHA: [u16; 2] = [1, 2];

/// How far a fraction may be beyond black or white by rounding.
const BEYOND: f32 = 1e-5;
/// Most bytes of a pixel: a few samples of 64 bits.
const MOST_BYTES: u64 = 64;

/// What the first samples of a pixel are.
enum Inks {
    Grey {
        inverted: bool,
    },
    /// Of an index: red, green and blue, 0 to 1.
    Palette(Vec<[f32; 3]>),
    Rgb,
    Cmyk,
    YCbCr(YCbCr),
}

impl Inks {
    /// Samples that they take.
    fn samples(&self) -> usize {
        match self {
            Self::Grey { .. } | Self::Palette(_) => 1,
            Self::Rgb | Self::YCbCr(_) => 3,
            Self::Cmyk => 4,
        }
    }

    /// Red, green and blue of samples from 0 to 1; grey is all three.
    fn colours(&self, samples: &[f32]) -> [f32; 3] {
        match (self, samples) {
            (Self::Grey { inverted }, [v, ..]) => [if *inverted { 1.0 - v } else { *v }; 3],
            (Self::Palette(colours), [v, ..]) => {
                let index = (v * (colours.len() - 1) as f32).round() as usize;
                colours.get(index).copied().unwrap_or_default()
            }
            (Self::Cmyk, [c, m, y, k, ..]) => [c, m, y].map(|ink| (1.0 - ink) * (1.0 - k)),
            (Self::YCbCr(meaning), [y, cb, cr, ..]) => meaning.colours([*y, *cb, *cr]),
            (_, [r, g, b, ..]) => [*r, *g, *b],
            _ => [0.0; 3],
        }
    }
}

/// How brightness and differences of colour become red, green and blue (TIFF 6.0, section 21).
struct YCbCr {
    /// Shares of red, green and blue in brightness.
    shares: [f32; 3],
    /// The levels of 255 that stand for black and white, for no and for full blue, for no and for full red.
    levels: [f32; 6],
}

impl YCbCr {
    fn colours(&self, samples: [f32; 3]) -> [f32; 3] {
        let [y, cb, cr] = [0, 1, 2].map(|i| {
            let (none, full) = (self.levels[2 * i], self.levels[2 * i + 1]);
            let range = if i == 0 { 255.0 } else { 127.0 };
            (255.0 * samples[i] - none) * range / (full - none) / 255.0
        });
        let [of_red, of_green, of_blue] = self.shares;
        let red = y + cr * (2.0 - 2.0 * of_red);
        let blue = y + cb * (2.0 - 2.0 * of_blue);
        [red, (y - of_blue * blue - of_red * red) / of_green, blue]
    }
}

/// How a sample is stored, its bytes in the order of this machine.
#[derive(Clone, Copy)]
enum Stored {
    /// Whole numbers of so many bits, 1 to 8, packed.
    Bits(usize),
    Whole16,
    Whole32,
    Whole64,
    Float16,
    Float32,
    Float64,
}

impl Stored {
    fn of(bits: u8, format: SampleFormat) -> Result<Self, Error> {
        match (format, bits) {
            (SampleFormat::Int, _) => Err(Error::UnreadKind(TIFF_SIGNED)),
            (SampleFormat::Uint | SampleFormat::Void, 1..=8) => Ok(Self::Bits(bits.into())),
            (SampleFormat::Uint | SampleFormat::Void, 16) => Ok(Self::Whole16),
            (SampleFormat::Uint | SampleFormat::Void, 32) => Ok(Self::Whole32),
            (SampleFormat::Uint | SampleFormat::Void, 64) => Ok(Self::Whole64),
            (SampleFormat::IEEEFP, 16) => Ok(Self::Float16),
            (SampleFormat::IEEEFP, 32) => Ok(Self::Float32),
            (SampleFormat::IEEEFP, 64) => Ok(Self::Float64),
            _ => Err(Error::UnreadKind(TIFF_RARE)),
        }
    }

    fn is_float(self) -> bool {
        matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }

    /// Samples as numbers, whole ones from 0 to 1, into places that are `step` apart.
    fn read(self, bytes: &[u8], out: &mut [f32], step: usize) {
        fn all<const N: usize>(bytes: &[u8], out: &mut [f32], step: usize, number: impl Fn([u8; N]) -> f32) {
            let pairs = bytes.as_chunks::<N>().0.iter().zip(out.iter_mut().step_by(step));
            pairs.for_each(|(bytes, o)| *o = number(*bytes));
        }
        match self {
            Self::Bits(8) => all(bytes, out, step, |[b]| f32::from(b) / 255.0),
            Self::Bits(bits) => {
                let full = (1u32 << bits) - 1;
                for (i, o) in out.iter_mut().step_by(step).enumerate() {
                    // Of two bytes, the first higher, since a sample may begin in one and end in the next.
                    let (at, within) = (i * bits / 8, i * bits % 8);
                    let byte = |at: usize| u32::from(bytes.get(at).copied().unwrap_or(0));
                    let both = byte(at) << 8 | byte(at + 1);
                    *o = (both >> (16 - within - bits) & full) as f32 / full as f32;
                }
            }
            Self::Whole16 => all(bytes, out, step, |b| f32::from(u16::from_ne_bytes(b)) / 65535.0),
            Self::Whole32 => all(bytes, out, step, |b| {
                (f64::from(u32::from_ne_bytes(b)) / f64::from(u32::MAX)) as f32
            }),
            Self::Whole64 => all(bytes, out, step, |b| {
                (u64::from_ne_bytes(b) as f64 / u64::MAX as f64) as f32
            }),
            Self::Float16 => all(bytes, out, step, |b| half(u16::from_ne_bytes(b))),
            Self::Float32 => all(bytes, out, step, f32::from_ne_bytes),
            Self::Float64 => all(bytes, out, step, |b| f64::from_ne_bytes(b) as f32),
        }
    }
}

/// A number of IEEE 754's binary16.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023) / 1024.0);
    sign * match exponent {
        0 => fraction * 2f32.powi(-14),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction) * 2f32.powi(e - 15),
    }
}

/// What the samples of a file mean, and the file with palettes and white that is 0 as plain grey, which gives the samples as they are.
fn plain(bytes: &[u8]) -> (Option<usize>, Cow<'_, [u8]>) {
    let found = Tiff::open(bytes).and_then(|tiff| {
        let entry = tiff.first()?.find(MEANING)?.clone();
        Some((tiff.integer(&entry)?, entry.values, tiff.is_little()))
    });
    let Some((meaning, values, little)) = found else {
        return (None, Cow::Borrowed(bytes));
    };
    if ![WHITE_IS_ZERO, PALETTE_COLOURS].contains(&meaning) {
        return (Some(meaning), Cow::Borrowed(bytes));
    }
    let mut file = bytes.to_vec();
    let low = if little { values.start } else { values.end - 1 };
    file[low] = BLACK_IS_ZERO;
    (Some(meaning), Cow::Owned(file))
}

/// The colours of a palette, and whether 8 bits hold them.
fn palette(numbers: &[u16], bits: u8) -> Result<(Vec<[f32; 3]>, bool), Error> {
    let n = 1usize << bits.min(16);
    if numbers.len() < 3 * n {
        return Err(Error::Damaged(PALETTE.into()));
    }
    // Some writers take numbers of 8 bits for those of 16, or leave their low byte 0.
    let all = |rule: &dyn Fn(u16) -> bool| numbers.iter().all(|v| rule(*v));
    let (full, eight) = if all(&|v| v < 256) {
        (255, true)
    } else if all(&|v| v % 256 == 0) {
        (255 * 256, true)
    } else {
        (65535, all(&|v| v % 257 == 0))
    };
    let value = |i: usize| f32::from(numbers[i]) / full as f32;
    Ok((
        (0..n)
            .map(|i| [value(i), value(n + i), value(2 * n + i)])
            .collect(),
        eight,
    ))
}

/// What the samples of a pixel are.
struct Meaning {
    inks: Inks,
    /// Whether alpha follows them.
    alpha: bool,
    /// All samples of a pixel that the reader gives.
    samples: usize,
    stored: Stored,
    /// Whether 8 bits hold a sample of the result.
    eight: bool,
}

impl Meaning {
    /// `told` is what the file says of its samples before [`plain`] changes it.
    fn of(decoder: &mut Decoder<impl BufRead + Seek>, told: Option<usize>) -> Result<Self, Error> {
        if told.is_some_and(|m| LAB.contains(&m)) {
            return Err(Error::UnreadKind(TIFF_LAB));
        }
        let kind = decoder.colortype().map_err(refused)?;
        let bits = kind.bit_depth();
        let format = decoder.image_buffer_layout().map_err(refused)?.sample_format;
        let stored = Stored::of(bits, format)?;
        let mut numbers = |tag| {
            let numbers = decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten();
            numbers.unwrap_or_default()
        };
        let mut eight = bits <= 8;
        let (inks, alpha) = match kind {
            ColorType::Gray(_) | ColorType::Multiband { .. } => {
                let inks = if told == Some(PALETTE_COLOURS) {
                    if stored.is_float() || bits > 16 {
                        return Err(Error::UnreadKind(TIFF_RARE));
                    }
                    let (colours, short) = palette(&numbers(Tag::ColorMap), bits)?;
                    eight = short;
                    Inks::Palette(colours)
                } else {
                    let inverted = told == Some(WHITE_IS_ZERO);
                    Inks::Grey { inverted }
                };
                let further = numbers(Tag::ExtraSamples);
                (inks, further.first().is_some_and(|kind| ALPHA.contains(kind)))
            }
            ColorType::RGB(_) => (Inks::Rgb, false),
            ColorType::RGBA(_) => (Inks::Rgb, true),
            ColorType::CMYK(_) => (Inks::Cmyk, false),
            ColorType::CMYKA(_) => (Inks::Cmyk, true),
            ColorType::YCbCr(8) => (Inks::YCbCr(ycbcr(decoder)), false),
            _ => return Err(Error::UnreadKind(TIFF_RARE)),
        };
        let samples = usize::from(kind.num_samples());
        Ok(Self {
            alpha: alpha && samples > inks.samples(),
            inks,
            samples,
            stored,
            eight,
        })
    }

    fn layout(&self) -> Layout {
        match (&self.inks, self.alpha) {
            (Inks::Grey { .. }, false) => Layout::Grey,
            (Inks::Grey { .. }, true) => Layout::GreyAlpha,
            (_, false) => Layout::Rgb,
            (_, true) => Layout::Rgba,
        }
    }

    /// The samples of the result, and whether some were beyond black or white.
    fn samples(&self, data: &[u8], stride: &Stride, size: Size) -> (Samples, bool) {
        let count = size.pixels() * self.layout().samples();
        if self.eight {
            let mut out = Vec::with_capacity(count);
            let beyond = self.each(data, stride, size, |v| out.push((v * 255.0).round() as u8));
            (Samples::Eight(out), beyond)
        } else {
            let mut out = Vec::with_capacity(count);
            let beyond = self.each(data, stride, size, |v| out.push((v * 65535.0).round() as u16));
            (Samples::Sixteen(out), beyond)
        }
    }

    /// Gives each sample of the result, 0 to 1, and tells whether some were beyond.
    fn each(&self, data: &[u8], stride: &Stride, size: Size, mut take: impl FnMut(f32)) -> bool {
        let colours = if self.layout().samples() < 3 { 1 } else { 3 };
        let mut beyond = false;
        let mut row = vec![0.0; size.width * self.samples];
        for y in 0..size.height {
            stride.read(data, self.stored, y, &mut row, self.samples);
            if self.stored.is_float() {
                for v in &mut row {
                    beyond |= !(-BEYOND..=1.0 + BEYOND).contains(v);
                    *v = if v.is_nan() { 0.0 } else { v.clamp(0.0, 1.0) };
                }
            }
            for pixel in row.chunks_exact(self.samples) {
                let of_inks = self.inks.colours(pixel);
                of_inks[..colours].iter().for_each(|v| take(v.clamp(0.0, 1.0)));
                if self.alpha {
                    take(pixel[self.inks.samples()]);
                }
            }
        }
        beyond
    }
}

/// Decodes a TIFF's first image, upright.
pub(crate) fn decode(bytes: &[u8], options: Options) -> Result<Picture, Error> {
    let (told, file) = plain(bytes);
    let mut decoder = Decoder::new(Cursor::new(&*file)).map_err(refused)?;
    let (width, height) = decoder.dimensions().map_err(refused)?;
    check_size((width, height), options.max_pixels)?;
    // Nothing that is stored is larger than the file.
    let mut limits = Limits::default();
    limits.intermediate_buffer_size = file.len();
    limits.ifd_value_size = file.len();
    let mut decoder = decoder.with_limits(limits);
    let meaning = Meaning::of(&mut decoder, told)?;

    let layout = decoder.image_buffer_layout().map_err(refused)?;
    if layout.complete_len as u64 > options.max_pixels.saturating_mul(MOST_BYTES) {
        return Err(Error::Damaged(MEMORY.into()));
    }
    let mut data = vec![0; layout.complete_len];
    decoder.read_image_bytes(&mut data).map_err(refused)?;
    let stride = Stride {
        planes: layout.planes.max(1),
        plane: layout.plane_stride.map_or(0, usize::from),
        row: layout.row_stride.map_or(0, usize::from),
    };
    let size = Size::new(width as usize, height as usize);
    let (samples, beyond) = meaning.samples(&data, &stride, size);
    drop(data);

    let tags = tiff_tags::read(bytes);
    let mut metadata = tags.metadata;
    let pages = tiff::pages(bytes);
    let mut notes: Vec<Note> = (pages > 1).then_some(Note::Pages(pages)).into_iter().collect();
    if matches!(meaning.inks, Inks::Cmyk) {
        notes.push(Note::Cmyk);
        metadata.icc = None;
    }
    notes.extend(tags.notes.into_iter().map(Note::from));
    let there = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel);
    let there = there.ok().flatten().map_or(meaning.samples, usize::from);
    if there > meaning.inks.samples() + usize::from(meaning.alpha) {
        notes.push(CHANNELS_LEFT_OUT.into());
    }
    if beyond {
        notes.push(BEYOND_WHITE.into());
    }
    let orientation = metadata.take_orientation(tags.orientation);
    let mut picture = Picture {
        raster: Raster {
            size,
            layout: meaning.layout(),
            samples,
        },
        notes,
        metadata,
    };
    if tags.associated {
        picture = picture.unassociated();
    }
    Ok(picture.with_fitting_profile().turned(orientation))
}

/// What the header tells, see [`crate::header()`].
pub(crate) fn header(file: impl BufRead + Seek) -> Option<Header> {
    let mut decoder = Decoder::new(file).ok()?;
    let (width, height) = decoder.dimensions().ok()?;
    let mut number = |tag, default| {
        let numbers = decoder.find_tag_unsigned_vec::<u16>(tag).ok().flatten();
        numbers.and_then(|n| n.first().copied()).unwrap_or(default)
    };
    let palette = usize::from(number(Tag::PhotometricInterpretation, 0)) == PALETTE_COLOURS;
    Some(Header {
        width,
        height,
        samples: if palette {
            4
        } else {
            number(Tag::SamplesPerPixel, 1).clamp(1, 4) as u8
        },
        bits: if palette || number(Tag::BitsPerSample, 1) > 8 {
            16
        } else {
            8
        },
    })
}

/// Where rows are.
struct Stride {
    /// One of all samples, or one of each.
    planes: usize,
    /// Bytes from one to the next, and from row to row.
    plane: usize,
    row: usize,
}

impl Stride {
    /// A row of pixels of so many samples.
    fn read(&self, data: &[u8], stored: Stored, y: usize, out: &mut [f32], samples: usize) {
        let step = if self.planes > 1 { samples } else { 1 };
        for plane in 0..self.planes.min(samples) {
            let start = plane * self.plane + y * self.row;
            if let Some(row) = data.get(start..start + self.row) {
                stored.read(row, &mut out[plane..], step);
            }
        }
    }
}

/// As the file tells, or as the specification does where it does not.
fn ycbcr(decoder: &mut Decoder<impl BufRead + Seek>) -> YCbCr {
    let mut out = YCbCr {
        shares: [0.299, 0.587, 0.114],
        levels: [0.0, 255.0, 128.0, 255.0, 128.0, 255.0],
    };
    // Fractions come as two numbers each.
    let mut told = |tag, count| {
        let numbers = decoder.get_tag_u32_vec(Tag::Unknown(tag)).unwrap_or_default();
        let numbers: Vec<f32> = if numbers.len() == 2 * count {
            let pairs = numbers.as_chunks::<2>().0;
            pairs.iter().map(|[n, d]| *n as f32 / *d as f32).collect()
        } else {
            numbers.iter().map(|n| *n as f32).collect()
        };
        (numbers.len() == count && numbers.iter().all(|n| n.is_finite())).then_some(numbers)
    };
    if let Some(shares) = told(SHARES, 3).filter(|s| s[1] > 0.0) {
        out.shares.copy_from_slice(&shares);
    }
    let differ = |levels: &Vec<f32>| levels.as_chunks::<2>().0.iter().all(|[none, full]| none < full);
    if let Some(levels) = told(LEVELS, 6).filter(differ) {
        out.levels.copy_from_slice(&levels);
    }
    out
}

fn refused(error: TiffError) -> Error {
    match error {
        TiffError::IoError(e) if e.kind() == ErrorKind::UnexpectedEof => Error::Truncated,
        TiffError::UnsupportedError(TiffUnsupportedError::UnsupportedCompressionMethod(_)) => {
            Error::UnreadKind(TIFF_COMPRESSION)
        }
        TiffError::UnsupportedError(_) => Error::UnreadKind(TIFF_RARE),
        TiffError::LimitsExceeded => Error::Damaged(MEMORY.into()),
        // The decoder speaks of directories here; a user needs to know that the file is at fault.
        TiffError::FormatError(_)
        | TiffError::IoError(_)
        | TiffError::IntSizeError
        | TiffError::UsageError(_) => Error::Damaged(DATA.into()),
    }
}
