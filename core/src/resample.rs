//! Bicubic resampling (Keys 1981, `a = -0.5`), antialiased when it shrinks: the support grows with the factor,
//! as in MATLAB's `imresize`.
//!
//! Pixel centres lie at half-integers, so output pixel `i` reads around `(i + 1/2) * n_in / n_out - 1/2`. Edges are
//! reflected at half-samples (`… x1 x0 | x0 x1 …`), the boundary of the DCT-II.

use alloc::{collections::VecDeque, format, vec, vec::Vec};
use core::ops::Range;

use crate::exec::for_each;
use crate::{Error, Planes, Result, Size};

/// Keys' cubic kernel with `a = -0.5`.
fn cubic(x: f64) -> f64 {
    let x = libm::fabs(x);
    if x <= 1.0 {
        (1.5 * x - 2.5) * x * x + 1.0
    } else if x < 2.0 {
        ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    } else {
        0.0
    }
}

/// Index `j` reflected at half-samples into `0..n`.
pub(crate) fn reflect(j: isize, n: usize) -> usize {
    let period = 2 * n as isize;
    let m = j.rem_euclid(period);
    if m < n as isize {
        m as usize
    } else {
        (period - 1 - m) as usize
    }
}

/// A linear filter along one axis: output `i` is the sum over `k` of `weights[i][k] * input[indices[i][k]]`.
#[derive(Debug)]
pub struct Axis {
    inputs: usize,
    taps: usize,
    index: Vec<usize>,
    weight: Vec<f32>,
}

/// How the weights of an [`Axis`] repeat.
struct Phases {
    /// Outputs of an input.
    factor: usize,
    /// The inputs whose outputs see no edge.
    inner: Range<usize>,
}

impl Axis {
    /// Bicubic resampling from `n_in` to `n_out` values.
    ///
    /// # Panics
    /// When one of them is zero.
    pub fn bicubic(n_in: usize, n_out: usize) -> Self {
        assert!(n_in > 0 && n_out > 0, "a line has at least one value");
        let ratio = n_in as f64 / n_out as f64;
        let stretch = ratio.max(1.0);
        let reach = 2.0 * stretch;
        let taps = libm::ceil(2.0 * reach) as usize + 1;
        let mut index = Vec::with_capacity(n_out * taps);
        let mut weight = Vec::with_capacity(n_out * taps);
        for i in 0..n_out {
            let centre = (i as f64 + 0.5) * ratio - 0.5;
            let first = libm::ceil(centre - reach) as isize;
            let raw: Vec<f64> = (0..taps)
                .map(|k| cubic((centre - (first + k as isize) as f64) / stretch))
                .collect();
            let sum: f64 = raw.iter().sum();
            for (k, w) in raw.iter().enumerate() {
                index.push(reflect(first + k as isize, n_in));
                weight.push((w / sum) as f32);
            }
        }
        Self {
            inputs: n_in,
            taps,
            index,
            weight,
        }
    }

    /// Linear interpolation from `n_in` to `n_out` values, at least as many; the first and the last value go on beyond the ends.
    ///
    /// # Panics
    /// When one of them is zero, or `n_out` is less than `n_in`.
    pub(crate) fn linear(n_in: usize, n_out: usize) -> Self {
        assert!(n_in > 0 && n_out >= n_in, "a line is enlarged");
        let ratio = n_in as f64 / n_out as f64;
        let (mut index, mut weight) = (Vec::new(), Vec::new());
        for i in 0..n_out {
            let centre = (i as f64 + 0.5) * ratio - 0.5;
            let first = libm::floor(centre);
            let second = (centre - first) as f32;
            index.extend([first as isize, first as isize + 1].map(|j| reflect(j, n_in)));
            weight.extend([1.0 - second, second]);
        }
        Self {
            inputs: n_in,
            taps: 2,
            index,
            weight,
        }
    }

