//! `transform.wgsl`: products of matrices, a plane at a time.

use crate::noise::Operand;

/// `left right` of `planes` planes, each element times its weight.
pub(crate) fn product(
    planes: usize,
    (rows, columns, inner): (usize, usize, usize),
    (left, l): (&[f32], Operand),
    (right, r): (&[f32], Operand),
    weights: Option<&[f32]>,
) -> Vec<f32> {
    let mut out = Vec::new();
    for (p, y, x) in
        (0..planes * rows * columns).map(|i| (i / (rows * columns), i / columns % rows, i % columns))
    {
        let sum: f64 = (0..inner)
            .map(|k| {
                let a = left[p * l.plane + y * l.step.0 + k * l.step.1];
                let b = right[p * r.plane + k * r.step.0 + x * r.step.1];
                f64::from(a) * f64::from(b)
            })
            .sum();
        out.push(sum as f32 * weights.map_or(1.0, |w| w[y * columns + x]));
    }
    out
}
