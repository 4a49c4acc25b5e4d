// The sum of two packed feature maps.

override GROUPS: u32;

@group(0) @binding(0) var<uniform> size: vec4<u32>; // width, height
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4<f32>>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= size.x || id.y >= size.y || id.z >= GROUPS) {
        return;
    }
    let at = (id.z * size.y + id.y) * size.x + id.x;
    output[at] = a[at] + b[at];
}
