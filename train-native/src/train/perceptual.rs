//! The perceptual term of a loss, with weights that the user brings.

use std::fs;
use std::path::Path;

use asasr_core::model::{Tensor as Stored, Weights};
use asasr_core::nn::PerceptualDistance;
use burn::tensor::{Device, Tensor};
use pytorch_reader::{DType, PytorchReader};

use super::run::name;
use crate::cli::Perceptual;
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
    let distance = PerceptualDistance::new(&read(path)?, device).map_err(|e| Error::at(path, e))?;
    Ok(Some(PerceptualTerm {
        distance,
        weight: args.perceptual_weight,
    }))
}

/// Refuses weights that do not serve.
pub(super) fn check(args: &Perceptual) -> Result<()> {
    open(args, &Device::flex()).map(drop)
}

/// The options as words of a command line, after a space.
pub(super) fn words(args: &Perceptual) -> String {
    args.perceptual.as_deref().map_or(String::new(), |p| {
        format!(
            " --perceptual {} --perceptual-weight {}",
            name(p),
            args.perceptual_weight
        )
    })
}

/// A file of weights as `PyTorch` or safetensors write them.
fn read(path: &Path) -> Result<Weights> {
    if !path.is_file() {
        return Err(Error::at(path, "no such file"));
    }
    let pickled = path
        .extension()
        .is_some_and(|e| ["pth", "pt"].iter().any(|p| e.eq_ignore_ascii_case(p)));
    if !pickled {
        let bytes = fs::read(path).map_err(|e| Error::at(path, e))?;
        return Weights::from_safetensors(&bytes).map_err(|e| Error::at(path, e));
    }
    let fail = |e: &dyn std::fmt::Display| Error::at(path, format!("not weights that PyTorch wrote: {e}"));
    let file = PytorchReader::new(path).map_err(|e| fail(&e))?;
    let mut weights = Weights::default();
    for (name, tensor) in file.tensors().iter().filter(|(_, t)| t.dtype() == DType::F32) {
        let bytes = tensor.read().map_err(|e| fail(&e))?;
        let values = bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect();
        let shape = tensor.shape().to_vec();
        weights.insert(name.clone(), Stored { shape, values });
    }
    Ok(weights)
}
