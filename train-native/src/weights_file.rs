//! Weights that the user brings, as `PyTorch` or safetensors write them.

use std::fs;
use std::path::Path;

use asasr_core::model::{Tensor as Stored, Weights};
use pytorch_reader::{DType, PytorchReader};

use crate::error::{Error, Result};

/// Reads a file: `.pth` and `.pt` are `PyTorch`'s, others safetensors.
pub(crate) fn read(path: &Path) -> Result<Weights> {
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
