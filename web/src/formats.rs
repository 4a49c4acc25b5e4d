use asasr_codec::Error;
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

/// Reads a PNG, JPEG, WebP, GIF or BMP file.
///
/// # Errors
/// A sentence for the user: not an image, too large, cut short. Where another decoder may read the file the error's name begins
/// with `Unread`; it is `UnreadFormat` of a format that is known, whose name is then the error's cause.
#[wasm_bindgen]
pub fn readable(file: &[u8]) -> Result<Readable, js_sys::Error> {
    let picture = asasr_codec::decode(file, crate::MAX_PIXELS).map_err(|e| refusal(&e))?;
    Ok(Readable {
        notes: picture.notes().iter().map(ToString::to_string).collect(),
        png: picture.to_png().map_err(|e| refusal(&e))?,
    })
}

fn refusal(error: &Error) -> js_sys::Error {
    let told = js_sys::Error::new(&error.to_string());
    match error {
        Error::UnsupportedFormat(name) => {
            told.set_name("UnreadFormat");
            told.set_cause(&(*name).into());
        }
        Error::UnreadKind(kind) => {
            told.set_name("Unread");
            told.set_cause(&(*kind).into());
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
