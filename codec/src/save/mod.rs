//! Results in other formats than PNG, for programs: the page has its browser for that.
//!
//! | file | what |
//! |---|---|
//! | `fit` | what of a picture a format cannot hold |
//! | `jpeg`, `webp`, `tiff`, `jxl`, `avif` | the file of a format |

#[cfg(feature = "avif")]
mod avif;
mod fit;
mod jpeg;
mod jxl;
mod tiff;
mod webp;

use std::io::Write;

use asasr_core::{Planes, Size};

use self::tiff::Strips;
use crate::{Error, Layout, Metadata, PngRows, Resolution};

/// A format that results are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Without loss, row by row.
    Png,
    /// With loss, of 8 bits, without transparency.
    Jpeg,
    /// With loss, of 8 bits.
    WebP,
    /// With loss, of 8 bits; with the feature `avif` alone.
    Avif,
    /// Without loss.
    Tiff,
    /// Without loss.
    JpegXl,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Png,
        Self::Jpeg,
        Self::WebP,
        Self::Avif,
        Self::Tiff,
        Self::JpegXl,
    ];

    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Avif => "AVIF",
            Self::Tiff => "TIFF",
            Self::JpegXl => "JPEG XL",
        }
    }

    /// The ending of its files' names.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Avif => "avif",
            Self::Tiff => "tif",
            Self::JpegXl => "jxl",
        }
    }

    /// The format whose files' names end so, in whatever case.
    pub fn of_ending(ending: &str) -> Option<Self> {
        match ending.to_ascii_lowercase().as_str() {
            "jpeg" => Some(Self::Jpeg),
            "tiff" => Some(Self::Tiff),
            ending => Self::ALL.into_iter().find(|format| format.ending() == ending),
        }
    }

    /// Whether this build writes it.
    pub fn is_written(self) -> bool {
        self != Self::Avif || cfg!(feature = "avif")
    }

    /// Whether its files are an approximation of some quality.
    pub fn is_lossy(self) -> bool {
        matches!(self, Self::Jpeg | Self::WebP | Self::Avif)
    }

    /// The longest side that it holds, in pixels.
    pub fn longest(self) -> usize {
        match self {
            Self::Png | Self::Tiff => i32::MAX as usize,
            Self::Jpeg | Self::Avif => 65_535,
            Self::WebP => 16_383,
            Self::JpegXl => 1 << 30,
        }
    }

    /// The shortest side that it holds, in pixels.
    pub fn shortest(self) -> usize {
        // What the encoder takes.
        if self == Self::JpegXl { 2 } else { 1 }
    }

    /// The most bytes of samples that it holds, where it has such a limit: places in a TIFF have 32 bits.
    pub fn most_bytes(self) -> Option<u64> {
        (self == Self::Tiff).then_some(4_000_000_000)
    }

    /// The least bytes of memory for a pixel of `samples` samples of `bits` bits until its file is written. PNG needs none: its
    /// rows go as they come.
    pub fn held(self, samples: u8, bits: u8) -> u64 {
        let bytes = u64::from(samples) * u64::from(bits / 8);
        let colours = if samples < 3 { 1 } else { 3 };
        match self {
            Self::Png => 0,
            Self::Tiff => bytes / 3,
            Self::Jpeg => colours,
            // In the encoder: brightness, and colours at half the size.
            Self::WebP => 4,
            Self::Avif => 12,
            Self::JpegXl => bytes,
        }
    }

    /// How it holds a picture of a layout: that of its pixels, and the bits of a sample.
    fn stored(self, layout: Layout, bits: u8) -> (Layout, u8) {
        match self {
            Self::Jpeg if matches!(layout, Layout::Grey | Layout::GreyAlpha) => (Layout::Grey, 8),
            Self::WebP | Self::Avif if layout.has_alpha() => (Layout::Rgba, 8),
            Self::Jpeg | Self::WebP | Self::Avif => (Layout::Rgb, 8),
            // The encoder takes alpha for one of 8 bits.
            Self::JpegXl if layout.has_alpha() => (layout, 8),
            Self::Png | Self::Tiff | Self::JpegXl => (layout, bits),
        }
    }
}

