// What the convolutions share: their weights, and four pixels of a row.

// Blocks of 4x4, column j for input channel j.
@group(0) @binding(5) var<storage, read> weights: array<Block>;

// Sums of one group of output channels.
struct Four {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn given(i: u32) -> Real4 {
    return Real4(input[i]);
}

// The input at column `x` of the row that begins at `start`; zero outside.
fn load(start: u32, x: i32) -> Real4 {
    if (x < 0 || x >= i32(frame.size.x)) {
        return Real4();
    }
    return given(start + u32(x));
}

fn store(o: u32, x0: u32, y: u32, v: Four) {
    let width = frame.size.x;
    let at = (o * frame.size.y + y) * width + x0;
    output[at] = finish(v.a, o, at);
    if (x0 + 1u < width) { output[at + 1u] = finish(v.b, o, at + 1u); }
    if (x0 + 2u < width) { output[at + 2u] = finish(v.c, o, at + 2u); }
    if (x0 + 3u < width) { output[at + 3u] = finish(v.d, o, at + 3u); }
}
