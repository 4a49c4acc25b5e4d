use burn::tensor::{Device, Tensor, TensorData};

use super::features::{Features, Pool};
use super::{comparable, shaped};
use crate::Result;
use crate::model::Weights;
use crate::nn::{Parameters, upload};

/// Keeps the ratios of flat planes apart from 0 / 0.
const TINY: f64 = 1e-6;
/// Mean and deviation of the photographs that the network was trained on.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const DEVIATION: [f32; 3] = [0.229, 0.224, 0.225];

/// The DISTS distance (Ding et al. 2020): 0 for equal images, up to 1.
///
/// The weights are the user's: VGG-16's `features.{n}.*` as torchvision has it, and `alpha`, `beta` as published, `[1, c, 1, 1]`
/// over the image's own channels and those of the five slices. Images are compared at their own size; the authors' script
/// first shrinks them to 256 pixels.
#[derive(Debug, Clone)]
pub struct TextureDistance {
    features: Features,
    parameters: Parameters,
}

impl TextureDistance {
    /// Loads the published weights onto `device`; others in the file are ignored.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights) when one is missing or has a shape that does not fit the network.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let features = Features::new(weights, Pool::RootMeanSquare, device)?;
        let channels = 3 + features.channels().iter().sum::<usize>();
        let mut used = Weights::default();
        for name in ["alpha", "beta"] {
            used.insert(name.into(), shaped(weights, name, &[1, channels, 1, 1])?.clone());
        }
        Ok(Self {
            features,
            parameters: upload(&used, device),
        })
    }

    /// The distance of each image of `a` to that of `b`, `[n]`; both `[n, 3, h, w]` in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) when sizes differ or a side is smaller than 32 pixels.
    pub fn distance(&self, a: Tensor<4>, b: Tensor<4>) -> Result<Tensor<1>> {
        comparable(&a, &b)?;
        let [n, _, _, _] = a.dims();
        let device = a.device();
        let (alpha, beta) = (self.parameters["alpha"].clone(), self.parameters["beta"].clone());
        let whole = (alpha.clone().sum() + beta.clone().sum()).reshape([1, 1]);
        let both = Tensor::cat(alloc::vec![a, b], 0);
        let features = self.features.of(normalised(&both));
        let mut all = alloc::vec![both];
        all.extend(features);
        let (mut first, mut alike) = (0, Tensor::<1>::zeros([n], &device));
        for x in all {
            let [_, c, h, w] = x.dims();
            let x = x.reshape([2 * n, c, h * w]);
            let mean = x.clone().mean_dim(2);
            let centred = x - mean.clone();
            let part = |t: &Tensor<3>, i: usize| t.clone().narrow(0, i * n, n);
            let product = |i: usize, j: usize| (part(&centred, i) * part(&centred, j)).mean_dim(2);
            let ratio =
                |both: Tensor<3>, squares: Tensor<3>| (both.mul_scalar(2.0) + TINY) / (squares + TINY);
            let (ma, mb) = (part(&mean, 0), part(&mean, 1));
            let luminance = ratio(ma.clone() * mb.clone(), ma.square() + mb.square());
            let structure = ratio(product(0, 1), product(0, 0) + product(1, 1));
            let weight = |t: &Tensor<1>| t.clone().narrow(0, first, c).reshape([1, c]) / whole.clone();
            let sum = luminance.reshape([n, c]) * weight(&alpha) + structure.reshape([n, c]) * weight(&beta);
            alike = alike + sum.sum_dim(1).reshape([n]);
            first += c;
        }
        Ok(alike.neg() + 1.0)
    }
}

fn normalised(x: &Tensor<4>) -> Tensor<4> {
    let constant =
        |v: [f32; 3]| Tensor::<1>::from_data(TensorData::from(v), &x.device()).reshape([1, 3, 1, 1]);
    (x.clone() - constant(MEAN)) / constant(DEVIATION)
}

#[cfg(test)]
mod tests {
    use super::super::Backbone;
    use super::super::tests::{drawn, image};
    use super::*;
    use crate::model;
    use alloc::vec::Vec;

    #[test]
    fn it_is_a_distance_per_image() {
        let mut weights = drawn(Backbone::Vgg16, Pool::RootMeanSquare);
        let channels = 3 + 4 + 5 + 6 + 7 + 8;
        for name in ["alpha", "beta"] {
            weights.insert(
                name.into(),
                model::Tensor {
                    shape: alloc::vec![1, channels, 1, 1],
                    values: (0..channels).map(|i| 0.1 + 0.01 * i as f32).collect(),
                },
            );
        }
        let distance = TextureDistance::new(&weights, &Device::flex()).expect("fits");
        let (a, b) = (image(1, 2, 40), image(2, 2, 40));
        let of = |a: &Tensor<4>, b: &Tensor<4>| -> Vec<f32> {
            let d = distance.distance(a.clone(), b.clone()).expect("fits");
            d.try_into_vec_as().expect("reads")
        };
        let (ab, ba) = (of(&a, &b), of(&b, &a));
        assert!(ab.iter().all(|d| (0.0..1.0).contains(d) && *d > 0.01), "{ab:?}");
        assert!(ab.iter().zip(&ba).all(|(x, y)| (x - y).abs() < 1e-5));
        assert!(of(&a, &a).iter().all(|d| d.abs() < 1e-5));
        weights.insert(
            "beta".into(),
            model::Tensor {
                shape: alloc::vec![1, 5, 1, 1],
                values: alloc::vec![0.0; 5],
            },
        );
        let error = TextureDistance::new(&weights, &Device::flex()).expect_err("refused");
        assert!(alloc::format!("{error}").contains("beta"), "{error}");
    }
}
