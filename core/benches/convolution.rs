//! `cargo bench -p asasr-core --features autodiff,rayon --bench convolution`: a restorer's layers on the CPU, by our
//! operations and by burn's, forward alone and with all gradients; and a step of each velocity field.

use std::hint::black_box;

use asasr_core::model::{Architecture, VelocityArchitecture};
use asasr_core::nn::{
    Conditioning, Network, Parameters, init_velocity, init_weights, upload, velocity_field,
};
use burn::tensor::{Device, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn layers(c: &mut Criterion) {
    let mut group = c.benchmark_group("restorer");
    group.sample_size(10);
    for (channels, n, side) in [(96, 4, 24), (48, 16, 32), (48, 1, 128)] {
        let architecture = Architecture::restorer(4, channels, 2);
        let weights = init_weights(&architecture, 1);
        let device = Device::flex();
        let network = Network::new(&architecture, &weights, &device).expect("fits");
        let input = Tensor::<4>::ones([n, 3, side, side], &device);
        let work = 2 * architecture.parameter_count() * n * side * side;
        let shape = format!("{channels} channels, {n}x{side}x{side}");
        let tracked = |parameters: &Parameters| -> Parameters {
            let each = parameters.iter();
            each.map(|(n, p)| (n.clone(), p.clone().autodiff().require_grad()))
                .collect()
        };
        group.throughput(Throughput::Elements(work as u64));
        group.bench_function(BenchmarkId::new("forward, ours", &shape), |b| {
            b.iter(|| black_box(network.residual(input.clone())));
        });
        group.bench_function(BenchmarkId::new("forward, burn's", &shape), |b| {
            b.iter(|| black_box(network.residual_by_burn(input.clone())));
        });
        group.throughput(Throughput::Elements(3 * work as u64));
        group.bench_function(BenchmarkId::new("and backward, ours", &shape), |b| {
            b.iter(|| {
                let mut network = network.clone();
                *network.parameters_mut() = tracked(network.parameters());
                black_box(network.residual(input.clone().autodiff()).sum().backward())
            });
        });
        group.bench_function(BenchmarkId::new("and backward, burn's", &shape), |b| {
            b.iter(|| {
                let mut network = network.clone();
                *network.parameters_mut() = tracked(network.parameters());
                black_box(
                    network
                        .residual_by_burn(input.clone().autodiff())
                        .sum()
                        .backward(),
                )
            });
        });
    }
}

/// A training step of each velocity field: its value and all gradients.
fn fields(c: &mut Criterion) {
    let mut group = c.benchmark_group("velocity field");
    group.sample_size(10);
    let (scale, n, side) = (4, 4, 24);
    for (name, architecture) in [
        ("convolutions", VelocityArchitecture::conv(scale, 48, 3)),
        ("transformer", VelocityArchitecture::dit(scale, 64, 3)),
    ] {
        let device = Device::flex().autodiff();
        let field = velocity_field(&architecture).expect("a field");
        let weights = init_velocity(&architecture, 1);
        let images = |side: usize| Tensor::<4>::ones([n, 3, side, side], &device) * 0.5;
        let (x, t) = (images(side * scale), Tensor::<1>::ones([n], &device) * 0.5);
        let condition = Conditioning {
            low: images(side),
            mean: Some(images(side * scale)),
        };
        group.bench_function(BenchmarkId::new("forward and backward", name), |b| {
            b.iter(|| {
                let parameters: Parameters = upload(&weights, &device)
                    .into_iter()
                    .map(|(n, p)| (n, p.require_grad()))
                    .collect();
                let v = field.velocity(&parameters, x.clone(), t.clone(), &condition);
                black_box(v.square().sum().backward())
            });
        });
    }
}

criterion_group!(benches, layers, fields);
criterion_main!(benches);
