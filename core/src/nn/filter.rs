use alloc::vec;

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use crate::resample::Axis;

/// A separable linear filter of image batches of one size, as two matrix products, with gradients: the tensor twin of
/// [`resample`](crate::resample)'s and of the [`ColourAnchor`](crate::flow::ColourAnchor)'s.
#[derive(Debug, Clone)]
pub struct Filter {
    /// `[1, 1, new height, height]`
    down: Tensor<4>,
    /// `[1, 1, width, new width]`
    across: Tensor<4>,
}

impl Filter {
    /// Rows are filtered by `across`, columns by `down`.
    pub fn new(across: &Axis, down: &Axis, options: impl Into<TensorCreationOptions>) -> Self {
        let options = options.into();
        Self {
            down: matrix(down, options.clone()),
            across: matrix(across, options).transpose(),
        }
    }

    /// `[n, c, height, width]` to `[n, c, new height, new width]`.
    ///
    /// # Panics
    /// When the images have another size than the filter was made for.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        self.down.clone().matmul(x.matmul(self.across.clone()))
    }
}

/// Output `i` is row `i` times the input.
fn matrix(axis: &Axis, options: TensorCreationOptions) -> Tensor<4> {
    let (outputs, inputs) = (axis.len(), axis.inputs());
    let mut values = vec![0.0; outputs * inputs];
    for (i, row) in values.chunks_exact_mut(inputs).enumerate() {
        for (j, weight) in axis.taps_of(i) {
            row[j] += weight;
        }
    }
    Tensor::from_data(TensorData::new(values, [1, 1, outputs, inputs]), options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::ColourAnchor;
    use crate::random::SplitMix64;
    use crate::{Planes, Size, resample};
    use alloc::vec::Vec;
    use burn::tensor::Device;

    #[test]
    fn it_is_the_filter_of_planes() {
        let (w, h) = (24, 16);
        let mut random = SplitMix64::new(5);
        let values = (0..3 * w * h).map(|_| random.unit() as f32).collect();
        let image = Planes::new(3, h, w, values).expect("sizes agree");
        let anchor = ColourAnchor::new(1.5).expect("in range");
        let mut blurred = Planes::zeros(3, h, w);
        anchor.apply(&mut blurred, &image);
        for (across, down, want) in [
            (anchor.axis(w), anchor.axis(h), blurred),
            (
                Axis::bicubic(w, w / 4),
                Axis::bicubic(h, h / 4),
                resample::bicubic(&image, Size::new(w / 4, h / 4)),
            ),
        ] {
            let device = Device::flex();
            let x = Tensor::<4>::from_data(TensorData::new(image.data().to_vec(), [1, 3, h, w]), &device);
            let got = Filter::new(&across, &down, &device).apply(x);
            assert_eq!(got.dims(), [1, 3, want.height(), want.width()]);
            let got: Vec<f32> = got.try_into_vec_as().expect("reads");
            for (a, b) in got.iter().zip(want.data()) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }
}
