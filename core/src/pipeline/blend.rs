use super::output::Rows;
use super::{Consistency, Output, Photo};
use crate::{Error, Planes, Result, Size};

/// Takes a sample back towards the posterior mean: `(1 - fidelity) x1 + fidelity m`, with `fidelity` from the full sample, 0, to the
/// mean, 1, of values within `[0, 1]` as files hold them. Further planes of either are left alone.
pub fn fidelity(sample: &mut Planes, mean: &Planes, fidelity: f32) {
    for (x, m) in sample.data_mut().iter_mut().zip(mean.data()) {
        *x = (1.0 - fidelity) * x.clamp(0.0, 1.0) + fidelity * m.clamp(0.0, 1.0);
    }
}

/// Blends two outputs that were made of a photo, row by row, at another fidelity. No network runs.
pub struct Blend<'a, P> {
    rows: Rows<'a, P>,
    fidelity: f32,
}

impl<P> core::fmt::Debug for Blend<'_, P> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Blend at a fidelity of {}", self.fidelity)
    }
}

impl<'a, P: Photo> Blend<'a, P> {
    /// Of outputs of that size.
    ///
    /// # Errors
    /// [`Error::Size`] for a size of zero, [`Error::Schedule`] for a fidelity beyond 0 to 1.
    pub fn new(photo: &'a P, size: Size, fidelity: f32) -> Result<Self> {
        if !(0.0..=1.0).contains(&fidelity) {
            return Err(Error::Schedule(alloc::format!(
                "a fidelity of {fidelity} is not within 0 to 1"
            )));
        }
        Ok(Self {
            rows: Rows::new(photo, size, size, true)?,
            fidelity,
        })
    }

    /// The blend of the next rows of both outputs.
    ///
    /// # Errors
    /// [`Error::Size`] when they are not the next ones, or not of one size.
    pub fn add(&mut self, first: usize, mut sample: Planes, mean: &Planes) -> Result<Planes> {
        let shape = |p: &Planes| (p.channels(), p.height(), p.width());
        if shape(&sample) != shape(mean) {
            return Err(Error::Size("the layers are not those of this image".into()));
        }
        fidelity(&mut sample, mean, self.fidelity);
        self.rows.add(Output::Image, first, &sample, &|_| Ok(()))?;
        Ok(sample)
    }

    /// How far the blend, reduced again, is from the photo.
    ///
    /// # Errors
    /// [`Error::Size`] when rows are missing.
    pub fn finish(self) -> Result<Consistency> {
        self.rows
            .finish()?
            .ok_or_else(|| Error::Size("rows of the result are missing".into()))
    }
}
