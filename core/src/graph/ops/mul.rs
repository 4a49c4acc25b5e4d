use serde::{Deserialize, Serialize};

use super::broadcast::binary;
use crate::exec::shade::{self, Shade, Shader};
use crate::graph::ValueType;

/// `a * b`; `b` may be broadcast: of one channel, a vector, or both.
///
/// Reads `a` and `b`; the result has the type of `a`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mul {}

binary!(Mul, core::ops::Mul::mul);

impl Shade for Mul {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        shade::pointwise("a * b", &[])
    }
}
