//! The inverse discrete cosine transform, with the integers of libjpeg's accurate one: bit for bit the same.

use std::num::Wrapping;

/// Bits after the point of the constants, and of what is between the two passes.
const CONSTANT: usize = 13;
const BETWEEN: usize = 2;

type Number = Wrapping<i32>;

const fn constant(value: i32) -> Number {
    Wrapping(value)
}

/// One pass over eight numbers; rounds `shift` bits away.
#[inline]
fn pass(v: [Number; 8], shift: usize) -> [Number; 8] {
    let z = (v[2] + v[6]) * constant(4433);
    let even2 = z - v[6] * constant(15137);
    let even3 = z + v[2] * constant(6270);
    let even0 = (v[0] + v[4]) << CONSTANT;
    let even1 = (v[0] - v[4]) << CONSTANT;
    let half = Wrapping(1) << (shift - 1);
    let a = [
        even0 + even3 + half,
        even1 + even2 + half,
        even1 - even2 + half,
        even0 - even3 + half,
    ];
    let z5 = (v[7] + v[3] + v[5] + v[1]) * constant(9633);
    let z1 = (v[7] + v[1]) * constant(-7373);
    let z2 = (v[5] + v[3]) * constant(-20995);
    let z3 = (v[7] + v[3]) * constant(-16069) + z5;
    let z4 = (v[5] + v[1]) * constant(-3196) + z5;
    let b = [
        v[1] * constant(12299) + z1 + z4,
        v[3] * constant(25172) + z2 + z3,
        v[5] * constant(16819) + z2 + z4,
        v[7] * constant(2446) + z1 + z3,
    ];
    [
        (a[0] + b[0]) >> shift,
        (a[1] + b[1]) >> shift,
        (a[2] + b[2]) >> shift,
        (a[3] + b[3]) >> shift,
        (a[3] - b[3]) >> shift,
        (a[2] - b[2]) >> shift,
        (a[1] - b[1]) >> shift,
        (a[0] - b[0]) >> shift,
    ]
}

/// The 8 by 8 samples of a block, whose rows are `stride` samples apart in `out`.
pub(super) fn block(coefficients: &[i16; 64], steps: &[u16; 64], out: &mut [u8], stride: usize) {
    let value = |i: usize| Wrapping(i32::from(coefficients[i])) * Wrapping(i32::from(steps[i]));
    let sample = |v: Number| (v + Wrapping(128)).0.clamp(0, 255) as u8;
    if coefficients[1..].iter().all(|c| *c == 0) {
        let flat = sample((value(0) + Wrapping(4)) >> 3);
        out.chunks_mut(stride).take(8).for_each(|row| row[..8].fill(flat));
        return;
    }
    let mut columns = [[Wrapping(0); 8]; 8];
    for (x, column) in columns.iter_mut().enumerate() {
        // Most columns of a photo have no more than their mean.
        *column = if (1..8).all(|y| coefficients[8 * y + x] == 0) {
            [value(x) << BETWEEN; 8]
        } else {
            pass(std::array::from_fn(|y| value(8 * y + x)), CONSTANT - BETWEEN)
        };
    }
    for (y, row) in out.chunks_mut(stride).take(8).enumerate() {
        let v = std::array::from_fn(|x| columns[x][y]);
        row[..8].copy_from_slice(&pass(v, CONSTANT + BETWEEN + 3).map(sample));
    }
}
