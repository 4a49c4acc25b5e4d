//! The kernels against the same networks on burn's CPU backend. They run on whatever adapter there is, a software
//! one (lavapipe) included; without any the tests fail, for a green run must mean that the shaders ran.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use std::cell::RefCell;
use std::time::Instant;

use asasr_core::graph::{TypedGraph, nets};
use asasr_core::pipeline::{Event, Options, OutputScale, enlarge, whole};
use asasr_core::{
    Error, Executor, Planes, Rect, Size,
    flow::{Drawing, Sampler, Source},
    model::{
        Activation, Architecture, FlowPart, GaussianSkip, Layer, ParameterShape, Skip, Tensor, Training,
        VelocityArchitecture, Weights,
    },
    nn::{BurnExecutor, GraphFlow, GraphNetwork, Network},
};
use asasr_shaders::{Gpu, GpuExecutor, GpuFlow, Precision, Tuning};
use burn::tensor::Device;

/// A plain stream of values in `[-1, 1]`.
fn values(seed: usize, n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
        .collect()
}

fn weights(parameters: &[ParameterShape]) -> Weights {
    let mut all = Weights::default();
    for (i, p) in parameters.iter().enumerate() {
        let fan_in = p.shape[1..].iter().product::<usize>().max(4) as f32;
        let values = values(i + 1, p.len()).iter().map(|v| v / fan_in.sqrt()).collect();
        let shape = p.shape.clone();
        all.insert(p.name.clone(), Tensor { shape, values });
    }
    all
}

fn difference(a: &Planes, b: &Planes) -> f32 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let pairs = a.data().iter().zip(b.data());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, worse)
}

/// What is no number is the worst of all: no limit is above it.
fn worse(a: f32, b: f32) -> f32 {
    if a.is_nan() || b <= a { a } else { b }
}

fn image(width: usize, height: usize) -> Planes {
    let data = values(0, 3 * width * height)
        .iter()
        .map(|v| v * 0.5 + 0.5)
        .collect();
    Planes::new(3, height, width, data).unwrap()
}

fn restorer_graph(architecture: &Architecture) -> TypedGraph {
    nets::restorer(architecture).unwrap().check().unwrap()
}

fn field_graph(part: &FlowPart) -> TypedGraph {
    nets::velocity(&part.architecture).unwrap().check().unwrap()
}

fn gpu() -> Gpu {
    pollster::block_on(Gpu::request(true)).expect("an adapter; see `cargo xtask doctor`")
}

fn worst(architecture: &Architecture, sizes: &[(usize, usize)]) -> f32 {
    worst_on(gpu(), architecture, sizes)
}

fn worst_on(gpu: Gpu, architecture: &Architecture, sizes: &[(usize, usize)]) -> f32 {
    let weights = weights(&architecture.parameters());
    let shaders = GpuExecutor::new(gpu, &restorer_graph(architecture), &weights).unwrap();
    let cpu = BurnExecutor::new(Network::new(architecture, &weights, &Device::flex()).unwrap());
    let mut worst = 0.0f32;
    for (width, height) in sizes {
        let image = image(*width, *height);
        let place = Rect::whole(*width, *height);
        let a = pollster::block_on(shaders.run(&image, place, &|_, _| true)).unwrap();
        let b = pollster::block_on(cpu.run(&image, place, &|_, _| true)).unwrap();
        worst = worse(worst, difference(&a, &b));
    }
    worst
}

fn conv(name: &str, inputs: usize, outputs: usize, kernel: usize, activation: Activation) -> Layer {
    Layer::Conv {
        name: name.into(),
        inputs,
        outputs,
        kernel,
        activation,
    }
}

#[test]
fn single_convolutions_agree() {
    for kernel in [1, 3] {
        for activation in [
            Activation::None,
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Prelu,
        ] {
            for scale in [2, 3, 4] {
                let layers = vec![conv("only", 3, 3 * scale * scale, kernel, activation)];
                let architecture = Architecture {
                    scale,
                    skip: Skip::None,
                    layers,
                };
                let worst = worst(&architecture, &[(5, 3)]);
                assert!(worst < 1e-5, "{kernel}x{kernel} {activation:?} x{scale}: {worst}");
            }
        }
    }
}

