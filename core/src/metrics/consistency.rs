use alloc::collections::VecDeque;
use alloc::{vec, vec::Vec};

use super::to_u8;
use crate::resample::Axis;
use crate::{Error, Planes, Result};

/// Measures [`consistency`](super::consistency) while a result's rows are finished, from the top; a few rows of the
/// reduction are held, and a byte for each pixel of the input.
#[derive(Debug)]
pub struct ConsistencyMeter {
    /// Columns and rows of the result, and its colour channels.
    width: usize,
    height: usize,
    channels: usize,
    across: Axis,
    /// For each row of the result, the rows of the reduction that it is part of.
    down: Vec<Vec<(usize, f32)>>,
    /// For each row of the reduction, the last row of the result that it needs.
    last: Vec<usize>,
    /// Rows of the reduction from the first unfinished one, `[channels, width]` each.
    open: VecDeque<Vec<f32>>,
    next: usize,
    sum: f64,
    map: Vec<u8>,
}

impl ConsistencyMeter {
    /// For a result of `scale` times an input of `width` by `height` pixels and `channels` channels.
    ///
    /// # Errors
    /// [`Error::Size`] when one of these is zero.
    pub fn new(channels: usize, width: usize, height: usize, scale: usize) -> Result<Self> {
        if [channels, width, height, scale].contains(&0) {
            return Err(Error::Size("an image without pixels keeps nothing".into()));
        }
        let rows = Axis::new(height * scale, height);
        let mut down = vec![Vec::new(); height * scale];
        let mut last = vec![0; height];
        for (i, last) in last.iter_mut().enumerate() {
            for (row, weight) in rows.taps_of(i).filter(|(_, w)| *w != 0.0) {
                down[row].push((i, weight));
                *last = row.max(*last);
            }
        }
        Ok(Self {
            width: width * scale,
            height: height * scale,
            channels,
            across: Axis::new(width * scale, width),
            down,
            last,
            open: VecDeque::new(),
            next: 0,
            sum: 0.0,
            map: Vec::with_capacity(width * height),
        })
    }

    /// Takes the next rows, `[channels or more, rows, width]`; further channels are left out. Values are rounded to 8 bits
    /// first, as a saved file would have them. `input` gives a row of the input, `[channels or more, 1, width]`.
    ///
    /// # Errors
    /// [`Error::Size`] when they are not the next ones of this image.
    pub fn add(&mut self, first: usize, rows: &Planes, input: impl Fn(usize) -> Planes) -> Result<()> {
        let fits = rows.width() == self.width && rows.channels() >= self.channels;
        if first != self.next || !fits || first + rows.height() > self.height {
            return Err(Error::Size(alloc::format!(
                "rows {first} to {} of width {} came where row {} of width {} was due",
                first + rows.height(),
                rows.width(),
                self.next,
                self.width
            )));
        }
        let narrow = self.across.len();
        let mut row = vec![0.0; self.width];
        for y in 0..rows.height() {
            for c in 0..self.channels {
                row.iter_mut()
                    .zip(rows.row(c, y))
                    .for_each(|(r, v)| *r = f32::from(to_u8(*v)) / 255.0);
                let reduced: Vec<f32> = (0..narrow)
                    .map(|x| self.across.taps_of(x).map(|(j, w)| w * row[j]).sum())
                    .collect();
                for (i, weight) in &self.down[first + y] {
                    let at = i - self.finished(narrow);
                    while self.open.len() <= at {
                        self.open.push_back(vec![0.0; self.channels * narrow]);
                    }
                    let sums = &mut self.open[at][c * narrow..(c + 1) * narrow];
                    sums.iter_mut().zip(&reduced).for_each(|(s, v)| *s += weight * v);
                }
            }
            while self.last.get(self.finished(narrow)) == Some(&(first + y)) {
                self.compare(narrow, &input)?;
            }
        }
        self.next += rows.height();
        Ok(())
    }

    /// Rows of the reduction that are compared.
    fn finished(&self, narrow: usize) -> usize {
        self.map.len() / narrow
    }

    fn compare(&mut self, narrow: usize, input: impl Fn(usize) -> Planes) -> Result<()> {
        let truth = input(self.finished(narrow));
        if truth.width() != narrow || truth.channels() < self.channels {
            return Err(Error::Size("the input is another image's".into()));
        }
        let sums = self.open.pop_front().unwrap_or_default();
        let start = self.map.len();
        self.map.resize(start + narrow, 0);
        for (c, reduced) in sums.chunks_exact(narrow).enumerate() {
            for (most, (a, b)) in self.map[start..]
                .iter_mut()
                .zip(reduced.iter().zip(truth.row(c, 0)))
            {
                let difference = f32::from(to_u8(*a)) / 255.0 - b;
                self.sum += f64::from(difference) * f64::from(difference);
                *most = (*most).max(to_u8(difference.abs()));
            }
        }
        Ok(())
    }

    /// For each pixel of the input the largest difference over the channels, in grey levels, `[height, width]`; and the PSNR
    /// in dB, infinite where nothing differs.
    ///
    /// # Errors
    /// [`Error::Size`] when rows are missing.
    pub fn finish(self) -> Result<(Vec<u8>, f64)> {
        if self.next != self.height {
            return Err(Error::Size("rows of the result are missing".into()));
        }
        let mean = self.sum / (self.channels * self.map.len()) as f64;
        Ok((self.map, -10.0 * libm::log10(mean)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{consistency, quantise, tests::noise};
    use crate::{Rect, resample};

    #[test]
    fn strips_measure_what_the_whole_does() {
        let mut truth = noise(4, 36, 52);
        quantise(&mut truth);
        let mut input = resample::shrink(&truth, 4).expect("fits");
        quantise(&mut input);
        let row = |y: usize| {
            let rect = Rect {
                x0: 0,
                y0: y,
                x1: 13,
                y1: y + 1,
            };
            input.crop(rect)
        };
        let strip = |image: &Planes, y0: usize, y1: usize| {
            image.crop(Rect {
                x0: 0,
                y0,
                x1: 52,
                y1,
            })
        };
        let mut blurred = resample::enlarge(&input, 4);
        quantise(&mut blurred);
        for (image, exact) in [(&truth, true), (&blurred, false)] {
            let mut meter = ConsistencyMeter::new(3, 13, 9, 4).expect("has pixels");
            for (y0, y1) in [(0, 1), (1, 16), (16, 36)] {
                meter.add(y0, &strip(image, y0, y1), row).expect("the next rows");
                assert!(meter.open.len() <= 6, "little is held");
            }
            assert!(meter.add(36, &strip(image, 0, 1), row).is_err());
            let (map, psnr) = meter.finish().expect("complete");
            assert_eq!(map.len(), 13 * 9);
            let whole = consistency(image, &input).expect("fits");
            if exact {
                assert!(map.iter().all(|d| *d == 0) && psnr.is_infinite() && whole.is_infinite());
            } else {
                assert!((psnr - whole).abs() < 1e-3, "{psnr} {whole}");
                assert!(map.iter().any(|d| *d > 0));
            }
        }
        let meter = ConsistencyMeter::new(3, 13, 9, 4).expect("has pixels");
        assert!(meter.finish().is_err());
        let mut meter = ConsistencyMeter::new(3, 13, 9, 4).expect("has pixels");
        assert!(
            meter.add(1, &strip(&truth, 0, 1), row).is_err(),
            "the first is missing"
        );
    }
}
