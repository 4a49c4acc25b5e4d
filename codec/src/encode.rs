use std::{borrow::Cow, cell::RefCell, io, io::Write, rc::Rc};

use asasr_core::{Planes, Size};
use png::chunk::ChunkType;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Info, StreamWriter};

use crate::{Error, Layout, Metadata, Picture, Samples, png_chunks};

/// Bytes of a PNG's signature and header.
const HEADER: usize = 33;

/// Bytes in memory that are read after their writer is gone.
#[derive(Debug, Clone, Default)]
pub struct SharedBytes(Rc<RefCell<Vec<u8>>>);

impl SharedBytes {
    /// What was written so far; empty afterwards.
    pub fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Write for SharedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Keeps the first fault of a writer. The PNG encoder writes its last bytes while it is dropped and cannot tell.
struct Checked<W: Write> {
    out: W,
    fault: Rc<RefCell<Option<String>>>,
}

impl<W: Write> Checked<W> {
    fn noted<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(e) = &done
            && e.kind() != io::ErrorKind::Interrupted
        {
            self.fault.borrow_mut().get_or_insert_with(|| e.to_string());
        }
        done
    }
}

impl<W: Write> Write for Checked<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.noted(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.noted(done)
    }
}

impl<W: Write> Drop for Checked<W> {
    fn drop(&mut self) {
        // The fault is noted, which is all that can be done here.
        let _ = self.flush();
    }
}

/// Begins a PNG: all that stands before its image.
fn begun<W: Write>(
    out: W,
    size: Size,
    (layout, bits): (Layout, u8),
    metadata: &Metadata,
    compression: Compression,
) -> Result<png::Writer<W>, Error> {
    let metadata = metadata.sized(size);
    let failed = |e: EncodingError| Error::Encode(e.to_string());
    let side =
        |n: usize| u32::try_from(n).map_err(|_| Error::Encode(format!("a side of {n} pixels is too long")));
    let mut info = Info::with_size(side(size.width)?, side(size.height)?);
    info.icc_profile = metadata.icc.as_deref().map(Cow::Borrowed);
    let mut encoder = Encoder::with_info(out, info).map_err(failed)?;
    encoder.set_color(match layout {
        Layout::Grey => ColorType::Grayscale,
        Layout::GreyAlpha => ColorType::GrayscaleAlpha,
        Layout::Rgb => ColorType::Rgb,
        Layout::Rgba => ColorType::Rgba,
    });
    encoder.set_depth(if bits == 16 {
        BitDepth::Sixteen
    } else {
        BitDepth::Eight
    });
    encoder.set_compression(compression);
    let mut writer = encoder.write_header().map_err(failed)?;
    for (kind, content) in png_chunks::written(&metadata, layout, bits) {
        writer.write_chunk(ChunkType(kind), &content).map_err(failed)?;
    }
    Ok(writer)
}

impl Metadata {
    /// The chunks that carry it in a PNG of that size, to stand behind the header of one that has none. Sizes in EXIF and XMP data become
    /// this one's.
    ///
    /// # Errors
    /// [`Error::Encode`] when the size is beyond PNG.
    pub fn png_chunks(&self, size: Size, layout: Layout, bits: u8) -> Result<Vec<u8>, Error> {
        let bytes = SharedBytes::default();
        let format = (layout, bits);
        let writer = begun(bytes.clone(), size, format, self, Compression::Fast)?;
        let begun = bytes.take();
        // Its end is of no use.
        drop(writer);
        Ok(begun.get(HEADER..).unwrap_or_default().to_vec())
    }
}

