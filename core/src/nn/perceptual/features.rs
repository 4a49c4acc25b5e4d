use alloc::{format, string::String, vec::Vec};

use burn::tensor::{
    Device, Tensor,
    activation::relu,
    module::{avg_pool2d, conv2d, max_pool2d},
    ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode},
};

use super::shaped;
use crate::model::Weights;
use crate::nn::cpu::{Convolution, halve};
use crate::nn::{Parameters, upload};
use crate::{Error, Result};

/// The network whose features are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backbone {
    /// Krizhevsky 2014.
    AlexNet,
    /// Simonyan and Zisserman 2015.
    Vgg16,
}

/// How features are made smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// A maximum over all windows, then a binomial low-pass (Zhang 2019).
    Antialiased,
    /// A maximum.
    Max,
    /// The root of the mean square under a binomial window (Ding et al. 2020).
    RootMeanSquare,
}

/// Number and kernel of each convolution of a slice. Pooling, activations and low-passes take numbers too.
type Slice = &'static [(usize, usize)];

impl Backbone {
    /// The convolutions of the five slices, numbered as in the published files.
    pub(super) fn slices(self, pool: Pool) -> [Slice; 5] {
        match (self, pool) {
            (Self::AlexNet, Pool::Antialiased) => [&[(0, 11)], &[(5, 5)], &[(9, 3)], &[(11, 3)], &[(13, 3)]],
            (Self::AlexNet, _) => [&[(0, 11)], &[(3, 5)], &[(6, 3)], &[(8, 3)], &[(10, 3)]],
            (Self::Vgg16, Pool::Antialiased) => [
                &[(0, 3), (2, 3)],
                &[(6, 3), (8, 3)],
                &[(12, 3), (14, 3), (16, 3)],
                &[(20, 3), (22, 3), (24, 3)],
                &[(28, 3), (30, 3), (32, 3)],
            ],
            (Self::Vgg16, _) => [
                &[(0, 3), (2, 3)],
                &[(5, 3), (7, 3)],
                &[(10, 3), (12, 3), (14, 3)],
                &[(17, 3), (19, 3), (21, 3)],
                &[(24, 3), (26, 3), (28, 3)],
            ],
        }
    }

    /// Whether features are made smaller before a slice, and the side of the window.
    fn window(self, slice: usize) -> Option<usize> {
        match (self, slice) {
            (_, 0) | (Self::AlexNet, 3..) => None,
            (Self::AlexNet, _) => Some(3),
            (Self::Vgg16, _) => Some(2),
        }
    }
}

#[derive(Debug, Clone)]
struct Layer {
    name: String,
    outputs: usize,
    kernel: usize,
}

/// A network that is read after each of its five slices.
#[derive(Debug, Clone)]
pub(super) struct Features {
    backbone: Backbone,
    pool: Pool,
    slices: Vec<Vec<Layer>>,
    parameters: Parameters,
}

impl Features {
    /// Takes `net.slice{1..5}.{n}` or `features.{n}` of the weights; the first kernel tells the network.
    pub(super) fn new(weights: &Weights, pool: Pool, device: &Device) -> Result<Self> {
        let named = |slice: usize, number: usize| {
            let whole = format!("net.slice{}.{number}", slice + 1);
            let there = weights.get(&format!("{whole}.weight")).is_ok();
            if there || pool == Pool::Antialiased {
                whole
            } else {
                format!("features.{number}")
            }
        };
        let backbone = match weights.get(&format!("{}.weight", named(0, 0)))?.shape[..] {
            [_, _, 11, 11] => Backbone::AlexNet,
            [_, _, 3, 3] => Backbone::Vgg16,
            _ => {
                return Err(Error::Weights(
                    "the first kernel is neither AlexNet's nor VGG-16's".into(),
                ));
            }
        };
        let mut used = Weights::default();
        let (mut slices, mut inputs) = (Vec::new(), 3);
        for (slice, layers) in backbone.slices(pool).iter().enumerate() {
            let mut own = Vec::new();
            for (number, kernel) in *layers {
                let name = named(slice, *number);
                let bias = format!("{name}.bias");
                let outputs = weights.get(&bias)?.values.len();
                used.insert(bias.clone(), shaped(weights, &bias, &[outputs])?.clone());
                let weight = format!("{name}.weight");
                let shape = [outputs, inputs, *kernel, *kernel];
                used.insert(weight.clone(), shaped(weights, &weight, &shape)?.clone());
                own.push(Layer {
                    name,
                    outputs,
                    kernel: *kernel,
                });
                inputs = outputs;
            }
            slices.push(own);
        }
        Ok(Self {
            backbone,
            pool,
            slices,
            parameters: upload(&used, device),
        })
    }

    pub(super) fn backbone(&self) -> Backbone {
        self.backbone
    }

    pub(super) fn pool(&self) -> Pool {
        self.pool
    }

    /// Channels after each slice.
    pub(super) fn channels(&self) -> Vec<usize> {
        let last = |slice: &Vec<Layer>| slice.last().map_or(0, |l| l.outputs);
        self.slices.iter().map(last).collect()
    }

    /// The features after each slice, of images in the range that the network was trained for.
    pub(super) fn of(&self, mut x: Tensor<4>) -> Vec<Tensor<4>> {
        let mut all = Vec::new();
        for (slice, layers) in self.slices.iter().enumerate() {
            if let Some(window) = self.backbone.window(slice) {
                x = match self.pool {
                    Pool::Antialiased => halve(&x, window).unwrap_or_else(|| blurred(maximum(x, window, 1))),
                    Pool::Max => maximum(x, window, 2),
                    Pool::RootMeanSquare => root_mean_square(x),
                };
            }
            for layer in layers {
                x = self.layer(layer, x);
            }
            all.push(x.clone());
        }
        all
    }