/// How a result is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saving {
    /// In which format.
    pub format: Format,
    /// Of what quality, 1 to 100, where the format is lossy.
    pub quality: u8,
}

/// An image whose file is written when it is complete.
struct Whole<W> {
    out: W,
    saving: Saving,
    size: Size,
    layout: Layout,
    bits: u8,
    /// Of the size of the result.
    metadata: Metadata,
    /// Interleaved, those of 16 bits in the machine's order.
    samples: Vec<u8>,
}

impl<W: Write> Whole<W> {
    fn finish(self) -> Result<(), Error> {
        match self.saving.format {
            Format::Jpeg => jpeg::write(self),
            Format::WebP => webp::write(self),
            Format::JpegXl => jxl::write(self),
            #[cfg(feature = "avif")]
            Format::Avif => avif::write(self),
            format => Err(Error::Encode(format!("{} is not written", format.name()))),
        }
    }

    /// The sides as numbers of some type.
    fn sides<T: TryFrom<usize>>(&self) -> Result<[T; 2], Error> {
        let side = |n: usize| T::try_from(n).map_err(|_| failed(format!("a side of {n} pixels is too long")));
        Ok([side(self.size.width)?, side(self.size.height)?])
    }

    /// Writes the parts of the file.
    fn put(&mut self, parts: &[&[u8]]) -> Result<(), Error> {
        for part in parts {
            self.out.write_all(part).map_err(failed)?;
        }
        self.out.flush().map_err(failed)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn failed(why: impl ToString) -> Error {
    Error::Encode(why.to_string())
}

enum File<W: Write + 'static> {
    Png(Box<PngRows<W>>),
    Tiff(Strips<W>),
    Whole(Whole<W>),
}

/// Writes an image of any [`Format`] from rows as they are finished. Only a PNG goes out as they come: a TIFF is held packed and the
/// others whole until the end.
pub struct ImageRows<W: Write + 'static> {
    file: File<W>,
    format: Format,
    given: (Layout, u8),
    stored: (Layout, u8),
    size: Size,
    next: usize,
}

impl<W: Write + 'static> std::fmt::Debug for ImageRows<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at row {} of {}", self.format.name(), self.next, self.size)
    }
}

