//! Published weights, as they are shipped, against what another program makes of their authors' files.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;

use asasr_codec::decode;
use asasr_core::exec::CpuExecutor;
use asasr_core::model::{Manifest, Role};
use asasr_core::{Executor as _, Planes, metrics};
use asasr_weights::{DEFAULT, Model, X4_CLEAN};

fn read(folder: &Path, name: &str) -> Planes {
    decode(&fs::read(folder.join(name)).unwrap(), 1 << 20)
        .unwrap()
        .all_planes()
}

/// The network of a role, alone and on the whole image, rounded to 8 bits.
fn made(model: Model, role: Role, image: &Planes) -> Planes {
    let manifest = Manifest::from_json(model.manifest).unwrap();
    let part = &manifest.networks[&role];
    let bytes = model.sampler(&part.file).unwrap_or(model.weights);
    let network = CpuExecutor::new(&part.graph, part.open_weights(bytes).unwrap()).unwrap();
    let run = network.run(image, image.size().whole(), &|_, _| true);
    let mut result = pollster::block_on(run).unwrap();
    metrics::quantise(&mut result);
    result
}

#[test]
fn shipped_networks_are_those_that_were_published() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("published");
    for (name, model, role) in [
        ("spanx4_ch52", X4_CLEAN, Role::Restorer),
        ("realesr-general-x4v3", DEFAULT, Role::OneStep),
    ] {
        for photo in ["colosseum.png", "kitten.png", "otter.png"] {
            let got = made(model, role, &read(&folder.join("lq"), photo));
            let wanted = read(&folder.join(name), photo);
            assert_eq!(got.size(), wanted.size());
            let apart = got.data().iter().zip(wanted.data()).map(|(a, b)| (a - b).abs());
            let levels: Vec<f32> = apart.map(|d| (d * 255.0).round()).collect();
            // What lies between two levels may be rounded to the other one: here weights are halves.
            let other = levels.iter().filter(|d| **d > 0.0).count();
            println!("{name}, {photo}: {other} of {} values differ", levels.len());
            assert!(levels.iter().all(|d| *d <= 1.0), "{name}, {photo}");
            assert!(other * 40 < levels.len(), "{name}, {photo}: {other}");
        }
    }
}
