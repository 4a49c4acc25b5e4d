use alloc::vec::Vec;

use super::luma;
use crate::motion::Motion;
use crate::{Planes, Result};

/// Grey levels by which the truth may change on its way from one frame to the next: beyond, something was covered or is not followed.
const FOLLOWED: f64 = 8.0;

/// What happens between two frames of a true video: how its pixels move, and where they can be followed.
#[derive(Debug)]
pub struct Passage {
    motion: Motion,
    followed: Vec<bool>,
}

impl Passage {
    /// Estimates it from the two frames, RGB in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) when they differ in size.
    pub fn new(previous: &Planes, next: &Planes) -> Result<Self> {
        let motion = Motion::estimate(previous, next)?;
        let warped = luma(&motion.warp(previous)?);
        let followed = warped
            .iter()
            .zip(luma(next))
            .map(|(w, n)| (w - n).abs() <= FOLLOWED);
        let followed = followed.collect();
        Ok(Self { motion, followed })
    }

    /// The warping error of two frames of a result (Lai et al. 2018, "Learning blind video temporal consistency"): the mean absolute
    /// difference of the luma, in grey levels, between the later one and the earlier one moved as the truth moves, where that can be
    /// followed. Flicker raises it. None where nothing can be followed.
    ///
    /// # Errors
    /// [`Error::Size`](crate::Error::Size) when they have another size than the truth.
    pub fn warping_error(&self, previous: &Planes, next: &Planes) -> Result<Option<f64>> {
        let warped = luma(&self.motion.warp(previous)?);
        let (mut sum, mut count) = (0.0, 0_usize);
        for ((w, n), _) in warped
            .iter()
            .zip(luma(next))
            .zip(&self.followed)
            .filter(|(_, f)| **f)
        {
            sum += (w - n).abs();
            count += 1;
        }
        Ok((count > 0).then(|| sum / count as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::noise;
    use crate::resample;

    #[test]
    fn flicker_is_measured_and_motion_is_not() {
        // A smooth texture that moves by whole pixels.
        let whole = resample::enlarge(&noise(1, 24, 24), 4);
        let frame = |x: usize, y: usize| {
            whole.crop(crate::Rect {
                x0: x,
                y0: y,
                x1: x + 64,
                y1: y + 64,
            })
        };
        let (previous, next) = (frame(10, 10), frame(13, 12));
        let passage = Passage::new(&previous, &next).expect("one size");
        let error = |a: &Planes, b: &Planes| {
            passage
                .warping_error(a, b)
                .expect("one size")
                .expect("is followed")
        };
        let own = error(&previous, &next);
        assert!(own < 1.5, "{own}");
        let still = error(&next, &next);
        assert!(still > 5.0 * own, "what does not move as the truth does: {still}");
        // Half the frames five levels brighter, of 219 / 255 in the luma.
        let mut brighter = next.clone();
        brighter.data_mut().iter_mut().for_each(|v| *v += 5.0 / 255.0);
        let flicker = error(&previous, &brighter);
        assert!(
            (flicker - 5.0 * 219.0 / 255.0).abs() < 2.0 * own,
            "{flicker} {own}"
        );
        assert!(
            passage
                .warping_error(
                    &frame(0, 0).crop(crate::Rect {
                        x0: 0,
                        y0: 0,
                        x1: 32,
                        y1: 32
                    }),
                    &next
                )
                .is_err()
        );
    }
}