    /// From `n_in` values to `n_out`, a multiple of that: each as often as it goes.
    ///
    /// # Panics
    /// When one of them is zero.
    pub(crate) fn nearest(n_in: usize, n_out: usize) -> Self {
        assert!(n_in > 0 && n_out > 0, "a line has at least one value");
        Self {
            inputs: n_in,
            taps: 1,
            index: (0..n_out).map(|i| i * n_in / n_out).collect(),
            weight: vec![1.0; n_out],
        }
    }

    /// For `n` values each the mean of itself and `reach` neighbours to either side, weighed by a Gaussian of `deviation` values.
    pub(crate) fn gaussian(n: usize, reach: usize, deviation: f64) -> Self {
        let taps = 2 * reach + 1;
        let raw: Vec<f64> = (0..taps)
            .map(|k| {
                let distance = k.abs_diff(reach) as f64 / deviation;
                libm::exp(-0.5 * distance * distance)
            })
            .collect();
        let sum: f64 = raw.iter().sum();
        let places = (0..n * taps).map(|i| (i / taps + i % taps) as isize - reach as isize);
        Self {
            inputs: n,
            taps,
            index: places.map(|j| reflect(j, n)).collect(),
            weight: (0..n * taps).map(|i| (raw[i % taps] / sum) as f32).collect(),
        }
    }

    /// Outputs.
    #[expect(clippy::len_without_is_empty, reason = "an axis has at least one output")]
    pub fn len(&self) -> usize {
        self.index.len() / self.taps
    }

    /// Inputs.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Inputs that an output sums over.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Which inputs those are, `[len, taps]`.
    pub fn indices(&self) -> &[usize] {
        &self.index
    }

    /// Their weights, `[len, taps]`.
    pub fn weights(&self) -> &[f32] {
        &self.weight
    }

    /// The filter on a line, into as many values as it has outputs.
    fn apply(&self, phases: Option<&Phases>, line: &[f32], out: &mut [f32]) {
        let Some(&Phases { factor, ref inner }) = phases else {
            return self.apply_to(line, out, 0..self.len());
        };
        self.apply_to(line, out, 0..inner.start * factor);
        self.apply_to(line, out, inner.end * factor..self.len());
        // Outputs of one phase have the same weights, and inputs side by side.
        let mut sums = vec![0.0; inner.len()];
        for phase in 0..factor {
            let first = (inner.start * factor + phase) * self.taps;
            sums.fill(0.0);
            let taps = self.index[first..].iter().zip(&self.weight[first..]);
            for (from, weight) in taps.take(self.taps) {
                for (sum, x) in sums.iter_mut().zip(&line[*from..]) {
                    *sum += weight * x;
                }
            }
            let outputs = out[inner.start * factor + phase..].iter_mut().step_by(factor);
            outputs.zip(&sums).for_each(|(o, sum)| *o = *sum);
        }
    }

    fn apply_to(&self, line: &[f32], out: &mut [f32], outputs: Range<usize>) {
        for x in outputs {
            out[x] = self.taps_of(x).map(|(j, w)| w * line[j]).sum();
        }
    }

    /// Where a line is made larger by a whole factor and all weights repeat with it.
    fn phases(&self) -> Option<Phases> {
        let (factor, taps) = (self.len() / self.inputs, self.taps);
        let inner = taps..self.inputs.saturating_sub(taps);
        if factor < 2 || self.len() != factor * self.inputs || inner.is_empty() {
            return None;
        }
        let middle = inner.start * factor * taps..(inner.start + 1) * factor * taps;
        let alike = inner.clone().all(|i| {
            let own = i * factor * taps..(i + 1) * factor * taps;
            let shift = i - inner.start;
            let places = self.index[own.clone()].iter().zip(&self.index[middle.clone()]);
            self.weight[own] == self.weight[middle.clone()]
                && places.into_iter().all(|(a, b)| *a == b + shift)
        });
        let in_line = self.index[middle].chunks_exact(taps).all(<[usize]>::is_sorted);
        (alike && in_line).then_some(Phases { factor, inner })
    }

    pub(crate) fn taps_of(&self, i: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let range = i * self.taps..(i + 1) * self.taps;
        self.index[range.clone()]
            .iter()
            .copied()
            .zip(self.weight[range].iter().copied())
    }
}

