//! The perceptual distance against the package that publishes its weights.
#![cfg(feature = "burn")]

use asasr_core::model::Weights;
use asasr_core::nn::PerceptualDistance;
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
#[ignore = "needs a Python with torch, safetensors and stlpips-pytorch, a download of gigabytes; ASASR_PYTHON names it"]
fn it_is_that_of_its_authors() {
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
            "/tests/perceptual/with_stlpips.py"
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
    let theirs: f32 = stdout
        .lines()
        .last()
        .and_then(|l| l.parse().ok())
        .expect("a number");
    let bytes = std::fs::read(path("vgg.safetensors")).expect("written");
    let weights = Weights::from_safetensors(&bytes).expect("reads");
    let device = Device::flex();
    let distance = PerceptualDistance::new(&weights, &device).expect("fits");
    let [a, b] = images.map(|v| Tensor::<4>::from_data(TensorData::new(v, [1, 3, SIDE, SIDE]), &device));
    let ours = distance.distance(a, b).expect("fits").into_scalar::<f32>();
    assert!((ours - theirs).abs() < 1e-4 * theirs, "{ours} {theirs}");
}
