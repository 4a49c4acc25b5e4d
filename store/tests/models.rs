//! Small models for tests.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "shared by several tests, each of which uses a part"
)]

use asasr_core::model::format1::{MANIFEST_FORMAT, Manifest};
use asasr_core::model::{Architecture, Dtype, Tensor, Training, Weights};
use asasr_store::{Package, Result, Signature, sha256_hex};

/// The manifest and the weights of a restorer whose every value is `value`; the width makes its size.
pub(crate) fn files(id: &str, value: f32, width: usize) -> (Manifest, Vec<u8>) {
    let architecture = Architecture::restorer(4, width, 1);
    let mut weights = Weights::default();
    for p in architecture.parameters() {
        let values = vec![value; p.len()];
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    let bytes = weights.to_safetensors(Dtype::F16).unwrap();
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        id: id.into(),
        licence: "CC0-1.0".into(),
        file: "restorer.safetensors".into(),
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        parameters: architecture.parameter_count(),
        architecture,
        training: Training {
            command: "none".into(),
            steps: 0,
            images: 0,
        },
        measured: None,
        flow: None,
        fast: None,
    };
    (manifest, bytes)
}

/// Ready to be published.
pub(crate) fn package(id: &str, value: f32) -> Package {
    let (manifest, bytes) = files(id, value, 4);
    pack(&manifest, &bytes, None).unwrap()
}

pub(crate) fn pack(manifest: &Manifest, bytes: &[u8], signature: Option<Signature>) -> Result<Package> {
    let json = manifest.to_json().unwrap().into_bytes();
    Package::new("test", json.into(), signature, |_| Ok(bytes.to_vec().into()))
}
