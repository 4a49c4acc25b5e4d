use alloc::{format, string::String, vec, vec::Vec};

use burn::tensor::{
    Device, Tensor,
    module::{avg_pool2d, max_pool2d},
    ops::{AvgPoolOptions, MaxPoolOptions, PadMode},
};

use super::cpu::convolve;
use super::{Parameters, upload};
use crate::model::{Activation, Weights};
use crate::{Error, Result};

/// The convolutions of VGG-16 in its five slices, numbered as in the published file, where pooling takes numbers too.
const SLICES: [&[usize]; 5] = [&[0, 2], &[6, 8], &[12, 14, 16], &[20, 22, 24], &[28, 30, 32]];
/// Added under the root of a feature vector's square norm: its gradient is finite where all features are zero.
const TINY: f64 = 1e-20;
/// Smallest side: four halvings, each of which pads by reflection.
pub(crate) const SMALLEST: usize = 32;

/// The shift-tolerant LPIPS distance on VGG-16 (Zhang et al. 2018; Ghildyal and Liu 2022).
///
/// Pooling is a maximum over all 2x2 windows followed by a binomial low-pass (Zhang 2019). The weights are the user's:
/// `net.slice{1..5}.{n}.weight|bias`, `lin{0..4}.model.1.weight`, `scaling_layer.shift|scale`, as published.
#[derive(Debug, Clone)]
pub struct PerceptualDistance {
    parameters: Parameters,
    /// Channels after each convolution.
    channels: Vec<Vec<usize>>,
}

impl PerceptualDistance {
    /// Loads the published weights onto `device`; others in the file are ignored.
    ///
    /// # Errors
    /// [`Error::Weights`] when one is missing or has a shape that does not fit those before it.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let mut used = Weights::default();
        let mut take = |name: &str, shape: &[usize]| -> Result<()> {
            let tensor = weights.get(name)?.clone();
            if tensor.shape != shape {
                return Err(Error::Weights(format!(
                    "{name} has the shape {:?}; {shape:?} fits the rest of the network",
                    tensor.shape
                )));
            }
            used.insert(name.into(), tensor);
            Ok(())
        };
        take("scaling_layer.shift", &[1, 3, 1, 1])?;
        take("scaling_layer.scale", &[1, 3, 1, 1])?;
        let (mut channels, mut inputs) = (Vec::new(), 3);
        for (slice, numbers) in SLICES.iter().enumerate() {
            let mut own = Vec::new();
            for number in *numbers {
                let name = layer(slice, *number);
                let outputs = weights.get(&format!("{name}.bias"))?.values.len();
                take(&format!("{name}.bias"), &[outputs])?;
                take(&format!("{name}.weight"), &[outputs, inputs, 3, 3])?;
                own.push(outputs);
                inputs = outputs;
            }
            take(&linear(slice), &[1, inputs, 1, 1])?;
            channels.push(own);
        }
        Ok(Self {
            parameters: upload(&used, device),
            channels,
        })
    }

    /// The distance of each image of `a` to that of `b`, `[n]`; both `[n, 3, h, w]` in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`] when sizes differ or a side is smaller than 32 pixels.
    pub fn distance(&self, a: Tensor<4>, b: Tensor<4>) -> Result<Tensor<1>> {
        let [n, c, h, w] = a.dims();
        if a.dims() != b.dims() || c != 3 || h.min(w) < SMALLEST {
            return Err(Error::Size(format!(
                "the perceptual distance of {:?} and {:?}; two batches of colour images of one size, at least \
                 {SMALLEST} pixels a side, are needed",
                a.dims(),
                b.dims()
            )));
        }
        // One pass over both.
        let mut x = self.scaled(Tensor::cat(vec![a, b], 0));
        let mut total: Option<Tensor<1>> = None;
        for (slice, numbers) in SLICES.iter().enumerate() {
            if slice > 0 {
                x = halved(x);
            }
            for (number, outputs) in numbers.iter().zip(&self.channels[slice]) {
                let relu = Activation::LeakyRelu { slope: 0.0 };
                x = convolve(&self.parameters, &layer(slice, *number), (*outputs, 3), relu, x);
            }
            let norm = (x.clone().square().sum_dim(1) + TINY).sqrt();
            let unit = x.clone() / norm;
            let [_, c, h, w] = unit.dims();
            let difference = unit.clone().narrow(0, 0, n) - unit.narrow(0, n, n);
            let weights = self.parameters[&linear(slice)].clone().reshape([1, c, 1, 1]);
            let each = (difference.square() * weights).sum_dim(1);
            let mean = each.reshape([n, h * w]).mean_dim(1).reshape([n]);
            total = Some(match total {
                Some(total) => total + mean,
                None => mean,
            });
        }
        total.ok_or_else(|| Error::Weights("a perceptual network without slices".into()))
    }

    /// `[0, 1]` to the range and statistics that the network was trained for.
    fn scaled(&self, x: Tensor<4>) -> Tensor<4> {
        let constant = |name: &str| self.parameters[name].clone().reshape([1, 3, 1, 1]);
        (x.mul_scalar(2.0) - 1.0 - constant("scaling_layer.shift")) / constant("scaling_layer.scale")
    }
}

fn layer(slice: usize, number: usize) -> String {
    format!("net.slice{}.{number}", slice + 1)
}

fn linear(slice: usize) -> String {
    format!("lin{slice}.model.1.weight")
}

