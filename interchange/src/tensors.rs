//! Named tensors as a file holds them, not read yet.

use std::collections::BTreeMap;

use asasr_core::model::Tensor;
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::Dtype;

use crate::pickle::Type;
use crate::{Error, Result};

/// A tensor where it lies in a file.
#[derive(Debug, Clone)]
pub(crate) struct Stored<'a> {
    pub(crate) kind: Type,
    pub(crate) shape: Vec<usize>,
    /// Numbers from one index to the next of each dimension.
    pub(crate) stride: Vec<usize>,
    /// Numbers from its first one on.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Stored<'a> {
    /// A tensor whose numbers lie in rows, one after another.
    pub(crate) fn in_rows(kind: Type, shape: Vec<usize>, bytes: &'a [u8]) -> Result<Self> {
        let mut stride = vec![1usize; shape.len()];
        for i in (1..shape.len()).rev() {
            stride[i - 1] = stride[i].saturating_mul(shape[i]);
        }
        let stored = Self {
            kind,
            shape,
            stride,
            bytes,
        };
        stored.checked()
    }

    /// The same, when all of it lies in its bytes, and is no larger than they are.
    pub(crate) fn checked(self) -> Result<Self> {
        let count = self.shape.iter().try_fold(1usize, |n, side| n.checked_mul(*side));
        let held = self.bytes.len() / self.kind.bytes();
        // A view may repeat what it shows, and claim any size in a few bytes.
        let count = count
            .filter(|n| *n <= held)
            .ok_or_else(|| Error::damaged("a tensor is larger than what holds it"))?;
        let mut last = Some(0usize);
        for (side, stride) in self.shape.iter().zip(&self.stride) {
            let step = side.saturating_sub(1).checked_mul(*stride);
            last = last.and_then(|l| l.checked_add(step?));
        }
        if self.stride.len() != self.shape.len() || (count > 0 && last.is_none_or(|l| l >= held)) {
            return Err(Error::damaged("a tensor reaches beyond what holds it"));
        }
        Ok(self)
    }

    /// Whether its numbers lie one after another.
    pub(crate) fn is_in_rows(&self) -> bool {
        let mut stride = 1;
        let mut sides = self.shape.iter().zip(&self.stride).rev();
        sides.all(|(side, own)| {
            let fits = *side <= 1 || *own == stride;
            stride *= (*side).max(1);
            fits
        })
    }

    /// Its numbers.
    pub(crate) fn read(&self, name: &str) -> Result<Tensor> {
        let values = self.each(|at| self.number(at));
        if values.iter().any(|v| !v.is_finite()) {
            return Err(Error::damaged(format!("{name} holds a value that is not finite")));
        }
        Ok(Tensor {
            shape: self.shape.clone(),
            values,
        })
    }

    /// Its numbers, whole ones exactly.
    pub(crate) fn wide(&self) -> Vec<f64> {
        self.each(|at| self.exact(at))
    }

    fn each<T>(&self, number: impl Fn(usize) -> T) -> Vec<T> {
        let count = self.shape.iter().product();
        let mut values = Vec::with_capacity(count);
        let mut index = vec![0; self.shape.len()];
        let mut at = 0;
        for _ in 0..count {
            values.push(number(at));
            for i in (0..index.len()).rev() {
                index[i] += 1;
                at += self.stride[i];
                if index[i] < self.shape[i] {
                    break;
                }
                at -= self.stride[i] * self.shape[i];
                index[i] = 0;
            }
        }
        values
    }

    fn number(&self, at: usize) -> f32 {
        self.exact(at) as f32
    }

    fn exact(&self, at: usize) -> f64 {
        fn of<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            bytes.as_chunks().0[at]
        }
        let bytes = self.bytes;
        match self.kind {
            Type::F16 => f16::from_le_bytes(of(bytes, at)).to_f64(),
            Type::Bf16 => bf16::from_le_bytes(of(bytes, at)).to_f64(),
            Type::F32 => f64::from(f32::from_le_bytes(of(bytes, at))),
            Type::F64 => f64::from_le_bytes(of(bytes, at)),
            Type::I32 => f64::from(i32::from_le_bytes(of(bytes, at))),
            Type::I64 => i64::from_le_bytes(of(bytes, at)) as f64,
        }
    }
}

/// All tensors of a file, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tensors<'a> {
    own: BTreeMap<String, Stored<'a>>,
}

/// What wrappers of networks put before the names of all tensors.
const WRAPPERS: [&str; 4] = ["module.", "netG.", "generator.", "_orig_mod."];

impl<'a> Tensors<'a> {
    /// Without what wrappers put before the names.
    pub(crate) fn new(mut own: BTreeMap<String, Stored<'a>>) -> Self {
        for wrapper in WRAPPERS {
            if !own.is_empty() && own.keys().all(|name| name.starts_with(wrapper)) {
                let bare = |(name, tensor): (String, _)| (name[wrapper.len()..].to_string(), tensor);
                own = own.into_iter().map(bare).collect();
            }
        }
        Self { own }
    }

    /// Those of a safetensors file.
    pub(crate) fn of_safetensors(bytes: &'a [u8]) -> Result<Self> {
        let file = SafeTensors::deserialize(bytes).map_err(|e| Error::damaged(e.to_string()))?;
        let mut own = BTreeMap::new();
        for (name, view) in file.tensors() {
            let kind = match view.dtype() {
                Dtype::F16 => Type::F16,
                Dtype::BF16 => Type::Bf16,
                Dtype::F32 => Type::F32,
                Dtype::F64 => Type::F64,
                Dtype::I32 => Type::I32,
                Dtype::I64 => Type::I64,
                other => {
                    let is = format!("{other:?}");
                    return Err(Error::Type { tensor: name, is });
                }
            };
            let stored = Stored::in_rows(kind, view.shape().to_vec(), view.data())?;
            own.insert(name, stored);
        }
        Ok(Self::new(own))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.own.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.own.contains_key(name)
    }

    /// Its shape, where it is there.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.own.get(name).map(|t| t.shape.as_slice())
    }

    /// The tensor itself, where it is there.
    pub(crate) fn get(&self, name: &str) -> Option<&Stored<'a>> {
        self.own.get(name)
    }

    /// One more than the largest number that follows `before` in a name and is followed by a dot; 0 where none does.
    pub(crate) fn count(&self, before: &str) -> usize {
        let number = |name: &str| {
            let rest = name.strip_prefix(before)?;
            rest.split('.').next()?.parse::<usize>().ok()
        };
        // Whoever counts up has as many names: a larger number would claim what is not there.
        let most = self.own.len();
        self.names()
            .filter_map(number)
            .max()
            .map_or(0, |n| n.min(most) + 1)
    }
}
