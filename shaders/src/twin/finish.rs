//! `finish` of `shared.wgsl`, and `pointwise.wgsl`: what follows a layer's sums.

/// What follows the sums of a channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct After {
    pub(crate) bias: f32,
    /// `(gamma, beta)`.
    pub(crate) film: Option<(f32, f32)>,
    /// What values below zero are multiplied by; 1 without an activation.
    pub(crate) slope: f32,
}

/// A value with bias, modulation and activation, and then the other summand.
pub(crate) fn finish(sum: f32, after: After, other: f32) -> f32 {
    let mut y = sum + after.bias;
    if let Some((gamma, beta)) = after.film {
        y = y * (1.0 + gamma) + beta;
    }
    (if y < 0.0 { y * after.slope } else { y }) + other
}
