use wasm_bindgen::prelude::*;

/// A file that the other modules read.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Readable {
    png: Vec<u8>,
    notes: Vec<String>,
}

#[wasm_bindgen]
impl Readable {
    /// What decoding changed, a sentence each.
    #[wasm_bindgen(getter)]
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// A PNG of the same samples, with colour profile and EXIF data; it leaves this module's memory.
    pub fn into_png(self) -> Vec<u8> {
        self.png
    }
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
        notes: picture.notes().iter().map(ToString::to_string).collect(),
        png: picture.to_png().map_err(failed)?,
    })
}
