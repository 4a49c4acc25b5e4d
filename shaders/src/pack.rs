//! Weights and images in the kernels' layout: four channels together.

use asasr_core::Planes;

/// Channels in groups of four.
pub(crate) fn groups(channels: usize) -> usize {
    channels.div_ceil(4)
}

/// `[outputs, inputs, k, k]` to blocks `[outputs / 4][inputs / 4][k * k]` of 4x4, a column for each input channel;
/// missing channels are zero.
pub(crate) fn weights(values: &[f32], outputs: usize, inputs: usize, kernel: usize) -> Vec<f32> {
    let taps = kernel * kernel;
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

/// Biases and learned slopes, each filled up to whole groups.
pub(crate) fn parameters(bias: &[f32], slope: Option<&[f32]>) -> Vec<f32> {
    let padded = groups(bias.len()) * 4;
    let mut out = bias.to_vec();
    out.resize(padded, 0.0);
    if let Some(slope) = slope {
        out.extend_from_slice(slope);
        out.resize(2 * padded, 0.0);
    }
    out
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
