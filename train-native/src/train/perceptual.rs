//! The perceptual term of a loss, with weights that the user brings.

use asasr_core::nn::{Backbone, PerceptualDistance};
use burn::tensor::{Device, Tensor};

use super::config::Perceptual;
use crate::community;
use crate::error::{Error, Result};

/// The distance and its weight in the loss.
pub(super) struct PerceptualTerm {
    distance: PerceptualDistance,
    weight: f64,
}

impl PerceptualTerm {
    /// The term of estimates against truths.
    pub(super) fn of(&self, estimate: Tensor<4>, truth: Tensor<4>) -> Result<(&'static str, Tensor<1>)> {
        let distance = self.distance.distance(estimate, truth)?;
        Ok(("perceptual", distance.mean().mul_scalar(self.weight)))
    }
}

/// The term that the options ask for.
pub(super) fn open(args: &Perceptual, device: &Device) -> Result<Option<PerceptualTerm>> {
    let Some(path) = &args.perceptual else {
        return Ok(None);
    };
    let distance =
        PerceptualDistance::new(&community::tensors(path)?, device).map_err(|e| Error::at(path, e))?;
    if distance.backbone() != Backbone::Vgg16 {
        let why = "AlexNet's distance is kept for evaluation, where it would say nothing of a model trained by it: take VGG-16's";
        return Err(Error::at(path, why));
    }
    Ok(Some(PerceptualTerm {
        distance,
        weight: args.perceptual_weight.unwrap_or(Perceptual::WEIGHT).get(),
    }))
}

/// Refuses weights that do not serve.
pub(super) fn check(args: &Perceptual) -> Result<()> {
    open(args, &Device::flex()).map(drop)
}
