//! The image the tests enlarge, and what the native CPU executor makes of it.

use asasr_codec::{Layout, Picture, PngRows, SharedBytes, decode};
use asasr_core::exec::{CpuExecutor, CpuFlow};
use asasr_core::flow::{Drawing, Sampler, Sampling};
use asasr_core::graph::{TypedGraph, conformance, nets};
use asasr_core::model::{Dtype, Manifest, Mode, NetworkPart, Role, sha256_hex};
use asasr_core::nn::{GraphExecutor, GraphFlow, GraphNetwork};
use asasr_core::pipeline::{Event, Options, OutputScale, enlarge};
use asasr_core::{Executor, Planes, Size};
use asasr_interchange::{OwnFile, Stated, WEIGHTS};
use asasr_weights::{DEFAULT, Model};
use burn::tensor::Device;

/// A PNG with edges, a gradient and fine texture in every channel.
pub fn drawn(width: usize, height: usize) -> Vec<u8> {
    let mut planes = Planes::zeros(3, height, width);
    for y in 0..height {
        for x in 0..width {
            let disc = (x as f32 - 20.0).hypot(y as f32 - 12.0) < 9.0;
            let bars = (x / 3 + y / 5) % 2 == 0;
            let slope = x as f32 / width as f32;
            let values = [slope, if disc { 0.9 } else { 0.2 }, if bars { 0.8 } else { 0.35 }];
            for (c, v) in values.into_iter().enumerate() {
                planes.row_mut(c, y)[x] = v;
            }
        }
    }
    let bytes = SharedBytes::default();
    let mut rows = PngRows::new(bytes.clone(), Size::new(width, height), Layout::Rgb, 8).unwrap();
    rows.write(0, &planes).unwrap();
    rows.finish().unwrap();
    bytes.take()
}

/// `file` four times larger by a shipped model by burn on the CPU, in one piece and rounded to 8 bits.
pub fn enlarged_natively(model: Model, file: &[u8]) -> Picture {
    let (manifest, network) = opened(model);
    assert_eq!(manifest.scale().unwrap(), 4);
    let executor = GraphExecutor::new(network).unwrap();
    enlarged(file, (&executor, &executor), 4)
}

/// Likewise, drawn from what the model draws from in that mode.
pub fn drawn_natively(model: Model, file: &[u8], mode: Mode, seed: u64) -> Picture {
    let (manifest, network) = opened(model);
    let (part, steps) = manifest.sampler(mode).expect("the shipped model has such a mode");
    let weights = model.sampler(&part.file).expect("its weights are there");
    let weights = part.open_weights(weights).unwrap();
    let flow = GraphFlow::new(network, &part.graph, &weights).unwrap();
    let picture = decode(file, 1 << 20).unwrap();
    let size = picture.size();
    let drawing = Drawing::new(seed, steps);
    let sampler = Sampler::new(flow, part.sampling.unwrap(), drawing, size).unwrap();
    enlarged(file, (&sampler, &sampler), 4)
}

/// A model of format 2 that draws in one step, of small networks with weights at random: its files by their names.
pub fn of_one_step(id: &str) -> Vec<(String, Vec<u8>)> {
    let compact = nets::Compact {
        colours: 3,
        features: 8,
        convs: 2,
        scale: 4,
    };
    let plain = compact.graph().check().unwrap();
    let noisy = nets::with_noise(&plain, 3, 4).unwrap();
    let mut files = Vec::new();
    let mut part = |file: &str, graph: TypedGraph, seed: u64| {
        let bytes = conformance::weights(&graph, seed)
            .to_safetensors(Dtype::F16)
            .unwrap();
        files.push((file.to_owned(), bytes.clone()));
        NetworkPart {
            bytes: bytes.len(),
            sha256: sha256_hex(&bytes),
            ..NetworkPart::new(file, graph)
        }
    };
    let restorer = part("restorer.safetensors", plain, 1);
    let sampler = NetworkPart {
        sampling: Some(Sampling::in_one_step(1.5, 3.0)),
        ..part("one-step.safetensors", noisy, 2)
    };
    let manifest = Manifest {
        id: id.into(),
        licence: "CC0-1.0".into(),
        networks: [(Role::Restorer, restorer), (Role::OneStep, sampler)].into(),
        measured: None,
    };
    files.push(("manifest.json".into(), manifest.to_json().unwrap().into_bytes()));
    files
}

