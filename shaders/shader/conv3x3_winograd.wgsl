// A 3x3 convolution as `conv3x3.wgsl`, with half of its products: along rows Winograd's F(4, 3) makes four pixels from six
// products in place of twelve (Lavin and Gray 2016). `weights[((o * GROUPS_IN + g) * 3 + dy) * 6 + p]` are transformed.
//
// Interpolation is at 0, 3/4, -3/4, 3/2, -3/2 and infinity. One invocation computes four pixels of a row for TALL groups of
// output channels, 1 or 2.

// Products of one group of output channels, by interpolation point.
struct Six {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
    e: vec4<f32>,
    f: vec4<f32>,
}

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
    let stride = GROUPS_IN * 18u;
    var k0 = o * stride;
    var k1 = min(o + 1u, last) * stride;
    var s0 = Six();
    var s1 = Six();
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
                // Even and odd powers apart: points of both signs share them.
                let even = v2 * Real(32.0 / 27.0) - v4 * Real(128.0 / 243.0);
                let odd = v1 * Real(8.0 / 9.0) - v3 * Real(32.0 / 81.0);
                let even2 = v4 * Real(128.0 / 243.0) - v2 * Real(8.0 / 27.0);
                let odd2 = v3 * Real(64.0 / 81.0) - v1 * Real(4.0 / 9.0);
                let ta = v0 - v2 * Real(20.0 / 9.0) + v4 * Real(64.0 / 81.0);
                let tf = v1 * Real(81.0 / 64.0) - v3 * Real(45.0 / 16.0) + v5;
                s0 = add(s0, k0, ta, even + odd, even - odd, even2 + odd2, even2 - odd2, tf);
                if (TALL > 1u) {
                    s1 = add(s1, k1, ta, even + odd, even - odd, even2 + odd2, even2 - odd2, tf);
                }
            }
            k0 += 6u;
            k1 += 6u;
        }
    }
    store(o, x0, y, pixels(s0));
    if (TALL > 1u && o + 1u <= last) { store(o + 1u, x0, y, pixels(s1)); }
}

// `s` with the products of the transformed row of weights from block `k` on.
fn add(s: Six, k: u32, a: Real4, b: Real4, c: Real4, d: Real4, e: Real4, f: Real4) -> Six {
    return Six(
        s.a + vec4<f32>(weights[k] * a),
        s.b + vec4<f32>(weights[k + 1u] * b),
        s.c + vec4<f32>(weights[k + 2u] * c),
        s.d + vec4<f32>(weights[k + 3u] * d),
        s.e + vec4<f32>(weights[k + 4u] * e),
        s.f + vec4<f32>(weights[k + 5u] * f),
    );
}

// Four pixels from six products.
fn pixels(s: Six) -> Four {
    let even = s.b + s.c;
    let odd = s.b - s.c;
    let even2 = s.d + s.e;
    let odd2 = s.d - s.e;
    return Four(
        s.a + even + even2,
        0.75 * odd + 1.5 * odd2,
        0.5625 * even + 2.25 * even2,
        0.421875 * odd + 3.375 * odd2 + s.f,
    );
}
