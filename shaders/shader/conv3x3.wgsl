// A 3x3 convolution, stride 1, zero padding, and what follows it; `weights[((o * GROUPS_IN + g) * 3 + dy) * 3 + dx]`.
//
// One invocation computes four pixels of a row for TALL groups of output channels, 1, 2 or 4: each value loaded serves
// 12 multiplications of a block by a vector for every group.

@compute @workgroup_size(WIDE, HIGH, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x0 = id.x * 4u;
    let y = id.y;
    let o = id.z * TALL;
    if (x0 >= frame.size.x || y >= frame.size.y || o >= GROUPS_OUT) {
        return;
    }
    // Past the last group the last one is computed again and not stored.
    let last = GROUPS_OUT - 1u;
    let stride = GROUPS_IN * 9u;
    var k0 = o * stride;
    var k1 = min(o + 1u, last) * stride;
    var k2 = min(o + 2u, last) * stride;
    var k3 = min(o + 3u, last) * stride;
    var s0 = Four();
    var s1 = Four();
    var s2 = Four();
    var s3 = Four();
    for (var g = 0u; g < GROUPS_IN; g++) {
        for (var dy = 0u; dy < 3u; dy++) {
            let row = i32(y + dy) - 1;
            if (row >= 0 && row < i32(frame.size.y)) {
                let start = (g * frame.size.y + u32(row)) * frame.size.x;
                let v0 = load(start, i32(x0) - 1);
                let v1 = load(start, i32(x0));
                let v2 = load(start, i32(x0) + 1);
                let v3 = load(start, i32(x0) + 2);
                let v4 = load(start, i32(x0) + 3);
                let v5 = load(start, i32(x0) + 4);
                s0 = add(s0, k0, v0, v1, v2, v3, v4, v5);
                if (TALL > 1u) {
                    s1 = add(s1, k1, v0, v1, v2, v3, v4, v5);
                }
                if (TALL > 2u) {
                    s2 = add(s2, k2, v0, v1, v2, v3, v4, v5);
                    s3 = add(s3, k3, v0, v1, v2, v3, v4, v5);
                }
            }
            k0 += 3u;
            k1 += 3u;
            k2 += 3u;
            k3 += 3u;
        }
    }
    store(o, x0, y, s0);
    if (TALL > 1u && o + 1u <= last) { store(o + 1u, x0, y, s1); }
    if (TALL > 2u && o + 2u <= last) { store(o + 2u, x0, y, s2); }
    if (TALL > 2u && o + 3u <= last) { store(o + 3u, x0, y, s3); }
}

// `s` with the products of a row of weights from block `k` on.
fn add(s: Four, k: u32, v0: Real4, v1: Real4, v2: Real4, v3: Real4, v4: Real4, v5: Real4) -> Four {
    let w0 = weights[k];
    let w1 = weights[k + 1u];
    let w2 = weights[k + 2u];
    return Four(
        s.a + vec4<f32>(w0 * v0 + w1 * v1 + w2 * v2),
        s.b + vec4<f32>(w0 * v1 + w1 * v2 + w2 * v3),
        s.c + vec4<f32>(w0 * v2 + w1 * v3 + w2 * v4),
        s.d + vec4<f32>(w0 * v3 + w1 * v4 + w2 * v5),
    );
}
