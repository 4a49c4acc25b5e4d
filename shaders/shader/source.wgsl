// The source of a flow on a part of a tile: `x0 = m + sigma n`, or `sigma n` alone, with `n` from a block of coloured noise.

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
}

@group(0) @binding(0) var<uniform> part: Part;
@group(0) @binding(1) var<storage, read> noise: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> state: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= part.size.x || id.y >= part.size.y) {
        return;
    }
    let there = (id.z * part.tile.y + part.at.y + id.y) * part.tile.x + part.at.x + id.x;
    let here = (id.z * part.block.y + part.begin.y + id.y) * part.block.x + part.begin.x + id.x;
    state[there] = part.mean * mean[there] + part.noise * noise[here];
}
