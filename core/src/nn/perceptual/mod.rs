//! Distances between images as networks see them, with weights that the user brings.
//!
//! | distance | features | compared by |
//! |---|---|---|
//! | shift-tolerant LPIPS (Ghildyal and Liu 2022) | AlexNet or VGG-16, pooled by maximum and low-pass | directions at every place |
//! | LPIPS (Zhang et al. 2018) | the same, pooled by maximum | directions at every place |
//! | DISTS (Ding et al. 2020) | VGG-16, pooled by root mean square, and the image itself | means and covariances of whole planes |

mod features;
mod texture;

use alloc::{format, string::String, vec, vec::Vec};

use burn::tensor::{Device, Tensor};

use self::features::{Features, Pool};
use super::{Parameters, upload};
use crate::model::{self, Weights};
use crate::{Error, Result};

pub use features::Backbone;
pub use texture::TextureDistance;

/// Added under the root of a feature vector's square norm: its gradient is finite where all features are zero.
const TINY: f64 = 1e-20;
/// Smallest side: four halvings, each of which pads by reflection.
const SMALLEST: usize = 32;
/// The statistics that the published networks expect, of values from -1 to 1.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// What a [`PerceptualDistance`] compares images by.
#[derive(Debug, Clone)]
pub struct Embedding(Vec<Tensor<4>>);

/// The LPIPS distance on `AlexNet` or VGG-16, shift-tolerant where the weights are.
///
/// The weights are the user's, named as published: `net.slice{1..5}.{n}.weight|bias` of the whole distance, or `features.{n}.*`
/// of a backbone as torchvision has it, with `lin{0..4}.model.1.weight`. Low-pass filters among them (`filt`) tell the
/// shift-tolerant distance.
#[derive(Debug, Clone)]
pub struct PerceptualDistance {
    features: Features,
    /// The weights of the features' channels, and the statistics of the input.
    parameters: Parameters,
}

impl PerceptualDistance {
    /// Loads the published weights onto `device`; others in the file are ignored.
    ///
    /// # Errors
    /// [`Error::Weights`] when one is missing or has a shape that does not fit those before it.
    pub fn new(weights: &Weights, device: &Device) -> Result<Self> {
        let shift_tolerant = weights
            .iter()
            .any(|(name, _)| name.rsplit('.').next() == Some("filt"));
        let pool = if shift_tolerant {
            Pool::Antialiased
        } else {
            Pool::Max
        };
        let features = Features::new(weights, pool, device)?;
        let mut used = Weights::default();
        for (slice, channels) in features.channels().into_iter().enumerate() {
            let name = linear(slice);
            used.insert(
                name.clone(),
                shaped(weights, &name, &[1, channels, 1, 1])?.clone(),
            );
        }
        for (name, published) in [("scaling_layer.shift", SHIFT), ("scaling_layer.scale", SCALE)] {
            let tensor = match weights.get(name) {
                Ok(_) => shaped(weights, name, &[1, 3, 1, 1])?.clone(),
                Err(_) => model::Tensor {
                    shape: vec![1, 3, 1, 1],
                    values: published.to_vec(),
                },
            };
            used.insert(name.into(), tensor);
        }
        Ok(Self {
            features,
            parameters: upload(&used, device),
        })
    }

    /// The network whose features are compared.
    pub fn backbone(&self) -> Backbone {
        self.features.backbone()
    }

    /// Whether it tolerates shifts of a few pixels.
    pub fn is_shift_tolerant(&self) -> bool {
        self.features.pool() == Pool::Antialiased
    }

    /// The distance of each image of `a` to that of `b`, `[n]`; both `[n, 3, h, w]` in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`] when sizes differ or a side is smaller than 32 pixels.
    pub fn distance(&self, a: Tensor<4>, b: Tensor<4>) -> Result<Tensor<1>> {
        comparable(&a, &b)?;
        // Each by itself: in one pass with what is learned a truth would take part in the backward pass.
        Ok(self.between(&self.directions(a), &self.directions(b)))
    }

    /// What images are compared by, for several comparisons with one of them: the unit vectors of their features after each
    /// slice. `x` is `[n, 3, h, w]` in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`] when a side is smaller than 32 pixels.
    pub fn embed(&self, x: Tensor<4>) -> Result<Embedding> {
        comparable(&x, &x)?;
        Ok(Embedding(self.directions(x)))
    }

    /// The distance of each image to that of an embedding of images of the same size, `[n]`.
    ///
    /// # Errors
    /// As [`Self::embed`], and when sizes differ.
    pub fn distance_to(&self, a: Tensor<4>, b: &Embedding) -> Result<Tensor<1>> {
        let a = self.embed(a)?;
        if a.0.iter().zip(&b.0).any(|(a, b)| a.dims() != b.dims()) {
            return Err(Error::Size("the embedding is of images of another size".into()));
        }
        Ok(self.between(&a.0, &b.0))
    }

