use alloc::vec::Vec;

use burn::tensor::{Tensor, TensorData};

use crate::random::SplitMix64;

/// Squarings of the Gram matrix: its power `2^4` is what sixteen rounds of power iteration apply.
const SQUARINGS: usize = 4;
/// Added to norms that are divided by.
const TINY: f64 = 1e-12;

/// A matrix `[rows, columns]` divided by its largest singular value (spectral normalisation, Miyato et al. 2018), with the gradient
/// of both.
///
/// The singular vector is found anew each time, from the same vector, so that nothing but the weights is the state of a training.
pub fn spectrally_normalised(weight: Tensor<2>) -> Tensor<2> {
    let left = left_singular(weight.clone().detach());
    // `u^T W v` with `v` along `W^T u`: the gradient of the largest singular value is `u v^T`, for `u` and `v` held.
    let along = left.matmul(weight.clone());
    let value = (along.square().sum() + TINY).sqrt();
    weight / value.reshape([1, 1])
}

/// The left singular vector of the largest singular value, `[1, rows]`.
fn left_singular(weight: Tensor<2>) -> Tensor<2> {
    let rows = weight.dims()[0];
    let mut gram = weight.clone().matmul(weight.transpose());
    for _ in 0..SQUARINGS {
        let scale = gram.clone().square().mean().sqrt() + TINY;
        gram = gram / scale.reshape([1, 1]);
        gram = gram.clone().matmul(gram);
    }
    let mut random = SplitMix64::new(rows as u64);
    let start: Vec<f32> = (0..rows).map(|_| random.normal() as f32).collect();
    let start = Tensor::<2>::from_data(TensorData::new(start, [1, rows]), &gram.device());
    let u = start.cast(gram.dtype()).matmul(gram);
    let norm = (u.clone().square().sum() + TINY).sqrt();
    u / norm.reshape([1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// A matrix with these singular values: a diagonal between two reflections.
    fn with_values(values: &[f32], columns: usize) -> Vec<f32> {
        let rows = values.len();
        let mut random = SplitMix64::new(3);
        let mut reflection = |n: usize| -> Vec<f64> {
            let v: Vec<f64> = (0..n).map(|_| random.normal()).collect();
            let norm: f64 = v.iter().map(|x| x * x).sum();
            let value = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / norm;
            (0..n * n).map(|k| value(k / n, k % n)).collect()
        };
        let (a, b) = (reflection(rows), reflection(columns));
        let value = |i: usize, j: usize| -> f64 {
            (0..rows)
                .map(|k| a[i * rows + k] * f64::from(values[k]) * b[k * columns + j])
                .sum()
        };
        (0..rows * columns)
            .map(|k| value(k / columns, k % columns) as f32)
            .collect()
    }

    #[test]
    fn the_largest_singular_value_becomes_one() {
        let values = [0.5, 3.0, 1.0, 2.5];
        let data = TensorData::new(with_values(&values, 7), [4, 7]);
        let weight = Tensor::<2>::from_data(data, &Device::flex());
        let got: Vec<f32> = spectrally_normalised(weight.clone())
            .try_into_vec_as()
            .expect("reads");
        let given: Vec<f32> = weight.try_into_vec_as().expect("reads");
        for (got, given) in got.iter().zip(&given) {
            assert!((got - given / 3.0).abs() < 2e-3, "{got} {}", given / 3.0);
        }
    }

    /// Along the weight itself nothing changes: the gradient of a function of the normalised matrix is orthogonal to the matrix.
    #[cfg(feature = "autodiff")]
    #[test]
    fn the_gradient_has_no_part_along_the_weight() {
        let data = TensorData::new(with_values(&[4.0, 1.0, 0.5], 5), [3, 5]);
        let weight = Tensor::<2>::from_data(data, &Device::flex().autodiff()).require_grad();
        let gradients = spectrally_normalised(weight.clone()).sin().sum().backward();
        let gradient = weight.grad(&gradients).expect("reaches the loss");
        let along: Vec<f32> = (gradient.clone() * weight.inner())
            .sum()
            .try_into_vec_as()
            .expect("reads");
        let size: Vec<f32> = gradient.abs().sum().try_into_vec_as().expect("reads");
        assert!(
            size[0] > 0.1 && along[0].abs() < 1e-3 * size[0],
            "{along:?} {size:?}"
        );
    }
}
