//! `step.wgsl`: a step of Euler's method, its end held to `[0, 1]`.

/// `x + dt v`, shortened where `x + left v` leaves `[0, 1]`; all `[3, h, w]`.
pub(crate) fn step(state: &[f32], velocity: &[f32], (dt, left): (f32, f32)) -> Vec<f32> {
    let one = |(x, v): (&f32, &f32)| {
        let end = (x + left * v).clamp(0.0, 1.0);
        x + dt / left * (end - x)
    };
    state.iter().zip(velocity).map(one).collect()
}
