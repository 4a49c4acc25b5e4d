use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::Parameters;
use crate::model::{LoraAdapter, LoraModule};
use crate::{Error, Result};

/// Named adapters on one backbone, each on, off or scaled.
///
/// The network never knows of them: [`Self::apply`] makes the parameters it runs with, so policy and reference are one
/// backbone under different adapters and no second set of weights is trained or stored. While a step runs, each
/// adapted weight exists once more per way it is used; next to a batch's activations that is little.
#[derive(Debug, Clone, Default)]
pub struct AdapterSet {
    adapters: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    rank: usize,
    scaling: f64,
    /// Shapes of the adapted weights by module.
    shapes: BTreeMap<String, Vec<usize>>,
    strength: f64,
    factors: Parameters,
}

impl AdapterSet {
    /// Adds or replaces the adapter `name`, at full strength.
    pub fn insert(&mut self, name: &str, adapter: &LoraAdapter, options: impl Into<TensorCreationOptions>) {
        let options = options.into();
        let mut factors = Parameters::new();
        for (module, m) in adapter.modules() {
            for (factor, values) in [("lora_A", m.a()), ("lora_B", m.b())] {
                let data = TensorData::new(values.to_vec(), [values.len()]);
                factors.insert(
                    format!("{module}.{factor}"),
                    Tensor::from_data(data, options.clone()),
                );
            }
        }
        let shapes = adapter
            .modules()
            .iter()
            .map(|(n, m)| (n.clone(), m.shape().to_vec()));
        let entry = Entry {
            rank: adapter.rank(),
            scaling: adapter.scaling(),
            shapes: shapes.collect(),
            strength: 1.0,
            factors,
        };
        self.adapters.insert(name.to_string(), entry);
    }

    /// Sets how much of an adapter is used: 0 switches it off, 1 is as trained.
    ///
    /// # Errors
    /// [`Error::Adapter`] when there is no adapter of that name, as for every method that takes one.
    pub fn set_strength(&mut self, name: &str, strength: f64) -> Result<()> {
        self.entry_mut(name)?.strength = strength;
        Ok(())
    }

    /// The same adapters with one of them at another strength; tensors are shared.
    ///
    /// # Errors
    /// As [`Self::set_strength`].
    pub fn switched(&self, name: &str, strength: f64) -> Result<Self> {
        let mut other = self.clone();
        other.set_strength(name, strength)?;
        Ok(other)
    }

    /// The same adapters with the factors of one of them replaced, by factors of the same lengths.
    ///
    /// # Errors
    /// As [`Self::set_strength`]; [`Error::Adapter`] when a factor is missing or has another length.
    pub fn with_factors(&self, name: &str, factors: &Parameters) -> Result<Self> {
        let mut other = self.clone();
        let entry = other.entry_mut(name)?;
        for (factor, old) in &mut entry.factors {
            *old = factors
                .get(factor)
                .filter(|new| new.dims() == old.dims())
                .ok_or_else(|| {
                    Error::Adapter(format!("the factor {factor} is missing or of another length"))
                })?
                .clone();
        }
        Ok(other)
    }

    /// The trainable factors of an adapter, flat, as `{module}.lora_A` and `{module}.lora_B`.
    ///
    /// # Errors
    /// As [`Self::set_strength`].
    pub fn factors_mut(&mut self, name: &str) -> Result<&mut Parameters> {
        Ok(&mut self.entry_mut(name)?.factors)
    }

    /// An adapter read back from its device.
    ///
    /// # Errors
    /// As [`Self::set_strength`]; [`Error::Device`] when it cannot be read.
    pub fn download(&self, name: &str) -> Result<LoraAdapter> {
        let entry = self.adapters.get(name).ok_or_else(|| missing(name))?;
        let mut modules = BTreeMap::new();
        for (module, shape) in &entry.shapes {
            let read = |factor: &str| {
                let values = entry.factors[&format!("{module}.{factor}")].clone();
                values
                    .try_into_vec_as::<f32>()
                    .map_err(|e| Error::Device(format!("{e}")))
            };
            let factors = LoraModule::new(shape.clone(), read("lora_A")?, read("lora_B")?);
            modules.insert(module.clone(), factors);
        }
        Ok(LoraAdapter::from_parts(entry.rank, entry.scaling, modules))
    }

    /// `base` with every adapter's `strength * alpha / r * B A` added; parameters no adapter touches are shared.
    ///
    /// # Errors
    /// [`Error::Adapter`] when an adapted weight is missing from `base` or has another size.
    pub fn apply(&self, base: &Parameters) -> Result<Parameters> {
        let mut parameters = base.clone();
        for (adapter, entry) in self.adapters.iter().filter(|(_, e)| e.strength != 0.0) {
            let rank = entry.rank;
            for (module, shape) in &entry.shapes {
                let name = format!("{module}.weight");
                let size: usize = shape.iter().product();
                let weight = parameters
                    .get(&name)
                    .filter(|w| w.dims() == [size])
                    .ok_or_else(|| {
                        Error::Adapter(format!("{adapter} adapts {name}, which the network has not so"))
                    })?
                    .clone();
                let factor = |f: &str| entry.factors[&format!("{module}.{f}")].clone();
                let a = factor("lora_A").reshape([rank, size / shape[0]]);
                let b = factor("lora_B").reshape([shape[0], rank]);
                let delta = b.matmul(a).reshape([size]);
                let amount = entry.strength * entry.scaling;
                parameters.insert(name, weight + delta.mul_scalar(amount));
            }
        }
        Ok(parameters)
    }

    fn entry_mut(&mut self, name: &str) -> Result<&mut Entry> {
        self.adapters.get_mut(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> Error {
    Error::Adapter(format!("there is no adapter {name:?}"))
}
