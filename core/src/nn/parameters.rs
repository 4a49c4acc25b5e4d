use alloc::{collections::BTreeMap, format, string::String};

use burn::tensor::{FloatDType, Tensor, TensorCreationOptions, TensorData};

use crate::model::{self, ParameterShape, Weights};
use crate::{Error, Result};

/// Flat parameter tensors by name, each row-major.
pub type Parameters = BTreeMap<String, Tensor<1>>;

/// Puts `weights` on a device, at the type the options name.
pub fn upload(weights: &Weights, options: impl Into<TensorCreationOptions>) -> Parameters {
    let options = options.into();
    weights
        .iter()
        .map(|(name, t)| {
            let data = TensorData::new(t.values.clone(), [t.values.len()]);
            (name.clone(), Tensor::from_data(data, options.clone()))
        })
        .collect()
}

/// Reads the parameters `shapes` names back from their device.
///
/// # Errors
/// [`Error::Device`] when they cannot be read.
///
/// # Panics
/// When a parameter is missing.
pub fn download(parameters: &Parameters, shapes: &[ParameterShape]) -> Result<Weights> {
    let mut weights = Weights::default();
    for parameter in shapes {
        let values = parameters[&parameter.name]
            .clone()
            .try_into_vec_as::<f32>()
            .map_err(|e| Error::Device(format!("{e}")))?;
        let shape = parameter.shape.clone();
        weights.insert(parameter.name.clone(), model::Tensor { shape, values });
    }
    Ok(weights)
}

/// The parameters in another type, for mixed precision; gradients reach the originals. A network computes in the type of
/// its weights and answers in that of its input. The time embedding keeps its type: its angles need all their digits.
pub fn cast(parameters: &Parameters, dtype: FloatDType) -> Parameters {
    parameters
        .iter()
        .map(|(name, p)| {
            let p = p.clone();
            let kept = name.starts_with("time.");
            (name.clone(), if kept { p } else { p.cast(dtype) })
        })
        .collect()
}
