//! The kernels as operations on burn tensors, for burn-flex, with and without a graph.

use alloc::vec::Vec;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::TensorData;

use crate::exec::simd::activation::{self, Activation};
use crate::exec::simd::convolution::Convolution;
use crate::exec::simd::halving::Halving;
use crate::exec::simd::modulation;

/// Layers of networks. With a `slope`, which is not negative, what is below zero is multiplied by it.
#[backend_extension(Flex, Autodiff: cfg(feature = "autodiff"))]
pub(super) trait CpuOps: Backend {
    /// Images `[n, inputs, h, w]`, weights `[outputs, inputs, k, k]`, bias `[outputs]`.
    fn convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        slope: f32,
    ) -> FloatTensor<Self>;

    /// Images `[n, c, h, w]`, `gamma` and `beta` `[n, c]`.
    fn modulation(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: f32,
    ) -> FloatTensor<Self>;

    /// Numbers of any shape.
    fn activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    /// Images `[n, c, h, w]`, slopes `[c]`.
    fn prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Images `[n, c, h, w]`, and the side of the window whose maximum is taken.
    fn halving(x: FloatTensor<Self>, window: usize) -> FloatTensor<Self>;
}

type Floats = FloatTensor<Flex>;

impl CpuOps for Flex {
    fn convolution(x: Floats, weight: Floats, bias: Floats, slope: f32) -> Floats {
        let c = Convolution::of(&x, &weight);
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let y = c.forward(values(&x), values(&weight), values(&bias), slope);
        tensor(y, [x.shape()[0], c.outputs, c.height, c.width])
    }

    fn modulation(x: Floats, gamma: Floats, beta: Floats, slope: f32) -> Floats {
        let (x, gamma, beta) = (x.to_contiguous(), gamma.to_contiguous(), beta.to_contiguous());
        like(
            modulation::forward(values(&x), values(&gamma), values(&beta), slope),
            &x,
        )
    }

    fn activation(x: Floats, activation: Activation) -> Floats {
        let x = x.to_contiguous();
        like(activation.forward(values(&x)), &x)
    }

    fn prelu(x: Floats, slopes: Floats) -> Floats {
        let (x, slopes) = (x.to_contiguous(), slopes.to_contiguous());
        like(activation::prelu(values(&x), values(&slopes), area(&x)), &x)
    }

    fn halving(x: Floats, window: usize) -> Floats {
        let x = x.to_contiguous();
        let halving = Halving::of(&x, window);
        let (h, w) = halving.halved();
        tensor(halving.forward(values(&x)), [x.shape()[0], x.shape()[1], h, w])
    }
}

impl Halving {
    fn of(x: &Floats, window: usize) -> Self {
        Self {
            height: x.shape()[2],
            width: x.shape()[3],
            window,
        }
    }
}

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

/// Pixels of each plane.
fn area(x: &Floats) -> usize {
    x.shape()[2] * x.shape()[3]
}

/// The numbers of a contiguous tensor.
fn values(x: &Floats) -> &[f32] {
    x.as_slice().expect("the caller made it contiguous, of f32")
}

fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Floats {
    Floats::from_data(TensorData::new(values, shape))
}

/// A tensor of the shape of another.
fn like(values: Vec<f32>, other: &Floats) -> Floats {
    Floats::from_data(TensorData::new(values, other.shape()))
}

