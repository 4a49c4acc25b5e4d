//! Feature-wise modulation (Perez et al. 2018) with a leaky activation, and its gradients, on slices.
//!
//! `y = leaky((1 + gamma) x + beta)`: planes `[n, c, h, w]`, one `gamma` and `beta` per plane, `[n, c]`.

use alloc::{vec, vec::Vec};

#[cfg(feature = "autodiff")]
use super::activation::through;
use crate::exec::for_each;

/// The modulated planes; values below zero are multiplied by `slope`.
pub(crate) fn forward(x: &[f32], gamma: &[f32], beta: &[f32], slope: f32) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    let area = x.len() / gamma.len().max(1);
    if area == 0 {
        return out;
    }
    let planes = out.chunks_exact_mut(area).zip(x.chunks_exact(area)).enumerate();
    for_each(planes.collect(), |(i, (out, x))| {
        for (out, x) in out.iter_mut().zip(x) {
            let y = (1.0 + gamma[i]) * x + beta[i];
            *out = if y < 0.0 { y * slope } else { y };
        }
    });
    out
}

/// The gradients with respect to `x`, `gamma` and `beta`, from that of the result `y`.
#[cfg(feature = "autodiff")]
pub(crate) fn backward(
    (x, gamma): (&[f32], &[f32]),
    (y, slope): (&[f32], f32),
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let mut dx = vec![0.0; x.len()];
    let (mut dgamma, mut dbeta) = (vec![0.0; gamma.len()], vec![0.0; gamma.len()]);
    let area = x.len() / gamma.len().max(1);
    if area == 0 {
        return [dx, dgamma, dbeta];
    }
    let planes = dx.chunks_exact_mut(area).zip(dgamma.iter_mut().zip(&mut dbeta));
    for_each(planes.enumerate().collect(), |(i, (dx, (dgamma, dbeta)))| {
        let plane = i * area..(i + 1) * area;
        let pairs = gradient[plane.clone()].iter().zip(&y[plane.clone()]);
        for (dx, (g, y)) in dx.iter_mut().zip(pairs) {
            *dx = through(*g, *y, slope);
        }
        (*dgamma, *dbeta) = sums(dx, &x[plane]);
        dx.iter_mut().for_each(|dx| *dx *= 1.0 + gamma[i]);
    });
    [dx, dgamma, dbeta]
}

/// The sums of `g x` and of `g`, in eight lanes each.
#[cfg(feature = "autodiff")]
fn sums(g: &[f32], x: &[f32]) -> (f32, f32) {
    let (mut products, mut plain) = ([0.0; 8], [0.0; 8]);
    let mut add = |lane: usize, g: f32, x: f32| {
        products[lane] += g * x;
        plain[lane] += g;
    };
    let ((whole, rest), (whole_x, rest_x)) = (g.as_chunks::<8>(), x.as_chunks::<8>());
    for (g, x) in whole.iter().zip(whole_x) {
        (0..8).for_each(|lane| add(lane, g[lane], x[lane]));
    }
    for (lane, (g, x)) in rest.iter().zip(rest_x).enumerate() {
        add(lane, *g, *x);
    }
    (products.iter().sum(), plain.iter().sum())
}

#[cfg(all(test, feature = "autodiff"))]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn both_passes_are_their_definitions() {
        let (planes, area, slope) = (5, 37, 0.2);
        let mut random = SplitMix64::new(11);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.normal() as f32).collect() };
        let (x, gradient) = (draw(planes * area), draw(planes * area));
        let (gamma, beta) = (draw(planes), draw(planes));
        let y = forward(&x, &gamma, &beta, slope);
        let [dx, dgamma, dbeta] = backward((&x, &gamma), (&y, slope), &gradient);
        for p in 0..planes {
            let factor = 1.0 + f64::from(gamma[p]);
            let (mut products, mut plain) = (0.0, 0.0);
            for i in p * area..(p + 1) * area {
                let inner = factor * f64::from(x[i]) + f64::from(beta[p]);
                let slope = if inner < 0.0 { f64::from(slope) } else { 1.0 };
                let g = f64::from(gradient[i]) * slope;
                assert!((f64::from(y[i]) - inner * slope).abs() < 1e-5);
                assert!((f64::from(dx[i]) - g * factor).abs() < 1e-5);
                products += g * f64::from(x[i]);
                plain += g;
            }
            assert!((f64::from(dgamma[p]) - products).abs() < 1e-4);
            assert!((f64::from(dbeta[p]) - plain).abs() < 1e-4);
        }
    }
}
