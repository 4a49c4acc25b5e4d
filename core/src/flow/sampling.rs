use serde::Serialize;

use super::{ColourAnchor, Schedule, Source};
use crate::Result;
use crate::fields::fields;
use crate::spectral::Spectrum;

/// How a flow is sampled: where it starts, in how many steps, and what its samples get of the posterior mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sampling {
    /// The source sample.
    pub source: Source,
    /// Sobolev order of the source's noise.
    pub s: f64,
    /// Equal steps it is meant to be sampled in.
    pub steps: usize,
    /// Deviation in output pixels of the [`ColourAnchor`] of samples of `steps` steps or more; those of fewer have the one
    /// [`of_fewer_steps`](ColourAnchor::of_fewer_steps).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_anchor: Option<f64>,
}

fields!(Sampling {
    source,
    s,
    steps,
    colour_anchor
});

impl Sampling {
    /// Of a network that makes an image of a source sample in one step, from noise of deviation 1.
    pub const fn in_one_step(s: f64, colour_anchor: f64) -> Self {
        Self {
            source: Source::Noise { sigma: 1.0 },
            s,
            steps: 1,
            colour_anchor: Some(colour_anchor),
        }
    }

    /// With another colour anchor, or none, for samples of so many steps: it is as wide as it says, however few these are.
    #[must_use]
    pub fn anchored(self, colour_anchor: Option<f64>, steps: usize) -> Self {
        Self {
            steps: self.steps.min(steps),
            colour_anchor,
            ..self
        }
    }

    /// # Errors
    /// [`Error::Spectrum`](crate::Error::Spectrum) or [`Error::Schedule`](crate::Error::Schedule) for what is out of range.
    pub fn validate(&self) -> Result<()> {
        self.source.validate()?;
        Spectrum::sobolev(self.s)?;
        Schedule::uniform(self.steps)?;
        self.colour_anchor.map(ColourAnchor::new).transpose()?;
        Ok(())
    }
}
