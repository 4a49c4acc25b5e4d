use alloc::{
    borrow::Cow,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use half::{bf16, f16};
use safetensors::{
    SafeTensors,
    tensor::{Dtype as FileDtype, View},
};

use super::ParameterShape;
use crate::{Error, Result};

/// How values are stored in a file; in memory they are always `f32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE half precision: what is shipped.
    F16,
    /// Single precision: checkpoints.
    F32,
}

/// One parameter tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Named tensors, as a safetensors file holds them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    note: Option<String>,
}

/// A tensor on its way into a file: its bytes are there while they are copied, and no longer.
struct Written<'a> {
    tensor: &'a Tensor,
    dtype: Dtype,
}

impl View for Written<'_> {
    fn dtype(&self) -> FileDtype {
        match self.dtype {
            Dtype::F16 => FileDtype::F16,
            Dtype::F32 => FileDtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::with_capacity(self.data_len());
        for v in &self.tensor.values {
            match self.dtype {
                Dtype::F16 => bytes.extend(f16::from_f32(*v).to_le_bytes()),
                Dtype::F32 => bytes.extend(v.to_le_bytes()),
            }
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        let each = match self.dtype {
            Dtype::F16 => 2,
            Dtype::F32 => 4,
        };
        self.tensor.values.len() * each
    }
}

fn missing(name: &str) -> Error {
    Error::Weights(format!("{name} is missing"))
}

/// The key of a file's note among its metadata.
const NOTE: &str = "asasr";

impl Weights {
    /// Reads a safetensors file of f16, bf16 or f32 tensors.
    ///
    /// # Errors
    /// [`Error::Weights`] when the file is cut short or damaged, holds another type, or a value is not finite.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| {
            Error::Weights(format!(
                "{} bytes are not a whole safetensors file ({e})",
                bytes.len()
            ))
        })?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let values: Vec<f32> = match view.dtype() {
                FileDtype::F32 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b: &[u8; 4]| f32::from_le_bytes(*b))
                    .collect(),
                FileDtype::F16 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b: &[u8; 2]| f16::from_le_bytes(*b).to_f32())
                    .collect(),
                FileDtype::BF16 => view
                    .data()
                    .as_chunks()
                    .0
                    .iter()
                    .map(|b: &[u8; 2]| bf16::from_le_bytes(*b).to_f32())
                    .collect(),
                other => {
                    return Err(Error::Weights(format!(
                        "{name} has the type {other:?}; F16, BF16 and F32 are read"
                    )));
                }
            };
            if values.iter().any(|v| !v.is_finite()) {
                return Err(Error::Weights(format!("{name} holds a value that is not finite")));
            }
            tensors.insert(
                name.to_string(),
                Tensor {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        let note = SafeTensors::read_metadata(bytes)
            .ok()
            .and_then(|(_, m)| m.metadata().as_ref()?.get(NOTE).cloned());
        Ok(Self { tensors, note })
    }

    /// Writes a safetensors file.
    ///
    /// # Errors
    /// [`Error::Weights`] when a value does not fit into `dtype`.
    pub fn to_safetensors(&self, dtype: Dtype) -> Result<Vec<u8>> {
        if dtype == Dtype::F16 {
            let beyond = |tensor: &&Tensor| tensor.values.iter().any(|v| !f16::from_f32(*v).is_finite());
            if let Some((name, _)) = self.tensors.iter().find(|(_, tensor)| beyond(tensor)) {
                return Err(Error::Weights(format!(
                    "{name} holds a value beyond half precision"
                )));
            }
        }
        let note = self.note.iter().map(|n| (NOTE.to_string(), n.clone()));
        let note = self.note.is_some().then(|| note.collect());
        let written = self
            .tensors
            .iter()
            .map(|(name, tensor)| (name, Written { tensor, dtype }));
        safetensors::serialize(written, note).map_err(|e| Error::Weights(e.to_string()))
    }

    /// The narrowest type that holds every value as it is.
    pub fn narrowest(&self) -> Dtype {
        let same = |v: &f32| f16::from_f32(*v).to_f32() == *v;
        if self.tensors.values().all(|tensor| tensor.values.iter().all(same)) {
            Dtype::F16
        } else {
            Dtype::F32
        }
    }

    /// Text that the file carries beside its tensors.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Sets the text that the file carries beside its tensors.
    pub fn set_note(&mut self, note: String) {
        self.note = Some(note);
    }

    /// Adds or replaces a tensor.
    pub fn insert(&mut self, name: String, tensor: Tensor) {
        self.tensors.insert(name, tensor);
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// [`Error::Weights`] when there is none.
    pub fn get(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).ok_or_else(|| missing(name))
    }

    /// The tensor of that name, to write.
    ///
    /// # Errors
    /// [`Error::Weights`] when there is none.
    pub fn get_mut(&mut self, name: &str) -> Result<&mut Tensor> {
        self.tensors.get_mut(name).ok_or_else(|| missing(name))
    }

    /// Takes the tensor of that name out.
    ///
    /// # Errors
    /// [`Error::Weights`] when there is none.
    pub fn take(&mut self, name: &str) -> Result<Tensor> {
        self.tensors.remove(name).ok_or_else(|| missing(name))
    }

    /// All tensors by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Tensor)> {
        self.tensors.iter()
    }

    /// Goes `share` of the way to `other`, 0 to 1, in every value: between weights of which one was trained from the other, what a
    /// network does changes as steadily (network interpolation, Wang et al. 2018, arXiv 1809.00219).
    ///
    /// # Errors
    /// [`Error::Weights`] when the two are not tensors of the same names and shapes; these are then as they were.
    pub fn interpolate(&mut self, other: &Self, share: f32) -> Result<()> {
        let own: Vec<ParameterShape> = self
            .iter()
            .map(|(name, tensor)| ParameterShape::new(name.clone(), tensor.shape.clone()))
            .collect();
        other.check(&own)?;
        for (from, to) in self.tensors.values_mut().zip(other.tensors.values()) {
            for (from, to) in from.values.iter_mut().zip(&to.values) {
                *from += share * (to - *from);
            }
        }
        Ok(())
    }

    /// Checks that these are the parameters `expected` of an architecture, no more and no fewer.
    ///
    /// # Errors
    /// [`Error::Weights`], naming the tensor.
    pub fn check(&self, expected: &[ParameterShape]) -> Result<()> {
        for parameter in expected {
            let found = &self.get(&parameter.name)?.shape;
            if *found != parameter.shape {
                return Err(Error::Weights(format!(
                    "{} has the shape {found:?}; the architecture needs {:?}",
                    parameter.name, parameter.shape
                )));
            }
        }
        if self.tensors.len() != expected.len() {
            let known: Vec<&str> = expected.iter().map(|p| p.name.as_str()).collect();
            let extra = self.tensors.keys().find(|k| !known.contains(&k.as_str()));
            return Err(Error::Weights(format!(
                "{} is not in the architecture",
                extra.map_or("", |k| k)
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn weights_go_together_only_with_their_like() {
        let (from, mut to) = (sample(), sample());
        let first = from.tensors.keys().next().expect("a tensor").clone();
        to.get_mut(&first)
            .expect("it")
            .values
            .iter_mut()
            .for_each(|v| *v += 4.0);
        for share in [0.0, 0.25, 1.0] {
            let mut made = from.clone();
            made.interpolate(&to, share).expect("they fit");
            for ((name, made), (_, from)) in made.iter().zip(from.iter()) {
                let moved = if *name == first { 4.0 * share } else { 0.0 };
                for (made, from) in made.values.iter().zip(&from.values) {
                    assert!((made - from - moved).abs() < 1e-6, "{name}: {made} from {from}");
                }
            }
        }
        let mut other = to.clone();
        other.get_mut(&first).expect("it").shape.push(1);
        assert!(to.clone().interpolate(&other, 0.5).is_err());
        other.insert("more".into(), other.get(&first).expect("it").clone());
        assert!(to.interpolate(&other, 0.5).is_err());
    }

    fn sample() -> Weights {
        let mut w = Weights::default();
        w.insert(
            "a.weight".into(),
            Tensor {
                shape: [2, 3].into(),
                values: (0..6).map(|i| i as f32 / 8.0).collect(),
            },
        );
        w.insert(
            "a.bias".into(),
            Tensor {
                shape: [2].into(),
                values: [0.5, -0.25].into(),
            },
        );
        w
    }

    #[test]
    fn both_types_round_trip() {
        for dtype in [Dtype::F16, Dtype::F32] {
            let bytes = sample().to_safetensors(dtype).expect("writes");
            assert_eq!(Weights::from_safetensors(&bytes).expect("reads"), sample());
        }
        let mut noted = sample();
        noted.set_note("a \"note\"\n".into());
        let bytes = noted.to_safetensors(Dtype::F32).expect("writes");
        assert_eq!(Weights::from_safetensors(&bytes).expect("reads"), noted);
    }

    #[test]
    fn too_large_for_half_is_an_error_and_not_an_infinity() {
        let mut w = sample();
        w.insert(
            "big".into(),
            Tensor {
                shape: [1].into(),
                values: [1e6].into(),
            },
        );
        assert!(w.to_safetensors(Dtype::F16).is_err());
        assert_eq!((w.narrowest(), sample().narrowest()), (Dtype::F32, Dtype::F16));
        assert!(w.to_safetensors(Dtype::F32).is_ok());
    }

    proptest! {
        #[test]
        fn a_file_cut_short_is_refused(cut in 0usize..100) {
            let bytes = sample().to_safetensors(Dtype::F16).expect("writes");
            let end = cut * bytes.len() / 100;
            prop_assert!(Weights::from_safetensors(&bytes[..end]).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Weights::from_safetensors(&bytes);
        }
    }
}
