//! The objectives against closed forms, finite differences and their plain twins.
#![cfg(feature = "burn")]

use std::f32::consts::LN_2;

use asasr_core::Size;
use asasr_core::flow;
use asasr_core::model::{LoraAdapter, LoraConfig, Tensor as Values, VelocityArchitecture, Weights};
use asasr_core::nn::{AdapterSet, Conditioning, Parameters, VelocityField, upload, velocity_field};
use asasr_core::objective::{
    Energies, PathPoint, Preference, SobolevMetric, align, flow_loss, mix, negative, project, riesz_step,
    sobolev_cosine,
};
use asasr_core::random::SplitMix64;
use asasr_core::spectral::{Boundary, Laplacian, SobolevOperator, Spectrum, Stencil};
use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;

fn values(n: usize, seed: u64) -> Vec<f64> {
    let mut random = SplitMix64::new(seed);
    (0..n).map(|_| random.normal()).collect()
}

/// A batch of images in f64.
fn images(shape: [usize; 4], data: &[f64]) -> Tensor<4> {
    Tensor::from_data(
        TensorData::new(data.to_vec(), shape),
        (&Device::flex(), DType::F64),
    )
}

fn wide<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.try_into_vec_as::<f64>().expect("reads")
}

/// One radius for every image.
fn radii(n: usize, radius: f64) -> Tensor<1> {
    Tensor::full([n], radius, (&Device::flex(), DType::F64))
}

fn metric(h: usize, w: usize, s: f64) -> SobolevMetric {
    let spectrum = Spectrum::sobolev(s).expect("in range");
    SobolevMetric::new(
        Size::new(w, h),
        spectrum,
        Laplacian::default(),
        (&Device::flex(), DType::F64),
    )
    .expect("plans")
}

