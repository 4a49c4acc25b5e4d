//! Weights in the kernels' layout: four channels together.

use asasr_core::exec::shade::blocks;

/// Channels in groups of four.
pub(crate) fn groups(channels: usize) -> usize {
    channels.div_ceil(4)
}

/// `[outputs, inputs, k, k]` to blocks `[outputs / 4][inputs / 4][k * k]` of 4x4, a column for each input channel;
/// missing channels are zero.
pub(crate) fn weights(values: &[f32], (outputs, inputs): (usize, usize), kernel: usize) -> Vec<f32> {
    blocks(values, (outputs, inputs), kernel * kernel)
}

/// `G` of Winograd's F(4, 3) at 0, 3/4, -3/4, 3/2, -3/2 and infinity: a product's share of each column of a kernel.
const WINOGRAD: [[f32; 3]; 6] = [
    [1.0, 0.0, 0.0],
    [1.0, 0.75, 0.5625],
    [1.0, -0.75, 0.5625],
    [0.25, 0.375, 0.5625],
    [0.25, -0.375, 0.5625],
    [0.0, 0.0, 1.0],
];

/// `[outputs, inputs, 3, 3]` with each row transformed, `[outputs, inputs, 3, 6]`, as [`weights`] lays them out.
pub(crate) fn winograd(values: &[f32], size: (usize, usize)) -> Vec<f32> {
    let rows = values.chunks_exact(3);
    let transformed: Vec<f32> = rows
        .flat_map(|row| WINOGRAD.map(|g| g.iter().zip(row).map(|(g, w)| g * w).sum()))
        .collect();
    blocks(&transformed, size, 18)
}
