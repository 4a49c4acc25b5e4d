//! Ed25519 signatures of manifests: over the file's bytes as they are, so that other tools can check them as well.

use std::{fmt, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The 64 bytes of a signature, in base64.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(String);

impl Signature {
    /// Reads what a `manifest.json.sig` holds. Whether it signs anything shows when it is checked.
    ///
    /// # Errors
    /// [`Error::Key`] for what is not the base64 of 64 bytes.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if STANDARD.decode(text).is_ok_and(|bytes| bytes.len() == 64) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::Key {
            which: "that signed it".into(),
            why: "a signature is 64 bytes in base64, as `asasr weights sign` writes them".into(),
        })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tells whether a manifest was signed by the one who holds the private key.
#[derive(Debug, Clone)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads `BEGIN PUBLIC KEY` text, or the base64 inside it alone, or the file of that name.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn read(text_or_path: &str) -> Result<Self> {
        let path = Path::new(text_or_path);
        // The text itself may be a secret that was taken for the public key, so it is not repeated.
        let wrong = |why: String| Error::Key {
            which: if path.is_file() {
                text_or_path.to_owned()
            } else {
                "that was given".into()
            },
            why: format!(
                "{why}; an ed25519 public key is a PEM file or the base64 line inside one, as `asasr weights keygen` \
                 writes it"
            ),
        };
        let text = if path.is_file() {
            fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?
        } else {
            text_or_path.to_owned()
        };
        let key = if text.contains("-----BEGIN") {
            ed25519_dalek::VerifyingKey::from_public_key_pem(&text).map_err(|e| wrong(e.to_string()))?
        } else {
            let der = STANDARD.decode(text.trim()).ok().filter(|der| der.len() == 44);
            let der = der
                .ok_or_else(|| wrong("it is neither a file that is there nor the base64 of a key".into()))?;
            ed25519_dalek::VerifyingKey::from_public_key_der(&der).map_err(|e| wrong(e.to_string()))?
        };
        Ok(Self(key))
    }

    /// Whether `signature` is the key's own for `manifest`.
    pub fn signed(&self, manifest: &[u8], signature: Option<&Signature>) -> bool {
        let bytes = signature.and_then(|s| STANDARD.decode(&s.0).ok());
        let signature = bytes.and_then(|b| ed25519_dalek::Signature::from_slice(&b).ok());
        signature.is_some_and(|s| self.0.verify_strict(manifest, &s).is_ok())
    }

    /// Whether it signed the manifest of `model`.
    pub(crate) fn check(
        &self,
        model: &dyn fmt::Display,
        manifest: &[u8],
        signature: Option<&Signature>,
    ) -> Result<()> {
        if self.signed(manifest, signature) {
            return Ok(());
        }
        Err(Error::Unsigned {
            model: model.to_string(),
        })
    }

    /// As a PEM file.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn to_pem(&self) -> Result<String> {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .map_err(|e| unwritten(&e))
    }
}

/// Signs manifests. Whoever has it can publish models that users trust.
#[derive(Debug)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A fresh key of the system's randomness.
    ///
    /// # Errors
    /// [`Error::Key`] where the system has none.
    pub fn generate() -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|e| unwritten(&e))?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// Reads a PEM file (PKCS #8), such as `openssl genpkey -algorithm ed25519` writes.
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |why: String| Error::Key {
            which: path.display().to_string(),
            why,
        };
        let pem = fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
        let key = ed25519_dalek::SigningKey::from_pkcs8_pem(&pem)
            .map_err(|e| wrong(format!("{e}; an ed25519 private key in PEM is needed")))?;
        Ok(Self(key))
    }

    /// As a PEM file (PKCS #8).
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn to_pem(&self) -> Result<String> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).map_err(|e| unwritten(&e))?;
        Ok(pem.to_string())
    }

    /// The key that tells its signatures.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The signature of a manifest's bytes.
    pub fn sign(&self, manifest: &[u8]) -> Signature {
        Signature(STANDARD.encode(self.0.sign(manifest).to_bytes()))
    }
}

fn unwritten(why: &dyn fmt::Display) -> Error {
    Error::Key {
        which: "to be written".into(),
        why: why.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_key_over_the_same_bytes() -> Result<()> {
        let (key, other) = (SigningKey::generate()?, SigningKey::generate()?);
        let signature = key.sign(b"manifest");
        let public = PublicKey::read(&key.public().to_pem()?)?;
        assert!(public.signed(b"manifest", Some(&signature)));
        assert!(!public.signed(b"manifesT", Some(&signature)));
        assert!(!other.public().signed(b"manifest", Some(&signature)));
        assert!(!public.signed(b"manifest", None));
        let another = STANDARD.encode([7; 64]);
        assert!(!public.signed(b"manifest", Some(&Signature::new(&another)?)));
        for text in ["", "none", "AAAA", &"A".repeat(86), &signature.0[..80]] {
            assert!(Signature::new(text).is_err(), "{text}");
        }
        Ok(())
    }

    /// RFC 8032, section 7.1, test 2, as `openssl` writes key and signature.
    #[test]
    fn the_standards_example() -> Result<()> {
        let folder = tempfile::tempdir().map_err(|e| unwritten(&e))?;
        let secret = [
            0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda, 0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
            0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24, 0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb,
        ];
        let path = folder.path().join("key.pem");
        let der = [b"0.\x02\x01\x000\x05\x06\x03+ep\x04\"\x04 ".as_slice(), &secret].concat();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der)
        );
        fs::write(&path, pem).map_err(|e| unwritten(&e))?;
        let key = SigningKey::read(&path)?;
        assert_eq!(
            key.sign(&[0x72]).0,
            STANDARD.encode(hex(
                    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
                ))
        );
        assert!(
            PublicKey::read("MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=")?
                .signed(&[0x72], Some(&key.sign(&[0x72])))
        );
        Ok(())
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2)
            .filter_map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok())
            .collect()
    }

    #[test]
    fn a_wrong_key_is_told() {
        for text in [
            "",
            "nothing",
            "MCowBQYDK2VwAyEA",
            "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        ] {
            let why = PublicKey::read(text).expect_err(text).to_string();
            assert!(why.contains("keygen"), "{why}");
        }
    }
}