/// Resamples every plane of `image` to another size. Values are not clamped: a cubic overshoots at edges.
///
/// # Panics
/// When a side of `to` is zero.
pub fn bicubic(image: &Planes, to: Size) -> Planes {
    let across = Axis::bicubic(image.width(), to.width);
    let down = Axis::bicubic(image.height(), to.height);
    separable(image, &across, &down)
}

/// Enlarges every plane of `image` to a size by linear interpolation.
///
/// # Panics
/// When a side of `to` is less than the image's.
pub fn linear(image: &Planes, to: Size) -> Planes {
    separable(
        image,
        &Axis::linear(image.width(), to.width),
        &Axis::linear(image.height(), to.height),
    )
}

/// Filters every plane of `image`, rows by `across` and then columns by `down`.
///
/// # Panics
/// When the filters are for another size.
pub(crate) fn separable(image: &Planes, across: &Axis, down: &Axis) -> Planes {
    assert_eq!((image.width(), image.height()), (across.inputs, down.inputs));
    let size = Size::new(across.len(), down.len());
    let mut out = Planes::zeros(image.channels(), size.height, size.width);
    let mut narrow = vec![0.0; image.height() * size.width];
    for c in 0..image.channels() {
        filter_plane(image.plane(c), across, down, &mut narrow, out.plane_mut(c));
    }
    out
}

/// The same of one plane; `narrow` has room for its rows in the result's width.
pub(crate) fn filter_plane(plane: &[f32], across: &Axis, down: &Axis, narrow: &mut [f32], out: &mut [f32]) {
    const ROWS: usize = 16;
    let (width, phases) = (across.len(), across.phases());
    let lines = plane
        .chunks(ROWS * across.inputs)
        .zip(narrow.chunks_mut(ROWS * width));
    for_each(lines.collect(), |(from, to): (&[f32], &mut [f32])| {
        let rows = from.chunks_exact(across.inputs).zip(to.chunks_exact_mut(width));
        rows.for_each(|(line, row)| across.apply(phases.as_ref(), line, row));
    });
    let narrow = &*narrow;
    let bands = out.chunks_mut(ROWS * width).enumerate();
    for_each(bands.collect(), |(band, rows): (usize, &mut [f32])| {
        for (y, row) in rows.chunks_exact_mut(width).enumerate() {
            row.fill(0.0);
            for (j, w) in down.taps_of(band * ROWS + y).filter(|(_, w)| *w != 0.0) {
                let line = &narrow[j * width..][..width];
                row.iter_mut().zip(line).for_each(|(sum, x)| *sum += w * x);
            }
        }
    });
}

/// [`bicubic`] for an image whose rows come one after the other, from the top: only rows that are not complete are held.
#[derive(Debug)]
pub struct RowResampler {
    channels: usize,
    /// Of what comes.
    from: Size,
    across: Axis,
    /// For each row that comes, the rows of the result that it is part of.
    down: Vec<Vec<(usize, f32)>>,
    /// For each row of the result, the last one that it needs.
    last: Vec<usize>,
    /// Rows of the result from the first unfinished one, `[channels, width]` each.
    open: VecDeque<Vec<f32>>,
    next: usize,
    finished: usize,
}

impl RowResampler {
    /// For images of `channels` planes, from one size to another.
    ///
    /// # Errors
    /// [`Error::Size`] when one of these is zero.
    pub fn new(channels: usize, from: Size, to: Size) -> Result<Self> {
        if [channels, from.width, from.height, to.width, to.height].contains(&0) {
            return Err(Error::Size("an image without pixels cannot be resampled".into()));
        }
        let rows = Axis::bicubic(from.height, to.height);
        let mut down = vec![Vec::new(); from.height];
        let mut last = vec![0; to.height];
        for (i, last) in last.iter_mut().enumerate() {
            for (row, weight) in rows.taps_of(i).filter(|(_, w)| *w != 0.0) {
                down[row].push((i, weight));
                *last = row.max(*last);
            }
        }
        Ok(Self {
            channels,
            from,
            across: Axis::bicubic(from.width, to.width),
            down,
            last,
            open: VecDeque::new(),
            next: 0,
            finished: 0,
        })
    }