fn close(a: &[f64], b: &[f64], tolerance: f64) -> bool {
    let size = b.iter().map(|v| v.abs()).fold(1.0, f64::max);
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance * size)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_metric_is_the_operator(
        h in 1usize..14, w in 1usize..14, s in -2.0f64..=3.0, which in 0usize..3, seed: u64,
    ) {
        let laplacian = Laplacian {
            boundary: [Boundary::Neumann, Boundary::Periodic, Boundary::Dirichlet][which],
            stencil: Stencil::FivePoint,
        };
        let spectrum = Spectrum::sobolev(s).expect("in range");
        let plain = SobolevOperator::new(Size::new(w, h), spectrum, laplacian).expect("plans");
        let metric = SobolevMetric::new(Size::new(w, h), spectrum, laplacian, (&Device::flex(), DType::F64)).expect("plans");
        let (n, c) = (2, 3);
        let size = c * h * w;
        let (a, b) = (values(n * size, seed), values(n * size, seed ^ 1));
        let (ta, tb) = (images([n, c, h, w], &a), images([n, c, h, w], &b));
        let per_image = |f: &dyn Fn(&[f64], &[f64]) -> f64| -> Vec<f64> {
            a.chunks(size).zip(b.chunks(size)).map(|(a, b)| f(a, b)).collect()
        };
        let radius = 0.7 * plain.norm_squared(&a[..size]).expect("sizes").sqrt();

        let norms = per_image(&|a, _| plain.norm_squared(a).expect("sizes"));
        prop_assert!(close(&wide(metric.norm_squared(ta.clone())), &norms, 1e-10));
        let energies = per_image(&|a, _| plain.energy(a).expect("sizes"));
        prop_assert!(close(&wide(metric.energy(ta.clone())), &energies, 1e-10));
        let inners = per_image(&|a, b| plain.inner(a, b).expect("sizes"));
        prop_assert!(close(&wide(metric.inner(ta.clone(), tb.clone())), &inners, 1e-10));
        let cosines = per_image(&|a, b| plain.cosine(a, b).expect("sizes"));
        prop_assert!(close(&wide(sobolev_cosine(&metric, ta.clone(), tb)), &cosines, 1e-9));

        let each = |f: &dyn Fn(&mut [f64])| {
            let mut x = a.clone();
            x.chunks_mut(size).for_each(f);
            x
        };
        for exponent in [1.0, -1.0, -0.5] {
            let expected = each(&|x| plain.apply(x, exponent).expect("sizes"));
            prop_assert!(close(&wide(metric.apply(ta.clone(), exponent)), &expected, 1e-9));
        }
        let expected = each(&|x| plain.colour(x).expect("sizes"));
        prop_assert!(close(&wide(metric.colour(ta.clone())), &expected, 1e-9));
        for share in [0.0, 0.4, 1.0] {
            let mean_square = a.iter().map(|v| v * v).sum::<f64>() / a.len() as f64;
            let energy = plain.energy(&a).expect("sizes");
            let expected = (1.0 - share) * mean_square + share * energy;
            prop_assert!(close(&wide(flow_loss(&metric, ta.clone(), share)), &[expected], 1e-10));
        }
        let expected = each(&|x| plain.project(x, radius).expect("sizes"));
        prop_assert!(close(&wide(project(&metric, ta.clone(), &radii(n, radius))), &expected, 1e-9));
        let expected = each(&|x| _ = plain.riesz_step(x, 0.5).expect("sizes"));
        prop_assert!(close(&wide(riesz_step(&metric, ta, &radii(n, 0.5))), &expected, 1e-9));
    }

    #[test]
    fn the_gradient_of_the_energy_is_the_precision_operator(h in 1usize..10, w in 1usize..10, s in -1.0f64..3.0, seed: u64) {
        let data = values(2 * h * w, seed);
        let m = metric(h, w, s);
        let x = images([1, 2, h, w], &data).autodiff().require_grad();
        let gradients = m.energy(x.clone()).sum().backward();
        let got = wide(x.grad(&gradients).expect("has one"));
        let mut expected = data;
        let plain = SobolevOperator::new(Size::new(w, h), Spectrum::sobolev(s).expect("in range"), Laplacian::default())
            .expect("plans");
        plain.precision(&mut expected).expect("sizes");
        let factor = 2.0 / (expected.len() as f64 * plain.mean_weight());
        expected.iter_mut().for_each(|v| *v *= factor);
        prop_assert!(close(&got, &expected, 1e-9));
    }

    #[test]
    fn points_of_tensor_paths_are_those_of_the_plain_path(t in 0.0f64..0.99, seed: u64) {
        let (a, b) = (values(12, seed), values(12, seed ^ 1));
        let times = Tensor::from_data(TensorData::new(vec![t], [1]), (&Device::flex(), DType::F64));
        let point = PathPoint::new(&images([1, 3, 2, 2], &a), &images([1, 3, 2, 2], &b), &times);
        prop_assert!(close(&wide(point.x_t.clone()), &flow::point(&a, &b, t), 1e-12));
        prop_assert!(close(&wide(point.u.clone()), &flow::velocity(&a, &b), 1e-12));
        let v = values(12, seed ^ 2);
        let clean = flow::clean_estimate(&flow::point(&a, &b, t), &v, t);
        prop_assert!(close(&wide(point.clean_estimate(images([1, 3, 2, 2], &v))), &clean, 1e-12));
        let expected: Vec<f64> = v.iter().zip(flow::velocity(&a, &b)).map(|(v, u)| v - u).collect();
        prop_assert!(close(&wide(point.residual(images([1, 3, 2, 2], &v))), &expected, 1e-12));
    }
}

#[test]
fn white_residuals_cost_the_same_for_every_order() {
    let (h, w) = (64, 64);
    let gamma = images([2, 3, h, w], &values(6 * h * w, 1));
    let mean_square = wide(gamma.clone().square().mean())[0];
    for s in [0.0, 0.5, 1.5, 2.0] {
        let m = metric(h, w, s);
        for share in [0.0, 0.3, 1.0] {
            let loss = wide(flow_loss(&m, gamma.clone(), share))[0];
            assert!((loss - 1.0).abs() < 0.05, "s {s}, mix {share}: {loss}");
        }
        assert!((wide(flow_loss(&m, gamma.clone(), 0.0))[0] - mean_square).abs() < 1e-12);
    }
    // At order zero the two terms are one.
    let m = metric(h, w, 0.0);
    assert!((wide(flow_loss(&m, gamma, 0.7))[0] - mean_square).abs() < 1e-9);
}

/// A small velocity field with a zero-initialised preference adapter, in f64.
struct Model {
    field: Box<dyn VelocityField>,
    base: Parameters,
    adapters: AdapterSet,
    condition: Conditioning,
}

const CROP: usize = 8;

