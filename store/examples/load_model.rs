//! Makes a model whose weights have 4 MB, publishes it, and writes its files into a folder: `load_model STORE FOLDER`.
//! `cargo xtask load` measures servers with it.

use std::path::Path;
use std::{env, fs};

use asasr_core::model::format1::{MANIFEST_FORMAT, Manifest};
use asasr_core::model::{Architecture, Dtype, Tensor, Training, Weights};
use asasr_store::{MANIFEST, Package, Store, sha256_hex};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let (Some(store), Some(folder)) = (args.next(), args.next()) else {
        return Err("load_model STORE FOLDER".into());
    };
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let architecture = Architecture::restorer(4, 128, 6);
    let mut weights = Weights::default();
    let mut state = 1_u32;
    for p in architecture.parameters() {
        // Noise, as trained weights are to a compressor.
        let values = (0..p.len()).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 - 0.5
        });
        let values = values.collect();
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    let bytes = weights.to_safetensors(Dtype::F16)?;
    let manifest = Manifest {
        format: MANIFEST_FORMAT,
        id: "load".into(),
        licence: "CC0-1.0".into(),
        file: "restorer.safetensors".into(),
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        parameters: architecture.parameter_count(),
        architecture,
        training: Training {
            command: "none: its weights are noise".into(),
            steps: 0,
            images: 0,
        },
        measured: None,
        flow: None,
        fast: None,
    };
    fs::write(folder.join(MANIFEST), manifest.to_json()?)?;
    fs::write(folder.join(&manifest.file), &bytes)?;
    let release = Store::create(&store)?
        .publish(&Package::from_folder(folder)?)
        .await?;
    println!("{release}: {} bytes of weights", bytes.len());
    Ok(())
}
