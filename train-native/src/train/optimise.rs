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

/// Moves the parameters against the gradient of `loss`, averaged over `parts` batches, and the average after them;
/// returns the mean loss. `loss` is given the number of the part.
///
/// A loss or gradient that is not finite changes nothing and is returned as NaN.
pub(crate) fn step(
    state: &mut State,
    adam: &Adam,
    rate: f64,
    parts: u64,
    loss: impl Fn(&Parameters, u64) -> Result<Tensor<1>>,
) -> Result<f32> {
    let mut value = 0.0;
    let mut sums = Parameters::new();
    for part in 0..parts {
        let tracked: Parameters = state
            .parameters
            .iter()
            .map(|(n, t)| (n.clone(), t.clone().autodiff().require_grad()))
            .collect();
        let loss = loss(&tracked, part)?;
        let mut gradients = loss.backward();
        value += scalar(loss.inner())? / parts as f32;
        for (name, t) in tracked {
            let gradient = t
                .grad_remove(&mut gradients)
                .ok_or_else(|| Error::new("a parameter does not reach the loss"))?;
            let sum = match sums.remove(&name) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            sums.insert(name, sum);
        }
    }
    let gradients: Vec<(String, Tensor<1>)> = if parts == 1 {
        sums.into_iter().collect()
    } else {
        sums.into_iter().map(|(n, g)| (n, g / parts as f32)).collect()
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::model::{Tensor as Stored, Weights};
    use burn::optim::AdamConfig;
    use burn::tensor::Device;

    #[test]
    fn the_gradient_of_parts_is_their_mean() {
        // Two parts pull towards 1 and towards 3: together they pull as one towards 2.
        let device = Device::flex();
        let mut weights = Weights::default();
        weights.insert(
            "x".into(),
            Stored {
                shape: vec![1],
                values: vec![0.0],
            },
        );
        let adam = AdamConfig::new().build();
        let run = |parts: u64, target: fn(u64) -> f32| {
            let mut state = State::fresh(&weights, &device);
            let mut values = Vec::new();
            for _ in 0..5 {
                let towards = |p: &Parameters, part: u64| Ok((p["x"].clone() - target(part)).square().sum());
                let value = step(&mut state, &adam, 0.01, parts, towards).expect("steps");
                values.push((value, scalar(state.parameters["x"].clone()).expect("reads")));
            }
            values
        };
        let (two, one) = (run(2, |part| 1.0 + 2.0 * part as f32), run(1, |_| 2.0));
        for ((loss, x), (single_loss, single_x)) in two.iter().zip(&one) {
            assert!((x - single_x).abs() < 1e-6, "{x} {single_x}");
            // The mean of the two squares is one above the square of the mean.
            assert!((loss - single_loss - 1.0).abs() < 1e-5, "{loss} {single_loss}");
        }
    }
}