impl<W: Write + 'static> ImageRows<W> {
    /// Begins an image of a size, whose rows come in `layout` and `bits` (8 or 16), with what a file told about it: that of a picture
    /// that [fits](crate::Picture::fitted) the format. Sizes in EXIF and XMP data become this one's.
    ///
    /// # Errors
    /// [`Error::Encode`] when the size is beyond the format, or `out` fails.
    pub fn new(
        out: W,
        size: Size,
        (layout, bits): (Layout, u8),
        metadata: &Metadata,
        saving: Saving,
    ) -> Result<Self, Error> {
        let format = saving.format;
        if size.longest() > format.longest() || size.width.min(size.height) < format.shortest() {
            return Err(failed(format!("{} holds no {size} pixels", format.name())));
        }
        let stored = format.stored(layout, bits);
        let file = match format {
            Format::Png => File::Png(Box::new(PngRows::with_metadata(
                out, size, layout, bits, metadata,
            )?)),
            Format::Tiff => File::Tiff(Strips::new(out, size, stored, &metadata.sized(size))),
            _ => File::Whole(Whole {
                out,
                saving,
                size,
                layout: stored.0,
                bits: stored.1,
                metadata: metadata.sized(size),
                samples: Vec::new(),
            }),
        };
        Ok(Self {
            file,
            format,
            given: (layout, bits),
            stored,
            size,
            next: 0,
        })
    }

    /// Appends rows: three colour planes and alpha where the layout has it. Grey is the mean of the colours.
    ///
    /// # Errors
    /// [`Error::Encode`] when the rows are not the next ones or the output fails.
    pub fn write(&mut self, first: usize, rows: &Planes) -> Result<(), Error> {
        let (layout, _) = self.given;
        let misplaced =
            first != self.next || rows.channels() != layout.planes() || rows.width() != self.size.width;
        self.next += rows.height();
        if misplaced || self.next > self.size.height {
            return Err(failed(format!("row {first} came where it was not due")));
        }
        if let File::Png(png) = &mut self.file {
            return png.write(first, rows);
        }
        let (stored, bits) = self.stored;
        let mut line = Vec::new();
        let mut row = Vec::new();
        for y in 0..rows.height() {
            line.clear();
            layout.interleave(rows, y, bits, &mut line);
            row.clear();
            laid_out(&line, layout, stored, &mut row);
            match &mut self.file {
                File::Tiff(strips) => strips.append(&row),
                File::Whole(whole) if bits == 16 => {
                    let native = |pair: &[u8]| u16::from_be_bytes([pair[0], pair[1]]).to_ne_bytes();
                    whole.samples.extend(row.chunks_exact(2).flat_map(native));
                }
                File::Whole(whole) => whole.samples.extend_from_slice(&row),
                File::Png(_) => {}
            }
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::Encode`] when rows are missing or the output fails.
    pub fn finish(self) -> Result<(), Error> {
        if self.next != self.size.height {
            return Err(failed(format!("{} of {} rows came", self.next, self.size.height)));
        }
        match self.file {
            File::Png(png) => png.finish(),
            File::Tiff(strips) => strips.finish(),
            File::Whole(whole) => whole.finish(),
        }
    }
}

/// Appends a row in another layout. What is transparent is laid on white where the other has no alpha.
fn laid_out(row: &[u8], from: Layout, to: Layout, out: &mut Vec<u8>) {
    if from == to {
        return out.extend_from_slice(row);
    }
    let n = from.samples();
    let on_white = |sample: u8, alpha: u8| {
        let alpha = u32::from(alpha);
        ((u32::from(sample) * alpha + 255 * (255 - alpha) + 127) / 255) as u8
    };
    for pixel in row.chunks_exact(n) {
        let (colours, alpha) = pixel.split_at(n - usize::from(from.has_alpha()));
        let alpha = alpha.first().copied();
        let seen = |i: usize| {
            let sample = colours[i.min(colours.len() - 1)];
            match alpha {
                Some(alpha) if !to.has_alpha() => on_white(sample, alpha),
                _ => sample,
            }
        };
        out.extend((0..to.samples() - usize::from(to.has_alpha())).map(seen));
        if to.has_alpha() {
            out.push(alpha.unwrap_or(255));
        }
    }
}

/// EXIF data, a TIFF structure, of a resolution alone, for files that have no other place for it: two fractions and their unit
/// (EXIF 2.32, 4.6.4).
fn exif_of(resolution: Resolution) -> Vec<u8> {
    let Resolution { x, y, metre } = resolution;
    let (times, by) = if metre { (254, 10_000) } else { (1, 1) };
    let mut out = b"II*\0\x08\0\0\0\x03\0".to_vec();
    let entries: [(u16, u16, u32); 3] = [(282, 5, 50), (283, 5, 58), (296, 3, if metre { 2 } else { 1 })];
    for (tag, kind, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    for side in [x, y] {
        out.extend(side.saturating_mul(times).to_le_bytes());
        out.extend(u32::to_le_bytes(by));
    }
    out
}

impl Metadata {
    /// Its EXIF data, or that of the resolution alone.
    fn exif_or_resolution(&self) -> Option<Vec<u8>> {
        self.exif.clone().or_else(|| self.resolution.map(exif_of))
    }
}

#[cfg(test)]
mod tests;