    fn layer(&self, layer: &Layer, x: Tensor<4>) -> Tensor<4> {
        let get = |what: &str| self.parameters[&format!("{}.{what}", layer.name)].clone();
        let [_, inputs, _, _] = x.dims();
        let weight = get("weight").reshape([layer.outputs, inputs, layer.kernel, layer.kernel]);
        let bias = Some(get("bias"));
        if layer.kernel < 11 {
            let convolution = Convolution {
                weight,
                bias,
                padding: layer.kernel / 2,
                groups: 1,
                slope: 0.0,
            };
            return convolution.of(x);
        }
        // AlexNet's first, whose padding is narrow; the shift-tolerant one takes no strides, but a low-pass after it.
        let stride = if self.pool == Pool::Antialiased { 1 } else { 4 };
        let options = ConvOptions::new([stride, stride], [2, 2], [1, 1], 1);
        let y = conv2d(x, weight, bias, options);
        relu(if stride == 1 { blurred(y) } else { y })
    }
}

fn maximum(x: Tensor<4>, window: usize, stride: usize) -> Tensor<4> {
    max_pool2d(
        x,
        MaxPoolOptions::new([window, window]).with_stride([stride, stride]),
    )
}

/// The binomial low-pass `1 2 1` in both directions at every other pixel of the plane reflected by two: the mean of two
/// neighbours, taken twice.
fn blurred(x: Tensor<4>) -> Tensor<4> {
    let x = x.pad([(2, 2), (2, 2)], PadMode::Reflect);
    let pair = |stride: usize| AvgPoolOptions::new([2, 2]).with_stride([stride, stride]);
    avg_pool2d(avg_pool2d(x, pair(1)), pair(2))
}

/// The root of the mean square under `1 2 1` in both directions at every other pixel, zeros around the plane.
fn root_mean_square(x: Tensor<4>) -> Tensor<4> {
    let x = x.square().pad([(1, 1), (1, 1)], PadMode::Constant(0.0));
    let pair = |stride: usize| AvgPoolOptions::new([2, 2]).with_stride([stride, stride]);
    (avg_pool2d(avg_pool2d(x, pair(1)), pair(2)) + 1e-12).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use burn::tensor::TensorData;

    /// Pooling against its definition, pixel by pixel.
    #[test]
    fn halving_is_maximum_and_binomial_filter() {
        let (h, w) = (9, 12);
        let mut random = SplitMix64::new(4);
        let plane: Vec<f32> = (0..h * w).map(|_| random.normal() as f32).collect();
        let x = Tensor::from_data(TensorData::new(plane.clone(), [1, 1, h, w]), &Device::flex());
        let y = blurred(maximum(x, 2, 1));
        assert_eq!(y.dims(), [1, 1, h / 2 + 1, w / 2 + 1]);
        let got: Vec<f32> = y.try_into_vec_as().expect("reads");
        let most = |y: usize, x: usize| {
            let at = |dy: usize, dx: usize| plane[(y + dy) * w + x + dx];
            at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1))
        };
        let reflected = |i: isize, n: isize| {
            (if i < 0 {
                -i
            } else if i >= n {
                2 * n - 2 - i
            } else {
                i
            }) as usize
        };
        for (i, got) in got.iter().enumerate() {
            let (row, column) = ((i / (w / 2 + 1)) as isize, (i % (w / 2 + 1)) as isize);
            let mut sum = 0.0;
            for (dy, fy) in [1.0, 2.0, 1.0].iter().enumerate() {
                for (dx, fx) in [1.0, 2.0, 1.0].iter().enumerate() {
                    let y = reflected(2 * row + dy as isize - 2, h as isize - 1);
                    let x = reflected(2 * column + dx as isize - 2, w as isize - 1);
                    sum += fy * fx / 16.0 * most(y, x);
                }
            }
            assert!((got - sum).abs() < 1e-5, "{row} {column}: {got} {sum}");
        }
    }

    /// Our operation gives burn's values and gradients.
    #[cfg(feature = "autodiff")]
    #[test]
    fn halving_is_burns_operations() {
        let device = Device::flex().autodiff();
        for (window, h, w) in [(2, 9, 12), (2, 12, 7), (3, 8, 11), (2, 4, 4)] {
            let mut random = SplitMix64::new(9);
            // As after an activation: half of it is zero, and windows have no one place of their maximum.
            let values: Vec<f32> = (0..2 * 3 * h * w)
                .map(|_| random.normal().max(0.0) as f32)
                .collect();
            let both = [true, false].map(|ours| {
                let data = TensorData::new(values.clone(), [2, 3, h, w]);
                let x = Tensor::<4>::from_data(data, &device).require_grad();
                let y = if ours {
                    halve(&x, window).expect("on the CPU")
                } else {
                    blurred(maximum(x.clone(), window, 1))
                };
                let gradients = y.clone().sin().sum().backward();
                let gradient = x.grad(&gradients).expect("reaches the loss");
                [y.inner().into_data(), gradient.into_data()]
            });
            for (a, b) in both[0].iter().zip(&both[1]) {
                a.assert_approx_eq::<f32>(b, burn::tensor::Tolerance::rel_abs(1e-5, 1e-5));
            }
        }
    }
}
