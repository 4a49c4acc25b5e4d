//! PEFT and this crate read each other's adapters.

use std::path::{Path, PathBuf};

use asasr_core::model::{
    Dtype, LoraAdapter, LoraConfig, ParameterShape, Tensor, VelocityArchitecture, Weights,
};
use asasr_core::random::SplitMix64;

fn parameters() -> Vec<ParameterShape> {
    let VelocityArchitecture::Conv(mut a) = VelocityArchitecture::conv(2, 3, 1) else {
        panic!("convolutions")
    };
    a.time_features = 8;
    VelocityArchitecture::Conv(a).parameters()
}

fn base() -> Weights {
    let mut random = SplitMix64::new(6);
    let mut weights = Weights::default();
    for p in parameters() {
        let values = (0..p.len()).map(|_| random.normal() as f32).collect();
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    weights
}

fn weights(path: &Path) -> Weights {
    Weights::from_safetensors(&std::fs::read(path).expect("is there")).expect("reads")
}

fn adapter(folder: &Path) -> LoraAdapter {
    let config = std::fs::read_to_string(folder.join("adapter_config.json")).expect("is there");
    let model = std::fs::read(folder.join("adapter_model.safetensors")).expect("is there");
    LoraAdapter::from_peft(&config, &model, &parameters()).expect("reads")
}

fn assert_same(a: &Weights, b: &Weights) {
    assert_eq!(a.iter().count(), b.iter().count());
    for (name, t) in a.iter() {
        let other = b.get(name).expect("in both");
        let worst = t
            .values
            .iter()
            .zip(&other.values)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

#[test]
fn an_adapter_that_peft_wrote_merges_as_peft_merges_it() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peft");
    let adapter = adapter(&folder);
    assert_eq!((adapter.rank(), adapter.scaling()), (2, 1.5));
    assert!(
        adapter
            .modules()
            .keys()
            .eq(["blocks.0.conv1", "blocks.0.film", "time.0"])
    );
    let mut merged = base();
    adapter.merge(&mut merged, 1.0).expect("fits");
    assert_same(&merged, &weights(&folder.join("merged.safetensors")));
}

/// The adapter that `ours/` holds.
fn ours() -> LoraAdapter {
    let mut adapter = LoraAdapter::new(&LoraConfig::new(4), &parameters(), 1).expect("fits");
    let mut random = SplitMix64::new(2);
    for module in adapter.modules_mut() {
        module
            .b_mut()
            .iter_mut()
            .for_each(|v| *v = random.normal() as f32);
    }
    adapter
}

#[test]
fn peft_merged_the_adapter_that_is_written_here() {
    // `ours/` is what `to_peft` wrote once and what PEFT then merged it to: as long as the files stay the same, so does
    // what PEFT makes of them.
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/peft/ours");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("is there");
    let (config, model) = ours().to_peft(Dtype::F32).expect("writes");
    assert_eq!(config.as_bytes(), read("adapter_config.json"));
    assert_eq!(model, read("adapter_model.safetensors"));
    let mut merged = base();
    ours().merge(&mut merged, 1.0).expect("fits");
    assert_same(&merged, &weights(&folder.join("merged.safetensors")));
}

/// Runs `with_peft.py`; `ASASR_PYTHON` is a Python that has peft and torch.
fn python(what: &str, folder: &Path) {
    let program = std::env::var("ASASR_PYTHON").unwrap_or_else(|_| "python3".into());
    let status = std::process::Command::new(program)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peft/with_peft.py"))
        .arg(what)
        .arg(folder)
        .status()
        .expect("starts");
    assert!(status.success());
}

#[test]
#[ignore = "needs a Python with peft and torch, a download of gigabytes; ASASR_PYTHON names it"]
fn peft_itself_reads_what_is_written_here_and_the_other_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let file = base().to_safetensors(Dtype::F32).expect("writes");
    std::fs::write(path("base.safetensors"), file).expect("is written");

    let (config, model) = ours().to_peft(Dtype::F32).expect("writes");
    std::fs::write(path("adapter_config.json"), config).expect("is written");
    std::fs::write(path("adapter_model.safetensors"), model).expect("is written");
    python("merge", folder.path());
    let mut merged = base();
    ours().merge(&mut merged, 1.0).expect("fits");
    assert_same(&merged, &weights(&path("merged.safetensors")));

    python("make", folder.path());
    let mut merged = base();
    adapter(folder.path()).merge(&mut merged, 1.0).expect("fits");
    assert_same(&merged, &weights(&path("merged.safetensors")));
}
