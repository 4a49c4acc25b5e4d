//! Twins in plain Rust of the kernels around networks, and tests that hold one against the other on whatever adapter there is, a
//! software one (lavapipe) included; without any they fail, for a green run must mean that the shaders ran. Those of networks are
//! held against the definitions of their operations, in `tests/graphs.rs`.
//!
//! `white_noise.wgsl`, `source.wgsl` and `part.wgsl` have theirs in asasr-core: `spectral::white_noise`,
//! `flow::Source::sample`, with `resample::linear`, and `Part::cut`; `resample.wgsl` in `resample::bicubic` and `flow::ColourAnchor`.

mod step;
mod transform;

use asasr_core::flow::{ColourAnchor, Source};
use asasr_core::spectral::{ColouredNoise, Spectrum, white_noise};
use asasr_core::{Part, Planes, Rect, Size, resample};
use proptest::prelude::*;
use wgpu::{Buffer, BufferUsages};

use crate::executor::part_words;
use crate::flow::step_words;
use crate::gpu::{COPIED, Gpu, Kernel, READ};
use crate::image::GpuImage;
use crate::kernels;
use crate::noise::{NoiseMaker, Operand, basis, shape, white_area};
use crate::resample::Resampler;

fn gpu() -> Gpu {
    pollster::block_on(Gpu::request(true)).expect("an adapter; see `cargo xtask doctor`")
}

/// A plain stream of values in `[-1, 1]`.
fn values(seed: usize, n: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 7919 + seed * 104_729 + i / 2003 * 31) % 2003) as f32 / 1001.0 - 1.0;
    (0..n).map(value).collect()
}

fn planes(seed: usize, size: Size) -> Planes {
    Planes::new(3, size.height, size.width, values(seed, 3 * size.pixels())).expect("sizes agree")
}

/// Sizes of sides below these.
fn sizes(width: usize, height: usize) -> impl Strategy<Value = Size> {
    (1..width, 1..height).prop_map(|(width, height)| Size::new(width, height))
}

/// What a buffer of so many numbers holds.
fn read(gpu: &Gpu, buffer: &Buffer, count: usize) -> Vec<f32> {
    let bytes = (count * 4) as u64;
    let [readback] = pollster::block_on(gpu.take([(bytes, READ)])).expect("room");
    let copied = gpu.submit(
        |_| {},
        |e| e.copy_buffer_to_buffer(buffer, 0, &readback, 0, bytes),
    );
    pollster::block_on(gpu.read(readback, count, copied)).expect("reads")
}

/// A buffer to write, full of what is not the answer.
fn blank(gpu: &Gpu, numbers: usize) -> Buffer {
    let buffer = gpu.buffer("blank", (numbers * 4) as u64, COPIED | BufferUsages::COPY_DST);
    gpu.write(&buffer, &vec![9e9f32; numbers]);
    buffer
}