impl Model {
    fn new() -> Self {
        let architecture = VelocityArchitecture::conv(2, 4, 1);
        let options = (&Device::flex(), DType::F64);
        let mut random = SplitMix64::new(8);
        let mut weights = Weights::default();
        for p in architecture.parameters() {
            let values = (0..p.len()).map(|_| (0.2 * random.normal()) as f32).collect();
            weights.insert(
                p.name,
                Values {
                    shape: p.shape,
                    values,
                },
            );
        }
        let adapter = LoraAdapter::new(&LoraConfig::new(2), &architecture.parameters(), 3).expect("fits");
        let mut adapters = AdapterSet::default();
        // The frozen adapter of the first stage, which policy and reference share.
        let mut first = LoraAdapter::new(&LoraConfig::new(3), &architecture.parameters(), 4).expect("fits");
        for module in first.modules_mut() {
            module
                .b_mut()
                .iter_mut()
                .for_each(|v| *v = (0.1 * random.normal()) as f32);
        }
        adapters.insert("sr", &first, options);
        adapters.insert("dpo", &adapter, options);
        Self {
            field: velocity_field(&architecture).expect("valid"),
            base: upload(&weights, options),
            adapters,
            condition: Conditioning {
                low: images([2, 3, CROP / 2, CROP / 2], &values(6 * CROP * CROP / 4, 11)),
                mean: Some(images([2, 3, CROP, CROP], &values(6 * CROP * CROP, 12))),
            },
        }
    }

    fn velocity(&self, adapters: &AdapterSet, point: &PathPoint) -> Tensor<4> {
        let parameters = adapters.apply(&self.base).expect("fits");
        self.field
            .velocity(&parameters, point.x_t.clone(), point.t.clone(), &self.condition)
    }

    /// The AS-DPO loss of two pairs, the reference being the same backbone with the adapter off.
    fn loss(&self, adapters: &AdapterSet, preference: &Preference, s: f64) -> Tensor<1> {
        let shape = [2, 3, CROP, CROP];
        let image = |seed| images(shape, &values(shape.iter().product(), seed)).mul_scalar(0.3);
        let t = Tensor::from_data(
            TensorData::new(vec![0.2, 0.7], [2]),
            (&Device::flex(), DType::F64),
        );
        let off = adapters.switched("dpo", 0.0).expect("known");
        let (loss, diagnostics) = align(
            preference,
            &metric(CROP, CROP, s),
            |p| self.velocity(adapters, p),
            |p| self.velocity(&off, p),
            (&image(21), &t),
            &image(22),
            &[image(23), image(24)],
        );
        assert_eq!(diagnostics.len(), 2);
        loss
    }

    /// The adapter with every factor moved by a small random amount, so that no gradient is zero.
    fn moved(&self) -> AdapterSet {
        let mut adapters = self.adapters.clone();
        for (i, factor) in adapters
            .factors_mut("dpo")
            .expect("known")
            .values_mut()
            .enumerate()
        {
            let n = factor.dims()[0];
            let step: Tensor<1> = Tensor::from_data(
                TensorData::new(values(n, 40 + i as u64), [n]),
                (&Device::flex(), DType::F64),
            );
            *factor = factor.clone() + step.mul_scalar(0.05);
        }
        adapters
    }
}

#[test]
fn at_the_reference_the_loss_is_ln_2() {
    let model = Model::new();
    for s in [0.0, 1.5] {
        let preference = Preference {
            beta: 2000.0,
            anchor: 0.0,
        };
        let loss = wide(model.loss(&model.adapters, &preference, s))[0];
        assert_eq!(loss, std::f64::consts::LN_2);
    }
    // In f32 as well.
    let energy = Tensor::<1>::from_floats([0.3, 7.0], &Device::flex());
    let energies = Energies {
        winner: energy.clone(),
        winner_reference: energy.clone(),
        loser: energy.clone() * 2.0,
        loser_reference: energy * 2.0,
    };
    let preference = Preference {
        beta: 5000.0,
        anchor: 0.0,
    };
    assert_eq!(preference.loss(&energies).into_scalar::<f32>(), LN_2);
}

