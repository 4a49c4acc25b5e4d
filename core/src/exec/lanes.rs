//! Loops that the compiler turns into vectors: sums in lanes, and parts of maps that all channels share.

#![expect(
    clippy::inline_always,
    reason = "what is not inlined into the dispatched function is compiled without its instructions"
)]

use alloc::vec::Vec;

/// Numbers summed side by side.
pub(crate) const LANES: usize = 16;
/// Numbers summed in single precision before the sum goes on in double.
const AT_A_TIME: usize = 4 << 10;

/// Does `work` compiled for the widest vectors that this processor has. WebAssembly's are known when it is compiled.
#[inline(always)]
pub(crate) fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    #[cfg(all(feature = "simd", not(target_family = "wasm")))]
    return pulp::Arch::new().dispatch(work);
    #[cfg(not(all(feature = "simd", not(target_family = "wasm"))))]
    work()
}

/// The sum of `f` of every number.
#[inline(always)]
pub(crate) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f64 {
    let parts = values.chunks(AT_A_TIME).map(
        #[inline(always)]
        |values| {
            let (whole, rest) = values.as_chunks::<LANES>();
            let mut lanes = [0.0; LANES];
            for values in whole {
                for (lane, x) in lanes.iter_mut().zip(values) {
                    *lane += f(*x);
                }
            }
            rest.iter().for_each(|x| lanes[0] += f(*x));
            f64::from(lanes.iter().sum::<f32>())
        },
    );
    parts.sum()
}

/// The sum of the products of two rows of numbers.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    let parts = a.chunks(AT_A_TIME).zip(b.chunks(AT_A_TIME)).map(
        #[inline(always)]
        |(a, b)| {
            let ((whole_a, rest_a), (whole_b, rest_b)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
            let mut lanes = [0.0; LANES];
            for (a, b) in whole_a.iter().zip(whole_b) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    *lane += a * b;
                }
            }
            rest_a.iter().zip(rest_b).for_each(|(a, b)| lanes[0] += a * b);
            f64::from(lanes.iter().sum::<f32>())
        },
    );
    parts.sum()
}

/// The mean of `values` and what makes their deviation one: `1 / sqrt(variance + epsilon)`.
#[inline(always)]
pub(crate) fn mean_and_scale(values: &[f32], epsilon: f64) -> (f32, f32) {
    let n = values.len() as f64;
    let mean = (sum(values, |x| x) / n) as f32;
    let variance = sum(values, |x| (x - mean) * (x - mean)) / n;
    (mean, (1.0 / libm::sqrt(variance + epsilon)) as f32)
}

/// `e^x` to two units in the last place, the same on every processor; from `e^-87` to `e^88` beyond these (Cephes, `expf`). Made of
/// additions and products alone, it is computed for a whole vector of numbers at a time.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    /// Added to a number, it leaves no room for a fraction.
    const WHOLE: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * core::f32::consts::LOG2_E + WHOLE;
    let n = shifted - WHOLE;
    // log 2 in two parts, the first of few digits.
    let rest = x - n * 0.693_359_4 + n * 2.121_944_4e-4;
    let mut sum = 1.987_569_1e-4;
    for factor in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        sum = sum * rest + factor;
    }
    // The exponent's bits: its bias is 127.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    (sum * rest * rest + rest + 1.0) * power
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// Scores, as shares of one, in their place: `e^score` of each, divided by the sum.
#[inline(always)]
pub(crate) fn shares(scores: &mut [f32]) {
    let (whole, rest) = scores.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for scores in whole {
        for (lane, score) in lanes.iter_mut().zip(scores) {
            *lane = if *score > *lane { *score } else { *lane };
        }
    }
    let highest = lanes
        .iter()
        .chain(rest)
        .copied()
        .fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|s| *s = exp(*s - highest));
    let all = (1.0 / sum(scores, |s| s)) as f32;
    scores.iter_mut().for_each(|s| *s *= all);
}

/// A map in parts of at most `n` places: the first place, and the numbers of every channel there.
pub(crate) fn parts(data: &mut [f32], places: usize, n: usize) -> Vec<(usize, Vec<&mut [f32]>)> {
    let mut parts: Vec<(usize, Vec<&mut [f32]>)> =
        (0..places).step_by(n).map(|first| (first, Vec::new())).collect();
    for plane in data.chunks_exact_mut(places) {
        for ((_, part), piece) in parts.iter_mut().zip(plane.chunks_mut(n)) {
            part.push(piece);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_two_units() {
        for i in -870_000..880_000 {
            let x = i as f32 * 1e-4;
            let (exact, own) = (libm::exp(f64::from(x)), f64::from(exp(x)));
            assert!((own / exact - 1.0).abs() < 2.4e-7, "{x}: {own} {exact}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 1e-37 && exp(f32::INFINITY) > 1e38 && exp(f32::NAN).is_nan());
    }
}
