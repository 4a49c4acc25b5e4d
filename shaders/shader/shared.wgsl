// What the kernels of a network share: what they know of the tile, and what follows a layer's sums.
//
// Features are packed by four channels: value (x, y) of channels 4g .. 4g+3 is `features[(g * height + y) * width + x]`.
// `Real`, `Real4` and `Block` (4x4) are of the network's precision, `Input4` is what the layer reads: single precision
// for the image, the network's for all else; `Other4` is what an addition reads. A row of taps is added up in the
// network's precision; rows and channels, and what follows them, in single precision.

struct Frame {
    // Width and height of the tile in low-quality pixels.
    size: vec2<u32>,
    // Which of the parameters of a modulated layer hold: the solver's step.
    step: u32,
    // The solver's step in time.
    dt: f32,
    // The gain of the skip past a velocity field, k(t).
    gain: f32,
    // What is left of the time, 1 - t.
    left: f32,
}

// Sides of a work-group.
override WIDE: u32 = 8;
override HIGH: u32 = 8;
override GROUPS_IN: u32;
override GROUPS_OUT: u32;
// 0: none, 1: leaky rectifier of SLOPE, 2: learned slopes
override ACTIVATION: u32;
override SLOPE: f32;
override MODULATED: bool;
override ADDED: bool;

@group(0) @binding(0) var<uniform> frame: Frame;
@group(0) @binding(1) var<storage, read> input: array<Input4>;
// GROUPS_OUT shifts; where the layer is modulated as many factors, and all of them for each step; then slopes where
// they are learned.
@group(0) @binding(2) var<storage, read> parameters: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> other: array<Other4>;
@group(0) @binding(4) var<storage, read_write> output: array<Real4>;

// The layer's sums `v` of output group `o` with shift, factor and activation, and the other summand at `at`.
fn finish(v: vec4<f32>, o: u32, at: u32) -> Real4 {
    var stride = GROUPS_OUT;
    if (MODULATED) { stride += GROUPS_OUT; }
    if (ACTIVATION == 2u) { stride += GROUPS_OUT; }
    let start = select(0u, frame.step * stride, MODULATED) + o;
    var y = v;
    if (MODULATED) { y *= parameters[start + GROUPS_OUT]; }
    y += parameters[start];
    if (ACTIVATION == 1u) {
        y = select(y * SLOPE, y, y > vec4<f32>());
    }
    if (ACTIVATION == 2u) {
        y = select(y * parameters[start + stride - GROUPS_OUT], y, y > vec4<f32>());
    }
    if (ADDED) { y += vec4<f32>(other[at]); }
    return Real4(y);
}