    /// Takes the next rows, `[channels or more, rows, width]`; further channels are left out. Returns the rows of the result
    /// that are finished and the index of the first.
    ///
    /// # Errors
    /// [`Error::Size`] when they are not the next ones of this image.
    pub fn add(&mut self, first: usize, rows: &Planes) -> Result<Option<(usize, Planes)>> {
        self.add_mapped(first, rows, |v| v)
    }

    /// [`Self::add`] of what `map` makes of each value.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub(crate) fn add_mapped(
        &mut self,
        first: usize,
        rows: &Planes,
        map: impl Fn(f32) -> f32,
    ) -> Result<Option<(usize, Planes)>> {
        let fits = rows.width() == self.from.width && rows.channels() >= self.channels;
        if first != self.next || !fits || first + rows.height() > self.from.height {
            return Err(Error::Size(format!(
                "rows {first} to {} of width {} came where row {} of width {} was due",
                first + rows.height(),
                rows.width(),
                self.next,
                self.from.width
            )));
        }
        let width = self.across.len();
        let mut row = vec![0.0; self.from.width];
        let mut finished = Vec::new();
        for y in 0..rows.height() {
            for c in 0..self.channels {
                row.iter_mut().zip(rows.row(c, y)).for_each(|(r, v)| *r = map(*v));
                let narrow: Vec<f32> = (0..width)
                    .map(|x| self.across.taps_of(x).map(|(j, w)| w * row[j]).sum())
                    .collect();
                for (i, weight) in &self.down[first + y] {
                    let at = i - self.finished - finished.len();
                    while self.open.len() <= at {
                        self.open.push_back(vec![0.0; self.channels * width]);
                    }
                    let sums = &mut self.open[at][c * width..(c + 1) * width];
                    sums.iter_mut().zip(&narrow).for_each(|(s, v)| *s += weight * v);
                }
            }
            while self.last.get(self.finished + finished.len()) == Some(&(first + y)) {
                finished.extend(self.open.pop_front());
            }
        }
        self.next += rows.height();
        if finished.is_empty() {
            return Ok(None);
        }
        let mut out = Planes::zeros(self.channels, finished.len(), width);
        for (y, line) in finished.iter().enumerate() {
            for (c, row) in line.chunks_exact(width).enumerate() {
                out.row_mut(c, y).copy_from_slice(row);
            }
        }
        self.finished += finished.len();
        Ok(Some((self.finished - finished.len(), out)))
    }

    /// Rows of the result that are begun and not complete.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.open.len()
    }

    /// Whether all rows have come.
    pub fn is_complete(&self) -> bool {
        self.finished == self.last.len()
    }
}

/// `image` enlarged by a whole factor.
pub fn enlarge(image: &Planes, scale: usize) -> Planes {
    bicubic(image, image.size().times(scale))
}