#[test]
fn the_skip_alone_agrees() {
    let layers = vec![conv("only", 3, 48, 1, Activation::None)];
    let architecture = Architecture {
        scale: 4,
        skip: Skip::Bicubic,
        layers,
    };
    let worst = worst(&architecture, &[(1, 1), (2, 1), (1, 3), (2, 2), (9, 7)]);
    assert!(worst < 1e-5, "{worst}");
}

/// Tiles of many sizes through one executor: buffers grow and are shared.
#[test]
fn whole_restorers_agree() {
    for (channels, blocks) in [(48, 6), (20, 2), (6, 1)] {
        let architecture = Architecture::restorer(4, channels, blocks);
        let worst = worst(&architecture, &[(16, 16), (33, 17), (1, 1), (7, 40)]);
        assert!(worst < 1e-3, "{channels} channels: {worst}");
    }
}

/// Whatever a trial may choose makes the same image.
#[test]
fn every_tuning_agrees() {
    let architecture = Architecture::restorer(4, 48, 6);
    for tuning in Tuning::all(gpu().has_half()) {
        let mut gpu = gpu();
        gpu.set_tuning(tuning).unwrap();
        let worst = worst_on(gpu, &architecture, &[(33, 17), (1, 1)]);
        println!("{tuning}: {worst:.1e}");
        let limit = if tuning.precision == Precision::Half {
            1e-2
        } else {
            1e-3
        };
        assert!(worst < limit, "{tuning}: {worst}");
    }
}

/// Layers that add the image itself, which is of single precision whatever the network is.
#[test]
fn the_image_can_be_added() {
    let layers = vec![
        conv("first", 3, 3, 3, Activation::None),
        Layer::Add { with: 0 },
        conv("last", 3, 48, 1, Activation::None),
    ];
    let architecture = Architecture {
        scale: 4,
        skip: Skip::None,
        layers,
    };
    for tuning in Tuning::all(gpu().has_half()) {
        let mut gpu = gpu();
        gpu.set_tuning(tuning).unwrap();
        let worst = worst_on(gpu, &architecture, &[(9, 7)]);
        let limit = if tuning.precision == Precision::Half {
            1e-2
        } else {
            1e-5
        };
        assert!(worst < limit, "{tuning}: {worst}");
    }
}

/// A trial ends, and what it chose can be kept as text.
#[test]
fn an_adapter_is_tuned() {
    let mut gpu = gpu();
    let start = Instant::now();
    let now = || start.elapsed().as_secs_f64() * 1e3;
    pollster::block_on(gpu.tune(now)).unwrap();
    let chosen = gpu.tuning();
    println!("{} is fastest with {chosen}", gpu.adapter());
    assert_eq!(chosen.to_string().parse(), Ok(chosen));
    if !gpu.has_half() {
        let half = Tuning {
            precision: Precision::Half,
            ..chosen
        };
        assert!(gpu.set_tuning(half).is_err());
    }
}

/// A tile whose device is lost before it or while it runs says so, and the next one runs on the device opened again.
#[test]
fn a_lost_device_is_opened_again() {
    let architecture = Architecture::restorer(4, 8, 1);
    let gpu = gpu();
    let executor = GpuExecutor::new(
        gpu.clone(),
        &restorer_graph(&architecture),
        &weights(&architecture.parameters()),
    )
    .unwrap();
    let (image, place) = (image(9, 7), Rect::whole(9, 7));
    let run = || pollster::block_on(executor.run(&image, place, &|_, _| true));
    let before = run().unwrap();
    gpu.lose();
    let lost = run();
    assert!(matches!(lost, Err(Error::Exhausted(_))), "{lost:?}");
    assert!(gpu.is_lost());
    assert_eq!(run().unwrap(), before);
}