impl Picture {
    /// The picture as a PNG that is not compressed: quickly made, and [`decode`](crate::decode) gives the same picture, but for
    /// its notes.
    ///
    /// # Errors
    /// [`Error::Encode`] when the size is beyond PNG.
    pub fn to_png(&self) -> Result<Vec<u8>, Error> {
        let format = (self.layout(), self.bits());
        let mut out = Vec::new();
        let mut writer = begun(
            &mut out,
            self.size(),
            format,
            &self.metadata,
            Compression::NoCompression,
        )?;
        let written = match &self.raster.samples {
            Samples::Eight(samples) => writer.write_image_data(samples),
            Samples::Sixteen(samples) => {
                let bytes: Vec<u8> = samples.iter().flat_map(|s| s.to_be_bytes()).collect();
                writer.write_image_data(&bytes)
            }
        };
        written
            .and_then(|()| writer.finish())
            .map_err(|e| Error::Encode(e.to_string()))?;
        Ok(out)
    }
}

/// Writes a PNG row by row.
pub struct PngRows<W: Write + 'static> {
    stream: StreamWriter<'static, Checked<W>>,
    fault: Rc<RefCell<Option<String>>>,
    width: usize,
    layout: Layout,
    bits: u8,
    next: usize,
}

impl<W: Write + 'static> std::fmt::Debug for PngRows<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PngRows at row {} of {:?}, {} bits",
            self.next, self.layout, self.bits
        )
    }
}

