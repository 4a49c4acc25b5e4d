// A 3x3 convolution, stride 1, zero padding, and what follows it; `weights[((o * GROUPS_IN + g) * 3 + dy) * 3 + dx]`.
//
// One invocation computes four pixels of a row for two groups of output channels: each value loaded serves 24
// multiplications of a block by a vector.

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x0 = id.x * 4u;
    let y = id.y;
    let o = id.z * 2u;
    if (x0 >= frame.size.x || y >= frame.size.y || o >= GROUPS_OUT) {
        return;
    }
    // An odd last group is computed twice and stored once.
    let o2 = min(o + 1u, GROUPS_OUT - 1u);
    var a0 = vec4<f32>();
    var a1 = a0;
    var a2 = a0;
    var a3 = a0;
    var b0 = a0;
    var b1 = b0;
    var b2 = b0;
    var b3 = b0;
    for (var g = 0u; g < GROUPS_IN; g++) {
        for (var dy = 0u; dy < 3u; dy++) {
            let row = i32(y + dy) - 1;
            if (row < 0 || row >= i32(frame.size.y)) {
                continue;
            }
            let start = (g * frame.size.y + u32(row)) * frame.size.x;
            let v0 = load(start, i32(x0) - 1);
            let v1 = load(start, i32(x0));
            let v2 = load(start, i32(x0) + 1);
            let v3 = load(start, i32(x0) + 2);
            let v4 = load(start, i32(x0) + 3);
            let v5 = load(start, i32(x0) + 4);
            let k = ((o * GROUPS_IN + g) * 3u + dy) * 3u;
            let w0 = weights[k];
            let w1 = weights[k + 1u];
            let w2 = weights[k + 2u];
            a0 += w0 * v0 + w1 * v1 + w2 * v2;
            a1 += w0 * v1 + w1 * v2 + w2 * v3;
            a2 += w0 * v2 + w1 * v3 + w2 * v4;
            a3 += w0 * v3 + w1 * v4 + w2 * v5;
            let k2 = ((o2 * GROUPS_IN + g) * 3u + dy) * 3u;
            let u0 = weights[k2];
            let u1 = weights[k2 + 1u];
            let u2 = weights[k2 + 2u];
            b0 += u0 * v0 + u1 * v1 + u2 * v2;
            b1 += u0 * v1 + u1 * v2 + u2 * v3;
            b2 += u0 * v2 + u1 * v3 + u2 * v4;
            b3 += u0 * v3 + u1 * v4 + u2 * v5;
        }
    }
    store(o, x0, y, a0, a1, a2, a3);
    if (o2 > o) {
        store(o2, x0, y, b0, b1, b2, b3);
    }
}

fn load(start: u32, x: i32) -> vec4<f32> {
    if (x < 0 || x >= i32(frame.size.x)) {
        return vec4<f32>();
    }
    return input[start + u32(x)];
}