/// The same in the middle of an image, which is finished with smaller tiles.
#[test]
fn an_image_goes_on_after_its_device_is_lost() {
    let (architecture, part) = flow(4, 1, true);
    let gpu = gpu();
    let restorer = GpuExecutor::new(
        gpu.clone(),
        &restorer_graph(&architecture),
        &weights(&architecture.parameters()),
    )
    .unwrap();
    let flow = GpuFlow::new(
        restorer,
        &field_graph(&part),
        &weights(&part.architecture.parameters()),
    )
    .unwrap();
    let image = image(80, 50);
    let draw = |lose_after: usize| {
        let sampler = Sampler::new(&flow, &part, Drawing::new(1, 2), Size::new(80, 50)).unwrap();
        let mut out = Planes::zeros(3, 200, 320);
        let mut begun = 0;
        let options = Options::new(OutputScale::new(4).unwrap(), 40);
        pollster::block_on(enlarge(&sampler, &sampler, &image, &options, |event| {
            match event {
                Event::Rows { first, rows, .. } => out.put_rows(first, rows),
                Event::Progress(_) => {
                    begun += 1;
                    if begun == lose_after {
                        gpu.lose();
                    }
                }
                Event::Begun { .. } => {}
            }
            Ok(())
        }))
        .map(|_| out)
    };
    let whole = draw(usize::MAX).unwrap();
    let broken = draw(4).unwrap();
    assert!(gpu.is_lost());
    // Tiles of another size see as much, but for the second step of a flow.
    let worst = difference(&whole, &broken);
    assert!(worst < 0.05, "{worst}");
}

/// A flow of that many channels and blocks; its restorer; and both with lively weights.
fn flow(channels: usize, blocks: usize, skip: bool) -> (Architecture, FlowPart) {
    let mut field = VelocityArchitecture::conv(4, channels, blocks);
    if skip {
        field = field.with_skip(GaussianSkip {
            sigma: 0.1,
            rho: 0.05,
        });
    }
    let part = FlowPart {
        file: "flow.safetensors".into(),
        bytes: 0,
        sha256: String::new(),
        parameters: field.parameter_count(),
        architecture: field,
        source: Source::LocalPosteriorMean {
            sigma: 0.1,
            least: 0.01,
            slope: 0.5,
        },
        s: 1.5,
        steps: 4,
        colour_anchor: None,
        training: Training {
            command: String::new(),
            steps: 0,
            images: 0,
        },
    };
    (Architecture::restorer(4, channels, 1), part)
}

/// The same flow of lively weights by our kernels and by burn-flex.
fn both(architecture: &Architecture, part: &FlowPart) -> (GpuFlow, GraphFlow) {
    both_on(gpu(), architecture, part)
}

fn both_on(gpu: Gpu, architecture: &Architecture, part: &FlowPart) -> (GpuFlow, GraphFlow) {
    let restorer = weights(&architecture.parameters());
    let field = weights(&part.architecture.parameters());
    let (graph, own) = (field_graph(part), restorer_graph(architecture));
    let shaders = GpuExecutor::new(gpu, &own, &restorer).unwrap();
    let network = GraphNetwork::new(&own, &restorer, &Device::flex()).unwrap();
    (
        GpuFlow::new(shaders, &graph, &field).unwrap(),
        GraphFlow::new(network, &graph, &field).unwrap(),
    )
}

/// Whole drawings, with what is told beside them, for tiles of many sizes and several schedules, in both precisions.
#[test]
fn flows_agree() {
    let tuning = |precision| Tuning {
        precision,
        ..Tuning::default()
    };
    let full = (tuning(Precision::Full), 1e-3);
    let half = gpu().has_half().then(|| (tuning(Precision::Half), 1e-2));
    for (tuning, limit) in [Some(full), half].into_iter().flatten() {
        flows_agree_tuned(tuning, limit);
    }
}

