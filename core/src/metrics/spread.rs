use alloc::{vec, vec::Vec};

use crate::{Error, Planes, Result, Size};

/// Gathers the [`spread`](crate::flow::spread) of samples, whose rows come one after the other, for each pixel of the input.
#[derive(Debug)]
pub struct SpreadMeter {
    /// Columns and rows of the input.
    width: usize,
    height: usize,
    scale: usize,
    next: usize,
    /// Sums of variances over the block of each pixel of the input.
    sums: Vec<f32>,
}

impl SpreadMeter {
    /// For an input of a size and a spread that is `scale` times larger.
    ///
    /// # Errors
    /// [`Error::Size`] when one of these is zero.
    pub fn new(input: Size, scale: usize) -> Result<Self> {
        let Size { width, height } = input;
        if [width, height, scale].contains(&0) {
            return Err(Error::Size("an image without pixels has no spread".into()));
        }
        Ok(Self {
            width,
            height,
            scale,
            next: 0,
            sums: vec![0.0; width * height],
        })
    }

    /// Takes the next rows of variances, `[1, rows, width * scale]`.
    ///
    /// # Errors
    /// [`Error::Size`] when they are not the next ones of this image.
    pub fn add(&mut self, first: usize, rows: &Planes) -> Result<()> {
        let fits = rows.width() == self.width * self.scale && rows.channels() == 1;
        if first != self.next || !fits || first + rows.height() > self.height * self.scale {
            return Err(Error::Size(alloc::format!(
                "row {first} of a spread came where row {} was due",
                self.next
            )));
        }
        for y in 0..rows.height() {
            let at = (first + y) / self.scale * self.width;
            let blocks = rows.row(0, y).chunks_exact(self.scale);
            for (sum, block) in self.sums[at..at + self.width].iter_mut().zip(blocks) {
                // Variances that were resampled may fall below zero.
                *sum += block.iter().map(|v| v.max(0.0)).sum::<f32>();
            }
        }
        self.next += rows.height();
        Ok(())
    }

    /// The deviation at each pixel of the input in grey levels, `[height, width]`; and that of the whole image.
    ///
    /// # Errors
    /// [`Error::Size`] when rows are missing.
    pub fn finish(self) -> Result<(Vec<f32>, f64)> {
        if self.next != self.height * self.scale {
            return Err(Error::Size("rows of the spread are missing".into()));
        }
        let block = (self.scale * self.scale) as f32;
        let total: f64 = self.sums.iter().map(|v| f64::from(*v)).sum();
        let mean = total / (f64::from(block) * self.sums.len() as f64);
        let level = |v: &f32| 255.0 * libm::sqrtf(v / block);
        let map = self.sums.iter().map(level).collect();
        Ok((map, 255.0 * libm::sqrt(mean)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_deviations_in_grey_levels() {
        let mut meter = SpreadMeter::new(Size::new(2, 2), 2).expect("has pixels");
        let level = |l: f32| (l / 255.0) * (l / 255.0);
        let strip = |values: [f32; 8]| Planes::new(1, 2, 4, values.map(level).to_vec()).expect("sizes agree");
        let rows = strip([3.0, 3.0, 0.0, 8.0, 3.0, 3.0, 0.0, 0.0]);
        meter.add(0, &rows).expect("the first rows");
        assert!(meter.add(0, &rows).is_err());
        meter.add(2, &strip([0.0; 8])).expect("the next rows");
        let (map, whole) = meter.finish().expect("complete");
        for (level, expected) in map.iter().zip([3.0, 4.0, 0.0, 0.0]) {
            assert!((level - expected).abs() < 1e-4, "{map:?}");
        }
        assert!((whole - libm::sqrt((9.0 + 16.0) / 4.0)).abs() < 1e-4, "{whole}");
        assert!(
            SpreadMeter::new(Size::new(2, 2), 2)
                .expect("has pixels")
                .finish()
                .is_err()
        );
    }
}
