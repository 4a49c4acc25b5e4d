use alloc::vec::Vec;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::spectral::{Laplacian, SobolevOperator, Spectrum, basis};
use crate::{Result, Size};

/// `H^s` energies of image batches of one size.
///
/// The transform is two matrix products with the basis, `[height, height]` and `[width, width]`: on training crops
/// that is a few percent of a network's work. Coefficients are kept transposed, `[n, c, width, height]`, which saves
/// a transposition.
#[derive(Debug, Clone)]
pub struct SobolevMetric {
    size: Size,
    vertical: Tensor<2>,
    horizontal: Tensor<2>,
    /// `log w`, `[1, 1, width, height]`.
    log_weights: Tensor<4>,
    mean_weight: f64,
    mean_variance: f64,
}

impl SobolevMetric {
    /// The metric of images of a size, on the device and of the type of `options`.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) when a side is zero; [`Error::Spectrum`](crate::Error::Spectrum) when the
    /// spectrum's parameters are out of range.
    pub fn new(
        size: Size,
        spectrum: Spectrum,
        laplacian: Laplacian,
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self> {
        let options = options.into();
        let Size { width, height } = size;
        let operator = SobolevOperator::new(size, spectrum, laplacian)?;
        let mut logs = Vec::with_capacity(height * width);
        for l in 0..width {
            logs.extend((0..height).map(|k| libm::log(operator.weight(k, l))));
        }
        let matrix = |n: usize| {
            let data = TensorData::new(basis(laplacian.boundary, n), [n, n]);
            Tensor::<2>::from_data(data, options.clone())
        };
        Ok(Self {
            size,
            vertical: matrix(height),
            horizontal: matrix(width),
            log_weights: Tensor::from_data(TensorData::new(logs, [1, 1, width, height]), options.clone()),
            mean_weight: operator.mean_weight(),
            mean_variance: operator.mean_variance(),
        })
    }

    /// The mean of the weight: the divisor of [`Self::energy`].
    pub fn mean_weight(&self) -> f64 {
        self.mean_weight
    }

    /// `H^s` energy of each image, `[n]`: the mean of `w T(x)^2` over channels and pixels, divided by the mean of `w`,
    /// so that white residuals of variance 1 have energy 1 for every `s`.
    ///
    /// # Panics
    /// When the images have another size, as for every method that takes images.
    pub fn energy(&self, x: Tensor<4>) -> Tensor<1> {
        let elements = self.elements(&x) as f64;
        // A product, for burn's gradient of a division by a scalar is rounded to f32.
        self.norm_squared(x)
            .mul_scalar(1.0 / (elements * self.mean_weight))
    }

    /// `||x||^2_{H^s}` of each image over all channels, `[n]`.
    pub fn norm_squared(&self, x: Tensor<4>) -> Tensor<1> {
        let n = x.dims()[0];
        let c = self.coefficients(x);
        (c.square() * self.log_weights.clone().exp())
            .reshape([n as i32, -1])
            .sum_dim(1)
            .reshape([n])
    }

    /// `<a, b>_{H^s}` of each pair of images, `[n]`.
    pub fn inner(&self, a: Tensor<4>, b: Tensor<4>) -> Tensor<1> {
        let n = a.dims()[0];
        let product = self.coefficients(a) * self.coefficients(b);
        (product * self.log_weights.clone().exp())
            .reshape([n as i32, -1])
            .sum_dim(1)
            .reshape([n])
    }

    /// Multiplies every coefficient by `w^exponent`: 1 is the precision operator, -1 the covariance `Sigma_s`.
    pub fn apply(&self, x: Tensor<4>, exponent: f64) -> Tensor<4> {
        let c = self.coefficients(x) * self.log_weights.clone().mul_scalar(exponent).exp();
        // Transposed coefficients back to pixels.
        let rows = times(c, self.vertical.clone());
        times(rows.swap_dims(2, 3), self.horizontal.clone())
    }

    /// Turns white noise of variance 1 into coloured noise of variance 1, as
    /// [`SobolevOperator::colour`] does.
    pub fn colour(&self, white: Tensor<4>) -> Tensor<4> {
        self.apply(white, -0.5)
            .mul_scalar(1.0 / libm::sqrt(self.mean_variance))
    }

    /// The radius, in `H^s` norm, of the ball whose white members have the deviation `deviation` per value.
    pub fn radius(&self, deviation: f64, channels: usize) -> f64 {
        deviation * libm::sqrt((channels * self.size.pixels()) as f64 * self.mean_weight)
    }

    /// `T(x)`, transposed: `[n, c, width, height]`.
    fn coefficients(&self, x: Tensor<4>) -> Tensor<4> {
        let columns = times(x, self.horizontal.clone().transpose());
        times(columns.swap_dims(2, 3), self.vertical.clone().transpose())
    }

    fn elements(&self, x: &Tensor<4>) -> usize {
        x.dims()[1] * self.size.pixels()
    }
}

/// `x M` over the last dimension, as one product of two matrices.
fn times(x: Tensor<4>, matrix: Tensor<2>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    x.reshape([n * c * h, w]).matmul(matrix).reshape([n, c, h, w])
}
