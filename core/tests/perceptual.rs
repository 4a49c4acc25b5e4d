//! The perceptual distances against the packages of their authors.
#![cfg(feature = "burn")]

use asasr_core::model::Weights;
use asasr_core::nn::{PerceptualDistance, TextureDistance};
use asasr_core::random::SplitMix64;
use burn::tensor::{Device, Tensor, TensorData};

const SIDE: usize = 72;

/// Smooth waves with some noise: two versions of one image.
fn image(seed: u64) -> Vec<f32> {
    let mut random = SplitMix64::new(seed);
    let wave = |c: usize, y: usize, x: usize| {
        let (c, y, x) = (c as f64, y as f64, x as f64);
        0.5 + 0.3 * (0.2 * x + c).sin() * (0.13 * y).cos()
    };
    (0..3 * SIDE * SIDE)
        .map(|i| {
            let value = wave(i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE) + 0.05 * random.normal();
            value.clamp(0.0, 1.0) as f32
        })
        .collect()
}

#[test]
#[ignore = "needs a Python with torch and the packages that the script names, a download of gigabytes; ASASR_PYTHON names it"]
fn they_are_those_of_their_authors() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let images = [image(1), image(2)];
    for (name, values) in ["a.f32", "b.f32"].iter().zip(&images) {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(path(name), bytes).expect("is written");
    }
    let program = std::env::var("ASASR_PYTHON").unwrap_or_else(|_| "python3".into());
    let output = std::process::Command::new(program)
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/perceptual/by_their_authors.py"
        ))
        .arg(folder.path())
        .output()
        .expect("starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stdout = String::from_utf8_lossy(&output.stdout);
    let theirs: Vec<(&str, f32)> = stdout
        .lines()
        .filter_map(|l| l.split_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    let names: Vec<&str> = theirs.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["st_alex", "st_vgg", "lpips_alex", "lpips_vgg", "dists"],
        "{stdout}"
    );
    let device = Device::flex();
    let [a, b] = images.map(|v| Tensor::<4>::from_data(TensorData::new(v, [1, 3, SIDE, SIDE]), &device));
    for (name, theirs) in theirs {
        let bytes = std::fs::read(path(&format!("{name}.safetensors"))).expect("written");
        let weights = Weights::from_safetensors(&bytes).expect("reads");
        let (a, b) = (a.clone(), b.clone());
        let ours = if name == "dists" {
            let distance = TextureDistance::new(&weights, &device).expect("fits");
            distance.distance(a, b).expect("fits")
        } else {
            let distance = PerceptualDistance::new(&weights, &device).expect("fits");
            assert_eq!(distance.is_shift_tolerant(), name.starts_with("st_"));
            distance.distance(a, b).expect("fits")
        };
        let ours = ours.into_scalar::<f32>();
        assert!((ours - theirs).abs() < 3e-4 * theirs, "{name}: {ours} {theirs}");
    }
}
