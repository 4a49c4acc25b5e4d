//! `step.wgsl`: a step of Euler's method with the skip past the field, its end held to `[0, 1]`.

/// `x + dt u` with `u = v + gain (x - m)`, shortened where `x + left u` leaves `[0, 1]`; all `[3, h, w]`.
pub(crate) fn step(
    state: &[f32],
    velocity: &[f32],
    mean: &[f32],
    (dt, gain, left): (f32, f32, f32),
) -> Vec<f32> {
    let one = |((x, v), m): ((&f32, &f32), &f32)| {
        let end = (x + left * (v + gain * (x - m))).clamp(0.0, 1.0);
        x + dt / left * (end - x)
    };
    state.iter().zip(velocity).zip(mean).map(one).collect()
}
