// Products of matrices, a plane at a time: rows or columns of planes by a cosine basis, or back.
//
// `output = left right`, and where WEIGHTED each coefficient times its spectral weight. Element (i, j) of an operand lies
// at `i * step.x + j * step.y`, so a transposed basis is the same buffer. A work-group computes 32 by 32 elements, an
// invocation 4 by 4, from strips of 16 that the work-group keeps.

override WEIGHTED: bool;

struct Shape {
    // Rows and columns of the result, and what is summed over.
    rows: u32,
    columns: u32,
    inner: u32,
    // Elements of a plane of each operand; zero where all planes share one.
    left_plane: u32,
    right_plane: u32,
    unused: u32,
    left: vec2<u32>,
    right: vec2<u32>,
}

@group(0) @binding(0) var<uniform> shape: Shape;
@group(0) @binding(1) var<storage, read> left: array<f32>;
@group(0) @binding(2) var<storage, read> right: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

const SIDE: u32 = 32;
const STRIP: u32 = 16;

// Four rows, or columns, of an element of a strip together.
var<workgroup> left_strip: array<vec4<f32>, 128>;
var<workgroup> right_strip: array<vec4<f32>, 128>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) me: vec3<u32>) {
    let row = group.y * SIDE;
    let column = group.x * SIDE;
    let number = me.y * 8u + me.x;
    var sums = mat4x4<f32>();
    for (var k = 0u; k < shape.inner; k += STRIP) {
        for (var i = number; i < 128u; i += 64u) {
            // Entry i holds four rows from 4 (i % 8) on, of element i / 8 of the strip.
            let inner = k + i / 8u;
            let four = (i % 8u) * 4u;
            var l = vec4<f32>();
            var r = vec4<f32>();
            for (var j = 0u; j < 4u; j++) {
                let at = row + four + j;
                if (at < shape.rows && inner < shape.inner) {
                    l[j] = left[group.z * shape.left_plane + at * shape.left.x + inner * shape.left.y];
                }
                let beside = column + four + j;
                if (beside < shape.columns && inner < shape.inner) {
                    r[j] = right[group.z * shape.right_plane + inner * shape.right.x + beside * shape.right.y];
                }
            }
            left_strip[i] = l;
            right_strip[i] = r;
        }
        workgroupBarrier();
        for (var i = 0u; i < STRIP; i++) {
            let l = left_strip[i * 8u + me.y];
            let r = right_strip[i * 8u + me.x];
            sums += mat4x4<f32>(l.x * r, l.y * r, l.z * r, l.w * r);
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let y = row + me.y * 4u + i;
            let x = column + me.x * 4u + j;
            if (y < shape.rows && x < shape.columns) {
                let at = y * shape.columns + x;
                var value = sums[i][j];
                if (WEIGHTED) { value *= weights[at]; }
                output[group.z * shape.rows * shape.columns + at] = value;
            }
        }
    }
}
