// A 1x1 convolution and what follows it; `weights[o * GROUPS_IN + g]`. One invocation computes four pixels of a row.

@compute @workgroup_size(WIDE, HIGH, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x0 = id.x * 4u;
    let y = id.y;
    let o = id.z;
    if (x0 >= frame.size.x || y >= frame.size.y || o >= GROUPS_OUT) {
        return;
    }
    var s = Four();
    let last = frame.size.x - 1u;
    for (var g = 0u; g < GROUPS_IN; g++) {
        let w = weights[o * GROUPS_IN + g];
        let start = (g * frame.size.y + y) * frame.size.x;
        s = Four(
            s.a + vec4<f32>(w * given(start + x0)),
            s.b + vec4<f32>(w * given(start + min(x0 + 1u, last))),
            s.c + vec4<f32>(w * given(start + min(x0 + 2u, last))),
            s.d + vec4<f32>(w * given(start + min(x0 + 3u, last))),
        );
    }
    store(o, x0, y, s);
}
