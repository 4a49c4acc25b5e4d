//! `cargo bench -p asasr-core --features autodiff,rayon --bench convolution`: a restorer's layers on the CPU, by our
//! operations and by burn's, forward alone and with all gradients.

use std::hint::black_box;

use asasr_core::model::Architecture;
use asasr_core::nn::{Network, Parameters, init_weights};
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

criterion_group!(benches, layers);
criterion_main!(benches);
