//! The whole-image spectral operator by image size, with its cost per pixel: `n log n` where the cost per pixel grows
//! like the logarithm of the side. Coloured noise, which is drawn by blocks, costs the same per pixel at any size.
#![allow(missing_docs, reason = "criterion's macros write public functions")]

use std::hint::black_box;

use asasr_core::spectral::{ColouredNoise, Laplacian, SobolevOperator, Spectrum};
use asasr_core::{Rect, Size};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn operator(c: &mut Criterion) {
    let mut group = c.benchmark_group("covariance_sqrt");
    group.sample_size(10);
    // 1, 4 and 16 megapixels; the odd size is a prime, the transform's worst case.
    for side in [1024, 2048, 4096, 2039] {
        let operator = SobolevOperator::new(Size::new(side, side), Spectrum::default(), Laplacian::default())
            .expect("plans");
        let mut plane = vec![0.5f32; side * side];
        group.throughput(Throughput::Elements((side * side) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{side}x{side}")), |b| {
            b.iter(|| operator.covariance_sqrt(black_box(&mut plane)).expect("sizes"));
        });
    }
    // An order that is no multiple of a half takes a power per coefficient.
    let side = 2048;
    let spectrum = Spectrum::sobolev(1.39).expect("in range");
    let operator =
        SobolevOperator::new(Size::new(side, side), spectrum, Laplacian::default()).expect("plans");
    let mut plane = vec![0.5f32; side * side];
    group.throughput(Throughput::Elements((side * side) as u64));
    group.bench_function("2048x2048, s = 1.39", |b| {
        b.iter(|| operator.covariance_sqrt(black_box(&mut plane)).expect("sizes"));
    });
    group.finish();
}

fn noise(c: &mut Criterion) {
    let mut group = c.benchmark_group("coloured_noise_tile");
    group.sample_size(10);
    let tile = 512;
    for side in [512, 4096] {
        let noise = ColouredNoise::new(1, Size::new(side, side), Spectrum::default()).expect("plans");
        let rect = Rect {
            x0: side - tile,
            y0: side - tile,
            x1: side,
            y1: side,
        };
        group.throughput(Throughput::Elements((tile * tile) as u64));
        group.bench_function(BenchmarkId::new("of_image", format!("{side}x{side}")), |b| {
            b.iter(|| noise.tile(1, black_box(rect)).expect("inside"));
        });
    }
    group.finish();
}

criterion_group!(benches, operator, noise);
criterion_main!(benches);
