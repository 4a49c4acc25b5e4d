// White noise that is a function of its place: planes of standard normal values.
//
// Philox-4x32 with ten rounds (Salmon et al. 2011) makes four words of the counter (x / 4, y, channel, 0); Box and Muller's
// transform makes four normals of them, for four neighbouring pixels of a row.

struct Area {
    // First column and row in the image, and columns and rows.
    at: vec2<u32>,
    size: vec2<u32>,
    // The seed's low and high word.
    key: vec2<u32>,
}

@group(0) @binding(0) var<uniform> area: Area;
@group(0) @binding(1) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let quad = area.at.x / 4u + id.x;
    let y = area.at.y + id.y;
    if (quad * 4u >= area.at.x + area.size.x || id.y >= area.size.y) {
        return;
    }
    let words = philox(vec4<u32>(quad, y, id.z, 0u), area.key);
    let values = vec4<f32>(normals(words.xy), normals(words.zw));
    let row = (id.z * area.size.y + id.y) * area.size.x;
    for (var i = 0u; i < 4u; i++) {
        let x = quad * 4u + i;
        if (x >= area.at.x && x < area.at.x + area.size.x) {
            output[row + x - area.at.x] = values[i];
        }
    }
}

fn philox(start: vec4<u32>, seed: vec2<u32>) -> vec4<u32> {
    var counter = start;
    var key = seed;
    for (var i = 0; i < 10; i++) {
        let a = multiply(0xD2511F53u, counter.x);
        let b = multiply(0xCD9E8D57u, counter.z);
        counter = vec4<u32>(b.x ^ counter.y ^ key.x, b.y, a.x ^ counter.w ^ key.y, a.y);
        key += vec2<u32>(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// High and low word of a product.
fn multiply(a: u32, b: u32) -> vec2<u32> {
    let low = (a & 0xFFFFu) * (b & 0xFFFFu);
    let mid = (a >> 16u) * (b & 0xFFFFu) + (low >> 16u);
    let mid2 = (a & 0xFFFFu) * (b >> 16u) + (mid & 0xFFFFu);
    return vec2<u32>((a >> 16u) * (b >> 16u) + (mid >> 16u) + (mid2 >> 16u), a * b);
}

// A pair of normals from two words.
fn normals(words: vec2<u32>) -> vec2<f32> {
    // A logarithm near one may come out above zero.
    let radius = sqrt(max(0.0, -2.0 * log((f32(words.x) + 0.5) / 4294967296.0)));
    return radius * turn(words.y);
}

// Cosine and sine of `v / 2^32` of a turn. Built-in ones may be wrong by 2^-11; within an eighth of a turn these series are
// not, by more than rounding.
fn turn(v: u32) -> vec2<f32> {
    // Quarters, rounded; what is left lies within an eighth on either side.
    let quarter = (v + 0x20000000u) >> 30u;
    let a = f32(bitcast<i32>(v - (quarter << 30u))) * (6.28318530718 / 4294967296.0);
    let q = a * a;
    let c = 1.0 - q * (0.5 - q * (1.0 / 24.0 - q * (1.0 / 720.0 - q / 40320.0)));
    let s = a * (1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - q / 362880.0))));
    switch quarter & 3u {
        case 0u: { return vec2<f32>(c, s); }
        case 1u: { return vec2<f32>(-s, c); }
        case 2u: { return vec2<f32>(-c, -s); }
        default: { return vec2<f32>(s, -c); }
    }
}