fn run(gpu: &Gpu, kernel: &Kernel, bound: &[&Buffer], size: Size) {
    gpu.submit(|pass| pass.dispatch(kernel, bound, size), |_| {});
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let pairs = got.iter().zip(want);
    pairs
        .map(|(g, w)| (g - w).abs() / w.abs().max(1.0))
        .fold(0.0, |a, b| if b <= a { a } else { b })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_are_their_twins(size in sizes(40, 40), dt in 0.0f32..0.5, left in 0.5f32..1.0) {
        let gpu = gpu();
        let (velocity, state) = (planes(2, size), planes(3, size));
        let words = gpu.uniform("frame", &step_words(size, dt.into(), left.into()));
        let there = gpu.buffer("state", (state.data().len() * 4) as u64, COPIED | BufferUsages::COPY_DST);
        gpu.write(&there, state.data());
        run(&gpu, &kernels::step(&gpu), &[&words, &gpu.upload("velocity", velocity.data()), &there], size);
        let got = read(&gpu, &there, state.data().len());
        prop_assert!(worst(&got, &step::step(state.data(), velocity.data(), (dt, left))) < 1e-5);
    }

    #[test]
    fn parts_are_their_twins(size in sizes(40, 20), x: prop::sample::Index, y: prop::sample::Index) {
        let gpu = gpu();
        let tile = planes(1, size);
        let (x0, y0) = (x.index(size.width), y.index(size.height));
        let part = Part {
            whole: size,
            inner: Rect { x0, y0, x1: size.width, y1: size.height },
            columns: values(2, size.width - x0),
            rows: values(3, size.height - y0),
        };
        let kernel = kernels::part(&gpu);
        let want = part.cut(&tile);
        let out = blank(&gpu, want.data().len());
        let words = gpu.uniform("part", &part_words(&part, size));
        let weights = gpu.upload("weights", &[part.columns.as_slice(), &part.rows].concat());
        run(&gpu, &kernel, &[&words, &gpu.upload("tile", tile.data()), &weights, &out], want.size());
        prop_assert!(worst(&read(&gpu, &out, want.data().len()), want.data()) < 1e-6);
    }

    #[test]
    fn reductions_are_their_twins(size in sizes(40, 30), to in sizes(40, 30)) {
        let gpu = gpu();
        let image = planes(1, size);
        let there = pollster::block_on(GpuImage::upload(&gpu, &image)).expect("room");
        let reducer = Resampler::reducing(&gpu);
        let got = pollster::block_on(reducer.reduce(&gpu, &there, to)).expect("room");
        let got = pollster::block_on(got.read(&gpu)).expect("reads");
        prop_assert!(worst(got.data(), resample::bicubic(&image, to).data()) < 1e-5);
    }

    #[test]
    fn anchors_are_their_twins(size in sizes(40, 30), deviation in 0.8f64..16.0) {
        let gpu = gpu();
        let (mut sample, mean) = (planes(1, size), planes(2, size));
        let upload = |p: &Planes| pollster::block_on(GpuImage::upload(&gpu, p)).expect("room");
        let (there, mean_) = (upload(&sample), upload(&mean));
        let anchor = ColourAnchor::new(deviation).expect("in range");
        let anchorer = Resampler::anchoring(&gpu);
        pollster::block_on(anchorer.anchor(&gpu, &there, &mean_, anchor)).expect("room");
        anchor.apply(&mut sample, &mean);
        let got = read(&gpu, &there.buffer, sample.data().len());
        prop_assert!(worst(&got, sample.data()) < 1e-5);
    }

    #[test]
    fn white_noise_is_its_twin(seed: u64, x0 in 0usize..5000, y0 in 0usize..5000, w in 1usize..40, h in 1usize..20) {
        let gpu = gpu();
        let rect = Rect { x0, y0, x1: x0 + w, y1: y0 + h };
        let kernel = kernels::white_noise(&gpu);
        let out = blank(&gpu, 3 * w * h);
        let area = gpu.uniform("area", &white_area(seed, rect));
        run(&gpu, &kernel, &[&area, &out], Size::new(w.div_ceil(4) + 1, h));
        let got = read(&gpu, &out, 3 * w * h);
        let want = [0, 1, 2].map(|channel| white_noise(seed, channel, rect)).concat();
        // Single precision: near one the logarithm has but 2^-21.
        prop_assert!(worst(&got, &want) < 2e-3);
        let mean = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).sum::<f32>() / want.len() as f32;
        prop_assert!(mean < 1e-5, "{}", mean);
    }

    #[test]
    fn transforms_are_their_twins(h in 1usize..70, w in 1usize..70, weighted: bool, back: bool) {
        let gpu = gpu();
        let x = values(1, 3 * h * w);
        let (rows, weights) = (basis(w), values(2, h * w));
        let kernel = kernels::transform(&gpu, weighted);
        let left = Operand { step: (w, 1), plane: h * w };
        let right = Operand { step: if back { (w, 1) } else { (1, w) }, plane: 0 };
        let out = blank(&gpu, 3 * h * w);
        let shape = gpu.uniform("shape", &shape((h, w, w), left, right));
        let [x_, rows_, weights_] = [&x, &rows, &weights].map(|v| gpu.upload("operand", v));
        run(&gpu, &kernel, &[&shape, &x_, &rows_, &weights_, &out], Size::new(w, h));
        let got = read(&gpu, &out, 3 * h * w);
        let want = transform::product(3, (h, w, w), (&x, left), (&rows, right), weighted.then_some(&weights[..]));
        prop_assert!(worst(&got, &want) < 1e-5);
    }
}

/// The basis is the cosine transform of asasr-core.
#[test]
fn the_basis_is_orthonormal() {
    for n in [1, 2, 7, 300] {
        let c = basis(n);
        let own = Operand {
            step: (n, 1),
            plane: 0,
        };
        let turned = Operand {
            step: (1, n),
            plane: 0,
        };
        let product = transform::product(1, (n, n, n), (&c, own), (&c, turned), None);
        for (i, v) in product.iter().enumerate() {
            let want = if i / n == i % n { 1.0 } else { 0.0 };
            assert!((v - want).abs() < 1e-5, "{n}: {i} {v}");
        }
    }
}

/// Sources of tiles that several blocks make, of every mode.
#[test]
fn sources_are_their_twins() {
    let gpu = gpu();
    let (width, height) = (600, 300);
    let maker = NoiseMaker::new(&gpu);
    for (source, s) in [
        (Source::PosteriorMean { sigma: 0.1 }, 1.5),
        (
            Source::LocalPosteriorMean {
                sigma: 0.2,
                least: 0.01,
                slope: 0.1,
            },
            1.5,
        ),
        (Source::Noise { sigma: 1.0 }, 0.5),
        (Source::Noise { sigma: 1.0 }, 0.0),
    ] {
        let noise = ColouredNoise::new(
            3,
            Size::new(width, height),
            Spectrum::sobolev(s).expect("in range"),
        )
        .expect("plans");
        for place in [
            Rect {
                x0: 200,
                y0: 220,
                x1: 600,
                y1: 300,
            },
            Rect {
                x0: 8,
                y0: 250,
                x1: 20,
                y1: 258,
            },
        ] {
            let low = planes(6, Size::new(place.width() / 4, place.height() / 4));
            let mean = planes(5, place.size());
            let mean_ = pollster::block_on(GpuImage::upload(&gpu, &mean)).expect("room");
            assert_eq!(mean_.size, place.size());
            let got =
                pollster::block_on(maker.source(&gpu, &source, (&low, &mean_), &noise, place)).expect("runs");
            let got = pollster::block_on(got.read(&gpu)).expect("reads");
            let want = source.sample((&low, &mean), &noise, place).expect("fits");
            assert!(worst(got.data(), want.data()) < 1e-3, "{source:?} {place:?}");
            let mean = got
                .data()
                .iter()
                .zip(want.data())
                .map(|(a, b)| (a - b).abs())
                .sum::<f32>();
            assert!(mean / (want.data().len() as f32) < 1e-5, "{source:?}");
        }
    }
}