impl<W: Write + 'static> PngRows<W> {
    /// Begins a PNG of a size with `bits` (8 or 16) a sample, without metadata.
    ///
    /// # Errors
    /// As [`Self::with_metadata`].
    pub fn new(out: W, size: Size, layout: Layout, bits: u8) -> Result<Self, Error> {
        Self::with_metadata(out, size, layout, bits, &Metadata::default())
    }

    /// Begins a PNG of a size with `bits` (8 or 16) a sample that carries what a file told about its image; sizes in
    /// EXIF and XMP data become this one's.
    ///
    /// # Errors
    /// [`Error::Encode`] when the size is beyond PNG or `out` fails.
    pub fn with_metadata(
        out: W,
        size: Size,
        layout: Layout,
        bits: u8,
        metadata: &Metadata,
    ) -> Result<Self, Error> {
        let fault = Rc::default();
        let out = Checked {
            out,
            fault: Rc::clone(&fault),
        };
        let stream = begun(out, size, (layout, bits), metadata, Compression::Fast)?
            .into_stream_writer()
            .map_err(|e| Error::Encode(e.to_string()))?;
        Ok(Self {
            stream,
            fault,
            width: size.width,
            layout,
            bits,
            next: 0,
        })
    }

    /// Appends rows: three colour planes and alpha where the layout has it. Grey is the mean of the colours.
    ///
    /// # Errors
    /// [`Error::Encode`] when the rows are not the next ones or the output fails.
    pub fn write(&mut self, first: usize, rows: &Planes) -> Result<(), Error> {
        if first != self.next || rows.channels() != self.layout.planes() {
            return Err(Error::Encode(format!(
                "row {first} came where row {} was due",
                self.next
            )));
        }
        let mut line = Vec::with_capacity(rows.width() * self.layout.samples() * 2);
        for y in 0..rows.height() {
            line.clear();
            self.layout.interleave(rows, y, self.bits, &mut line);
            self.write_samples(&line)?;
        }
        Ok(())
    }

    /// Appends whole rows of samples as the file holds them: interleaved, those of 16 bits with the high byte first.
    ///
    /// # Errors
    /// [`Error::Encode`] when these are no whole rows, or the output fails.
    pub fn write_samples(&mut self, samples: &[u8]) -> Result<(), Error> {
        let row = self.width * self.layout.samples() * usize::from(self.bits / 8);
        if row == 0 || !samples.len().is_multiple_of(row) {
            return Err(Error::Encode(format!(
                "{} bytes are no rows of {row}",
                samples.len()
            )));
        }
        self.stream
            .write_all(samples)
            .map_err(|e| Error::Encode(e.to_string()))?;
        self.next += samples.len() / row;
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`Error::Encode`] when rows are missing or the output fails.
    pub fn finish(self) -> Result<(), Error> {
        self.stream.finish().map_err(|e| Error::Encode(e.to_string()))?;
        self.fault.take().map_or(Ok(()), |why| Err(Error::Encode(why)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;

    #[test]
    fn every_layout_and_depth_comes_back() {
        for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
            for bits in [8, 16] {
                let channels = 3 + usize::from(layout.has_alpha());
                let grey = matches!(layout, Layout::Grey | Layout::GreyAlpha);
                let value = |c: usize, i: usize| {
                    let shade = i * 17 + if grey && c < 3 { 0 } else { c * 40 };
                    // Alpha, the last of four, is nowhere 0: colour that nobody sees does not come back.
                    if c == 3 {
                        (shade % 255 + 1) as f32 / 255.0
                    } else {
                        (shade % 256) as f32 / 255.0
                    }
                };
                let data = (0..channels)
                    .flat_map(|c| (0..35).map(move |i| value(c, i)))
                    .collect();
                let image = Planes::new(channels, 5, 7, data).unwrap();
                let bytes = SharedBytes::default();
                let mut rows = PngRows::new(bytes.clone(), Size::new(7, 5), layout, bits).unwrap();
                let part = |y0, y1| image.crop(asasr_core::Rect { x0: 0, y0, x1: 7, y1 });
                rows.write(0, &part(0, 2)).unwrap();
                rows.write(2, &part(2, 5)).unwrap();
                rows.finish().unwrap();
                let back = decode(&bytes.take(), 100).unwrap();
                assert_eq!((back.layout(), back.bits()), (layout, bits));
                for (a, b) in back.all_planes().data().iter().zip(image.data()) {
                    assert!((a - b).abs() < 1e-4, "{layout:?} {bits}: {a} {b}");
                }
            }
        }
    }

    #[test]
    fn profile_and_exif_come_back() {
        // A TIFF structure of one entry: orientation 1. Profiles are not read here, only carried.
        let exif = [
            b"II*\0\x08\0\0\0".as_slice(),
            &[1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let metadata = Metadata {
            icc: Some((0..3000).map(|i| (i * 7 % 251) as u8).collect()),
            exif: Some(exif),
            ..Metadata::default()
        };
        let bytes = SharedBytes::default();
        let mut rows =
            PngRows::with_metadata(bytes.clone(), Size::new(4, 2), Layout::Rgb, 8, &metadata).unwrap();
        rows.write(0, &Planes::zeros(3, 2, 4)).unwrap();
        rows.finish().unwrap();
        assert_eq!(decode(&bytes.take(), 100).unwrap().metadata(), &metadata);
    }

    /// A disk that is full after so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.0);
            self.0 -= n;
            if n == 0 {
                Err(io::Error::from(io::ErrorKind::StorageFull))
            } else {
                Ok(n)
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Wherever the disk fills up, even at the very last byte and behind a buffer, the file does not count as written.
    #[test]
    fn a_full_disk_is_never_a_finished_file() {
        let write = |room: usize| -> Result<(), Error> {
            let out = io::BufWriter::new(Full(room));
            let mut rows = PngRows::new(out, Size::new(16, 16), Layout::Rgb, 8)?;
            rows.write(0, &Planes::zeros(3, 16, 16))?;
            rows.finish()
        };
        let needed = (0..10_000).find(|room| write(*room).is_ok()).unwrap();
        assert!(needed > 60, "{needed}");
        for room in 0..needed {
            assert!(
                matches!(write(room), Err(Error::Encode(_))),
                "{room} of {needed} bytes"
            );
        }
        let bytes = SharedBytes::default();
        let mut rows = PngRows::new(bytes.clone(), Size::new(16, 16), Layout::Rgb, 8).unwrap();
        rows.write(0, &Planes::zeros(3, 16, 16)).unwrap();
        rows.finish().unwrap();
        assert_eq!(bytes.take().len(), needed);
    }

    #[test]
    fn missing_and_misplaced_rows_are_errors() {
        let image = Planes::zeros(3, 2, 4);
        let mut rows = PngRows::new(Vec::new(), Size::new(4, 5), Layout::Rgb, 8).unwrap();
        assert!(rows.write(1, &image).is_err());
        rows.write(0, &image).unwrap();
        assert!(rows.finish().is_err());
    }
}
