// The input of a velocity field: x_t unshuffled, the low-quality image and, where it is asked for, the posterior mean
// unshuffled, packed by four channels.
//
// Row i, column j of each block of plane c becomes channel c * SCALE^2 + i * SCALE + j.

override SCALE: u32;
override CHANNELS: u32;

@group(0) @binding(0) var<uniform> frame: vec4<u32>; // low-quality width, height
@group(0) @binding(1) var<storage, read> image: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> state: array<f32>;
@group(0) @binding(4) var<storage, read_write> output: array<Real4>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let group = id.z;
    if (id.x >= frame.x || id.y >= frame.y || group * 4u >= CHANNELS) {
        return;
    }
    var v = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
        v[i] = value(group * 4u + i, id.x, id.y);
    }
    output[(group * frame.y + id.y) * frame.x + id.x] = Real4(v);
}

fn value(channel: u32, x: u32, y: u32) -> f32 {
    let block = 3u * SCALE * SCALE;
    if (channel < block) {
        return state[place(channel, x, y)];
    }
    if (channel < block + 3u) {
        return image[y * frame.x + x][channel - block];
    }
    if (channel < CHANNELS) {
        return mean[place(channel - block - 3u, x, y)];
    }
    return 0.0;
}

// Where a channel's value lies in planes that are SCALE times larger.
fn place(channel: u32, x: u32, y: u32) -> u32 {
    let plane = channel / (SCALE * SCALE);
    let phase = channel % (SCALE * SCALE);
    let row = (plane * frame.y + y) * SCALE + phase / SCALE;
    return row * frame.x * SCALE + x * SCALE + phase % SCALE;
}
