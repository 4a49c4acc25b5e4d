// A linear filter along one axis of three planes: each output is a weighted sum of inputs of its line.
//
// Of the difference of two images, where DIFFERENCE says so; added to what is there already, where ADD does.

override ALONG_COLUMNS: bool;
override DIFFERENCE: bool;
override ADD: bool;

struct Sizes {
    // Columns and rows.
    input: vec2<u32>,
    output: vec2<u32>,
    // Inputs that an output sums over.
    taps: u32,
}

@group(0) @binding(0) var<uniform> sizes: Sizes;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read> subtracted: array<f32>;
// For each place along the axis, the inputs' places and then their weights as bits.
@group(0) @binding(3) var<storage, read> axis: array<u32>;
@group(0) @binding(4) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(8, 8, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= sizes.output.x || id.y >= sizes.output.y) {
        return;
    }
    let plane = id.z * sizes.input.x * sizes.input.y;
    let first = 2u * sizes.taps * select(id.x, id.y, ALONG_COLUMNS);
    var sum = 0.0;
    for (var k = 0u; k < sizes.taps; k++) {
        let place = axis[first + k];
        let at = plane + select(id.y * sizes.input.x + place, place * sizes.input.x + id.x, ALONG_COLUMNS);
        var value = image[at];
        if (DIFFERENCE) {
            value -= subtracted[at];
        }
        sum += bitcast<f32>(axis[first + sizes.taps + k]) * value;
    }
    let there = (id.z * sizes.output.y + id.y) * sizes.output.x + id.x;
    output[there] = select(0.0, output[there], ADD) + sum;
}