/// `image` cropped at the right and bottom to a multiple of `scale` and shrunk by it; the degradation of the
/// protocol `clean`.
///
/// # Errors
/// [`crate::Error::Size`] when a side is shorter than `scale`.
pub fn shrink(image: &Planes, scale: usize) -> Result<Planes> {
    let (w, h) = (image.width() / scale, image.height() / scale);
    if w == 0 || h == 0 {
        return Err(Error::Size(format!(
            "an image of {}x{} pixels cannot be made {scale} times smaller",
            image.width(),
            image.height()
        )));
    }
    let crop = image.crop(crate::Rect::whole(w * scale, h * scale));
    Ok(bicubic(&crop, Size::new(w, h)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ramp(w: usize, h: usize) -> Planes {
        let data = (0..h)
            .flat_map(|y| (0..w).map(move |x| 0.1 + 0.01 * x as f32 + 0.02 * y as f32))
            .collect();
        Planes::new(1, h, w, data).expect("sizes agree")
    }

    #[test]
    fn linear_enlarging_keeps_a_ramp_and_goes_on_beyond_its_ends() {
        let big = linear(&ramp(12, 12), Size::new(48, 36));
        for y in 0..36 {
            for x in 0..48 {
                let (cx, cy) = ((x as f32 + 0.5) / 4.0 - 0.5, (y as f32 + 0.5) / 3.0 - 0.5);
                let expected = 0.1 + 0.01 * cx.clamp(0.0, 11.0) + 0.02 * cy.clamp(0.0, 11.0);
                assert!((big.row(0, y)[x] - expected).abs() < 1e-6, "{x},{y}");
            }
        }
    }

    #[test]
    fn enlarging_a_ramp_is_linear_away_from_the_border() {
        let big = enlarge(&ramp(12, 12), 4);
        for y in 12..36 {
            for x in 12..36 {
                let (cx, cy) = ((x as f32 + 0.5) / 4.0 - 0.5, (y as f32 + 0.5) / 4.0 - 0.5);
                let expected = 0.1 + 0.01 * cx + 0.02 * cy;
                assert!((big.row(0, y)[x] - expected).abs() < 1e-6, "{x},{y}");
            }
        }
    }

    /// Written apart from the code above: the plain double sum of the definition.
    #[test]
    fn shrinking_agrees_with_the_definition() {
        let (n, s) = (20usize, 4usize);
        let signal: Vec<f32> = (0..n).map(|i| ((i * 7 + 3) % 11) as f32 / 11.0).collect();
        let image = Planes::new(1, 1, n, signal.clone()).expect("sizes agree");
        let out = bicubic(&image, Size::new(n / s, 1));
        for i in 0..n / s {
            let c = (i as f64 + 0.5) * s as f64 - 0.5;
            let (mut sum, mut norm) = (0.0, 0.0);
            for j in -3 * s as i64..(n + 3 * s) as i64 {
                let w = cubic((c - j as f64) / s as f64);
                let k = if j < 0 {
                    -1 - j
                } else if j >= n as i64 {
                    2 * n as i64 - 1 - j
                } else {
                    j
                };
                sum += w * f64::from(signal[k as usize]);
                norm += w;
            }
            assert!((f64::from(out.data()[i]) - sum / norm).abs() < 1e-6);
        }
    }

    proptest! {
        #[test]
        fn a_constant_stays_constant(w in 1usize..20, h in 1usize..20, ow in 1usize..40, oh in 1usize..40, v in 0f32..1.0) {
            let image = Planes::new(1, h, w, vec![v; w * h]).expect("sizes agree");
            for out in bicubic(&image, Size::new(ow, oh)).data() {
                prop_assert!((out - v).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn rows_resample_to_what_the_whole_does() {
        let data = (0..2 * 40 * 23)
            .map(|i| ((i * 7919) % 256) as f32 / 255.0)
            .collect();
        let image = Planes::new(2, 40, 23, data).expect("sizes agree");
        for (width, height) in [(23, 40), (9, 11), (17, 31), (1, 1), (30, 50)] {
            let whole = bicubic(&image, Size::new(width, height));
            let mut rows = RowResampler::new(2, image.size(), whole.size()).expect("has pixels");
            let mut out = Planes::zeros(2, height, width);
            for (y0, y1) in [(0, 1), (1, 7), (7, 33), (33, 40)] {
                assert!(!rows.is_complete());
                let strip = image.crop(crate::Rect {
                    x0: 0,
                    y0,
                    x1: 23,
                    y1,
                });
                if let Some((first, finished)) = rows.add(y0, &strip).expect("the next rows") {
                    out.put_rows(first, &finished);
                    assert!(rows.held() <= 2 + 5 * height / 40 + 4, "little is held");
                }
                assert!(rows.add(y0, &strip).is_err(), "these have come already");
            }
            assert!(rows.is_complete());
            for (a, b) in out.data().iter().zip(whole.data()) {
                assert!((a - b).abs() < 1e-5, "{width}x{height}: {a} {b}");
            }
        }
        assert!(RowResampler::new(1, Size::new(0, 1), Size::new(1, 1)).is_err());
    }
}
