// What the convolutions share: bindings, activation and storing four pixels of a row.

override GROUPS_IN: u32;
override GROUPS_OUT: u32;
// 0: none, 1: leaky rectifier of SLOPE, 2: learned slopes
override ACTIVATION: u32;
override SLOPE: f32;

@group(0) @binding(0) var<uniform> size: vec4<u32>; // width, height
@group(0) @binding(1) var<storage, read> input: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<mat4x4<f32>>;
// GROUPS_OUT biases, then as many learned slopes
@group(0) @binding(3) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> output: array<vec4<f32>>;

fn activate(v: vec4<f32>, o: u32) -> vec4<f32> {
    if (ACTIVATION == 1u) {
        return select(v * SLOPE, v, v > vec4<f32>());
    }
    if (ACTIVATION == 2u) {
        return select(v * parameters[GROUPS_OUT + o], v, v > vec4<f32>());
    }
    return v;
}

fn store(o: u32, x0: u32, y: u32, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>) {
    let at = (o * size.y + y) * size.x + x0;
    output[at] = activate(v0, o);
    if (x0 + 1u < size.x) { output[at + 1u] = activate(v1, o); }
    if (x0 + 2u < size.x) { output[at + 2u] = activate(v2, o); }
    if (x0 + 3u < size.x) { output[at + 3u] = activate(v3, o); }
}
