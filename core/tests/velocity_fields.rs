//! The velocity fields against their definitions, written out in plain `f64` loops that know nothing of burn.
#![cfg(feature = "burn")]

use std::collections::BTreeMap;
use std::f64::consts::FRAC_1_SQRT_2;

use asasr_core::flow::{Field as _, Schedule, integrate};
use asasr_core::model::{
    Activation, Condition, DitVelocity, GaussianSkip, Layer, LoraAdapter, LoraConfig, Tensor as Values,
    VelocityArchitecture, Weights,
};
use asasr_core::nn::{
    AdapterSet, ConditionedField, Conditioning, Parameters, download, init_velocity, upload, velocity_field,
};
use asasr_core::random::SplitMix64;
use asasr_core::{Error, model};
use burn::tensor::{Device, Tensor, TensorData};

type Named = BTreeMap<String, Vec<f64>>;

/// Values `[c, h, w]` of one image.
#[derive(Clone)]
struct Image {
    c: usize,
    h: usize,
    w: usize,
    v: Vec<f64>,
}

impl Image {
    fn random(c: usize, h: usize, w: usize, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let v = (0..c * h * w)
            .map(|_| f64::from(random.normal() as f32))
            .collect();
        Self { c, h, w, v }
    }

    fn at(&self, c: usize, y: usize, x: usize) -> f64 {
        self.v[(c * self.h + y) * self.w + x]
    }

    fn tensor(&self) -> Tensor<4> {
        let v: Vec<f32> = self.v.iter().map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(v, [1, self.c, self.h, self.w]), &Device::flex())
    }
}

fn unshuffle(x: &Image, r: usize) -> Vec<Vec<f64>> {
    let mut channels = Vec::new();
    for c in 0..x.c {
        for i in 0..r {
            for j in 0..r {
                let at = |p: usize| x.at(c, (p / (x.w / r)) * r + i, (p % (x.w / r)) * r + j);
                channels.push((0..(x.h / r) * (x.w / r)).map(at).collect());
            }
        }
    }
    channels
}

fn conv(p: &Named, name: &str, k: usize, x: &Image) -> Image {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")]);
    let mut v = Vec::new();
    for (o, b) in bias.iter().enumerate() {
        for y in 0..x.h as isize {
            for px in 0..x.w as isize {
                let mut sum = *b;
                for i in 0..x.c {
                    for ky in 0..k as isize {
                        for kx in 0..k as isize {
                            let (sy, sx) = (y + ky - (k / 2) as isize, px + kx - (k / 2) as isize);
                            if sy >= 0 && sx >= 0 && sy < x.h as isize && sx < x.w as isize {
                                let tap = ((o * x.c + i) * k + ky as usize) * k + kx as usize;
                                sum += weight[tap] * x.at(i, sy as usize, sx as usize);
                            }
                        }
                    }
                }
                v.push(sum);
            }
        }
    }
    let c = bias.len();
    Image { c, h: x.h, w: x.w, v }
}

fn linear(p: &Named, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")]);
    let dot = |row: &[f64]| row.iter().zip(x).map(|(a, b)| a * b).sum::<f64>();
    weight
        .chunks(x.len())
        .zip(bias)
        .map(|(row, b)| dot(row) + b)
        .collect()
}

fn silu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|v| v / (1.0 + (-v).exp())).collect()
}

/// The time embedding: cosines, then sines, of `1000 * 10000^(-i / n) t`.
fn embedding(p: &Named, features: usize, t: f64) -> Vec<f64> {
    let n = features / 2;
    let angle = |i: usize| 1000.0 * 10_000f64.powf(-(i as f64) / n as f64) * t;
    let wave: Vec<f64> = (0..n)
        .map(|i| angle(i).cos())
        .chain((0..n).map(|i| angle(i).sin()))
        .collect();
    silu(linear(p, "time.2", &silu(linear(p, "time.0", &wave))))
}

fn input(a: &VelocityArchitecture, x_t: &Image, low: &Image, mean: &Image) -> Image {
    let mut channels = unshuffle(x_t, a.scale());
    channels.extend(low.v.chunks(low.h * low.w).map(<[f64]>::to_vec));
    if a.condition() == Condition::LowQualityAndMean {
        channels.extend(unshuffle(mean, a.scale()));
    }
    Image {
        c: channels.len(),
        h: low.h,
        w: low.w,
        v: channels.concat(),
    }
}

