//! `SwinIR` and DAT as files have them: they are recognised, and compute what spandrel computes (`fixtures/make_transformers.py`).
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::HashMap;

use asasr_core::exec::{CpuNetwork, Scratch, Value};
use asasr_core::graph::{Places, Shape, Size, Tensor, reference};
use asasr_interchange::{Error, File, Model, read};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Of the largest number of a result.
const TOLERANCE: f64 = 1e-4;

const FIXTURES: [(&str, &[u8], &str, usize); 7] = [
    (
        "swinir-classical",
        include_bytes!("fixtures/transformer-swinir-classical.safetensors"),
        "SwinIR 12dim 4nb 4ws",
        2,
    ),
    (
        "swinir-light",
        include_bytes!("fixtures/transformer-swinir-light.safetensors"),
        "SwinIR 12dim 4nb 8ws",
        3,
    ),
    (
        "swinir-real",
        include_bytes!("fixtures/transformer-swinir-real.safetensors"),
        "SwinIR 12dim 4nb 4ws",
        4,
    ),
    (
        "swinir-jpeg",
        include_bytes!("fixtures/transformer-swinir-jpeg.safetensors"),
        "SwinIR 12dim 4nb 7ws",
        1,
    ),
    (
        "swinir-unshuffle",
        include_bytes!("fixtures/transformer-swinir-unshuffle.safetensors"),
        "SwinIR 12dim 4nb 4ws",
        2,
    ),
    (
        "dat-light",
        include_bytes!("fixtures/transformer-dat-light.safetensors"),
        "DAT 64dim 4nb 4x8",
        2,
    ),
    (
        "dat-full",
        include_bytes!("fixtures/transformer-dat-full.safetensors"),
        "DAT 64dim 4nb 3x6",
        2,
    ),
];

/// As the script's `numbers`.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let number = |i: u64| {
        let mut h = i * 2_654_435_761 + seed * 40503 + 12345;
        for _ in 0..2 {
            h = (h ^ (h >> 16)).wrapping_mul(73_244_475) % (1 << 32);
        }
        ((h ^ (h >> 16)) % (1 << 16)) as f32 / 65536.0 - 0.5
    };
    (0..count as u64).map(number).collect()
}

/// As the script's `weight`.
fn weight(seed: u64, name: &str, shape: &[usize]) -> Vec<f32> {
    let kind = name.rsplit('.').next().unwrap();
    let x = numbers(seed, shape.iter().product()).into_iter();
    if ["running_var", "temperature"].contains(&kind) || kind == "weight" && shape.len() == 1 {
        return x.map(|x| 1.0 + x).collect();
    }
    let fan_in: usize = if kind.contains("table") || shape.is_empty() {
        1
    } else {
        shape[1..].iter().product()
    };
    let scale = 2.0 / ((fan_in as f64).log2() / 2.0).floor().exp2();
    x.map(|x| x * scale as f32).collect()
}

/// A file as it is taken apart and changed.
#[derive(Clone)]
struct Parts {
    tensors: HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Parts {
    fn bytes(&self) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (kind, shape, bytes))| {
            (
                name.as_str(),
                TensorView::new(*kind, shape.clone(), bytes).unwrap(),
            )
        });
        safetensors::serialize(views, None).unwrap()
    }

    fn read(&self) -> Result<Model, Error> {
        let bytes = self.bytes();
        let (name, bytes) = ("model.safetensors", bytes.as_slice());
        read(&[File { name, bytes }])
    }
}

struct Fixture {
    parts: Parts,
    size: Size,
    output: Vec<f32>,
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The file whose tensors a fixture names, and the result.
fn fixture(bytes: &[u8]) -> Fixture {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let told = metadata.metadata().clone().unwrap();
    let held = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors = HashMap::new();
    for (seed, line) in told["tensors"].lines().enumerate() {
        let mut words = line.split(' ');
        let name = words.next().unwrap().to_owned();
        let shape: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
        let unread = ["index", "mask", "mask_0", "mask_1", "tracked"];
        let own = if let Ok(held) = held.tensor(&name) {
            (held.dtype(), held.data().to_vec())
        } else if unread.iter().any(|end| name.ends_with(end)) {
            (Dtype::I64, vec![0; 8 * shape.iter().product::<usize>()])
        } else {
            (Dtype::F32, floats(&weight(seed as u64, &name, &shape)))
        };
        tensors.insert(name, (own.0, shape, own.1));
    }
    let sides: Vec<usize> = told["size"].split(' ').map(|n| n.parse().unwrap()).collect();
    let output = held.tensor("output").unwrap();
    let output = output.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
    Fixture {
        parts: Parts { tensors },
        size: Size::new(sides[0], sides[1]),
        output: output.collect(),
    }
}

fn image(size: Size) -> Value {
    let numbers = numbers(999, 3 * size.pixels()).into_iter();
    Value {
        shape: Shape {
            channels: 3,
            places: Places::Map(size),
        },
        data: numbers.map(|x| x + 0.5).collect(),
    }
}

/// By the processor's executor, and by the definition.
fn run(model: &Model, size: Size) -> (Vec<f64>, Vec<f64>) {
    let network = CpuNetwork::new(&model.graph, model.weights.clone()).unwrap();
    let image = image(size);
    let mut got = network
        .run(size, std::slice::from_ref(&image), &mut Scratch::default())
        .unwrap();
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let given = Tensor::new(image.shape, wide(&image.data)).unwrap();
    let defined = reference::run(&model.graph, &model.weights, &[given]).unwrap();
    (wide(&got.pop().unwrap().data), defined[0].data().to_vec())
}

/// The largest difference in parts of the largest number.
fn difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let pairs = got.iter().zip(expected);
    // What is no number is the worst of all.
    let worst = pairs.map(|(a, b)| (a - b).abs() / largest);
    worst.fold(0.0, |a, b| if a.is_nan() || b <= a { a } else { b })
}

