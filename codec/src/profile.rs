//! An ICC profile (ICC.1:2022) that says what the numbers of a PNG say, for files that know profiles only.

use crate::Metadata;
use crate::metadata::is_srgb_gamma;

/// White, red, green and blue, x and y of each.
type Chromaticities = [f64; 8];
type Matrix = [[f64; 3]; 3];

const D65: [f64; 2] = [0.3127, 0.3290];
const SRGB: Chromaticities = [D65[0], D65[1], 0.64, 0.33, 0.30, 0.60, 0.15, 0.06];
/// The white of profiles, X, Y and Z.
const D50: [f64; 3] = [0.9642, 1.0, 0.8249];
/// From XYZ to the responses of the eye by which white is adapted (Bradford; annex E).
const BRADFORD: Matrix = [
    [0.8951, 0.2664, -0.1614],
    [-0.7502, 1.7135, 0.0367],
    [0.0389, -0.0685, 1.0296],
];

/// From samples to light: an exponent; or with a straight part below, exponent, a, b, c, d of
/// `x < d ? c x : (a x + b)^exponent`.
enum Curve {
    Power(f64),
    Bent([f64; 5]),
}

impl Curve {
    /// Of ITU-T H.273, table 3; none for HDR and for what is rare.
    fn of(number: u8) -> Option<Self> {
        match number {
            1 | 6 | 14 | 15 => Some(Self::Bent([
                1.0 / 0.45,
                1.0 / 1.099,
                0.099 / 1.099,
                1.0 / 4.5,
                0.081,
            ])),
            4 => Some(Self::Power(2.2)),
            5 => Some(Self::Power(2.8)),
            8 => Some(Self::Power(1.0)),
            13 => Some(Self::Bent([
                2.4,
                1.0 / 1.055,
                0.055 / 1.055,
                1.0 / 12.92,
                0.040_45,
            ])),
            _ => None,
        }
    }
}

/// Of ITU-T H.273, table 2; none for what is rare.
fn primaries(number: u8) -> Option<Chromaticities> {
    let [r, g, b] = match number {
        1 => return Some(SRGB),
        5 => [[0.64, 0.33], [0.29, 0.60], [0.15, 0.06]],
        6 | 7 => [[0.630, 0.340], [0.310, 0.595], [0.155, 0.070]],
        9 => [[0.708, 0.292], [0.170, 0.797], [0.131, 0.046]],
        12 => [[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]],
        _ => return None,
    };
    Some([D65[0], D65[1], r[0], r[1], g[0], g[1], b[0], b[1]])
}

fn times(a: &Matrix, b: &Matrix) -> Matrix {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

fn apply(m: &Matrix, v: [f64; 3]) -> [f64; 3] {
    m.map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum())
}

/// None for a matrix without one.
fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |i: usize, j: usize| {
        let ([a, b], [c, d]) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        m[a][c] * m[b][d] - m[a][d] * m[b][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    let inverse: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| minor(j, i) / determinant));
    inverse
        .as_flattened()
        .iter()
        .all(|v| v.is_finite())
        .then_some(inverse)
}

/// From light to XYZ of D50, and how white was adapted; none for chromaticities that are none.
fn colorants(c: &Chromaticities) -> Option<[Matrix; 2]> {
    let xyz = |i: usize| {
        [
            c[2 * i] / c[2 * i + 1],
            1.0,
            (1.0 - c[2 * i] - c[2 * i + 1]) / c[2 * i + 1],
        ]
    };
    let colours = [1, 2, 3].map(xyz);
    let m: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| colours[j][i]));
    let scale = apply(&inverse(&m)?, xyz(0));
    let m: Matrix = std::array::from_fn(|i| std::array::from_fn(|j| m[i][j] * scale[j]));
    let [from, to] = [xyz(0), D50].map(|white| apply(&BRADFORD, white));
    let mut scaled = BRADFORD;
    for i in 0..3 {
        scaled[i] = scaled[i].map(|v| v * to[i] / from[i]);
    }
    let adaptation = times(&inverse(&BRADFORD)?, &scaled);
    let m = times(&adaptation, &m);
    m.as_flattened()
        .iter()
        .all(|v| v.is_finite())
        .then_some([m, adaptation])
}

