// The part of an enlarged tile that counts, times its weights beside the tiles around it: three planes.

struct Part {
    // First column and row, and columns and rows, within the tile.
    at: vec2<u32>,
    size: vec2<u32>,
    tile: vec2<u32>,
}

@group(0) @binding(0) var<uniform> part: Part;
@group(0) @binding(1) var<storage, read> image: array<f32>;
// Of the columns, then of the rows.
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= part.size.x || id.y >= part.size.y) {
        return;
    }
    let here = (id.z * part.tile.y + part.at.y + id.y) * part.tile.x + part.at.x + id.x;
    let there = (id.z * part.size.y + id.y) * part.size.x + id.x;
    output[there] = image[here] * weights[id.x] * weights[part.size.x + id.y];
}
