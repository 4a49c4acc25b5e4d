//! Networks of format 2 are trained: graphs that begin with given weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Output;

use asasr_core::graph::nets::Compact;
use asasr_core::graph::{TypedGraph, conformance};
use asasr_core::model::{Dtype, Manifest, NetworkPart, Role, Weights, sha256_hex};
use image::{Rgb, RgbImage};

use super::{line, photo, text};

const FILE: &str = "network.safetensors";

/// A folder with a small community network whose last convolution is zero, so that it begins as its skip.
fn network(folder: &Path) {
    let compact = Compact {
        colours: 3,
        features: 8,
        convs: 1,
        scale: 4,
    };
    let graph = compact.graph().check().unwrap();
    let mut weights = conformance::weights(&graph, 1);
    for name in ["body.4.weight", "body.4.bias"] {
        let mut last = weights.get(name).unwrap().clone();
        last.values.fill(0.0);
        weights.insert(name.into(), last);
    }
    write(folder, Role::Community, graph, &weights);
}

fn write(folder: &Path, role: Role, graph: TypedGraph, weights: &Weights) {
    let bytes = weights.to_safetensors(Dtype::F32).unwrap();
    let part = NetworkPart {
        bytes: bytes.len(),
        sha256: sha256_hex(&bytes),
        ..NetworkPart::new(FILE, graph)
    };
    let manifest = Manifest {
        id: "small".into(),
        licence: "CC0-1.0".into(),
        networks: BTreeMap::from([(role, part)]),
        measured: None,
    };
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join(FILE), bytes).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
}