#[test]
fn the_gradient_for_the_adapter_is_that_of_finite_differences() {
    let model = Model::new();
    let preference = Preference {
        beta: 3.0,
        anchor: 0.2,
    };
    for s in [0.0, 1.5] {
        let moved = model.moved();
        let mut tracked = moved.clone();
        let mut leaves = Vec::new();
        for (name, factor) in tracked.factors_mut("dpo").expect("known") {
            *factor = factor.clone().autodiff().require_grad();
            leaves.push((name.clone(), factor.clone()));
        }
        let gradients = model.loss(&tracked, &preference, s).backward();
        for (name, leaf) in leaves {
            let got = wide(leaf.grad(&gradients).expect("every factor has one"));
            for at in [0, got.len() / 2, got.len() - 1] {
                let shifted = |by: f64| {
                    let mut adapters = moved.clone();
                    let factor = adapters
                        .factors_mut("dpo")
                        .expect("known")
                        .get_mut(&name)
                        .expect("there");
                    let mut data = wide(factor.clone());
                    data[at] += by;
                    let n = data.len();
                    *factor = Tensor::from_data(TensorData::new(data, [n]), (&Device::flex(), DType::F64));
                    wide(model.loss(&adapters, &preference, s))[0]
                };
                let h = 1e-5;
                let expected = (shifted(h) - shifted(-h)) / (2.0 * h);
                assert!(
                    (got[at] - expected).abs() < 1e-7,
                    "{name}[{at}]: {} {expected}",
                    got[at]
                );
            }
        }
    }
}

#[test]
fn at_order_zero_it_is_diffusion_dpo() {
    // Wallace et al. 2024, equation 14, with the flow's velocity for the noise, from plain numbers.
    let (n, size) = (3, 3 * 4 * 5);
    let of = |seed| values(n * size, seed);
    let (winner, winner_reference, loser, loser_reference) = (of(1), of(2), of(3), of(4));
    let beta = 1.7;
    let mut expected = 0.0;
    for i in 0..n {
        let square = |x: &[f64]| x[i * size..(i + 1) * size].iter().map(|v| v * v).sum::<f64>() / size as f64;
        let inside =
            (square(&winner) - square(&winner_reference)) - (square(&loser) - square(&loser_reference));
        expected += (1.0 + (beta * inside).exp()).ln() / n as f64;
    }
    let m = metric(4, 5, 0.0);
    let energy = |x: &[f64]| m.energy(images([n, 3, 4, 5], x));
    let energies = Energies {
        winner: energy(&winner),
        winner_reference: energy(&winner_reference),
        loser: energy(&loser),
        loser_reference: energy(&loser_reference),
    };
    let got = wide(Preference { beta, anchor: 0.0 }.loss(&energies))[0];
    assert!((got - expected).abs() < 1e-12, "{got} {expected}");
}

/// A model of one velocity for all of a two-pixel image: `theta` in the plane.
struct Toy {
    theta: [f64; 2],
    energies: [f64; 2],
    margin: f64,
    accuracy: f64,
    loss: f64,
}

fn toy(steps: usize, preference: Preference, s: f64) -> Vec<Toy> {
    let shape = [1, 1, 1, 2];
    let (x0, winner, loser) = (
        images(shape, &[0.0; 2]),
        images(shape, &[1.0, 0.2]),
        images(shape, &[0.2, 1.0]),
    );
    let t = Tensor::from_data(TensorData::new(vec![0.5], [1]), (&Device::flex(), DType::F64));
    let start = images(shape, &[0.6, 0.6]);
    let mut theta = start.clone();
    let mut history = Vec::new();
    for _ in 0..steps {
        let tracked = theta.clone().autodiff().require_grad();
        let (loss, diagnostics) = align(
            &preference,
            &metric(1, 2, s),
            |_| tracked.clone(),
            |_| start.clone(),
            (&x0, &t),
            &winner,
            std::slice::from_ref(&loser),
        );
        let gradient = tracked.grad(&loss.backward()).expect("has one");
        let d = &diagnostics[0];
        let one = |x: &Tensor<1>| wide(x.clone())[0];
        let at = wide(theta.clone());
        history.push(Toy {
            theta: [at[0], at[1]],
            energies: [one(&d.winner_energy), one(&d.loser_energy)],
            margin: one(&d.margin),
            accuracy: one(&d.accuracy),
            loss: one(&loss.inner()),
        });
        theta = theta - gradient.mul_scalar(0.05);
    }
    history
}

