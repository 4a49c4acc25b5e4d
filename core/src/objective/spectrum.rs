use alloc::{vec, vec::Vec};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData, activation::softplus};

use crate::spectral::{RadialSpectrum, check_bands};
use crate::{Error, Result};

/// The likelihood of image spectra under a learned [`RadialSpectrum`], with gradients for its parameters.
///
/// The parameters `theta`, one per interval between knots, are free: `log w` grows by `softplus(theta)`, so the
/// weight stays positive and increasing.
#[derive(Debug, Clone)]
pub struct SpectrumLikelihood {
    /// `[bands, intervals]`: how much of each increment every eigenvalue has passed.
    passed: Tensor<2>,
    /// `[bands, 1]`, summing to 1.
    share: Tensor<2>,
}

impl SpectrumLikelihood {
    /// For bands of mean eigenvalue `lambda` that stand for `count` coefficients each.
    ///
    /// # Errors
    /// [`Error::Spectrum`](crate::Error::Spectrum) when there is no interval, the lists differ in length, or a value is
    /// negative or not finite, or all counts are zero.
    pub fn new(
        intervals: usize,
        lambda: &[f64],
        count: &[f64],
        options: impl Into<TensorCreationOptions>,
    ) -> Result<Self> {
        let options = options.into();
        check_bands(lambda, count, count)?;
        let total: f64 = count.iter().sum();
        if total == 0.0 {
            return Err(Error::Spectrum(
                "bands without a coefficient have no likelihood".into(),
            ));
        }
        let knots = RadialSpectrum::from_parameters(&vec![0.0; intervals])?;
        let mut passed = Vec::with_capacity(lambda.len() * intervals);
        for l in lambda {
            let (knot, fraction) = knots.position(*l);
            passed.extend((0..intervals).map(|i| match i.cmp(&knot) {
                core::cmp::Ordering::Less => 1.0,
                core::cmp::Ordering::Equal => fraction,
                core::cmp::Ordering::Greater => 0.0,
            }));
        }
        let share: Vec<f64> = count.iter().map(|n| n / total).collect();
        Ok(Self {
            passed: Tensor::from_data(
                TensorData::new(passed, [lambda.len(), intervals]),
                options.clone(),
            ),
            share: Tensor::from_data(TensorData::new(share, [lambda.len(), 1]), options),
        })
    }

    /// `log w` of every band, `[bands]`, for `theta` of `[intervals]`.
    pub fn log_weights(&self, theta: Tensor<1>) -> Tensor<1> {
        let [bands, intervals] = self.passed.dims();
        let increments = softplus(theta, 1.0).reshape([intervals, 1]);
        self.passed.clone().matmul(increments).reshape([bands])
    }

    /// The negative Whittle log-likelihood per coefficient, `[1]`: the mean of `w P / scale - log w + log scale` for
    /// the mean powers `P` of the bands, `[bands]` and not all zero, at the scale that is best for this `w`, the mean of `w P`.
    pub fn loss(&self, theta: Tensor<1>, power: Tensor<1>) -> Tensor<1> {
        let [bands, _] = self.passed.dims();
        let logs = self.log_weights(theta);
        let scale = (logs.clone().exp() * power)
            .reshape([1, bands])
            .matmul(self.share.clone());
        let mean_log = logs.reshape([1, bands]).matmul(self.share.clone());
        (scale.log() - mean_log + 1.0).reshape([1])
    }
}
