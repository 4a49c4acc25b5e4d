// As many multiply-adds as a device does: eight chains of four, which nothing reads.

override ROUNDS: u32;

@group(0) @binding(0) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(64, 1, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let a = vec4<f32>(f32(id.x)) * 1e-9 + 0.999;
    let b = vec4<f32>(1e-3);
    var v = array<vec4<f32>, 8>(a, a + 0.1, a + 0.2, a + 0.3, a + 0.4, a + 0.5, a + 0.6, a + 0.7);
    var v0 = v[0]; var v1 = v[1]; var v2 = v[2]; var v3 = v[3];
    var v4 = v[4]; var v5 = v[5]; var v6 = v[6]; var v7 = v[7];
    for (var i = 0u; i < ROUNDS; i++) {
        v0 = fma(v0, a, b); v1 = fma(v1, a, b); v2 = fma(v2, a, b); v3 = fma(v3, a, b);
        v4 = fma(v4, a, b); v5 = fma(v5, a, b); v6 = fma(v6, a, b); v7 = fma(v7, a, b);
    }
    output[id.x] = v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7;
}
