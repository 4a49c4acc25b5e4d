//! `conv3x3.wgsl`, `conv3x3_winograd.wgsl` and `conv1x1.wgsl`: the convolution itself, by its definition.

/// `[outputs, h, w]` from `x`, `[inputs, h, w]`, and `weight`, `[outputs, inputs, k, k]`; zero padding.
pub(crate) fn conv(
    x: &[f32],
    weight: &[f32],
    (inputs, outputs, k): (usize, usize, usize),
    (w, h): (usize, usize),
) -> Vec<f32> {
    let mut out = vec![0.0; outputs * h * w];
    for (o, out) in out.chunks_exact_mut(h * w).enumerate() {
        for (at, out) in out.iter_mut().enumerate() {
            let mut sum = 0.0;
            for (i, dy, dx) in (0..inputs * k * k).map(|t| (t / (k * k), t / k % k, t % k)) {
                let row = (at / w + dy).checked_sub(k / 2).filter(|y| *y < h);
                let column = (at % w + dx).checked_sub(k / 2).filter(|x| *x < w);
                if let (Some(y), Some(column)) = (row, column) {
                    sum += f64::from(weight[((o * inputs + i) * k + dy) * k + dx])
                        * f64::from(x[(i * h + y) * w + column]);
                }
            }
            *out = sum as f32;
        }
    }
    out
}