impl Metadata {
    /// The profile that the samples are in: that of the file, or one that says what its numbers say (`cicp`; `gamma` with
    /// `chromaticities`), for files other than PNG. None for sRGB, and for HDR, which has no such profile.
    pub fn profile(&self) -> Option<Vec<u8>> {
        if let Some([number, transfer, _, 1]) = self.cicp {
            if matches!(transfer, 16 | 18) {
                return None;
            }
            if let (Some(primaries), Some(curve)) = (primaries(number), Curve::of(transfer)) {
                return written(&primaries, &curve);
            }
        }
        if let Some(icc) = &self.icc {
            return Some(icc.clone());
        }
        let gamma = self.gamma.filter(|_| self.srgb.is_none())?;
        let curve = Curve::Power(100_000.0 / f64::from(gamma));
        match self.chromaticities {
            Some(numbers) => written(&numbers.map(|n| f64::from(n) / 100_000.0), &curve),
            None if is_srgb_gamma(gamma) => None,
            None => written(&SRGB, &curve),
        }
    }
}

/// A number of 16 bits before and after the point.
fn fixed(value: f64) -> [u8; 4] {
    ((value * 65_536.0).round() as i32).to_be_bytes()
}

fn fixed_all(kind: &[u8], values: &[f64]) -> Vec<u8> {
    let head = kind.iter().chain(&[0; 4]).copied();
    head.chain(values.iter().flat_map(|v| fixed(*v))).collect()
}

/// Text in English, UTF-16.
fn text(words: &str) -> Vec<u8> {
    let words: Vec<u8> = words.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let numbers = [0, 1, 12, u32::from_be_bytes(*b"enUS"), words.len() as u32, 28];
    let head = numbers.iter().flat_map(|n| n.to_be_bytes());
    b"mluc".iter().copied().chain(head).chain(words).collect()
}

/// A profile of a display.
fn written(chromaticities: &Chromaticities, curve: &Curve) -> Option<Vec<u8>> {
    let [m, adaptation] = colorants(chromaticities)?;
    let column = |j: usize| fixed_all(b"XYZ ", &m.map(|row| row[j]));
    let curve = match curve {
        Curve::Power(exponent) => [fixed_all(b"para", &[]), vec![0; 4], fixed(*exponent).to_vec()].concat(),
        Curve::Bent(numbers) => {
            let numbers: Vec<u8> = numbers.iter().flat_map(|v| fixed(*v)).collect();
            [fixed_all(b"para", &[]), vec![0, 3, 0, 0], numbers].concat()
        }
    };
    let tags: [(&[u8; 4], Vec<u8>); 10] = [
        (b"desc", text("As the image says")),
        (b"cprt", text("No copyright")),
        (b"wtpt", fixed_all(b"XYZ ", &D50)),
        (b"chad", fixed_all(b"sf32", adaptation.as_flattened())),
        (b"rXYZ", column(0)),
        (b"gXYZ", column(1)),
        (b"bXYZ", column(2)),
        (b"rTRC", curve.clone()),
        (b"gTRC", curve.clone()),
        (b"bTRC", curve),
    ];
    let start = 128 + 4 + 12 * tags.len();
    let mut table = (tags.len() as u32).to_be_bytes().to_vec();
    let mut data = Vec::new();
    for (name, content) in tags {
        table.extend_from_slice(name);
        table.extend(((start + data.len()) as u32).to_be_bytes());
        table.extend((content.len() as u32).to_be_bytes());
        data.extend(content);
        data.resize(data.len().next_multiple_of(4), 0);
    }
    let mut out = ((start + data.len()) as u32).to_be_bytes().to_vec();
    // No maker; version 4.4; a display, of red, green and blue, in XYZ; on the first day of 2026.
    out.extend(b"\0\0\0\0\x04\x40\0\0mntrRGB XYZ ");
    out.extend([2026u16, 1, 1, 0, 0, 0].iter().flat_map(|n| n.to_be_bytes()));
    out.extend(b"acsp");
    out.resize(68, 0);
    out.extend(D50.iter().flat_map(|v| fixed(*v)));
    out.resize(128, 0);
    out.extend(table);
    out.extend(data);
    Some(out)
}