#[cfg(feature = "autodiff")]
mod autodiff {
    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};

    use super::{
        Activation, Convolution, CpuOps, Flex, FloatTensor, Floats, Halving, activation, area, like,
        modulation, values,
    };

    #[derive(Debug)]
    struct ConvolutionStep;

    #[derive(Debug)]
    struct ModulationStep;

    #[derive(Debug)]
    struct ActivationStep;

    #[derive(Debug)]
    struct PreluStep;

    #[derive(Debug)]
    struct HalvingStep;

    /// What the backward pass needs of the forward pass.
    #[derive(Debug, Clone)]
    struct State {
        x: Floats,
        /// Weight or gamma.
        factor: Floats,
        /// Bias or beta.
        bias: Floats,
        y: Floats,
        slope: f32,
    }

    impl Backward<Flex, 3> for ConvolutionStep {
        type State = State;

        fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let [x_node, weight_node, bias_node] = ops.parents;
            let State {
                x,
                factor: weight,
                bias,
                y,
                slope,
            } = ops.state;
            let c = Convolution::of(&x, &weight);
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            let before =
                (slope != 1.0).then(|| activation::through_leaky(values(&gradient), values(&y), slope));
            let gradient = before.as_deref().unwrap_or_else(|| values(&gradient));
            let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
            if let Some(node) = x_node {
                let dx = c.input_gradient(gradient, values(&weight));
                gradients.register::<Flex>(node.id, like(dx, &x));
            }
            if weight_node.is_some() || bias_node.is_some() {
                let (dw, db) = c.parameter_gradients(values(&x), gradient);
                if let Some(node) = weight_node {
                    gradients.register::<Flex>(node.id, like(dw, &weight));
                }
                if let Some(node) = bias_node {
                    gradients.register::<Flex>(node.id, like(db, &bias));
                }
            }
        }
    }

    impl Backward<Flex, 3> for ModulationStep {
        type State = State;

        fn backward(self, ops: Ops<State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let State {
                x,
                factor: gamma,
                bias: beta,
                y,
                slope,
            } = ops.state;
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            let (x, gamma) = (x.to_contiguous(), gamma.to_contiguous());
            let each = modulation::backward(
                (values(&x), values(&gamma)),
                (values(&y), slope),
                values(&gradient),
            );
            for ((node, gradient), of) in ops.parents.into_iter().zip(each).zip([&x, &gamma, &beta]) {
                if let Some(node) = node {
                    gradients.register::<Flex>(node.id, like(gradient, of));
                }
            }
        }
    }

    impl Backward<Flex, 1> for ActivationStep {
        type State = (Floats, Activation);

        fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let (x, activation) = ops.state;
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            let x = x.to_contiguous();
            if let [Some(node)] = ops.parents {
                let dx = activation.backward(values(&x), values(&gradient));
                gradients.register::<Flex>(node.id, like(dx, &x));
            }
        }
    }

    impl Backward<Flex, 2> for PreluStep {
        type State = (Floats, Floats);

        fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let (x, slopes) = ops.state;
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            let (x, slopes) = (x.to_contiguous(), slopes.to_contiguous());
            let given = (values(&x), values(&slopes));
            let (dx, dslopes) = activation::prelu_backward(given, values(&gradient), area(&x));
            for ((node, gradient), of) in ops.parents.into_iter().zip([dx, dslopes]).zip([&x, &slopes]) {
                if let Some(node) = node {
                    gradients.register::<Flex>(node.id, like(gradient, of));
                }
            }
        }
    }

    impl Backward<Flex, 1> for HalvingStep {
        type State = (Floats, usize);

        fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
            let (x, window) = ops.state;
            let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
            let x = x.to_contiguous();
            if let [Some(node)] = ops.parents {
                let dx = Halving::of(&x, window).backward(values(&x), values(&gradient));
                gradients.register::<Flex>(node.id, like(dx, &x));
            }
        }
    }

    /// Registers `step` for the result of `forward`.
    fn tracked<C: CheckpointStrategy>(
        step: impl Backward<Flex, 3, State = State>,
        [x, factor, bias]: [FloatTensor<Autodiff<Flex, C>>; 3],
        slope: f32,
        forward: fn(Floats, Floats, Floats, f32) -> Floats,
    ) -> FloatTensor<Autodiff<Flex, C>> {
        let (x, x_node) = x.into_parts();
        let (factor, factor_node) = factor.into_parts();
        let (bias, bias_node) = bias.into_parts();
        let y = forward(x.clone(), factor.clone(), bias.clone(), slope);
        match step
            .prepare::<C>([x_node, factor_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(step) => {
                let state = State {
                    x,
                    factor,
                    bias,
                    y: y.clone(),
                    slope,
                };
                step.finish(state, y)
            }
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    /// The same of one tensor, with what else `forward` is told.
    fn tracked_one<C: CheckpointStrategy, T: Copy + core::fmt::Debug + Send + Sync + 'static>(
        step: impl Backward<Flex, 1, State = (Floats, T)>,
        x: FloatTensor<Autodiff<Flex, C>>,
        told: T,
        forward: fn(Floats, T) -> Floats,
    ) -> FloatTensor<Autodiff<Flex, C>> {
        let (x, node) = x.into_parts();
        let y = forward(x.clone(), told);
        match step.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(step) => step.finish((x, told), y),
            OpsKind::UnTracked(step) => step.finish(y),
        }
    }

    impl<C: CheckpointStrategy> CpuOps for Autodiff<Flex, C> {
        fn convolution(
            x: FloatTensor<Self>,
            weight: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            slope: f32,
        ) -> FloatTensor<Self> {
            tracked::<C>(ConvolutionStep, [x, weight, bias], slope, Flex::convolution)
        }

        fn modulation(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            slope: f32,
        ) -> FloatTensor<Self> {
            tracked::<C>(ModulationStep, [x, gamma, beta], slope, Flex::modulation)
        }

        fn activation(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
            tracked_one::<C, _>(ActivationStep, x, activation, Flex::activation)
        }

        fn prelu(x: FloatTensor<Self>, slopes: FloatTensor<Self>) -> FloatTensor<Self> {
            let (x, x_node) = x.into_parts();
            let (slopes, slopes_node) = slopes.into_parts();
            let y = Flex::prelu(x.clone(), slopes.clone());
            let step = PreluStep.prepare::<C>([x_node, slopes_node]);
            match step.compute_bound().stateful() {
                OpsKind::Tracked(step) => step.finish((x, slopes), y),
                OpsKind::UnTracked(step) => step.finish(y),
            }
        }

        fn halving(x: FloatTensor<Self>, window: usize) -> FloatTensor<Self> {
            tracked_one::<C, _>(HalvingStep, x, window, Flex::halving)
        }
    }
}
