//! The convolution as an operation on burn tensors.

use alloc::vec::Vec;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::TensorData;

use super::kernel::Convolution;

/// Convolution with bias and leaky activation; images `[n, inputs, h, w]`, weights `[outputs, inputs, k, k]`.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(super) trait ConvolutionOps: Backend {
    /// What is below zero is multiplied by `slope`, which is not negative.
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        slope: f32,
    ) -> FloatTensor<Self>;
}

impl ConvolutionOps for Flex {
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        slope: f32,
    ) -> FloatTensor<Self> {
        let c = Convolution::of(&x, &weight);
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let y = c.forward(values(&x), values(&weight), values(&bias), slope);
        tensor(y, [x.shape()[0], c.outputs, c.height, c.width])
    }
}

type Floats = FloatTensor<Flex>;

impl Convolution {
    fn of(x: &Floats, weight: &Floats) -> Self {
        let (x, weight) = (x.shape(), weight.shape());
        Self {
            inputs: x[1],
            outputs: weight[0],
            kernel: weight[2],
            height: x[2],
            width: x[3],
        }
    }
}

/// The numbers of a contiguous tensor.
fn values(x: &Floats) -> &[f32] {
    x.as_slice().expect("the caller made it contiguous, of f32")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Floats {
    Floats::from_data(TensorData::new(values, shape))
}

#[cfg(feature = "autodiff")]
mod autodiff {
    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};

    use super::{Convolution, ConvolutionOps, Flex, FloatTensor, Floats, TensorMetadata, Vec, tensor, values};

    #[derive(Debug)]
    struct Step;

    /// What the backward pass needs of the forward pass.
    #[derive(Debug, Clone)]
    struct State {
        x: Floats,
        weight: Floats,
        y: Floats,
        slope: f32,
    }

    impl Backward<Flex, 3> for Step {
        type State = State;

        fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let [x_node, weight_node, bias_node] = ops.parents;
            let State { x, weight, y, slope } = ops.state;
            let c = Convolution::of(&x, &weight);
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            // The result has the sign of what it was before its activation.
            let gradient: Vec<f32> = values(&gradient)
                .iter()
                .zip(values(&y))
                .map(|(g, y)| if *y < 0.0 || (slope == 0.0 && *y == 0.0) { g * slope } else { *g })
                .collect();
            let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
            if let Some(node) = x_node {
                let dx = c.input_gradient(&gradient, values(&weight));
                let n = x.shape()[0];
                gradients.register::<Flex>(node.id, tensor(dx, [n, c.inputs, c.height, c.width]));
            }
            if weight_node.is_some() || bias_node.is_some() {
                let (dw, db) = c.parameter_gradients(values(&x), &gradient);
                if let Some(node) = weight_node {
                    let shape = [c.outputs, c.inputs, c.kernel, c.kernel];
                    gradients.register::<Flex>(node.id, tensor(dw, shape));
                }
                if let Some(node) = bias_node {
                    gradients.register::<Flex>(node.id, tensor(db, [c.outputs]));
                }
            }
        }
    }

    impl<C: CheckpointStrategy> ConvolutionOps for Autodiff<Flex, C> {
        fn convolution(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            slope: f32,
        ) -> FloatTensor<Self> {
            let (x, x_node) = x.into_parts();
            let (weight, weight_node) = weight.into_parts();
            let (bias, bias_node) = bias.into_parts();
            let y = Flex::convolution(x.clone(), weight.clone(), bias, slope);
            match Step
                .prepare::<C>([x_node, weight_node, bias_node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(step) => {
                    let state = State {
                        x,
                        weight,
                        y: y.clone(),
                        slope,
                    };
                    step.finish(state, y)
                }
                OpsKind::UnTracked(step) => step.finish(y),
            }
        }
    }
}
