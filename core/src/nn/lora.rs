use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
};

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};

use super::Parameters;
use crate::model::LoraAdapter;
use crate::{Error, Result};

/// Named adapters on one backbone, each on, off or scaled.
///
/// The network never knows of them: [`Self::apply`] makes the parameters it runs with. The backbone's own
/// parameters exist once; what differs between policy and reference is a few low-rank products.
#[derive(Debug, Clone, Default)]
pub struct AdapterSet {
    adapters: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    adapter: LoraAdapter,
    strength: f64,
    factors: Parameters,
}

impl AdapterSet {
    /// Adds or replaces the adapter `name`, at full strength.
    pub fn insert(&mut self, name: &str, adapter: LoraAdapter, options: impl Into<TensorCreationOptions>) {
        let options = options.into();
        let mut factors = Parameters::new();
        for (module, m) in adapter.modules() {
            for (factor, values) in [("lora_A", &m.a), ("lora_B", &m.b)] {
                let data = TensorData::new(values.clone(), [values.len()]);
                factors.insert(
                    format!("{module}.{factor}"),
                    Tensor::from_data(data, options.clone()),
                );
            }
        }
        let entry = Entry {
            adapter,
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
        let mut adapter = entry.adapter.clone();
        for (module, m) in adapter.modules_mut() {
            for (factor, values) in [("lora_A", &mut m.a), ("lora_B", &mut m.b)] {
                *values = entry.factors[&format!("{module}.{factor}")]
                    .clone()
                    .try_into_vec_as::<f32>()
                    .map_err(|e| Error::Device(format!("{e}")))?;
            }
        }
        Ok(adapter)
    }

    /// `base` with every adapter's `strength * alpha / r * B A` added; parameters no adapter touches are shared.
    ///
    /// # Errors
    /// [`Error::Adapter`] when an adapted weight is missing from `base` or has another size.
    pub fn apply(&self, base: &Parameters) -> Result<Parameters> {
        let mut parameters = base.clone();
        for (adapter, entry) in self.adapters.iter().filter(|(_, e)| e.strength != 0.0) {
            let rank = entry.adapter.rank();
            for (module, m) in entry.adapter.modules() {
                let name = format!("{module}.weight");
                let size: usize = m.shape.iter().product();
                let weight = parameters
                    .get(&name)
                    .filter(|w| w.dims() == [size])
                    .ok_or_else(|| {
                        Error::Adapter(format!("{adapter} adapts {name}, which the network has not so"))
                    })?
                    .clone();
                let factor = |f: &str| entry.factors[&format!("{module}.{f}")].clone();
                let a = factor("lora_A").reshape([rank, size / m.shape[0]]);
                let b = factor("lora_B").reshape([m.shape[0], rank]);
                let delta = b.matmul(a).reshape([size]);
                let amount = entry.strength * entry.adapter.scaling();
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
