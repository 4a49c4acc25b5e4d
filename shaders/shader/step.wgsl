// A step of Euler's method: x_t becomes x_t + dt v with v the shuffled features and, where the field has a skip,
// k(t) (x_t - m(c)). The estimate of the end, x_t + (1 - t) v, is held to [0, 1].

override SCALE: u32;

struct Frame {
    size: vec2<u32>,
    step: u32,
    dt: f32,
    gain: f32,
    left: f32,
}

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> features: array<Real4>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let wide = frame.size.x * SCALE;
    let high = frame.size.y * SCALE;
    if (id.x >= wide || id.y >= high) {
        return;
    }
    let pixel = (id.y / SCALE) * frame.size.x + id.x / SCALE;
    let phase = (id.y % SCALE) * SCALE + id.x % SCALE;
    for (var c = 0u; c < 3u; c++) {
        let channel = c * SCALE * SCALE + phase;
        let at = (c * high + id.y) * wide + id.x;
        let x = state[at];
        let v = f32(features[(channel / 4u) * frame.size.x * frame.size.y + pixel][channel % 4u]);
        let end = clamp(x + frame.left * (v + frame.gain * (x - mean[at])), 0.0, 1.0);
        state[at] = x + frame.dt / frame.left * (end - x);
    }
}