/// The convolutional field: its layers on the stacked input.
fn conv_by_definition(a: &VelocityArchitecture, layers: &[Layer], p: &Named, x: Image, t: f64) -> Image {
    let time = embedding(p, a.time_features(), t);
    let mut values = vec![x];
    for layer in layers {
        let x = values.last().expect("has the input").clone();
        let activate = |mut x: Image, activation: &Activation| {
            if let Activation::LeakyRelu { slope } = activation {
                x.v.iter_mut()
                    .for_each(|v| *v = if *v > 0.0 { *v } else { f64::from(*slope) * *v });
            }
            x
        };
        values.push(match layer {
            Layer::Conv {
                name,
                kernel,
                activation,
                ..
            } => activate(conv(p, name, *kernel, &x), activation),
            Layer::Film {
                name,
                channels,
                activation,
            } => {
                let m = linear(p, name, &time);
                let mut y = x.clone();
                for (i, v) in y.v.iter_mut().enumerate() {
                    let c = i / (x.h * x.w);
                    *v = *v * (1.0 + m[c]) + m[channels + c];
                }
                activate(y, activation)
            }
            Layer::Add { with } => {
                let v = x.v.iter().zip(&values[*with].v).map(|(a, b)| a + b).collect();
                Image { v, ..x }
            }
        });
    }
    values.pop().expect("has layers")
}

/// The transformer: one loop per token, one per pair of tokens in a window.
fn dit_by_definition(a: &DitVelocity, p: &Named, x: &Image, t: f64) -> Image {
    let time = embedding(p, a.time_features, t);
    let (h, w, c) = (x.h, x.w, a.channels);
    let embedded = conv(p, "embed", 3, x);
    let mut tokens: Vec<Vec<f64>> = (0..h * w)
        .map(|i| (0..c).map(|ch| embedded.v[ch * h * w + i]).collect())
        .collect();
    let modulate = |token: &[f64], shift: &[f64], scale: &[f64]| -> Vec<f64> {
        let mean = token.iter().sum::<f64>() / c as f64;
        let variance = token.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / c as f64;
        let normal = |v: f64| (v - mean) / (variance + 1e-6).sqrt();
        (0..c)
            .map(|i| normal(token[i]) * (1.0 + scale[i]) + shift[i])
            .collect()
    };
    for b in 0..a.blocks {
        let name = |part: &str| format!("blocks.{b}.{part}");
        let m = linear(p, &name("modulation"), &time);
        let part = |i: usize| &m[i * c..(i + 1) * c];
        let qkv: Vec<Vec<f64>> = tokens
            .iter()
            .map(|t| linear(p, &name("qkv"), &modulate(t, part(0), part(1))))
            .collect();
        let offset = if b % 2 == 1 { a.window / 2 } else { 0 };
        let window = |i: usize| ((i / w + offset) / a.window, (i % w + offset) / a.window);
        let place = |i: usize| ((i / w + offset) % a.window, (i % w + offset) % a.window);
        let d = c / a.heads;
        let span = 2 * a.window - 1;
        let mut mixed = vec![vec![0.0; c]; h * w];
        for q in 0..h * w {
            let others: Vec<usize> = (0..h * w).filter(|k| window(*k) == window(q)).collect();
            for head in 0..a.heads {
                let scores: Vec<f64> = others
                    .iter()
                    .map(|k| {
                        let dot: f64 = (0..d)
                            .map(|i| qkv[q][head * d + i] * qkv[*k][c + head * d + i])
                            .sum();
                        let down = place(q).0 + a.window - 1 - place(*k).0;
                        let across = place(q).1 + a.window - 1 - place(*k).1;
                        let bias = p[&name("position")][head * span * span + down * span + across];
                        dot / (d as f64).sqrt() + bias
                    })
                    .collect();
                let total: f64 = scores.iter().map(|s| s.exp()).sum();
                for (k, s) in others.iter().zip(&scores) {
                    for i in 0..d {
                        mixed[q][head * d + i] += s.exp() / total * qkv[*k][2 * c + head * d + i];
                    }
                }
            }
        }
        for (token, mixed) in tokens.iter_mut().zip(&mixed) {
            let out = linear(p, &name("proj"), mixed);
            (0..c).for_each(|i| token[i] += out[i] * part(2)[i]);
            let hidden: Vec<f64> = linear(p, &name("mlp.0"), &modulate(token, part(3), part(4)))
                .into_iter()
                .map(|v| 0.5 * v * (1.0 + erf(v * FRAC_1_SQRT_2)))
                .collect();
            let out = linear(p, &name("mlp.2"), &hidden);
            (0..c).for_each(|i| token[i] += out[i] * part(5)[i]);
        }
    }
    let m = linear(p, "head_modulation", &time);
    let last: Vec<Vec<f64>> = tokens.iter().map(|t| modulate(t, &m[..c], &m[c..])).collect();
    let v = (0..c * h * w).map(|i| last[i % (h * w)][i / (h * w)]).collect();
    conv(p, "head", 3, &Image { c, h, w, v })
}

