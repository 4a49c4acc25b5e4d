use alloc::format;

use serde::{Deserialize, Serialize};

use crate::spectral::ColouredNoise;
use crate::{Error, Planes, Rect, Result};

/// Where the flow starts: `x0 = m + sigma * n` with `n` coloured noise of variance 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// `m = 0`: pure noise; the paper's setting with `sigma = 1` (arXiv 2605.23264; its code leaves the noise white).
    Noise {
        /// Deviation of the noise.
        sigma: f32,
    },
    /// `m` is the restorer's estimate of the posterior mean (PMRF, Ohayon et al. 2024).
    PosteriorMean {
        /// Deviation of the noise; 0.05 to 0.3 is usual.
        sigma: f32,
    },
}

impl Default for Source {
    fn default() -> Self {
        Self::PosteriorMean { sigma: 0.1 }
    }
}

impl Source {
    /// The deviation of the noise.
    pub fn sigma(&self) -> f32 {
        match self {
            Self::Noise { sigma } | Self::PosteriorMean { sigma } => *sigma,
        }
    }

    /// Refuses a posterior mean of `width` by `height` pixels that does not fill a tile.
    ///
    /// # Errors
    /// [`Error::Size`].
    pub fn check((width, height): (usize, usize), rect: Rect) -> Result<()> {
        if (width, height) == (rect.width(), rect.height()) {
            return Ok(());
        }
        Err(Error::Size(format!(
            "a posterior mean of {width}x{height} pixels does not fill a tile of {}x{}",
            rect.width(),
            rect.height()
        )))
    }

    /// The source sample `x0` on the pixels of `rect`, `[3, height, width]`.
    ///
    /// `mean` is the restorer's output on the same pixels; a source of pure noise takes only its size.
    ///
    /// # Errors
    /// [`Error::Size`] when `mean` is not the size of `rect` or `rect` is outside the noise's image.
    pub fn sample(&self, mean: &Planes, noise: &ColouredNoise, rect: Rect) -> Result<Planes> {
        Self::check((mean.width(), mean.height()), rect)?;
        let mut x0 = noise.tile(mean.channels(), rect)?;
        let sigma = self.sigma();
        for (x, m) in x0.data_mut().iter_mut().zip(mean.data()) {
            *x *= sigma;
            if let Self::PosteriorMean { .. } = self {
                *x += m;
            }
        }
        Ok(x0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectral::Spectrum;

    #[test]
    fn both_modes_are_their_formula() {
        let rect = Rect {
            x0: 2,
            y0: 1,
            x1: 7,
            y1: 5,
        };
        let noise = ColouredNoise::new(1, 8, 9, Spectrum::default()).expect("plans");
        let n = noise.tile(3, rect).expect("inside");
        let mean = Planes::new(3, 4, 5, alloc::vec![0.25; 60]).expect("sizes agree");
        let pure = Source::Noise { sigma: 1.0 }
            .sample(&mean, &noise, rect)
            .expect("fits");
        assert_eq!(pure, n);
        let around = Source::PosteriorMean { sigma: 0.5 }
            .sample(&mean, &noise, rect)
            .expect("fits");
        for (x, n) in around.data().iter().zip(n.data()) {
            assert!((x - (0.25 + 0.5 * n)).abs() < 1e-7);
        }
        let other = Planes::zeros(3, 5, 5);
        assert!(matches!(
            Source::default().sample(&other, &noise, rect),
            Err(Error::Size(_))
        ));
    }
}