fn flows_agree_tuned(tuning: Tuning, limit: f32) {
    for (channels, blocks, skip) in [(8, 1, false), (20, 2, true)] {
        let (architecture, mut part) = flow(channels, blocks, skip);
        part.steps = 3;
        part.colour_anchor = Some(1.0);
        let mut gpu = gpu();
        gpu.set_tuning(tuning).unwrap();
        let (shaders, cpu) = both_on(gpu, &architecture, &part);
        let mut worst = 0.0f32;
        for (steps, (width, height)) in [(1, (9, 7)), (3, (1, 1)), (3, (17, 12)), (2, (5, 16))] {
            let image = image(width, height);
            let (place, size) = (Rect::whole(width, height), Size::new(width, height));
            let drawing = Drawing {
                mean: true,
                samples: 2,
                ..Drawing::new(7, steps)
            };
            let told = RefCell::new(Vec::new());
            let a = Sampler::new(&shaders, &part, drawing, size).unwrap();
            let drawn = pollster::block_on(a.run(&image, place, &|done, total| {
                told.borrow_mut().push((done, total));
                true
            }));
            let drawn = drawn.unwrap();
            assert_eq!(told.into_inner().last(), Some(&(2 * steps, 2 * steps)));
            let b = Sampler::new(&cpu, &part, drawing, size).unwrap();
            let expected = pollster::block_on(b.run(&image, place, &|_, _| true)).unwrap();
            assert_eq!(drawn.channels(), 7);
            // A field that is zero would prove nothing.
            let moved = expected.plane(0).iter().zip(expected.plane(3));
            assert!(moved.map(|(x, m)| (x - m).abs()).fold(0.0, f32::max) > 0.1);
            worst = worse(worst, difference(&drawn, &expected));
        }
        println!("{tuning}: a flow of {channels} channels: {worst:.1e}");
        assert!(worst < limit, "{tuning}: {channels} channels: {worst}");
    }
}

/// Images in tiles, two at a time, for every scale that users can ask for.
#[test]
fn tiled_images_agree() {
    let (architecture, mut part) = flow(8, 1, true);
    (part.steps, part.colour_anchor) = (2, Some(1.0));
    let (shaders, cpu) = both(&architecture, &part);
    let (width, height) = (45, 60);
    let image = image(width, height);
    for (scale, steps) in [(2, 2), (3, 2), (4, 2), (4, 1)] {
        let drawing = Drawing::new(1, steps);
        let a = Sampler::new(&shaders, &part, drawing, Size::new(width, height)).unwrap();
        let b = Sampler::new(&cpu, &part, drawing, Size::new(width, height)).unwrap();
        let worst = difference(&tiled(&a, &image, scale), &tiled(&b, &image, scale));
        assert!(worst < 1e-3, "scale {scale}, {steps} steps: {worst}");
    }
}

/// An image enlarged in tiles of 24 pixels.
fn tiled(executor: &impl Executor, image: &Planes, scale: usize) -> Planes {
    let options = Options::new(OutputScale::new(scale).unwrap(), 24);
    pollster::block_on(whole(executor, image, &options)).unwrap()
}

#[test]
fn a_flow_stops_where_it_is_told_to() {
    let (architecture, part) = flow(4, 1, true);
    let restorer = GpuExecutor::new(
        gpu(),
        &restorer_graph(&architecture),
        &weights(&architecture.parameters()),
    )
    .unwrap();
    let flow = GpuFlow::new(
        restorer,
        &field_graph(&part),
        &weights(&part.architecture.parameters()),
    )
    .unwrap();
    let sampler = Sampler::new(flow, &part, Drawing::new(1, 9), Size::new(8, 8)).unwrap();
    let run = |last| {
        let stop = &|done, _| done < last;
        pollster::block_on(sampler.run(&image(8, 8), Rect::whole(8, 8), stop))
    };
    assert_eq!(run(2), Err(Error::Cancelled));
    assert!(run(usize::MAX).is_ok());
}

/// The transformer's field runs as the convolutional one does.
#[test]
fn transformers_agree() {
    let (architecture, mut part) = flow(4, 1, false);
    part.architecture = VelocityArchitecture::dit(4, 32, 2);
    part.steps = 2;
    let (shaders, cpu) = both(&architecture, &part);
    for (width, height) in [(16, 8), (11, 19)] {
        let image = image(width, height);
        let (place, size) = (Rect::whole(width, height), Size::new(width, height));
        let a = Sampler::new(&shaders, &part, Drawing::new(1, 2), size).unwrap();
        let b = Sampler::new(&cpu, &part, Drawing::new(1, 2), size).unwrap();
        let drawn = pollster::block_on(a.run(&image, place, &|_, _| true)).unwrap();
        let expected = pollster::block_on(b.run(&image, place, &|_, _| true)).unwrap();
        let worst = difference(&drawn, &expected);
        println!("a transformer on {width}x{height}: {worst:.1e}");
        assert!(worst < 1e-3, "{width}x{height}: {worst}");
    }
}
