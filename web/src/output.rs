//! An enlarged image on its way into JavaScript's memory.

use std::io;

use asasr_codec::{Layout, Metadata, Picture, PngRows};
use asasr_core::metrics::{self, ConsistencyMeter};
use asasr_core::resample::RowResampler;
use asasr_core::{Error, Planes, Rect, Result, alpha};
use js_sys::{Array, Function, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::JsValue;

/// The PNG leaves WebAssembly's memory in parts of about this size.
const PART: usize = 1 << 20;

mod js {
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
        self.parts.push(&js::Blob::new(&Array::of1(&part)));
        self.next.clear();
        Ok(())
    }
}

/// A PNG that is written row by row.
struct File {
    rows: PngRows<Parts>,
    parts: Array,
}

impl File {
    fn new(size: (usize, usize), (layout, bits): (Layout, u8), metadata: &Metadata) -> Result<Self> {
        let parts = Array::new();
        let out = Parts {
            parts: parts.clone(),
            next: Vec::with_capacity(PART),
        };
        Ok(Self {
            rows: PngRows::with_metadata(out, size, layout, bits, metadata).map_err(|e| output(&e))?,
            parts,
        })
    }

    fn write(&mut self, first: usize, rows: &Planes) -> Result<()> {
        self.rows.write(first, rows).map_err(|e| output(&e))
    }

    /// The parts, to be put together in this order.
    fn finish(self) -> Result<Array> {
        self.rows.finish().map_err(|e| output(&e))?;
        Ok(self.parts)
    }
}

fn output(error: &asasr_codec::Error) -> Error {
    Error::Output(error.to_string())
}

/// The result's rows, from the network's size to the one asked for: into the file, past the meter, onto the page.
pub(crate) struct Sink<'a> {
    picture: &'a Picture,
    size: (usize, usize),
    resampler: Option<RowResampler>,
    file: File,
    /// Of the image; the mean beside it has none.
    meter: Option<ConsistencyMeter>,
    shown: Option<&'a Function>,
}

impl<'a> Sink<'a> {
    /// `from` is the size of what comes, `size` that of the file.
    pub(crate) fn new(
        picture: &'a Picture,
        (from, size): ((usize, usize), (usize, usize)),
        metadata: &Metadata,
    ) -> Result<Self> {
        let file = File::new(size, (picture.layout(), picture.bits()), metadata)?;
        // Colours are weighed by alpha where they are summed.
        let planes = if picture.layout().has_alpha() { 7 } else { 3 };
        let resampler = (from != size).then(|| RowResampler::new(planes, from, size));
        Ok(Self {
            picture,
            size,
            resampler: resampler.transpose()?,
            file,
            meter: None,
            shown: None,
        })
    }

    /// Measures how far the result is from the given image.
    pub(crate) fn measured(mut self) -> Result<Self> {
        let given = (self.picture.width(), self.picture.height());
        self.meter = Some(ConsistencyMeter::new(3, given, self.size)?);
        Ok(self)
    }

    /// Calls `shown(first, width, rgba)` for rows that are finished.
    pub(crate) fn shown(mut self, shown: Option<&'a Function>) -> Self {
        self.shown = shown;
        self
    }

    /// Takes the next rows: three colours, and alpha where there is one.
    pub(crate) fn add(&mut self, first: usize, rows: &Planes) -> Result<()> {
        match &mut self.resampler {
            None => self.put(first, rows),
            Some(resampler) if self.picture.layout().has_alpha() => {
                match resampler.add(first, &alpha::doubled(rows))? {
                    Some((first, rows)) => self.put(first, &alpha::settled(rows)),
                    None => Ok(()),
                }
            }
            Some(resampler) => match resampler.add(first, rows)? {
                Some((first, rows)) => self.put(first, &rows),
                None => Ok(()),
            },
        }
    }

    fn put(&mut self, first: usize, rows: &Planes) -> Result<()> {
        self.file.write(first, rows)?;
        let picture = self.picture;
        if let Some(meter) = &mut self.meter {
            meter.add(first, rows, |y| {
                picture.planes(Rect {
                    x0: 0,
                    y0: y,
                    x1: picture.width(),
                    y1: y + 1,
                })
            })?;
        }
        if let Some(shown) = self.shown {
            let rgba = Uint8ClampedArray::from(rgba(rows).as_slice());
            // A page that cannot show them gets its file all the same.
            let _ = shown.call3(&JsValue::NULL, &first.into(), &self.size.0.into(), &rgba);
        }
        Ok(())
    }

    /// The file's parts; and, where that was measured, for each pixel of the given image how far the result, made as small
    /// again, is from it, and the PSNR of that.
    pub(crate) fn finish(self) -> Result<(Array, Vec<u8>, f64)> {
        let parts = self.file.finish()?;
        let measured = self.meter.map(ConsistencyMeter::finish).transpose()?;
        let (differences, consistency) = measured.unwrap_or_default();
        Ok((parts, differences, consistency))
    }
}

/// Rows of `[3 or 4, h, w]` as interleaved bytes.
fn rgba(rows: &Planes) -> Vec<u8> {
    let n = rows.width() * rows.height();
    let mut bytes = vec![255; 4 * n];
    for c in 0..rows.channels().min(4) {
        for (i, v) in rows.plane(c).iter().enumerate() {
            bytes[4 * i + c] = metrics::to_u8(*v);
        }
    }
    bytes
}