#[test]
fn a_known_pair_moves_the_model_towards_the_winner() {
    for s in [0.0, 1.5] {
        let history = toy(
            60,
            Preference {
                beta: 2.0,
                anchor: 0.0,
            },
            s,
        );
        let (first, last) = (&history[0], &history[59]);
        assert_eq!((first.margin, first.accuracy), (0.0, 0.0));
        assert_eq!(first.loss, std::f64::consts::LN_2);
        for pair in history.windows(2) {
            assert!(pair[1].loss < pair[0].loss && pair[1].margin > pair[0].margin);
            // Along (1, -1), the direction in which winner and loser differ.
            assert!(pair[1].theta[0] > pair[0].theta[0] && pair[1].theta[1] < pair[0].theta[1]);
        }
        assert!(last.energies[1] > first.energies[1]);
        assert_eq!(last.accuracy, 1.0);
        assert!((last.theta[0] + last.theta[1] - 1.2).abs() < 1e-9);
    }
}

#[test]
fn the_anchor_holds_the_winner() {
    // Long after the preference is learned, only the anchored model is still at the winner.
    let run = |anchor| {
        let history = toy(3000, Preference { beta: 1.0, anchor }, 0.0);
        history.last().expect("has steps").energies[0]
    };
    let (free, anchored) = (run(0.0), run(2.0));
    assert!(free > 1.0, "{free}");
    assert!(anchored < 0.05, "{anchored}");
}

#[test]
fn the_riesz_step_lowers_a_real_networks_energy_more_than_the_gradient_does() {
    // J(x1): the flow energy of a small network at the image x1, its source and time fixed.
    let model = Model::new();
    let shape = [2, 3, CROP, CROP];
    let n: usize = shape.iter().product();
    let m = metric(CROP, CROP, 1.5);
    let x0 = images(shape, &values(n, 31)).mul_scalar(0.1);
    let x1 = images(shape, &values(n, 32)).mul_scalar(0.3);
    let t = Tensor::from_data(
        TensorData::new(vec![0.3, 0.6], [2]),
        (&Device::flex(), DType::F64),
    );
    let energy = |x1: Tensor<4>| {
        let point = PathPoint::new(&x0, &x1, &t);
        m.energy(point.residual(model.velocity(&model.adapters, &point)))
    };
    let tracked = x1.clone().autodiff().require_grad();
    let gradients = energy(tracked.clone()).sum().backward();
    let g = tracked.grad(&gradients).expect("has one");
    let before = wide(energy(x1.clone()));
    let radius = m.radius(0.003, 3);
    let delta = riesz_step(&m, g.clone(), &radii(2, radius));
    let after = wide(energy(x1.clone() + delta.clone()));
    // The plain gradient, scaled to the same sphere.
    let factor = m
        .norm_squared(g.clone())
        .sqrt()
        .recip()
        .mul_scalar(-radius)
        .reshape([2, 1, 1, 1]);
    let plain = wide(energy(x1.clone() + g.clone() * factor));
    let predicted = wide((g.clone() * delta.clone()).reshape([2, -1]).sum_dim(1));
    for i in 0..2 {
        assert!(
            after[i] < plain[i] && plain[i] < before[i],
            "{} {} {}",
            after[i],
            plain[i],
            before[i]
        );
        let ratio = (after[i] - before[i]) / predicted[i];
        assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
    }
    // The step is on the sphere, and its cosine to the learned adversary's yardstick, itself, is one.
    assert!(close(
        &wide(m.norm_squared(delta.clone()).sqrt()),
        &[radius; 2],
        1e-10
    ));
    assert!(close(
        &wide(sobolev_cosine(&m, delta.clone(), delta.clone())),
        &[1.0; 2],
        1e-10
    ));
    // A fixed mix is the straight line.
    let mixed = mix(&x1, &(x1.clone() + delta.clone()), 0.1);
    assert!(close(&wide(mixed), &wide(x1 + delta.mul_scalar(0.1)), 1e-12));
}

#[test]
fn steps_on_the_preference_adapter_lower_the_loss() {
    let model = Model::new();
    let preference = Preference {
        beta: 100.0,
        anchor: 0.0,
    };
    let mut adapters = model.adapters.clone();
    let mut losses = Vec::new();
    for _ in 0..8 {
        let mut tracked = adapters.clone();
        let factors = tracked.factors_mut("dpo").expect("known");
        factors
            .values_mut()
            .for_each(|f| *f = f.clone().autodiff().require_grad());
        let leaves = factors.clone();
        let loss = model.loss(&tracked, &preference, 1.5);
        let gradients = loss.backward();
        losses.push(wide(loss.inner())[0]);
        for (name, factor) in adapters.factors_mut("dpo").expect("known") {
            let gradient = leaves[name].grad(&gradients).expect("every factor has one");
            *factor = factor.clone() - gradient.mul_scalar(0.002);
        }
    }
    assert_eq!(losses[0], std::f64::consts::LN_2);
    assert!(losses.windows(2).all(|p| p[1] < p[0]), "{losses:?}");
}

