//! Every kernel's twin in plain Rust, and tests that hold one against the other on whatever adapter there is, a software
//! one (lavapipe) included; without any they fail, for a green run must mean that the shaders ran.
//!
//! `white_noise.wgsl`, `source.wgsl` and `blend.wgsl` have theirs in asasr-core: `spectral::white_noise`,
//! `flow::Source::sample`, with `resample::linear`, and `Part::cut`; `resample.wgsl` in `resample::bicubic` and `flow::ColourAnchor`.

mod conv;
mod enlarge;
mod finish;
mod gather;
mod step;
mod transform;

use asasr_core::flow::{ColourAnchor, Source};
use asasr_core::model::{Activation, Layer, Tensor, Weights};
use asasr_core::spectral::{ColouredNoise, Spectrum, white_noise};
use asasr_core::{Part, Planes, Rect, resample};
use proptest::prelude::*;
use wgpu::{Buffer, BufferUsages};

use crate::executor::{Frame, GpuImage, part_words};
use crate::gpu::{COPIED, Gpu, Kernel, READ};
use crate::kernels;
use crate::network::GpuNetwork;
use crate::noise::{NoiseMaker, Operand, basis, shape, white_area};
use crate::pack;
use crate::resample::Resampler;
use crate::tuning::{Precision, Tuning};
use finish::After;

fn gpu() -> Gpu {
    pollster::block_on(Gpu::request(true)).expect("an adapter; see `cargo xtask doctor`")
}

/// A plain stream of values in `[-1, 1]`.
fn values(seed: usize, n: usize) -> Vec<f32> {
    let value = |i: usize| ((i * 7919 + seed * 104_729 + i / 2003 * 31) % 2003) as f32 / 1001.0 - 1.0;
    (0..n).map(value).collect()
}

fn planes(seed: usize, (w, h): (usize, usize)) -> Planes {
    Planes::new(3, h, w, values(seed, 3 * h * w)).expect("sizes agree")
}

/// `[channels, h, w]` as groups of four channels.
fn grouped(x: &[f32], area: usize) -> Vec<f32> {
    let channels = x.len() / area;
    let mut out = vec![0.0; pack::groups(channels) * area * 4];
    for (i, v) in x.iter().enumerate() {
        let (c, at) = (i / area, i % area);
        out[((c / 4) * area + at) * 4 + c % 4] = *v;
    }
    out
}

/// The first `channels` channels of groups of four.
fn ungrouped(x: &[f32], channels: usize, area: usize) -> Vec<f32> {
    let at = |i: usize| (((i / area) / 4) * area + i % area) * 4 + (i / area) % 4;
    (0..channels * area).map(|i| x[at(i)]).collect()
}

/// What a buffer of numbers of that precision holds.
fn read(gpu: &Gpu, buffer: &Buffer, precision: Precision, count: usize) -> Vec<f32> {
    let bytes = (count * precision.bytes()).next_multiple_of(4) as u64;
    let [readback] = pollster::block_on(gpu.take([(bytes, READ)])).expect("room");
    let copied = gpu.submit(
        |_| {},
        |e| e.copy_buffer_to_buffer(buffer, 0, &readback, 0, bytes),
    );
    let words = pollster::block_on(gpu.read(readback, bytes as usize / 4, copied)).expect("reads");
    match precision {
        Precision::Full => words,
        Precision::Half => {
            let halves: &[u16] = bytemuck::cast_slice(&words);
            halves[..count]
                .iter()
                .map(|h| half::f16::from_bits(*h).to_f32())
                .collect()
        }
    }
}

/// A buffer to write, full of what is not the answer.
fn blank(gpu: &Gpu, numbers: usize) -> Buffer {
    let buffer = gpu.buffer("blank", (numbers * 4) as u64, COPIED | BufferUsages::COPY_DST);
    gpu.write(&buffer, &vec![9e9f32; numbers]);
    buffer
}

fn run(gpu: &Gpu, kernel: &Kernel, bound: &[&Buffer], size: (usize, usize)) {
    gpu.submit(|pass| pass.dispatch(kernel, bound, size), |_| {});
}