/// By its series, exact to 1e-12 for the small values of a test.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..80 {
        term *= -x * x / f64::from(n);
        sum += term / f64::from(2 * n + 1);
    }
    sum * 2.0 / std::f64::consts::PI.sqrt()
}

/// Weights that do something everywhere.
fn lively(a: &VelocityArchitecture, seed: u64) -> Weights {
    let mut random = SplitMix64::new(seed);
    let mut weights = Weights::default();
    for p in a.parameters() {
        let values = (0..p.len()).map(|_| (0.15 * random.normal()) as f32).collect();
        weights.insert(
            p.name,
            Values {
                shape: p.shape,
                values,
            },
        );
    }
    weights
}

fn named(weights: &Weights) -> Named {
    let wide = |t: &Values| t.values.iter().map(|v| f64::from(*v)).collect();
    weights.iter().map(|(n, t)| (n.clone(), wide(t))).collect()
}

fn architectures() -> [VelocityArchitecture; 5] {
    let VelocityArchitecture::Dit(mut dit) = VelocityArchitecture::dit(2, 12, 3) else {
        panic!("a transformer")
    };
    (dit.heads, dit.window, dit.time_features) = (3, 4, 10);
    let VelocityArchitecture::Conv(mut conv) = VelocityArchitecture::conv(4, 6, 2) else {
        panic!("convolutions")
    };
    conv.time_features = 8;
    let mut plain = dit.clone();
    plain.condition = Condition::LowQuality;
    let skip = GaussianSkip {
        sigma: 0.2,
        rho: 0.05,
    };
    [
        VelocityArchitecture::Conv(conv.clone()),
        VelocityArchitecture::Conv(conv).with_skip(skip),
        VelocityArchitecture::Dit(dit.clone()).with_skip(skip),
        VelocityArchitecture::Dit(dit),
        VelocityArchitecture::Dit(plain),
    ]
}

fn given(low: &Image, mean: &Image) -> Conditioning {
    Conditioning {
        low: low.tensor(),
        mean: Some(mean.tensor()),
    }
}

fn vector<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.try_into_vec_as::<f32>().expect("reads")
}

#[test]
fn fields_are_what_their_descriptions_say() {
    // Sizes that fill no window, and less than one.
    for (h, w) in [(5, 7), (4, 8), (1, 3)] {
        for a in architectures() {
            let (weights, r, t) = (lively(&a, 5), a.scale(), 0.3);
            let (low, mean) = (Image::random(3, h, w, 1), Image::random(3, h * r, w * r, 2));
            let x_t = Image::random(3, h * r, w * r, 3);
            let field = velocity_field(&a).expect("valid");
            let got = field.velocity(
                &upload(&weights, &Device::flex()),
                x_t.tensor(),
                Tensor::from_floats([t as f32], &Device::flex()),
                &given(&low, &mean),
            );
            assert_eq!(got.dims(), [1, 3, h * r, w * r]);
            let got = vector(got);

            let p = named(&weights);
            let stacked = input(&a, &x_t, &low, &mean);
            let t = f64::from(t as f32);
            let out = match &a {
                VelocityArchitecture::Conv(own) => conv_by_definition(&a, &own.layers, &p, stacked, t),
                VelocityArchitecture::Dit(own) => dit_by_definition(own, &p, &stacked, t),
            };
            let mut expected = unshuffle_inverse(&out, r);
            if let Some(skip) = a.skip() {
                let moved = x_t.v.iter().zip(&mean.v).map(|(x, m)| skip.gain(t) * (x - m));
                expected.iter_mut().zip(moved).for_each(|(e, m)| *e += m);
            }
            for (a, b) in got.iter().zip(&expected) {
                assert!((f64::from(*a) - b).abs() < 2e-4, "{a} {b}");
            }
        }
    }
}

/// `[3 r r, h, w]` to `[3, h r, w r]`.
fn unshuffle_inverse(x: &Image, r: usize) -> Vec<f64> {
    let (h, w) = (x.h * r, x.w * r);
    let mut out = Vec::new();
    for c in 0..x.c / (r * r) {
        for y in 0..h {
            for px in 0..w {
                out.push(x.at(c * r * r + (y % r) * r + px % r, y / r, px / r));
            }
        }
    }
    out
}

