//! Graphs on the device against their definition in `f64`. They run on whatever adapter there is, a software one (lavapipe) included;
//! without any the tests fail, for a green run must mean that the shaders ran.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::exec::Value;
use asasr_core::graph::nets::{
    Compact, Dat, Rrdb, Span, SpanInput, SwinIr, TransformerFrame, Upsampler, restorer, velocity,
};
use asasr_core::graph::{
    Builder, Graph, Kind, Op, Scale, Shape, Size, Tensor, TypedGraph, arbitrary, conformance, reference,
};
use asasr_core::model::{Architecture, GaussianSkip, VelocityArchitecture, Weights};
use asasr_core::{Error, graph::ops};
use asasr_shaders::{Gpu, Precision, Tuning, WgslNetwork};

/// Of the largest number of a result, or of 1 where that is less.
const TOLERANCE: f64 = 5e-5;

fn gpu() -> Gpu {
    pollster::block_on(Gpu::request(true)).expect("an adapter; see `cargo xtask doctor`")
}

fn value(tensor: &Tensor) -> Value {
    Value {
        shape: tensor.shape(),
        data: tensor.data().iter().map(|v| *v as f32).collect(),
    }
}

/// The largest difference in parts of the largest number.
fn difference(got: &Value, expected: &Tensor) -> f64 {
    assert_eq!(got.shape, expected.shape());
    let largest = expected.data().iter().fold(1.0_f64, |m, v| m.max(v.abs()));
    let pairs = got.data.iter().zip(expected.data());
    let worst = pairs.map(|(a, b)| (f64::from(*a) - b).abs() / largest);
    // What is no number is the worst of all.
    worst.fold(0.0, |a, b| if a.is_nan() || b <= a { a } else { b })
}

fn run(gpu: &Gpu, graph: &TypedGraph, weights: &Weights, size: Size, inputs: &[Tensor]) -> Vec<Value> {
    let network = WgslNetwork::new(gpu, graph, weights).unwrap();
    let given: Vec<Value> = inputs.iter().map(value).collect();
    pollster::block_on(network.run(size, &given)).unwrap()
}

/// The worst of a graph's outputs with random weights and inputs.
fn worst(gpu: &Gpu, graph: &TypedGraph, size: Size, seed: u64) -> f64 {
    let weights = conformance::weights(graph, seed);
    let inputs = conformance::inputs(graph, size, seed).unwrap();
    let expected = reference::run(graph, &weights, &inputs).unwrap();
    let got = run(gpu, graph, &weights, size, &inputs);
    assert_eq!(got.len(), expected.len());
    let all = got.iter().zip(&expected).map(|(g, e)| difference(g, e));
    all.fold(0.0, |a, b| if a.is_nan() || b <= a { a } else { b })
}

