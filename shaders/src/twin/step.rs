//! `step.wgsl`: a step of Euler's method with the skip past the field.

/// `x + dt (v + gain (x - m))`, all `[3, h, w]`.
pub(crate) fn step(state: &[f32], velocity: &[f32], mean: &[f32], dt: f32, gain: f32) -> Vec<f32> {
    let all = state.iter().zip(velocity).zip(mean);
    all.map(|((x, v), m)| x + dt * (v + gain * (x - m))).collect()
}
