use std::io;

use asasr_codec::{Metadata, Picture, PngRows};
use asasr_core::metrics::{self, ConsistencyMeter};
use asasr_core::model::Manifest;
use asasr_core::{Error, OutputScale, Planes, Rect};
use js_sys::{Array, Function, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::prelude::*;

use crate::backend::{self, Backend};

/// Most input pixels: 4096x4096, whose fourfold enlargement is the largest most programs open.
const MAX_PIXELS: u64 = 1 << 24;
/// Side of a tile's core in input pixels.
const TILE: usize = 128;

/// Most bytes that one row of enlarged tiles may take: WebAssembly's memory ends at 4 GB, and the row is copied once.
const MAX_STRIP: usize = 512 << 20;
/// The PNG leaves WebAssembly's memory in parts of about this size.
const PART: usize = 1 << 20;

/// A file that grows in JavaScript's memory.
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
        self.parts.push(&Uint8Array::from(self.next.as_slice()));
        self.next.clear();
        Ok(())
    }
}

/// A network ready to run.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Upscaler {
    backend: Backend,
    device: String,
}

/// An enlarged image.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Upscaled {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether it has transparency.
    pub alpha: bool,
    /// What decoding changed, a sentence each.
    pub notes: Vec<String>,
    /// The PNG file: byte arrays to be put together in this order.
    pub png: Array,
    /// The ICC profile and EXIF data that other formats are to carry.
    pub icc: Option<Vec<u8>>,
    /// See [`Self::icc`].
    pub exif: Option<Vec<u8>>,
    /// PSNR in dB between the input and the result put through antialiased bicubic reduction; infinite where they agree.
    pub consistency: f64,
    /// For each input pixel the largest difference of that over the channels, in grey levels.
    pub differences: Vec<u8>,
}

fn js(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// Refuses an image so wide that one row of its tiles would not fit.
fn check_strip(picture: &Picture, scale: OutputScale) -> Result<(), JsError> {
    let samples = picture.width() * scale.get() * TILE.min(picture.height()) * scale.get();
    let planes = 3 + usize::from(picture.layout().has_alpha());
    if samples.saturating_mul(planes * size_of::<f32>()) <= MAX_STRIP {
        return Ok(());
    }
    let (width, height) = (picture.width(), picture.height());
    Err(js(format!(
        "an image of {width}x{height} pixels is too wide for the browser's memory: cut it into parts"
    )))
}

#[wasm_bindgen]
impl Upscaler {
    /// Opens a model from the bytes of its `manifest.json` and of the weights file that it describes.
    ///
    /// # Errors
    /// A sentence for the user: a damaged manifest, weights with another sha256, no device.
    pub async fn open(manifest: Vec<u8>, weights: Vec<u8>) -> Result<Upscaler, JsError> {
        let manifest = Manifest::from_json(&manifest).map_err(js)?;
        let weights = manifest.open_weights(&weights).map_err(js)?;
        let (backend, device) = backend::open(&manifest, &weights).await.map_err(js)?;
        Ok(Self { backend, device })
    }

    /// What it runs on.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> String {
        self.device.clone()
    }

    /// Enlarges an image file `scale` times (2, 3 or 4). The PNG carries colour profile and EXIF data where `carry` says so.
    /// `progress(done, total)` is called after every tile, `rows(first, width, rgba)` for rows that are finished.
    ///
    /// # Errors
    /// A sentence for the user: not an image, too large, cut short, or the device failed.
    pub async fn upscale(
        &mut self,
        file: Vec<u8>,
        scale: usize,
        carry: bool,
        progress: Function,
        rows: Function,
    ) -> Result<Upscaled, JsError> {
        let picture = asasr_codec::decode(&file, MAX_PIXELS).map_err(js)?;
        drop(file);
        let scale = OutputScale::new(scale).map_err(js)?;
        let size = (picture.width() * scale.get(), picture.height() * scale.get());
        check_strip(&picture, scale)?;
        let parts = Array::new();
        let out = Parts {
            parts: parts.clone(),
            next: Vec::with_capacity(PART),
        };
        let none = Metadata::default();
        let metadata = if carry { picture.metadata() } else { &none };
        let (layout, bits) = (picture.layout(), picture.bits());
        let mut png = PngRows::with_metadata(out, size, layout, bits, metadata).map_err(js)?;
        let mut meter =
            ConsistencyMeter::new(3, picture.width(), picture.height(), scale.get()).map_err(js)?;
        let row = |y: usize| {
            let (x0, x1) = (0, picture.width());
            picture.planes(Rect {
                x0,
                y0: y,
                x1,
                y1: y + 1,
            })
        };
        asasr_core::upscale(
            &mut self.backend,
            (picture.width(), picture.height()),
            TILE,
            scale,
            |rect| picture.planes(rect),
            |first, strip| {
                png.write(first, strip)
                    .map_err(|e| Error::Output(e.to_string()))?;
                meter.add(first, strip, row)?;
                let shown = Uint8ClampedArray::from(rgba(strip).as_slice());
                // A page that cannot show them gets its file all the same.
                let _ = rows.call3(&JsValue::NULL, &first.into(), &size.0.into(), &shown);
                Ok(())
            },
            |p| {
                progress
                    .call2(&JsValue::NULL, &p.done.into(), &p.total.into())
                    .is_ok()
            },
        )
        .await
        .map_err(js)?;
        png.finish().map_err(js)?;
        let (differences, consistency) = meter.finish().map_err(js)?;
        let notes = picture.notes().iter().map(|n| (*n).to_owned()).collect();
        Ok(Upscaled {
            width: size.0,
            height: size.1,
            alpha: layout.has_alpha(),
            notes,
            png: parts,
            icc: picture.metadata().icc.clone(),
            exif: picture.metadata().exif.clone(),
            consistency,
            differences,
        })
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