fn worst(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let pairs = got.iter().zip(want);
    pairs
        .map(|(g, w)| (g - w).abs() / w.abs().max(1.0))
        .fold(0.0, |a, b| if b <= a { a } else { b })
}

/// A convolution, or none, with what follows it.
#[derive(Debug, Clone)]
struct Case {
    size: (usize, usize),
    channels: (usize, usize),
    kernel: Option<usize>,
    activation: Activation,
    film: bool,
    add: bool,
    seed: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let activations = prop_oneof![
        Just(Activation::None),
        Just(Activation::LeakyRelu { slope: 0.1 }),
        Just(Activation::Prelu),
    ];
    (
        // Single rows and columns, odd sizes, more than a work-group.
        (1usize..40, 1usize..20),
        // One channel, whole groups, several blocks of groups.
        (1usize..21, 1usize..21),
        prop_oneof![Just(Some(3)), Just(Some(3)), Just(Some(1)), Just(None)],
        activations,
        any::<(bool, bool)>(),
        0usize..1000,
    )
        .prop_map(|(size, channels, kernel, activation, (film, add), seed)| Case {
            size,
            // Without a convolution, and with an addition of the input, channels stay.
            channels: if kernel.is_none() || add {
                (channels.0, channels.0)
            } else {
                channels
            },
            kernel,
            activation,
            film: film || kernel.is_none(),
            add,
            seed,
        })
}

