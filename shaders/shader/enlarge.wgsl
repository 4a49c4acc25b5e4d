// Pixel shuffle and the skip image: packed features to three planes, SCALE times larger.
//
// Channel c * SCALE^2 + i * SCALE + j becomes row i, column j of each block of plane c. The skip is Keys' cubic with
// a = -0.5; pixel centres lie at half-integers and edges are reflected at half-samples.

override SCALE: u32;
override BICUBIC: bool;

@group(0) @binding(0) var<uniform> frame: vec4<u32>; // input width, height
@group(0) @binding(1) var<storage, read> features: array<Real4>;
@group(0) @binding(2) var<storage, read> image: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let wide = frame.x * SCALE;
    let high = frame.y * SCALE;
    if (id.x >= wide || id.y >= high) {
        return;
    }
    var skip = vec3<f32>();
    if (BICUBIC) {
        skip = bicubic(id.x, id.y);
    }
    let pixel = (id.y / SCALE) * frame.x + id.x / SCALE;
    let phase = (id.y % SCALE) * SCALE + id.x % SCALE;
    for (var c = 0u; c < 3u; c++) {
        let channel = c * SCALE * SCALE + phase;
        let residual = f32(features[(channel / 4u) * frame.x * frame.y + pixel][channel % 4u]);
        output[(c * high + id.y) * wide + id.x] = residual + skip[c];
    }
}

fn bicubic(x: u32, y: u32) -> vec3<f32> {
    let cx = (f32(x) + 0.5) / f32(SCALE) - 0.5;
    let cy = (f32(y) + 0.5) / f32(SCALE) - 0.5;
    let bx = floor(cx);
    let by = floor(cy);
    let wx = taps(cx - bx);
    let wy = taps(cy - by);
    var sum = vec3<f32>();
    for (var j = 0; j < 4; j++) {
        let row = reflect_index(i32(by) + j - 1, i32(frame.y)) * frame.x;
        var line = vec3<f32>();
        for (var i = 0; i < 4; i++) {
            line += wx[i] * image[row + reflect_index(i32(bx) + i - 1, i32(frame.x))].xyz;
        }
        sum += wy[j] * line;
    }
    return sum;
}

// Keys' kernel at distances 1 + f, f, 1 - f and 2 - f.
fn taps(f: f32) -> vec4<f32> {
    let g = 1.0 - f;
    return vec4<f32>(
        -0.5 * f * g * g,
        (1.5 * f - 2.5) * f * f + 1.0,
        (1.5 * g - 2.5) * g * g + 1.0,
        -0.5 * g * f * f,
    );
}

// Two pixels reach outside at most; a single row or column is its own reflection.
fn reflect_index(i: i32, n: i32) -> u32 {
    var j = select(i, -1 - i, i < 0);
    j = select(j, 2 * n - 1 - j, j >= n);
    return u32(clamp(j, 0, n - 1));
}