    fn directions(&self, x: Tensor<4>) -> Vec<Tensor<4>> {
        let unit = |x: Tensor<4>| {
            let norm = (x.clone().square().sum_dim(1) + TINY).sqrt();
            x / norm
        };
        self.features.of(self.scaled(x)).into_iter().map(unit).collect()
    }

    fn between(&self, a: &[Tensor<4>], b: &[Tensor<4>]) -> Tensor<1> {
        let each = a.iter().zip(b).enumerate().map(|(slice, (a, b))| {
            let [n, c, h, w] = a.dims();
            let weights = self.parameters[&linear(slice)].clone().reshape([1, c, 1, 1]);
            let each = ((a.clone() - b.clone()).square() * weights).sum_dim(1);
            each.reshape([n, h * w]).mean_dim(1).reshape([n])
        });
        let n = a.first().map_or(0, |x| x.dims()[0]);
        each.reduce(|a, b| a + b)
            .unwrap_or_else(|| Tensor::zeros([n], &Device::default()))
    }

    /// `[0, 1]` to the range and statistics that the network was trained for.
    fn scaled(&self, x: Tensor<4>) -> Tensor<4> {
        let constant = |name: &str| self.parameters[name].clone().reshape([1, 3, 1, 1]);
        (x.mul_scalar(2.0) - 1.0 - constant("scaling_layer.shift")) / constant("scaling_layer.scale")
    }
}

fn linear(slice: usize) -> String {
    format!("lin{slice}.model.1.weight")
}

/// A tensor that must have a shape.
fn shaped<'a>(weights: &'a Weights, name: &str, shape: &[usize]) -> Result<&'a model::Tensor> {
    let tensor = weights.get(name)?;
    if tensor.shape != shape {
        return Err(Error::Weights(format!(
            "{name} has the shape {:?}; {shape:?} fits the rest of the network",
            tensor.shape
        )));
    }
    Ok(tensor)
}

/// Refuses batches that the networks cannot compare.
fn comparable(a: &Tensor<4>, b: &Tensor<4>) -> Result<()> {
    let [_, c, h, w] = a.dims();
    if a.dims() != b.dims() || c != 3 || h.min(w) < SMALLEST {
        return Err(Error::Size(format!(
            "the perceptual distance of {:?} and {:?}; two batches of colour images of one size, at least {SMALLEST} pixels \
             a side, are needed",
            a.dims(),
            b.dims()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;
    use burn::tensor::TensorData;

    /// A network of few channels with random weights; its biases keep features away from zero, where a vector's direction
    /// jumps.
    pub(super) fn drawn(backbone: Backbone, pool: Pool) -> Weights {
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
        for (slice, layers) in backbone.slices(pool).iter().enumerate() {
            let outputs = 4 + slice;
            for (number, k) in *layers {
                let name = match pool {
                    Pool::Antialiased => format!("net.slice{}.{number}", slice + 1),
                    _ => format!("features.{number}"),
                };
                put(format!("{name}.weight"), vec![outputs, inputs, *k, *k], 0.1, 0.0);
                put(format!("{name}.bias"), vec![outputs], 0.1, 0.6);
                inputs = outputs;
            }
            put(linear(slice), vec![1, inputs, 1, 1], 0.0, 0.7);
        }
        if pool == Pool::Antialiased {
            put("net.slice2.5.filt".into(), vec![1, 1, 3, 3], 0.0, 0.1);
        }
        weights
    }

    fn small() -> Weights {
        drawn(Backbone::Vgg16, Pool::Antialiased)
    }

    pub(super) fn image(seed: u64, n: usize, side: usize) -> Tensor<4> {
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

    #[test]
    fn every_backbone_and_pooling_is_told_by_its_weights() {
        for backbone in [Backbone::AlexNet, Backbone::Vgg16] {
            for pool in [Pool::Antialiased, Pool::Max] {
                let distance =
                    PerceptualDistance::new(&drawn(backbone, pool), &Device::flex()).expect("fits");
                assert_eq!(distance.backbone(), backbone);
                assert_eq!(distance.is_shift_tolerant(), pool == Pool::Antialiased);
                let (a, b) = (image(1, 1, 70), image(2, 1, 70));
                let ab = values(distance.distance(a.clone(), b).expect("fits"))[0];
                assert!(ab > 0.0 && ab.is_finite());
                let embedded = distance.embed(image(2, 1, 70)).expect("fits");
                let again = values(distance.distance_to(image(1, 1, 70), &embedded).expect("fits"))[0];
                assert!((again - ab).abs() < 1e-6, "{again} {ab}");
                assert!(distance.distance_to(image(1, 1, 90), &embedded).is_err());
                assert_eq!(values(distance.distance(a.clone(), a).expect("fits")), [0.0]);
            }
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
