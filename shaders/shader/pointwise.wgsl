// A modulation or an addition that no convolution takes along.

@compute @workgroup_size(WIDE, HIGH, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= frame.size.x || id.y >= frame.size.y || id.z >= GROUPS_OUT) {
        return;
    }
    let at = (id.z * frame.size.y + id.y) * frame.size.x + id.x;
    output[at] = finish(vec4<f32>(input[at]), id.z, at);
}