impl Case {
    /// The layer on the device against its twin: the largest difference.
    fn run(&self, gpu: &Gpu) -> f32 {
        let (area, precision) = (self.size.0 * self.size.1, gpu.tuning.precision);
        let (inputs, outputs) = self.channels;
        let mut layers = Vec::new();
        let mut weights = Weights::default();
        let mut put = |name: &str, seed: usize, shape: Vec<usize>, factor: f32| {
            let count = shape.iter().product();
            let values: Vec<f32> = values(self.seed + seed, count)
                .iter()
                .map(|v| v * factor)
                .collect();
            weights.insert(
                name.to_owned(),
                Tensor {
                    shape,
                    values: values.clone(),
                },
            );
            values
        };
        let on = |film: bool| {
            if film == self.film {
                self.activation
            } else {
                Activation::None
            }
        };
        let x = values(self.seed, inputs * area);
        let (mut sums, mut bias) = (x.clone(), vec![0.0; outputs]);
        if let Some(k) = self.kernel {
            layers.push(Layer::Conv {
                name: "conv".into(),
                inputs,
                outputs,
                kernel: k,
                activation: on(false),
            });
            let factor = 1.0 / ((inputs * k * k) as f32).sqrt();
            let weight = put("conv.weight", 1, vec![outputs, inputs, k, k], factor);
            bias = put("conv.bias", 2, vec![outputs], 1.0);
            sums = conv::conv(&x, &weight, (inputs, outputs, k), self.size);
        }
        let modulation = values(self.seed + 3, 2 * outputs);
        if self.film {
            layers.push(Layer::Film {
                name: "film".into(),
                channels: outputs,
                activation: on(true),
            });
        }
        let name = if self.film { "film.slope" } else { "conv.slope" };
        let slopes = put(name, 4, vec![outputs], 1.0);
        if self.add {
            layers.push(Layer::Add { with: 0 });
        }
        let network = GpuNetwork::new(gpu, &layers, (inputs, false), &weights, |_| {
            Ok(vec![modulation.clone()])
        });
        let network = network.expect("valid layers");
        let input = gpu.upload_in(precision, "input", &grouped(&x, area));
        let slots: Vec<Buffer> = network
            .slots(area)
            .iter()
            .map(|(bytes, _)| blank(gpu, *bytes as usize / 4))
            .collect();
        let slots: Vec<&Buffer> = slots.iter().collect();
        let frame = gpu.uniform("frame", &Frame::new(self.size).words());
        let mut made = None;
        gpu.submit(
            |pass| made = Some(network.encode(pass, &frame, &input, &slots, self.size)),
            |_| {},
        );
        let groups = pack::groups(outputs) * 4 * area;
        let got = ungrouped(
            &read(gpu, made.expect("encoded"), precision, groups),
            outputs,
            area,
        );
        let want: Vec<f32> = sums
            .iter()
            .enumerate()
            .map(|(i, sum)| {
                let c = i / area;
                let after = After {
                    bias: bias[c],
                    film: self.film.then(|| (modulation[c], modulation[outputs + c])),
                    slope: match self.activation {
                        Activation::None => 1.0,
                        Activation::LeakyRelu { slope } => slope,
                        Activation::Prelu => slopes[c],
                    },
                };
                finish::finish(*sum, after, if self.add { x[i] } else { 0.0 })
            })
            .collect();
        worst(&got, &want)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_their_twins(case in cases(), way in any::<prop::sample::Index>()) {
        let mut gpu = gpu();
        gpu.set_tuning(*way.get(&Tuning::all(gpu.has_half()))).expect("what the device has");
        let limit = match gpu.tuning.precision {
            Precision::Full => 2e-5,
            Precision::Half => 1e-2,
        };
        let worst = case.run(&gpu);
        prop_assert!(worst < limit, "{}: {worst}", gpu.tuning);
    }

    #[test]
    fn enlargements_are_their_twins(size in (1usize..20, 1usize..20), r in 2usize..5, bicubic: bool) {
        let gpu = gpu();
        let (image, area) = (planes(1, size), size.0 * size.1);
        let features = values(2, 3 * r * r * area);
        let kernel = kernels::enlarge(&gpu, r, bicubic);
        let out = blank(&gpu, 3 * r * r * area);
        let frame = gpu.uniform("frame", &Frame::new(size).words());
        let (features_, image_) = (gpu.upload("features", &grouped(&features, area)), gpu.upload("image", &pack::image(&image)));
        run(&gpu, &kernel, &[&frame, &features_, &image_, &out], (size.0 * r, size.1 * r));
        let got = read(&gpu, &out, Precision::Full, 3 * r * r * area);
        prop_assert!(worst(&got, &enlarge::enlarge(&features, &image, r, bicubic)) < 1e-5);
    }

    #[test]
    fn gathering_and_stepping_are_their_twins(size in (1usize..20, 1usize..20), r in 1usize..5, dt in 0.0f32..0.5, gain in -2.0f32..2.0, left in 0.5f32..1.0) {
        let gpu = gpu();
        let area = size.0 * size.1;
        let large = (size.0 * r, size.1 * r);
        let (low, mean, state) = (planes(1, size), planes(2, large), planes(3, large));
        let channels = 6 * r * r + 3;
        let kernel = kernels::gather(&gpu, r, channels);
        let frame = Frame { dt: dt.into(), gain: gain.into(), left: left.into(), ..Frame::new(size) };
        let frame = gpu.uniform("frame", &frame.words());
        let upload = |p: &Planes| gpu.upload("planes", p.data());
        let (image, mean_) = (gpu.upload("image", &pack::image(&low)), upload(&mean));
        let state_ = gpu.buffer("state", (state.data().len() * 4) as u64, COPIED | BufferUsages::COPY_DST);
        gpu.write(&state_, state.data());
        let out = blank(&gpu, pack::groups(channels) * 4 * area);
        run(&gpu, &kernel, &[&frame, &image, &mean_, &state_, &out], size);
        let got = ungrouped(&read(&gpu, &out, Precision::Full, pack::groups(channels) * 4 * area), channels, area);
        prop_assert_eq!(got, gather::gather(&low, &mean, &state, r));

        // A velocity of the state's size, as shuffled features.
        let velocity = planes(4, large);
        let features = gather::gather(&low, &mean, &velocity, r)[..3 * r * r * area].to_vec();
        let kernel = kernels::step(&gpu, r);
        run(&gpu, &kernel, &[&frame, &gpu.upload("features", &grouped(&features, area)), &mean_, &state_], large);
        let got = read(&gpu, &state_, Precision::Full, state.data().len());
        prop_assert!(worst(&got, &step::step(state.data(), velocity.data(), mean.data(), (dt, gain, left))) < 1e-5);
    }

    #[test]
    fn parts_are_their_twins(size in (1usize..40, 1usize..20), x: prop::sample::Index, y: prop::sample::Index) {
        let gpu = gpu();
        let tile = planes(1, size);
        let (x0, y0) = (x.index(size.0), y.index(size.1));
        let part = Part {
            whole: size,
            inner: Rect { x0, y0, x1: size.0, y1: size.1 },
            columns: values(2, size.0 - x0),
            rows: values(3, size.1 - y0),
        };
        let kernel = kernels::blend(&gpu);
        let want = part.cut(&tile);
        let out = blank(&gpu, want.data().len());
        let words = gpu.uniform("part", &part_words(&part, size));
        let weights = gpu.upload("weights", &[part.columns.as_slice(), &part.rows].concat());
        run(&gpu, &kernel, &[&words, &gpu.upload("tile", tile.data()), &weights, &out], (want.width(), want.height()));
        prop_assert!(worst(&read(&gpu, &out, Precision::Full, want.data().len()), want.data()) < 1e-6);
    }

    #[test]
    fn reductions_are_their_twins(size in (1usize..40, 1usize..30), to in (1usize..40, 1usize..30)) {
        let gpu = gpu();
        let image = planes(1, size);
        let there = pollster::block_on(GpuImage::upload(&gpu, &image)).expect("room");
        let reducer = Resampler::reducing(&gpu);
        let got = pollster::block_on(reducer.reduce(&gpu, &there, to)).expect("room");
        let got = pollster::block_on(got.read(&gpu)).expect("reads");
        prop_assert!(worst(got.data(), resample::bicubic(&image, to.0, to.1).data()) < 1e-5);
    }

    #[test]
    fn anchors_are_their_twins(size in (1usize..40, 1usize..30), deviation in 0.8f64..16.0) {
        let gpu = gpu();
        let (mut sample, mean) = (planes(1, size), planes(2, size));
        let upload = |p: &Planes| pollster::block_on(GpuImage::upload(&gpu, p)).expect("room");
        let (there, mean_) = (upload(&sample), upload(&mean));
        let anchor = ColourAnchor::new(deviation).expect("in range");
        let anchorer = Resampler::anchoring(&gpu);
        pollster::block_on(anchorer.anchor(&gpu, &there, &mean_, anchor)).expect("room");
        anchor.apply(&mut sample, &mean);
        let got = read(&gpu, &there.buffer, Precision::Full, sample.data().len());
        prop_assert!(worst(&got, sample.data()) < 1e-5);
    }

    #[test]
    fn white_noise_is_its_twin(seed: u64, x0 in 0usize..5000, y0 in 0usize..5000, w in 1usize..40, h in 1usize..20) {
        let gpu = gpu();
        let rect = Rect { x0, y0, x1: x0 + w, y1: y0 + h };
        let kernel = kernels::white_noise(&gpu);
        let out = blank(&gpu, 3 * w * h);
        let area = gpu.uniform("area", &white_area(seed, rect));
        run(&gpu, &kernel, &[&area, &out], (w.div_ceil(4) + 1, h));
        let got = read(&gpu, &out, Precision::Full, 3 * w * h);
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
        run(&gpu, &kernel, &[&shape, &x_, &rows_, &weights_, &out], (w, h));
        let got = read(&gpu, &out, Precision::Full, 3 * h * w);
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
        let noise =
            ColouredNoise::new(3, height, width, Spectrum::sobolev(s).expect("in range")).expect("plans");
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
            let low = planes(6, (place.width() / 4, place.height() / 4));
            let mean = planes(5, (place.width(), place.height()));
            let size = (place.width(), place.height());
            let mean_ = pollster::block_on(GpuImage::upload(&gpu, &mean)).expect("room");
            assert_eq!(mean_.size, size);
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
