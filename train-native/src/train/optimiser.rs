//! What a gradient does to a parameter: Adam, or Muon for matrices and kernels.

use std::collections::BTreeMap;

use asasr_core::model::Weights;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Adam, AdamConfig, AdamState, AdjustLrFn, Muon, MuonConfig, Optimizer as _};
use burn::tensor::Tensor;

use crate::cli::OptimiserKind;

/// What Muon keeps of its momentum at each step, and how far it looks ahead along it (Nesterov).
const MOMENTUM: f32 = 0.95;

/// What an optimiser remembers of a parameter's gradients.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each parameter, beside tensors of thousands of values"
)]
#[derive(Clone)]
pub(crate) enum Moments {
    Adam(AdamState<1>),
    /// Muon's momentum.
    Momentum(Tensor<1>),
}

/// Moves parameters against their gradients.
pub(crate) struct Optimiser {
    adam: Adam,
    muon: Muon,
    /// Rows and columns of what Muon moves: outputs and all that one output is made of.
    matrices: BTreeMap<String, [usize; 2]>,
}

impl Optimiser {
    /// For parameters of the shapes of `fresh`. Muon takes those with rows and columns; biases stay Adam's.
    pub(crate) fn new(kind: OptimiserKind, fresh: &Weights) -> Self {
        let matrix = |shape: &[usize]| {
            let rows = *shape.first()?;
            let columns: usize = shape[1..].iter().product();
            (rows > 1 && columns > 1).then_some([rows, columns])
        };
        let matrices = match kind {
            OptimiserKind::Adam => BTreeMap::new(),
            OptimiserKind::Muon => fresh
                .iter()
                .filter_map(|(name, t)| Some((name.clone(), matrix(&t.shape)?)))
                .collect(),
        };
        Self {
            adam: AdamConfig::new().with_epsilon(1e-8).build(),
            // The momentum is kept here, where a checkpoint reaches it. Steps are as long as Adam's, so that its rates serve.
            muon: MuonConfig::new()
                .with_momentum(MomentumConfig::new().with_momentum(0.0).with_dampening(0.0))
                .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
                .build(),
            matrices,
        }
    }

    /// The parameter `name` after a step, and what is remembered for the next.
    pub(crate) fn update(
        &self,
        name: &str,
        rate: f64,
        parameter: Tensor<1>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
    ) -> (Tensor<1>, Option<Moments>) {
        let Some(shape) = self.matrices.get(name) else {
            let state = match moments {
                Some(Moments::Adam(state)) => Some(state),
                _ => None,
            };
            let (new, state) = self.adam.step(rate, parameter, gradient, state);
            return (new, state.map(Moments::Adam));
        };
        let momentum = match moments {
            Some(Moments::Momentum(old)) => old * MOMENTUM + gradient.clone(),
            _ => gradient.clone(),
        };
        let ahead = momentum.clone() * MOMENTUM + gradient;
        let (new, _) = self
            .muon
            .step(rate, parameter.reshape(*shape), ahead.reshape(*shape), None);
        (new.flatten(0, 1), Some(Moments::Momentum(momentum)))
    }
}
