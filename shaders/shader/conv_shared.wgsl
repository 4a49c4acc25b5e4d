// What the convolutions share: their weights, and storing four pixels of a row.

// Blocks of 4x4, column j for input channel j.
@group(0) @binding(5) var<storage, read> weights: array<mat4x4<f32>>;

fn store(o: u32, x0: u32, y: u32, v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>) {
    let width = frame.size.x;
    let at = (o * frame.size.y + y) * width + x0;
    output[at] = finish(v0, o, at);
    if (x0 + 1u < width) { output[at + 1u] = finish(v1, o, at + 1u); }
    if (x0 + 2u < width) { output[at + 2u] = finish(v2, o, at + 2u); }
    if (x0 + 3u < width) { output[at + 3u] = finish(v3, o, at + 3u); }
}