#[test]
fn the_reference_is_a_constant() {
    // Where policy and reference agree, a gradient through both would cancel for everything they share.
    let mut model = Model::new();
    let name = "head.weight".to_owned();
    let leaf = model.base[&name].clone().autodiff().require_grad();
    model.base.insert(name, leaf.clone());
    let preference = Preference {
        beta: 100.0,
        anchor: 0.0,
    };
    let gradients = model.loss(&model.adapters, &preference, 1.5).backward();
    let gradient = wide(leaf.grad(&gradients).expect("the policy reaches it"));
    assert!(gradient.iter().any(|g| g.abs() > 1e-3), "{gradient:?}");
}

#[test]
fn the_adversarys_negative_stays_in_its_ball_and_aligns() {
    let shape = [2, 3, CROP, CROP];
    let n: usize = shape.iter().product();
    let m = metric(CROP, CROP, 1.5);
    let winner = images(shape, &values(n, 51)).mul_scalar(0.3);
    let adversary = winner.clone() + images(shape, &values(n, 52)).mul_scalar(0.2);
    // A wide ball for the first image, a narrow one for the second.
    let far = wide(m.norm_squared(adversary.clone() - winner.clone()).sqrt());
    let radius = Tensor::from_data(
        TensorData::new(vec![2.0 * far[0], 0.1 * far[1]], [2]),
        (&Device::flex(), DType::F64),
    );
    let loser = negative(&m, &winner, &adversary, &radius);
    let distance = wide(m.norm_squared(loser.clone() - winner.clone()).sqrt());
    assert!(close(&distance, &[far[0], 0.1 * far[1]], 1e-10));
    // The pair (truth, negative) is a pair like any other: its loss starts at ln 2 and has a gradient.
    let model = Model::new();
    let off = model.adapters.switched("dpo", 0.0).expect("known");
    let t = Tensor::from_data(
        TensorData::new(vec![0.2, 0.7], [2]),
        (&Device::flex(), DType::F64),
    );
    let preference = Preference {
        beta: 1000.0,
        anchor: 0.0,
    };
    let (loss, diagnostics) = align(
        &preference,
        &m,
        |p| model.velocity(&model.adapters, p),
        |p| model.velocity(&off, p),
        (&images(shape, &values(n, 53)), &t),
        &winner,
        &[loser],
    );
    assert_eq!(wide(loss)[0], std::f64::consts::LN_2);
    assert!(wide(diagnostics[0].loser_energy.clone())[0] > 0.0);
}

#[test]
fn steps_of_zero_have_finite_gradients() {
    // In f32, as training runs: an image on which adversary and winner agree must not spoil the batch.
    let device = Device::flex();
    let m = SobolevMetric::new(
        Size::new(4, 4),
        Spectrum::default(),
        Laplacian::default(),
        &device,
    )
    .expect("plans");
    let data: Vec<f32> = (0..96)
        .map(|i| if i < 48 { 0.0 } else { 1e-25 * i as f32 })
        .collect();
    let delta = Tensor::<4>::from_data(TensorData::new(data, [2, 3, 4, 4]), &device)
        .autodiff()
        .require_grad();
    let radius = Tensor::<1>::from_floats([0.5, 0.5], &device);
    let other = Tensor::<4>::ones([2, 3, 4, 4], &device).autodiff();
    let projected = project(&m, delta.clone(), &radius);
    let cosine = sobolev_cosine(&m, delta.clone(), other);
    let gradients = (projected.sum() + cosine.sum()).backward();
    let gradient = delta
        .grad(&gradients)
        .expect("has one")
        .try_into_vec_as::<f32>()
        .expect("reads");
    assert!(gradient.iter().all(|g| g.is_finite()));
    let step = riesz_step(&m, delta.inner(), &radius);
    let norms = m
        .norm_squared(step)
        .sqrt()
        .try_into_vec_as::<f32>()
        .expect("reads");
    assert_eq!(norms[0], 0.0);
    assert!((norms[1] - 0.5).abs() < 1e-4, "{norms:?}");
}
