//! Weights and images in the kernels' layout: four channels together.

use asasr_core::Planes;

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

fn blocks(values: &[f32], (outputs, inputs): (usize, usize), taps: usize) -> Vec<f32> {
    let mut out = vec![0.0; groups(outputs) * groups(inputs) * taps * 16];
    for o in 0..outputs {
        for i in 0..inputs {
            for t in 0..taps {
                let block = ((o / 4) * groups(inputs) + i / 4) * taps + t;
                out[block * 16 + (i % 4) * 4 + o % 4] = values[(o * inputs + i) * taps + t];
            }
        }
    }
    out
}

/// Values of one for each channel, then learned slopes, each filled up to whole groups.
pub(crate) fn parameters(values: &[&[f32]], slope: Option<&[f32]>) -> Vec<f32> {
    let mut out = Vec::new();
    for part in values.iter().copied().chain(slope) {
        out.extend_from_slice(part);
        out.resize(out.len().next_multiple_of(4), 0.0);
    }
    out
}

/// The parameters of a layer with `bias` that is modulated by `gamma` and `beta`, one after the other in `modulation`:
/// `(x + bias) (1 + gamma) + beta` is `x factor + shift`.
pub(crate) fn modulated(bias: &[f32], modulation: &[f32], slope: Option<&[f32]>) -> Vec<f32> {
    let (gamma, beta) = modulation.split_at(bias.len());
    let factors: Vec<f32> = gamma.iter().map(|g| 1.0 + g).collect();
    let shifts: Vec<f32> = bias
        .iter()
        .zip(&factors)
        .zip(beta)
        .map(|((bias, factor), beta)| bias * factor + beta)
        .collect();
    parameters(&[&shifts, &factors], slope)
}

/// Three planes as pixels of four values, the last one zero.
pub(crate) fn image(planes: &Planes) -> Vec<f32> {
    let mut out = vec![0.0; planes.height() * planes.width() * 4];
    for c in 0..3 {
        for (pixel, v) in out.chunks_exact_mut(4).zip(planes.plane(c)) {
            pixel[c] = *v;
        }
    }
    out
}