#[test]
fn files_are_recognised_and_compute_what_spandrel_computes() {
    for (name, bytes, architecture, scale) in FIXTURES {
        let fixture = fixture(bytes);
        let model = fixture.parts.read().unwrap();
        assert_eq!(model.architecture, architecture, "{name}");
        assert_eq!(model.graph.output_scale(0).terms(), (scale, 1), "{name}");
        let expected: Vec<f64> = fixture.output.iter().map(|v| f64::from(*v)).collect();
        let (got, defined) = run(&model, fixture.size);
        let [own, by_definition] = [&got, &defined].map(|got| difference(got, &expected));
        println!("{name}: {own:.1e} and by definition {by_definition:.1e}");
        assert!(own < TOLERANCE && by_definition < TOLERANCE, "{name}");
    }
}

/// Where the sides are no whole windows, the executor and the definition agree.
#[test]
fn images_of_any_size_run() {
    for (name, bytes, _, scale) in FIXTURES {
        let fixture = fixture(bytes);
        let model = fixture.parts.read().unwrap();
        let multiple = model.graph.size_multiple();
        for size in [Size::new(5, 11), Size::new(1, 1), Size::new(17, 2)] {
            let size = size.times(multiple);
            let (got, defined) = run(&model, size);
            assert_eq!(got.len(), 3 * size.times(scale).pixels());
            let worst = difference(&got, &defined);
            assert!(worst < TOLERANCE, "{name} {size:?}: {worst}");
        }
    }
}

#[test]
fn what_differs_from_the_architecture_is_named() {
    for (name, bytes, architecture, _) in FIXTURES {
        let Fixture { parts, .. } = fixture(bytes);
        let known = architecture.split(' ').next().unwrap();
        let refused = |parts: &Parts, what: &str| match parts.read() {
            Err(Error::Tensor { architecture, why }) => {
                assert_eq!(architecture, known, "{name}");
                assert!(why.contains(what), "{name}: {why}");
            }
            other => panic!("{name} {what}: {other:?}"),
        };
        let mut more = parts.clone();
        more.tensors
            .insert("absolute_pos_embed".into(), (Dtype::F32, vec![1], vec![0; 4]));
        refused(&more, "absolute_pos_embed");
        // Whatever is read is needed.
        let needed: Vec<&String> = parts
            .tensors
            .iter()
            .filter(|(_, t)| t.0 == Dtype::F32)
            .map(|(n, _)| n)
            .collect();
        for missing in needed
            .into_iter()
            .filter(|n| n.contains("blocks.1.") || n.contains("conv"))
        {
            let mut less = parts.clone();
            less.tensors.remove(missing);
            assert!(less.read().is_err(), "{name} without {missing}");
        }
        let mut wrong = parts.clone();
        let norm = wrong.tensors.get_mut("norm.weight").unwrap();
        norm.1 = vec![1, norm.1[0]];
        refused(&wrong, "norm.weight");
        // Without what only a training needs, it is the same.
        let mut bare = parts.clone();
        bare.tensors.retain(|_, t| t.0 == Dtype::F32);
        assert_eq!(
            bare.read().unwrap().weights,
            parts.read().unwrap().weights,
            "{name}"
        );
    }
    let mut wrong = fixture(FIXTURES[5].1).parts;
    let distances = "layers.0.blocks.0.attn.attns.0.rpe_biases";
    wrong.tensors.get_mut(distances).unwrap().2.fill(0);
    assert!(matches!(wrong.read(), Err(Error::Tensor { why, .. }) if why.contains(distances)));
}

/// Others of the family have tensors that tell them.
#[test]
fn relatives_are_told_apart() {
    let group = "layers.0.residual_group";
    let relatives = [
        (
            0,
            "HAT",
            format!("{group}.overlap_attn.relative_position_bias_table"),
        ),
        (
            0,
            "SRFormer",
            format!("{group}.blocks.0.attn.aligned_relative_position_index"),
        ),
        (5, "RGT", "layers.0.blocks.0.gamma".into()),
    ];
    for (like, name, mark) in relatives {
        let mut parts = fixture(FIXTURES[like].1).parts;
        parts.tensors.insert(mark, (Dtype::F32, vec![1], vec![0; 4]));
        let answer = parts.read().map(|model| model.architecture);
        assert_eq!(answer, Err(Error::Unsupported { architecture: name }));
    }
    let mut parts = fixture(FIXTURES[0].1).parts;
    let table = format!("{group}.blocks.0.attn.relative_position_bias_table");
    let own = parts.tensors.remove(&table).unwrap();
    parts
        .tensors
        .insert(format!("{group}.blocks.0.attn.logit_scale"), own);
    let answer = parts.read().map(|model| model.architecture);
    assert_eq!(
        answer,
        Err(Error::Unsupported {
            architecture: "Swin2SR"
        })
    );
}