/// Maximum over all 2x2 windows, then the binomial low-pass `1 2 1` in both directions at every other pixel of the plane
/// reflected by two. The low-pass is the mean of two neighbours, taken twice.
fn halved(x: Tensor<4>) -> Tensor<4> {
    let x = max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([1, 1]));
    let x = x.pad([(2, 2), (2, 2)], PadMode::Reflect);
    let pair = |stride: usize| AvgPoolOptions::new([2, 2]).with_stride([stride, stride]);
    avg_pool2d(avg_pool2d(x, pair(1)), pair(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;
    use crate::random::SplitMix64;
    use burn::tensor::TensorData;

    /// A network of few channels with random weights; its biases keep features away from zero, where a vector's direction
    /// jumps.
    fn small() -> Weights {
        let mut random = SplitMix64::new(9);
        let mut weights = Weights::default();
        let mut put = |name: String, shape: Vec<usize>, scale: f64, offset: f64| {
            let n = shape.iter().product();
            let values = (0..n)
                .map(|_| (offset + scale * random.normal()) as f32)
                .collect();
            weights.insert(name, model::Tensor { shape, values });
        };
        put("scaling_layer.shift".into(), vec![1, 3, 1, 1], 0.0, -0.1);
        put("scaling_layer.scale".into(), vec![1, 3, 1, 1], 0.0, 0.5);
        let mut inputs = 3;
        for (slice, numbers) in SLICES.iter().enumerate() {
            let outputs = 4 + slice;
            for number in *numbers {
                let name = layer(slice, *number);
                put(format!("{name}.weight"), vec![outputs, inputs, 3, 3], 0.1, 0.0);
                put(format!("{name}.bias"), vec![outputs], 0.1, 0.6);
                inputs = outputs;
            }
            put(linear(slice), vec![1, inputs, 1, 1], 0.0, 0.7);
        }
        weights
    }

    fn image(seed: u64, n: usize, side: usize) -> Tensor<4> {
        let mut random = SplitMix64::new(seed);
        let values: Vec<f32> = (0..n * 3 * side * side).map(|_| random.unit() as f32).collect();
        Tensor::from_data(TensorData::new(values, [n, 3, side, side]), &Device::flex())
    }

    fn values(x: Tensor<1>) -> Vec<f32> {
        x.try_into_vec_as().expect("reads")
    }

    #[test]
    fn it_is_a_distance_per_image() {
        let distance = PerceptualDistance::new(&small(), &Device::flex()).expect("fits");
        let (a, b) = (image(1, 2, 40), image(2, 2, 40));
        let ab = values(distance.distance(a.clone(), b.clone()).expect("fits"));
        let ba = values(distance.distance(b.clone(), a.clone()).expect("fits"));
        assert!(ab.iter().all(|d| *d > 0.0) && ab != [ab[0]; 2], "{ab:?}");
        assert!(ab.iter().zip(&ba).all(|(x, y)| (x - y).abs() < 1e-6));
        let same = values(distance.distance(a.clone(), a.clone()).expect("fits"));
        assert_eq!(same, [0.0; 2]);
        let first = |x: Tensor<4>| x.narrow(0, 0, 1);
        let alone = values(distance.distance(first(a), first(b)).expect("fits"));
        assert!((alone[0] - ab[0]).abs() < 1e-6);
        let small = distance
            .distance(image(1, 1, 16), image(2, 1, 16))
            .expect_err("too small");
        assert!(small.to_string().contains("32 pixels"));
    }

    #[test]
    fn weights_that_do_not_fit_are_named() {
        let mut weights = small();
        weights.insert(
            "net.slice3.14.weight".into(),
            model::Tensor {
                shape: vec![6, 5, 3, 3],
                values: vec![0.0; 270],
            },
        );
        let error = PerceptualDistance::new(&weights, &Device::flex()).expect_err("refused");
        assert!(error.to_string().contains("net.slice3.14.weight"), "{error}");
    }

    /// Pooling against its definition, pixel by pixel.
    #[test]
    fn halving_is_maximum_and_binomial_filter() {
        let (h, w) = (9, 12);
        let mut random = SplitMix64::new(4);
        let plane: Vec<f32> = (0..h * w).map(|_| random.normal() as f32).collect();
        let x = Tensor::from_data(TensorData::new(plane.clone(), [1, 1, h, w]), &Device::flex());
        let y = halved(x);
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

    /// Against finite differences, and finite where nothing is seen.
    #[cfg(feature = "autodiff")]
    #[test]
    fn it_has_gradients() {
        let distance = PerceptualDistance::new(&small(), &Device::flex()).expect("fits");
        let (a, b) = (image(3, 1, 32), image(4, 1, 32));
        let tracked = a.clone().autodiff().require_grad();
        let d = distance
            .distance(tracked.clone(), b.clone().autodiff())
            .expect("fits");
        let gradient: Vec<f32> = tracked
            .grad(&d.backward())
            .expect("reaches")
            .try_into_vec_as()
            .expect("reads");
        let direction = image(5, 1, 32) - 0.5;
        let moved: Vec<f32> = direction.clone().try_into_vec_as().expect("reads");
        let along: f32 = gradient.iter().zip(&moved).map(|(g, m)| g * m).sum();
        let at = |step: f64| {
            let x = a.clone() + direction.clone().mul_scalar(step);
            values(distance.distance(x, b.clone()).expect("fits"))[0]
        };
        let finite = (at(2e-4) - at(-2e-4)) / 4e-4;
        assert!(
            (along - finite).abs() < 0.05 * finite.abs().max(1e-3),
            "{along} {finite}"
        );

        let flat = Tensor::<4>::zeros([1, 3, 32, 32], &Device::flex());
        let tracked = flat.clone().autodiff().require_grad();
        let d = distance.distance(tracked.clone(), flat.autodiff()).expect("fits");
        let gradient: Vec<f32> = tracked
            .grad(&d.backward())
            .expect("reaches")
            .try_into_vec_as()
            .expect("reads");
        assert!(gradient.iter().all(|g| g.is_finite()));
    }
}