fn read(folder: &Path) -> Manifest {
    Manifest::from_json(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

/// The last value of a key in a run's metrics.
fn last(run: &Path, key: &str) -> f64 {
    let log = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let line: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    line[key].as_f64().unwrap()
}

/// Runs a stage on the photos of a folder.
fn train(folder: &Path, stage: &str, out: &str, rest: &str) -> Output {
    let words = format!("train {stage} --data @/data --val @/val --out @/{out} --batch 2 --patch 8 {rest}");
    line(folder, &words)
}

/// Runs a stage at once and in two parts, which makes the same.
fn resumes(folder: &Path, stage: &str, out: &str, rest: &str) {
    let run = train(folder, stage, out, &format!("{rest} --steps 4 --val-every 2"));
    assert!(run.status.success(), "{}", text(&run));
    let whole = fs::read(folder.join(out).join("checkpoint.safetensors")).unwrap();
    let parts = format!("{out}-parts");
    for part in ["--stop-after 2", "--resume"] {
        let run = train(
            folder,
            stage,
            &parts,
            &format!("{rest} --steps 4 --val-every 2 {part}"),
        );
        assert!(run.status.success(), "{}", text(&run));
    }
    let parts = fs::read(folder.join(parts).join("checkpoint.safetensors")).unwrap();
    assert_eq!(whole, parts, "{stage} resumes");
}

#[test]
fn a_network_for_videos_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    for (name, width, height, other) in [("data/one.png", 120, 90, 0), ("val/v.png", 64, 48, 5)] {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        // Tiles, whose edges can be learned.
        let tiles = RgbImage::from_fn(width, height, |x, y| {
            let tile = x / 7 * 31 + y / 6 * 17 + other;
            Rgb([37, 91, 53].map(|k| (tile * k % 256) as u8))
        });
        tiles.save(path(name)).unwrap();
    }
    let train = |out: &str, rest: &str| train(folder.path(), "video", out, rest);
    let clips = "--frames 2 --coded 0 --channels 8 --blocks 1";
    resumes(folder.path(), "video", "video", clips);
    let manifest = read(&path("video/best"));
    let part = manifest.network(Role::Recurrent).unwrap();
    assert_eq!((part.scale(), manifest.modes().count()), ((2, 1), 0));
    let longer =
        format!("{clips} --steps 200 --val-every 200 --optimiser muon --learning-rate 0.01 --warm-up 5");
    let run = train("longer", &longer);
    assert!(run.status.success(), "{}", text(&run));
    let [bicubic, ours] = ["psnr_y_bicubic", "psnr_y"].map(|key| last(&path("longer"), key));
    assert!(ours > bicubic + 0.05, "{ours} {bicubic}");
    let clips = "--frames 3 --coded 0 --steps 1 --val-every 1";
    for (out, rest) in [
        ("on", "--init @/longer/best"),
        ("larger", "--scale 4 --channels 4"),
    ] {
        let run = train(out, &format!("{rest} {clips}"));
        assert!(run.status.success(), "{}", text(&run));
    }
    // It has no mode for photos, and says so.
    let photo = line(
        folder.path(),
        "upscale @/val/v.png -o @/v.png --weights @/video/best",
    );
    assert!(text(&photo).contains("for videos alone"), "{}", text(&photo));
    for (rest, why) in [
        (
            "--init @/video/best --scale 4 --coded 0",
            "does not enlarge 4 times",
        ),
        ("--init @/video/best --blocks 2", "cannot be used with"),
        ("--scale 3", "--scale 2 or --scale 4"),
        ("--drawn 0.5", "cannot be used with"),
    ] {
        let run = train("bad", &format!("{rest} --steps 1"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{}",
            text(&run)
        );
    }
}

#[test]
fn a_network_of_format_2_is_trained_as_a_restorer_and_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n);
    fs::create_dir_all(path("data")).unwrap();
    fs::create_dir_all(path("val")).unwrap();
    photo(120, 90).save(path("data/one.png")).unwrap();
    photo(64, 48).save(path("val/v.png")).unwrap();
    network(&path("small"));
    let train = |stage: &str, out: &str, rest: &str| train(folder.path(), stage, out, rest);
    let good = |stage: &str, out: &str, rest: &str| resumes(folder.path(), stage, out, rest);
    good("restorer", "restorer", "--init @/small --loss l2 --clip 0.5");
    let restorer = read(&path("restorer/best"));
    assert!(restorer.network(Role::Restorer).unwrap().training.is_some());
    let one_step = "--init @/small --restorer @/restorer/best --features 4";
    good("one-step", "one-step", one_step);
    let manifest = read(&path("one-step/best"));
    let part = manifest.network(Role::OneStep).unwrap();
    assert_eq!((part.scale(), manifest.networks.len()), ((4, 1), 2));
    assert_eq!(part.sampling.unwrap().colour_anchor, Some(3.0));
    // What was made goes on as it is.
    let on = train(
        "one-step",
        "on",
        "--init @/one-step/best --features 4 --steps 1 --val-every 1",
    );
    assert!(on.status.success(), "{}", text(&on));

    // It learns: the error to the truth falls below that of its skip.
    let longer = "--init @/small --features 4 --steps 200 --val-every 200 --learning-rate 0.01 --warm-up 5 --adversarial-weight 0.01";
    let begun = train(
        "one-step",
        "begun",
        "--init @/small --features 4 --steps 1 --val-every 1 --learning-rate 1e-9",
    );
    let run = train("one-step", "longer", longer);
    assert!(begun.status.success() && run.status.success(), "{}", text(&run));
    let (before, after) = (last(&path("begun"), "l1"), last(&path("longer"), "l1"));
    assert!(after < 0.9 * before, "{before} {after}");

    for (stage, rest, why) in [
        ("one-step", "--init @/nowhere", "nowhere"),
        ("one-step", "--init @/small --restorer @/small", "no restorer"),
        ("one-step", "--init @/small --s 9", "s = 9"),
        ("restorer", "--init @/small --channels 8", "cannot be used with"),
    ] {
        let run = train(stage, "bad", &format!("{rest} --steps 1"));
        assert!(
            !run.status.success() && text(&run).contains(why),
            "{}",
            text(&run)
        );
    }
}
