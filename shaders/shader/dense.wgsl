// What the kernels of dense layers share: sums of four places of a row. `given(i)` are four channels of the input by their place among
// all of them, `put` writes four of the result.

// Sums of one group of output channels.
struct Four {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
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
    put(o, x0, y, v.a);
    if (x0 + 1u < width) { put(o, x0 + 1u, y, v.b); }
    if (x0 + 2u < width) { put(o, x0 + 2u, y, v.c); }
    if (x0 + 3u < width) { put(o, x0 + 3u, y, v.d); }
}
