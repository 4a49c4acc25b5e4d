use alloc::{borrow::Cow, vec::Vec};

use super::to_u8;
use crate::alpha;
use crate::resample::RowResampler;
use crate::{Error, Planes, Result, Size};

/// Measures [`consistency`](super::consistency) while a result's rows are finished, from the top; a few rows of the
/// reduction are held, and a byte for each pixel of the input.
#[derive(Debug)]
pub struct ConsistencyMeter {
    channels: usize,
    reduction: RowResampler,
    sum: f64,
    map: Vec<u8>,
}

impl ConsistencyMeter {
    /// For a result of a size, made of an input of another, and `channels` channels.
    ///
    /// # Errors
    /// [`Error::Size`] when one of these is zero.
    pub fn new(channels: usize, input: Size, result: Size) -> Result<Self> {
        Ok(Self {
            channels,
            reduction: RowResampler::new(channels, result, input)?,
            sum: 0.0,
            map: Vec::with_capacity(input.pixels()),
        })
    }

    /// Takes the next rows, `[channels or more, rows, width]`; the one after them is alpha, by which they are
    /// weighed. Values are rounded to 8 bits
    /// first, as a saved file would have them. `input` gives a row of the input, `[channels or more, 1, width]`.
    ///
    /// # Errors
    /// [`Error::Size`] when they are not the next ones of this image.
    pub fn add(&mut self, first: usize, rows: &Planes, input: impl Fn(usize) -> Planes) -> Result<()> {
        let rounded = |v| f32::from(to_u8(v)) / 255.0;
        let seen = weighed(rows, self.channels);
        let Some((first, reduced)) = self.reduction.add_mapped(first, &seen, rounded)? else {
            return Ok(());
        };
        for y in 0..reduced.height() {
            let truth = input(first + y);
            let truth = weighed(&truth, self.channels);
            if truth.width() != reduced.width() || truth.channels() < self.channels {
                return Err(Error::Size("the input is another image's".into()));
            }
            let start = self.map.len();
            self.map.resize(start + reduced.width(), 0);
            for c in 0..self.channels {
                let pairs = reduced.row(c, y).iter().zip(truth.row(c, 0));
                for (most, (a, b)) in self.map[start..].iter_mut().zip(pairs) {
                    let difference = f32::from(to_u8(*a)) / 255.0 - b;
                    self.sum += f64::from(difference) * f64::from(difference);
                    *most = (*most).max(to_u8(difference.abs()));
                }
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
        if !self.reduction.is_complete() {
            return Err(Error::Size("rows of the result are missing".into()));
        }
        let mean = self.sum / (self.channels * self.map.len()) as f64;
        Ok((self.map, -10.0 * libm::log10(mean)))
    }
}

/// Channels weighed by the one after them, alpha, where there is one: what is not seen does not count.
fn weighed(rows: &Planes, channels: usize) -> Cow<'_, Planes> {
    if rows.channels() <= channels {
        return Cow::Borrowed(rows);
    }
    let (mut seen, beside) = rows.clone().split_channels(channels);
    if let Some(beside) = beside {
        alpha::weigh(&mut seen, beside.plane(0));
    }
    Cow::Owned(seen)
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
            let mut meter =
                ConsistencyMeter::new(3, Size::new(13, 9), Size::new(52, 36)).expect("has pixels");
            for (y0, y1) in [(0, 1), (1, 16), (16, 36)] {
                meter.add(y0, &strip(image, y0, y1), row).expect("the next rows");
                assert!(meter.reduction.held() <= 6, "little is held");
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
        let meter = ConsistencyMeter::new(3, Size::new(13, 9), Size::new(52, 36)).expect("has pixels");
        assert!(meter.finish().is_err());
        let mut meter = ConsistencyMeter::new(3, Size::new(13, 9), Size::new(52, 36)).expect("has pixels");
        assert!(
            meter.add(1, &strip(&truth, 0, 1), row).is_err(),
            "the first is missing"
        );
    }
}
