// A 1x1 convolution and what follows it; `weights[o * GROUPS_IN + g]`. One invocation computes four pixels of a row.

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let x0 = id.x * 4u;
    let y = id.y;
    let o = id.z;
    if (x0 >= frame.size.x || y >= frame.size.y || o >= GROUPS_OUT) {
        return;
    }
    var a0 = vec4<f32>();
    var a1 = a0;
    var a2 = a0;
    var a3 = a0;
    let last = frame.size.x - 1u;
    for (var g = 0u; g < GROUPS_IN; g++) {
        let w = weights[o * GROUPS_IN + g];
        let start = (g * frame.size.y + y) * frame.size.x;
        a0 += w * input[start + x0];
        a1 += w * input[start + min(x0 + 1u, last)];
        a2 += w * input[start + min(x0 + 2u, last)];
        a3 += w * input[start + min(x0 + 3u, last)];
    }
    store(o, x0, y, a0, a1, a2, a3);
}
