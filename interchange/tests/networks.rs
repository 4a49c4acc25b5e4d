//! Every architecture and naming against its authors' code, by fixtures that `fixtures/make.py` writes.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::exec::{CpuNetwork, Scratch, Value};
use asasr_core::graph::{Places, Shape, Size, Tensor as Wide, reference};
use asasr_core::model::{Dtype, Tensor, Weights};
use asasr_core::random::SplitMix64;
use asasr_interchange::{Error, File, Model, read};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

const FIXTURES: &str = include_str!("fixtures/networks.json");

/// As `make.py` has it: numbers in [-1, 1) that depend on a name.
fn numbers(name: &str, count: usize) -> Vec<f64> {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut random = SplitMix64::new(hash);
    (0..count)
        .map(|_| (random.next_u64() >> 40) as f64 / f64::from(1 << 23) - 1.0)
        .collect()
}

fn tensor(name: &str, shape: &[usize]) -> Tensor {
    let mut values = numbers(name, shape.iter().product());
    let fan_in: usize = shape[1..].iter().product();
    for value in &mut values {
        *value = if shape.len() > 1 {
            *value * (3.0 / fan_in as f64).sqrt()
        } else if name.contains("norm") && name.ends_with("weight") {
            1.0 + *value / 4.0
        } else {
            *value / 4.0
        };
    }
    Tensor {
        shape: shape.to_vec(),
        values: values.into_iter().map(|v| v as f32).collect(),
    }
}

struct Fixture {
    name: String,
    weights: Weights,
    shape: [usize; 3],
    output: Vec<f32>,
}

fn fixtures() -> Vec<Fixture> {
    let all: Vec<Json> = serde_json::from_str(FIXTURES).unwrap();
    let usizes = |v: &Json| -> Vec<usize> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap() as usize)
            .collect()
    };
    let one = |f: &Json| {
        let mut weights = Weights::default();
        for pair in f["tensors"].as_array().unwrap() {
            let name = pair[0].as_str().unwrap();
            weights.insert(name.into(), tensor(name, &usizes(&pair[1])));
        }
        let bytes = STANDARD.decode(f["output"].as_str().unwrap()).unwrap();
        Fixture {
            name: f["name"].as_str().unwrap().into(),
            weights,
            shape: usizes(&f["shape"]).try_into().unwrap(),
            output: bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        }
    };
    all.iter().map(one).collect()
}

fn opened(weights: &Weights) -> Result<Model, Error> {
    let bytes = weights.to_safetensors(Dtype::F32).unwrap();
    let name = "model.safetensors";
    read(&[File { name, bytes: &bytes }])
}

const SIZE: Size = Size::new(8, 6);

/// What the processor's executor makes of the fixtures' image, and the definition in `f64`.
fn run(model: &Model) -> (Vec<f32>, Vec<f64>) {
    let multiple = model.graph.size_multiple();
    assert_eq!(
        (SIZE.width % multiple.min(2), SIZE.height % multiple.min(2)),
        (0, 0)
    );
    // As `make.py` does not, sizes are filled up by reflection: here by hand, and cut off again.
    let size = SIZE.on_grid(multiple);
    let image = asasr_core::Planes::new(
        3,
        SIZE.height,
        SIZE.width,
        numbers("image", 3 * SIZE.pixels())
            .iter()
            .map(|v| (v / 2.0 + 0.5) as f32)
            .collect(),
    );
    let image = image.unwrap().reflected(size);
    let shape = Shape {
        channels: 3,
        places: Places::Map(size),
    };
    let value = Value {
        shape,
        data: image.data().to_vec(),
    };
    let network = CpuNetwork::new(&model.graph, model.weights.clone()).unwrap();
    let made = network
        .run(size, &[value], &mut Scratch::default())
        .unwrap()
        .remove(0);
    let wide = Wide::new(shape, image.data().iter().map(|v| f64::from(*v)).collect());
    let defined = reference::run(&model.graph, &model.weights, &[wide.unwrap()]).unwrap();
    let scale = model.graph.output_scale(0).terms().0;
    let (whole, part) = (size.times(scale), SIZE.times(scale));
    let kept = |i: &usize| i % whole.width < part.width && i / whole.width % whole.height < part.height;
    let indices: Vec<usize> = (0..3 * whole.pixels()).filter(kept).collect();
    (
        indices.iter().map(|i| made.data[*i]).collect(),
        indices.iter().map(|i| defined[0].data()[*i]).collect(),
    )
}

#[test]
fn every_architecture_gives_its_authors_numbers() {
    for Fixture {
        name,
        weights,
        shape,
        output,
    } in fixtures()
    {
        let model = opened(&weights).unwrap_or_else(|e| panic!("{name}: {e}"));
        let own = name.split(' ').next().unwrap();
        assert!(
            model.architecture.starts_with(own.trim_end_matches('+')),
            "{name}: {}",
            model.architecture
        );
        assert_eq!(model.architecture.contains('+'), name.contains('+'), "{name}");
        let scale = model.graph.output_scale(0).terms().0;
        assert_eq!(shape, [3, SIZE.height * scale, SIZE.width * scale], "{name}");
        let (made, defined) = run(&model);
        let range = output.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
        for ((made, defined), theirs) in made.iter().zip(&defined).zip(&output) {
            let within = 1e-4 * range;
            assert!((made - theirs).abs() < within, "{name}: {made} {theirs}");
            assert!(
                (*defined as f32 - theirs).abs() < within,
                "{name}: {defined} {theirs}"
            );
        }
    }
}

/// A tensor that is missing, of another shape or too many is named; none of it is left aside.
#[test]
fn what_does_not_fit_is_named() {
    for Fixture { name, weights, .. } in fixtures() {
        let (some, _) = weights
            .iter()
            .find(|(n, _)| n.contains("conv") || n.contains("body"))
            .unwrap();
        let mut more = weights.clone();
        more.insert("surplus.weight".into(), tensor("surplus.weight", &[2, 2]));
        let told = opened(&more).unwrap_err().to_string();
        assert!(told.contains("surplus.weight"), "{name}: {told}");
        let mut other = weights.clone();
        other.get_mut(some).unwrap().shape.push(1);
        assert!(opened(&other).is_err(), "{name}: {some}");
        let mut fewer = Weights::default();
        for (n, t) in weights.iter().filter(|(n, _)| *n != some) {
            fewer.insert(n.clone(), t.clone());
        }
        // A fold that is kept beside its branches is not needed.
        assert!(
            opened(&fewer).is_err() || some.contains("eval_conv"),
            "{name}: without {some}"
        );
    }
}

#[test]
fn networks_that_do_not_run_are_named() {
    let named = |names: &[&str]| {
        let mut weights = Weights::default();
        for name in names {
            weights.insert((*name).into(), tensor(name, &[2, 2]));
        }
        opened(&weights).unwrap_err()
    };
    let hat = named(&[
        "layers.0.residual_group.overlap_attn.relative_position_bias_table",
        "conv_first.weight",
    ]);
    assert!(
        matches!(hat, Error::Unsupported { architecture: "HAT" }),
        "{hat:?}"
    );
    assert!(hat.to_string().starts_with("this is a HAT model"), "{hat}");
    let other = named(&["encoder.a", "encoder.b"]);
    assert!(
        matches!(&other, Error::Unknown { tensors } if tensors == "encoder.a, encoder.b"),
        "{other:?}"
    );
}
