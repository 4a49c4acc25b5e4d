use wasm_bindgen::prelude::*;

/// A file that the other modules read.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Readable {
    /// A PNG of the same samples, with colour profile and EXIF data.
    pub png: Vec<u8>,
    /// What decoding changed, a sentence each.
    pub notes: Vec<String>,
}

/// Reads a JPEG, WebP, GIF or BMP file.
///
/// # Errors
/// A sentence for the user: not an image, too large, cut short.
#[wasm_bindgen]
pub fn readable(file: &[u8]) -> Result<Readable, JsError> {
    let failed = |e: asasr_codec::Error| JsError::new(&e.to_string());
    let picture = asasr_codec::decode(file, crate::MAX_PIXELS).map_err(failed)?;
    Ok(Readable {
        notes: picture.notes().iter().map(|n| (*n).to_owned()).collect(),
        png: picture.to_png().map_err(failed)?,
    })
}
