//! What a gradient does to a parameter: Adam, or Muon for matrices and kernels.

use std::collections::BTreeMap;

use asasr_core::model::Weights;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{Adam, AdamConfig, AdamState, AdjustLrFn, Muon, MuonConfig, Optimizer as _};
use burn::tensor::Tensor;

use super::config::OptimiserKind;

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
    /// What the rate is multiplied by, where it is not 1.
    scales: BTreeMap<String, f64>,
    /// Largest Euclidean norm of the whole gradient; a longer one is made that long.
    pub(super) clip: f32,
}

/// Least root mean square that a relative rate counts: biases begin at zero.
const LEAST_SCALE: f64 = 0.01;

impl Optimiser {
    /// For parameters of the shapes of `fresh`. Muon takes those with rows and columns; biases stay Adam's. With `relative`,
    /// a tensor's rate is that share of the root mean square of its values in `fresh`. `clip` is the largest norm of a gradient.
    pub(crate) fn new(kind: OptimiserKind, (relative, clip): (bool, f64), fresh: &Weights) -> Self {
        let size = |values: &[f32]| {
            let sum: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            (sum / values.len().max(1) as f64).sqrt().max(LEAST_SCALE)
        };
        let scales = fresh.iter().filter(|_| relative);
        let scales = scales.map(|(name, t)| (name.clone(), size(&t.values))).collect();
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
            scales,
            clip: clip as f32,
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
        let rate = rate * self.scales.get(name).copied().unwrap_or(1.0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::model;
    use burn::tensor::{Device, TensorData};

    /// The first step of Adam is as long as the rate, whatever the gradient; that of Muon a fifth of it along each direction.
    #[test]
    fn relative_rates_are_shares_of_each_tensors_size() {
        let mut fresh = Weights::default();
        for (name, value) in [("small", 0.1), ("large", 4.0), ("nothing", 0.0)] {
            let tensor = model::Tensor {
                shape: vec![2, 2],
                values: vec![value, -value, -value, value],
            };
            fresh.insert(name.into(), tensor);
        }
        let device = Device::flex();
        let tensor = |values: &[f32]| {
            Tensor::<1>::from_data(TensorData::new(values.to_vec(), [values.len()]), &device)
        };
        for kind in [OptimiserKind::Adam, OptimiserKind::Muon] {
            let moved = |relative: bool, name: &str| {
                let optimiser = Optimiser::new(kind, (relative, 1.0), &fresh);
                let old = tensor(&fresh.get(name).expect("is there").values);
                let gradient = tensor(&[1.0, 0.5, -2.0, 0.25]);
                let (new, _) = optimiser.update(name, 1e-3, old.clone(), gradient, None);
                let moved = (new - old).square().sum().into_data();
                f64::from(moved.try_into_vec::<f32>().expect("reads")[0]).sqrt()
            };
            let plain = moved(false, "small");
            for (name, size) in [("small", 0.1), ("large", 4.0), ("nothing", LEAST_SCALE)] {
                assert!((moved(false, name) / plain - 1.0).abs() < 1e-3, "{kind:?} {name}");
                assert!(
                    (moved(true, name) / plain / size - 1.0).abs() < 1e-2,
                    "{kind:?} {name}"
                );
            }
        }
    }
}
