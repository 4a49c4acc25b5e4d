//! What the shipped weights make of three small images: the scores that `asasr eval` gives them.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// PSNR-Y in dB and the shift-tolerant LPIPS on `AlexNet`, by model, protocol, mode and image.
const SCORES: [(&str, &str, &str, &str, f64, f64); 11] = [
    (
        "asasr-x4-clean",
        "clean",
        "instant",
        "colosseum.png",
        27.7913,
        0.2875,
    ),
    (
        "asasr-x4-clean",
        "clean",
        "instant",
        "kitten.png",
        24.1950,
        0.4206,
    ),
    (
        "asasr-x4-clean",
        "clean",
        "fast",
        "colosseum.png",
        25.3039,
        0.1074,
    ),
    ("asasr-x4-clean", "clean", "fast", "kitten.png", 23.0003, 0.2288),
    (
        "asasr-x4-real",
        "real-mild",
        "instant",
        "colosseum.png",
        23.2658,
        0.8084,
    ),
    (
        "asasr-x4-real",
        "real-mild",
        "instant",
        "kitten.png",
        23.0712,
        0.5788,
    ),
    (
        "asasr-x4-real",
        "real-mild",
        "fast",
        "colosseum.png",
        23.3036,
        0.6345,
    ),
    (
        "asasr-x4-real",
        "real-mild",
        "fast",
        "kitten.png",
        22.8209,
        0.5250,
    ),
    (
        "asasr-x4-real",
        "real-mild",
        "instant",
        "comic.png",
        20.4163,
        0.0987,
    ),
    (
        "asasr-x4-drawn",
        "real-mild",
        "instant",
        "comic.png",
        20.8456,
        0.0739,
    ),
    (
        "asasr-x4-drawn",
        "real-mild",
        "fast",
        "comic.png",
        20.2582,
        0.0984,
    ),
];
/// What processors may differ by.
const DECIBELS: f64 = 0.01;
const DISTANCE: f64 = 0.001;

/// The record of an evaluation of a model.
fn evaluated(model: &str, protocol: &str) -> Value {
    let named = |name: &str| std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set"));
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("scores.json");
    let status = Command::new(named("ASASR_CLI"))
        .arg("eval")
        .arg("--data")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("quality"))
        .args(["--protocol", protocol, "--weights", model])
        .args(["--mode", "instant,fast", "--device", "cpu", "--lpips"])
        .arg(named("ASASR_LPIPS"))
        .arg("--json")
        .arg(&record)
        .status()
        .unwrap();
    assert!(status.success());
    serde_json::from_slice(&std::fs::read(record).unwrap()).unwrap()
}

#[test]
fn shipped_weights_have_the_scores_that_they_were_shipped_with() {
    for (model, protocol) in [
        ("asasr-x4-clean", "clean"),
        ("asasr-x4-real", "real-mild"),
        ("asasr-x4-drawn", "real-mild"),
    ] {
        let record = evaluated(model, protocol);
        let photos: Vec<&str> = record["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let all_known = photos.iter().all(|p| SCORES.iter().any(|row| row.3 == *p));
        assert!(all_known, "every image is held to some score: {photos:?}");
        for (_, _, mode, photo, psnr, distance) in SCORES.into_iter().filter(|row| row.0 == model) {
            let name = format!("{model} {mode}");
            let methods = record["methods"].as_array().unwrap();
            let method = methods.iter().find(|m| m["name"] == name.as_str()).unwrap();
            let at = photos.iter().position(|p| *p == photo).unwrap();
            let scores = &method["images"][at];
            let of = |score: &str| scores[score].as_f64().unwrap();
            println!(
                "{name}, {photo}: {:.4} dB, {:.4}",
                of("psnr_y"),
                of("st_lpips_alex")
            );
            assert!((of("psnr_y") - psnr).abs() < DECIBELS, "{name}, {photo}");
            assert!(
                (of("st_lpips_alex") - distance).abs() < DISTANCE,
                "{name}, {photo}"
            );
        }
    }
}
