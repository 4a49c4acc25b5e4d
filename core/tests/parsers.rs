//! Files from anywhere: a manifest or weights that are none are refused, and none takes the program down.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::flow::Source;
use asasr_core::model::format1::{self, FlowPart, MANIFEST_FORMAT};
use asasr_core::model::{
    Architecture, Dtype, Manifest, Tensor, Training, VelocityArchitecture, Weights, sha256_hex,
};
use proptest::prelude::*;
use serde_json::Value;

const CASES: u32 = 4000;

fn weights(parameters: Vec<asasr_core::model::ParameterShape>) -> Vec<u8> {
    let mut weights = Weights::default();
    for p in parameters {
        let values = vec![0.5; p.len()];
        weights.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    weights.to_safetensors(Dtype::F16).unwrap()
}

/// A model with a flow, and its files.
fn model() -> (format1::Manifest, [Vec<u8>; 2]) {
    let (architecture, field) = (
        Architecture::restorer(4, 4, 1),
        VelocityArchitecture::conv(4, 4, 1),
    );
    let files = [weights(architecture.parameters()), weights(field.parameters())];
    let training = Training {
        command: "none".into(),
        steps: 0,
        images: 0,
    };
    let manifest = format1::Manifest {
        format: MANIFEST_FORMAT,
        id: "test".into(),
        licence: "CC0-1.0".into(),
        file: "restorer.safetensors".into(),
        bytes: files[0].len(),
        sha256: sha256_hex(&files[0]),
        parameters: architecture.parameter_count(),
        architecture,
        training: training.clone(),
        measured: None,
        flow: Some(FlowPart {
            file: "flow.safetensors".into(),
            bytes: files[1].len(),
            sha256: sha256_hex(&files[1]),
            parameters: field.parameter_count(),
            architecture: field,
            source: Source::default(),
            s: 1.5,
            steps: 28,
            colour_anchor: None,
            training,
        }),
        fast: None,
    };
    (manifest, files)
}

/// Its manifest in either format.
fn json(of_graphs: bool) -> String {
    let (old, _) = model();
    if of_graphs {
        return Manifest::try_from(old).unwrap().to_json().unwrap();
    }
    old.to_json().unwrap()
}

#[test]
fn format_1_is_read_as_graphs_of_the_same_files() {
    let (old, files) = model();
    let manifest = Manifest::from_json(json(false).as_bytes()).unwrap();
    assert_eq!(manifest, Manifest::from_json(json(true).as_bytes()).unwrap());
    let own: Vec<(&str, usize, &str)> = manifest
        .files()
        .iter()
        .map(|f| (f.name, f.bytes, f.sha256))
        .collect();
    let before: Vec<(&str, usize, &str)> = old.files().iter().map(|f| (f.name, f.bytes, f.sha256)).collect();
    assert_eq!(own, before);
    for (file, bytes) in manifest.files().iter().zip(&files) {
        file.open(bytes).unwrap();
    }
    assert!(manifest.modes().eq(old.modes()));
    for mode in manifest.modes() {
        let sampled = manifest
            .sampler(mode)
            .map(|(part, steps)| (part.sampling.unwrap(), steps));
        assert_eq!(
            sampled,
            old.flow_of(mode).map(|(part, steps)| (part.into(), steps))
        );
    }
    assert_eq!(manifest.scale().unwrap(), old.architecture.scale);
}

#[test]
fn the_models_published_so_far_are_read() {
    let mut networks = 0;
    for line in include_str!("corpus/published.txt")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let (old, manifest) = (
            format1::Manifest::from_json(line.as_bytes()).unwrap(),
            Manifest::from_json(line.as_bytes()).unwrap(),
        );
        assert_eq!((manifest.scale().unwrap(), &manifest.id), (4, &old.id));
        assert!(manifest.modes().eq(old.modes()));
        let parts = [old.flow, old.fast].into_iter().flatten();
        let counts = [old.parameters]
            .into_iter()
            .chain(parts.map(|part| part.parameters));
        let own = manifest
            .networks
            .values()
            .map(|part| part.graph.parameter_count() as usize);
        assert!(own.eq(counts), "{}", old.id);
        networks += manifest.networks.len();
        // As a manifest of format 2 it is the same.
        let again = Manifest::from_json(manifest.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(again, manifest);
    }
    assert_eq!(networks, 22);
}

/// Whatever is accepted has names that stay in their folder and opens the right bytes only.
fn is_sound(json: &[u8]) -> bool {
    let Ok(manifest) = Manifest::from_json(json) else {
        return false;
    };
    for file in manifest.files() {
        assert!(
            !file.name.contains(['/', '\\', ':', '\0', '%', '?', '#']),
            "{}",
            file.name
        );
        assert!(!file.name.starts_with('.') && file.sha256.len() == 64);
        assert!(file.open(b"other bytes").is_err());
    }
    assert!(manifest.modes().count() > 0);
    true
}

#[test]
fn the_corpus_is_refused() {
    for line in include_str!("corpus/manifests.txt")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        assert!(!is_sound(line.as_bytes()), "{line}");
    }
    for line in include_str!("corpus/safetensors.txt")
        .lines()
        .filter(|l| !l.starts_with('#'))
    {
        let [stated, header, zeros] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let length: u64 = stated.parse().unwrap_or(header.len() as u64);
        let zeros = vec![0; zeros.parse().unwrap()];
        let bytes = [&length.to_le_bytes(), header.as_bytes(), &zeros[..]].concat();
        let read = Weights::from_safetensors(&bytes);
        // What is a file is none of ours.
        let wanted = Architecture::restorer(4, 4, 1).parameters();
        assert!(read.and_then(|w| w.check(&wanted)).is_err(), "{line}");
    }
}

