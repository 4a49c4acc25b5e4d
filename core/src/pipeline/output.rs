//! The last part of the way: finished rows at the network's size become rows of the result.

use super::{Consistency, Event, Output, Photo};
use crate::metrics::ConsistencyMeter;
use crate::resample::RowResampler;
use crate::{Planes, Rect, Result, Size, alpha};

/// The rows of one output.
pub(super) struct Rows<'a, P> {
    photo: &'a P,
    resampler: Option<RowResampler>,
    meter: Option<ConsistencyMeter>,
}

impl<'a, P: Photo> Rows<'a, P> {
    /// `made` is the size of what comes, `size` that of the output.
    pub(super) fn new(photo: &'a P, made: Size, size: Size, measured: bool) -> Result<Self> {
        // Colours are weighed by alpha where they are summed.
        let planes = if photo.has_alpha() { 7 } else { 3 };
        let resampler = (made != size).then(|| RowResampler::new(planes, made, size));
        let meter = measured.then(|| ConsistencyMeter::new(3, photo.size(), size));
        Ok(Self {
            photo,
            resampler: resampler.transpose()?,
            meter: meter.transpose()?,
        })
    }

    /// Takes the next rows: three colours, and alpha where there is one.
    pub(super) fn add(
        &mut self,
        output: Output,
        first: usize,
        rows: &Planes,
        tell: &impl Fn(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(resampler) = &mut self.resampler else {
            return self.put(output, first, rows, tell);
        };
        if !self.photo.has_alpha() {
            return match resampler.add(first, rows)? {
                Some((first, rows)) => self.put(output, first, &rows, tell),
                None => Ok(()),
            };
        }
        match resampler.add(first, &alpha::doubled(rows))? {
            Some((first, rows)) => self.put(output, first, &alpha::settled(rows), tell),
            None => Ok(()),
        }
    }

    fn put(
        &mut self,
        output: Output,
        first: usize,
        rows: &Planes,
        tell: &impl Fn(Event<'_>) -> Result<()>,
    ) -> Result<()> {
        if let Some(meter) = &mut self.meter {
            let width = self.photo.size().width;
            meter.add(first, rows, |y| {
                self.photo.planes(Rect {
                    x0: 0,
                    y0: y,
                    x1: width,
                    y1: y + 1,
                })
            })?;
        }
        tell(Event::Rows { output, first, rows })
    }

    /// What was measured.
    pub(super) fn finish(self) -> Result<Option<Consistency>> {
        let measured = self.meter.map(ConsistencyMeter::finish).transpose()?;
        Ok(measured.map(|(differences, psnr)| Consistency { psnr, differences }))
    }
}
