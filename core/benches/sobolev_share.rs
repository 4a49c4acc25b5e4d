//! How much of a training step the Sobolev terms take: a step of the flow and of AS-DPO on the default convolutional
//! field, with the terms and, in the same rounds, the terms alone. Prints the medians and their ratio.
#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

use std::time::{Duration, Instant};

use asasr_core::Size;
use asasr_core::model::VelocityArchitecture;
use asasr_core::nn::{Conditioning, Parameters, VelocityField, init_velocity, upload, velocity_field};
use asasr_core::objective::{PathPoint, Preference, SobolevMetric, align, flow_loss};
use asasr_core::spectral::{Laplacian, Spectrum};
use burn::tensor::{Device, Distribution, Tensor};

const ROUNDS: usize = 7;
const BATCH: usize = 4;
/// High-quality pixels of a crop's side.
const CROP: usize = 128;

struct Batch {
    point: PathPoint,
    x0: Tensor<4>,
    winner: Tensor<4>,
    losers: [Tensor<4>; 2],
    condition: Conditioning,
}

fn batch(device: &Device) -> Batch {
    let random =
        |side: usize| Tensor::<4>::random([BATCH, 3, side, side], Distribution::Normal(0.0, 0.2), device);
    let (x0, winner) = (random(CROP), random(CROP));
    let t = Tensor::<1>::random([BATCH], Distribution::Uniform(0.0, 1.0), device);
    Batch {
        point: PathPoint::new(&x0, &winner, &t),
        losers: [random(CROP), random(CROP)],
        condition: Conditioning {
            low: random(CROP / 4),
            mean: Some(random(CROP)),
        },
        x0,
        winner,
    }
}

/// One flow-matching step: forward, loss, backward.
fn flow_step(
    field: &dyn VelocityField,
    parameters: &Parameters,
    metric: &SobolevMetric,
    b: &Batch,
    mix: f64,
) {
    let v = field.velocity(parameters, b.point.x_t.clone(), b.point.t.clone(), &b.condition);
    read(&flow_loss(metric, b.point.residual(v), mix));
}

/// The Sobolev term of the flow step alone, forward and backward.
fn flow_term(metric: &SobolevMetric, b: &Batch) {
    let gamma = b.point.u.clone().autodiff().require_grad();
    read(&metric.energy(gamma).mean());
}

/// One AS-DPO step with two losers.
fn align_step(
    field: &dyn VelocityField,
    policy: &Parameters,
    reference: &Parameters,
    metric: &SobolevMetric,
    b: &Batch,
) {
    let run = |parameters: &Parameters, p: &PathPoint| {
        field.velocity(parameters, p.x_t.clone(), p.t.clone(), &b.condition)
    };
    let (loss, _) = align(
        &PREFERENCE,
        metric,
        |p| run(policy, p),
        |p| run(reference, p),
        (&b.x0, &b.point.t),
        &b.winner,
        &b.losers,
    );
    read(&loss);
}

/// The same with velocities that cost nothing.
fn align_term(metric: &SobolevMetric, b: &Batch) {
    let v = b.winner.clone().autodiff().require_grad();
    let (loss, _) = align(
        &PREFERENCE,
        metric,
        |_| v.clone(),
        |_| b.winner.clone(),
        (&b.x0, &b.point.t),
        &b.winner,
        &b.losers,
    );
    read(&loss);
}

const PREFERENCE: Preference = Preference {
    beta: 1000.0,
    anchor: 0.1,
};

fn read(loss: &Tensor<1>) {
    let gradients = loss.backward();
    std::hint::black_box((loss.clone().into_scalar::<f32>(), gradients));
}

fn timed(run: impl FnOnce()) -> Duration {
    let start = Instant::now();
    run();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn report(name: &str, whole: impl Fn(), term: impl Fn()) {
    whole();
    term();
    let (mut wholes, mut terms) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        wholes.push(timed(&whole));
        terms.push(timed(&term));
    }
    let (whole, term) = (median(wholes), median(terms));
    println!(
        "{name:8} {whole:9.1} ms a step, {term:7.2} ms of it in the Sobolev terms: {:.1} %",
        100.0 * term / whole
    );
}

fn main() {
    let device = Device::flex();
    let architecture = VelocityArchitecture::conv(4, 96, 8);
    let field = velocity_field(&architecture).expect("valid");
    let reference = upload(&init_velocity(&architecture, 1), &device);
    let policy: Parameters = reference
        .iter()
        .map(|(name, p)| (name.clone(), p.clone().autodiff().require_grad()))
        .collect();
    let metric = SobolevMetric::new(
        Size::new(CROP, CROP),
        Spectrum::default(),
        Laplacian::default(),
        &device,
    )
    .expect("plans");
    let b = batch(&device);
    println!(
        "{:.1} million parameters, batch {BATCH}, crops of {CROP}x{CROP}; medians of {ROUNDS} rounds",
        architecture.parameter_count() as f64 / 1e6
    );
    report(
        "flow",
        || flow_step(&*field, &policy, &metric, &b, 0.5),
        || flow_term(&metric, &b),
    );
    report(
        "as-dpo",
        || align_step(&*field, &policy, &reference, &metric, &b),
        || align_term(&metric, &b),
    );
}
