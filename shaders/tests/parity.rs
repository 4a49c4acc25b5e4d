//! The kernels against the same networks on burn's CPU backend. They run on whatever adapter there is, a software
//! one (lavapipe) included; without any the tests fail, for a green run must mean that the shaders ran.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::{
    Executor, Planes, Rect,
    model::{Activation, Architecture, Layer, Skip, Tensor, Weights},
    nn::{BurnExecutor, Network},
};
use asasr_shaders::{Gpu, GpuExecutor};
use burn::tensor::Device;

/// A plain stream of values in `[-1, 1]`.
fn values(seed: usize, n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0)
        .collect()
}

fn weights(architecture: &Architecture) -> Weights {
    let mut all = Weights::default();
    for (i, p) in architecture.parameters().into_iter().enumerate() {
        let fan_in = p.shape[1..].iter().product::<usize>().max(4) as f32;
        let values = values(i + 1, p.len()).iter().map(|v| v / fan_in.sqrt()).collect();
        all.insert(
            p.name,
            Tensor {
                shape: p.shape,
                values,
            },
        );
    }
    all
}

fn image(width: usize, height: usize) -> Planes {
    let data = values(0, 3 * width * height)
        .iter()
        .map(|v| v * 0.5 + 0.5)
        .collect();
    Planes::new(3, height, width, data).unwrap()
}

fn worst(architecture: &Architecture, sizes: &[(usize, usize)]) -> f32 {
    let weights = weights(architecture);
    let gpu = pollster::block_on(Gpu::request(true)).expect("an adapter; see `cargo xtask doctor`");
    let mut shaders = GpuExecutor::new(gpu, architecture, &weights).unwrap();
    let mut cpu = BurnExecutor::new(Network::new(architecture, &weights, &Device::flex()).unwrap());
    let mut worst = 0.0f32;
    for (width, height) in sizes {
        let image = image(*width, *height);
        let place = Rect {
            x0: 0,
            y0: 0,
            x1: *width,
            y1: *height,
        };
        let a = pollster::block_on(shaders.run(&image, place)).unwrap();
        let b = pollster::block_on(cpu.run(&image, place)).unwrap();
        assert_eq!((a.width(), a.height()), (b.width(), b.height()));
        worst = a
            .data()
            .iter()
            .zip(b.data())
            .map(|(a, b)| (a - b).abs())
            .fold(worst, f32::max);
    }
    worst
}

fn conv(name: &str, inputs: usize, outputs: usize, kernel: usize, activation: Activation) -> Layer {
    Layer::Conv {
        name: name.into(),
        inputs,
        outputs,
        kernel,
        activation,
    }
}

#[test]
fn single_convolutions_agree() {
    for kernel in [1, 3] {
        for activation in [
            Activation::None,
            Activation::LeakyRelu { slope: 0.1 },
            Activation::Prelu,
        ] {
            for scale in [2, 3, 4] {
                let layers = vec![conv("only", 3, 3 * scale * scale, kernel, activation)];
                let architecture = Architecture {
                    scale,
                    skip: Skip::None,
                    layers,
                };
                let worst = worst(&architecture, &[(5, 3)]);
                assert!(worst < 1e-5, "{kernel}x{kernel} {activation:?} x{scale}: {worst}");
            }
        }
    }
}

#[test]
fn the_skip_alone_agrees() {
    let layers = vec![conv("only", 3, 48, 1, Activation::None)];
    let architecture = Architecture {
        scale: 4,
        skip: Skip::Bicubic,
        layers,
    };
    let worst = worst(&architecture, &[(1, 1), (2, 1), (1, 3), (2, 2), (9, 7)]);
    assert!(worst < 1e-5, "{worst}");
}

/// Tiles of many sizes through one executor: buffers grow and are shared.
#[test]
fn whole_restorers_agree() {
    for (channels, blocks) in [(48, 6), (20, 2), (6, 1)] {
        let architecture = Architecture::restorer(4, channels, blocks);
        let worst = worst(&architecture, &[(16, 16), (33, 17), (1, 1), (7, 40)]);
        assert!(worst < 1e-3, "{channels} channels: {worst}");
    }
}
