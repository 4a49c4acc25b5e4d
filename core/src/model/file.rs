use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{ParameterShape, Weights};
use crate::error::acts;
use crate::{Error, Result};

/// A weights file as its manifest describes it.
#[derive(Debug, Clone)]
pub struct WeightsFile<'a> {
    /// Its name in the manifest's folder.
    pub name: &'a str,
    /// Its size.
    pub bytes: usize,
    /// Its sha256, lower-case hexadecimal.
    pub sha256: &'a str,
    parameters: Vec<ParameterShape>,
}

/// The sha256 of `bytes` in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, b| {
        let _ = write!(hex, "{b:02x}");
        hex
    })
}

impl<'a> WeightsFile<'a> {
    pub(super) fn new(name: &'a str, bytes: usize, sha256: &'a str, parameters: Vec<ParameterShape>) -> Self {
        Self {
            name,
            bytes,
            sha256,
            parameters,
        }
    }

    /// Reads the file after checking that it is the one described.
    ///
    /// # Errors
    /// [`Error::Hash`] for other bytes, [`Error::Weights`] for a file that is damaged or does not fit.
    pub fn open(&self, bytes: &[u8]) -> Result<Weights> {
        let actual = sha256_hex(bytes);
        if actual != self.sha256 {
            return Err(Error::Hash {
                file: self.name.to_string(),
                expected: self.sha256.to_string(),
                actual,
            });
        }
        if bytes.len() != self.bytes {
            return Err(Error::Manifest(format!(
                "it says that {} has {} bytes, and it has {}",
                self.name,
                self.bytes,
                bytes.len()
            )));
        }
        let weights = Weights::from_safetensors(bytes)?;
        weights.check(&self.parameters)?;
        Ok(weights)
    }
}

/// Checks that a hash is one.
pub(super) fn sha256(of: &str, hash: &str) -> Result<()> {
    if hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(Error::Manifest(format!(
        "the sha256 of {of} is not 64 lower-case hexadecimal digits"
    )))
}

/// Names are parts of addresses, on disks and in URLs: nothing in them may mean anything there.
pub(super) fn plain(what: &str, name: &str) -> Result<()> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty()
        || name.len() > 100
        || name.starts_with('.')
        || name.starts_with("manifest.json")
        || !name.bytes().all(fits)
    {
        return Err(Error::Manifest(format!(
            "the {what} {name:?} is not a plain name: letters, digits, dots, hyphens and underscores, and not manifest.json"
        )));
    }
    Ok(())
}

/// Texts are shown in terminals, logs and pages as they are: a control character would move the cursor, colour what follows or
/// begin a line of its own, and a turn of the writing direction would show another order than that of the bytes.
pub(super) fn line(field: &str, text: &str) -> Result<()> {
    match text.chars().find(|c| acts(*c)) {
        None => Ok(()),
        Some(c) => Err(Error::Manifest(format!(
            "its {field} has the control character U+{:04X}: take that out, or take another model",
            u32::from(c)
        ))),
    }
}

pub(super) fn count(stated: usize, actual: usize) -> Result<()> {
    if stated == actual {
        return Ok(());
    }
    Err(Error::Manifest(format!(
        "it speaks of {stated} parameters, its architecture has {actual}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_of_the_standard_example() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
