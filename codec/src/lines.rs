use std::io::Cursor;

use asasr_core::{Planes, Size};
use png::{BitDepth, Decoder, Reader, Transformations};

use crate::phrase::{LAYER_DEPTH, LAYER_INTERLACED, LAYER_PALETTE};
use crate::picture::layout_of;
use crate::{Error, Layout};

/// Reads a PNG that [`PngRows`](crate::PngRows) wrote, row by row.
pub struct PngLines<'a> {
    reader: Reader<Cursor<&'a [u8]>>,
    layout: Layout,
    bits: u8,
    next: usize,
}

impl std::fmt::Debug for PngLines<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PngLines at row {} of {:?}", self.next, self.layout)
    }
}

fn damaged(error: impl std::fmt::Display) -> Error {
    Error::Damaged(error.to_string().into())
}

impl<'a> PngLines<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`Error::Damaged`] for another kind of file.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut decoder = Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(Transformations::IDENTITY);
        let reader = decoder.read_info().map_err(damaged)?;
        let info = reader.info();
        let layout = layout_of(info.color_type).ok_or_else(|| Error::Damaged(LAYER_PALETTE.into()))?;
        let bits = match info.bit_depth {
            BitDepth::Eight => 8,
            BitDepth::Sixteen => 16,
            _ => return Err(Error::Damaged(LAYER_DEPTH.into())),
        };
        if info.interlaced {
            return Err(Error::Damaged(LAYER_INTERLACED.into()));
        }
        Ok(Self {
            layout,
            bits,
            next: 0,
            reader,
        })
    }

    /// Columns and rows.
    pub fn size(&self) -> Size {
        let info = self.reader.info();
        Size::new(info.width as usize, info.height as usize)
    }

    /// Which samples a pixel has.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bits of a sample: 8 or 16.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// The next rows, `count` of them or what is left, with the index of the first: three colour planes, and alpha where
    /// there is one. None after the last.
    ///
    /// # Errors
    /// [`Error::Damaged`] when the file's data is.
    pub fn next(&mut self, count: usize) -> Result<Option<(usize, Planes)>, Error> {
        let Size { width, height } = self.size();
        let (first, count) = (self.next, count.min(height - self.next));
        if count == 0 {
            return Ok(None);
        }
        let (samples, alpha) = (self.layout.samples(), self.layout.has_alpha());
        let mut rows = Planes::zeros(3 + usize::from(alpha), count, width);
        for y in 0..count {
            let line = self.reader.next_row().map_err(damaged)?;
            let line = line.ok_or(Error::Truncated)?;
            let data = line.data();
            for c in 0..rows.channels() {
                // Grey is every colour; alpha comes last.
                let sample = if c == 3 {
                    samples - 1
                } else {
                    c.min(samples - 1 - usize::from(alpha))
                };
                for (x, v) in rows.row_mut(c, y).iter_mut().enumerate() {
                    let at = x * samples + sample;
                    *v = if self.bits == 16 {
                        f32::from(u16::from_be_bytes([data[2 * at], data[2 * at + 1]])) / 65535.0
                    } else {
                        f32::from(data[at]) / 255.0
                    };
                }
            }
        }
        self.next += count;
        Ok(Some((first, rows)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PngRows, SharedBytes, decode};

    #[test]
    fn what_was_written_is_read_row_by_row() {
        let data = (0..4 * 7 * 5).map(|i| ((i * 37) % 256) as f32 / 255.0).collect();
        let image = Planes::new(4, 7, 5, data).unwrap();
        for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
            for bits in [8, 16] {
                let image = image
                    .clone()
                    .split_channels(3 + usize::from(layout.has_alpha()))
                    .0;
                let bytes = SharedBytes::default();
                let mut rows = PngRows::new(bytes.clone(), Size::new(5, 7), layout, bits).unwrap();
                rows.write(0, &image).unwrap();
                rows.finish().unwrap();
                let bytes = bytes.take();
                let whole = decode(&bytes, 1000).unwrap().all_planes();
                let mut lines = PngLines::open(&bytes).unwrap();
                assert_eq!(
                    (lines.size(), lines.layout(), lines.bits()),
                    (Size::new(5, 7), layout, bits)
                );
                let mut read = Planes::zeros(whole.channels(), 7, 5);
                while let Some((first, rows)) = lines.next(3).unwrap() {
                    read.put_rows(first, &rows);
                }
                for (a, b) in read.data().iter().zip(whole.data()) {
                    assert!((a - b).abs() < 1e-6, "{layout:?} {bits}: {a} {b}");
                }
                let mut short = PngLines::open(&bytes[..bytes.len() - 40]).unwrap();
                while let Ok(Some(_)) = short.next(1) {}
                assert!(short.next < 7 && short.next(1).is_err());
            }
        }
        assert!(PngLines::open(include_bytes!("../tests/cmyk.jpg")).is_err());
    }
}