/// How a model of one step is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Which image is drawn; none is the restorer's.
    pub seed: Option<u64>,
    /// The colour anchor in place of the model's own.
    pub anchor: Option<f64>,
    /// In place of the model's own.
    pub scale: Option<usize>,
}

/// `file` enlarged by such a model on the native CPU executor.
pub fn of_one_step_natively(files: &[(String, Vec<u8>)], file: &[u8], asked: Asked) -> Picture {
    let bytes = |name: &str| &files.iter().find(|(n, _)| n == name).expect("its file").1;
    let manifest = Manifest::from_json(bytes("manifest.json")).unwrap();
    let open = |part: &NetworkPart| part.open_weights(bytes(&part.file)).unwrap();
    let part = manifest.restorer().unwrap();
    let restorer = CpuExecutor::new(&part.graph, open(part)).unwrap();
    let scale = asked.scale.unwrap_or(restorer.scale());
    let Some(seed) = asked.seed else {
        return enlarged(file, (&restorer, &restorer), scale);
    };
    let (part, steps) = manifest.sampler(Mode::Fast).unwrap();
    let flow = CpuFlow::new(restorer.clone(), &part.graph, open(part)).unwrap();
    let size = decode(file, 1 << 20).unwrap().size();
    let mut sampling = part.sampling.unwrap();
    if asked.anchor.is_some() {
        sampling = sampling.anchored(asked.anchor, steps);
    }
    let sampler = Sampler::new(flow, sampling, Drawing::new(seed, steps), size).unwrap();
    enlarged(file, (&sampler, &restorer), scale)
}

/// The files of a community's model beside the default model's restorer, by their names.
pub fn imported(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mean = Manifest::from_json(DEFAULT.manifest).unwrap();
    let file = OwnFile {
        name: name.into(),
        bytes: bytes.into(),
    };
    let model = asasr_interchange::import(vec![file], &Stated::default(), &mean).unwrap();
    let restorer = model.manifest.restorer().unwrap().file.clone();
    vec![
        (
            "manifest.json".into(),
            model.manifest.to_json().unwrap().into_bytes(),
        ),
        (WEIGHTS.into(), model.weights),
        (restorer, DEFAULT.weights.to_vec()),
    ]
}

fn opened(model: Model) -> (Manifest, GraphNetwork) {
    let manifest = Manifest::from_json(model.manifest).unwrap();
    let part = manifest.restorer().unwrap();
    let weights = part.open_weights(model.weights).unwrap();
    let network = GraphNetwork::new(&part.graph, &weights, &Device::flex()).unwrap();
    (manifest, network)
}

/// By an executor, and another for what takes a second pass.
fn enlarged(file: &[u8], (executor, again): (&impl Executor, &impl Executor), scale: usize) -> Picture {
    let picture = decode(file, 1 << 20).unwrap();
    let size = picture.size().times(scale);
    let bytes = SharedBytes::default();
    let (layout, bits) = (picture.layout(), picture.bits());
    let mut png = PngRows::new(bytes.clone(), size, layout, bits).unwrap();
    let options = Options::new(OutputScale::new(scale).unwrap(), 4096);
    let report = pollster::block_on(enlarge(executor, again, picture.raster(), &options, |event| {
        if let Event::Rows { first, rows, .. } = event {
            png.write(first, rows).unwrap();
        }
        Ok(())
    }));
    assert_eq!(report.unwrap().size, size);
    png.finish().unwrap();
    decode(&bytes.take(), 1 << 24).unwrap()
}