#[test]
fn every_operation_gives_its_definitions_numbers() {
    let gpu = gpu();
    let mut wrong = Vec::new();
    for case in conformance::cases().unwrap() {
        let got = run(&gpu, &case.graph, &case.weights, case.size, &case.inputs);
        let worst = difference(&got[0], &case.expected);
        if worst.is_nan() || worst >= TOLERANCE {
            wrong.push(format!("{}: {worst:.1e}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn random_graphs_give_the_references_numbers() {
    let gpu = gpu();
    let mut tried = 0;
    for seed in 0..60 {
        let graph = arbitrary::graph(seed, 14, |_| true);
        let multiple = graph.size_multiple();
        let size = Size::new(5 * multiple, 3 * multiple);
        if graph.shapes(size).is_err() || WgslNetwork::supports(&gpu, &graph).is_err() {
            continue;
        }
        tried += 1;
        // Norms of what hardly differs make rounding large.
        let worst = worst(&gpu, &graph, size, seed);
        assert!(worst < 1e-2, "{seed}: {worst}\n{graph:?}");
    }
    assert!(tried > 50, "{tried}");
}

fn near(name: &str, graph: Graph, sizes: &[(usize, usize)], limit: f64) {
    let gpu = gpu();
    let graph = graph.check().unwrap();
    for (width, height) in sizes {
        let worst = worst(&gpu, &graph, Size::new(*width, *height), 3);
        println!("{name} {width}x{height}: {worst:.1e}");
        assert!(worst < limit, "{name} {width}x{height}: {worst}");
    }
}

#[test]
fn restorers_run() {
    near(
        "restorer",
        restorer(&Architecture::restorer(4, 12, 2)).unwrap(),
        &[(17, 9), (1, 1), (3, 20)],
        TOLERANCE,
    );
}

#[test]
fn the_community_networks_run() {
    let compact = Compact {
        colours: 3,
        features: 16,
        convs: 3,
        scale: 4,
    };
    near("Compact", compact.graph(), &[(17, 9), (1, 5)], TOLERANCE);
    for gain in [None, Some(2)] {
        let span = Span {
            colours: 3,
            features: 12,
            scale: 2,
            gain,
            input: Some(SpanInput::of_authors()),
        };
        near("SPAN", span.graph(), &[(13, 9)], 1e-4);
    }
    for (doublings, unshuffle) in [(2, 1), (1, 2)] {
        let rrdb = Rrdb {
            colours: 3,
            features: 12,
            growth: 6,
            blocks: 1,
            doublings,
            unshuffle,
            plus: false,
        };
        near("RRDB", rrdb.graph(), &[(14, 8)], TOLERANCE);
    }
}

/// Heads of four channels, which are read as such, and of others.
#[test]
fn restoration_transformers_run() {
    let frame = |features| TransformerFrame {
        colours: 3,
        features,
        depths: vec![2, 1],
        unshuffle: 1,
        range: 1.0,
        three_convs: true,
        upsampler: Upsampler::Direct { factor: 2 },
    };
    for (features, heads) in [(24, [6, 3]), (60, [6, 6]), (20, [4, 20])] {
        let net = SwinIr {
            frame: frame(features),
            heads: heads.into(),
            window: 4,
            hidden: 2 * features,
            qkv_bias: true,
            embed_norm: true,
        };
        near("SwinIR", net.graph(), &[(16, 8), (9, 7)], 1e-4);
    }
    for (features, heads) in [(64, [8, 4]), (60, [6, 6])] {
        let net = Dat {
            frame: frame(features),
            heads: heads.into(),
            window: [2, 8],
            hidden: 2 * features,
            qkv_bias: false,
        };
        near("DAT", net.graph(), &[(16, 8), (9, 7)], 1e-4);
    }
}

#[test]
fn velocity_fields_run() {
    let skip = GaussianSkip {
        sigma: 0.1,
        rho: 0.05,
    };
    let conv = VelocityArchitecture::conv(4, 8, 2).with_skip(skip);
    near(
        "convolutional field",
        velocity(&conv).unwrap(),
        &[(9, 7), (1, 1)],
        TOLERANCE,
    );
    let dit = VelocityArchitecture::dit(2, 32, 2).with_skip(skip);
    near(
        "transformer field",
        velocity(&dit).unwrap(),
        &[(16, 8), (11, 13)],
        1e-4,
    );
}

/// Whatever a trial may choose computes the same.
#[test]
fn every_tuning_gives_the_same() {
    let dense: Vec<_> = conformance::cases()
        .unwrap()
        .into_iter()
        .filter(|case| {
            let node = case.graph.graph().nodes.iter().find(|n| n.name == "case");
            node.is_some_and(|n| matches!(n.op, Op::Conv(_) | Op::Linear(_)))
        })
        .collect();
    let gpu = gpu();
    for tuning in Tuning::all(gpu.has_half()) {
        let mut tuned = gpu.clone();
        tuned.set_tuning(tuning).unwrap();
        let (limit, share) = match tuning.precision {
            Precision::Full => (TOLERANCE, 1e-4),
            Precision::Half => (5e-3, 5e-2),
        };
        for case in &dense {
            let got = run(&tuned, &case.graph, &case.weights, case.size, &case.inputs);
            let worst = difference(&got[0], &case.expected);
            assert!(worst < limit, "{tuning}: {}: {worst}", case.name);
        }
        let field = velocity(&VelocityArchitecture::dit(2, 16, 1))
            .unwrap()
            .check()
            .unwrap();
        let worst = worst(&tuned, &field, Size::new(9, 16), 4);
        assert!(worst < share, "{tuning}: {worst}");
    }
}

/// Values that are given stay on the device between runs; one that is an output at once, or twice, comes out all the same.
#[test]
fn values_stay_on_the_device() {
    let mut b = Builder::new();
    let image = b.map("image", 3, Scale::ONE);
    let twice = b.node("twice", ops::Add {}, &[&image, &image]);
    let mut graph = b.output("twice", &twice);
    for (name, value) in [("again", "twice"), ("same", "image")] {
        graph.outputs.push(asasr_core::graph::Output {
            name: name.into(),
            value: value.into(),
        });
    }
    let gpu = gpu();
    let network = WgslNetwork::new(&gpu, &graph.check().unwrap(), &Weights::default()).unwrap();
    let size = Size::new(5, 3);
    let given = Value {
        shape: Shape {
            channels: 3,
            places: asasr_core::graph::Places::Map(size),
        },
        data: (0..45).map(|i| i as f32).collect(),
    };
    let times = |n: f32| -> Vec<f32> { given.data.iter().map(|v| n * v).collect() };
    pollster::block_on(async {
        let first = network.upload(&given).await.unwrap();
        let mut made = network.launch(size, &[&first]).await.unwrap();
        let (same, again) = (made.pop().unwrap(), made.pop().unwrap());
        let more = network.launch(size, &[&made[0]]).await.unwrap();
        assert_eq!(network.download(same).await.unwrap().data, times(1.0));
        assert_eq!(network.download(again).await.unwrap().data, times(2.0));
        for value in more.into_iter().take(2) {
            assert_eq!(network.download(value).await.unwrap().data, times(4.0));
        }
        let other = network.launch(Size::new(3, 5), &[&first]).await;
        assert!(matches!(other, Err(Error::Graph(_))));
    });
}

/// What the device has too few bindings for is refused by name, before anything is allocated.
#[test]
fn what_a_device_does_not_take_is_named() {
    let gpu = gpu();
    let mut b = Builder::new();
    let parts: Vec<String> = (0..12)
        .map(|i| b.map(&format!("part.{i}"), 3, Scale::ONE))
        .collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let all = b.node("all", ops::Concat {}, &parts);
    let graph = b.output("all", &all).check().unwrap();
    let refused = WgslNetwork::new(&gpu, &graph, &Weights::default()).unwrap_err();
    let Error::NotTaken { node, op, why } = &refused else {
        panic!("{refused}")
    };
    assert_eq!((node.as_str(), *op), ("all", "concat"));
    assert!(why.contains("14 buffers"), "{why}");
    assert_eq!(refused.message().code, "node-not-taken");

    let mut b = Builder::new();
    let image = b.map("image", 4096, Scale::ONE);
    let wide = b.node("wide", ops::Conv::new("wide", 8192, 3), &[&image]);
    let graph = b.output("wide", &wide).check().unwrap();
    assert!(graph.types().iter().all(|t| t.kind == Kind::Map));
    let refused = WgslNetwork::supports(&gpu, &graph).unwrap_err();
    assert!(
        matches!(&refused, Error::NotTaken { node, .. } if node == "wide"),
        "{refused}"
    );
}
