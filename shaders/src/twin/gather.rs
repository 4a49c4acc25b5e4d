//! `gather.wgsl`: the input of a velocity field.

use asasr_core::Planes;

/// `[r * r * 3, h, w]` from planes r times larger: row i, column j of each block of plane c is channel c r^2 + i r + j.
fn unshuffle(large: &Planes, r: usize) -> Vec<f32> {
    let (w, h) = (large.width() / r, large.height() / r);
    let channels = 0..3 * r * r;
    channels
        .flat_map(|k| (0..h * w).map(move |at| (k, at / w, at % w)))
        .map(|(k, y, x)| large.row(k / (r * r), y * r + k % (r * r) / r)[x * r + k % r])
        .collect()
}

/// `x_t` unshuffled, the low-quality image, and the posterior mean unshuffled.
pub(crate) fn gather(low: &Planes, mean: &Planes, state: &Planes, r: usize) -> Vec<f32> {
    [&unshuffle(state, r), low.data(), &unshuffle(mean, r)].concat()
}
