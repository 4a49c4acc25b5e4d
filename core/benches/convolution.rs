//! `cargo bench -p asasr-core --features autodiff,rayon --bench convolution`: a restorer's layers on the CPU, by our
//! operations and by burn's, forward alone and with all gradients.

use std::hint::black_box;

use asasr_core::model::{Activation, Architecture, Layer};
use asasr_core::nn::{Network, Parameters, init_weights};
use burn::tensor::activation::leaky_relu;
use burn::tensor::{Device, Tensor, module::conv2d, ops::ConvOptions};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// The layers by burn's own operations.
fn by_burn(architecture: &Architecture, parameters: &Parameters, input: Tensor<4>) -> Tensor<4> {
    let mut values = Vec::new();
    let mut x = input;
    for layer in &architecture.layers {
        let next = match layer {
            Layer::Conv {
                name,
                inputs,
                outputs,
                kernel,
                activation,
            } => {
                let weight = parameters[&format!("{name}.weight")].clone();
                let bias = parameters[&format!("{name}.bias")].clone();
                let pad = kernel / 2;
                let y = conv2d(
                    x.clone(),
                    weight.reshape([*outputs, *inputs, *kernel, *kernel]),
                    Some(bias),
                    ConvOptions::new([1, 1], [pad, pad], [1, 1], 1),
                );
                match activation {
                    Activation::LeakyRelu { slope } => leaky_relu(y, f64::from(*slope)),
                    _ => y,
                }
            }
            Layer::Add { with } => x.clone() + Tensor::clone(&values[*with]),
            Layer::Film { .. } => unreachable!("a restorer has no time"),
        };
        values.push(x);
        x = next;
    }
    x
}

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
            b.iter(|| black_box(by_burn(&architecture, network.parameters(), input.clone())));
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
                let parameters = tracked(network.parameters());
                black_box(
                    by_burn(&architecture, &parameters, input.clone().autodiff())
                        .sum()
                        .backward(),
                )
            });
        });
    }
}

criterion_group!(benches, layers);
criterion_main!(benches);
