// The source of a flow on a part of a tile: `x0 = m + sigma n`, or `sigma n` alone, with `n` from a block of coloured noise and
// `sigma` linear between the values given.

struct Part {
    // First column and row, and columns and rows: of the part in the tile.
    at: vec2<u32>,
    size: vec2<u32>,
    // Where the part begins in the block of noise.
    begin: vec2<u32>,
    block: vec2<u32>,
    tile: vec2<u32>,
    // What the noise and the posterior mean are multiplied by.
    noise: f32,
    mean: f32,
    // Columns and rows of the deviation, at most the tile's.
    coarse: vec2<u32>,
}

@group(0) @binding(0) var<uniform> part: Part;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> deviation: array<f32>;
@group(0) @binding(4) var<storage, read_write> state: array<f32>;

fn deviation_at(place: vec2<u32>) -> f32 {
    let centre = max((vec2<f32>(place) + 0.5) * vec2<f32>(part.coarse) / vec2<f32>(part.tile) - 0.5, vec2(0.0));
    let last = part.coarse - 1u;
    let first = min(vec2<u32>(centre), last);
    let second = min(first + 1u, last);
    let share = centre - vec2<f32>(first);
    let above = mix(deviation[first.y * part.coarse.x + first.x], deviation[first.y * part.coarse.x + second.x], share.x);
    let below = mix(deviation[second.y * part.coarse.x + first.x], deviation[second.y * part.coarse.x + second.x], share.x);
    return mix(above, below, share.y);
}

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= part.size.x || id.y >= part.size.y) {
        return;
    }
    let place = part.at + id.xy;
    let there = (id.z * part.tile.y + place.y) * part.tile.x + place.x;
    let here = (id.z * part.block.y + part.begin.y + id.y) * part.block.x + part.begin.x + id.x;
    state[there] = part.mean * mean[there] + part.noise * deviation_at(place) * noise[here];
}
