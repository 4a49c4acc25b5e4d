// A step of Euler's method: x_t becomes x_t + dt v. The estimate of the end, x_t + (1 - t) v, is held to [0, 1]. Three planes.

struct Frame {
    // Columns and rows.
    size: vec2<u32>,
    // The step's share of what is left of the time: dt / (1 - t).
    share: f32,
    // What is left, 1 - t.
    left: f32,
}

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> velocity: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= frame.size.x || id.y >= frame.size.y) {
        return;
    }
    let at = (id.z * frame.size.y + id.y) * frame.size.x + id.x;
    let x = state[at];
    let end = clamp(x + frame.left * velocity[at], 0.0, 1.0);
    state[at] = x + frame.share * (end - x);
}