#[test]
fn every_image_of_a_batch_has_its_own_time() {
    for a in architectures() {
        let (r, device) = (a.scale(), Device::flex());
        let parameters = upload(&lively(&a, 5), &device);
        let field = velocity_field(&a).expect("valid");
        let images = |c, h, w, seed| {
            (
                Image::random(c, h, w, seed).tensor(),
                Image::random(c, h, w, seed + 50).tensor(),
            )
        };
        let (low, mean, x) = (
            images(3, 5, 6, 1),
            images(3, 5 * r, 6 * r, 2),
            images(3, 5 * r, 6 * r, 3),
        );
        let both = |p: &(Tensor<4>, Tensor<4>)| Tensor::cat(vec![p.0.clone(), p.1.clone()], 0);
        let together = field.velocity(
            &parameters,
            both(&x),
            Tensor::from_floats([0.2, 0.9], &device),
            &Conditioning {
                low: both(&low),
                mean: Some(both(&mean)),
            },
        );
        let second = field.velocity(
            &parameters,
            x.1,
            Tensor::from_floats([0.9], &device),
            &Conditioning {
                low: low.1,
                mean: Some(mean.1),
            },
        );
        let worst = (together.narrow(0, 1, 1) - second)
            .abs()
            .max()
            .into_scalar::<f32>();
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn a_fresh_field_is_the_identity_on_its_source() {
    // What starts at zero is found by its place, not by its name.
    let VelocityArchitecture::Conv(mut renamed) = VelocityArchitecture::conv(2, 4, 1) else {
        panic!("convolutions")
    };
    for (i, layer) in renamed.layers.iter_mut().enumerate() {
        if let Layer::Conv { name, .. } | Layer::Film { name, .. } = layer {
            *name = format!("film{i}");
        }
    }
    for a in architectures()
        .into_iter()
        .chain([VelocityArchitecture::Conv(renamed)])
    {
        let (device, r) = (Device::flex(), a.scale());
        let weights = init_velocity(&a, 1);
        weights.check(&a.parameters()).expect("all there");
        let (field, parameters) = (velocity_field(&a).expect("valid"), upload(&weights, &device));
        assert_eq!(download(&parameters, &a.parameters()).expect("reads"), weights);
        let mean = Image::random(3, 4 * r, 4 * r, 1);
        let condition = given(&Image::random(3, 4, 4, 2), &mean);
        let mut sampled = ConditionedField::new(&*field, &parameters, condition).expect("fits");
        let x1 = pollster::block_on(integrate(&mut sampled, mean.tensor(), &Schedule::four(), |_| {
            true
        }));
        assert_eq!(vector(x1.expect("runs")), vector(mean.tensor()));
        // A state of another size is named.
        let wrong = Image::random(3, 8, 4 * r, 1).tensor();
        let wrong = wrong.slice([0..1, 0..3, 0..8, 0..4 * r - 1]);
        assert!(matches!(
            pollster::block_on(sampled.velocity(&wrong, 0.5)),
            Err(Error::Size(_))
        ));
    }
}

#[test]
fn a_fresh_field_with_a_skip_carries_one_gaussian_to_the_other() {
    let skip = GaussianSkip {
        sigma: 0.2,
        rho: 0.05,
    };
    let a = VelocityArchitecture::conv(2, 4, 1).with_skip(skip);
    let (field, parameters) = (
        velocity_field(&a).expect("valid"),
        upload(&init_velocity(&a, 1), &Device::flex()),
    );
    let (mean, noise) = (
        Image::random(3, 8, 8, 1).tensor(),
        Image::random(3, 8, 8, 2).tensor(),
    );
    let condition = Conditioning {
        low: Image::random(3, 4, 4, 3).tensor(),
        mean: Some(mean.clone()),
    };
    let mut sampled = ConditionedField::new(&*field, &parameters, condition).expect("fits");
    let x0 = mean.clone() + noise.clone() * 0.2;
    let schedule = Schedule::uniform(800).expect("in range");
    let x1 = pollster::block_on(integrate(&mut sampled, x0, &schedule, |_| true)).expect("runs");
    let worst = (x1 - (mean + noise * 0.05)).abs().max().into_scalar::<f32>();
    assert!(worst < 1e-3, "{worst}");
}

#[test]
fn conditions_that_do_not_fit_are_named() {
    let a = VelocityArchitecture::conv(2, 4, 1);
    let (field, parameters) = (
        velocity_field(&a).expect("valid"),
        upload(&init_velocity(&a, 1), &Device::flex()),
    );
    let low = Image::random(3, 4, 4, 1).tensor();
    let refused = |mean: Option<Tensor<4>>| {
        let condition = Conditioning {
            low: low.clone(),
            mean,
        };
        ConditionedField::new(&*field, &parameters, condition)
            .expect_err("refused")
            .to_string()
    };
    assert!(refused(None).contains("none"));
    assert!(refused(Some(low.clone())).contains("[1, 3, 4, 4]"));
}

#[test]
fn a_tile_with_its_halo_is_the_crop_of_the_whole() {
    for a in architectures() {
        let (device, r, halo) = (Device::flex(), a.scale(), a.receptive_radius());
        let parameters = upload(&lively(&a, 5), &device);
        let field = velocity_field(&a).expect("valid");
        let align = |x: usize| x / a.alignment() * a.alignment();
        let (h, w) = (4 * halo, 3 * halo);
        let (low, mean, x) = (
            Image::random(3, h, w, 1).tensor(),
            Image::random(3, h * r, w * r, 2).tensor(),
            Image::random(3, h * r, w * r, 3).tensor(),
        );
        let run = |y0: usize, y1: usize| {
            let rows = |t: &Tensor<4>, k: usize| t.clone().narrow(2, y0 * k, (y1 - y0) * k);
            let condition = Conditioning {
                low: rows(&low, 1),
                mean: Some(rows(&mean, r)),
            };
            field.velocity(
                &parameters,
                rows(&x, r),
                Tensor::from_floats([0.4], &device),
                &condition,
            )
        };
        // Rows from `inner` to the end of the tile, which starts on the grid with a halo or more before it.
        let start = align(halo + 3);
        let inner = start + halo;
        let (tile, whole) = (run(start, h), run(0, h));
        let whole = whole.narrow(2, inner * r, (h - inner) * r);
        let difference = tile.narrow(2, (inner - start) * r, (h - inner) * r) - whole.clone();
        let worst = difference.abs().max().into_scalar::<f32>();
        let largest = whole.abs().max().into_scalar::<f32>();
        assert!(worst < 1e-5 * largest, "{worst} of {largest}");
    }
}

#[test]
fn adapters_are_their_merged_weights() {
    for a in architectures() {
        let device = Device::flex();
        let (base, shapes) = (lively(&a, 5), a.parameters());
        let adapter = |rank, seed| {
            let mut adapter = LoraAdapter::new(&LoraConfig::new(rank), &shapes, seed).expect("fits");
            let mut random = SplitMix64::new(seed);
            for m in adapter.modules_mut() {
                m.b_mut()
                    .iter_mut()
                    .for_each(|v| *v = (0.1 * random.normal()) as f32);
            }
            adapter
        };
        let (first, second) = (adapter(2, 1), adapter(3, 2));
        let mut set = AdapterSet::default();
        set.insert("sr", &first, &device);
        set.insert("dpo", &second, &device);
        set.set_strength("dpo", 0.5).expect("known");
        let on_device = upload(&base, &device);
        let compare = |got: Parameters, expected: &Weights| {
            let got = download(&got, &shapes).expect("reads");
            for (name, t) in expected.iter() {
                let other: &model::Tensor = got.get(name).expect("there");
                let worst = t
                    .values
                    .iter()
                    .zip(&other.values)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(worst < 1e-6, "{name}: {worst}");
            }
        };
        let mut merged = base.clone();
        first.merge(&mut merged, 1.0).expect("fits");
        // One off.
        compare(
            set.switched("dpo", 0.0)
                .expect("known")
                .apply(&on_device)
                .expect("fits"),
            &merged,
        );
        // Both, one of them scaled.
        second.merge(&mut merged, 0.5).expect("fits");
        compare(set.apply(&on_device).expect("fits"), &merged);
        // All off: the backbone itself.
        let off = set
            .switched("dpo", 0.0)
            .and_then(|s| s.switched("sr", 0.0))
            .expect("known");
        compare(off.apply(&on_device).expect("fits"), &base);
        // What is on the device is the adapter.
        assert_eq!(set.download("sr").expect("reads"), first);
        assert!(matches!(set.set_strength("other", 1.0), Err(Error::Adapter(_))));
        let foreign = upload(&Weights::default(), &device);
        assert!(matches!(set.apply(&foreign), Err(Error::Adapter(_))));
    }
}
