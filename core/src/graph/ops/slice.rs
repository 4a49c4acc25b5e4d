use alloc::{format, vec::Vec};
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Operation, Reference};
use crate::graph::{Fault, Shape, Tensor, ValueType};

/// Channels `first` to `first + channels` of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// The first channel.
    pub first: usize,
    /// How many, one at least.
    pub channels: usize,
}

impl Operation for Slice {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let all = inputs[0].channels;
        let end = self.first.checked_add(self.channels);
        if self.channels == 0 || end.is_none_or(|end| end > all) {
            return Err(Fault::Params(format!(
                "{} channels from {} on are not among {all}",
                self.channels, self.first
            )));
        }
        Ok(inputs[0].with_channels(self.channels))
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for Slice {
    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        Tensor::build(output, |c, p| inputs[0].at(self.first + c, p))
    }
}