/// One place in a JSON value: the how-manieth of all.
fn change(value: &mut Value, left: &mut usize, with: &Value) -> bool {
    if *left == 0 {
        *value = with.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|v| change(v, left, with)),
        Value::Object(items) => items.values_mut().any(|v| change(v, left, with)),
        _ => false,
    }
}

fn odd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop_oneof![
            Just(0),
            Just(1),
            Just(u64::MAX),
            Just(1 << 32),
            Just(1 << 62),
            any::<u64>(),
            0..100_u64
        ]
        .prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![
            Just(0.0),
            Just(-1.5),
            Just(1e308),
            Just(f64::MIN_POSITIVE),
            any::<f64>()
        ]
        .prop_map(Value::from),
        prop_oneof![
            "\\PC{0,12}",
            Just("../x".to_owned()),
            Just("conv".into()),
            Just("add".into())
        ]
        .prop_map(Value::from),
        Just(Value::Array(Vec::new())),
        Just(Value::Object(serde_json::Map::new())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn manifests_with_other_values(changes in prop::collection::vec((0..400_usize, odd()), 1..4), of_graphs in any::<bool>()) {
        let mut json: Value = serde_json::from_str(&json(of_graphs)).unwrap();
        for (place, with) in changes {
            change(&mut json, &mut place.clone(), &with);
        }
        is_sound(json.to_string().as_bytes());
    }

    #[test]
    fn manifests_with_other_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), whole in any::<bool>(), of_graphs in any::<bool>()) {
        let mut json = json(of_graphs).into_bytes();
        for (place, byte) in changes {
            let at = place.index(json.len());
            json[at] = byte;
        }
        if !whole {
            json.truncate(cut.index(json.len()));
        }
        is_sound(&json);
    }

    #[test]
    fn weights_with_other_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), head in any::<bool>(), cut in any::<prop::sample::Index>(), whole in any::<bool>()) {
        let (manifest, [mut bytes, _]) = model();
        // The header is a small part of the file, and the interesting one.
        let reach = if head { 600.min(bytes.len()) } else { bytes.len() };
        for (place, byte) in changes {
            bytes[place.index(reach)] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(weights) = Weights::from_safetensors(&bytes) {
            let _ = weights.check(&manifest.architecture.parameters());
        }
    }
}
