//! One step of Adam.

use asasr_core::nn::Parameters;
use burn::optim::{Adam, Optimizer as _};
use burn::tensor::Tensor;

use super::checkpoint::State;
use crate::error::{Error, Result};

const WARM_UP: f64 = 200.0;
/// Most of the old average kept at each step: it forgets over about a thousand steps.
const AVERAGE_DECAY: f32 = 0.999;
/// Largest Euclidean norm of the whole gradient: rare bad batches must not throw the run.
const MAX_GRADIENT: f32 = 1.0;

/// Moves the parameters against the gradient of `loss` and the average after them; returns the loss.
///
/// A loss or gradient that is not finite changes nothing and is returned as NaN.
pub(crate) fn step(
    state: &mut State,
    adam: &Adam,
    rate: f64,
    loss: impl FnOnce(&Parameters) -> Result<Tensor<1>>,
) -> Result<f32> {
    let tracked: Parameters = state
        .parameters
        .iter()
        .map(|(n, t)| (n.clone(), t.clone().autodiff().require_grad()))
        .collect();
    let loss = loss(&tracked)?;
    let mut gradients = loss.backward();
    let value = scalar(loss.inner())?;
    let gradients: Vec<_> = tracked
        .into_iter()
        .map(|(name, t)| {
            let gradient = t.grad_remove(&mut gradients);
            gradient
                .map(|g| (name, g))
                .ok_or_else(|| Error::new("a parameter does not reach the loss"))
        })
        .collect::<Result<_>>()?;
    let norm = gradients
        .iter()
        .map(|(_, g)| g.clone().square().sum())
        .reduce(|a, b| a + b);
    let norm = norm.map_or(Ok(0.0), scalar)?.sqrt();
    if !norm.is_finite() || !value.is_finite() {
        // Nothing was changed yet: the state is still the one before this step.
        return Ok(f32::NAN);
    }
    let shrink = if norm > MAX_GRADIENT {
        MAX_GRADIENT / norm
    } else {
        1.0
    };
    // A young average forgets faster, so that the untrained weights do not linger in it.
    let decay = AVERAGE_DECAY.min((1 + state.step) as f32 / (10 + state.step) as f32);
    for (name, gradient) in gradients {
        let old = state.parameters[&name].clone();
        let (new, moments) = adam.step(rate, old, gradient * shrink, state.adam.remove(&name));
        let average = state.average[&name].clone() * decay + new.clone() * (1.0 - decay);
        state.average.insert(name.clone(), average);
        state.parameters.insert(name.clone(), new);
        if let Some(moments) = moments {
            state.adam.insert(name, moments);
        }
    }
    state.step += 1;
    Ok(value)
}

/// Reads a number from the device.
pub(crate) fn scalar(x: Tensor<1>) -> Result<f32> {
    x.try_into_scalar::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))
}

/// The rate of `step` of `steps`: warm-up, then a cosine down to nothing.
pub(crate) fn learning_rate(peak: f64, step: u64, steps: u64) -> f64 {
    let warm = ((step + 1) as f64 / WARM_UP).min(1.0);
    let progress = step as f64 / steps as f64;
    peak * warm * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
}
